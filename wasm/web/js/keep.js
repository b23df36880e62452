import { PannierError } from "./error.js";

/** What goes wrong for reasons that a download would not change. */
const NOT_THE_BUNDLES = ["E_INTERRUPTED", "E_DEADLINE", "E_MEMORY_BUDGET", "E_LIMIT", "E_INVALID_KEY", "E_INVALID_POLICY", "E_FAILED"];

/** Takes the bundle as it was kept in the cache, if it was, or else downloads it and keeps it. */
export async function receiveThrough(cache, kept, loading, download) {
  if (kept !== null) {
    try {
      return await loading.receive(kept);
    } catch (error) {
      if (!(error instanceof PannierError) || NOT_THE_BUNDLES.includes(error.code)) throw error;
      // Broken, or not trusted any more: what the server has decides.
      await cache.drop(download.url);
    }
  }
  const keeper = new Keeper(cache, download.url);
  try {
    await loading.receive(download, keeper);
  } catch (error) {
    await keeper.abort();
    throw error;
  }
  await keeper.close();
}

/** Writes a download into the cache, from the moment on at which its digest is known. */
class Keeper {
  #cache;
  #url;
  #early = [];
  #entry = null;

  constructor(cache, url) {
    this.#cache = cache;
    this.#url = url;
  }

  /** @param digest "" while it is not known */
  async write(piece, digest) {
    if (this.#entry === null && digest !== "") {
      this.#entry = this.#cache.entry(this.#url, digest);
      for (const early of this.#early.splice(0)) await this.#entry.write(early);
    }
    if (this.#entry === null) this.#early.push(piece);
    else await this.#entry.write(piece);
  }

  async restart() {
    await this.abort();
    this.#early = [];
    this.#entry = null;
  }

  async close() {
    await this.#entry?.close();
  }

  async abort() {
    await this.#entry?.abort();
  }
}
