// The page's side of `../conformance.mjs`: fetches a question, sends the answer, and asks for the next.
import { Session, Tensor } from "/npm/index.js";
import { Session as OnGpu } from "/npm/webgpu.js";

const ARRAYS = { float32: Float32Array, float64: Float64Array, int8: Int8Array, int16: Int16Array, int32: Int32Array, int64: BigInt64Array, uint8: Uint8Array, uint32: Uint32Array, uint64: BigUint64Array, bool: Uint8Array };

const sessions = [];

const answers = {
  async open({ bundle, key, webgpu }) {
    const trust = { keys: key };
    const where = `/fixtures/${bundle}`;
    const session = await (webgpu ? OnGpu.create(where, { trust, allowSoftwareAdapter: true }) : Session.create(where, { trust }));
    return { session: sessions.push(session) - 1, engine: (await session.report()).engine };
  },

  async run({ session, inputs }) {
    return { outputs: every(await sessions[session].run(every(inputs, decode)), encode) };
  },

  async close({ session }) {
    sessions[session].dispose();
    sessions[session] = null;
    return {};
  },
};

for (;;) {
  const asked = await fetch("/question", { cache: "no-store" });
  const [[what, question]] = Object.entries(await asked.json());
  const answer = await answers[what](question).catch((error) => ({ error: String(error) }));
  await fetch("/answer", { method: "POST", body: JSON.stringify(answer) });
}

function decode({ type, dims, base64 }) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Tensor(type, new (ARRAYS[type] ?? Uint16Array)(bytes.buffer), dims);
}

function encode({ type, dims, data }) {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return { type, dims, base64: btoa(text) };
}

function every(named, change) {
  return Object.fromEntries(Object.entries(named).map(([name, tensor]) => [name, change(tensor)]));
}
