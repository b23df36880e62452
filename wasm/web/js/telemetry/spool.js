import { Database } from "./database.js";
import { randomId } from "./device.js";

/** Most bytes that wait in the browser's database, of all pages of an origin that report to one receiver. */
export const SPOOL_BYTES = 4 << 20;
/** Most bytes that wait in memory, where there is no database or it takes no more. */
export const MEMORY_BYTES = 1 << 20;

/**
 * What waits to be sent: the first that came is the first that goes, and the first that is lost.
 *
 * It waits in IndexedDB, which all pages of the origin share; where there is none (Node, some private windows, an insecure page), and
 * when that fails, in memory.
 */
export class Spool {
  #database;
  #memory = new MemorySpool(MEMORY_BYTES);
  /** What is done alone waits for what was begun before. */
  #turn = Promise.resolve();
  #patience = { failures: 0, notBeforeUnixMs: 0 };
  /** The name of this device: it stays the same where there is a database. Sessions at the same time have one each. */
  instance;

  static async open(url) {
    const self = new Spool();
    self.#database = await Database.open(url, SPOOL_BYTES);
    self.instance = (await self.#try((database) => database.instance())) ?? randomId();
    await self.front();
    return self;
  }

  /** Size of what waits, as far as this page knows. */
  get sizeBytes() {
    return this.#memory.sizeBytes + (this.#database?.sizeBytes ?? 0);
  }

  /** Keeps a payload, and gives up older ones where there is no room. Tells how many were lost, and why. */
  async push(payload) {
    const full = await this.#try((database) => database.push(payload));
    return full === undefined ? this.#pushInMemory(payload) : { full, disk: 0 };
  }

  /** The same in a page that may be gone in a moment: what can be begun is begun before this returns. */
  pushNow(payload) {
    if (this.#database?.pushNow(payload) === true) return { full: 0, disk: 0 };
    return this.#pushInMemory(payload);
  }

  /** The oldest payload: `{ payload, ... }`, or `null`. */
  async front() {
    return (await this.#try((database) => database.front())) ?? this.#memory.front();
  }

  /** Gives up what `front` gave. */
  async remove(front) {
    if (front.id === undefined) this.#memory.remove(front);
    else await this.#try((database) => database.remove(front.id));
  }

  /** When to try again after failures: what one page found out holds for all. */
  async patience() {
    return (await this.#try((database) => database.patience())) ?? this.#patience;
  }

  async setPatience(patience) {
    this.#patience = patience;
    await this.#try((database) => database.setPatience(patience));
  }

  /** Does `work` when no other page and nobody in this one is at such work. */
  async alone(work) {
    const locked = () => (this.#database === null ? work() : this.#database.alone(work));
    this.#turn = this.#turn.then(locked).catch(() => {});
    await this.#turn;
  }

  /** Lets others have the name of this device: a page in the back-forward cache may hold no lock. */
  pause() {
    this.#database?.release();
  }

  /** Takes a name again. */
  async resume() {
    this.instance = (await this.#try((database) => database.instance())) ?? this.instance;
  }

  close() {
    this.#database?.close();
  }

  #pushInMemory(payload) {
    const lost = this.#memory.push(payload);
    // Where there is a database, it is what failed.
    return this.#database === null ? { full: lost, disk: 0 } : { full: 0, disk: lost };
  }

  /** `undefined` without a database, and if it fails: it may be full, or closed because the user clears the site's data. */
  async #try(work) {
    try {
      return this.#database === null ? undefined : await work(this.#database);
    } catch {
      return undefined;
    }
  }
}

/** A spool in memory. */
class MemorySpool {
  #entries = [];
  #limitBytes;
  sizeBytes = 0;

  constructor(limitBytes) {
    this.#limitBytes = limitBytes;
  }

  push(payload) {
    let lost = 0;
    while (this.#entries.length > 0 && this.sizeBytes + payload.length > this.#limitBytes) {
      this.remove(this.#entries[0]);
      lost += 1;
    }
    if (payload.length > this.#limitBytes) return lost + 1;
    this.#entries.push({ payload });
    this.sizeBytes += payload.length;
    return lost;
  }

  front() {
    return this.#entries[0] ?? null;
  }

  remove(entry) {
    const at = this.#entries.indexOf(entry);
    if (at < 0) return;
    this.#entries.splice(at, 1);
    this.sizeBytes -= entry.payload.length;
  }
}
