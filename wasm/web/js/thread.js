// What runs in a worker: a model on the CPU. The page's side is `remote.js`.
import { answer } from "./answer.js";
import { PannierError, plain } from "./error.js";
import { LocalModel } from "./model.js";

/** Waits for the larger module. */
let lent = null;

answer({
  load: ({ module, where, options }, onProgress) => LocalModel.load({ module: () => module, larger }, where, { ...options, onProgress }),
  lent: ({ module, error }) => (error === undefined ? lent.resolve(module) : lent.reject(PannierError.from(error))),
});

/** Asks the page for it. */
function larger(why) {
  postMessage({ wanted: plain(why) });
  return new Promise((resolve, reject) => {
    lent = { resolve, reject };
  });
}
