// Loads a bundle into the guest module, as anyone may who has the documented plain interface (wasm/guest/ABI.md), runs a case
// again and again, prints JSON. With `--validate`, only says whether this V8 takes the module.

import { readFileSync } from "node:fs";
import { readCase } from "./case.mjs";
import { ELEMENTS, check, measure } from "./measure.mjs";

const SKIP_SELF_TEST = 2;

const [guest, bundle, key, folder, seconds] = process.argv.slice(2);
const wasm = readFileSync(guest);
if (bundle === "--validate") {
  console.log(JSON.stringify(WebAssembly.validate(wasm)));
  process.exit();
}
if (seconds === undefined) throw new Error("usage: pannier.mjs GUEST.wasm BUNDLE KEY.pub CASE SECONDS");

const started = performance.now();
const module = await WebAssembly.compile(wasm);
const compiled = performance.now();
const { exports: abi } = await WebAssembly.instantiate(module, {});

// A view is void once the memory has grown, so each use makes its own.
const bytesAt = (pointer, size) => new Uint8Array(abi.memory.buffer, pointer, size);
const text = () => new TextDecoder().decode(bytesAt(abi.pannier_text(), abi.pannier_text_size()));

function succeed(status) {
  if (status !== 0) throw new Error(text());
}

function give(bytes) {
  const pointer = abi.pannier_alloc(bytes.length);
  bytesAt(pointer, bytes.length).set(bytes);
  return pointer;
}

const [bundleBytes, keyBytes] = [readFileSync(bundle), readFileSync(key)];
const [bundleAt, keyAt] = [give(bundleBytes), give(keyBytes)];
const now = BigInt(Math.floor(Date.now() / 1e3));
succeed(abi.pannier_load(bundleAt, bundleBytes.length, keyAt, keyBytes.length, SKIP_SELF_TEST, now, 0n));
const load_ms = performance.now() - compiled;

succeed(abi.pannier_describe());
const model = JSON.parse(text());
const reference = readCase(folder);
const inputs = model.inputs.map(({ name }) => reference.inputs.find((input) => input.name === name));

function run() {
  inputs.forEach(({ dtype, shape, values }, index) => {
    const shapeAt = abi.pannier_input_shape(index, shape.length);
    new Uint32Array(abi.memory.buffer, shapeAt, shape.length).set(shape);
    const dataAt = abi.pannier_input_data(index, ELEMENTS[dtype].onnx, values.byteLength);
    bytesAt(dataAt, values.byteLength).set(new Uint8Array(values.buffer));
  });
  succeed(abi.pannier_run());
  return model.outputs.map((_, index) => bytesAt(abi.pannier_output_data(index), abi.pannier_output_size(index)).slice());
}

const answers = run().map((bytes, index) => {
  const { name } = model.outputs[index];
  const { dtype } = reference.outputs.find((output) => output.name === name);
  return [name, new ELEMENTS[dtype].array(bytes.buffer)];
});
check(reference.outputs, Object.fromEntries(answers));
const latency_ms = await measure(run, Number(seconds));
console.log(JSON.stringify({ compile_ms: compiled - started, load_ms, latency_ms }));
