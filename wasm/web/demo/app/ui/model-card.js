import { element } from "./elements.js";
import { count, duration, size } from "./format.js";

const SOURCES = { network: "over the network", cache: "from this browser's cache", file: "from a file", memory: "from memory" };

/** Shows a model: how far loading has come, then who signed it and what it takes. */
export function modelCard(model) {
  const title = element("strong", {}, model.name);
  const status = element("span", { class: "state" });
  const bar = element("progress", { max: 1, value: 0, "aria-label": `Loading ${model.name}` });
  const body = element("div");
  const card = element("div", { class: "model" }, element("div", { class: "head" }, title, status), bar, body);

  const draw = () => {
    card.dataset.state = model.state;
    status.textContent = stateOf(model);
    bar.hidden = model.state !== "loading";
    bar.value = model.progress?.totalBytes ? model.progress.loadedBytes / model.progress.totalBytes : 0;
    body.replaceChildren(...(model.state === "ready" ? [facts(model)] : []));
  };
  model.addEventListener("change", draw);
  draw();
  return card;
}

function stateOf({ state, progress, isVerified, metadata, error }) {
  if (state === "ready") return `version ${metadata.version}, ready`;
  if (state === "failed") return `not loaded: ${error.code}`;
  if (state === "idle") return "loads when it is needed";
  if (progress === null) return "asking for it";
  if (progress.phase === "prepare") return "preparing";
  if (progress.phase === "self-test") return "testing itself on known answers";
  if (progress.phase === "compile") return `compiling for the GPU, ${progress.operators.done} of ${progress.operators.total} operators`;
  const total = progress.totalBytes === null ? "" : ` of ${size(progress.totalBytes)}`;
  const checked = isVerified ? "signature checked, every part verified" : "checking the signature";
  return `${size(progress.loadedBytes)}${total}, ${checked}`;
}

function facts({ report, lastRunMs }) {
  const { load, memory, selfTest } = report;
  const rows = [
    ["Signed by", report.signers.map(signer).join(", ") || "nobody"],
    ["Engine", `${report.engine}, ${report.adapter ? adapterName(report.adapter) : report.flavour}`],
    ...report.rejected.map(({ engine, message }) => [engine === "webgpu" ? "Not the GPU" : `Not ${engine}`, message]),
    ["Loaded", `${SOURCES[report.source]} in ${duration(load.receiveMs)}, of which ${duration(load.verifyMs)} verifying`],
    ["Made ready", `in ${duration(load.prepareMs + load.selfTestMs)}${selfTest ? `, ${count(selfTest.cases, "known answer", "known answers")} met` : ""}`],
    ["Memory", `${size(memory.wasmBytes)}, of which weights ${size(memory.weightBytes)}`],
  ];
  if (lastRunMs !== null) rows.push(["Last run", duration(lastRunMs)]);
  return element("dl", {}, ...rows.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

function adapterName({ vendor, architecture, device }) {
  return [vendor, architecture, device].filter((part) => part !== "").join(" ") || "a GPU without a name";
}

function signer({ name, roles, fingerprint, trusted }) {
  const who = [name ?? "a key", roles.length > 0 ? `(${roles.join(", ")})` : ""].join(" ").trim();
  return `${who}, ${fingerprint.slice(0, 12)}…${trusted ? "" : ", not trusted"}`;
}
