/// <reference lib="esnext.disposable" />

/** Element types, by the names of NumPy and ONNX Runtime. */
export type TensorType = keyof TensorData;

/** The array that holds the elements of each type. Half floats are bits; a boolean is a byte, 0 or 1. */
export interface TensorData {
  float32: Float32Array;
  float64: Float64Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  int8: Int8Array;
  int16: Int16Array;
  int32: Int32Array;
  int64: BigInt64Array;
  uint8: Uint8Array;
  uint16: Uint16Array;
  uint32: Uint32Array;
  uint64: BigUint64Array;
  bool: Uint8Array;
}

/** Elements of one type in a row-major shape. */
export class Tensor<T extends TensorType = TensorType> {
  /**
   * @param type element type
   * @param data elements, row-major. A typed array of the right kind is kept, not copied; others are converted.
   * @param dims shape; `[]` for a scalar. Left out: one dimension.
   * @throws {PannierError} `E_INVALID_INPUT`: no such type, another array than the type wants, or a shape that takes
   * another number of elements.
   */
  constructor(type: T, data: TensorData[T] | ArrayLike<number | bigint | boolean>, dims?: readonly number[]);
  /** Element type. */
  readonly type: T;
  /** Elements, row-major. */
  readonly data: TensorData[T];
  /** Shape. */
  readonly dims: readonly number[];
  /** Number of elements. */
  readonly size: number;
}

/** Tensors by the names of the model's inputs or outputs. */
export type NamedTensors = Record<string, Tensor>;

/** Whom to trust. There is no default. */
export type Trust =
  /** Public keys in PEM, of which any one suffices. */
  | { keys: string | readonly string[]; policy?: never; allowUnsigned?: never }
  /** A trust policy in TOML. */
  | { policy: string; keys?: never; allowUnsigned?: never }
  /** Anybody, and bundles that nobody signed: for development. */
  | { allowUnsigned: true; keys?: never; policy?: never };

/** What a session may take. What the bundle's publisher states holds as well; of two limits the stricter one wins. */
export interface Limits {
  /** Most memory that the model with one run may take, weights included, in bytes. Exceeded: `E_MEMORY_BUDGET`. */
  memoryBytes?: number;
  /** Most content that the bundle's sections may have in all, in bytes; 4 GiB if not given. Exceeded: `E_LIMIT`. */
  contentBytes?: number;
  /** Longest that a run may take, in milliseconds. Looked at between operators. Exceeded: `E_DEADLINE`. */
  deadlineMs?: number;
  /** Longest that loading may take, waiting for the network included, in milliseconds. Exceeded: `E_DEADLINE`. */
  loadDeadlineMs?: number;
}

/** How far loading has come. */
export interface Progress {
  /**
   * `download`: bytes have arrived, and every chunk that is complete was verified. `verify`: the signatures were checked and
   * the bundle is trusted; once, as soon as its first bytes are there. `prepare` and `self-test`: these begin. `compile`: during the
   * first run of the self-test so many operators have been compiled for the GPU, which can take much longer than any run after it.
   */
  phase: "download" | "verify" | "prepare" | "self-test" | "compile";
  /** With `compile`: how many of the model's operators are done. */
  operators?: { done: number; total: number };
  /** Bytes that have arrived. Begins at 0 again when a download has to. */
  loadedBytes: number;
  /** Size of the bundle in bytes, `null` before its first 24 bytes have arrived. */
  totalBytes: number | null;
  /** Where the bytes come from. */
  source: Source;
}

/** Where a bundle came from. */
export type Source = "network" | "cache" | "file" | "memory";

/** How a bundle is loaded. */
export interface LoadOptions {
  /** Whom to trust. */
  trust: Trust;
  /** What the session may take. */
  limits?: Limits;
  /** Whether the bundle's golden cases are run, so that wrong answers on this machine are found: `E_ACCURACY`. On by default. */
  selfTest?: boolean;
  /** Told how far loading has come. What it throws is reported as an uncaught error and stops nothing. */
  onProgress?: (progress: Progress) => void;
  /** Stops loading: `E_INTERRUPTED`, with the signal's reason as `cause`. */
  signal?: AbortSignal;
  /**
   * Whether a downloaded bundle is kept in the browser's Cache API, under its digest, and taken from there the next time
   * without asking the server: so its address should name its version. What is kept is verified again whenever it is
   * read, and fetched anew if it is broken. `"reload"` fetches it whatever is kept. Off by default; without effect where
   * there is no Cache API.
   */
  cache?: boolean | "reload";
  /** How often in a row a download is taken up again that brings no further byte. The waits between grow from 250 ms, or are what the server says; none is longer than 8 s. 4 by default. */
  retries?: number;
  /** Where metrics of the session go. Without it nothing is recorded and nothing of telemetry is fetched. */
  telemetry?: TelemetryOptions | null;
  /** As for `init`; with `telemetry` a module that records: a `pannier-telemetry-*.wasm` or a large one. */
  wasm?: InitOptions["wasm"];
  /** As for `init`. */
  tract?: InitOptions["tract"];
}

