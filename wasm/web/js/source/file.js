import { PannierError } from "../error.js";

const PIECE_BYTES = 1 << 20;

/** A bundle in a file, in Node. */
export class FileSource {
  kind = "file";
  #files;
  #path;

  /** @param files the module `node:fs/promises` */
  constructor(files, path) {
    this.#files = files;
    this.#path = path;
  }

  async *pieces() {
    const file = await this.#step(() => this.#files.open(this.#path));
    try {
      const buffer = new Uint8Array(PIECE_BYTES);
      for (;;) {
        const { bytesRead } = await this.#step(() => file.read(buffer, 0, buffer.length));
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await file.close();
    }
  }

  async #step(work) {
    try {
      return await work();
    } catch (cause) {
      throw new PannierError("E_INPUT_MISSING", `the bundle cannot be read: ${cause.message}`, { cause });
    }
  }
}
