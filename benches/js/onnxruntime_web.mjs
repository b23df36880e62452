// Loads a model into onnxruntime-web (WebAssembly backend, one thread), runs a case again and again, prints JSON.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { readCase } from "./case.mjs";
import { check, measure } from "./measure.mjs";

const [packages, model, folder, seconds] = process.argv.slice(2);
if (seconds === undefined) throw new Error("usage: onnxruntime_web.mjs PACKAGES MODEL.onnx CASE SECONDS");

const entry = createRequire(join(packages, "package.json")).resolve("onnxruntime-web");
const { default: ort } = await import(pathToFileURL(entry));
ort.env.wasm.numThreads = 1;

const started = performance.now();
const session = await ort.InferenceSession.create(readFileSync(model), { executionProviders: ["wasm"] });
const load_ms = performance.now() - started;

const { inputs, outputs } = readCase(folder);
const feeds = Object.fromEntries(inputs.map(({ name, dtype, shape, values }) => [name, new ort.Tensor(dtype, values, shape)]));
const answers = await session.run(feeds);
const first_answer_ms = performance.now();
check(outputs, Object.fromEntries(Object.entries(answers).map(([name, tensor]) => [name, tensor.data])));
const latency_ms = await measure(() => session.run(feeds), Number(seconds));
// Since the process was started, and in KiB.
const peak_bytes = process.resourceUsage().maxRSS * 1024;
console.log(JSON.stringify({ load_ms, first_answer_ms, latency_ms, peak_bytes }));
