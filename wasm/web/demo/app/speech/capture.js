// Runs where sound is processed and hands on what comes in, its channels averaged.

class Capture extends AudioWorkletProcessor {
  process([channels]) {
    if (channels.length > 0) {
      const mean = channels[0].slice();
      for (const channel of channels.slice(1)) channel.forEach((value, at) => (mean[at] += value));
      if (channels.length > 1) mean.forEach((value, at) => (mean[at] = value / channels.length));
      this.port.postMessage(mean, [mean.buffer]);
    }
    return true;
  }
}

registerProcessor("capture", Capture);
