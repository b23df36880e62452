// The GPU in a page: which engine runs a model, and what becomes of it when there is no GPU, or one that fails. The GPU of these
// tests is a program on the CPU, SwiftShader: it says whether answers are right, and nothing of how fast a GPU is.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { WEBGPU, WEBGPU_CLASSES, call as callWith, launch, open } from "./harness/browser.mjs";
import { close } from "./harness/compare.mjs";
import { receive } from "./harness/receiver.mjs";
import { serve } from "./harness/server.mjs";
import { CASES } from "./harness/setting.mjs";

const MIB = 1 << 20;
const GPU = "/npm/wasm/pannier-webgpu-simd128.wasm";
const CPU = "/npm/wasm/pannier-relaxed-simd.wasm";

const call = (page, name, work, argument) => callWith(page, name, work, argument, WEBGPU_CLASSES);

let server, browser, plain;
before(async () => {
  // A page with a policy has to name the receiver of telemetry in it.
  server = await serve({}, { connect: "http://127.0.0.1:*" });
  [browser, plain] = [await launch(WEBGPU), await launch()];
});
after(async () => {
  await browser?.close();
  await plain?.close();
  await server?.close();
});

/** `y = x * w + x`, where `w` counts to 6 again and again: little to compute, because this GPU takes its time. */
const X = Array.from({ length: 128 * 128 }, (_, index) => index % 5);
const SCALED = {
  bundle: "/fixtures/scaled.pannier",
  inputs: { x: { type: "float32", dims: [128, 128], data: X } },
  outputs: { y: { type: "float32", dims: [128, 128], data: X.map((x, index) => x * (index % 7) + x) } },
};

/**
 * Loads a model in a fresh page, runs it twice, and tells what answered, or why nothing did.
 *
 * @param settle is done in the page first, before anything of the package is there
 * @param between is done between two runs
 */
async function run({ name = "Session", browser: where = browser, model = SCALED, options = {}, settle = () => {}, between = () => {} } = {}) {
  server.log.length = 0;
  const page = await open(where, server);
  try {
    await page.evaluate(settle);
    const result = await call(page, name, `async ({ Session, Tensor, keys, tensors, plain }, { bundle, inputs, options }) => {
      const events = [];
      const onProgress = (event) => events.push(event);
      let session;
      try {
        session = await Session.create(bundle, { trust: { keys: keys.publisher }, onProgress, ...options });
      } catch ({ name, code, message, reason }) {
        return { error: { name, code, message, reason } };
      }
      const first = plain(await session.run(tensors(Tensor, inputs)));
      await (${between})(session);
      const second = plain(await session.run(tensors(Tensor, inputs)));
      const report = await session.report();
      session.dispose();
      return { first, second, report, events };
    }`, { bundle: model.bundle, inputs: model.inputs, options });
    const asked = server.log.map(({ path }) => path).filter((path) => /\.(wasm|pannier)$/.test(path));
    return { ...result, model, asked, problems: page.problems };
  } finally {
    await page.context().close();
  }
}

/** That the model ran on the GPU from the first to the last. */
function onGpu({ error, model, first, second, report }) {
  assert.equal(error, undefined, error?.message);
  close(first, model.outputs);
  close(second, model.outputs);
  assert.equal(report.engine, "webgpu", JSON.stringify(report.rejected));
  assert.deepEqual(report.rejected, []);
}

/** That the CPU answered, and that the report says for which reason. */
function onCpu({ error, model, first, second, report }, reason, code = "E_FAILED") {
  assert.equal(error, undefined, error?.message);
  close(first, model.outputs);
  close(second, model.outputs);
  assert.equal(report.engine, "executor", JSON.stringify(report.rejected));
  assert.deepEqual(report.engines, ["webgpu", "executor"]);
  assert.deepEqual(report.rejected.map((it) => [it.engine, it.reason, it.code]), [["webgpu", reason, code]], report.rejected[0]?.message);
  assert.ok(report.rejected[0].message.length > 10);
}

