import { throwIfAborted, usage } from "./error.js";
import { Instance } from "./instance.js";
import { builtin } from "./node.js";
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
  const source = sourceOf(where, options);
  const instance = await Instance.create(module);
  const loading = new Loading(instance, source, options);
  await loading.receive();
  return loading.finish();
}

function sourceOf(where, options) {
  if (where instanceof ArrayBuffer || ArrayBuffer.isView(where)) return new BytesSource(where);
  if (typeof where !== "string" && !(where instanceof URL)) {
    throw usage("a bundle is an address, or bytes", "an ArrayBuffer, a view of one, a string or a URL");
  }
  const files = builtin("node:fs/promises");
  if (files !== undefined && !/^https?:/.test(where)) {
    return new FileSource(files, String(where).startsWith("file:") ? new URL(where) : where);
  }
  return new Download(new URL(where, globalThis.location?.href).href, options);
}

/** One bundle on its way in. */
class Loading {
  #instance;
  #source;
  #options;
  #position = 0;
  /** Size of the file, once it is known. */
  #totalBytes = null;
  #isTrusted = false;
  #startMs = performance.now();
  #receivedMs = 0;
  #sha256 = "";

  constructor(instance, source, options) {
    this.#instance = instance;
    this.#source = source;
    this.#options = options;
  }

  /** Takes all of the source's pieces, each of which is verified before the next is asked for. */
  async receive() {
    this.#begin();
    for await (const piece of this.#source.pieces()) {
      throwIfAborted(this.#options.signal);
      if (piece === RESTART) this.#begin();
      else this.#push(piece);
    }
    this.#receivedMs = performance.now() - this.#startMs;
  }

  /** Prepares and tests the model: in one go, because WebAssembly cannot be left half way. */
  async finish() {
    await turn();
    throwIfAborted(this.#options.signal);
    this.#instance.onStep = (phase) => this.#tell(phase);
    this.#instance.finish();
    this.#instance.onStep = null;
    return { instance: this.#instance, source: this.#source.kind, sha256: this.#sha256, receiveMs: this.#receivedMs };
  }

  #begin() {
    this.#position = 0;
    this.#totalBytes = null;
    this.#isTrusted = false;
    this.#instance.open(this.#options.wire);
  }

  #push(piece) {
    this.#instance.push(piece);
    this.#position += piece.length;
    this.#totalBytes ??= this.#instance.fileBytes || null;
    if (!this.#isTrusted) {
      this.#sha256 = this.#instance.sha256;
      this.#isTrusted = this.#sha256 !== "";
      if (this.#isTrusted) this.#tell("verify");
    }
    this.#tell("download");
  }

  #tell(phase) {
    const event = { phase, loadedBytes: this.#position, totalBytes: this.#totalBytes, source: this.#source.kind };
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
