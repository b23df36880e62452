// Runs layers.rs, built for wasm32-unknown-unknown, in V8: node layers.mjs PATH/layers.wasm [FILTER]
import { readFileSync } from "node:fs";

const [path, filter = ""] = process.argv.slice(2);
let memory;
const host = {
  seconds: () => performance.now() / 1000,
  print: (text, len) => console.log(new TextDecoder().decode(new Uint8Array(memory.buffer, text, len))),
  filter: (text, len) => new TextEncoder().encodeInto(filter, new Uint8Array(memory.buffer, text, len)).written,
};
const { instance } = await WebAssembly.instantiate(readFileSync(path), { host });
memory = instance.exports.memory;
instance.exports.main(0, 0);
