// Takes what the microphone gives, in the audio thread, and hands it on as 16-bit samples of one channel.

const FRAMES = 2048; // some 43 ms at 48 kHz in a message

class Samples extends AudioWorkletProcessor {
  constructor() {
    super();
    this.samples = new Int16Array(FRAMES);
    this.count = 0;
    this.port.onmessage = () => this.pass(true); // the end: what has not filled a message
  }

  process([channels]) {
    const [wave] = channels;
    if (wave === undefined) return true;
    for (const value of wave) {
      this.samples[this.count++] = Math.max(-32768, Math.min(32767, Math.round(32768 * value)));
      if (this.count === FRAMES) this.pass();
    }
    return true;
  }

  pass(isLast = false) {
    const { buffer } = this.samples.slice(0, this.count);
    this.port.postMessage({ buffer, isLast }, [buffer]);
    this.count = 0;
  }
}

registerProcessor("samples", Samples);
