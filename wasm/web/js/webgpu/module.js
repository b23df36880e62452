import { instantiate } from "../generated/bindings-webgpu.js";
import { compile } from "../init.js";
import { Refusal } from "./refusal.js";
import { within } from "./within.js";

/** How long the browser may take to give a device. */
const LONGEST_MS = 30_000;

let compiled = null;

/** The module that computes with WebGPU and its bindings, in the form of `runtime` of `init.js`. */
export function webgpuRuntime(place) {
  return { module: () => module(place), larger: async (why) => { throw why; }, bind };
}

/** The bindings, whose device has to come in time: a browser that never answers is not waited for. */
function bind() {
  const bindings = instantiate();
  const { openDevice } = bindings;
  return Object.assign(bindings, { openDevice: () => within(LONGEST_MS, openDevice(), "failed", "device") });
}

async function module(place) {
  // Literal, so that bundlers see it and carry the file along.
  compiled ??= compile(place ?? new URL("./wasm/pannier-webgpu-simd128.wasm", import.meta.url));
  try {
    return await compiled;
  } catch (error) {
    // A failure is not for ever: the next call tries again.
    compiled = null;
    throw new Refusal("no-module", error.message, {
      code: error.code,
      hint: "serve the package's pannier-webgpu-simd128.wasm, or say with `webgpu` where it is",
      cause: error,
    });
  }
}
