/** What silero-vad takes: so many samples a second, in frames of so many, each after the end of the one before. */
export const SAMPLE_RATE_HZ = 16_000;
export const FRAME = 512;
export const CONTEXT = 64;
export const FRAME_MS = (FRAME / SAMPLE_RATE_HZ) * 1000;

/** Cuts a stream of samples into what the model takes. */
export class Frames {
  #window = new Float32Array(CONTEXT + FRAME);
  /** How many samples of the next frame are there. */
  #filled = 0;

  /**
   * Takes samples and gives the frames that they complete, each an array of its own: `[64 + 512]`.
   *
   * @param {Float32Array} samples
   */
  *push(samples) {
    for (let at = 0; at < samples.length; ) {
      const piece = samples.subarray(at, at + FRAME - this.#filled);
      this.#window.set(piece, CONTEXT + this.#filled);
      this.#filled += piece.length;
      at += piece.length;
      if (this.#filled < FRAME) return;
      yield this.#window.slice();
      this.#window.copyWithin(0, FRAME);
      this.#filled = 0;
    }
  }
}

/** The loudest sample of a frame, its context left out. */
export function peak(frame) {
  let most = 0;
  for (let at = CONTEXT; at < frame.length; at++) most = Math.max(most, Math.abs(frame[at]));
  return most;
}
