const FIRST_MS = 1000;
const LONGEST_MS = 120_000;
/** What a receiver may ask for at most: one that says "in a year" would switch telemetry off. */
const LONGEST_ASKED_MS = 3_600_000;
/** Most bytes of requests that may outlive a page, all together: 64 KiB in the Fetch standard, of which other scripts leave some. */
const KEEPALIVE_BYTES = 48 << 10;

/** Bytes of such requests that are on their way, of all sessions of the page. */
let keptAliveBytes = 0;

/** Gets payloads to a receiver that may not be there: the rules of OTLP, as `runtime/telemetry/src/delivery.rs` has them. */
export class Delivery {
  #spool;
  #sender;
  /** Whether the receiver took the last payload, or none was sent yet. */
  #isWell = true;
  #counts = { spoolFull: 0, rejected: 0, disk: 0, failed: 0 };

  constructor(spool, sender) {
    this.#spool = spool;
    this.#sender = sender;
  }

  /** How sending went since the session began. */
  get counts() {
    return { ...this.#counts, spoolBytes: this.#spool.sizeBytes };
  }

  /** Keeps a payload until it was sent. */
  async push(payload) {
    this.#lose(await this.#spool.push(payload));
  }

  /**
   * Sends what waits, oldest first, once no other page is at it.
   *
   * @returns {Promise<number | null>} milliseconds after which to call again; `null`: nothing waits
   */
  async send() {
    let againMs = null;
    await this.#spool.alone(async () => {
      for (;;) {
        const patience = await this.#spool.patience();
        const waitMs = patience.notBeforeUnixMs - Date.now();
        // A wait that is longer than any was written by another clock.
        const mustWait = waitMs > 0 && waitMs <= 1.1 * LONGEST_ASKED_MS;
        const front = await this.#spool.front();
        if (front === null) return;
        if (mustWait) return void (againMs = waitMs);
        const answer = await this.#sender.send(front.payload);
        this.#note(answer);
        if (answer.kind === "later") {
          againMs = backoffMs(patience.failures, answer.afterMs);
          const next = { failures: patience.failures + 1, notBeforeUnixMs: Date.now() + againMs };
          return this.#spool.setPatience(next);
        }
        await this.#spool.remove(front);
        if (patience.failures > 0) await this.#spool.setPatience({ failures: 0, notBeforeUnixMs: 0 });
      }
    });
    return againMs;
  }

  /**
   * What to do with a payload when the page may be gone in a moment: send it by a request that outlives the page, if the receiver is
   * well and nothing waits; else keep it. Not both: nobody would be there to hear that it was taken, and it would be sent twice.
   */
  leave(payload) {
    const fits = keptAliveBytes + payload.length <= KEEPALIVE_BYTES;
    const mayBeThere = this.#isWell && this.#spool.sizeBytes === 0 && globalThis.navigator?.onLine !== false;
    if (!fits || !mayBeThere) return this.#lose(this.#spool.pushNow(payload));
    keptAliveBytes += payload.length;
    this.#sender.sendAndLeave(payload).then((answer) => {
      keptAliveBytes -= payload.length;
      this.#note(answer);
      if (answer.kind === "later") return this.push(payload);
    });
  }

  #note({ kind, rejectedPoints = 0 }) {
    this.#isWell = kind !== "later";
    if (kind !== "taken") this.#counts.failed += 1;
    if (kind === "never" || rejectedPoints > 0) this.#counts.rejected += 1;
  }

  #lose({ full, disk }) {
    this.#counts.spoolFull += full;
    this.#counts.disk += disk;
  }
}

/**
 * How long to wait after another failure: twice as long each time, and between half and all of that, at random, so that pages that
 * failed together do not come back together.
 */
function backoffMs(failures, askedMs) {
  const share = Math.random() / 2;
  if (askedMs !== null) return Math.min(askedMs, LONGEST_ASKED_MS) * (1 + share / 5);
  return Math.min(FIRST_MS * 2 ** Math.min(failures, 16), LONGEST_MS) * (0.5 + share);
}
