// Answers the conformance suite's rows in a browser: one question a line on standard input, one answer a line on standard output.
//
//   {"open": {"bundle": NAME, "key": PEM, "webgpu": BOOL}}      {"session": NUMBER, "engine": NAME}
//   {"run": {"session": NUMBER, "inputs": TENSORS}}             {"outputs": TENSORS}
//   {"close": {"session": NUMBER}}                              {}
//
// or {"error": TEXT}. Bundles lie among the fixtures; tensors are `{name: {type, dims, base64}}`.
import { createInterface } from "node:readline";
import { CLASSES, WEBGPU, WEBGPU_CLASSES, call, launch, open } from "./harness/browser.mjs";
import { serve } from "./harness/server.mjs";

const server = await serve();
const browser = await launch(WEBGPU);
const page = await open(browser, server);

await page.evaluate(() => {
  globalThis.sessions = [];
});

const answers = {
  open: ({ bundle, key, webgpu }) =>
    call(page, "Session", async ({ Session }, { bundle, key, webgpu }) => {
      const options = webgpu ? { allowSoftwareAdapter: true } : {};
      const session = await Session.create(`/fixtures/${bundle}`, { trust: { keys: key }, ...options });
      return { session: globalThis.sessions.push(session) - 1, engine: (await session.report()).engine };
    }, { bundle, key, webgpu }, webgpu ? WEBGPU_CLASSES : CLASSES),

  run: (question) =>
    call(page, "Session", async ({ Tensor }, { session, inputs }) => {
      const arrays = { float32: Float32Array, float64: Float64Array, int8: Int8Array, int16: Int16Array, int32: Int32Array, int64: BigInt64Array, uint8: Uint8Array, uint32: Uint32Array, uint64: BigUint64Array, bool: Uint8Array };
      const decode = ({ type, dims, base64 }) => {
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        return new Tensor(type, new (arrays[type] ?? Uint16Array)(bytes.buffer), dims);
      };
      const encode = ({ type, dims, data }) => {
        const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
        let text = "";
        for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
        return { type, dims, base64: btoa(text) };
      };
      const every = (named, change) => Object.fromEntries(Object.entries(named).map(([name, tensor]) => [name, change(tensor)]));
      return { outputs: every(await globalThis.sessions[session].run(every(inputs, decode)), encode) };
    }, question),

  close: ({ session }) =>
    page.evaluate((session) => {
      globalThis.sessions[session].dispose();
      globalThis.sessions[session] = null;
      return {};
    }, session),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [[what, question]] = Object.entries(JSON.parse(line));
  const answer = await answers[what](question).catch((error) => ({ error: String(error) }));
  console.log(JSON.stringify(answer));
}
await browser.close();
await server.close();