const SOFTWARE = { allowSoftwareAdapter: true };

for (const name of Object.keys(WEBGPU_CLASSES)) {
  describe(`${name} of ./webgpu`, () => {
    test("runs a model on the GPU, with the golden cases as self-test and without the CPU's module", async () => {
      const found = await run({ name, options: SOFTWARE });
      onGpu(found);
      const { report, asked, problems, events } = found;
      assert.ok(report.selfTest.cases > 0);
      assert.equal(report.adapter.vendor, "google");
      assert.equal(report.adapter.isSoftware, true);
      assert.equal(report.source, "network");
      assert.deepEqual(asked, [GPU, "/fixtures/scaled.pannier"]);
      assert.deepEqual(problems, []);
      const phases = events.map(({ phase }) => phase).filter((phase, index, all) => phase !== all[index - 1]);
      assert.deepEqual(phases.slice(-3), ["prepare", "self-test", "compile"]);
      const compiled = events.filter(({ phase }) => phase === "compile").map(({ operators }) => operators);
      assert.deepEqual(compiled, [{ done: 1, total: 2 }, { done: 2, total: 2 }]);
      assert.ok(events.every(({ phase, operators }) => (operators !== undefined) === (phase === "compile")));
    });

    test("takes the CPU where there is no adapter, and fetches nothing for GPUs", async () => {
      const found = await run({ name, browser: plain });
      onCpu(found, "no-adapter");
      assert.equal(found.report.adapter, null);
      assert.deepEqual(found.asked, [CPU, "/fixtures/scaled.pannier"]);
    });

    test("takes the CPU where the adapter is a program on the CPU, unless it is allowed", async () => {
      const found = await run({ name });
      onCpu(found, "software-adapter");
      assert.deepEqual(found.asked, [CPU, "/fixtures/scaled.pannier"]);
    });

    test("refuses with the reason where it may not take the CPU", async () => {
      const cases = [[plain, {}, "no-adapter"], [browser, {}, "software-adapter"]];
      for (const [where, options, reason] of cases) {
        const { error } = await run({ name, browser: where, options: { engine: "webgpu", ...options } });
        assert.deepEqual([error.name, error.code, error.reason], ["PannierError", "E_FAILED", reason], error.message);
      }
    });

    test("never looks for a GPU where the CPU was asked for", async () => {
      const { first, report, asked } = await run({ name, options: { engine: "cpu", ...SOFTWARE } });
      close(first, SCALED.outputs);
      assert.deepEqual([report.engine, report.rejected, report.adapter], ["executor", [], null]);
      assert.deepEqual(asked, [CPU, "/fixtures/scaled.pannier"]);
    });
  });
}

/** Keeps devices where tests can reach them. */
const keepDevices = () => {
  globalThis.devices = [];
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (descriptor) {
    const device = await requestDevice.call(this, descriptor);
    globalThis.devices.push(device);
    return device;
  };
};

