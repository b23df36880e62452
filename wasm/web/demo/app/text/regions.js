// From a map of probabilities to rectangles around lines: the post-processing of DB ("Real-time Scene Text Detection with
// Differentiable Binarization", Liao et al. 2020), with the thresholds that PP-OCR publishes for its models.

import { hull, smallestRectangle } from "./geometry.js";

/** A pixel is text from this probability on. */
const PIXEL = 0.3;
/** A rectangle is text from this mean probability on. */
const RECTANGLE = 0.5;
/** The model marks the core of a line: a rectangle grows by `area * GROWTH / perimeter` on each side. */
const GROWTH = 1.6;
/** What is thinner is no line, before and after it has grown. */
const THINNEST = 3;
const THINNEST_GROWN = 5;
const MOST_REGIONS = 400;

/**
 * Rectangles around text, in pixels of the map.
 *
 * @param {Float32Array} map `[height, width]`
 */
export function regions(map, width, height) {
  const found = [];
  for (const outline of components(map, width, height)) {
    const core = smallestRectangle(hull(outline));
    if (Math.min(core.width, core.height) < THINNEST) continue;
    const score = mean(map, width, height, core);
    if (score < RECTANGLE) continue;
    const growth = (core.width * core.height * GROWTH) / (2 * (core.width + core.height));
    const grown = { ...core, width: core.width + 2 * growth, height: core.height + 2 * growth, score };
    if (Math.min(grown.width, grown.height) >= THINNEST_GROWN) found.push(grown);
    if (found.length === MOST_REGIONS) break;
  }
  return found;
}

/** The outline of each patch of text pixels that touch: for every row the corners of its first and last pixel. */
function* components(map, width, height) {
  const seen = new Uint8Array(map.length);
  for (let start = 0; start < map.length; start++) {
    if (seen[start] || map[start] < PIXEL) continue;
    const rows = new Map();
    const open = [start];
    seen[start] = 1;
    while (open.length > 0) {
      const at = open.pop();
      const [x, y] = [at % width, Math.floor(at / width)];
      const row = rows.get(y);
      if (row === undefined) rows.set(y, [x, x + 1]);
      else [row[0], row[1]] = [Math.min(row[0], x), Math.max(row[1], x + 1)];
      for (let toY = Math.max(0, y - 1); toY <= Math.min(height - 1, y + 1); toY++) {
        for (let toX = Math.max(0, x - 1); toX <= Math.min(width - 1, x + 1); toX++) {
          const to = toY * width + toX;
          if (seen[to] || map[to] < PIXEL) continue;
          seen[to] = 1;
          open.push(to);
        }
      }
    }
    yield [...rows].flatMap(([y, [left, end]]) => [[left, y], [end, y], [left, y + 1], [end, y + 1]]);
  }
}

/** The mean of the pixels whose centres lie in a rectangle. */
function mean(map, width, height, { centre: [x, y], right: [cos, sin], width: across, height: down }) {
  const reach = Math.hypot(across, down) / 2;
  let [sum, count] = [0, 0];
  for (let row = Math.max(0, Math.floor(y - reach)); row < Math.min(height, y + reach); row++) {
    for (let column = Math.max(0, Math.floor(x - reach)); column < Math.min(width, x + reach); column++) {
      const [dx, dy] = [column + 0.5 - x, row + 0.5 - y];
      if (Math.abs(dx * cos + dy * sin) * 2 > across || Math.abs(dy * cos - dx * sin) * 2 > down) continue;
      sum += map[row * width + column];
      count += 1;
    }
  }
  return count === 0 ? 0 : sum / count;
}

/** The rectangles in the order in which one reads them: rows from above, in a row from the left, however the page is turned. */
export function inReadingOrder(found) {
  const angles = found.map(({ right: [cos, sin] }) => Math.atan2(sin, cos)).sort((one, other) => one - other);
  const angle = angles[Math.floor(angles.length / 2)] ?? 0;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const placed = found.map((region) => {
    const [x, y] = region.centre;
    return { region, along: x * cos + y * sin, beside: y * cos - x * sin };
  });
  placed.sort((one, other) => one.beside - other.beside);
  const rows = [];
  for (const place of placed) {
    const row = rows.at(-1);
    const isSameRow = row !== undefined && place.beside - row[0].beside < Math.min(place.region.height, row[0].region.height) / 2;
    if (isSameRow) row.push(place);
    else rows.push([place]);
  }
  return rows.flatMap((row) => row.sort((one, other) => one.along - other.along).map(({ region }) => region));
}
