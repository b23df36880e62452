import { PannierError, interrupted, throwIfAborted } from "../error.js";
import { read } from "./bytes.js";

/** Stands among the pieces where the next one is the file's first again. */
export const RESTART = Symbol("restart");

/** Answers after which the same request may succeed. */
const PASSING = [408, 425, 429, 500, 502, 503, 504];

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 8000;

/** A bundle on a server. A connection that breaks is taken up again where it broke. */
export class Download {
  kind = "network";
  /** Where the bundle is. */
  url;
  #signal;
  #retries;
  /** Bytes that have arrived. */
  #position = 0;
  /** What names this version of the file: an ETag or a date. */
  #validator = null;
  /** Whether pieces of several answers were put together. */
  isResumed = false;
  /** The first request, if it was sent before anybody read. */
  #begun = null;

  /** @param {{ signal?: AbortSignal, retries: number }} options */
  constructor(url, { signal, retries }) {
    this.url = url;
    this.#signal = signal;
    this.#retries = retries;
  }

  /** Sends the first request; `pieces` takes its answer. */
  begin() {
    this.#begun = this.#ask();
    // Looked at in `pieces`; until then a failure is not unhandled.
    this.#begun.answer.catch(() => {});
  }

  /** What `begin` asked for is not wanted. */
  close() {
    this.#begun?.close();
    this.#begun = null;
  }

  /** The file from its first byte on, in one go if need be. */
  async *pieces() {
    let failures = 0;
    let furthest = 0;
    for (;;) {
      try {
        yield* this.#attempt();
        return;
      } catch (error) {
        throwIfAborted(this.#signal);
        if (!(error instanceof Broken)) throw error;
        // What brought the file further than ever is not one failure of many.
        failures = this.#position > furthest ? 1 : failures + 1;
        furthest = Math.max(furthest, this.#position);
        if (failures > this.#retries) throw error.reason;
        await wait(error.waitMs ?? FIRST_WAIT_MS * 2 ** (failures - 1), this.#signal);
      }
    }
  }

  /** The next request asks for the whole file. */
  forget() {
    this.#position = 0;
    this.#validator = null;
    this.isResumed = false;
  }

  async *#attempt() {
    const { answer, close } = this.#begun ?? this.#ask();
    this.#begun = null;
    try {
      const response = await answer;
      if (this.#position > 0 && response.status !== 206) {
        // Another version, or a server without ranges.
        this.forget();
        yield RESTART;
      }
      this.isResumed ||= this.#position > 0;
      this.#validator = validator(response.headers) ?? this.#validator;
      yield* this.#body(response);
    } finally {
      // However the reader goes away: nothing more is sent.
      close();
    }
  }

  /** A request on its way, and how to give it up. */
  #ask() {
    const stop = new AbortController();
    const abort = () => stop.abort(this.#signal.reason);
    this.#signal?.addEventListener("abort", abort, { once: true });
    const close = () => {
      this.#signal?.removeEventListener("abort", abort);
      stop.abort();
    };
    return { answer: this.#request(stop.signal), close };
  }

  async #request(signal) {
    const headers = new Headers();
    if (this.#position > 0) {
      headers.set("range", `bytes=${this.#position}-`);
      if (this.#validator !== null) headers.set("if-range", this.#validator);
    }
    // A part of a file has no business in the browser's own cache.
    const cache = this.#position > 0 ? "no-store" : "default";
    let response;
    try {
      response = await fetch(this.url, { headers, signal, cache });
    } catch (cause) {
      throw new Broken(missing(`${this.url} cannot be fetched: ${cause.message}`, null, cause));
    }
    if (response.ok) {
      if (response.status === 206 && !continues(response.headers, this.#position)) {
        this.forget();
        throw new Broken(missing(`${this.url} answered with another part than it was asked for`));
      }
      if (isPage(response.headers)) throw page(this.url);
      return response;
    }
    if (response.status === 416) this.forget();
    const reason = missing(
      `${this.url} answered ${response.status} ${response.statusText}`.trimEnd(),
      response.status === 404 ? "is the bundle where the page expects it?" : null,
    );
    if (response.status === 416 || PASSING.includes(response.status)) {
      throw new Broken(reason, retryAfterMs(response.headers));
    }
    throw reason;
  }

  async *#body(response) {
    if (response.body === null) return;
    try {
      for await (const piece of read(response.body)) {
        this.#position += piece.length;
        yield piece;
      }
    } catch (cause) {
      const message = `the connection to ${this.url} broke after ${this.#position} bytes: ${cause.message}`;
      throw new Broken(missing(message, null, cause));
    }
  }
}

/** What may be better the next time. */
class Broken extends Error {
  constructor(reason, waitMs) {
    super(reason.message);
    this.reason = reason;
    this.waitMs = waitMs;
  }
}

function missing(message, hint, cause) {
  return new PannierError("E_INPUT_MISSING", message, { hint, cause });
}

function isPage(headers) {
  return (headers.get("content-type") ?? "").toLowerCase().startsWith("text/html");
}

function page(url) {
  return new PannierError("E_CORRUPT", `${url} is an HTML page, not a bundle`, {
    hint: "the server answers with a page for addresses that it does not know",
  });
}

/** A weak ETag names no bytes. */
function validator(headers) {
  const tag = headers.get("etag");
  return tag !== null && !tag.startsWith("W/") ? tag : headers.get("last-modified");
}

/** Whether a part begins where it should; a server elsewhere may keep that from a page, and then the digests tell. */
function continues(headers, position) {
  const range = headers.get("content-range");
  return range === null || range.startsWith(`bytes ${position}-`);
}

function retryAfterMs(headers) {
  const seconds = Number.parseInt(headers.get("retry-after") ?? "", 10);
  return Number.isNaN(seconds) ? undefined : seconds * 1000;
}

function wait(ms, signal) {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      if (signal?.aborted) reject(interrupted(signal));
      else resolve();
    };
    const timer = setTimeout(done, Math.min(ms, LONGEST_WAIT_MS));
    signal?.addEventListener("abort", done, { once: true });
  });
}
