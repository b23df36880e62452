// The package `@pannier/runtime`, which lies in this folder of the assembled site.
export { init, PannierError, State, Tensor } from "../runtime/index.js";
export { WorkerSession } from "../runtime/worker.js";
export { WorkerSession as AnyWorkerSession } from "../runtime/webgpu.js";
