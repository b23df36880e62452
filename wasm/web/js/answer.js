import { plain } from "./error.js";
import { Tensor } from "./tensor.js";

/**
 * Answers the questions of `remote.js` in a worker: one model, and one question after the other.
 *
 * @param load makes the model, of what `create` asks for
 * @param lent takes what the page lends meanwhile
 */
export function answer({ load, lent }) {
  let model = null;
  const answers = {
    async create(question) {
      model = await load(question, (progress) => postMessage({ progress }));
      return [{ description: model.description, installedUnixS: model.installedUnixS }];
    },

    async run({ inputs, isStep }) {
      const tensors = inputs.map(([index, { type, data, dims }]) => [index, new Tensor(type, data, dims)]);
      const outputs = await model.run(tensors, isStep);
      return [outputs, Object.values(outputs).map(({ data }) => data.buffer)];
    },

    async report() {
      return [await model.report()];
    },

    async closeWindow(window) {
      const payload = model.closeWindow(window);
      return [payload, [payload.buffer]];
    },
  };

  /** The questions so far: each waits for the one before. */
  let last = Promise.resolve();

  onmessage = ({ data: { id, ...question } }) => {
    if (question.lent !== undefined) return lent(question.lent);
    const [[name, argument]] = Object.entries(question);
    last = last.then(async () => {
      try {
        const [result, buffers = []] = await answers[name](argument);
        postMessage({ id, result }, buffers);
      } catch (error) {
        postMessage({ id, error: plain(error) });
      }
    });
  };
}
