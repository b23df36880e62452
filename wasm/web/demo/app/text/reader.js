import { Model } from "../models.js";
import { PannierError, Tensor } from "../runtime.js";
import { decode } from "./ctc.js";

/** A line is turned if the model is so sure of it. */
const TURNED = 0.9;
/** Of what is read with less confidence nothing is shown. */
const LEAST_CONFIDENCE = 0.5;

/** Reads pictures: finds lines, turns them, reads them. */
export class Reader {
  finder = new Model("ocr-det");
  turner = new Model("ocr-cls");
  reader = new Model("ocr-rec");
  #pixels = new Pixels();

  get models() {
    return [this.finder, this.turner, this.reader];
  }

  /**
   * Reads a picture, step by step as it goes.
   *
   * @param {Blob} file
   * @param {{ onPicture, onRegions, onLine }} listener told of the picture's size, of the rectangles around lines, and of each line
   * `{ index, text, confidence }` that could be read
   */
  async read(file, { onPicture, onRegions, onLine }) {
    const { page, width, height } = await this.#pixels.ask("open", file);
    onPicture({ width, height });
    await Promise.all(this.models.map((model) => model.session()));
    const { data: map, dims } = await answerOf(this.finder, page);
    const regions = await this.#pixels.ask("find", { map, dims });
    const findMs = this.finder.lastRunMs;
    onRegions(regions);
    let readMs = 0;
    for (const [index, region] of regions.entries()) {
      const isTurned = await this.#isTurned(region);
      const { data: scores } = await answerOf(this.reader, await this.#pixels.ask("text", { region, isTurned }));
      readMs += this.turner.lastRunMs + this.reader.lastRunMs;
      const { text, confidence } = decode(scores, await charactersOf(this.reader));
      if (confidence >= LEAST_CONFIDENCE && text.trim() !== "") onLine({ index, text: text.trim(), confidence, isTurned });
    }
    await Promise.all(this.models.map((model) => model.refresh()));
    return { findMs, readMs };
  }

  async #isTurned(region) {
    const { data } = await answerOf(this.turner, await this.#pixels.ask("direction", region));
    const turned = (await charactersOf(this.turner)).indexOf("180");
    return data[turned] > TURNED;
  }
}

/** The one output of a model for its one input. */
async function answerOf(model, { values, dims }) {
  const session = await model.session();
  const outputs = await model.run({ [session.inputs[0].name]: new Tensor("float32", values, dims) });
  return outputs[session.outputs[0].name];
}

/** What a model's numbers are scores for, as its bundle says. */
async function charactersOf(model) {
  const { labels, outputs } = await model.session();
  return labels[outputs[0].labels];
}

/** The page's side of `pixels.js`. */
class Pixels {
  #worker = new Worker(new URL("./pixels.js", import.meta.url), { type: "module" });
  #waiting = new Map();
  #count = 0;

  constructor() {
    this.#worker.onmessage = ({ data: { id, result, error } }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) resolve(result);
      else reject(new PannierError("E_INVALID_INPUT", error, { hint: "any kind of picture that this browser can show will do" }));
    };
  }

  ask(name, argument) {
    const id = ++this.#count;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, name, argument });
    });
  }
}
