import { Model } from "../models.js";
import { State, Tensor } from "../runtime.js";
import { takeChosen } from "../ui/drop.js";
import { failure } from "../ui/elements.js";
import { percent } from "../ui/format.js";
import { modelCard } from "../ui/model-card.js";
import { FRAME_MS, Frames, peak } from "./frames.js";
import { Microphone } from "./microphone.js";
import { Plot } from "./plot.js";
import { samplesOf } from "./recording.js";
import { SPEECH, segments } from "./segments.js";

/** How much of what the microphone hears is seen. */
const LIVE_FRAMES = Math.round(10_000 / FRAME_MS);
/** Frames after which a recording is drawn as far as it was heard. */
const FRAMES_PER_DRAWING = 50;
/** The memory of a model that runs all the time is asked for this often. */
const REFRESH_FRAMES = 64;

/** Hears speech, in a recording or from the microphone. */
export function speechPanel(panel) {
  new SpeechPanel(panel);
}

class SpeechPanel {
  #model = new Model("silero-vad");
  #plot;
  #microphone = null;
  /** What is listened to now: whatever belongs to something else comes too late. */
  #turn = 0;
  #frames = [];
  #part;

  constructor(panel) {
    this.#part = (name) => panel.querySelector(`[data-${name}]`);
    this.#plot = new Plot(this.#part("plot"), FRAME_MS / 1000);
    this.#part("models").append(modelCard(this.#model));
    this.#part("microphone").addEventListener("click", () => this.#guard(() => this.#toggleMicrophone()));
    this.#part("sample").addEventListener("click", () => this.#guard(() => this.#hearSample()));
    takeChosen(this.#part("sound"), ([file]) => this.#guard(() => this.#hear(file)));
    this.#part("player").addEventListener("play", () => this.#follow());
    panel.addEventListener("open", () => this.#plot.draw());
  }

  /** Whatever goes wrong is shown. */
  async #guard(work) {
    try {
      await work();
    } catch (error) {
      this.#part("segments").replaceChildren(failure(error));
    }
  }

  async #hearSample() {
    const response = await fetch("samples/speech.wav");
    await this.#hear(await response.blob());
  }

  async #hear(file) {
    const turn = this.#begin();
    const player = this.#part("player");
    URL.revokeObjectURL(player.src);
    player.src = URL.createObjectURL(file);
    player.hidden = false;
    const samples = await samplesOf(file);
    await this.#model.session();
    // Where nothing may be played, it is analysed all the same.
    player.play().catch(() => {});
    const listener = new Listener(this.#model);
    const windows = [...new Frames().push(samples)];
    for (const window of windows) {
      const heard = await listener.hear(window);
      if (turn !== this.#turn) return;
      this.#frames.push(heard);
      if (this.#frames.length % FRAMES_PER_DRAWING === 0) this.#plot.show(this.#frames, windows.length);
    }
    this.#plot.show(this.#frames, windows.length);
    this.#part("segments").textContent = sentence(segments(this.#frames.map(({ probability }) => probability)));
    await this.#model.refresh();
  }

  /** Moves along with the player. */
  #follow() {
    const player = this.#part("player");
    const turn = this.#turn;
    const move = () => {
      if (turn !== this.#turn) return;
      const frame = Math.floor((player.currentTime * 1000) / FRAME_MS);
      if (this.#frames.length > 0) this.#plot.show(this.#frames, this.#frames.length, frame);
      if (this.#frames[frame] !== undefined) this.#say(this.#frames[frame].probability);
      if (!player.paused) requestAnimationFrame(move);
    };
    move();
  }

  async #toggleMicrophone() {
    if (this.#microphone !== null) {
      this.#begin();
      return;
    }
    const turn = this.#begin();
    this.#part("player").hidden = true;
    const listener = new Listener(this.#model);
    const frames = new Frames();
    // While the user is asked for the microphone, the model is loaded.
    let last = this.#model.session();
    const stop = (error) => {
      if (turn !== this.#turn) return;
      this.#begin();
      this.#part("segments").replaceChildren(failure(error));
    };
    last.catch(stop);
    const onSamples = (samples) => {
      for (const window of frames.push(samples)) {
        // One after the other, in the order in which they were heard.
        last = last.then(() => (turn === this.#turn ? listener.hear(window) : null)).then((heard) => this.#live(turn, heard));
        last.catch(stop);
      }
    };
    const microphone = await Microphone.open(onSamples);
    if (turn !== this.#turn) return microphone.close();
    this.#microphone = microphone;
    this.#part("microphone").setAttribute("aria-pressed", true);
    this.#part("microphone").textContent = "Stop listening";
  }

  #live(turn, heard) {
    if (turn !== this.#turn || heard === null) return;
    this.#frames.push(heard);
    this.#plot.show(this.#frames, LIVE_FRAMES);
    this.#say(heard.probability);
    if (this.#frames.length % REFRESH_FRAMES === 1) this.#guard(() => this.#model.refresh());
  }

  /** Ends what was listened to. */
  #begin() {
    this.#turn += 1;
    this.#frames = [];
    this.#microphone?.close();
    this.#microphone = null;
    this.#part("player").pause();
    this.#part("microphone").setAttribute("aria-pressed", false);
    this.#part("microphone").textContent = "Listen to the microphone";
    this.#part("segments").textContent = "";
    return this.#turn;
  }

  #say(probability) {
    this.#part("now").textContent = percent(probability);
    this.#part("verdict").textContent = probability >= SPEECH ? "Somebody is speaking." : "Nobody is speaking.";
    this.#part("now").dataset.speech = probability >= SPEECH;
  }
}

/** One stream of sound, and what the model remembers of it. */
class Listener {
  #model;
  #state = new State();

  constructor(model) {
    this.#model = model;
  }

  /** The probability that somebody speaks in this frame. */
  async hear(window) {
    const outputs = await this.#model.step(this.#state, { input: new Tensor("float32", window, [1, window.length]) });
    return { probability: outputs.output.data[0], peak: peak(window) };
  }
}

function sentence(found) {
  const seconds = (frame) => `${((frame * FRAME_MS) / 1000).toFixed(1)}\u00a0s`;
  if (found.length === 0) return "Nobody speaks in it.";
  return `Speech ${found.map(([first, end]) => `from ${seconds(first)} to ${seconds(end)}`).join(", and ")}.`;
}
