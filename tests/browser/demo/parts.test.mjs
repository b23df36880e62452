// The parts of the demo that compute, one by one, in Node.

import assert from "node:assert/strict";
import { test } from "node:test";

const app = (path) => import(new URL(`../../../wasm/web/demo/app/${path}`, import.meta.url));
const { windowOf } = await app("file/window.js");
const { CONTEXT, FRAME, Frames, peak } = await app("speech/frames.js");
const { Resampler } = await app("speech/resample.js");
const { segments } = await app("speech/segments.js");
const { decode } = await app("text/ctc.js");
const { cornersOf, hull, smallestRectangle } = await app("text/geometry.js");
const layout = await app("text/layout.js");
const { Picture } = await app("text/picture.js");
const { inReadingOrder, regions } = await app("text/regions.js");

test("the window of a file is magika's", async () => {
  const padded = (head, tail) => [...head, ...Array(1024 - head.length).fill(256), ...Array(1024 - tail.length).fill(256), ...tail];
  const codes = (text) => [...Buffer.from(text, "latin1")];
  const cases = [
    ["empty", "", padded([], [])],
    ["only white space", " \t\n\r\v\f", padded([], [])],
    ["short: both ends see all of it", "ab", padded([97, 98], [97, 98])],
    ["spaces inside stay", " a b ", padded(codes("a b "), codes(" a b"))],
    ["0xff is a value, not padding", "\xff", padded([255], [255])],
    ["long", "x".repeat(2000) + "y".repeat(2000), [...Array(1024).fill(120), ...Array(1024).fill(121)]],
    ["white space is looked through for one block", " ".repeat(4096) + "a" + " ".repeat(4096), padded([], [])],
    ["white space at the end of a block", " ".repeat(4095) + "ab", padded([97], codes(" ".repeat(1022) + "ab"))],
  ];
  for (const [name, content, expected] of cases) {
    assert.deepEqual([...(await windowOf(new Blob([Buffer.from(content, "latin1")])))], expected, name);
  }
});

test("a stream is cut into frames with their context, however it arrives", () => {
  const samples = Float32Array.from({ length: 3 * FRAME + 100 }, (_, index) => index + 1);
  const cut = (pieces) => {
    const frames = new Frames();
    return pieces.flatMap((piece) => [...frames.push(piece)]);
  };
  const whole = cut([samples]);
  assert.equal(whole.length, 3);
  whole.forEach((frame, index) => {
    const expected = Float32Array.from({ length: CONTEXT + FRAME }, (_, at) => Math.max(0, index * FRAME - CONTEXT + at + 1));
    assert.deepEqual(frame, expected);
  });
  const bits = [];
  for (let at = 0; at < samples.length; at += 37) bits.push(samples.subarray(at, at + 37));
  assert.deepEqual(cut(bits), whole);
  assert.equal(peak(Float32Array.of(...Array(CONTEXT).fill(9), 0.5, -0.75)), 0.75, "the context does not count");
});

test("resampling keeps tones that fit, and only those", () => {
  const tone = (hz, rateHz) => Float32Array.from({ length: rateHz / 4 }, (_, index) => Math.sin((2 * Math.PI * hz * index) / rateHz));
  // Without the ends, where the filter sees silence.
  const middle = (samples) => samples.subarray(400, samples.length - 400);
  for (const rateHz of [48_000, 44_100, 16_000, 8_000]) {
    const heard = middle(new Resampler(rateHz, 16_000).push(tone(1000, rateHz)));
    const expected = middle(tone(1000, 16_000));
    const worst = heard.reduce((worst, value, index) => Math.max(worst, Math.abs(value - expected[index])), 0);
    assert.ok(heard.length > 2000 && worst < 0.01, `${rateHz} Hz: ${worst} off`);
  }
  const folded = middle(new Resampler(48_000, 16_000).push(tone(11_000, 48_000)));
  assert.ok(Math.max(...folded.map(Math.abs)) < 0.01, "11 kHz would fold back to 5 kHz");
});

