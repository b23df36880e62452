import { PannierError, WorkerSession } from "./runtime.js";

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
 * One of the site's models. It is loaded the first time that it is wanted, into a worker of its own.
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

  constructor(name) {
    super();
    this.name = name;
  }

  /** The session, ready to run. */
  session() {
    this.#session ??= this.#load();
    return this.#session;
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
    const outputs = await work(session);
    this.lastRunMs = performance.now() - started;
    return outputs;
  }

  async #load() {
    this.#tell({ state: "loading", progress: null, error: null, isVerified: false });
    try {
      const { policy, bundles } = await siteIndex();
      const onProgress = (progress) => this.#tell({ progress, isVerified: this.isVerified || progress.phase === "verify" });
      const session = await WorkerSession.create(bundles[this.name].url, { trust: { policy }, onProgress, cache: true });
      this.#tell({ state: "ready", metadata: session.metadata, report: await session.report() });
      return session;
    } catch (error) {
      // The next who wants it tries again.
      this.#session = null;
      this.#tell({ state: "failed", error });
      throw error;
    }
  }

  #tell(changes) {
    Object.assign(this, changes);
    this.dispatchEvent(new Event("change"));
  }
}
