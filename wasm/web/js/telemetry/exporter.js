import { Delivery } from "./delivery.js";
import { device } from "./device.js";
import { Sender } from "./sender.js";
import { Spool } from "./spool.js";

/**
 * Ends the windows of one session and has them sent.
 *
 * Nothing that goes wrong here is the session's: a model answers whether or not anybody is told.
 */
export class Exporter {
  #model;
  #config;
  #spool;
  #delivery;
  #startUnixMs = Date.now();
  #lastUnixMs = 0;
  /** Whether something ran since the last window. Windows in which nothing did are not sent: their counts are the last one's. */
  #hasNews = false;
  #timers = new Set();
  #forget = () => {};

  /**
   * @param config as `telemetryOption` gives it
   * @param model with `closeWindow(window)`, which gives a payload or a promise of one, and `installedUnixS`
   */
  static async start(config, model) {
    const self = new Exporter();
    self.#model = model;
    self.#config = config;
    self.#spool = await Spool.open(config.url);
    self.#delivery = new Delivery(self.#spool, new Sender(config));
    self.#listen();
    self.#every(config.intervalMs);
    // What an earlier page left.
    self.#send();
    return self;
  }

  /** A run has ended, in whatever way. */
  ran() {
    this.#hasNews = true;
  }

  /** Ends the window now. Resolves when its payload is in the spool and one try was made to send it. */
  async flush() {
    await this.#keep(this.#payload());
    await this.#send();
  }

  /**
   * Ends the last window, which is sent in the background.
   *
   * @returns its payload, or a promise of it: the model is asked for nothing more once that is settled
   */
  stop() {
    this.#forget();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    const last = this.#hasNews ? this.#payload() : null;
    this.#keep(last)
      .then(() => this.#send())
      .finally(() => this.#spool.close());
    return last;
  }

  /** Ends the window: a payload, or a promise of one. `null` if the model is gone. */
  #payload() {
    this.#hasNews = false;
    // A clock that was set back must not give two windows one time.
    this.#lastUnixMs = Math.max(Date.now(), this.#lastUnixMs + 1);
    const window = {
      resource: device(this.#config.resource, this.#spool.instance),
      installedUnixS: this.#model.installedUnixS,
      startUnixMs: this.#startUnixMs,
      timeUnixMs: this.#lastUnixMs,
      delivery: { startUnixMs: this.#startUnixMs, ...this.#delivery.counts },
    };
    try {
      return this.#model.closeWindow(window);
    } catch {
      return null;
    }
  }

  async #keep(payload) {
    const ready = await Promise.resolve(payload).catch(() => null);
    if (ready !== null) await this.#delivery.push(ready);
  }

  /** Sends what waits, and comes back when the receiver may be asked again. */
  async #send() {
    const againMs = await this.#delivery.send();
    if (againMs !== null) this.#after(againMs, () => this.#send());
  }

  /** The page may be gone in a moment. */
  #leave() {
    if (!this.#hasNews) return;
    const payload = this.#payload();
    if (payload instanceof Uint8Array) this.#delivery.leave(payload);
    // A worker answers if the page lives that long.
    else Promise.resolve(payload).then((ready) => ready && this.#delivery.leave(ready)).catch(() => {});
  }

  #every(ms) {
    this.#after(ms, async () => {
      this.#every(ms);
      if (this.#hasNews) await this.flush();
    });
  }

  #after(ms, work) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    // No process of Node stays for this.
    timer.unref?.();
    this.#timers.add(timer);
  }

  #listen() {
    const { document } = globalThis;
    if (document === undefined) return;
    const hidden = () => document.visibilityState === "hidden" && this.#leave();
    const gone = () => {
      this.#leave();
      this.#spool.pause();
    };
    const back = ({ persisted }) => persisted && this.#spool.resume();
    document.addEventListener("visibilitychange", hidden);
    addEventListener("pagehide", gone);
    addEventListener("pageshow", back);
    this.#forget = () => {
      document.removeEventListener("visibilitychange", hidden);
      removeEventListener("pagehide", gone);
      removeEventListener("pageshow", back);
    };
  }
}