describe("a GPU that fails", () => {
  test("between two runs: the CPU answers the second, of the bundle that was fetched once", async () => {
    const found = await run({
      options: SOFTWARE,
      settle: keepDevices,
      between: async () => {
        globalThis.devices.forEach((device) => device.destroy());
        await Promise.all(globalThis.devices.map(({ lost }) => lost));
      },
    });
    onCpu(found, "device-lost");
    assert.equal(found.report.source, "network");
    assert.deepEqual(found.asked, [GPU, "/fixtures/scaled.pannier", CPU]);
  });

  test("in the middle of several runs: each is answered, and rightly", async () => {
    const page = await open(browser, server);
    await page.evaluate(keepDevices);
    const { answers, report } = await call(page, "Session", async ({ Session, Tensor, keys, tensors, plain }, inputs) => {
      const trust = { keys: keys.publisher };
      const session = await Session.create("/fixtures/scaled.pannier", { trust, allowSoftwareAdapter: true });
      const running = Array.from({ length: 4 }, () => session.run(tensors(Tensor, inputs)));
      await new Promise((resolve) => setTimeout(resolve, 5));
      globalThis.devices.forEach((device) => device.destroy());
      const answers = (await Promise.all(running)).map(plain);
      answers.push(plain(await session.run(tensors(Tensor, inputs))));
      return { answers, report: await session.report() };
    }, SCALED.inputs);
    assert.equal(answers.length, 5);
    answers.forEach((answer) => close(answer, SCALED.outputs));
    assert.equal(report.engine, "executor");
    assert.equal(report.rejected[0].reason, "device-lost", report.rejected[0].message);
    await page.context().close();
  });

  test("is an error where it may not be replaced", async () => {
    const page = await open(browser, server);
    await page.evaluate(keepDevices);
    const refusals = await call(page, "Session", async ({ Session, Tensor, keys, tensors }, inputs) => {
      const options = { trust: { keys: keys.publisher }, engine: "webgpu", allowSoftwareAdapter: true };
      const session = await Session.create("/fixtures/scaled.pannier", options);
      globalThis.devices.forEach((device) => device.destroy());
      const refused = ({ name, code, reason }) => [name, code, reason];
      return Promise.all([1, 2].map(() => session.run(tensors(Tensor, inputs)).then(() => "an answer", refused)));
    }, SCALED.inputs);
    assert.deepEqual(refusals, [1, 2].map(() => ["PannierError", "E_FAILED", "device-lost"]));
    await page.context().close();
  });

  test("while loading: the CPU loads what was fetched", async () => {
    const found = await run({
      options: SOFTWARE,
      settle: () => {
        const { requestDevice } = GPUAdapter.prototype;
        GPUAdapter.prototype.requestDevice = async function (descriptor) {
          const device = await requestDevice.call(this, descriptor);
          device.destroy();
          return device;
        };
      },
    });
    onCpu(found, "device-lost");
    assert.equal(found.asked.filter((path) => path.endsWith(".pannier")).length, 1);
  });

  test("that gives no device", async () => {
    const settle = () => {
      GPUAdapter.prototype.requestDevice = async () => {
        throw new DOMException("none left", "OperationError");
      };
    };
    onCpu(await run({ options: SOFTWARE, settle }), "failed");
  });

  test("whose limits are below what the model needs", async () => {
    const settle = () => {
      const { requestDevice } = GPUAdapter.prototype;
      GPUAdapter.prototype.requestDevice = async function ({ requiredLimits, ...descriptor }) {
        const device = await requestDevice.call(this, { ...descriptor, requiredLimits });
        const { limits } = device;
        const small = { maxBufferSize: 1 << 20, maxStorageBufferBindingSize: 1 << 20 };
        Object.defineProperty(device, "limits", { value: new Proxy(limits, { get: (_, name) => small[name] ?? limits[name] }) });
        return device;
      };
    };
    const model = { bundle: "/fixtures/magika.pannier", ...CASES.magika };
    onCpu(await run({ model, options: SOFTWARE, settle }), "limits", "E_MEMORY_BUDGET");
  });

  test("that computes wrongly: the golden cases find it, and the answers are right", async () => {
    const settle = () => {
      const { createShaderModule } = GPUDevice.prototype;
      GPUDevice.prototype.createShaderModule = function (descriptor) {
        // Every sum of two numbers becomes a difference.
        const code = descriptor.code.replaceAll(/ \+ /g, " - ");
        return createShaderModule.call(this, { ...descriptor, code });
      };
    };
    onCpu(await run({ options: SOFTWARE, settle }), "wrong-answers", "E_ACCURACY");
  });

  test("that has no memory left", async () => {
    const found = await run({
      options: SOFTWARE,
      settle: keepDevices,
      between: () => {
        // As the browser tells of an allocation that failed.
        const error = new GPUOutOfMemoryError("Out of memory: 4 GiB of buffers");
        globalThis.devices.forEach((device) => device.dispatchEvent(new GPUUncapturedErrorEvent("uncapturederror", { error })));
      },
    });
    onCpu(found, "limits");
    assert.match(found.report.rejected[0].message, /out of memory/i);
  });

  test("whose browser never answers: not when an adapter is asked for, and not when a device is", async () => {
    const silences = {
      adapter: () => (GPU.prototype.requestAdapter = () => new Promise(() => {})),
      device: () => (GPUAdapter.prototype.requestDevice = () => new Promise(() => {})),
    };
    for (const [what, silence] of Object.entries(silences)) {
      // Evaluated as it is, because it is a text.
      const settle = `(() => {
        (${silence})();
        // Tens of seconds, in a moment.
        const { setTimeout } = globalThis;
        globalThis.setTimeout = (work, ms, ...more) => setTimeout(work, ms >= 10_000 ? 100 : ms, ...more);
      })()`;
      const found = await run({ options: SOFTWARE, settle });
      onCpu(found, what === "adapter" ? "no-adapter" : "failed");
      assert.match(found.report.rejected[0].message, new RegExp(`no ${what} within`));
    }
  });

  test("that does not answer in the time that loading may take", async () => {
    const settle = () => (GPUAdapter.prototype.requestDevice = () => new Promise(() => {}));
    const { error } = await run({ options: { ...SOFTWARE, limits: { loadDeadlineMs: 3000 } }, settle });
    assert.equal(error.code, "E_DEADLINE", error.message);
  });

  test("whose module is not deployed", async () => {
    const found = await run({ options: { ...SOFTWARE, webgpu: "/npm/wasm/none.wasm" } });
    onCpu(found, "no-module", "E_INPUT_MISSING");
    assert.match(found.report.rejected[0].message, /none\.wasm.*404/);
  });
});