test("resampling does not depend on how a stream arrives", () => {
  const samples = Float32Array.from({ length: 9000 }, (_, index) => Math.sin(index * index * 1e-5));
  const resampler = new Resampler(44_100, 16_000);
  const pieces = [];
  for (let at = 0; at < samples.length; at += 128) pieces.push(...resampler.push(samples.subarray(at, at + 128)));
  const whole = new Resampler(44_100, 16_000).push(samples);
  assert.equal(pieces.length, whole.length);
  pieces.forEach((value, index) => assert.ok(Math.abs(value - whole[index]) < 1e-5, `sample ${index}`));
});

test("speech begins at one threshold, ends at a lower one, and bridges short pauses", () => {
  const cases = [
    [[0.1, 0.4, 0.2], []],
    [[0.1, 0.6, 0.4, 0.1, 0.1, 0.1, 0.1, 0.4], [[1, 3]]],
    [[0.9, 0.1, 0.1, 0.9, 0.1], [[0, 4]]],
    [[0.9, 0.1, 0.1, 0.1, 0.1, 0.9], [[0, 1], [5, 6]]],
  ];
  for (const [probabilities, expected] of cases) assert.deepEqual(segments(probabilities), expected, `${probabilities}`);
});

test("lines are decoded without blanks and repetitions", () => {
  const characters = ["blank", "a", "b"];
  const scores = (steps) => Float32Array.from(steps.flatMap((best) => characters.map((_, index) => (index === best ? 0.8 : 0.1))));
  const cases = [[[0, 0], ""], [[1, 1, 2, 2], "ab"], [[1, 0, 1], "aa"], [[0, 2, 0, 1, 1], "ba"]];
  for (const [steps, text] of cases) {
    const found = decode(scores(steps), characters);
    assert.equal(found.text, text);
    assert.ok(Math.abs(found.confidence - (text === "" ? 0 : 0.8)) < 1e-6);
  }
});

test("the smallest rectangle around a turned one is that one", () => {
  for (const degrees of [-44, -10, 0, 3, 30]) {
    const right = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
    const drawn = { centre: [50, 40], right, width: 60, height: 14 };
    const inside = [[50, 40], [51, 41]];
    const found = smallestRectangle(hull([...cornersOf(drawn), ...inside]));
    const numbers = ({ centre, right, width, height }) => [...centre, ...right, width, height];
    numbers(found).forEach((value, index) => assert.ok(Math.abs(value - numbers(drawn)[index]) < 1e-6, `${degrees}°: ${numbers(found)}`));
  }
});

/** A map of probabilities in which rectangles are drawn. */
function drawn(width, height, rectangles) {
  const map = new Float32Array(width * height).fill(0.01);
  for (const { centre: [x, y], right: [cos, sin], width: across, height: down, score } of rectangles) {
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const [dx, dy] = [column + 0.5 - x, row + 0.5 - y];
        const isInside = Math.abs(dx * cos + dy * sin) * 2 <= across && Math.abs(dy * cos - dx * sin) * 2 <= down;
        if (isInside) map[row * width + column] = score;
      }
    }
  }
  return map;
}

test("regions are found where the map says so, and grow", () => {
  const right = [Math.cos(0.2), Math.sin(0.2)];
  const line = { centre: [80, 60], right, width: 100, height: 12, score: 0.9 };
  const faint = { centre: [60, 120], right: [1, 0], width: 60, height: 10, score: 0.4 };
  const thin = { centre: [150, 140], right: [1, 0], width: 40, height: 2, score: 0.9 };
  const found = regions(drawn(200, 160, [line, faint, thin]), 200, 160);
  assert.equal(found.length, 1);
  const growth = (line.width * line.height * 1.6) / (2 * (line.width + line.height));
  const expected = { width: line.width + 2 * growth, height: line.height + 2 * growth };
  assert.ok(Math.abs(found[0].width - expected.width) < 4 && Math.abs(found[0].height - expected.height) < 4, JSON.stringify(found));
  assert.ok(Math.hypot(found[0].centre[0] - 80, found[0].centre[1] - 60) < 1.5);
  assert.ok(Math.abs(Math.atan2(found[0].right[1], found[0].right[0]) - 0.2) < 0.03);
  assert.deepEqual(regions(new Float32Array(100), 10, 10), []);
  assert.equal(regions(new Float32Array(6400).fill(1), 80, 80).length, 1, "a page that is all text");
});

