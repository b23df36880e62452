/** Zero crossings of the filter on each side: enough that what folds back is below -60 dB. */
const CROSSINGS = 12;
/** Part of the band that is kept: the rest is the filter's slope. */
const KEPT = 0.92;
/** Entries of the filter's table from one zero crossing to the next. */
const STEPS = 256;

/** Half of a sinc under a Hann window. */
const FILTER = Float32Array.from({ length: CROSSINGS * STEPS + 1 }, (_, index) => {
  const x = index / STEPS;
  const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
  return sinc * (0.5 + 0.5 * Math.cos((Math.PI * x) / CROSSINGS));
});

/** Changes the sampling rate of a stream, by a filter of windowed sincs. */
export class Resampler {
  #ratio;
  /** Zero crossings per sample that comes in. */
  #density;
  /** Samples on each side that one that goes out depends on. */
  #reach;
  #kept;
  /** Where the next sample that goes out lies among those that are kept. */
  #position;

  constructor(fromHz, toHz) {
    this.#ratio = fromHz / toHz;
    this.#density = KEPT * Math.min(1, toHz / fromHz);
    this.#reach = Math.ceil(CROSSINGS / this.#density);
    this.#kept = new Float32Array(this.#reach);
    this.#position = this.#reach;
  }

  /** Takes samples and gives those that they decide. */
  push(samples) {
    const all = new Float32Array(this.#kept.length + samples.length);
    all.set(this.#kept);
    all.set(samples, this.#kept.length);
    const out = [];
    for (; this.#position + this.#reach < all.length; this.#position += this.#ratio) out.push(this.#at(all));
    const done = Math.max(0, Math.floor(this.#position) - this.#reach);
    this.#kept = all.slice(done);
    this.#position -= done;
    return Float32Array.from(out);
  }

  #at(samples) {
    let sum = 0;
    const first = Math.ceil(this.#position - this.#reach);
    const last = Math.floor(this.#position + this.#reach);
    for (let index = first; index <= last; index++) {
      const distance = Math.abs(index - this.#position) * this.#density;
      if (distance < CROSSINGS) sum += samples[index] * FILTER[Math.round(distance * STEPS)];
    }
    return sum * this.#density;
  }
}