/**
 * Metrics of a session as OTLP over HTTP, in protobuf: how often and how fast it runs, how it fails, what it is fed and whether that has
 * drifted. No value of an input or output is among them. Nothing is recorded where the user's browser says that they do not want it
 * (Global Privacy Control, Do Not Track).
 */
export interface TelemetryOptions {
  /** The receiver's address, to which `/v1/metrics` is added unless it ends so. It has to allow requests of this page's origin (CORS). */
  endpoint: string | URL;
  /** Further headers of each request, such as `authorization`. Whoever can read the page's scripts can read them, too. */
  headers?: Record<string, string>;
  /** `service.name`; "pannier" if not given. */
  serviceName?: string;
  /** Further attributes of the resource, such as `pannier.site`. They go before what is known. */
  resourceAttributes?: Record<string, string>;
  /** Whether payloads are compressed, where the browser can; "gzip" if not given. */
  compression?: "gzip" | "none";
  /** Longest that one attempt to send may take, in milliseconds; 10,000 if not given. */
  timeoutMs?: number;
  /** Length of a window, in milliseconds; 60,000 if not given. */
  intervalMs?: number;
}

/** How a run is done. */
export interface RunOptions {
  /** Gives up: `E_INTERRUPTED`. A run that has begun goes on to its end all the same, and its answer is dropped; `limits.deadlineMs` ends it. */
  signal?: AbortSignal;
  /** In a worker: hands the inputs' buffers over instead of copying them, after which they are empty here. */
  transfer?: boolean;
}

/** An input or output of a model. */
export interface Port {
  readonly name: string;
  readonly type: TensorType;
  /** Sizes, and names of those that the inputs of a run decide. */
  readonly shape: readonly (number | string)[];
  readonly description: string;
  /** Index of the list of labels that the numbers are scores for. */
  readonly labels: number | null;
  /** The output that feeds this input from run to run. */
  readonly state: string | null;
}

/** What the publisher says of a model. */
export interface Metadata {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  /** SHA-256 over the content, signatures left out, in hexadecimal. */
  readonly bundleId: string;
  /** SHA-256 that names the whole file, signatures included, in hexadecimal. */
  readonly sha256: string;
  /** What the publisher states that a run takes at most; `null`: not stated. */
  readonly envelope: {
    readonly peakMemoryBytes: number | null;
    readonly weightBytes: number | null;
    readonly deadlineMs: number | null;
  };
}

/** All that is known of a model, as plain data. */
export interface Description extends Metadata {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly labels: readonly (readonly string[])[];
}

/** How a session came to be, and what it takes. */
export interface Report {
  /** Name of the engine that runs the model. */
  engine: string;
  /** The engines of the module that the model is in, in order of preference: those of the small one, or of the large one. */
  engines: string[];
  /** Which instructions that module may use. */
  flavour: "simd128" | "relaxed-simd";
  /** Where the bundle came from. */
  source: Source;
  /** Who signed the bundle. */
  signers: { fingerprint: string; name: string | null; roles: string[]; trusted: boolean }[];
  /** Engines that were not taken. */
  rejected: { engine: string; code: ErrorCode; message: string }[];
  /** What the golden cases gave; `null`: switched off, or there are none. */
  selfTest: { cases: number; elements: number; largestDifference: number } | null;
  /** Weights, the highest peak of all runs so far, and all of the instance's WebAssembly memory, in bytes. */
  memory: { weightBytes: number; peakBytes: number; wasmBytes: number };
  /** What loading took, in milliseconds. `receiveMs` is all of the time until the last byte, of which `verifyMs` and `readMs` are work. */
  load: { receiveMs: number; verifyMs: number; readMs: number; prepareMs: number; selfTestMs: number };
}

/** What a model remembers of one stream: the tensors that its next run takes from its last one. A new one is empty, and becomes zeros of the right shapes. */
export class State {
  constructor();
  /** The tensor that the next step takes for the input of this name, if there is one. */
  get(input: string): Tensor | undefined;
  /** Sets the tensor that the next step takes for the input of this name. */
  set(input: string, tensor: Tensor): void;
  /** Forgets everything, as for a new stream. */
  reset(): void;
}

/** A verified model that is ready to run. */
export class Session {
  protected constructor(model: unknown);

