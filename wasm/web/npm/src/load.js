import { BundleCache } from "./cache.js";
import { PannierError, throwIfAborted, usage } from "./error.js";
import { Instance } from "./instance.js";
import { receiveThrough } from "./keep.js";
import { TimeLimit } from "./limit.js";
import { address, builtin } from "./place.js";
import { BytesSource } from "./source/bytes.js";
import { Download, RESTART } from "./source/download.js";
import { FileSource } from "./source/file.js";

/**
 * Loads a bundle into an instance of its own.
 *
 * @param {WebAssembly.Module} module
 * @param {string | URL | ArrayBuffer | ArrayBufferView} where
 * @param options as `loadOptions` gives them
 */
export async function load(module, where, options) {
  throwIfAborted(options.signal);
  const loading = new Loading(await Instance.create(module), options);
  // The runtime looks at the clock when bytes arrive; this is for a server that sends none.
  const limit = new TimeLimit(options.wire.loadDeadlineMs, options.signal);
  try {
    await receive(loading, where, { ...options, signal: limit.signal });
  } finally {
    limit.clear();
  }
  return loading.finish();
}

async function receive(loading, where, options) {
  const source = sourceOf(where, options);
  const isKept = options.cache !== false && source instanceof Download;
  const cache = isKept ? await BundleCache.open() : null;
  if (cache === null) await loading.receive(source);
  else await receiveThrough(cache, loading, source, options.cache === "reload");
}

function sourceOf(where, options) {
  if (where instanceof ArrayBuffer || ArrayBuffer.isView(where)) return new BytesSource(where);
  if (typeof where !== "string" && !(where instanceof URL)) {
    throw usage("a bundle is an address, or bytes", "an ArrayBuffer, a view of one, a string or a URL");
  }
  const files = builtin("node:fs/promises");
  if (files !== undefined && !/^(https?|blob|data):/.test(where)) {
    return new FileSource(files, String(where).startsWith("file:") ? new URL(where) : where);
  }
  return new Download(address(where), options);
}

/** One bundle on its way in. */
class Loading {
  #instance;
  #options;
  /** Where the pieces come from, for reports. */
  #source = "memory";
  #position = 0;
  /** Size of the file, once it is known. */
  #totalBytes = null;
  /** The digest that names the bundle, once it is trusted. */
  #sha256 = "";
  #startMs = performance.now();
  #receiveMs = 0;

  constructor(instance, options) {
    this.#instance = instance;
    this.#options = options;
  }

  /** Takes all of the source's pieces, each of which is verified before the next is asked for. */
  async receive(source, keeper) {
    this.#source = source.kind;
    try {
      await this.#receiveOnce(source, keeper);
    } catch (error) {
      // Parts that do not fit together may be of two versions of the file: once more, then.
      if (error.code !== "E_CORRUPT" || !source.isResumed) throw error;
      source.forget();
      await keeper?.restart();
      await this.#receiveOnce(source, keeper);
    }
    this.#receiveMs = performance.now() - this.#startMs;
  }

  async #receiveOnce(source, keeper) {
    this.#begin();
    for await (const piece of source.pieces()) {
      throwIfAborted(this.#options.signal);
      if (piece === RESTART) {
        this.#begin();
        await keeper?.restart();
      } else {
        this.#push(piece);
        await keeper?.write(piece, this.#sha256);
      }
    }
    if (this.#totalBytes === null || this.#position < this.#totalBytes) {
      const whole = this.#totalBytes === null ? "" : ` of ${this.#totalBytes}`;
      throw new PannierError("E_TRUNCATED", `the bundle ends after ${this.#position}${whole} bytes`);
    }
  }

  /** Prepares and tests the model: in one go, because WebAssembly cannot be left half way. */
  async finish() {
    await turn();
    throwIfAborted(this.#options.signal);
    this.#instance.onStep = (phase) => this.#tell(phase);
    this.#instance.finish();
    this.#instance.onStep = null;
    return { instance: this.#instance, source: this.#source, sha256: this.#sha256, receiveMs: this.#receiveMs };
  }

  #begin() {
    this.#position = 0;
    this.#totalBytes = null;
    this.#sha256 = "";
    this.#instance.open(this.#options.wire);
  }

  #push(piece) {
    this.#instance.push(piece);
    this.#position += piece.length;
    this.#totalBytes ??= this.#instance.fileBytes || null;
    if (this.#sha256 === "") {
      this.#sha256 = this.#instance.sha256;
      if (this.#sha256 !== "") this.#tell("verify");
    }
    this.#tell("download");
  }

  #tell(phase) {
    const event = { phase, loadedBytes: this.#position, totalBytes: this.#totalBytes, source: this.#source };
    report(this.#options.onProgress, event);
  }
}

/** What goes wrong in the caller's function is the caller's, and no reason to stop. */
function report(onProgress, event) {
  try {
    onProgress?.(event);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/** Lets the page draw what it was told. */
function turn() {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
