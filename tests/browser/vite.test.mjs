// A production build of Vite, served under a strict policy.
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { launch } from "./harness/browser.mjs";
import { close } from "./harness/compare.mjs";
import { serve } from "./harness/server.mjs";
import { CASES, KEYS, PACKAGE, PACKAGES } from "./harness/setting.mjs";

const PAGE = `<!doctype html><meta charset="utf-8"><title>Vite</title><script type="module" src="./main.js"></script>`;
const SCRIPT = `
import { Session, Tensor } from "@pannier/runtime";
import { WorkerSession } from "@pannier/runtime/worker";

globalThis.run = async (name, { inputs, keys }) => {
  const session = await { Session, WorkerSession }[name].create("/fixtures/magika.pannier", { trust: { keys } });
  const [[input, { type, dims, data }]] = Object.entries(inputs);
  const outputs = await session.run({ [input]: new Tensor(type, data, dims) });
  session.dispose();
  return Object.fromEntries(Object.entries(outputs).map(([key, { type, dims, data }]) => [key, { type, dims: [...dims], data: [...data] }]));
};
globalThis.ready = true;
`;

const folder = join(process.env.PANNIER_SCRATCH, "vite");
let server, browser;
before(async () => {
  mkdirSync(join(folder, "node_modules/@pannier"), { recursive: true });
  // A copy, as an installation is; a link would be followed out of `node_modules`.
  cpSync(PACKAGE, join(folder, "node_modules/@pannier/runtime"), { recursive: true });
  symlinkSync(join(PACKAGES, "node_modules/vite"), join(folder, "node_modules/vite"));
  writeFileSync(join(folder, "index.html"), PAGE);
  writeFileSync(join(folder, "main.js"), SCRIPT);
  const { build } = await import(pathToFileURL(join(PACKAGES, "node_modules/vite/dist/node/index.js")));
  const warnings = [];
  const customLogger = { info() {}, warnOnce: (text) => warnings.push(text), warn: (text) => warnings.push(text), error: (text) => warnings.push(text), clearScreen() {}, hasErrorLogged: () => false, hasWarned: false };
  await build({ root: folder, base: "./", configFile: false, customLogger });
  assert.deepEqual(warnings, []);
  server = await serve({ "/site/": join(folder, "dist") });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

test("carries all modules along, and the worker's script", () => {
  const assets = readdirSync(join(folder, "dist/assets"));
  assert.equal(assets.filter((name) => /^pannier-(telemetry-|tract-)?(simd128|relaxed-simd)-.*\.wasm$/.test(name)).length, 6, assets.join());
  assert.equal(assets.filter((name) => /^thread-.*\.js$/.test(name)).length, 1, assets.join());
});

for (const name of ["Session", "WorkerSession"]) {
  test(`${name} gives the reference answers in the page that was built`, async () => {
    const page = await browser.newPage();
    const problems = [];
    page.on("pageerror", (error) => problems.push(String(error)));
    await page.goto(`${server.origin}/site/index.html`);
    await page.waitForFunction(() => globalThis.ready);
    const answers = await page.evaluate(([name, options]) => globalThis.run(name, options), [name, { inputs: CASES.magika.inputs, keys: KEYS.publisher }]);
    close(answers, CASES.magika.outputs);
    assert.deepEqual(problems, []);
    await page.close();
  });
}