  /**
   * Fetches, verifies, prepares and tests a bundle in this thread.
   *
   * @param where an address, in Node also a path; or the bundle itself
   * @throws {PannierError} `E_USAGE`: options that make no sense, or no decision whom to trust. `E_INPUT_MISSING`: it cannot be fetched
   * or read. `E_UNSIGNED`, `E_UNTRUSTED_KEY`, `E_SIGNATURE_MISMATCH`, `E_POLICY`, `E_EXPIRED`, `E_DOWNGRADE`: it is not trusted.
   * `E_CORRUPT`, `E_TRUNCATED`, `E_UNSUPPORTED_VERSION`, `E_LIMIT`, `E_INVALID_MODEL`: it is no bundle that can be used.
   * `E_UNSUPPORTED_OPERATOR`, `E_ACCURACY`, `E_MEMORY_BUDGET`, `E_DEADLINE`: it does not run here. `E_INTERRUPTED`: cancelled.
   */
  static create(where: string | URL | ArrayBuffer | ArrayBufferView, options: LoadOptions): Promise<Session>;

  /**
   * Runs once. The outputs are arrays of their own: nothing changes them later.
   *
   * @throws {PannierError} `E_INVALID_INPUT`: an input is missing, unknown, or of another type or shape. `E_MEMORY_BUDGET`, `E_DEADLINE`: it
   * would take more than is allowed. `E_INTERRUPTED`: cancelled. `E_USAGE`: disposed of. `E_FAILED`: an operator failed.
   */
  run(inputs: NamedTensors, options?: RunOptions): Promise<NamedTensors>;

  /**
   * Runs once with the state of a stream, and leaves the new state in it. Inputs that the model feeds from an output need not be
   * given; one that is replaces the state's. After an error the state is what it was.
   *
   * @throws {PannierError} as `run`
   */
  step(state: State, inputs: NamedTensors, options?: RunOptions): Promise<NamedTensors>;

  /** What the publisher says of the model. */
  readonly metadata: Metadata;
  /** The inputs in the model's order. */
  readonly inputs: readonly Port[];
  /** The outputs in the model's order. */
  readonly outputs: readonly Port[];
  /** Lists of labels, which the ports refer to by their index. */
  readonly labels: readonly (readonly string[])[];
  /** All that is known of the model, as plain data. */
  describe(): Description;
  /** Which engine runs the model and who signed it, what it takes and what loading took. */
  report(): Promise<Report>;

  /**
   * Ends the window of telemetry now. Resolves when its payload waits in the spool and one try was made to send it; without
   * telemetry at once. Never fails.
   */
  flushTelemetry(): Promise<void>;

  /** Lets go of the model. Its memory goes with the next garbage collection; a GPU's is given back at once. Calls afterwards fail with `E_USAGE`. */
  dispose(): void;
}

// Where the language has `using`.
export interface Session extends Disposable {}

/** Where the runtime comes from, if not from beside the package's own files. */
export interface InitOptions {
  /** Address of one of the package's `.wasm` files, its bytes, or the compiled module. A large one needs no other. */
  wasm?: string | URL | ArrayBuffer | ArrayBufferView | WebAssembly.Module;
  /**
   * The same for the large module, which is fetched only when a model needs an operator that the small one's engine lacks, or when that
   * engine fails the model's self-test. `false`: there is none, and such models are refused.
   */
  tract?: string | URL | ArrayBuffer | ArrayBufferView | WebAssembly.Module | false;
}

/**
 * Fetches and compiles the runtime, once: further calls wait for the same and ignore their options. `create` calls it, too; a
 * page that calls it early has the runtime ready sooner.
 *
 * @throws {PannierError} `E_INPUT_MISSING`: it cannot be fetched. `E_CORRUPT`: what came is not the runtime.
 */
export function init(options?: InitOptions): Promise<void>;

/** The stable codes, the same as everywhere in Pannier. */
export type ErrorCode =
  | "E_FAILED"
  | "E_USAGE"
  | "E_INPUT_MISSING"
  | "E_UNSIGNED"
  | "E_UNTRUSTED_KEY"
  | "E_POLICY"
  | "E_EXPIRED"
  | "E_DOWNGRADE"
  | "E_SIGNATURE_MISMATCH"
  | "E_CORRUPT"
  | "E_TRUNCATED"
  | "E_UNSUPPORTED_VERSION"
  | "E_LIMIT"
  | "E_INVALID_MODEL"
  | "E_UNSUPPORTED_OPERATOR"
  | "E_ACCURACY"
  | "E_MEMORY_BUDGET"
  | "E_DEADLINE"
  | "E_INVALID_INPUT"
  | "E_INVALID_CONTENT"
  | "E_INVALID_KEY"
  | "E_INVALID_POLICY"
  | "E_INTERRUPTED";

/** Why something failed. */
export class PannierError extends Error {
  constructor(code: ErrorCode, message: string, more?: { hint?: string | null; cause?: unknown });
  /** A stable code. */
  readonly code: ErrorCode;
  /** What can be done about it, if there is something. */
  readonly hint: string | null;
}
