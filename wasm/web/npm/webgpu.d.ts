import { InitOptions, LoadOptions, Report as CpuReport, Session as CpuSession } from "./index.js";
import { WorkerSession as CpuWorkerSession } from "./worker.js";

export { init, PannierError, State, Tensor } from "./index.js";

/** How a bundle is loaded, and where its model is to run. */
export interface WebgpuLoadOptions extends LoadOptions {
  /**
   * `"auto"`: on the GPU, if WebGPU has an adapter that policy takes, every operator of the model, and the right answers to its golden
   * cases; else on the CPU. A GPU that fails later is replaced by the CPU in the middle of a run. `"webgpu"`: on the GPU or not at all.
   * `"cpu"`: as `Session` of the package itself. `"auto"` by default.
   */
  engine?: "auto" | "webgpu" | "cpu";
  /** Whether an adapter will do that computes on the CPU, which is slower than `"cpu"`. For tests; off by default. */
  allowSoftwareAdapter?: boolean;
  /** Where the module for WebGPU comes from, if not from beside the package's own files. It is fetched only if there is an adapter. */
  webgpu?: InitOptions["wasm"];
}

/** Why a model is not on the GPU. */
export type WebgpuReason =
  /** This browser has no WebGPU, or not on pages that come by HTTP. */
  | "no-webgpu"
  /** It has no adapter for it. */
  | "no-adapter"
  /** The adapter computes on the CPU, and policy refuses that. */
  | "software-adapter"
  /** The module for WebGPU cannot be fetched. */
  | "no-module"
  /** The engine lacks an operator of the model. */
  | "unsupported-operator"
  /** The model needs more memory, or larger buffers, than the device or the caller's limits allow. */
  | "limits"
  /** The golden cases gave other answers than the publisher's. */
  | "wrong-answers"
  /** The device was lost. */
  | "device-lost"
  /** Anything else. */
  | "failed";

/** An adapter of WebGPU, in the browser's words. */
export interface Adapter {
  vendor: string;
  architecture: string;
  device: string;
  description: string;
  /** Whether it computes on the CPU. */
  isSoftware: boolean;
}

/** How a session came to be, and what it takes. */
export interface Report extends CpuReport {
  /** The adapter that was found and not refused by policy; `null`: none, or none was asked for. */
  adapter: Adapter | null;
  /** Engines that were not taken, or that failed later. `reason` is there for the one that uses WebGPU. */
  rejected: (CpuReport["rejected"][number] & { reason?: WebgpuReason })[];
}

/** A verified model that is ready to run, on the GPU or on the CPU. */
export class Session extends CpuSession {
  /**
   * Fetches, verifies, prepares and tests a bundle.
   *
   * @throws {PannierError} as `Session.create` of the package itself; with `engine: "webgpu"` also for every `WebgpuReason`, which the
   * error has as `reason`
   */
  static create(where: string | URL | ArrayBuffer | ArrayBufferView, options: WebgpuLoadOptions): Promise<Session>;

  /** Which engine runs the model, which one does not and why, and what it takes. */
  report(): Promise<Report>;
}

/** The same, with the model in a worker of its own: preparing happens there, and so does running if it is on the CPU after all. */
export class WorkerSession extends CpuWorkerSession {
  /**
   * Fetches, verifies, prepares and tests a bundle in a new worker.
   *
   * @throws {PannierError} as `Session.create`
   */
  static create(where: string | URL | ArrayBuffer | ArrayBufferView, options: WebgpuLoadOptions): Promise<WorkerSession>;

  /** Which engine runs the model, which one does not and why, and what it takes. */
  report(): Promise<Report>;
}
