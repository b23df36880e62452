// The small module for most models, and the large one for those whose graph needs it.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CLASSES, call, launch, open } from "./harness/browser.mjs";
import { close } from "./harness/compare.mjs";
import { serve } from "./harness/server.mjs";
import { fixture } from "./harness/setting.mjs";

const BRANCHES = "/fixtures/branches.pannier";
const SMALL = "/npm/wasm/pannier-relaxed-simd.wasm";
const LARGE = "/npm/wasm/pannier-tract-relaxed-simd.wasm";

let server, browser;
before(async () => {
  server = await serve();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

/** What the model is run on, and its answer. */
const X = [3, -1, 2, -1];
const ANSWER = { y: { type: "float32", dims: [2, 2], data: [3, 0, 2, 0] } };

/** Does `work` in a page in which nothing is compiled yet, and tells what it asked the server for beside scripts. */
async function fresh(name, work, argument) {
  server.log.length = 0;
  const page = await open(browser, server);
  try {
    const result = await call(page, name, work, argument);
    assert.deepEqual(page.problems, []);
    return { result, asked: server.log.map(({ path }) => path).filter((path) => /\.(wasm|pannier)$/.test(path)) };
  } finally {
    await page.context().close();
  }
}

/** Loads a bundle, runs it, and tells what answered or why nothing did. */
const run = async ({ Session, Tensor, keys, plain }, { where, options, x }) => {
  try {
    const trust = where.includes("wrong") ? { allowUnsigned: true } : { keys: keys.publisher };
    const events = [];
    const session = await Session.create(where, { trust, onProgress: (event) => events.push(event), ...options });
    const { engine, engines, rejected, source } = await session.report();
    const answers = plain(await session.run({ x: new Tensor("float32", x, [2, 2]) }));
    session.dispose();
    return { engine, engines, rejected, source, answers, events };
  } catch ({ name, code, message, hint }) {
    return { name, code, message, hint };
  }
};

for (const name of Object.keys(CLASSES)) {
  describe(name, () => {
    test("fetches the small module alone where its engine has every operator", async () => {
      const { result, asked } = await fresh(name, async ({ Session, keys }) => {
        const session = await Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher } });
        const { engine, engines, rejected } = await session.report();
        session.dispose();
        return { engine, engines, rejected };
      });
      assert.deepEqual(result, { engine: "executor", engines: ["executor"], rejected: [] });
      assert.deepEqual(asked, [SMALL, "/fixtures/sum.pannier"]);
    });

    test("hands over to the large one as soon as the graph says so, and goes on with the same download", async () => {
      const { result, asked } = await fresh(name, run, { where: `${BRANCHES}?slow=400000`, options: {}, x: X });
      assert.deepEqual(result.engines, ["executor", "tract"], result.message);
      assert.equal(result.engine, "tract");
      assert.equal(result.source, "network");
      const [{ engine, code, message }] = result.rejected;
      assert.deepEqual([engine, code], ["executor", "E_UNSUPPORTED_OPERATOR"]);
      assert.match(message, /NonZero/);
      close(result.answers, ANSWER);
      assert.deepEqual(asked, [SMALL, BRANCHES, LARGE]);
      const loaded = result.events.filter(({ phase }) => phase === "download").map(({ loadedBytes }) => loadedBytes);
      assert.deepEqual(loaded, loaded.toSorted((a, b) => a - b), "nothing is counted twice");
      assert.equal(loaded.at(-1), fixture("branches.pannier").length);
      assert.equal(result.events.filter(({ phase }) => phase === "verify").length, 1);
    });

    test("says what is missing, and why it is wanted, where the large one is not deployed", async () => {
      const missing = { tract: "/npm/wasm/none.wasm" };
      const { result, asked } = await fresh(name, run, { where: BRANCHES, options: missing, x: X });
      assert.equal(result.name, "PannierError");
      assert.equal(result.code, "E_INPUT_MISSING");
      assert.match(result.message, /none\.wasm.*404.*NonZero/);
      assert.match(result.hint, /pannier-tract/);
      assert.equal(asked.filter((path) => path === BRANCHES).length, 1);
    });

    test("refuses the model where it is said that there is no large one", async () => {
      const { result, asked } = await fresh(name, run, { where: BRANCHES, options: { tract: false }, x: X });
      assert.equal(result.code, "E_UNSUPPORTED_OPERATOR");
      assert.match(result.message, /executor.*NonZero/);
      assert.ok(result.hint);
      assert.ok(!asked.includes(LARGE));
    });
  });
}

