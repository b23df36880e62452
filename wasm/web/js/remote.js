import { PannierError, interrupted, plain } from "./error.js";
import { address } from "./place.js";
import { bytesOf } from "./source/bytes.js";
import { Tensor } from "./tensor.js";

/** A loaded model in a worker: the other side of `thread.js`, with the methods of `LocalModel`. */
export class RemoteModel {
  #worker;
  /** What waits for an answer: by the number of the question. */
  #waiting = new Map();
  #count = 0;
  #onProgress = null;
  /** The modules, while the model is being loaded. */
  #runtime;
  /** What the model is. */
  description;
  /** When the bundle came to this machine, in seconds since 1970. */
  installedUnixS;

  static async load(runtime, where, options) {
    const { wire, cache, retries } = options;
    const start = () => new Worker(new URL("./thread.js", import.meta.url), { type: "module", name: "@pannier/runtime" });
    return RemoteModel.open(start, where, { options: { wire, cache, retries } }, options, runtime);
  }

  /**
   * Has a worker load a model.
   *
   * @param start gives the worker, whose script calls `answer` of `answer.js`
   * @param question what it is to load the model of, beside where that is
   * @param runtime lends it modules, which are compiled here, once for all workers
   */
  static async open(start, where, question, { onProgress, signal }, runtime) {
    const self = new RemoteModel();
    self.#runtime = runtime;
    self.#onProgress = onProgress;
    self.#start(start);
    // The worker asks for the bundle meanwhile.
    if (runtime !== undefined) self.#lend("usual", runtime.module());
    try {
      // An address means the same there as here.
      const isBytes = where instanceof ArrayBuffer || ArrayBuffer.isView(where);
      const place = isBytes ? compact(bytesOf(where)) : address(where);
      const asked = { create: { ...question, where: place } };
      ({ description: self.description, installedUnixS: self.installedUnixS } = await self.#ask(asked, { signal }));
    } catch (error) {
      self.close();
      throw error;
    }
    self.#onProgress = null;
    self.#runtime = null;
    return self;
  }

  async run(inputs, isStep, { signal, transfer }) {
    const tensors = Array.from(inputs, ([index, { type, data, dims }]) => [index, { type, data: compact(data), dims }]);
    const buffers = transfer ? [...new Set(tensors.map(([, { data }]) => data.buffer))] : [];
    const outputs = await this.#ask({ run: { inputs: tensors, isStep } }, { signal, buffers });
    const taken = Object.entries(outputs).map(([name, { type, data, dims }]) => [name, new Tensor(type, data, dims)]);
    return Object.fromEntries(taken);
  }

  report() {
    return this.#ask({ report: {} });
  }

  /** Ends a window of telemetry; a promise of its payload. */
  closeWindow(window) {
    return this.#ask({ closeWindow: window });
  }

  /**
   * Ends the worker; whoever still waits for it waits in vain.
   *
   * @param last what it was asked for at the end: an idle worker answers that first, and one that is busy may never
   */
  close(last = null) {
    const end = () => this.#fail(new PannierError("E_INTERRUPTED", "the session was closed"));
    if (last instanceof Promise && this.#waiting.size === 1) last.then(end, end);
    else end();
  }

  #start(start) {
    if (globalThis.Worker === undefined) throw new PannierError("E_FAILED", "there are no workers here");
    this.#worker = start();
    this.#worker.onmessage = ({ data }) => this.#hear(data);
    this.#worker.onmessageerror = () => this.#fail(new PannierError("E_FAILED", "an answer of the worker got lost"));
    this.#worker.onerror = (event) => {
      event.preventDefault?.();
      this.#fail(new PannierError("E_FAILED", `the worker failed: ${event.message ?? "its script cannot be loaded"}`));
    };
  }

  #ask(question, { signal, buffers = [] } = {}) {
    if (this.#worker === null) throw new PannierError("E_USAGE", "the session was closed");
    const id = ++this.#count;
    return new Promise((resolve, reject) => {
      const abort = () => this.#settle(id, (waiting) => waiting.reject(interrupted(signal)));
      signal?.addEventListener("abort", abort, { once: true });
      this.#waiting.set(id, { resolve, reject, forget: () => signal?.removeEventListener("abort", abort) });
      this.#worker.postMessage({ id, ...question }, buffers);
    });
  }

  #hear({ id, progress, wanted, result, error }) {
    // What was on its way when the worker was ended is of no interest.
    if (this.#worker === null) return;
    if (wanted !== undefined) this.#lend("larger", this.#runtime.larger(PannierError.from(wanted)));
    else if (progress !== undefined) this.#onProgress?.(progress);
    else if (error !== undefined) this.#settle(id, ({ reject }) => reject(PannierError.from(error)));
    else this.#settle(id, ({ resolve }) => resolve(result));
  }

  /** Gives a module to the worker, or the reason why there is none. */
  async #lend(which, compiled) {
    try {
      const module = await compiled;
      this.#worker?.postMessage({ lent: { which, module } });
    } catch (error) {
      this.#worker?.postMessage({ lent: { which, error: plain(error) } });
    }
  }

  /** An answer that nobody waits for any more is dropped. */
  #settle(id, how) {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    waiting.forget();
    how(waiting);
  }

  #fail(error) {
    this.#worker?.terminate();
    this.#worker = null;
    for (const id of [...this.#waiting.keys()]) this.#settle(id, ({ reject }) => reject(error));
  }
}

/** A view of a part of a buffer would take all of the buffer along. */
function compact(view) {
  return view.byteLength === view.buffer.byteLength ? view : view.slice();
}