/** Counts what is asked of devices, in `globalThis.asked`. */
const countCalls = () => {
  const asked = (globalThis.asked = { pipelines: 0, downloads: 0, uploadedBytes: 0 });
  const before = (prototype, name, note) => {
    const original = prototype[name];
    prototype[name] = function (...given) {
      note(...given);
      return original.apply(this, given);
    };
  };
  for (const name of ["createComputePipeline", "createComputePipelineAsync", "createShaderModule"]) {
    before(GPUDevice.prototype, name, () => (asked.pipelines += 1));
  }
  before(GPUBuffer.prototype, "mapAsync", () => (asked.downloads += 1));
  before(GPUQueue.prototype, "writeBuffer", (buffer, at, data) => (asked.uploadedBytes += data.byteLength));
};

describe("a run", () => {
  test("compiles nothing, brings its inputs up and its outputs down, and nothing else", async () => {
    const page = await open(browser, server);
    await page.evaluate(countCalls);
    const { opened, runs } = await call(page, "Session", async ({ Session, Tensor, keys, tensors }, inputs) => {
      const options = { trust: { keys: keys.publisher }, engine: "webgpu", allowSoftwareAdapter: true };
      const session = await Session.create("/fixtures/scaled.pannier", options);
      const opened = { ...globalThis.asked };
      const runs = [];
      for (let turn = 0; turn < 3; turn += 1) {
        Object.assign(globalThis.asked, { pipelines: 0, downloads: 0, uploadedBytes: 0 });
        await session.run(tensors(Tensor, inputs));
        runs.push({ ...globalThis.asked });
      }
      return { opened, runs };
    }, SCALED.inputs);
    await page.context().close();
    assert.ok(opened.pipelines > 0, "it was compiled when it was opened");
    const inputBytes = 4 * X.length;
    for (const { pipelines, downloads, uploadedBytes } of runs) {
      assert.deepEqual({ pipelines, downloads }, { pipelines: 0, downloads: 1 });
      // Shapes and strides go along, and no weights.
      assert.ok(uploadedBytes >= inputBytes && uploadedBytes < inputBytes + 4096, `${uploadedBytes} bytes of ${inputBytes}`);
    }
  });
});

