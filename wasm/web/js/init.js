import { PannierError, usage } from "./error.js";
import { flavour } from "./flavour.js";
import { address, builtin } from "./place.js";
import { bytesOf } from "./source/bytes.js";

const MAGIC = [0x00, 0x61, 0x73, 0x6d];

/** Literal, so that bundlers see them and carry the files along. */
const FILES = {
  "simd128": () => new URL("./wasm/pannier-simd128.wasm", import.meta.url),
  "relaxed-simd": () => new URL("./wasm/pannier-relaxed-simd.wasm", import.meta.url),
};

/** The same, and it records runs: for sessions with telemetry. */
const TELEMETRY_FILES = {
  "simd128": () => new URL("./wasm/pannier-telemetry-simd128.wasm", import.meta.url),
  "relaxed-simd": () => new URL("./wasm/pannier-telemetry-relaxed-simd.wasm", import.meta.url),
};

/** With tract beside Pannier's own engine; it records, too. */
const TRACT_FILES = {
  "simd128": () => new URL("./wasm/pannier-tract-simd128.wasm", import.meta.url),
  "relaxed-simd": () => new URL("./wasm/pannier-tract-relaxed-simd.wasm", import.meta.url),
};

let small = null;
let recording = null;
let large = null;

/**
 * Fetches and compiles the runtime, once: every further call gives the same answer. `Session.create` calls it, too.
 *
 * @param {{ wasm?: Place, tract?: Place | false }} [options] where `Place` is `string | URL | BufferSource | WebAssembly.Module`
 */
export async function init(options = {}) {
  await runtime(options).module();
}

/**
 * The modules of the runtime, each fetched and compiled when it is first asked for. `wasm` is a module of the caller's choice.
 *
 * @returns {{ module: () => Promise<WebAssembly.Module>, larger: (why: PannierError) => Promise<WebAssembly.Module> }} `larger`: the
 * module for a model that `module` refuses
 */
export function runtime({ wasm, tract, telemetry = null }) {
  // A failure is not for ever: the next call tries again.
  const plain = () => (small ??= compile(wasm ?? FILES[flavour()]()).catch((error) => {
    small = null;
    throw error;
  }));
  const recorder = () => (recording ??= compile(wasm ?? TELEMETRY_FILES[flavour()]()).catch((error) => {
    recording = null;
    throw error;
  }));
  return {
    module: telemetry === null ? plain : recorder,
    larger: async (why) => {
      if (tract === false) throw why;
      large ??= compile(tract ?? TRACT_FILES[flavour()]());
      return large.catch((error) => {
        large = null;
        throw new PannierError(error.code, `${error.message}; it is wanted because ${why.message}`, {
          hint: "serve the package's pannier-tract-*.wasm files, or say in `init({ tract })` where they are",
          cause: error,
        });
      });
    },
  };
}

/** Compiles a module, which may have to be fetched. */
export async function compile(wasm) {
  if (wasm instanceof WebAssembly.Module) return wasm;
  if (wasm instanceof ArrayBuffer || ArrayBuffer.isView(wasm)) return compileBytes(wasm, "the given bytes");
  if (typeof wasm !== "string" && !(wasm instanceof URL)) {
    throw usage("a module is neither an address, nor bytes, nor a WebAssembly.Module");
  }
  const url = new URL(address(wasm));
  const files = url.protocol === "file:" ? builtin("node:fs/promises") : undefined;
  return files === undefined ? compileFrom(url) : compileBytes(await readFile(files, url), url.href);
}

async function readFile(files, url) {
  try {
    return await files.readFile(url);
  } catch (cause) {
    throw new PannierError("E_INPUT_MISSING", `the runtime cannot be read: ${cause.message}`, { cause });
  }
}

async function compileFrom(url) {
  let response;
  try {
    response = await fetch(url);
  } catch (cause) {
    throw new PannierError("E_INPUT_MISSING", `the runtime cannot be fetched from ${url}: ${cause.message}`, { cause });
  }
  if (!response.ok) {
    throw new PannierError("E_INPUT_MISSING", `${url} answered ${response.status} ${response.statusText}`.trimEnd(), {
      hint: "serve the package's .wasm files, or say in `init({ wasm })` where they are",
    });
  }
  const type = response.headers.get("content-type")?.split(";")[0].trim().toLowerCase() ?? "";
  if (type !== "application/wasm") return compileBytes(await response.arrayBuffer(), url.href, type);
  try {
    return await WebAssembly.compileStreaming(response);
  } catch (cause) {
    throw notWasm(url.href, type, cause);
  }
}

async function compileBytes(bytes, where, type = "") {
  const view = bytesOf(bytes);
  if (!MAGIC.every((byte, index) => view[index] === byte)) throw notWasm(where, type);
  try {
    return await WebAssembly.compile(bytes);
  } catch (cause) {
    throw notWasm(where, type, cause);
  }
}

function notWasm(where, type, cause) {
  const kind = type === "text/html" ? "an HTML page" : type === "" ? "something else" : `\`${type}\``;
  const message = `${where} is not WebAssembly that can be compiled here: ${cause?.message ?? `it is ${kind}`}`;
  return new PannierError("E_CORRUPT", message, {
    cause,
    hint: type === "text/html" ? "the server answers with a page for addresses that it does not know" : null,
  });
}
