import { throwIfAborted } from "./error.js";
import { Session as CpuSession } from "./index.js";
import { runtime } from "./init.js";
import { address } from "./place.js";
import { RemoteModel } from "./remote.js";
import { startTelemetry } from "./telemetry/start.js";
import { WebgpuModel } from "./webgpu/model.js";
import { webgpuOptions } from "./webgpu/options.js";
import { WorkerSession as CpuWorkerSession } from "./worker.js";

export { PannierError, State, Tensor, init } from "./index.js";

/** A session like any other, whose model is on the GPU where that is possible. */
export class Session extends CpuSession {
  /** Fetches, verifies, prepares and tests a bundle. */
  static async create(where, options = {}) {
    const checked = webgpuOptions(options);
    throwIfAborted(checked.signal);
    const model = await WebgpuModel.load(runtime(checked), where, checked);
    return new Session(model, await startTelemetry(checked.telemetry, model));
  }
}

/** The same, with the model in a worker of its own. */
export class WorkerSession extends CpuWorkerSession {
  /** Fetches, verifies, prepares and tests a bundle in a new worker. */
  static async create(where, options = {}) {
    const checked = webgpuOptions(options);
    throwIfAborted(checked.signal);
    const { onProgress, signal, wasm, tract, webgpu, ...others } = checked;
    const modules = { wasm: there(wasm), tract: there(tract), webgpu: there(webgpu) };
    const start = () => new Worker(new URL("./webgpu-thread.js", import.meta.url), { type: "module", name: "@pannier/runtime/webgpu" });
    const model = await RemoteModel.open(start, where, { options: { ...others, ...modules } }, checked);
    return new WorkerSession(model, await startTelemetry(checked.telemetry, model));
  }
}

/** What a module's place is in a worker: an address has to mean the same there as here. */
function there(place) {
  return typeof place === "string" || place instanceof URL ? address(place) : place;
}
