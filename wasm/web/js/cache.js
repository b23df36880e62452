import { read } from "./source/bytes.js";

const NAME = "@pannier/runtime";

/** The Cache API wants addresses. Nobody is asked at this one: `.invalid` is reserved for such uses (RFC 2606). */
const CONTENTS = "https://bundles.pannier.invalid/sha256/";

/** Says in an index entry which content belongs to an address. */
const DIGEST = "x-pannier-sha256";

/** Says there when it was downloaded, in seconds since 1970. */
const INSTALLED = "x-pannier-installed";

/**
 * Bundles kept in the Cache API: each once, under its digest, and an index from addresses to digests.
 *
 * Nothing that is read here is believed: it is verified like a download.
 */
export class BundleCache {
  #cache;

  constructor(cache) {
    this.#cache = cache;
  }

  /** The cache, or `null` where there is none: in Node, in an insecure page, or where the user forbids it. */
  static async open() {
    try {
      return new BundleCache(await caches.open(NAME));
    } catch {
      return null;
    }
  }

  /** The bundle that is kept for an address, as a source; `null` if there is none. */
  async find(url) {
    const headers = (await attempt(() => this.#cache.match(url)))?.headers;
    const digest = headers?.get(DIGEST);
    const kept = digest && (await attempt(() => this.#cache.match(CONTENTS + digest)));
    return kept ? new CachedSource(kept, Number(headers.get(INSTALLED)) || undefined) : null;
  }

  /** Forgets what is kept for an address. */
  async drop(url) {
    const digest = (await attempt(() => this.#cache.match(url)))?.headers.get(DIGEST);
    await attempt(() => this.#cache.delete(url));
    if (digest) await attempt(() => this.#cache.delete(CONTENTS + digest));
  }

  /** Begins to keep a bundle: what is written to the entry is there once it is closed. */
  entry(url, digest) {
    return new Entry(this.#cache, url, digest);
  }
}

/** A bundle on its way into the cache, while it is being downloaded. That it cannot be kept is no error: it is loaded all the same. */
class Entry {
  #cache;
  #url;
  #digest;
  #writer;
  #stored;

  constructor(cache, url, digest) {
    this.#cache = cache;
    this.#url = url;
    this.#digest = digest;
    const { readable, writable } = new TransformStream();
    this.#writer = writable.getWriter();
    // Looked at in `close`; until then a failure is not unhandled.
    this.#writer.closed.catch(() => {});
    this.#stored = attempt(async () => {
      await cache.put(CONTENTS + digest, new Response(readable));
      return true;
    });
  }

  async write(bytes) {
    // A copy: the piece may be overwritten before it is on the disk. A cache that has given up reads no more of it.
    await Promise.race([attempt(() => this.#writer.write(bytes.slice())), this.#stored]);
  }

  /** All of the bundle was written and verified. */
  async close() {
    await Promise.race([attempt(() => this.#writer.close()), this.#stored]);
    if (!(await this.#stored)) return;
    await attempt(() => this.#cache.put(this.#url, new Response(null, { headers: { [DIGEST]: this.#digest, [INSTALLED]: String(Math.floor(Date.now() / 1000)) } })));
  }

  /** The bundle turned out to be of no use. */
  async abort() {
    await attempt(() => this.#writer.abort());
    await this.#stored;
  }
}

/** A bundle as it was kept. */
class CachedSource {
  kind = "cache";
  /** When it was downloaded, in seconds since 1970, if that is known. */
  installedUnixS;
  #response;

  constructor(response, installedUnixS) {
    this.#response = response;
    this.installedUnixS = installedUnixS;
  }

  async *pieces() {
    if (this.#response.body !== null) yield* read(this.#response.body);
  }
}

/** The result, or `undefined`: nothing depends on the cache. */
async function attempt(work) {
  try {
    return await work();
  } catch {
    return undefined;
  }
}