for (const name of Object.keys(WEBGPU_CLASSES)) {
  describe(`telemetry of ${name}`, () => {
    /** Runs twice, sends a window, lets the GPU go if that is wanted, runs again, and sends another. */
    const windows = async (where, isLost) => {
      const receiver = await receive();
      const page = await open(where, server);
      try {
        await page.evaluate(keepDevices);
        await call(page, name, async ({ Session, Tensor, keys, tensors }, { inputs, endpoint, isLost }) => {
          const telemetry = { endpoint, intervalMs: 3_600_000 };
          const session = await Session.create("/fixtures/scaled.pannier", { trust: { keys: keys.publisher }, allowSoftwareAdapter: true, telemetry });
          const run = () => session.run(tensors(Tensor, inputs));
          await run();
          // A window that is ended while a run is at it waits for that.
          await Promise.all([run(), session.flushTelemetry()]);
          if (isLost) globalThis.devices.forEach((device) => device.destroy());
          await run();
          await session.flushTelemetry();
        }, { inputs: SCALED.inputs, endpoint: receiver.url, isLost });
        return await receiver.taken(2);
      } finally {
        await page.context().close();
        await receiver.close();
      }
    };
    const runsOf = ({ sessions }) => sessions.map(({ durations }) => durations.map(({ engine, error, count }) => [engine, error, count]));

    test("tells of runs on the GPU", async () => {
      const [one, two] = await windows(browser, false);
      assert.deepEqual(runsOf(one), [[["webgpu", undefined, 2]]]);
      assert.deepEqual(runsOf(two), [[["webgpu", undefined, 3]]]);
      assert.equal(one.resource["pannier.target"], "browser");
      assert.equal(one.startNs, two.startNs);
    });

    test("tells of runs on the CPU where there is no GPU", async () => {
      const [, two] = await windows(plain, false);
      assert.deepEqual(runsOf(two), [[["executor", undefined, 3]]]);
    });

    if (name === "Session") {
      test("tells of both where the CPU takes over: what failed there, and counts that begin anew here", async () => {
        const [, two] = await windows(browser, true);
        assert.deepEqual(runsOf(two), [[["webgpu", undefined, 2], ["webgpu", "E_FAILED", 1]], [["executor", undefined, 1]]]);
        const [gone, current] = two.sessions.map(({ durations: [{ startNs, timeNs }] }) => ({ startNs, timeNs }));
        assert.ok(gone.startNs < gone.timeNs && gone.timeNs <= current.startNs && current.startNs < current.timeNs);
        assert.deepEqual(two.sessions.map(({ metrics }) => metrics.includes("pannier.telemetry.failed")), [false, true], "what was delivered is told once");
      });
    }
  });
}

