/** A bundle as it arrives, for another engine. The browser may keep it outside of its own memory. */
export class Kept {
  #pieces = [];
  /** Where it came from, once all of it has arrived. */
  source = null;

  restart() {
    this.#pieces = [];
    this.source = null;
  }

  write(piece) {
    // A copy: a source may use its buffer again.
    this.#pieces.push(new Blob([piece]));
  }

  close(source) {
    this.#pieces = [new Blob(this.#pieces)];
    this.source = source;
  }

  /** All of it. */
  whole() {
    return new Blob(this.#pieces).arrayBuffer();
  }
}
