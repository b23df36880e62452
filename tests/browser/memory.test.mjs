// Memory, and the page's own thread.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { readFileSync, readdirSync } from "node:fs";
import { CLASSES, call, launch, open } from "./harness/browser.mjs";
import { serve } from "./harness/server.mjs";
import { CASES } from "./harness/setting.mjs";

const MIB = 1 << 20;

let server, browser;
before(async () => {
  server = await serve();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

for (const name of Object.keys(CLASSES)) {
  test(`${name}: a thousand runs take no more memory than a hundred`, async () => {
    const page = await open(browser, server);
    const { wasm, heap } = await call(page, name, async ({ Session, State, Tensor, keys }) => {
      const session = await Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher } });
      const state = new State();
      const run = async (times) => {
        for (let i = 0; i < times; i += 1) await session.step(state, { x: new Tensor("float32", [1, 2]) });
        globalThis.gc();
        return { wasm: (await session.report()).memory.wasmBytes, heap: performance.memory.usedJSHeapSize };
      };
      const [before, after] = [await run(100), await run(1000)];
      if (state.get("state").data.join() !== "1100,2200") throw new Error("that many runs were not done");
      session.dispose();
      return { wasm: after.wasm - before.wasm, heap: after.heap - before.heap };
    });
    assert.equal(wasm, 0);
    assert.ok(heap < 0.5 * MIB, `the heap grew by ${heap} bytes`);
    await page.context().close();
  });
}

describe("WorkerSession", () => {
  test("gives its memory back when it is closed", async () => {
    const page = await open(browser, server);
    const open8 = async ({ Session, keys }) => {
      const open = () => Session.create("/fixtures/magika.pannier", { trust: { keys: keys.publisher } });
      globalThis.sessions = await Promise.all(Array.from({ length: 6 }, open));
      return (await globalThis.sessions[0].report()).memory.wasmBytes;
    };
    const idle = residentBytes();
    const wasmBytes = await call(page, "WorkerSession", open8);
    const busy = residentBytes();
    await page.evaluate(() => globalThis.sessions.forEach((session) => session.close()));
    let closed = residentBytes();
    for (let waited = 0; closed > busy - 5 * wasmBytes && waited < 100; waited += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      closed = residentBytes();
    }
    const report = `idle ${idle}, six sessions of ${wasmBytes} ${busy}, closed ${closed}`;
    assert.ok(busy - idle > 5 * wasmBytes, report);
    assert.ok(busy - closed > 5 * wasmBytes, report);
    await page.context().close();
  });

  test("ends what it is at when it is closed", async () => {
    const page = await open(browser, server);
    const codes = await call(page, "WorkerSession", async ({ Session, Tensor, keys, tensors, refusal }, inputs) => {
      const session = await Session.create("/fixtures/magika.pannier", { trust: { keys: keys.publisher } });
      const running = refusal(() => session.run(tensors(Tensor, inputs)));
      session.close();
      const afterwards = await refusal(() => session.run(tensors(Tensor, inputs)));
      return [(await running).code, afterwards.code];
    }, CASES.magika.inputs);
    assert.deepEqual(codes, ["E_INTERRUPTED", "E_USAGE"]);
    await page.context().close();
  });

  test("a run can be given up, and the next one is not confused by its answer", async () => {
    const page = await open(browser, server);
    const [code, answer] = await call(page, "WorkerSession", async ({ Session, Tensor, keys, refusal }) => {
      const session = await Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher } });
      const inputs = (value) => ({ x: new Tensor("float32", [value, value]), state: new Tensor("float32", [0, 0]) });
      const stop = new AbortController();
      const given = refusal(() => session.run(inputs(1), { signal: stop.signal }));
      stop.abort();
      const { next } = await session.run(inputs(2));
      session.close();
      return [(await given).code, [...next.data]];
    });
    assert.deepEqual([code, answer], ["E_INTERRUPTED", [2, 2]]);
    await page.context().close();
  });

  test("copies inputs, or takes them over where that is wished", async () => {
    const page = await open(browser, server);
    const sizes = await call(page, "WorkerSession", async ({ Session, Tensor, keys }) => {
      const session = await Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher } });
      const inputs = () => ({ x: new Tensor("float32", [1, 2]), state: new Tensor("float32", [3, 4]) });
      const [copied, transferred] = [inputs(), inputs()];
      await session.run(copied);
      const { next } = await session.run(transferred, { transfer: true });
      session.close();
      return [copied.x.data.length, transferred.x.data.length, [...next.data]];
    });
    assert.deepEqual(sizes, [2, 0, [4, 6]]);
    await page.context().close();
  });

  test("leaves the page's thread alone: no task of more than 50 ms", async () => {
    const page = await open(browser, server);
    const tasks = await call(page, "WorkerSession", async ({ init, Session, Tensor, keys, tensors }, inputs) => {
      // Compiling is asynchronous, but what Chromium does of it on this thread is Chromium's.
      await init();
      await new Promise((resolve) => setTimeout(resolve, 100));
      const tasks = [];
      const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration)));
      observer.observe({ entryTypes: ["longtask"] });
      const session = await Session.create("/fixtures/magika.pannier", { trust: { keys: keys.publisher } });
      for (let i = 0; i < 5; i += 1) await session.run(tensors(Tensor, inputs));
      session.close();
      const others = [...tasks];
      // That such a task would have been seen at all.
      const end = performance.now() + 80;
      while (performance.now() < end);
      await new Promise((resolve) => setTimeout(resolve, 100));
      tasks.push(...observer.takeRecords().map(({ duration }) => duration));
      return [others, tasks.length];
    }, CASES.magika.inputs);
    assert.deepEqual(tasks, [[], 1]);
    await page.context().close();
  });
});

/** Resident memory of the renderers that this browser has started, in bytes. */
function residentBytes() {
  const children = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const [, ppid] = /\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "latin1"));
      children.set(ppid, [...(children.get(ppid) ?? []), pid]);
    } catch {
      // It has ended meanwhile.
    }
  }
  const below = (pid) => (children.get(String(pid)) ?? []).flatMap((child) => [child, ...below(child)]);
  const sizes = below(process.pid).map((pid) => {
    try {
      const isRenderer = readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("--type=renderer");
      return isRenderer ? Number(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))[1]) * 1024 : 0;
    } catch {
      return 0;
    }
  });
  return sizes.reduce((sum, size) => sum + size, 0);
}
