// How pictures become what the models take, as docs/examples/ocr-*/packager.toml describe it.

const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const HALF = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };

const PAGE_MULTIPLE = 32;
const PAGE_LONGEST = 960;
const LINE_HEIGHT = 48;
const DIRECTION_WIDTH = 192;
/** Widths of lines are multiples of this: for each new one the engine makes a plan. */
const TEXT_WIDTH = 320;
const TEXT_WIDEST = 3200;
/** What is so many times as high as wide is read from the top down. */
const UPRIGHT = 1.5;

/** A page for the model that finds lines. */
export function page(picture) {
  const { width, height } = picture;
  const shrink = Math.min(1, PAGE_LONGEST / Math.max(width, height));
  const side = (pixels) => Math.max(1, Math.round((pixels * shrink) / PAGE_MULTIPLE)) * PAGE_MULTIPLE;
  const size = { width: side(width), height: side(height) };
  const whole = { origin: [0, 0], across: [width, 0], down: [0, height] };
  return { values: picture.tensor(whole, size, IMAGENET), dims: [1, 3, size.height, size.width] };
}

/** A line for the model that tells which way up it is: what is too long for it is squeezed. */
export function direction(picture, region) {
  const part = partOf(region, false);
  const width = Math.min(DIRECTION_WIDTH, Math.ceil(LINE_HEIGHT * part.ratio));
  return line(picture, part, width, DIRECTION_WIDTH);
}

/** A line for the model that reads it. */
export function text(picture, region, isTurned) {
  const part = partOf(region, isTurned);
  const width = Math.max(1, Math.min(TEXT_WIDEST, Math.ceil(LINE_HEIGHT * part.ratio)));
  return line(picture, part, width, Math.ceil(width / TEXT_WIDTH) * TEXT_WIDTH);
}

function line(picture, part, width, tensorWidth) {
  const values = picture.tensor(part, { width, height: LINE_HEIGHT, tensorWidth }, HALF);
  return { values, dims: [1, 3, LINE_HEIGHT, tensorWidth] };
}

/** Where a line begins and how far it reaches. */
function partOf({ centre: [x, y], right: [cos, sin], width, height }, isTurned) {
  let [across, down] = [[cos * width, sin * width], [-sin * height, cos * height]];
  if (height >= UPRIGHT * width) [across, down] = [down, across.map((reach) => -reach)];
  if (isTurned) [across, down] = [across, down].map((side) => side.map((reach) => -reach));
  const origin = [x - (across[0] + down[0]) / 2, y - (across[1] + down[1]) / 2];
  return { origin, across, down, ratio: Math.hypot(...across) / Math.hypot(...down) };
}
