import { PannierError, throwIfAborted, usage } from "./error.js";
import { runtime } from "./init.js";
import { LocalModel } from "./model.js";
import { loadOptions, runOptions } from "./options.js";
import { State } from "./state.js";
import { startTelemetry } from "./telemetry/start.js";
import { Tensor } from "./tensor.js";

/** A verified model that is ready to run, in this thread. */
export class Session {
  #model;
  #description;
  /** Told of runs; `null` without telemetry. */
  #exporter;

  /**
   * Sessions are made by `create`.
   *
   * @param model a `LocalModel`, or one with the same methods
   * @param exporter what `startTelemetry` gives
   */
  constructor(model, exporter) {
    this.#model = model;
    this.#exporter = exporter;
    this.#description = model.description;
  }

  /** Fetches, verifies, prepares and tests a bundle. */
  static async create(where, options = {}) {
    const checked = loadOptions(options);
    throwIfAborted(checked.signal);
    const model = await LocalModel.load(runtime(checked), where, checked);
    return new Session(model, await startTelemetry(checked.telemetry, model));
  }

  /** Runs once. */
  async run(inputs, options = {}) {
    return this.#run(this.#arrange(inputs), false, options);
  }

  /** Runs once with the state of a stream, and leaves the new state in it. After an error the state is what it was. */
  async step(state, inputs, options = {}) {
    if (!(state instanceof State)) throw usage("the first argument of `step` is a State");
    const given = this.#arrange(inputs);
    const fed = this.#description.inputs.map((input, index) => ({ ...input, index })).filter((input) => input.state !== null);
    for (const { name, index } of fed) {
      const carried = state.get(name);
      if (carried !== undefined && !given.has(index)) given.set(index, carried);
    }
    const outputs = await this.#run(given, true, options);
    // A copy: the outputs are the caller's, who may change them.
    for (const { name, state: output } of fed) {
      const { type, data, dims } = outputs[output];
      state.set(name, new Tensor(type, data.slice(), dims));
    }
    return outputs;
  }

  /** Name, version and texts of the model, and what its publisher says it needs. */
  get metadata() {
    const { name, version, description, bundleId, sha256, envelope } = this.#description;
    return { name, version, description, bundleId, sha256, envelope };
  }

  /** The inputs in the model's order. */
  get inputs() {
    return this.#description.inputs;
  }

  /** The outputs in the model's order. */
  get outputs() {
    return this.#description.outputs;
  }

  /** Lists of labels, which the ports refer to by their index. */
  get labels() {
    return this.#description.labels;
  }

  /** All that is known of the model, as plain data. */
  describe() {
    return this.#description;
  }

  /** Which engine runs the model and who signed it, what it takes and what loading took. */
  async report() {
    return this.#open().report();
  }

  /** Ends the window of telemetry now, and tries to send it. */
  async flushTelemetry() {
    await this.#exporter?.flush();
  }

  /** Lets go of the model and of its memory. */
  dispose() {
    const last = this.#exporter?.stop();
    this.#exporter = null;
    this.#model?.close(last);
    this.#model = null;
  }

  #open() {
    if (this.#model === null) throw usage("the session was disposed of");
    return this.#model;
  }

  async #run(inputs, isStep, options) {
    const checked = runOptions(options);
    throwIfAborted(checked.signal);
    try {
      return await this.#open().run(inputs, isStep, checked);
    } finally {
      this.#exporter?.ran();
    }
  }

  /** Inputs by their index. */
  #arrange(inputs) {
    if (typeof inputs !== "object" || inputs === null) throw usage("inputs are an object of tensors by their names");
    const ports = this.#description.inputs;
    const arranged = Object.entries(inputs).map(([name, tensor]) => {
      const index = ports.findIndex((port) => port.name === name);
      if (index < 0) throw invalid(`the model has no input \`${name}\`; it has ${ports.map((port) => port.name).join(", ")}`);
      if (!(tensor instanceof Tensor)) throw invalid(`input \`${name}\` is not a Tensor`);
      return [index, tensor];
    });
    return new Map(arranged);
  }
}

// Where the language has it: `using session = await Session.create(...)`.
if (Symbol.dispose !== undefined) {
  Object.defineProperty(Session.prototype, Symbol.dispose, { value: Session.prototype.dispose, configurable: true, writable: true });
}

function invalid(message) {
  return new PannierError("E_INVALID_INPUT", message);
}
