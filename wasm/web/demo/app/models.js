import { allowSoftwareAdapter, processor } from "./processor.js";
import { AnyWorkerSession, PannierError, WorkerSession } from "./runtime.js";

/** What was written when the site was assembled: whom to trust, and the address of each bundle, which names its digest. */
let index = null;

/** The trust policy of this site and its bundles: `{ policy, bundles: { NAME: { url, sizeBytes } } }`. */
export function siteIndex() {
  index ??= fetchIndex().catch((error) => {
    index = null;
    throw error;
  });
  return index;
}

async function fetchIndex() {
  const url = new URL("bundles/index.json", document.baseURI);
  const response = await fetch(url).catch((cause) => {
    throw new PannierError("E_INPUT_MISSING", `${url} cannot be fetched: ${cause.message}`, { cause });
  });
  if (!response.ok) throw new PannierError("E_INPUT_MISSING", `${url} answered ${response.status}`);
  const { policy, bundles } = await response.json();
  for (const bundle of Object.values(bundles)) bundle.url = new URL(bundle.url, url).href;
  return { policy, bundles };
}

/**
 * One of the site's models. It is loaded the first time that it is wanted, and again for another processor, into a worker of its own.
 *
 * Fires `change` whenever there is something new to show.
 */
export class Model extends EventTarget {
  /** Name of the bundle. */
  name;
  /** `idle`, `loading`, `ready` or `failed`. */
  state = "idle";
  /** How far loading has come, as the runtime tells it. */
  progress = null;
  /** Whether the signatures were checked, and found good. */
  isVerified = false;
  /** What the session reports. */
  report = null;
  /** What the publisher says of it. */
  metadata = null;
  /** Time of the last run, the way to the worker and back included, in milliseconds. */
  lastRunMs = null;
  error = null;
  #session = null;
  /** The run that the session is at. */
  #running = Promise.resolve();
  /** Counts the sessions that were left. */
  #turn = 0;

  constructor(name) {
    super();
    this.name = name;
    processor.addEventListener("change", () => this.#leave());
  }

  /** The session, ready to run. */
  session() {
    this.#session ??= this.#load();
    return this.#session;
  }

  /** Lets go of the session, when it is at nothing any more. */
  #leave() {
    const [session, running] = [this.#session, this.#running];
    this.#session = null;
    this.#turn += 1;
    this.#tell({ state: "idle", report: null, lastRunMs: null });
    session?.then((open) => running.then(() => open.close()), () => {});
  }

  /** Runs once. */
  run(inputs) {
    return this.#timed((session) => session.run(inputs));
  }

  /** Runs once with the state of a stream. */
  step(state, inputs) {
    return this.#timed((session) => session.step(state, inputs));
  }

  /** Asks again what it takes. */
  async refresh() {
    this.report = await (await this.session()).report();
    this.#tell({});
  }

  async #timed(work) {
    const session = await this.session();
    const started = performance.now();
    const running = work(session);
    this.#running = running.catch(() => {});
    const outputs = await running;
    this.lastRunMs = performance.now() - started;
    return outputs;
  }

  async #load() {
    // Of a session that was left meanwhile nothing is told.
    const turn = this.#turn;
    const tell = (changes) => turn === this.#turn && this.#tell(changes);
    tell({ state: "loading", progress: null, error: null, isVerified: false });
    try {
      const { policy, bundles } = await siteIndex();
      const onProgress = (progress) => tell({ progress, isVerified: this.isVerified || progress.phase === "verify" });
      const { engine } = processor;
      const common = { trust: { policy }, onProgress, cache: true };
      // On the CPU the page itself fetches the runtime, and so can have it kept for times without a network.
      const [SessionOf, options] = engine === "cpu" ? [WorkerSession, common] : [AnyWorkerSession, { ...common, engine, allowSoftwareAdapter }];
      const session = await SessionOf.create(bundles[this.name].url, options);
      tell({ state: "ready", metadata: session.metadata, report: await session.report() });
      return session;
    } catch (error) {
      // The next who wants it tries again.
      if (turn === this.#turn) this.#session = null;
      tell({ state: "failed", error });
      throw error;
    }
  }

  #tell(changes) {
    Object.assign(this, changes);
    this.dispatchEvent(new Event("change"));
  }
}