describe("functions of numbers far from 0", () => {
  test("end at their limits, with no infinity or NaN on the way", async () => {
    const sizes = [0, 1e-4, 0.5, 3, 9, 13, 43, 44.5, 87, 88, 89.5, 104, 128, 710, 1e3, 1e4];
    const x = sizes.flatMap((size) => [size, -size]);
    const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
    const geluTanh = (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    // Near 0 its series, beyond it the limit.
    const erf = (x) => (Math.abs(x) < 1 ? (2 / Math.sqrt(Math.PI)) * (x - x ** 3 / 3 + x ** 5 / 10 - x ** 7 / 42 + x ** 9 / 216 - x ** 11 / 1320) : Math.sign(x));
    const functions = {
      Asinh: Math.asinh,
      Elu: (x) => (x > 0 ? x : Math.expm1(x)),
      Erf: erf,
      Exp: Math.exp,
      HardSwish: (x) => x * Math.min(Math.max(x / 6 + 0.5, 0), 1),
      Mish: (x) => x * Math.tanh(softplus(x)),
      Sigmoid: (x) => 1 / (1 + Math.exp(-x)),
      // Of all of them together: the largest has everything.
      Softmax: (x) => Number(x === 1e4),
      Softplus: softplus,
      Tanh: Math.tanh,
      Gelu: geluTanh,
    };
    const page = await open(browser, server);
    const found = await call(page, "Session", async ({ Session, Tensor, keys, plain }, x) => {
      const options = { trust: { keys: keys.publisher }, engine: "webgpu", allowSoftwareAdapter: true, selfTest: false };
      const session = await Session.create("/fixtures/far.pannier", options);
      return plain(await session.run({ x: new Tensor("float32", x, [1, x.length]) }));
    }, x);
    await page.context().close();
    const near = (a, b) => a === b || Math.abs(a - b) <= 1e-4 + 1e-3 * Math.abs(b);
    const wrong = Object.entries(functions).flatMap(([name, compute]) => {
      const pairs = x.map((x, index) => [x, found[name].data[index], Math.fround(compute(x))]);
      return pairs.filter(([, answer, expected]) => !near(answer, expected)).map((pair) => [name, ...pair]);
    });
    assert.deepEqual(wrong, []);
  });
});

describe("what is no matter of GPUs", () => {
  const refusals = [
    ["another key", "E_UNTRUSTED_KEY", async ({ Session, keys }) => Session.create("/fixtures/sum.pannier", { trust: { keys: keys.stranger }, allowSoftwareAdapter: true })],
    ["a bundle that is not there", "E_INPUT_MISSING", async ({ Session, keys }) => Session.create("/fixtures/none.pannier", { trust: { keys: keys.publisher }, allowSoftwareAdapter: true })],
    ["a broken bundle", "E_CORRUPT", async ({ Session, keys }) => Session.create("/fixtures/magika.pannier?tamper=900000", { trust: { keys: keys.publisher }, allowSoftwareAdapter: true })],
    ["an input that does not fit", "E_INVALID_INPUT", async ({ Session, Tensor, keys }) => {
      const session = await Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher }, allowSoftwareAdapter: true });
      await session.run({ x: new Tensor("float32", [1, 2, 3]), state: new Tensor("float32", [1, 2]) });
    }],
    ["no such engine", "E_USAGE", async ({ Session, keys }) => Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher }, engine: "gpu" })],
  ];
  for (const [what, code, work] of refusals) {
    test(`is refused as ever: ${what}, ${code}`, async () => {
      const page = await open(browser, server);
      const error = await call(page, "Session", `async (api) => api.refusal(() => (${work})(api))`);
      assert.deepEqual([error.name, error.code], ["PannierError", code], error.message);
      await page.context().close();
    });
  }
});

