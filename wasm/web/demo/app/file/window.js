/** What magika wants of a file, as its own configuration (standard_v3_3) says. */
const HEAD = 1024;
const TAIL = 1024;
const BLOCK_BYTES = 4096;
/** Stands for "no byte". */
const PADDING = 256;

/** White space as Python's `bytes.strip` knows it, which is what the model was trained with. */
const SPACE = new Set([0x20, 0x09, 0x0a, 0x0d, 0x0b, 0x0c]);

/**
 * The two ends of a file as the model takes them: `[1, 2048]`, the head filled up behind, then the tail filled up in front.
 *
 * @param {Blob} file of which at most 8 KiB are read
 * @returns {Promise<Int32Array>}
 */
export async function windowOf(file) {
  const [first, last] = await Promise.all([bytes(file.slice(0, BLOCK_BYTES)), bytes(file.slice(-BLOCK_BYTES))]);
  const values = new Int32Array(HEAD + TAIL).fill(PADDING);
  values.set(withoutLeadingSpace(first).subarray(0, HEAD));
  const tail = withoutTrailingSpace(last).subarray(-TAIL);
  values.set(tail, values.length - tail.length);
  return values;
}

async function bytes(blob) {
  return new Uint8Array(await blob.arrayBuffer());
}

function withoutLeadingSpace(bytes) {
  const start = bytes.findIndex((byte) => !SPACE.has(byte));
  return start < 0 ? bytes.subarray(0, 0) : bytes.subarray(start);
}

function withoutTrailingSpace(bytes) {
  return bytes.subarray(0, bytes.findLastIndex((byte) => !SPACE.has(byte)) + 1);
}
