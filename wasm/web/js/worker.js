import { throwIfAborted } from "./error.js";
import { Session } from "./index.js";
import { runtime } from "./init.js";
import { loadOptions } from "./options.js";
import { RemoteModel } from "./remote.js";
import { startTelemetry } from "./telemetry/start.js";

export { PannierError, State, Tensor, init } from "./index.js";

/** A session like any other, whose model is in a worker of its own. */
export class WorkerSession extends Session {
  /** Fetches, verifies, prepares and tests a bundle in a new worker. */
  static async create(where, options = {}) {
    const checked = loadOptions(options);
    throwIfAborted(checked.signal);
    const model = await RemoteModel.load(runtime(checked), where, checked);
    return new WorkerSession(model, await startTelemetry(checked.telemetry, model));
  }

  /** Ends the worker, whatever it is at, which gives its memory back. The same as `dispose`. */
  close() {
    this.dispose();
  }
}