describe("in detail", () => {
  const name = "Session";

  test("the large module alone is enough", async () => {
    const { result, asked } = await fresh(name, run, { where: BRANCHES, options: { wasm: LARGE }, x: X });
    assert.equal(result.engine, "tract", result.message);
    assert.deepEqual(asked, [LARGE, BRANCHES]);
  });

  test("the large module is fetched once, however many models want it", async () => {
    const { asked } = await fresh("WorkerSession", async ({ Session, keys }, where) => {
      const open = () => Session.create(where, { trust: { keys: keys.publisher } });
      for (const session of await Promise.all([open(), open()])) session.close();
      (await open()).close();
    }, BRANCHES);
    assert.deepEqual(asked.filter((path) => path.endsWith(".wasm")), [SMALL, LARGE]);
  });

  test("a bundle in memory is handed over as well, and one in the cache", async () => {
    const { result, asked } = await fresh(name, async ({ Session, keys }, where) => {
      const bytes = await (await fetch(where)).arrayBuffer();
      const found = [];
      for (const [from, cache] of [[bytes, false], [where, true], [where, true]]) {
        const session = await Session.create(from, { trust: { keys: keys.publisher }, cache });
        const { engine, source } = await session.report();
        found.push([engine, source]);
        session.dispose();
      }
      return found;
    }, BRANCHES);
    assert.deepEqual(result, [["tract", "memory"], ["tract", "network"], ["tract", "cache"]]);
    assert.deepEqual(asked, [BRANCHES, SMALL, LARGE, BRANCHES]);
  });

  test("an engine that fails the self-test is passed over, too: the bundle is loaded once more", async () => {
    const { result, asked } = await fresh(name, run, { where: "/fixtures/wrong.pannier", options: {}, x: X });
    assert.equal(result.code, "E_ACCURACY", result.message);
    assert.match(result.message, /executor: .*tract: /);
    assert.deepEqual(asked, [SMALL, "/fixtures/wrong.pannier", LARGE, "/fixtures/wrong.pannier"]);
  });

  test("a module that computes wrongly is passed over, and the other one's answers are right", async () => {
    const x = Array.from({ length: 128 * 128 }, (_, index) => index % 5);
    const { result, asked } = await fresh(name, async ({ Session, Tensor, keys, plain }, { small, x }) => {
      const wasm = new Uint8Array(await (await fetch(small)).arrayBuffer());
      // f32x4.add and f32x4.relaxed_madd become f32x4.sub and f32x4.relaxed_nmadd.
      for (const [right, wrong] of [[[0xfd, 0xe4, 0x01], 0xe5], [[0xfd, 0x85, 0x02], 0x86]]) {
        for (let at = 0; at + 2 < wasm.length; at += 1) if (right.every((byte, index) => wasm[at + index] === byte)) wasm[at + 1] = wrong;
      }
      const answer = async (options) => {
        const session = await Session.create("/fixtures/scaled.pannier", { trust: { keys: keys.publisher }, wasm, ...options });
        return { engines: (await session.report()).engines, answer: plain(await session.run({ x: new Tensor("float32", x, [128, 128]) })) };
      };
      return { believed: await answer({ selfTest: false }), tested: await answer({}) };
    }, { small: SMALL, x });
    const right = { y: { type: "float32", dims: [128, 128], data: x.map((x, index) => x * (index % 7) + x) } };
    close(result.tested.answer, right);
    assert.deepEqual(result.tested.engines, ["executor", "tract"]);
    // Nobody would know without the golden cases.
    assert.deepEqual(result.believed.engines, ["executor"]);
    assert.throws(() => close(result.believed.answer, right));
    assert.deepEqual(asked, [SMALL, "/fixtures/scaled.pannier", "/fixtures/scaled.pannier", LARGE, "/fixtures/scaled.pannier"]);
  });

  test("a download that breaks while the large one takes over is taken up again", async () => {
    const { result } = await fresh(name, run, { where: `${BRANCHES}?cut=40000&slow=4000000`, options: {}, x: X });
    assert.equal(result.engine, "tract", result.message);
    close(result.answers, ANSWER);
  });
});