describe("sessions", () => {
  test("give their device back when they are disposed of, after the runs that have begun, and no other", async () => {
    const page = await open(browser, server);
    await page.evaluate(keepDevices);
    const result = await call(page, "Session", async ({ Session, Tensor, keys, tensors, plain }, inputs) => {
      const open = () => Session.create("/fixtures/scaled.pannier", { trust: { keys: keys.publisher }, engine: "webgpu", allowSoftwareAdapter: true });
      const [a, b] = [await open(), await open()];
      const lost = globalThis.devices.map((device) => device.lost.then(({ reason }) => reason));
      const late = () => new Promise((resolve) => setTimeout(resolve, 10_000, "it is still there"));
      const running = a.run(tensors(Tensor, inputs));
      a.dispose();
      const answers = [plain(await running)];
      const first = await Promise.race([lost[0], late()]);
      answers.push(plain(await b.run(tensors(Tensor, inputs))));
      b.dispose();
      return { answers, lost: [first, await Promise.race([lost[1], late()])] };
    }, SCALED.inputs);
    result.answers.forEach((answer) => close(answer, SCALED.outputs));
    assert.deepEqual(result.lost, ["destroyed", "destroyed"]);
    assert.deepEqual(page.problems, []);
    await page.context().close();
  });

  test("that are refused keep no device", async () => {
    const page = await open(browser, server);
    await page.evaluate(keepDevices);
    const lost = await call(page, "Session", async ({ Session }) => {
      const options = { trust: { allowUnsigned: true }, allowSoftwareAdapter: true, engine: "webgpu" };
      const code = await Session.create("/fixtures/wrong.pannier", options).then(() => "a session", ({ code }) => code);
      const late = new Promise((resolve) => setTimeout(resolve, 10_000, "it is still there"));
      return [code, await Promise.race([globalThis.devices[0].lost.then(({ reason }) => reason), late])];
    });
    assert.deepEqual(lost, ["E_ACCURACY", "destroyed"]);
    await page.context().close();
  });

  test("two at once, each with a device of its own, and one that goes takes nothing from the other", async () => {
    const page = await open(browser, server);
    const result = await call(page, "Session", async ({ Session, State, Tensor, keys }) => {
      const open = () => Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher }, allowSoftwareAdapter: true });
      const [a, b] = await Promise.all([open(), open()]);
      const x = (value) => ({ x: new Tensor("float32", [value, value]) });
      const [stateA, stateB] = [new State(), new State()];
      const sums = [];
      for (let turn = 0; turn < 3; turn += 1) {
        const [one, other] = await Promise.all([a.step(stateA, x(1)), b.step(stateB, x(10))]);
        sums.push([...one.next.data, ...other.next.data]);
      }
      const engines = [(await a.report()).engine, (await b.report()).engine];
      a.dispose();
      const { next } = await b.step(stateB, x(10));
      return { sums, engines, afterwards: [...next.data] };
    });
    assert.deepEqual(result, { sums: [[1, 1, 10, 10], [2, 2, 20, 20], [3, 3, 30, 30]], engines: ["webgpu", "webgpu"], afterwards: [40, 40] });
    await page.context().close();
  });

  test("a run can be given up, and the next one is not confused by its answer", async () => {
    const page = await open(browser, server);
    const outcomes = await call(page, "Session", async ({ Session, Tensor, keys }) => {
      const session = await Session.create("/fixtures/sum.pannier", { trust: { keys: keys.publisher }, engine: "webgpu", allowSoftwareAdapter: true });
      const inputs = (value) => ({ x: new Tensor("float32", [value, value]), state: new Tensor("float32", [0, 0]) });
      const stop = new AbortController();
      const given = session.run(inputs(1), { signal: stop.signal }).then(() => "an answer", ({ code }) => code);
      stop.abort();
      const { next } = await session.run(inputs(2));
      return [await given, [...next.data]];
    });
    assert.deepEqual(outcomes, ["E_INTERRUPTED", [2, 2]]);
    await page.context().close();
  });

  test("a hundred runs take no more memory than ten", async () => {
    const page = await open(browser, server);
    const { wasm, heap } = await call(page, "Session", async ({ Session, Tensor, keys, tensors }, inputs) => {
      const session = await Session.create("/fixtures/scaled.pannier", { trust: { keys: keys.publisher }, allowSoftwareAdapter: true });
      const run = async (times) => {
        for (let i = 0; i < times; i += 1) await session.run(tensors(Tensor, inputs));
        globalThis.gc();
        return { wasm: (await session.report()).memory.wasmBytes, heap: performance.memory.usedJSHeapSize };
      };
      const [before, after] = [await run(10), await run(100)];
      if ((await session.report()).engine !== "webgpu") throw new Error("it was not the GPU");
      return { wasm: after.wasm - before.wasm, heap: after.heap - before.heap };
    }, SCALED.inputs);
    assert.equal(wasm, 0);
    assert.ok(heap < MIB, `the heap grew by ${heap} bytes`);
    await page.context().close();
  });

  test("no run waits for the page to be drawn, which a page that nobody sees never is", async () => {
    const page = await open(browser, server);
    const first = await call(page, "Session", async ({ Session, Tensor, keys, tensors, plain }, inputs) => {
      globalThis.requestAnimationFrame = globalThis.requestIdleCallback = () => 0;
      const session = await Session.create("/fixtures/scaled.pannier", { trust: { keys: keys.publisher }, engine: "webgpu", allowSoftwareAdapter: true });
      return plain(await session.run(tensors(Tensor, inputs)));
    }, SCALED.inputs);
    close(first, SCALED.outputs);
    await page.context().close();
  });
});
