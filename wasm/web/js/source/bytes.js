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

/** What a stream gives, piece by piece. Whoever stops reading cancels it. */
export async function* read(stream) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // Nobody waits for that, and nobody can do anything if it fails.
    reader.cancel().catch(() => {});
  }
}
