// What runs in a worker: a model on the CPU. The page's side is `remote.js`.
import { answer } from "./answer.js";
import { PannierError, plain } from "./error.js";
import { LocalModel } from "./model.js";

/** Modules that the page lends, when they come: the usual one unasked, and the larger one when it is wanted. */
const modules = { usual: loan(), larger: loan() };

answer({
  load: ({ where, options }, onProgress) =>
    LocalModel.load({ module: () => modules.usual.promise, larger }, where, { ...options, onProgress }),
  lent({ which, module, error }) {
    if (error === undefined) modules[which].resolve(module);
    else modules[which].reject(PannierError.from(error));
  },
});

/** Asks the page for it. */
function larger(why) {
  postMessage({ wanted: plain(why) });
  return modules.larger.promise;
}

function loan() {
  const self = {};
  self.promise = new Promise((resolve, reject) => Object.assign(self, { resolve, reject }));
  // Whoever wants it hears of a failure.
  self.promise.catch(() => {});
  return self;
}
