// Node: the newest, which runs this, and the oldest that the package supports.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { close } from "./harness/compare.mjs";
import { serve } from "./harness/server.mjs";
import { CASES, FIXTURES, KEYS, OLDEST_NODE, PACKAGE } from "./harness/setting.mjs";

let server;
before(async () => (server = await serve()));
after(() => server?.close());

/** Does `work(api, argument)` in a process of its own. */
async function call(program, work, argument) {
  const script = `
    import * as runtime from ${JSON.stringify(pathToFileURL(join(PACKAGE, "index.js")))};
    import * as inputs from ${JSON.stringify(new URL("./harness/inputs.mjs", import.meta.url))};
    const api = { ...runtime, ...inputs, keys: ${JSON.stringify(KEYS)} };
    console.log(JSON.stringify(await (${work})(api, ${JSON.stringify(argument)}) ?? null));`;
  return new Promise((resolve, reject) => {
    // Warnings are errors: nothing here is experimental.
    const child = execFile(program, ["--throw-deprecation", "--input-type=module", "-"], (error, stdout, stderr) => {
      if (error || stderr !== "") reject(error ?? new Error(stderr));
      else resolve(JSON.parse(stdout));
    });
    child.stdin.end(script);
  });
}

for (const [name, program, flavour] of [["the newest", process.execPath, "relaxed-simd"], ["the oldest", OLDEST_NODE, "simd128"]]) {
  describe(name, () => {
    test("gives the reference answers, from a path, a file's address, bytes and a server", async () => {
      const path = join(FIXTURES, "magika.pannier");
      const places = [path, pathToFileURL(path).href, `${server.origin}/fixtures/magika.pannier`, null];
      const [answers, reports] = await call(program, async ({ Session, Tensor, keys, tensors, plain }, { places, path, inputs }) => {
        const { readFile } = await import("node:fs/promises");
        const [answers, reports] = [[], []];
        for (const place of places) {
          const session = await Session.create(place ?? (await readFile(path)), { trust: { keys: keys.publisher } });
          answers.push(plain(await session.run(tensors(Tensor, inputs))));
          reports.push(await session.report());
          session.dispose();
        }
        return [answers, reports];
      }, { places, path, inputs: CASES.magika.inputs });
      for (const answer of answers) close(answer, CASES.magika.outputs);
      assert.deepEqual(reports.map(({ source }) => source), ["file", "file", "network", "memory"]);
      assert.deepEqual(reports.map((report) => report.flavour), Array(4).fill(flavour));
    });

    test("takes a broken connection up again", async () => {
      server.log.length = 0;
      const path = "/fixtures/magika.pannier";
      await call(program, async ({ Session, keys }, where) => {
        (await Session.create(where, { trust: { keys: keys.publisher }, cache: true })).dispose();
      }, `${server.origin}${path}?cut=1500000&slow=8000000&for=${encodeURIComponent(name)}`);
      assert.deepEqual(server.requests(path).map(({ status }) => status), [200, 206]);
    });

    test("refuses what is not there", async () => {
      const error = await call(program, ({ Session, keys, refusal }) => refusal(() => Session.create("none.pannier", { trust: { keys: keys.publisher } })));
      assert.equal(error.code, "E_INPUT_MISSING");
      assert.match(error.message, /none\.pannier/);
    });
  });
}

test("the oldest is what the package says", () => {
  const { engines } = JSON.parse(readFileSync(join(PACKAGE, "package.json")));
  const version = execFileSync(OLDEST_NODE, ["--version"]).toString().trim();
  assert.ok(version.startsWith(`v${engines.node.replace(">=", "")}`), `${version}, ${engines.node}`);
});
