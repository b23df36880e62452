/** Stands for "no new character". */
const BLANK = 0;

/**
 * The text of a line: the most probable character of each step, repetitions and blanks left out (greedy decoding of connectionist
 * temporal classification).
 *
 * @param {Float32Array} scores `[steps, characters]`, probabilities
 * @param {readonly string[]} characters
 * @returns {{ text: string, confidence: number }} the mean probability of its characters, 0 if there are none
 */
export function decode(scores, characters) {
  let [text, sum, count, last] = ["", 0, 0, BLANK];
  for (let start = 0; start < scores.length; start += characters.length) {
    let best = 0;
    for (let index = 1; index < characters.length; index++) {
      if (scores[start + index] > scores[start + best]) best = index;
    }
    if (best !== BLANK && best !== last) {
      text += characters[best];
      sum += scores[start + best];
      count += 1;
    }
    last = best;
  }
  return { text, confidence: count === 0 ? 0 : sum / count };
}