test("regions are read row by row, however the page is turned", () => {
  for (const angle of [0, 0.12, -0.3]) {
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const place = (x, y, name) => ({ centre: [x * cos - y * sin, x * sin + y * cos], right: [cos, sin], width: 50, height: 20, name });
    const page = [place(300, 42, "d"), place(0, 0, "a"), place(0, 40, "c"), place(300, -3, "b"), place(10, 80, "e")];
    assert.equal(inReadingOrder(page).map(({ name }) => name).join(""), "abcde", `${angle}`);
  }
});

/** A picture whose red is the column, green the row and blue 7. */
function ramp(width, height) {
  const pixels = Array.from({ length: width * height }, (_, index) => [index % width, Math.floor(index / width), 7, 255]);
  return new Picture(width, height, Uint8ClampedArray.from(pixels.flat()));
}

const AS_BYTES = { mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] };
const near = (found, expected, what) => {
  assert.equal(found.length, expected.length, what);
  expected.forEach((value, index) => assert.ok(Math.abs(found[index] - value) < 1e-3, `${what}: ${[...found]}`));
};

test("parts of pictures are taken in any direction, blue first", () => {
  const picture = ramp(4, 2);
  const whole = { origin: [0, 0], across: [4, 0], down: [0, 2] };
  const blue = Array(8).fill(7);
  near(picture.tensor(whole, { width: 4, height: 2 }, AS_BYTES), [...blue, 0, 0, 0, 0, 1, 1, 1, 1, 0, 1, 2, 3, 0, 1, 2, 3], "as it is");
  const turned = { origin: [4, 2], across: [-4, 0], down: [0, -2] };
  near(picture.tensor(turned, { width: 4, height: 2 }, AS_BYTES), [...blue, 1, 1, 1, 1, 0, 0, 0, 0, 3, 2, 1, 0, 3, 2, 1, 0], "upside down");
  near(picture.tensor(whole, { width: 2, height: 1 }, AS_BYTES), [7, 7, 0.5, 0.5, 0.5, 2.5], "smaller: all pixels count");
  const filled = picture.tensor(whole, { width: 2, height: 1, tensorWidth: 3 }, { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] });
  assert.deepEqual([filled[2], filled[5], filled[8]], [0, 0, 0], "what is filled up is zero after normalising");
  near([filled[0]], [(7 / 255 - 0.5) / 0.5], "normalised");
});

test("sizes are those that the models take", () => {
  const picture = (width, height) => ({ width, height, tensor: () => null });
  for (const [[width, height], dims] of [
    [[320, 320], [1, 3, 320, 320]],
    [[335, 337], [1, 3, 352, 320]],
    [[1920, 1080], [1, 3, 544, 960]],
    [[5, 2000], [1, 3, 960, 32]],
  ]) assert.deepEqual(layout.page(picture(width, height)).dims, dims);
  const region = (width, height) => ({ centre: [0, 0], right: [1, 0], width, height });
  const nothing = picture(1, 1);
  assert.deepEqual(layout.direction(nothing, region(1000, 20)).dims, [1, 3, 48, 192]);
  assert.deepEqual(layout.text(nothing, region(100, 48), false).dims, [1, 3, 48, 320]);
  assert.deepEqual(layout.text(nothing, region(400, 48), false).dims, [1, 3, 48, 640]);
  assert.deepEqual(layout.text(nothing, region(20, 400), false).dims, [1, 3, 48, 960], "upright: read from the top down");
  assert.deepEqual(layout.text(nothing, region(1e6, 10), false).dims, [1, 3, 48, 3200], "there is an end to it");
});
