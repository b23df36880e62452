/** Small enough that a page can draw between two of them. */
const PIECE_BYTES = 1 << 20;

/** The bytes of a buffer or of any view of one, not copied. */
export function bytesOf(data) {
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
}

/** A bundle in memory, piece by piece. */
export class BytesSource {
  kind = "memory";
  #bytes;

  constructor(data) {
    this.#bytes = bytesOf(data);
  }

  async *pieces() {
    for (let at = 0; at < this.#bytes.length; at += PIECE_BYTES) {
      yield this.#bytes.subarray(at, at + PIECE_BYTES);
      await drawn();
    }
  }
}

/** Lets everybody else have a turn. */
function drawn() {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
