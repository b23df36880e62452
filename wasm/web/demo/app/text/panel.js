import { takeChosen, takeFiles } from "../ui/drop.js";
import { button, element, failure } from "../ui/elements.js";
import { count, duration, percent } from "../ui/format.js";
import { modelCard } from "../ui/model-card.js";
import { cornersOf } from "./geometry.js";
import { Reader } from "./reader.js";

const SAMPLES = ["till.png", "signs.png"];
const SVG = "http://www.w3.org/2000/svg";

/** Reads what is written in pictures. */
export function textPanel(panel) {
  new TextPanel(panel);
}

class TextPanel {
  #reader = new Reader();
  #part;
  /** The picture that is being read, and the one that waits until it is done. */
  #isReading = false;
  #next = null;

  constructor(panel) {
    this.#part = (name) => panel.querySelector(`[data-${name}]`);
    const take = ([file]) => this.#take(file);
    takeFiles(this.#part("drop"), take);
    takeChosen(this.#part("camera"), take);
    this.#part("samples").append(...SAMPLES.map((name) => button(name, () => this.#takeSample(name))));
    this.#part("models").append(...this.#reader.models.map(modelCard));
    this.#part("copy").addEventListener("click", () => this.#copy());
    addEventListener("paste", ({ clipboardData }) => {
      const file = [...clipboardData.files].find(({ type }) => type.startsWith("image/"));
      if (file !== undefined && !panel.hidden) this.#take(file);
    });
  }

  async #takeSample(name) {
    try {
      const response = await fetch(`samples/${name}`);
      await this.#take(await response.blob());
    } catch (error) {
      this.#fail(error);
    }
  }

  /** One picture after the other; of those that come in between, the last. */
  async #take(file) {
    this.#next = file;
    if (this.#isReading) return;
    this.#isReading = true;
    while (this.#next !== null) {
      const current = this.#next;
      this.#next = null;
      await this.#read(current).catch((error) => this.#fail(error));
    }
    this.#isReading = false;
  }

  async #read(file) {
    const [figure, lines, summary] = ["picture", "lines", "summary"].map(this.#part);
    lines.replaceChildren();
    this.#part("empty").hidden = true;
    this.#part("bar").hidden = false;
    this.#part("copy").hidden = true;
    const isReady = this.#reader.models.every(({ state }) => state === "ready");
    summary.textContent = isReady ? "Looking at the picture." : "Loading the models.";
    let shapes = [];
    const times = await this.#reader.read(file, {
      onPicture: (size) => show(figure, file, size),
      onRegions: (regions) => {
        shapes = draw(figure.querySelector("svg"), regions);
        summary.textContent = `${count(regions.length, "line", "lines")} found.`;
      },
      onLine: (line) => {
        lines.append(item(line, shapes[line.index]));
        summary.textContent = `${lines.children.length} of ${count(shapes.length, "line", "lines")} read.`;
      },
    });
    this.#part("copy").hidden = lines.children.length === 0;
    summary.textContent =
      lines.children.length === 0
        ? `No text found, in ${duration(times.findMs)}.`
        : `${count(lines.children.length, "line", "lines")}: found in ${duration(times.findMs)}, read in ${duration(times.readMs)}.`;
  }

  async #copy() {
    const texts = [...this.#part("lines").querySelectorAll("[data-line]")].map((line) => line.textContent);
    try {
      await navigator.clipboard.writeText(texts.join("\n"));
      this.#part("summary").textContent = "Copied.";
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error) {
    this.#part("bar").hidden = true;
    this.#part("empty").hidden = true;
    this.#part("lines").replaceChildren(element("li", {}, failure(error)));
  }
}

/** The picture, and over it a drawing of the same proportions. */
function show(figure, file, { width, height }) {
  const image = element("img", { alt: "The picture that is read", src: URL.createObjectURL(file) });
  image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
  drawing.setAttribute("aria-hidden", "true");
  figure.replaceChildren(image, drawing);
  figure.hidden = false;
}

/** A shape for each rectangle. */
function draw(drawing, regions) {
  return regions.map((region) => {
    const shape = document.createElementNS(SVG, "polygon");
    shape.setAttribute("points", cornersOf(region).map((corner) => corner.join(",")).join(" "));
    drawing.append(shape);
    return shape;
  });
}

/** A line of the list. It and its shape in the picture light up together. */
function item({ text, confidence, isTurned }, shape) {
  const note = isTurned ? `${percent(confidence)}, upside down` : percent(confidence);
  const line = element("li", { tabindex: 0 }, element("span", { "data-line": true }, text), element("small", {}, note));
  shape.classList.add("read");
  for (const node of [line, shape]) {
    const light = (isLit) => () => [line, shape].forEach((each) => each.classList.toggle("lit", isLit));
    for (const name of ["pointerenter", "focus"]) node.addEventListener(name, light(true));
    for (const name of ["pointerleave", "blur"]) node.addEventListener(name, light(false));
  }
  return line;
}
