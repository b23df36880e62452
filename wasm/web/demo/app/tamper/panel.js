import { siteIndex } from "../models.js";
import { PannierError, WorkerSession } from "../runtime.js";
import { element, failure } from "../ui/elements.js";
import { count, duration, size } from "../ui/format.js";
import { dump } from "./dump.js";

/** Changes one byte of a bundle in memory and shows what becomes of it. */
export function tamperPanel(panel) {
  new TamperPanel(panel);
}

class TamperPanel {
  #part;
  #bundles = new Map();
  #refused = 0;
  #tried = 0;

  constructor(panel) {
    this.#part = (name) => panel.querySelector(`[data-${name}]`);
    this.#part("flip").addEventListener("click", () => this.#try(true));
    this.#part("intact").addEventListener("click", () => this.#try(false));
    panel.addEventListener("open", () => this.#guard(() => this.#offer()));
  }

  async #try(isChanged) {
    await this.#guard(async () => {
      const { policy, name, bytes } = await this.#bundle();
      // What is loaded is a copy: the next change is the only one again.
      const copy = bytes.slice();
      const change = isChanged ? flip(copy) : null;
      const found = await load(copy, policy);
      this.#part("outcome").replaceChildren(report(name, copy, change, found));
      if (isChanged) this.#count(found);
    });
  }

  #count({ error }) {
    this.#tried += 1;
    this.#refused += error === null ? 0 : 1;
    this.#part("score").textContent = `${this.#refused} of ${count(this.#tried, "changed bundle", "changed bundles")} refused.`;
  }

  /** One at a time, and whatever goes wrong is shown. */
  async #guard(work) {
    const buttons = [this.#part("flip"), this.#part("intact")];
    for (const button of buttons) button.disabled = true;
    try {
      await work();
    } catch (error) {
      this.#part("outcome").replaceChildren(failure(error));
    }
    for (const button of buttons) button.disabled = false;
  }

  /** Fills the list of bundles. */
  async #offer() {
    const { bundles } = await siteIndex();
    const list = this.#part("bundle");
    if (list.options.length > 0) return;
    for (const [name, { sizeBytes }] of Object.entries(bundles)) list.append(element("option", { value: name }, `${name}, ${size(sizeBytes)}`));
  }

  async #bundle() {
    await this.#offer();
    const { policy, bundles } = await siteIndex();
    const name = this.#part("bundle").value;
    if (!this.#bundles.has(name)) this.#bundles.set(name, await fetchBytes(bundles[name].url));
    return { policy, name, bytes: this.#bundles.get(name) };
  }
}

async function fetchBytes(url) {
  let response;
  try {
    // The address names the content: what the browser kept of it is as good as what the server has.
    response = await fetch(url, { cache: "force-cache" });
  } catch (cause) {
    throw new PannierError("E_INPUT_MISSING", `${url} cannot be fetched: ${cause.message}`, { cause, hint: "this needs the network once" });
  }
  if (!response.ok) throw new PannierError("E_INPUT_MISSING", `${url} answered ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** Changes one bit of one byte, anywhere. */
function flip(bytes) {
  const [place, bit] = crypto.getRandomValues(new Uint32Array(2));
  const at = place % bytes.length;
  const before = bytes[at];
  bytes[at] ^= 1 << (bit % 8);
  return { at, before, after: bytes[at] };
}

/** Loads a bundle as any page would, and lets go of it. */
async function load(bytes, policy) {
  let progress = null;
  const started = performance.now();
  try {
    const session = await WorkerSession.create(bytes, { trust: { policy }, onProgress: (told) => (progress = told) });
    const elapsedMs = performance.now() - started;
    const { signers } = await session.report();
    session.close();
    return { error: null, signers, elapsedMs };
  } catch (error) {
    return { error, progress, elapsedMs: performance.now() - started };
  }
}

function report(name, bytes, change, { error, progress, signers, elapsedMs }) {
  const box = element("div", { class: "outcome", "data-code": error?.code ?? "accepted" });
  if (change !== null) {
    const { at, before, after } = change;
    const what = `Byte ${at.toLocaleString("en")} of ${bytes.length.toLocaleString("en")} was ${hex(before)} and is ${hex(after)}.`;
    box.append(element("p", {}, what), dump(bytes, at));
  }
  if (error !== null) {
    const read = progress === null ? "nothing of it was taken" : `${size(progress.loadedBytes)} of ${size(bytes.length)} had been verified by then`;
    box.append(failure(error), element("p", { class: "hint" }, `Refused in ${duration(elapsedMs)}; ${read}, and nothing had run.`));
  } else if (change === null) {
    box.append(element("p", { class: "accepted" }, `${name} is accepted: signed by ${signers.map(({ name }) => name).join(", ")}; loaded and tested in ${duration(elapsedMs)}.`));
  } else {
    box.append(failure({ message: "It was accepted, and should not have been: please report this.", code: "ACCEPTED" }));
  }
  return box;
}

function hex(byte) {
  return byte.toString(16).padStart(2, "0");
}
