/**
 * Takes files that are dropped on a label or chosen with its input.
 *
 * @param {HTMLElement} zone a label around an input of files
 * @param {(files: File[]) => void} onFiles
 */
export function takeFiles(zone, onFiles) {
  const input = zone.querySelector("input");
  takeChosen(input, onFiles);
  let depth = 0;
  const mark = (change) => {
    depth = Math.max(0, depth + change);
    zone.classList.toggle("over", depth > 0);
  };
  zone.addEventListener("dragenter", () => mark(1));
  zone.addEventListener("dragleave", () => mark(-1));
  zone.addEventListener("dragover", (event) => event.preventDefault());
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(-depth);
    const files = [...event.dataTransfer.files];
    if (files.length > 0) onFiles(files);
  });
}

/** Takes files that are chosen with an input. */
export function takeChosen(input, onFiles) {
  input.addEventListener("change", () => {
    const files = [...input.files];
    // The same file may be chosen again.
    input.value = "";
    if (files.length > 0) onFiles(files);
  });
}

/** What misses its target would open in place of the page. */
export function ignoreOtherDrops() {
  for (const name of ["dragover", "drop"]) {
    addEventListener(name, (event) => {
      if (!event.defaultPrevented) event.preventDefault();
    });
  }
}
