// What runs in a worker: one model, and one question after the other. The page's side is `remote.js`.
import { PannierError } from "./error.js";
import { LocalModel } from "./model.js";
import { Tensor } from "./tensor.js";

let model = null;

const answers = {
  async create({ module, where, options }) {
    const onProgress = (progress) => postMessage({ progress });
    model = await LocalModel.load({ module: () => module, larger }, where, { ...options, onProgress });
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

/** Asks the page for the larger module. */
function larger(why) {
  postMessage({ wanted: plain(why) });
  return new Promise((resolve, reject) => {
    lent = ({ module, error }) => (error === undefined ? resolve(module) : reject(PannierError.from(error)));
  });
}

/** Takes the page's answer to that. */
let lent = null;

/** The questions so far: each waits for the one before. */
let last = Promise.resolve();

onmessage = ({ data: { id, ...question } }) => {
  if (question.larger !== undefined) return lent(question.larger);
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

/** An error as plain data: classes do not travel. */
function plain(error) {
  const { code, message, hint } = error instanceof PannierError ? error : new PannierError("E_FAILED", String(error));
  return { code, message, hint };
}
