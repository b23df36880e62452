import { PannierError } from "../runtime.js";
import { SAMPLE_RATE_HZ } from "./frames.js";

const LONGEST_S = 600;

/**
 * The samples of a recording of any kind that the browser can play, at the rate of the model.
 *
 * @param {Blob} file
 * @returns {Promise<Float32Array>}
 */
export async function samplesOf(file) {
  const content = await file.arrayBuffer();
  let sound;
  try {
    // Decoding changes the rate to that of the context.
    sound = await new OfflineAudioContext(1, 1, SAMPLE_RATE_HZ).decodeAudioData(content);
  } catch (cause) {
    throw new PannierError("E_INVALID_INPUT", `this is no recording that the browser can read: ${cause.message}`, { cause });
  }
  if (sound.duration > LONGEST_S) {
    throw new PannierError("E_LIMIT", `the recording lasts ${Math.round(sound.duration)} s`, { hint: `up to ${LONGEST_S} s are listened to here` });
  }
  const channels = Array.from({ length: sound.numberOfChannels }, (_, index) => sound.getChannelData(index));
  if (channels.length === 1) return channels[0];
  return Float32Array.from(channels[0], (_, at) => channels.reduce((sum, channel) => sum + channel[at], 0) / channels.length);
}
