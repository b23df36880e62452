import { unlessAborted } from "../error.js";
import { LocalModel } from "../model.js";
import { findAdapter } from "./adapter.js";
import { Kept } from "./kept.js";
import { webgpuRuntime } from "./module.js";
import { Refusal } from "./refusal.js";

/** The engine's name in reports, also where it never came to be. */
const ENGINE = "webgpu";

/**
 * A loaded model on the GPU, or else on the CPU. With the methods of `LocalModel`.
 *
 * A GPU may fail at any time, and take the instance that uses it along: so the model for the CPU is in an instance of its own, which
 * is made of the same bundle when it is wanted.
 */
export class WebgpuModel {
  #runtime;
  #options;
  /** The model that answers now. */
  #model = null;
  /** The bundle, while that is the one on the GPU, which may fail. */
  #kept = null;
  /** What computes for it. */
  #adapter = null;
  /** Why it is not on the GPU. */
  #refusal = null;
  /** Where the bundle came from, where it was taken from what was kept. */
  #source = null;
  /** The way to the CPU, once somebody goes it. */
  #leaving = null;
  /** The model that was left, until what it recorded is taken. */
  #left = null;
  /** When the one that took its place began to record, in milliseconds since 1970: its counts are from then on. */
  #againUnixMs = null;
  #isClosed = false;
  /** What the model is. */
  description;
  /** When the bundle came to this machine, in seconds since 1970. */
  installedUnixS;

  static async load(runtime, where, options) {
    const self = new WebgpuModel();
    self.#runtime = runtime;
    self.#options = options;
    const startMs = performance.now();
    const rest = options.engine === "cpu" ? where : await self.#loadOnGpu(where);
    if (self.#model === null) await self.#loadOnCpu(rest, performance.now() - startMs);
    self.description = self.#model.description;
    self.installedUnixS ??= self.#model.installedUnixS;
    return self;
  }

  /** Runs once. What the GPU does not answer for reasons of its own is answered by the CPU, and so is everything after that. */
  async run(inputs, isStep, { signal } = {}) {
    return unlessAborted(signal, this.#ask((model) => model.run(inputs, isStep)));
  }

  async report() {
    const report = await this.#ask((model) => model.report());
    const all = { ...report, source: this.#source ?? report.source, adapter: this.#adapter };
    if (this.#refusal === null) return all;
    const { code, message, reason } = this.#refusal;
    const rejected = [{ engine: ENGINE, code, message, reason }, ...report.rejected];
    return { ...all, engines: [ENGINE, ...report.engines], rejected };
  }

  /** Ends a window of telemetry: its payload, or a promise of it. What a model that was left has recorded is part of it. */
  closeWindow(window) {
    const left = this.#takeLeft({ ...window, timeUnixMs: this.#againUnixMs, delivery: null });
    const current = this.#model.closeWindow({ ...window, startUnixMs: this.#againUnixMs ?? window.startUnixMs });
    return left === null ? current : joined([left, current]);
  }

  /** Lets go of the model, on the GPU as well. */
  close() {
    this.#isClosed = true;
    this.#model.close();
    this.#left?.close();
    this.#kept = null;
  }

  /** @returns what the CPU's model is to be made of, if it is to be */
  async #loadOnGpu(where) {
    const kept = new Kept();
    try {
      this.#adapter = await findAdapter(this.#options);
      this.#model = await LocalModel.load(webgpuRuntime(this.#options.webgpu), where, { ...this.#options, kept });
      this.#kept = kept;
    } catch (error) {
      this.#refuse(error);
      if (kept.source === null) return where;
      this.#source = kept.source;
      this.installedUnixS = kept.installedUnixS;
      return kept.whole();
    }
  }

  async #loadOnCpu(where, spentMs) {
    const { wire, ...options } = this.#options;
    const left = wire.loadDeadlineMs === undefined ? undefined : Math.max(wire.loadDeadlineMs - spentMs, 1e-3);
    this.#model = await LocalModel.load(this.#runtime, where, { ...options, wire: { ...wire, loadDeadlineMs: left } });
  }

  /** Asks the model, and if the GPU fails, the one that takes its place. */
  async #ask(question) {
    const model = this.#model;
    try {
      return await question(model);
    } catch (error) {
      // Others may have failed on the same one, and left already.
      if (model === this.#model) await this.#leave(error);
      return question(this.#model);
    }
  }

  /** Goes over to the CPU. */
  async #leave(error) {
    if (this.#kept === null) throw error;
    this.#refuse(error);
    this.#leaving ??= this.#leaveNow();
    await this.#leaving;
  }

  async #leaveNow() {
    const [gone, kept] = [this.#model, this.#kept];
    // Options of loading are not those of a run: nobody waits for steps of this.
    this.#options = { ...this.#options, onProgress: undefined, signal: undefined };
    await this.#loadOnCpu(await kept.whole(), 0);
    this.#source = kept.source;
    this.#kept = null;
    if (this.#options.telemetry !== null && !this.#isClosed) [this.#left, this.#againUnixMs] = [gone, Date.now()];
    else gone.close();
    if (this.#isClosed) this.#model.close();
  }

  /** What the model that was left has recorded, if it can still say so; `null`: nothing. */
  #takeLeft(window) {
    const left = this.#left;
    this.#left = null;
    try {
      return left?.closeWindow(window) ?? null;
    } catch {
      return null;
    } finally {
      left?.close();
    }
  }

  /** Notes why the GPU is not used, if that is a reason to go on without it. The first one stays. */
  #refuse(error) {
    const refusal = Refusal.of(error);
    if (refusal === null || this.#options.engine === "webgpu") throw refusal ?? error;
    this.#refusal ??= refusal;
  }
}

/** Payloads as one: protobuf takes messages that follow each other as one message. */
async function joined(payloads) {
  const settled = await Promise.allSettled(payloads);
  return new Uint8Array(await new Blob(settled.flatMap(({ value }) => value ?? [])).arrayBuffer());
}
