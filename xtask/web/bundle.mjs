// bundle.mjs PACKAGES FROM TO: makes the package's entry points of the modules in a folder. A page that loads the runtime makes one
// request for its JavaScript, not twenty that wait for each other.

import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [packages, from, to] = process.argv.slice(2);
if (to === undefined) throw new Error("usage: bundle.mjs PACKAGES FROM TO");
const { rolldown } = await import(pathToFileURL(join(packages, "node_modules/rolldown/dist/index.mjs")));

/** What the others share is in `index.js`, so that a class is the same class whichever of them it comes from; `telemetry.js` it imports
 * only where somebody wants it. */
await bundle({ index: "index.js", worker: "worker.js", webgpu: "webgpu.js", telemetry: "telemetry/exporter.js" });
/** Each runs in a worker, where nothing is shared. */
await bundle({ thread: "thread.js" });
await bundle({ "webgpu-thread": "webgpu-thread.js" });

async function bundle(entries) {
  const input = Object.fromEntries(Object.entries(entries).map(([name, path]) => [name, join(from, path)]));
  const built = await rolldown({ input, preserveEntrySignatures: "allow-extension", onLog: fail });
  // Not minified: those who care minify all of their page, and the others can read it.
  const { output } = await built.write({ dir: to, format: "esm", entryFileNames: "[name].js" });
  const unknown = output.filter(({ name }) => !(name in entries));
  if (unknown.length > 0) throw new Error(`not an entry point: ${unknown.map(({ fileName }) => fileName).join(", ")}`);
}

function fail(level, { message }) {
  if (level === "warn") throw new Error(message);
}
