/** From this probability on it is speech, and below the other no more: silero-vad's own thresholds. */
export const SPEECH = 0.5;
const NO_SPEECH = 0.35;
/** A pause of fewer frames is part of what is said. */
const PAUSE_FRAMES = 4;

/**
 * Where somebody speaks, as `[first frame, frame after the last]`.
 *
 * @param {readonly number[]} probabilities one per frame
 */
export function segments(probabilities) {
  const found = [];
  let open = null;
  probabilities.forEach((probability, frame) => {
    if (open === null && probability >= SPEECH) open = [frame, frame + 1];
    else if (open !== null && probability >= NO_SPEECH) open[1] = frame + 1;
    else if (open !== null && frame + 1 - open[1] >= PAUSE_FRAMES) {
      found.push(open);
      open = null;
    }
  });
  if (open !== null) found.push(open);
  return found;
}
