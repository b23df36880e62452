import { PannierError } from "../runtime.js";
import { SAMPLE_RATE_HZ } from "./frames.js";
import { Resampler } from "./resample.js";

/** The microphone, at the rate of the model. */
export class Microphone {
  #stream;
  #context;

  /**
   * Asks for the microphone and listens.
   *
   * @param {(samples: Float32Array) => void} onSamples
   */
  static async open(onSamples) {
    if (navigator.mediaDevices === undefined) {
      throw new PannierError("E_FAILED", "there is no microphone here", { hint: "browsers give it to pages over HTTPS or from localhost" });
    }
    const self = new Microphone();
    // While the click still counts: without one, a context stays silent.
    self.#context = new AudioContext();
    try {
      self.#stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      await self.#listen(onSamples);
    } catch (cause) {
      self.close();
      const hint = cause.name === "NotAllowedError" ? "allow the microphone for this page, or try the sample" : null;
      throw new PannierError("E_FAILED", `the microphone cannot be heard: ${cause.message}`, { cause, hint });
    }
    return self;
  }

  async #listen(onSamples) {
    const context = this.#context;
    await context.audioWorklet.addModule(new URL("./capture.js", import.meta.url));
    // Contexts of other rates than the device's cannot be had everywhere.
    const resampler = new Resampler(context.sampleRate, SAMPLE_RATE_HZ);
    const capture = new AudioWorkletNode(context, "capture");
    capture.port.onmessage = ({ data }) => onSamples(resampler.push(data));
    // Its output is silence, but only what leads to the end is run.
    context.createMediaStreamSource(this.#stream).connect(capture).connect(context.destination);
    await context.resume();
  }

  close() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#context.close();
  }
}
