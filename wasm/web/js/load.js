import { BundleCache } from "./cache.js";
import { PannierError, throwIfAborted, unlessAborted, usage } from "./error.js";
import { Instance } from "./instance.js";
import { receiveThrough } from "./keep.js";
import { TimeLimit } from "./limit.js";
import { address, builtin } from "./place.js";
import { BytesSource } from "./source/bytes.js";
import { Download, RESTART } from "./source/download.js";
import { FileSource } from "./source/file.js";

/** What another engine may do better. */
const THE_ENGINES = ["E_UNSUPPORTED_OPERATOR", "E_ACCURACY"];

/**
 * Loads a bundle into an instance of its own.
 *
 * @param runtime the modules, as `runtime` of `init.js` gives them; `bind` beside them where they have bindings of their own
 * @param {string | URL | ArrayBuffer | ArrayBufferView} where
 * @param options as `loadOptions` gives them; `kept` beside them is given every piece that was verified
 */
export async function load(runtime, where, options) {
  throwIfAborted(options.signal);
  // The runtime looks at the clock when bytes arrive; this is for a server that sends none.
  const limit = new TimeLimit(options.wire.loadDeadlineMs, options.signal);
  const limited = { ...options, signal: limit.signal };
  // The bundle is on its way while the runtime is, which was asked for first: it is wanted first.
  const compiled = runtime.module();
  const supply = find(where, limited);
  let loading = null;
  try {
    const [module, supplied] = await Promise.all([compiled, supply]);
    loading = new Loading(await unlessAborted(limited.signal, Instance.create(module, runtime.bind)), runtime, limited);
    await receive(loading, supplied);
    try {
      return await loading.finish();
    } catch (error) {
      // Nearly always it is the graph alone that an engine refuses, as soon as it arrives. What is found out only in a plan or in
      // the self-test is found when the bytes are gone.
      await loading.takeOver(error);
      await receive(loading, await find(where, { ...limited, cache: options.cache !== false }));
      return await loading.finish();
    }
  } catch (error) {
    loading?.close();
    throw error;
  } finally {
    limit.clear();
    supply.then(({ source }) => source.close?.(), () => {});
  }
}

/** Finds out where the bytes are, and asks for them where they are far away. */
async function find(where, options) {
  const source = sourceOf(where, options);
  const isKept = options.cache !== false && source instanceof Download;
  const cache = isKept ? await BundleCache.open() : null;
  const kept = cache === null || options.cache === "reload" ? null : await cache.find(source.url);
  if (kept === null) source.begin?.();
  return { source, cache, kept };
}

async function receive(loading, { source, cache, kept }) {
  if (cache === null) await loading.receive(source);
  else await receiveThrough(cache, kept, loading, source);
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
  #runtime;
  #options;
  /** What has arrived until the graph was supported, for a larger module to begin with; `null` afterwards. */
  #early = [];
  /** Where the pieces come from, for reports. */
  #source = "memory";
  /** When the bundle came to this machine, in seconds since 1970. */
  #installedUnixS = 0;
  #position = 0;
  /** Size of the file, once it is known. */
  #totalBytes = null;
  /** The digest that names the bundle, once it is trusted. */
  #sha256 = "";
  #startMs = performance.now();
  #receiveMs = 0;

  constructor(instance, runtime, options) {
    this.#instance = instance;
    this.#runtime = runtime;
    this.#options = options;
  }

  /** Takes all of the source's pieces, each of which is verified before the next is asked for. */
  async receive(source, keeper) {
    this.#source = source.kind;
    this.#installedUnixS = source.installedUnixS ?? Math.floor(Date.now() / 1000);
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
    this.#options.kept?.close(source.kind, this.#installedUnixS);
  }

  async #receiveOnce(source, keeper) {
    this.#begin();
    for await (const piece of source.pieces()) {
      throwIfAborted(this.#options.signal);
      if (piece === RESTART) {
        this.#begin();
        await keeper?.restart();
      } else {
        await this.#push(piece);
        await keeper?.write(piece, this.#sha256);
      }
    }
    if (this.#totalBytes === null || this.#position < this.#totalBytes) {
      const whole = this.#totalBytes === null ? "" : ` of ${this.#totalBytes}`;
      throw new PannierError("E_TRUNCATED", `the bundle ends after ${this.#position}${whole} bytes`);
    }
  }

  /**
   * Prepares and tests the model. On the CPU in one go, because WebAssembly cannot be left half way; a GPU is waited for as long as
   * the caller waits.
   */
  async finish() {
    await turn();
    throwIfAborted(this.#options.signal);
    const tell = (phase, done, total) => this.#tell(phase, phase === "compile" ? { operators: { done, total } } : {});
    await unlessAborted(this.#options.signal, this.#instance.finish(tell));
    return { instance: this.#instance, source: this.#source, installedUnixS: this.#installedUnixS, sha256: this.#sha256, receiveMs: this.#receiveMs };
  }

  /** Begins anew in the module with more engines, if there is one and it may help. */
  async takeOver(error) {
    if (!THE_ENGINES.includes(error.code) || this.#instance.engines.includes("tract")) throw error;
    const module = await this.#runtime.larger(error);
    throwIfAborted(this.#options.signal);
    // The first one goes before there is a second.
    this.close();
    this.#instance = await Instance.create(module);
    this.#instance.open(this.#options.wire);
  }

  /** Lets go of the instance. */
  close() {
    this.#instance?.close();
    this.#instance = null;
  }

  #begin() {
    this.#position = 0;
    this.#totalBytes = null;
    this.#sha256 = "";
    this.#early = [];
    this.#options.kept?.restart();
    this.#instance.open(this.#options.wire);
  }

  async #push(piece) {
    try {
      this.#instance.push(piece);
    } catch (error) {
      if (this.#early === null) throw error;
      await this.takeOver(error);
      for (const early of this.#early) this.#instance.push(early);
      this.#instance.push(piece);
    }
    // A copy: a source may use its buffer again.
    if (this.#instance.isSupported) this.#early = null;
    else this.#early?.push(piece.slice());
    this.#options.kept?.write(piece);
    this.#position += piece.length;
    this.#totalBytes ??= this.#instance.fileBytes ?? null;
    if (this.#sha256 === "") {
      this.#sha256 = this.#instance.sha256 ?? "";
      if (this.#sha256 !== "") this.#tell("verify");
    }
    this.#tell("download");
  }

  #tell(phase, more = {}) {
    const event = { phase, loadedBytes: this.#position, totalBytes: this.#totalBytes, source: this.#source, ...more };
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
