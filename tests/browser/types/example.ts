// Compiled by `tsc --strict`, never run: what the types allow, and what they do not.
import { init, PannierError, Session, State, Tensor } from "@pannier/runtime";
import type { Description, ErrorCode, LoadOptions, NamedTensors, Progress, Report, Trust } from "@pannier/runtime";
import * as webgpu from "@pannier/runtime/webgpu";
import { WorkerSession } from "@pannier/runtime/worker";

const trusts: Trust[] = [{ keys: "PEM" }, { keys: ["PEM", "PEM"] }, { policy: "TOML" }, { allowUnsigned: true }];

export async function load(bytes: Uint8Array, signal: AbortSignal): Promise<Session[]> {
  await init();
  await init({ wasm: new URL("https://example.org/pannier-simd128.wasm"), tract: false });
  const onProgress = ({ phase, loadedBytes, totalBytes }: Progress): void => {
    const share: number | null = totalBytes === null ? null : loadedBytes / totalBytes;
    console.log(phase, share);
  };
  const [trust] = trusts;
  if (trust === undefined) throw new PannierError("E_USAGE", "no trust", { hint: "give one" });
  const options: LoadOptions = {
    trust,
    onProgress,
    signal,
    cache: "reload",
    retries: 2,
    selfTest: false,
    telemetry: { endpoint: new URL("https://collector.example"), headers: { authorization: "Bearer" }, serviceName: "till", resourceAttributes: { "pannier.site": "Halle 4" }, compression: "none", timeoutMs: 5000, intervalMs: 30_000 },
    limits: { memoryBytes: 1e8, contentBytes: 1e9, deadlineMs: 50, loadDeadlineMs: 10_000 },
  };
  return [await Session.create(bytes, options), await Session.create(bytes.buffer as ArrayBuffer, options), await WorkerSession.create("m.pannier", options)];
}

export async function run(session: Session, signal: AbortSignal): Promise<Float32Array> {
  using disposed = session;
  const x = new Tensor("float32", [1, 2, 3], [1, 3]);
  const floats: Float32Array = x.data;
  const ids = new Tensor("int64", new BigInt64Array(2));
  const flags = new Tensor("bool", [true, false]);
  const outputs: NamedTensors = await disposed.run({ x, ids, flags }, { signal, transfer: true });
  const state = new State();
  state.set("h", x);
  const carried: Tensor | undefined = state.get("h");
  await disposed.step(state, { x });
  await disposed.flushTelemetry();
  const { y } = outputs;
  if (y?.type === "float32" && y.data instanceof Float32Array) return y.data;
  const description: Description = disposed.describe();
  const report: Report = await disposed.report();
  const size: number | string | undefined = description.inputs[0]?.shape[0];
  const code: ErrorCode | undefined = report.rejected[0]?.code;
  console.log(report.engines.includes(report.engine), carried, size, code, report.selfTest?.largestDifference, disposed.metadata.envelope.deadlineMs, disposed.labels[0]?.[0]);
  return floats;
}

export async function onGpu(trust: Trust): Promise<webgpu.WebgpuReason | null> {
  const options: webgpu.WebgpuLoadOptions = { trust, engine: "auto", allowSoftwareAdapter: true, webgpu: "/pannier-webgpu-simd128.wasm", cache: true };
  using session: webgpu.Session = await webgpu.Session.create("m.pannier", options);
  const inWorker: webgpu.WorkerSession = await webgpu.WorkerSession.create("m.pannier", { trust });
  inWorker.close();
  await session.step(new webgpu.State(), { x: new webgpu.Tensor("float32", [1]) });
  const { adapter, rejected }: webgpu.Report = await session.report();
  console.log(adapter?.isSoftware, rejected[0]?.code);
  return rejected[0]?.reason ?? null;
}

export function refused(error: unknown): string {
  return error instanceof PannierError && error.code === "E_CORRUPT" ? (error.hint ?? error.message) : String(error);
}

// @ts-expect-error whom to trust has to be said
void Session.create("m.pannier", {});
// @ts-expect-error `false` decides nothing
void Session.create("m.pannier", { trust: { allowUnsigned: false } });
// @ts-expect-error one decision
void Session.create("m.pannier", { trust: { keys: "PEM", policy: "TOML" } });
// @ts-expect-error telemetry goes somewhere
void Session.create("m.pannier", { trust: { keys: "PEM" }, telemetry: {} });
// @ts-expect-error a misspelt option
void Session.create("m.pannier", { trust: { keys: "PEM" }, selftest: true });
// @ts-expect-error no such type
void new Tensor("float31", []);
// @ts-expect-error another array than the type's
void new Tensor("int64", new BigInt64Array(1)).data.fill(1);
// @ts-expect-error sessions are made by `create`
void new Session();
// @ts-expect-error only a worker can be closed
void ((session: Session) => session.close());
// @ts-expect-error no such engine
void webgpu.Session.create("m.pannier", { trust: { keys: "PEM" }, engine: "gpu" });
