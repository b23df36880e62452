import { describe, report } from "./description.js";
import { load } from "./load.js";

/** A loaded model in this thread. A worker's is in `remote.js`, with the same methods. */
export class LocalModel {
  #instance;
  #loaded;
  /** What the model is. */
  description;
  /** When the bundle came to this machine, in seconds since 1970. */
  installedUnixS;

  static async load(runtime, where, options) {
    const loaded = await load(runtime, where, options);
    const self = new LocalModel();
    self.#instance = loaded.instance;
    self.#loaded = { source: loaded.source, receiveMs: loaded.receiveMs };
    self.installedUnixS = loaded.installedUnixS;
    self.description = describe(await loaded.instance.describe(), loaded.sha256);
    return self;
  }

  /** Runs once, with inputs by their indices. */
  async run(inputs, isStep) {
    return this.#instance.run(inputs, this.description.outputs, isStep);
  }

  async report() {
    return report(await this.#instance.describe(), { ...this.#loaded, memoryBytes: this.#instance.memoryBytes });
  }

  /** Ends a window of telemetry and gives its payload. */
  closeWindow(window) {
    return this.#instance.closeWindow(window);
  }

  /** Lets go of the instance, and so of its memory. */
  close() {
    this.#instance?.close();
    this.#instance = null;
  }
}
