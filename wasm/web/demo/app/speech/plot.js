import { SPEECH } from "./segments.js";

const HEIGHT = 220;
const LABEL = 18;

/** Loudness as bars about the middle and probability as a curve, frame after frame. */
export class Plot {
  #canvas;
  #frames = [];
  #span = 1;
  #secondsPerFrame;
  #cursor = null;
  #isDrawing = false;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas, secondsPerFrame) {
    this.#canvas = canvas;
    this.#secondsPerFrame = secondsPerFrame;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /**
   * Shows frames, `{ probability, peak }` each.
   *
   * @param frames of which the last `span` are seen
   * @param {number} span frames from the left to the right
   * @param {number | null} cursor the frame that is being heard
   */
  show(frames, span, cursor = null) {
    this.#frames = frames;
    this.#span = Math.max(1, span);
    this.#cursor = cursor;
    this.draw();
  }

  /** Draws once before the next picture of the screen, however often it is asked. */
  draw() {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.#paint();
    });
  }

  #paint() {
    const width = this.#canvas.clientWidth;
    if (width === 0) return;
    const ratio = devicePixelRatio;
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(HEIGHT * ratio);
    const pen = this.#canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(this.#canvas);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    const first = Math.max(0, this.#frames.length - this.#span);
    const scale = { first, step: width / this.#span, width, height: HEIGHT - LABEL };
    this.#grid(pen, scale, colour);
    this.#loudness(pen, scale, colour);
    this.#probability(pen, scale, colour);
    this.#now(pen, scale, colour);
  }

  #grid(pen, { first, step, width, height }, colour) {
    pen.strokeStyle = colour("line");
    pen.fillStyle = colour("quiet");
    pen.font = "12px system-ui, sans-serif";
    pen.lineWidth = 1;
    const seconds = this.#span * this.#secondsPerFrame;
    const every = [1, 2, 5, 10, 30, 60, 120].find((every) => (seconds / every) * 56 <= width) ?? 300;
    for (let second = Math.ceil((first * this.#secondsPerFrame) / every) * every; ; second += every) {
      const x = (second / this.#secondsPerFrame - first) * step;
      if (x > width) break;
      line(pen, x, 0, x, height);
      if (x < width - 26) pen.fillText(`${second} s`, x + 3, height + 14);
    }
    pen.setLineDash([4, 4]);
    const y = height * (1 - SPEECH);
    line(pen, 0, y, width, y);
    pen.setLineDash([]);
  }

  #loudness(pen, { first, step, height }, colour) {
    for (let frame = first; frame < this.#frames.length; frame++) {
      const { probability, peak } = this.#frames[frame];
      pen.fillStyle = colour(probability >= SPEECH ? "warm" : "faint");
      const tall = Math.max(1, peak * height * 0.9);
      pen.fillRect((frame - first) * step, (height - tall) / 2, Math.max(1, step * 0.8), tall);
    }
  }

  #probability(pen, { first, step, height }, colour) {
    if (this.#frames.length === first) return;
    pen.strokeStyle = colour("accent");
    pen.lineWidth = 2.5;
    pen.lineJoin = "round";
    pen.beginPath();
    for (let frame = first; frame < this.#frames.length; frame++) {
      pen.lineTo((frame - first + 0.5) * step, 2 + (height - 4) * (1 - this.#frames[frame].probability));
    }
    pen.stroke();
  }

  #now(pen, { first, step, height }, colour) {
    if (this.#cursor === null) return;
    pen.strokeStyle = colour("ink");
    pen.lineWidth = 1.5;
    const x = (this.#cursor - first) * step;
    line(pen, x, 0, x, height);
  }
}

function line(pen, fromX, fromY, toX, toY) {
  pen.beginPath();
  pen.moveTo(fromX, fromY);
  pen.lineTo(toX, toY);
  pen.stroke();
}
