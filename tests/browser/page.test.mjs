// A plain page and a worker, under a strict Content-Security-Policy.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CLASSES, call, launch, open } from "./harness/browser.mjs";
import { close } from "./harness/compare.mjs";
import { serve } from "./harness/server.mjs";
import { CASES } from "./harness/setting.mjs";

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

for (const name of Object.keys(CLASSES)) {
  const there = (work, argument) => call(page, name, work, argument);

  describe(name, () => {
    test("gives the reference answers of a real model and tells what it is", async () => {
      const { answers, description, report, metadata } = await there(async ({ Session, Tensor, keys, tensors, plain }, inputs) => {
        const session = await Session.create("/fixtures/magika.pannier", { trust: { keys: [keys.stranger, keys.publisher] } });
        const answers = plain(await session.run(tensors(Tensor, inputs)));
        const result = { answers, description: session.describe(), report: await session.report(), metadata: session.metadata };
        session.dispose();
        return result;
      }, CASES.magika.inputs);
      close(answers, CASES.magika.outputs);
      assert.equal(metadata.name, "magika");
      assert.equal(metadata.version, "1.0.0");
      assert.match(metadata.bundleId, /^[0-9a-f]{64}$/);
      assert.match(metadata.sha256, /^[0-9a-f]{64}$/);
      assert.equal(description.inputs[0].type, "int32");
      assert.equal(description.outputs.length, 1);
      assert.equal(report.engine, "executor", JSON.stringify(report.rejected));
      assert.deepEqual(report.engines, ["executor"]);
      assert.equal(report.flavour, "relaxed-simd");
      assert.equal(report.source, "network");
      assert.ok(report.selfTest.cases > 0);
      assert.deepEqual(report.signers.map(({ trusted }) => trusted), [true]);
      assert.ok(report.memory.weightBytes > 3e6 && report.memory.wasmBytes > report.memory.weightBytes);
      assert.ok(report.load.receiveMs > 0 && report.load.prepareMs > 0 && report.load.selfTestMs > 0);
    });

    test("takes a bundle in memory, whole or as a view of a part, and leaves it as it is", async () => {
      const answers = await there(async ({ Session, Tensor, keys, plain }) => {
        const bundle = await (await fetch("/fixtures/sum.pannier")).arrayBuffer();
        const padded = new Uint8Array(bundle.byteLength + 7);
        padded.set(new Uint8Array(bundle), 3);
        const results = [];
        for (const bytes of [bundle, new Uint8Array(bundle), padded.subarray(3, -4)]) {
          const session = await Session.create(bytes, { trust: { keys: keys.publisher } });
          const state = new Tensor("float32", [1, 2]);
          results.push(plain(await session.run({ x: new Tensor("float32", [3, 4]), state })));
          session.dispose();
        }
        return [results, bundle.byteLength > 0];
      });
      const next = { next: { type: "float32", dims: [2], data: [4, 6] } };
      assert.deepEqual(answers, [[next, next, next], true]);
    });

    test("carries the state of each stream, which an error does not change", async () => {
      const steps = await there(async ({ Session, State, Tensor, keys, refusal }) => {
        const session = await Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher } });
        const x = (a, b) => ({ x: new Tensor("float32", [a, b]) });
        const [first, second] = [new State(), new State()];
        const sums = [];
        const step = async (state, inputs) => sums.push([...(await session.step(state, inputs)).next.data]);
        await step(first, x(1, -1));
        await step(second, x(10, 10));
        await step(first, x(2, -2));
        await refusal(() => session.step(first, { x: new Tensor("float32", [1, 2, 3]) }));
        // What a caller does to an answer is not done to the state.
        (await session.step(second, x(1, 1))).next.data.fill(99);
        await step(second, x(1, 1));
        await step(first, x(3, -3));
        first.reset();
        await step(first, x(5, 5));
        first.set("state", new Tensor("float32", [100, 200]));
        await step(first, x(1, 1));
        const left = [...first.get("state").data];
        session.dispose();
        return [sums, left];
      });
      assert.deepEqual(steps, [[[1, -1], [10, 10], [3, -3], [12, 12], [6, -6], [5, 5], [101, 201]], [101, 201]]);
    });

    test("passes every element type through unchanged", async () => {
      const differences = await there(async ({ Session, Tensor, keys }) => {
        const session = await Session.create("/fixtures/types.pannier", { trust: { keys: keys.publisher } });
        const inputs = {};
        for (const { name, type } of session.inputs) {
          const isBig = type.endsWith("int64");
          inputs[name] = new Tensor(type, Array.from({ length: 6 }, (_, i) => (isBig ? BigInt(i) : type === "bool" ? i % 2 : i)), [2, 3]);
        }
        const outputs = await session.run(inputs);
        session.dispose();
        return session.inputs.filter(({ name, type }) => {
          const { data } = inputs[name];
          const out = outputs[name.replace("_in", "_out")];
          const transposed = [0, 3, 1, 4, 2, 5].map((index) => data[index]);
          return out.type !== type || out.dims.join() !== "3,2" || out.data.constructor !== data.constructor || out.data.join() !== transposed.join();
        });
      });
      assert.deepEqual(differences, []);
    });

    test("keeps two sessions apart, and what was given out", async () => {
      const result = await there(async ({ Session, State, Tensor, keys }) => {
        const trust = { keys: keys.publisher };
        const open = () => Session.create("/fixtures/sum.pannier", { trust });
        const [a, b] = await Promise.all([open(), open()]);
        const x = (value) => ({ x: new Tensor("float32", [value, value]) });
        const [stateA, stateB] = [new State(), new State()];
        const [{ next: kept }] = await Promise.all([a.step(stateA, x(1)), b.step(stateB, x(10))]);
        const [{ next: nextA }, { next: nextB }] = await Promise.all([a.step(stateA, x(1)), b.step(stateB, x(10))]);
        a.dispose();
        const { next: afterwards } = await b.step(stateB, x(10));
        b.dispose();
        const isFresh = kept.data.buffer.byteLength === 8;
        return [[...kept.data], [...nextA.data], [...nextB.data], [...afterwards.data], isFresh];
      });
      assert.deepEqual(result, [[1, 1], [2, 2], [20, 20], [30, 30], true]);
    });

    test("tells how far loading has come", async () => {
      const events = await there(async ({ Session, keys }) => {
        const events = [];
        const onProgress = (event) => events.push(event);
        const slowly = "/fixtures/magika.pannier?slow=8000000";
        (await Session.create(slowly, { trust: { keys: keys.publisher }, onProgress })).dispose();
        return events;
      });
      const phases = events.map(({ phase }) => phase).filter((phase, index, all) => phase !== all[index - 1]);
      assert.ok([["verify", "download", "prepare", "self-test"], ["download", "verify", "download", "prepare", "self-test"]].some((wanted) => wanted.join() === phases.join()), phases.join());
      const loaded = events.map(({ loadedBytes }) => loadedBytes);
      assert.deepEqual(loaded, loaded.toSorted((a, b) => a - b));
      const { totalBytes, loadedBytes, source } = events.at(-1);
      assert.equal(loadedBytes, totalBytes);
      assert.equal(source, "network");
      assert.ok(events.filter(({ phase }) => phase === "download").length > 3);
    });

    const refusals = [
      ["no decision whom to trust", "E_USAGE", async ({ Session }) => Session.create("/fixtures/sum.pannier")],
      ["two decisions whom to trust", "E_USAGE", async ({ Session, keys }) => Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher, allowUnsigned: true } })],
      ["`allowUnsigned: false`", "E_USAGE", async ({ Session }) => Session.create("/fixtures/sum.pannier", { trust: { allowUnsigned: false } })],
      ["a misspelt option", "E_USAGE", async ({ Session, keys }) => Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher }, selftest: false })],
      ["a misspelt limit", "E_USAGE", async ({ Session, keys }) => Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher }, limits: { memory: 1 } })],
      ["something that is no address", "E_USAGE", async ({ Session, keys }) => Session.create("http://", { trust: { keys: keys.publisher } })],
      ["an unsigned bundle, with a key", "E_UNSIGNED", async ({ Session, keys }) => Session.create("/fixtures/unsigned.pannier", { trust: { keys: keys.publisher } })],
      ["another key", "E_UNTRUSTED_KEY", async ({ Session, keys }) => Session.create("/fixtures/sum.pannier", { trust: { keys: keys.stranger } })],
      ["a key that is none", "E_INVALID_KEY", async ({ Session }) => Session.create("/fixtures/sum.pannier", { trust: { keys: "key" } })],
      ["a policy that is none", "E_INVALID_POLICY", async ({ Session }) => Session.create("/fixtures/sum.pannier", { trust: { policy: "roles = 3" } })],
      ["too little memory for the weights", "E_MEMORY_BUDGET", async ({ Session, keys }) => Session.create("/fixtures/magika.pannier", { trust: { keys: keys.publisher }, limits: { memoryBytes: 1_000_000 } })],
      ["too much content", "E_LIMIT", async ({ Session, keys }) => Session.create("/fixtures/magika.pannier", { trust: { keys: keys.publisher }, limits: { contentBytes: 1_000_000 } })],
      ["too little time for loading", "E_DEADLINE", async ({ Session, keys }) => Session.create("/fixtures/magika.pannier", { trust: { keys: keys.publisher }, limits: { loadDeadlineMs: 0.01 } })],
      ["too little time for a run", "E_DEADLINE", async ({ Session, Tensor, tensors, keys }, { magika }) => {
        const session = await Session.create("/fixtures/magika.pannier", { trust: { keys: keys.publisher }, limits: { deadlineMs: 0.01 } });
        await session.run(tensors(Tensor, magika.inputs));
      }],
      ["a missing input", "E_INVALID_INPUT", async ({ Session, Tensor, keys }) => {
        const session = await Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher } });
        await session.run({ x: new Tensor("float32", [1, 2]) });
      }],
      ["an unknown input", "E_INVALID_INPUT", async ({ Session, State, Tensor, keys }) => {
        const session = await Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher } });
        await session.step(new State(), { x: new Tensor("float32", [1, 2]), y: new Tensor("float32", [1, 2]) });
      }],
      ["an input of another type", "E_INVALID_INPUT", async ({ Session, State, Tensor, keys }) => {
        const session = await Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher } });
        await session.step(new State(), { x: new Tensor("int32", [1, 2]) });
      }],
      ["an array where a tensor is wanted", "E_INVALID_INPUT", async ({ Session, State, keys }) => {
        const session = await Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher } });
        await session.step(new State(), { x: new Float32Array(2) });
      }],
      ["a tensor whose shape takes more elements", "E_INVALID_INPUT", async ({ Tensor }) => new Tensor("float32", [1, 2], [3])],
      ["an array of another type than the tensor's", "E_INVALID_INPUT", async ({ Tensor }) => new Tensor("float32", new Float64Array(2))],
      ["a misspelt option of a run", "E_USAGE", async ({ Session, State, Tensor, keys }) => {
        const session = await Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher } });
        await session.step(new State(), { x: new Tensor("float32", [1, 2]) }, { singal: null });
      }],
      ["a session that was disposed of", "E_USAGE", async ({ Session, State, Tensor, keys }) => {
        const session = await Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher } });
        session.dispose();
        await session.step(new State(), { x: new Tensor("float32", [1, 2]) });
      }],
    ];
    for (const [what, code, work] of refusals) {
      test(`refuses ${what}: ${code}`, async () => {
        const error = await there(`async (api, argument) => api.refusal(() => (${work})(api, argument))`, CASES);
        assert.equal(error.name, "PannierError", error.message);
        assert.equal(error.code, code, error.message);
        assert.ok(error.message.length > 10);
      });
    }

    test("takes an unsigned bundle from whoever says so, and skips the self-test likewise", async () => {
      const report = await there(async ({ Session }) => {
        const session = await Session.create("/fixtures/unsigned.pannier", { trust: { allowUnsigned: true }, selfTest: false });
        return session.report();
      });
      assert.deepEqual(report.signers, []);
      assert.equal(report.selfTest, null);
    });

    test("follows a trust policy", async () => {
      const outcome = await there(async ({ Session, keys, refusal }, policies) => {
        const open = (policy) => Session.create("/fixtures/sum.pannier", { trust: { policy } });
        (await open(policies.good)).dispose();
        return refusal(() => open(policies.strict));
      }, CASES.policies);
      assert.equal(outcome.code, "E_DOWNGRADE");
    });
  });
}

test("nothing went wrong unnoticed, the policy was not violated", () => {
  assert.deepEqual(page.problems, []);
});
