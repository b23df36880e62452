// Loads a bundle with the npm package `@pannier/runtime`, runs a case again and again, prints JSON.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { readCase } from "./case.mjs";
import { check, measure } from "./measure.mjs";

const [runtime, bundle, key, folder, seconds] = process.argv.slice(2);
if (seconds === undefined) throw new Error("usage: package.mjs PACKAGE BUNDLE KEY.pub CASE SECONDS");

const { Session, Tensor } = await import(pathToFileURL(`${runtime}/index.js`));

const started = performance.now();
const session = await Session.create(bundle, { trust: { keys: readFileSync(key, "utf8") } });
const load_ms = performance.now() - started;

const { inputs, outputs } = readCase(folder);
const wanted = inputs.filter(({ name }) => session.inputs.some((input) => input.name === name));
const feeds = Object.fromEntries(wanted.map(({ name, dtype, shape, values }) => [name, new Tensor(dtype, values, shape)]));
const answers = await session.run(feeds);
const first_answer_ms = performance.now();
check(outputs, Object.fromEntries(Object.entries(answers).map(([name, tensor]) => [name, tensor.data])));
const latency_ms = await measure(() => session.run(feeds), Number(seconds));
// Since the process was started, and in KiB.
const peak_bytes = process.resourceUsage().maxRSS * 1024;
const { flavour } = await session.report();
console.log(JSON.stringify({ load_ms, first_answer_ms, latency_ms, peak_bytes, flavour }));
