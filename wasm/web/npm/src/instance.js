import { PannierError } from "./error.js";
import { TYPES, Tensor, typeName } from "./tensor.js";

/** Steps of loading by the number that the runtime has for them. */
const STEPS = ["read", "prepare", "self-test"];

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder();

/**
 * One instance of the runtime, with at most one model in it: the other side of `wasm/web/src/abi.rs`.
 *
 * It has a memory of its own, which goes when nobody holds the instance any more.
 */
export class Instance {
  #exports;
  /** Told of the steps of loading. */
  onStep = null;

  /** @param {WebAssembly.Module} module */
  static async create(module) {
    const self = new Instance();
    const imports = { pannier: { now_ms: () => performance.now(), on_step: (step) => self.onStep?.(STEPS[step]) } };
    try {
      self.#exports = (await WebAssembly.instantiate(module, imports)).exports;
    } catch (cause) {
      const code = cause instanceof RangeError ? "E_MEMORY_BUDGET" : "E_FAILED";
      throw new PannierError(code, `the runtime cannot be started: ${cause.message}`, { cause });
    }
    return self;
  }

  /** Begins to load a bundle; what was loaded so far is forgotten. */
  open(options) {
    const json = utf8.encode(JSON.stringify(options));
    this.#write(json);
    this.#expect("pannier_open", json.length);
  }

  /** Takes the next bytes of the bundle. */
  push(bytes) {
    this.#write(bytes);
    this.#expect("pannier_push", bytes.length);
  }

  /** Size of the whole bundle in bytes, once it is known; until then 0. */
  get fileBytes() {
    return this.#call("pannier_file_bytes");
  }

  /** SHA-256 that names the whole bundle, once it is trusted; until then "". */
  get sha256() {
    this.#call("pannier_sha256");
    return this.#text();
  }

  /** Whether the graph has arrived and is supported. */
  get isSupported() {
    return this.#call("pannier_is_supported") !== 0;
  }

  /** Names of the module's engines, in order of preference. */
  get engines() {
    this.#call("pannier_engines");
    return this.#text().split(" ");
  }

  /** Prepares and tests the model. */
  finish() {
    this.#expect("pannier_finish");
  }

  /** The description of the model, with the names that the runtime gives to its fields. */
  describe() {
    this.#expect("pannier_describe");
    return JSON.parse(this.#text());
  }

  /** Size of this instance's memory in bytes. */
  get memoryBytes() {
    return this.#exports.memory.buffer.byteLength;
  }

  /**
   * Runs once.
   *
   * @param {Iterable<[number, Tensor]>} inputs with the index of the input that each is for
   * @param {readonly { name: string }[]} outputs the model's, in its order
   * @param {boolean} isStep whether state inputs that are not given are zeros
   */
  run(inputs, outputs, isStep) {
    this.#call("pannier_reset");
    for (const [index, tensor] of inputs) this.#give(index, tensor);
    this.#expect(isStep ? "pannier_step" : "pannier_run");
    const taken = Object.fromEntries(outputs.map(({ name }, index) => [name, this.#take(index)]));
    this.#call("pannier_reset");
    return taken;
  }

  #give(index, { type, data, dims }) {
    const shape = this.#place("pannier_input_shape", index, dims.length);
    new Uint32Array(this.#exports.memory.buffer, shape, dims.length).set(dims);
    const place = this.#place("pannier_input_data", index, TYPES[type].number, data.byteLength);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    new Uint8Array(this.#exports.memory.buffer, place, bytes.length).set(bytes);
  }

  #take(index) {
    const at = (what) => this.#call(`pannier_output_${what}`, index) >>> 0;
    const { buffer } = this.#exports.memory;
    const dims = Array.from(new Uint32Array(buffer, at("shape"), at("rank")));
    const start = at("data");
    const copy = buffer.slice(start, start + at("size"));
    const type = typeName(at("dtype"));
    return new Tensor(type, new TYPES[type].array(copy), dims);
  }

  #write(bytes) {
    const place = this.#place("pannier_inbox", bytes.length);
    new Uint8Array(this.#exports.memory.buffer, place, bytes.length).set(bytes);
  }

  /** An address; 0 stands for an error. */
  #place(name, ...numbers) {
    const place = this.#call(name, ...numbers) >>> 0;
    if (place === 0) throw this.#error();
    return place;
  }

  /** A call with a status. */
  #expect(name, ...numbers) {
    if (this.#call(name, ...numbers) !== 0) throw this.#error();
  }

  #call(name, ...numbers) {
    try {
      return this.#exports[name](...numbers);
    } catch (cause) {
      // It did not come to its end, and from now on every call fails.
      throw this.#error(cause);
    }
  }

  #error(cause) {
    const { code, message, hint } = JSON.parse(this.#text());
    return new PannierError(code, message, { hint, cause });
  }

  #text() {
    const start = this.#exports.pannier_text() >>> 0;
    const bytes = new Uint8Array(this.#exports.memory.buffer, start, this.#exports.pannier_text_size() >>> 0);
    return fromUtf8.decode(bytes);
  }
}
