/** What models run on: `"cpu"`, or `"auto"`, which is the GPU where it can. Fires `change`. */
class Processor extends EventTarget {
  engine = "cpu";

  choose(engine) {
    this.engine = engine;
    this.dispatchEvent(new Event("change"));
  }
}

export const processor = new Processor();

/** Whether a GPU that is a program on the CPU will do: for looking at this page where there is no other. */
export const allowSoftwareAdapter = new URLSearchParams(location.search).has("software-gpu");

/** Lets the user choose. */
export function processorSwitch(form) {
  form.addEventListener("change", ({ target }) => processor.choose(target.value));
  // What a browser has kept of the page is not what it begins with.
  processor.engine = new FormData(form).get("processor");
}
