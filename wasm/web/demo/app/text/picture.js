/** Larger pictures are made smaller first: text on them stays far larger than what the models look at. */
const LONGEST_SIDE = 2400;
/** Most samples per pixel and direction where a picture is made smaller. */
const MOST_SAMPLES = 6;

/** Pixels of a picture, red, green, blue and one more each, row by row. */
export class Picture {
  /** @param {Uint8ClampedArray} data */
  constructor(width, height, data) {
    this.width = width;
    this.height = height;
    this.data = data;
  }

  /** The picture in a file of any kind that the browser can show, upright, on white where it is transparent. */
  static async read(file) {
    const bitmap = await createImageBitmap(file);
    const shrink = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
    const width = Math.max(1, Math.round(bitmap.width * shrink));
    const height = Math.max(1, Math.round(bitmap.height * shrink));
    const pen = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    pen.fillStyle = "white";
    pen.fillRect(0, 0, width, height);
    pen.imageSmoothingQuality = "high";
    pen.drawImage(bitmap, 0, 0, width, height);
    bitmap.close();
    return new Picture(width, height, pen.getImageData(0, 0, width, height).data);
  }

  /**
   * Part of the picture, from any corner in any direction, as a model takes it: `[3, height, tensorWidth]`, blue, green, red, zeros
   * to the right of `width`.
   *
   * @param {{ origin: number[], across: number[], down: number[] }} part where its upper left corner is, and how far its width and height reach
   * @param {{ width: number, height: number, tensorWidth?: number }} size in the tensor
   * @param {{ mean: number[], std: number[] }} scale a channel becomes `(value / 255 - mean) / std`
   */
  tensor({ origin, across, down }, { width, height, tensorWidth = width }, { mean, std }) {
    const values = new Float32Array(3 * height * tensorWidth);
    const stepX = across.map((reach) => reach / width);
    const stepY = down.map((reach) => reach / height);
    // Where several pixels become one, all of them count.
    const [samplesX, samplesY] = [stepX, stepY].map((step) => Math.min(MOST_SAMPLES, Math.max(1, Math.round(Math.hypot(...step)))));
    const [scale, shift] = [std.map((std) => 1 / (255 * std * samplesX * samplesY)), std.map((std, channel) => mean[channel] / std)];
    const sum = new Float32Array(3);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        sum.fill(0);
        for (let j = 0; j < samplesY; j++) {
          for (let i = 0; i < samplesX; i++) {
            const [toX, toY] = [x + (i + 0.5) / samplesX, y + (j + 0.5) / samplesY];
            this.#add(sum, origin[0] + toX * stepX[0] + toY * stepY[0] - 0.5, origin[1] + toX * stepX[1] + toY * stepY[1] - 0.5);
          }
        }
        for (let channel = 0; channel < 3; channel++) {
          values[(channel * height + y) * tensorWidth + x] = sum[2 - channel] * scale[channel] - shift[channel];
        }
      }
    }
    return values;
  }

  /** Adds the colour at a place between pixels, mixed from the four around it; beyond an edge, the edge goes on. */
  #add(sum, x, y) {
    const { width, height, data } = this;
    const left = Math.floor(x);
    const top = Math.floor(y);
    const [fromX, fromY] = [x - left, y - top];
    const [x0, x1] = [clamp(left, width - 1), clamp(left + 1, width - 1)];
    const [row0, row1] = [clamp(top, height - 1) * width, clamp(top + 1, height - 1) * width];
    for (let channel = 0; channel < 3; channel++) {
      const upper = data[(row0 + x0) * 4 + channel] * (1 - fromX) + data[(row0 + x1) * 4 + channel] * fromX;
      const lower = data[(row1 + x0) * 4 + channel] * (1 - fromX) + data[(row1 + x1) * 4 + channel] * fromX;
      sum[channel] += upper * (1 - fromY) + lower * fromY;
    }
  }
}

function clamp(value, most) {
  return Math.max(0, Math.min(most, value));
}
