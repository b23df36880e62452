// Telemetry of pages: what arrives, what waits while nobody is there, and that nothing is sent twice.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { CLASSES, call, launch, open } from "./harness/browser.mjs";
import { receive } from "./harness/receiver.mjs";
import { serve } from "./harness/server.mjs";
import { FIXTURES, KEYS, PACKAGE } from "./harness/setting.mjs";

/** The modules that the package is made of. */
const SCRIPTS = fileURLToPath(new URL("../../wasm/web/js/", import.meta.url));

let server, browser, receiver;
before(async () => {
  // A page with a policy has to name the receiver in it.
  server = await serve({ "/js/": SCRIPTS }, { connect: "http://127.0.0.1:*" });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});
beforeEach(async () => (receiver = await receive()));
afterEach(() => receiver.close());

/** Opens a session in the page, which it keeps as `globalThis.session`, and runs `runs` times. */
const begin = (page, name, { url = receiver.url, runs = 1, ...more } = {}) =>
  call(page, name, async ({ Session, Tensor, keys }, { url, runs, more }) => {
    const telemetry = { endpoint: url, intervalMs: 3_600_000, ...more };
    globalThis.session = await Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher }, telemetry });
    globalThis.run = () => globalThis.session.run({ x: new Tensor("float32", [3, 4]), state: new Tensor("float32", [1, 2]) });
    for (let at = 0; at < runs; at += 1) await globalThis.run();
  }, { url, runs, more });

const flush = (page) => page.evaluate(() => globalThis.session.flushTelemetry());
const run = (page) => page.evaluate(() => globalThis.run().then(() => {}));
/** Lets the page go, as when its user follows a link. */
const leave = (page) => page.goto(`${server.origin}/?elsewhere`);
const settle = () => new Promise((resolve) => setTimeout(resolve, 300));
/** Waits until nothing waits in the page any more: what was sent is taken out when the receiver's answer is there. */
const drained = (page) =>
  page.evaluate(async () => {
    const { Database } = await import("/js/telemetry/database.js");
    const [{ name }] = (await indexedDB.databases()).filter(({ name }) => name.includes("telemetry"));
    const database = await Database.open(name.split(" ").at(-1), Infinity);
    while ((await database.front()) !== null) await new Promise((resolve) => setTimeout(resolve, 10));
    database.close();
  });
const identity = ({ resource, startNs, timeNs }) => `${resource["service.instance.id"]} ${startNs} ${timeNs}`;

