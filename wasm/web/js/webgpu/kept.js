/** A bundle as it arrives, for another engine. The browser may keep it outside of its own memory. */
export class Kept {
  #pieces = [];
  /** Where it came from, once all of it has arrived, and when that came to this machine, in seconds since 1970. */
  source = null;
  installedUnixS = null;

  restart() {
    this.#pieces = [];
    this.source = null;
  }

  write(piece) {
    // A copy: a source may use its buffer again.
    this.#pieces.push(new Blob([piece]));
  }

  close(source, installedUnixS) {
    this.#pieces = [new Blob(this.#pieces)];
    this.source = source;
    this.installedUnixS = installedUnixS;
  }

  /** All of it. */
  whole() {
    return new Blob(this.#pieces).arrayBuffer();
  }
}
