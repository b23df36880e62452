import { randomId } from "./device.js";

const NAME = "@pannier/runtime telemetry";
const VERSION = 1;
/** Most sessions of a device that have a name that stays. */
const SLOTS = 16;
/** Longest that opening may take: some browsers never answer where they refuse. */
const OPEN_MS = 2000;
/** Longest that a page waits for the first name. A page that was just left, or the one that a reload ends, holds it for a moment. */
const LEAVING_MS = 250;

/** Names of locks that sessions of this page hold. */
const HELD = new Set();

/**
 * Payloads in IndexedDB, in a database for each receiver: what was recorded for one is sent to no other.
 *
 * Pages share it. `alone` parts them where it matters, by a lock that a page cannot die with; so there has to be the Web Locks API.
 */
export class Database {
  #db;
  #name;
  #limitBytes;
  #release = () => {};
  /** Size of what waits, when this page last looked. */
  sizeBytes = 0;

  /** The database, or `null` where there is none. */
  static async open(url, limitBytes) {
    if (globalThis.indexedDB === undefined || globalThis.navigator?.locks === undefined) return null;
    const self = new Database();
    self.#name = `${NAME} ${url}`;
    self.#limitBytes = limitBytes;
    try {
      self.#db = await opened(self.#name);
      self.#db.onversionchange = () => self.#db.close();
      return self;
    } catch {
      return null;
    }
  }

  /** The name of this device, or of its first, second ... session of this time. */
  async instance() {
    const slot = await this.#takeSlot();
    if (slot === null) return randomId();
    const notes = this.#db.transaction("notes", "readwrite").objectStore("notes");
    const known = await answer(notes.get(`instance ${slot}`));
    if (known !== undefined) return known;
    const name = randomId();
    await answer(notes.put(name, `instance ${slot}`));
    return name;
  }

  /** Keeps a payload and gives up the oldest ones where there is no room: how many. */
  async push(payload) {
    const transaction = this.#begin(payload);
    const sizes = transaction.objectStore("sizes");
    const [ids, bytes] = await Promise.all([answer(sizes.getAllKeys()), answer(sizes.getAll())]);
    this.sizeBytes = bytes.reduce((sum, size) => sum + size, 0);
    let lost = 0;
    for (; this.sizeBytes > this.#limitBytes && lost < ids.length; lost += 1) {
      transaction.objectStore("payloads").delete(ids[lost]);
      sizes.delete(ids[lost]);
      this.sizeBytes -= bytes[lost];
    }
    await done(transaction);
    return lost;
  }

  /** Keeps a payload without waiting for anything; what is too much is given up by the next `push`. Whether it could be begun. */
  pushNow(payload) {
    try {
      this.#begin(payload).commit();
      this.sizeBytes += payload.length;
      return true;
    } catch {
      return false;
    }
  }

  /** The oldest payload with its id, or `null`. */
  async front() {
    const transaction = this.#db.transaction(["payloads", "sizes"]);
    const [cursor, bytes] = await Promise.all([
      answer(transaction.objectStore("payloads").openCursor()),
      answer(transaction.objectStore("sizes").getAll()),
    ]);
    this.sizeBytes = bytes.reduce((sum, size) => sum + size, 0);
    return cursor === null ? null : { id: cursor.key, payload: cursor.value };
  }

  async remove(id) {
    const transaction = this.#db.transaction(["payloads", "sizes"], "readwrite");
    transaction.objectStore("payloads").delete(id);
    const size = await answer(transaction.objectStore("sizes").get(id));
    transaction.objectStore("sizes").delete(id);
    await done(transaction);
    this.sizeBytes = Math.max(0, this.sizeBytes - (size ?? 0));
  }

  async patience() {
    return answer(this.#db.transaction("notes").objectStore("notes").get("patience"));
  }

  async setPatience(patience) {
    await answer(this.#db.transaction("notes", "readwrite").objectStore("notes").put(patience, "patience"));
  }

  /** Does `work` when no other page is at it. */
  async alone(work) {
    await navigator.locks.request(this.#name, work);
  }

  /** Gives the name of this device to others. */
  release() {
    this.#release();
  }

  close() {
    this.release();
    this.#db.close();
  }

  #begin(payload) {
    const transaction = this.#db.transaction(["payloads", "sizes"], "readwrite", { durability: "strict" });
    // In the order of their times; of two pages at one time in any.
    const id = `${String(Date.now()).padStart(15, "0")} ${randomId()}`;
    transaction.objectStore("payloads").add(payload, id);
    transaction.objectStore("sizes").add(payload.length, id);
    return transaction;
  }

  /** A number that no other session has while this one lives; `null` if there are too many. */
  async #takeSlot() {
    let mayWait = true;
    for (let slot = 0; slot < SLOTS; slot += 1) {
      const name = `${this.#name} ${slot}`;
      // A session beside this one is not about to leave.
      if (HELD.has(name)) continue;
      if (await this.#hold(name, mayWait ? { signal: AbortSignal.timeout(LEAVING_MS) } : { ifAvailable: true })) return slot;
      mayWait = false;
    }
    return null;
  }

  /** Takes a lock until `release`. Whether it could be had. */
  #hold(name, options) {
    return new Promise((resolve, reject) => {
      const hold = (lock) => {
        resolve(lock !== null);
        if (lock === null) return undefined;
        HELD.add(name);
        return new Promise((release) => (this.#release = release)).finally(() => HELD.delete(name));
      };
      navigator.locks.request(name, options, hold).catch((error) => (error.name === "TimeoutError" ? resolve(false) : reject(error)));
    });
  }
}

function opened(name) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no answer")), OPEN_MS);
    const request = indexedDB.open(name, VERSION);
    request.onupgradeneeded = () => {
      // `sizes` has the length of each payload, so that nobody has to read all of them to add up.
      for (const store of ["payloads", "sizes", "notes"]) request.result.createObjectStore(store);
    };
    request.onsuccess = () => {
      clearTimeout(timer);
      resolve(request.result);
    };
    request.onerror = () => {
      clearTimeout(timer);
      reject(request.error);
    };
  });
}

/** What a request gives. */
function answer(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** When all of a transaction is on the disk. */
function done(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}
