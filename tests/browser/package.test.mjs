// What people get who install the package: types, examples, files.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { join } from "node:path";
import { call, launch, open } from "./harness/browser.mjs";
import { serve } from "./harness/server.mjs";
import { CASES, FIXTURES, PACKAGE, PACKAGES } from "./harness/setting.mjs";

const manifest = JSON.parse(readFileSync(join(PACKAGE, "package.json")));
const readme = readFileSync(join(PACKAGE, "README.md"), "utf8");

/** A folder in which the package is installed, with a model and its publisher's key. */
function installation(name) {
  const folder = join(process.env.PANNIER_SCRATCH, name);
  mkdirSync(join(folder, "node_modules/@pannier"), { recursive: true });
  symlinkSync(PACKAGE, join(folder, "node_modules/@pannier/runtime"));
  cpSync(join(FIXTURES, "magika.pannier"), join(folder, "model.pannier"));
  cpSync(join(FIXTURES, "publisher.pub"), join(folder, "publisher.pub"));
  return folder;
}

/** The examples of the README that run in `where`, in their order. */
const examples = (where) => [...readme.matchAll(new RegExp(`^\`\`\`js ${where}\n(.*?)^\`\`\``, "gms"))].map(([, text]) => text);

describe("types", () => {
  test("are what `tsc --strict` wants, and allow no more than they should", () => {
    const folder = installation("types");
    cpSync(new URL("./types/", import.meta.url), folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    const tsc = spawnSync(process.execPath, [join(PACKAGES, "node_modules/typescript/bin/tsc"), "--project", folder], { encoding: "utf8" });
    assert.equal(tsc.stdout + tsc.stderr, "");
    assert.equal(tsc.status, 0);
  });

  test("name the codes that there are", () => {
    const types = ["index.d.ts", "webgpu.d.ts"].map((name) => readFileSync(join(PACKAGE, name), "utf8")).join("\n");
    const union = /export type ErrorCode =([^;]+);/.exec(types)[1].match(/E_\w+/g);
    assert.deepEqual(union, CASES.codes);
  });
});

describe("the README", () => {
  let server, browser;
  before(async () => {
    server = await serve({ "/readme/": installation("readme") });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  test("has examples that run in Node", () => {
    const [first, ...others] = examples("node");
    const folder = installation("readme-node");
    [first, ...others].forEach((text, index) => {
      writeFileSync(join(folder, `${index}.mjs`), text);
      const printed = execFileSync(process.execPath, [`${index}.mjs`], { cwd: folder, encoding: "utf8" });
      assert.match(printed, /magika/);
    });
  });

  test("has examples that run in a page", async () => {
    const folder = join(process.env.PANNIER_SCRATCH, "readme");
    const imports = { "@pannier/runtime": "./node_modules/@pannier/runtime/index.js", "@pannier/runtime/webgpu": "./node_modules/@pannier/runtime/webgpu.js", "@pannier/runtime/worker": "./node_modules/@pannier/runtime/worker.js" };
    const texts = examples("page");
    assert.ok(texts.length >= 2);
    for (const [index, text] of texts.entries()) {
      writeFileSync(join(folder, `${index}.js`), text);
      const map = `<script type="importmap">${JSON.stringify({ imports })}</script>`;
      writeFileSync(join(folder, `${index}.html`), `<!doctype html>${map}<script type="module" src="./${index}.js"></script>`);
      // The import map of this page is inline, which the server's policy forbids.
      const context = await browser.newContext({ bypassCSP: true });
      const page = await context.newPage();
      const problems = [];
      page.on("pageerror", (error) => problems.push(String(error)));
      const printed = page.waitForEvent("console", { predicate: (message) => message.text().startsWith("target_label"), timeout: 30_000 });
      await page.goto(`${server.origin}/readme/${index}.html`);
      await printed.catch((error) => assert.fail(`${index}: ${[...problems, error].join("\n")}`));
      assert.deepEqual(problems, []);
      await context.close();
    }
  });

  test("names every option and every limit that the types have", () => {
    const types = ["index.d.ts", "webgpu.d.ts"].map((name) => readFileSync(join(PACKAGE, name), "utf8")).join("\n");
    const members = (name) => [...new RegExp(`export interface ${name}\\b[^{]*\\{(.*?)^\\}`, "ms").exec(types)[1].matchAll(/^  (\w+)\??:/gm)].map(([, member]) => member);
    const names = [...members("LoadOptions"), ...members("WebgpuLoadOptions"), ...members("Limits"), ...members("RunOptions"), ...members("InitOptions"), ...members("TelemetryOptions")];
    assert.ok(names.length > 10);
    assert.deepEqual(names.filter((name) => !readme.includes(`\`${name}\``)), []);
  });
});

describe("the package", () => {
  test("has every file that it points at, and nothing that it does not mean", () => {
    const targets = Object.values(manifest.exports).flatMap((target) => (typeof target === "string" ? [target] : Object.values(target)));
    assert.deepEqual(targets.filter((target) => !existsSync(join(PACKAGE, target))), []);
    assert.equal(manifest.sideEffects, false);
    assert.deepEqual(Object.keys(manifest.dependencies ?? {}), []);
    const known = [...manifest.files, "package.json", "LICENSE-MIT", "LICENSE-APACHE"];
    assert.deepEqual(readdirSync(PACKAGE).filter((name) => !known.includes(name)), []);
  });

  test("has sources without a way to make code of texts, and no import from elsewhere", () => {
    const sources = readdirSync(PACKAGE, { recursive: true }).filter((name) => name.endsWith(".js"));
    assert.deepEqual(sources.sort(), ["index.js", "telemetry.js", "thread.js", "webgpu-thread.js", "webgpu.js", "worker.js"]);
    for (const name of sources) {
      const text = readFileSync(join(PACKAGE, name), "utf8");
      assert.doesNotMatch(text, /\beval\(|new Function/, name);
      for (const [, from] of text.matchAll(/from "([^"]+)"/g)) assert.match(from, /^\.{1,2}\//, `${name}: ${from}`);
    }
  });

  test("works with `using`, where the browser has it", async () => {
    const server = await serve();
    const browser = await launch();
    try {
      const page = await open(browser, server);
      const code = await call(page, "Session", async ({ Session, State, Tensor, keys, refusal }) => {
        const session = await Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher } });
        session[Symbol.dispose]();
        return (await refusal(() => session.step(new State(), { x: new Tensor("float32", [1, 2]) }))).code;
      });
      assert.equal(code, "E_USAGE");
    } finally {
      await browser.close();
      await server.close();
    }
  });
});
