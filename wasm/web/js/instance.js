import { instantiate } from "./generated/bindings.js";
import { PannierError } from "./error.js";
import { TYPES, Tensor, typeName } from "./tensor.js";

/**
 * One instance of the runtime, with at most one model in it: the other side of `wasm/web/src`.
 *
 * It has a memory of its own, which goes when nobody holds the instance any more.
 */
export class Instance {
  #bindings;
  #memory;
  /** A bundle on its way in, or else a model. */
  #bundle = null;
  #model = null;
  /** The last use of the model so far: each waits for the one before. */
  #last = Promise.resolve();
  /** How many uses have not come to their end. */
  #pending = 0;
  /** Ends the wait for an answer that will never come; `null` while nothing is waited for. */
  #giveUp = null;
  /** Names of the module's engines, in order of preference. */
  engines;

  /**
   * @param {WebAssembly.Module} module
   * @param bind the function that makes bindings for the module
   */
  static async create(module, bind = instantiate) {
    const self = new Instance();
    self.#bindings = bind();
    try {
      ({ memory: self.#memory } = await self.#bindings({ module_or_path: module }));
    } catch (cause) {
      const code = cause instanceof RangeError ? "E_MEMORY_BUDGET" : "E_FAILED";
      throw new PannierError(code, `the runtime cannot be started: ${cause.message}`, { cause });
    }
    self.#bindings.onEnd?.((why) => self.#giveUp?.(why));
    await self.#wait(() => self.#bindings.openDevice?.());
    self.engines = self.#call(() => self.#bindings.engines());
    return self;
  }

  /** Begins to load a bundle; what was loaded so far is forgotten. */
  open(options) {
    this.#call(() => {
      this.#bundle?.free();
      this.#bundle = null;
      this.#bundle = new this.#bindings.Bundle(JSON.stringify(options));
    });
  }

  /** Takes the next bytes of the bundle. */
  push(bytes) {
    this.#call(() => this.#bundle.push(bytes));
  }

  /** Size of the whole bundle in bytes, once it is known; until then `undefined`. */
  get fileBytes() {
    return this.#call(() => this.#bundle.fileBytes);
  }

  /** SHA-256 that names the whole bundle, once it is trusted; until then `undefined`. */
  get sha256() {
    return this.#call(() => this.#bundle.sha256);
  }

  /** Whether the graph has arrived and is supported. */
  get isSupported() {
    return this.#call(() => this.#bundle.isSupported);
  }

  /** Prepares and tests the model, and tells `onStep` of it. */
  async finish(onStep) {
    const bundle = this.#bundle;
    this.#bundle = null;
    this.#model = await this.#wait(() => bundle.finish(onStep));
  }

  /** The description of the model, with the names that the runtime gives to its fields. */
  async describe() {
    return this.#inTurn(() => this.#model.describe());
  }

  /** Size of this instance's memory in bytes. */
  get memoryBytes() {
    return this.#memory.buffer.byteLength;
  }

  /**
   * Runs once.
   *
   * @param {Iterable<[number, Tensor]>} inputs with the index of the input that each is for
   * @param {readonly { name: string }[]} outputs the model's, in its order
   * @param {boolean} isStep whether state inputs that are not given are zeros
   */
  async run(inputs, outputs, isStep) {
    return this.#inTurn(async () => {
      const model = this.#model;
      model.reset();
      for (const [index, { type, data, dims }] of inputs) {
        const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
        model.give(index, Uint32Array.from(dims), TYPES[type].number, bytes);
      }
      // A module whose engine computes elsewhere gives a promise.
      await (isStep ? model.step() : model.run());
      const taken = Object.fromEntries(outputs.map(({ name }, index) => [name, take(model, index)]));
      model.reset();
      return taken;
    });
  }

  /**
   * Ends a window of telemetry, of which `window` says the rest.
   *
   * @returns its payload; or a promise of it while the model computes elsewhere, and must not be asked
   */
  closeWindow(window) {
    const close = () => this.#model.closeWindow(JSON.stringify(window));
    return this.#pending === 0 ? this.#call(close) : this.#inTurn(close);
  }

  /**
   * Gives back at once what lies outside of the instance's memory, which is a device; runs that have begun come to their end first.
   * Nothing here is to be used afterwards.
   */
  close() {
    // What is already lost need not be given back.
    this.#last.then(() => this.#bindings.closeDevice?.()).catch(() => {});
  }

  /** Does something with the model when nobody else does: its inputs and outputs are those of one run. */
  #inTurn(work) {
    this.#pending += 1;
    const turn = this.#last.then(() => this.#wait(work)).finally(() => (this.#pending -= 1));
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Does something with the bindings. What they throw becomes an error of ours. */
  #call(work) {
    try {
      return work();
    } catch (cause) {
      throw this.#explain(cause);
    }
  }

  /** The same for what may take its time. */
  async #wait(work) {
    try {
      return await new Promise((resolve, reject) => {
        this.#giveUp = reject;
        Promise.resolve(work()).then(resolve, reject);
      });
    } catch (cause) {
      throw this.#explain(cause);
    } finally {
      this.#giveUp = null;
    }
  }

  #explain(cause) {
    if (cause instanceof PannierError) return cause;
    // An error of the runtime is an object of its own making. Anything else is a call that did not come to its end, and
    // from now on every call fails.
    const isOurs = typeof cause?.code === "string" && !(cause instanceof Error);
    return PannierError.from(isOurs ? cause : JSON.parse(this.#bindings.lastWords()), isOurs ? undefined : cause);
  }
}

function take(model, index) {
  const type = typeName(model.outputType(index));
  const { buffer } = model.outputData(index);
  return new Tensor(type, new TYPES[type].array(buffer), model.outputShape(index));
}
