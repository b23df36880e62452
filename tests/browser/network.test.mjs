// Slow, broken, wrong and hostile servers.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CLASSES, call, launch, open } from "./harness/browser.mjs";
import { serve } from "./harness/server.mjs";
import { PACKAGE, fixture } from "./harness/setting.mjs";

const MAGIKA = "/fixtures/magika.pannier";
const FILE_BYTES = fixture("magika.pannier").length;
const HALF = Math.floor(FILE_BYTES / 2);
/** In the middle of the weights' first chunk. */
const EARLY = 300_000;

let server, browser, page;
before(async () => {
  server = await serve({ "/broken/": PACKAGE });
  browser = await launch();
  page = await open(browser, server);
});
after(async () => {
  await browser?.close();
  await server?.close();
});

/** Loads the bundle as the query says and tells how that ended, and what the server saw of it. */
async function load(name, query, options = {}) {
  server.log.length = 0;
  const outcome = await call(page, name, async ({ Session, keys }, { query, options }) => {
    const events = [];
    const onProgress = ({ phase, loadedBytes }) => events.push([phase, loadedBytes]);
    const trust = { keys: keys.publisher };
    try {
      const session = await Session.create(`/fixtures/magika.pannier${query}`, { trust, onProgress, ...options });
      const { source } = await session.report();
      session.dispose();
      return { source, events };
    } catch ({ name, code, message, hint }) {
      return { name, code, message, hint, events };
    }
    // Told apart by the name: the server counts what it has answered to each address.
  }, { query: `${query}${query === "" ? "?" : "&"}for=${name}`, options });
  return { ...outcome, requests: server.requests(MAGIKA) };
}

/** What the server sent once everybody has noticed that nobody reads any more. */
async function settled(entry) {
  for (let waited = 0; !entry.isClosed && waited < 100; waited += 1) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(entry.isClosed, "the connection was given up");
  return entry.sentBytes;
}

/** What a worker has to pass on rightly as well. */
function both(name) {
  test("a connection that breaks is taken up again where it broke", async () => {
    const { source, requests } = await load(name, `?cut=${HALF}&slow=8000000`);
    assert.equal(source, "network");
    assert.equal(requests.length, 2);
    const [first, second] = requests;
    assert.equal(first.sentBytes, HALF);
    const start = Number(/^bytes=(\d+)-$/.exec(second.range)[1]);
    assert.ok(start > 0 && start <= HALF, second.range);
    assert.equal(second.ifRange, '"old"');
    assert.equal(second.status, 206);
    assert.equal(second.sentBytes, FILE_BYTES - start);
  });

  test("a tampered chunk ends the download at once", async () => {
    const { code, requests } = await load(name, `?tamper=${EARLY}&slow=3000000`);
    assert.equal(code, "E_CORRUPT");
    assert.equal(requests.length, 1, "and is not asked for again");
    const sentBytes = await settled(requests[0]);
    assert.ok(sentBytes < FILE_BYTES, `${sentBytes} of ${FILE_BYTES} bytes were sent`);
  });

  test("a file that ends too early is truncated, not a broken connection", async () => {
    const { code, requests } = await load(name, `?truncate=${HALF}`);
    assert.equal(code, "E_TRUNCATED");
    assert.equal(requests.length, 1);
  });

  test("a load that is cancelled ends the download", async () => {
    server.log.length = 0;
    const error = await call(page, name, async ({ Session, keys, refusal }) => {
      const stop = new AbortController();
      const onProgress = ({ phase }) => phase === "verify" && stop.abort(new Error("enough"));
      const options = { trust: { keys: keys.publisher }, signal: stop.signal, onProgress };
      return refusal(() => Session.create("/fixtures/magika.pannier?slow=1000000", options));
    });
    assert.equal(error.code, "E_INTERRUPTED");
    assert.match(error.cause, /enough/);
    assert.ok((await settled(server.requests(MAGIKA)[0])) < FILE_BYTES);
  });
}

for (const name of Object.keys(CLASSES)) describe(name, () => both(name));

