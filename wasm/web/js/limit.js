import { PannierError } from "./error.js";

/** What `setTimeout` takes. */
const MOST_TIMER_MS = 2 ** 31 - 1;

/** A signal that is given when the caller gives another one, or when the time is over. */
export class TimeLimit {
  #controller = new AbortController();
  #timer;
  #clear;

  constructor(ms, signal) {
    const abort = () => this.#controller.abort(signal.reason);
    signal?.addEventListener("abort", abort, { once: true });
    this.#clear = () => signal?.removeEventListener("abort", abort);
    if (ms === undefined) return;
    const error = new PannierError("E_DEADLINE", `loading took longer than the ${ms} ms it may: stopped while reading the bundle`, {
      hint: "allow more time for loading",
    });
    this.#timer = setTimeout(() => this.#controller.abort(error), Math.min(ms, MOST_TIMER_MS));
  }

  get signal() {
    return this.#controller.signal;
  }

  clear() {
    clearTimeout(this.#timer);
    this.#clear();
  }
}
