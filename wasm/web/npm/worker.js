import { throwIfAborted } from "./src/error.js";
import { runtime } from "./src/init.js";
import { loadOptions } from "./src/options.js";
import { RemoteModel } from "./src/remote.js";
import { Session } from "./src/session.js";

export { PannierError } from "./src/error.js";
export { init } from "./src/init.js";
export { State } from "./src/state.js";
export { Tensor } from "./src/tensor.js";

/** A session like any other, whose model is in a worker of its own. */
export class WorkerSession extends Session {
  /** Fetches, verifies, prepares and tests a bundle in a new worker. */
  static async create(where, options = {}) {
    const checked = loadOptions(options);
    throwIfAborted(checked.signal);
    return new WorkerSession(await RemoteModel.load(runtime(checked), where, checked));
  }

  /** Ends the worker, whatever it is at, which gives its memory back. The same as `dispose`. */
  close() {
    this.dispose();
  }
}