describe("in detail", () => {
  const name = "Session";

  test("a slow network is waited for", async () => {
    const { source, events, requests } = await load(name, "?slow=4000000");
    assert.equal(source, "network");
    assert.equal(requests.length, 1);
    assert.ok(events.filter(([phase]) => phase === "download").length > 5);
  });

  test("a connection that breaks again and again gets there in the end", async () => {
    const { source, requests } = await load(name, "?cut=700000&cuts=3&slow=8000000");
    assert.equal(source, "network");
    assert.equal(requests.length, 4);
    assert.deepEqual(requests.map(({ status }) => status), [200, 206, 206, 206]);
  });

  test("a server that never gets further is given up", async () => {
    const { code, message, requests } = await load(name, "?cut=1000&cuts=99&ranges=off", { retries: 1 });
    assert.equal(code, "E_INPUT_MISSING", message);
    assert.match(message, /magika\.pannier/);
    // A browser may drop the bytes before the break, and then it is no step further.
    assert.ok(requests.length === 2 || requests.length === 3, `${requests.length} requests`);
  });

  test("a server without ranges sends the file once more", async () => {
    // Slow enough for a busy machine to say how far it has come before the break.
    const { source, events, requests } = await load(name, `?cut=${HALF}&ranges=off&slow=2000000`);
    assert.equal(source, "network");
    assert.deepEqual(requests.map(({ status }) => status), [200, 200]);
    const downloads = events.filter(([phase]) => phase === "download").map(([, loadedBytes]) => loadedBytes);
    assert.ok(downloads.some((loadedBytes, index) => loadedBytes < downloads[index - 1]), "it begins anew");
    assert.equal(downloads.at(-1), FILE_BYTES);
  });

  test("a file that has changed meanwhile is fetched anew", async () => {
    const { source, requests } = await load(name, `?cut=${HALF}&version=new&slow=8000000`);
    assert.equal(source, "network");
    assert.deepEqual(requests.map(({ status, ifRange }) => [status, ifRange]), [[200, undefined], [200, '"old"']]);
  });

  test("parts of two versions that a server passes off as one are noticed, and fetched in one piece", async () => {
    const { source, requests } = await load(name, `?cut=${HALF}&swap=1&slow=8000000`);
    assert.equal(source, "network");
    assert.deepEqual(requests.map(({ status }) => status), [200, 206, 200]);
  });

  test("a server that is busy is asked again", async () => {
    const { source, requests } = await load(name, "?status=503&times=2");
    assert.equal(source, "network");
    assert.deepEqual(requests.map(({ status }) => status), [503, 503, 200]);
  });

  test("a bundle of somebody else ends the download before its weights", async () => {
    server.log.length = 0;
    const error = await call(page, name, ({ Session, keys, refusal }) =>
      refusal(() => Session.create("/fixtures/magika.pannier?slow=1000000", { trust: { keys: keys.stranger } })));
    assert.equal(error.code, "E_UNTRUSTED_KEY");
    assert.ok((await settled(server.requests(MAGIKA)[0])) < FILE_BYTES / 2);
  });

  const wrong = [
    ["a file that is not there", "?status=404", "E_INPUT_MISSING", /404/],
    ["a file that nobody may read", "?status=403", "E_INPUT_MISSING", /403/],
    ["a page instead of the bundle", "?page=1", "E_CORRUPT", /HTML/],
    ["a file with its first byte changed", "?tamper=0", "E_CORRUPT", /./],
  ];
  for (const [what, query, code, text] of wrong) {
    test(`${what} is told at once: ${code}`, async () => {
      const outcome = await load(name, query);
      assert.equal(outcome.code, code, outcome.message);
      assert.match(outcome.message, text);
      assert.equal(outcome.requests.length, 1);
    });
  }

  test("a bundle of another media type is a bundle", async () => {
    assert.equal((await load(name, "?type=text/plain")).source, "network");
  });

  test("a load that is cancelled beforehand asks for nothing", async () => {
    server.log.length = 0;
    const error = await call(page, name, ({ Session, keys, refusal }) =>
      refusal(() => Session.create("/fixtures/magika.pannier", { trust: { keys: keys.publisher }, signal: AbortSignal.abort() })));
    assert.equal(error.code, "E_INTERRUPTED");
    assert.deepEqual(server.requests(MAGIKA), []);
  });

  test("a load whose time is over ends the download, even if nothing arrives", async () => {
    const { code, requests } = await load(name, "?slow=1000", { limits: { loadDeadlineMs: 400 } });
    assert.equal(code, "E_DEADLINE");
    assert.ok((await settled(requests[0])) < FILE_BYTES);
  });
});

describe("the runtime itself", () => {
  const WASM = "/npm/wasm/pannier-relaxed-simd.wasm";
  /** A page of its own, in which nothing is compiled yet, whose server answers for the runtime as the query says. */
  const compile = async (query) => {
    const fresh = await open(browser, server);
    try {
      return await call(fresh, "Session", async ({ init }, wasm) => {
        const attempt = () => init({ wasm }).then(() => null, ({ name, code, message, hint }) => ({ name, code, message, hint }));
        return [await attempt(), await init().then(() => "good")];
      }, WASM + query);
    } finally {
      await fresh.context().close();
    }
  };

  for (const [what, query, code, text] of [
    ["an HTML page", "?page=1", "E_CORRUPT", /pannier-relaxed-simd\.wasm\?page=1 .*HTML/],
    ["something else that says it is WebAssembly", "?tamper=0", "E_CORRUPT", /pannier-relaxed-simd\.wasm\?tamper=0/],
    ["a file that is not there", "?status=404", "E_INPUT_MISSING", /pannier-relaxed-simd\.wasm\?status=404.*404/],
  ]) {
    test(`${what} is refused with its address, and not for ever`, async () => {
      const [refused, afterwards] = await compile(query);
      assert.equal(refused.name, "PannierError");
      assert.equal(refused.code, code);
      assert.match(refused.message, text);
      assert.equal(afterwards, "good");
    });
  }

  test("another media type is compiled all the same", async () => {
    assert.deepEqual(await compile("?type=application/octet-stream"), [null, "good"]);
  });

  test("is fetched and compiled once, however often it is asked for", async () => {
    server.log.length = 0;
    const fresh = await open(browser, server);
    await call(fresh, "WorkerSession", async ({ init, Session, keys }) => {
      await Promise.all([init(), init()]);
      const open = () => Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher } });
      for (const session of await Promise.all([open(), open()])) session.close();
    });
    assert.equal(server.log.filter(({ path }) => path.endsWith(".wasm")).length, 1);
    await fresh.context().close();
  });
});
