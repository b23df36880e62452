import { LoadOptions, Session } from "./index.js";

export { init, PannierError, State, Tensor } from "./index.js";

/**
 * A session whose model is in a worker of its own: downloading, verifying, preparing and running all happen there. Inputs are copied
 * to it, or handed over with `transfer`; outputs are handed over.
 */
export class WorkerSession extends Session {
  /**
   * Fetches, verifies, prepares and tests a bundle in a new worker.
   *
   * @throws {PannierError} as `Session.create`
   */
  static create(where: string | URL | ArrayBuffer | ArrayBufferView, options: LoadOptions): Promise<WorkerSession>;

  /** Ends the worker, whatever it is at, which gives its memory back at once. The same as `dispose`. */
  close(): void;
}
