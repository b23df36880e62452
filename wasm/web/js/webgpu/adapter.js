import { Refusal } from "./refusal.js";
import { within } from "./within.js";

/** How long the browser may look for an adapter. */
const LONGEST_MS = 10_000;

/** Names of adapters that compute on the CPU, for browsers that do not say so themselves. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|basic render|\bwarp\b/i;

/**
 * Asks for what the runtime will use: whether there is an adapter, and whether policy takes it.
 *
 * @returns {Promise<{ vendor: string, architecture: string, device: string, description: string, isSoftware: boolean }>}
 */
export async function findAdapter({ allowSoftwareAdapter }) {
  const gpu = globalThis.navigator?.gpu;
  if (gpu === undefined) {
    throw new Refusal("no-webgpu", "there is no WebGPU here", {
      hint: globalThis.isSecureContext === false ? "WebGPU is for pages that come by HTTPS or from this machine" : null,
    });
  }
  const adapter = await askFor(gpu);
  if (adapter === null) throw new Refusal("no-adapter", "WebGPU has no adapter here");
  const about = describe(adapter);
  if (about.isSoftware && !allowSoftwareAdapter) {
    const name = [about.vendor, about.architecture].filter((part) => part !== "").join(" ");
    throw new Refusal("software-adapter", `WebGPU's adapter computes on the CPU (${name}), more slowly than Pannier's own engine`, {
      hint: "`allowSoftwareAdapter: true` takes it all the same",
    });
  }
  return about;
}

async function askFor(gpu) {
  try {
    return await within(LONGEST_MS, gpu.requestAdapter({ powerPreference: "high-performance" }), "no-adapter", "adapter");
  } catch (cause) {
    throw cause instanceof Refusal ? cause : new Refusal("no-adapter", `WebGPU gives no adapter: ${cause.message}`, { cause });
  }
}

function describe(adapter) {
  const { vendor = "", architecture = "", device = "", description = "", isFallbackAdapter } = adapter.info ?? {};
  const isNamed = SOFTWARE.test([vendor, architecture, device, description].join(" "));
  // Where it is an attribute of the adapter, that is of an older browser.
  const isSoftware = Boolean(isFallbackAdapter ?? adapter.isFallbackAdapter) || isNamed;
  return { vendor, architecture, device, description, isSoftware };
}
