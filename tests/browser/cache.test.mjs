// What the Cache API keeps.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CLASSES, call, launch, open } from "./harness/browser.mjs";
import { serve } from "./harness/server.mjs";

const MAGIKA = "/fixtures/magika.pannier";

let server, browser, page;
before(async () => {
  server = await serve();
  browser = await launch();
  page = await open(browser, server);
});
after(async () => {
  await browser?.close();
  await server?.close();
});

/** Loads the bundle, and tells where it came from and how often the server was asked. */
async function load(name, { query = "", cache = true, keys = "publisher" } = {}) {
  server.log.length = 0;
  const outcome = await call(page, name, async ({ Session, keys: known, refusal }, { query, cache, keys }) => {
    let source = null;
    const error = await refusal(async () => {
      const session = await Session.create(`/fixtures/magika.pannier${query}`, { trust: { keys: known[keys] }, cache });
      ({ source } = await session.report());
      session.dispose();
      throw new Error("none");
    });
    return { source, code: error.code };
  }, { query, cache, keys });
  return { ...outcome, requests: server.requests(MAGIKA).length };
}

/** Replaces the content that is kept by what `change` makes of it. */
const spoil = (change) =>
  page.evaluate(`(async () => {
    const cache = await caches.open("@pannier/runtime");
    for (const request of await cache.keys()) {
      if (!request.url.includes("/sha256/")) continue;
      const bytes = new Uint8Array(await (await cache.match(request)).arrayBuffer());
      await cache.put(request, new Response((${change})(bytes)));
    }
  })()`);

const kept = () =>
  page.evaluate(async () => (await (await caches.open("@pannier/runtime")).keys()).map(({ url }) => new URL(url).pathname + new URL(url).search));

const forget = () => page.evaluate(() => caches.delete("@pannier/runtime"));

for (const name of Object.keys(CLASSES)) {
  describe(name, () => {
    test("the second time nobody is asked", async () => {
      await forget();
      assert.deepEqual(await load(name), { source: "network", code: undefined, requests: 1 });
      assert.deepEqual(await load(name), { source: "cache", code: undefined, requests: 0 });
    });

    test("what is kept is not trusted more than what is sent", async () => {
      const outcome = await load(name, { keys: "stranger" });
      assert.equal(outcome.code, "E_UNTRUSTED_KEY");
      assert.equal(outcome.requests, 1, "and the server may have another one by now");
      await forget();
    });
  });
}

describe("in detail", () => {
  const name = "Session";

  for (const [what, change] of [
    ["a bit of the weights has changed", "(bytes) => (bytes[bytes.length - 1] ^= 1, bytes)"],
    ["the end is missing", "(bytes) => bytes.subarray(0, bytes.length / 2)"],
    ["nothing is left", "(bytes) => bytes.subarray(0, 0)"],
    ["something follows", "(bytes) => { const longer = new Uint8Array(bytes.length + 1); longer.set(bytes); return longer; }"],
  ]) {
    test(`what is kept is fetched anew if ${what}`, async () => {
      await forget();
      await load(name);
      await spoil(change);
      assert.deepEqual(await load(name), { source: "network", code: undefined, requests: 1 });
      assert.deepEqual(await load(name), { source: "cache", code: undefined, requests: 0 });
    });
  }

  test("content without an index, or an index without content, is a miss", async () => {
    await forget();
    await load(name);
    await page.evaluate(async () => {
      const cache = await caches.open("@pannier/runtime");
      for (const request of await cache.keys()) if (request.url.includes("/sha256/")) await cache.delete(request);
    });
    assert.equal((await load(name)).source, "network");
    assert.equal((await load(name)).source, "cache");
  });

  test("one bundle under two addresses is kept once", async () => {
    await forget();
    await load(name);
    await load(name, { query: "?other" });
    const entries = await kept();
    assert.equal(entries.filter((path) => path.includes("/sha256/")).length, 1, entries.join());
    assert.equal(entries.length, 3);
  });

  test("`reload` asks the server whatever is kept", async () => {
    await forget();
    await load(name);
    assert.deepEqual(await load(name, { cache: "reload" }), { source: "network", code: undefined, requests: 1 });
    assert.equal((await load(name)).source, "cache");
  });

  test("nothing is kept of a download that fails, nor without being asked", async () => {
    await forget();
    assert.equal((await load(name, { query: "?tamper=2000000" })).code, "E_CORRUPT");
    assert.equal((await load(name, { query: "?truncate=2000000" })).code, "E_TRUNCATED");
    assert.equal((await load(name, { cache: false })).source, "network");
    assert.deepEqual(await kept(), []);
  });

  test("a download that broke and went on is kept as a whole", async () => {
    await forget();
    const query = "?cut=1500000&slow=8000000";
    assert.equal((await load(name, { query })).requests, 2);
    assert.deepEqual(await load(name, { query }), { source: "cache", code: undefined, requests: 0 });
  });

  test("a cache that takes nothing, or stops half way, holds nobody up", async () => {
    const full = await open(browser, server);
    const sources = await call(full, name, async ({ Session, keys }) => {
      const sources = [];
      const reads = async (body) => void (await body.getReader().read());
      for (const before of [() => {}, ({ body }) => reads(body)]) {
        Cache.prototype.put = async (request, response) => {
          await before(response);
          throw new DOMException("full", "QuotaExceededError");
        };
        const session = await Session.create("/fixtures/magika.pannier", { trust: { keys: keys.publisher }, cache: true });
        sources.push((await session.report()).source);
        session.dispose();
      }
      return sources;
    });
    assert.deepEqual(sources, ["network", "network"]);
    await full.context().close();
  });

  test("where there is no Cache API the bundle is loaded all the same", async () => {
    const without = await open(browser, server);
    const source = await call(without, name, async ({ Session, keys }) => {
      Object.defineProperty(globalThis, "caches", { value: undefined });
      const session = await Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher }, cache: true });
      return (await session.report()).source;
    });
    assert.equal(source, "network");
    await without.context().close();
  });
});