for (const name of Object.keys(CLASSES)) {
  describe(name, () => {
    test("sends windows as the protocol wants them, after asking whether it may", async () => {
      const page = await open(browser, server);
      await begin(page, name, { runs: 3, headers: { authorization: "Bearer abc" }, serviceName: "till", resourceAttributes: { "pannier.site": "Halle 4" } });
      await flush(page);
      await run(page);
      await flush(page);
      const [one, two] = await receiver.taken(2);
      assert.equal(receiver.requests.length, 2);
      assert.equal(one.path, "/v1/metrics");
      assert.equal(one.headers["content-type"], "application/x-protobuf");
      assert.equal(one.headers["content-encoding"], "gzip");
      assert.equal(one.headers.authorization, "Bearer abc");
      assert.ok(receiver.preflights.length > 0);
      assert.deepEqual([one.runs, two.runs], [3, 4], "counts are cumulative");
      assert.ok(one.startNs === two.startNs && one.startNs <= one.timeNs && one.timeNs < two.timeNs);
      const { resource } = one;
      assert.equal(resource["service.name"], "till");
      assert.equal(resource["pannier.site"], "Halle 4");
      assert.equal(resource["pannier.target"], "browser");
      assert.equal(resource["pannier.model.name"], "running-sum");
      assert.match(resource["service.instance.id"], /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      for (const metric of ["pannier.inference.duration", "pannier.model.load.duration", "pannier.memory.peak", "pannier.bundle.age", "pannier.tensor.values", "pannier.tensor.mean", "pannier.telemetry.failed"]) {
        assert.ok(one.metrics.includes(metric), `${metric} of ${one.metrics}`);
      }
      assert.deepEqual(page.problems, []);
    });

    test("sends a window by the clock, and none in which nothing ran", async () => {
      const page = await open(browser, server);
      await begin(page, name, { intervalMs: 50 });
      await receiver.taken(1);
      await settle();
      assert.equal(receiver.requests.length, 1);
      await run(page);
      assert.equal((await receiver.taken(2))[1].runs, 2);
    });

    test("counts runs that fail", async () => {
      const page = await open(browser, server);
      await begin(page, name);
      await page.evaluate(() => globalThis.session.run({}).catch(() => {}));
      await flush(page);
      const [{ bytes }] = await receiver.taken(1);
      assert.ok(bytes.includes("error.type") && bytes.includes("E_INVALID_INPUT"));
    });

    test("keeps what it cannot send for the next page, which sends it once", async () => {
      const { port } = receiver;
      await receiver.close();
      const page = await open(browser, server);
      await begin(page, name);
      await flush(page);
      await run(page);
      await flush(page);
      await leave(page);
      receiver = await receive(port);
      // The first page found nobody: whoever comes within the wait that follows has to wait as well.
      await new Promise((resolve) => setTimeout(resolve, 2500));
      await begin(page, name, { runs: 0 });
      const [one, two] = await receiver.taken(2);
      assert.deepEqual([one.runs, two.runs], [1, 2], "in their order");
      // The receiver has both before the page knows it. One that goes now would leave the second for the next page.
      await drained(page);
      await page.reload();
      await begin(page, name);
      await flush(page);
      const all = await receiver.taken(3);
      await settle();
      assert.equal(new Set(receiver.requests.map(identity)).size, 3);
      assert.equal(receiver.requests.length, 3, "none twice");
      assert.equal(all[2].resource["service.instance.id"], one.resource["service.instance.id"], "one device");
    });

    test("does what the receiver asks for, and tells how sending went", async () => {
      const partial = { status: 200, headers: { "content-type": "application/json" }, body: '{"partialSuccess":{"rejectedDataPoints":"2"}}' };
      // A partial success with 130 rejected points and a reason.
      const binary = { status: 200, headers: { "content-type": "application/x-protobuf" }, body: Buffer.from("0a0708820112026e6f", "hex") };
      receiver.answers.push({ status: 429, headers: { "retry-after": "1" } }, partial, { status: 400 }, binary);
      const page = await open(browser, server);
      await begin(page, name);
      await flush(page);
      const begun = Date.now();
      const [one] = await receiver.taken(1);
      assert.ok(Date.now() - begun > 700, "it was not asked before its time");
      assert.deepEqual(receiver.requests[0].bytes, one.bytes, "the same again");
      await run(page);
      await flush(page);
      await run(page);
      await flush(page);
      await run(page);
      await flush(page);
      const last = (await receiver.taken(3))[2];
      assert.equal(last.runs, 4, "what was given up is in the counts of the next");
      assert.equal(last.counters["pannier.telemetry.dropped rejected"], 3);
      assert.equal(last.counters["pannier.telemetry.failed"], 2);
    });

    test("sends nothing unless it is told to, or if the user does not want it", async () => {
      const page = await open(browser, server);
      await page.addInitScript(() => Object.defineProperty(Navigator.prototype, "globalPrivacyControl", { get: () => true }));
      await page.reload();
      server.log.length = 0;
      await begin(page, name);
      await flush(page);
      assert.equal(receiver.requests.length, 0);
      assert.equal(server.log.filter(({ path }) => /telemetry-|exporter/.test(path)).length, 0, "nothing of it is fetched");
    });
  });
}

describe("a page that is left", () => {
  test("sends its last window by a request that outlives it", async () => {
    const page = await open(browser, server);
    await begin(page, "Session");
    await flush(page);
    await run(page);
    await leave(page);
    const [, last] = await receiver.taken(2);
    assert.equal(last.runs, 2);
    await begin(page, "Session", { runs: 0 });
    await settle();
    assert.equal(receiver.requests.length, 2, "and the next page does not send it again");
  });

  test("keeps its last window if the receiver is away", async () => {
    const { port } = receiver;
    await receiver.close();
    const page = await open(browser, server);
    await begin(page, "Session");
    await flush(page);
    await run(page);
    await leave(page);
    receiver = await receive(port);
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await begin(page, "Session", { runs: 0 });
    assert.deepEqual((await receiver.taken(2)).map(({ runs }) => runs), [1, 2]);
  });

  test("in the background sends what its worker says", async () => {
    const page = await open(browser, server);
    await begin(page, "WorkerSession");
    await page.evaluate(() => {
      Object.defineProperty(document, "visibilityState", { get: () => "hidden" });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    assert.equal((await receiver.taken(1))[0].runs, 1);
  });

  for (const name of Object.keys(CLASSES)) {
    test(`disposes of its ${name}, whose last window is sent all the same`, async () => {
      const page = await open(browser, server);
      await begin(page, name, { runs: 2 });
      await page.evaluate(() => globalThis.session.dispose());
      assert.equal((await receiver.taken(1))[0].runs, 2);
    });
  }
});

describe("what waits", () => {
  test("is sent by one page, whoever spooled it", async () => {
    const { port } = receiver;
    await receiver.close();
    const one = await open(browser, server);
    const two = await one.context().newPage();
    await two.goto(`${server.origin}/`);
    for (const page of [one, two]) await begin(page, "Session");
    for (const page of [one, two, one, two]) {
      await run(page);
      await flush(page);
    }
    receiver = await receive(port);
    await new Promise((resolve) => setTimeout(resolve, 6000));
    await Promise.all([one, two].map(async (page) => {
      await run(page);
      await flush(page);
    }));
    const all = await receiver.taken(6);
    await settle();
    assert.equal(receiver.requests.length, 6);
    assert.equal(new Set(all.map(identity)).size, 6);
    assert.equal(new Set(all.map(({ resource }) => resource["service.instance.id"])).size, 2, "sessions at the same time have a name each");
  });

  test("is bounded: the oldest goes first, and that is counted", async () => {
    const page = await open(browser, server);
    const { lost, left, sizeBytes } = await page.evaluate(async () => {
      const { Database } = await import("/js/telemetry/database.js");
      const database = await Database.open("http://receiver.invalid/v1/metrics", 1000);
      const lost = [];
      for (let at = 0; at < 12; at += 1) {
        lost.push(await database.push(new Uint8Array(100).fill(at)));
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      const left = [];
      const { sizeBytes } = database;
      for (let front; (front = await database.front()) !== null; await database.remove(front.id)) left.push(front.payload[0]);
      return { lost, left, sizeBytes };
    });
    assert.deepEqual(lost, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
    assert.deepEqual(left, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    assert.equal(sizeBytes, 1000);
  });

  for (const [what, refuse] of [
    ["cannot be opened", () => (IDBFactory.prototype.open = () => { throw new DOMException("no", "SecurityError"); })],
    ["is full", () => (IDBObjectStore.prototype.add = () => { throw new DOMException("full", "QuotaExceededError"); })],
  ]) {
    test(`waits in memory if the browser's database ${what}`, async () => {
      const page = await open(browser, server);
      await page.addInitScript(refuse);
      await page.reload();
      receiver.answers.push({ status: 503, headers: { "retry-after": "1" } });
      await begin(page, "Session");
      await flush(page);
      await run(page);
      await flush(page);
      const all = await receiver.taken(2);
      assert.deepEqual(all.map(({ runs }) => runs), [1, 2]);
      assert.deepEqual(page.problems, []);
    });
  }
});

describe("options", () => {
  test("that make no sense are refused, and secrets are not repeated", async () => {
    const page = await open(browser, server);
    const refused = await call(page, "Session", async ({ Session, keys, refusal }) => {
      const endpoint = "http://receiver.invalid";
      const wrong = [{}, { endpoint: "ftp://receiver" }, { endpoint, header: {} }, { endpoint, headers: { "a b": "secret" } }, { endpoint, intervalMs: 0 }, { endpoint, compression: "br" }, { endpoint, serviceName: 7 }];
      return Promise.all(wrong.map((telemetry) => refusal(() => Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher }, telemetry }))));
    });
    assert.deepEqual(refused.map(({ code }) => code), Array(refused.length).fill("E_USAGE"), JSON.stringify(refused));
    assert.ok(!JSON.stringify(refused).includes("secret"));
  });
});

describe("Node", () => {
  test("sends the same, and says that it is Node", async () => {
    const { Session, Tensor } = await import(pathToFileURL(join(PACKAGE, "index.js")));
    const telemetry = { endpoint: receiver.url, intervalMs: 3_600_000 };
    const session = await Session.create(join(FIXTURES, "sum.pannier"), { trust: { keys: KEYS.publisher }, telemetry });
    await session.run({ x: new Tensor("float32", [3, 4]), state: new Tensor("float32", [1, 2]) });
    await session.flushTelemetry();
    await session.flushTelemetry();
    session.dispose();
    const [one, two] = await receiver.taken(2);
    assert.deepEqual([one.runs, two.runs], [1, 1]);
    assert.equal(one.resource["pannier.target"], "node");
    assert.equal(one.resource["telemetry.sdk.language"], "nodejs");
    assert.equal(receiver.preflights.length, 0);
  });

  test("honours the variables of the other targets", async () => {
    const { Session } = await import(pathToFileURL(join(PACKAGE, "index.js")));
    for (const [variable, value] of [["DO_NOT_TRACK", "1"], ["OTEL_SDK_DISABLED", "true"]]) {
      process.env[variable] = value;
      const session = await Session.create(join(FIXTURES, "sum.pannier"), { trust: { keys: KEYS.publisher }, telemetry: { endpoint: receiver.url } });
      delete process.env[variable];
      await session.flushTelemetry();
      session.dispose();
    }
    assert.equal(receiver.requests.length, 0);
  });
});
