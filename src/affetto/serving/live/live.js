// Sends the microphone's sound to the server's WebSocket, and shows windows and segments as they are decided.

const MOST_WAITING = 2 ** 22; // bytes that the server has not taken: it is slower than the sound
const root = document.querySelector("#live");
const texts = JSON.parse(root.dataset.texts);
const colours = JSON.parse(root.dataset.colours);
const place = (name) => document.querySelector(`#${name}`);
let session = null;

place("start").addEventListener("click", () => (session === null ? start() : session.finish()));

function start() {
  session = new Session();
  session.run().catch((problem) => session?.fail(texts[problem.name] ?? texts.microphone));
}

class Session {
  constructor() {
    this.hasEnded = false;
    this.segments = 0;
  }

  async run() {
    place("segments").replaceChildren();
    place("now").replaceChildren();
    state("connecting");
    place("start").textContent = texts.stop;
    // What a model hears should be as it was spoken: browsers would change loudness and noise.
    const plain = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    if (navigator.mediaDevices === undefined) throw new DOMException("", "NotAllowedError");
    this.microphone = await navigator.mediaDevices.getUserMedia({ audio: plain });
    if (this.hasEnded) return this.release();
    this.audio = new AudioContext();
    await this.audio.audioWorklet.addModule(root.dataset.worklet);
    if (this.hasEnded) return this.release();
    this.worklet = new AudioWorkletNode(this.audio, "samples", {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
    });
    this.open();
  }

  open() {
    const address = new URL(root.dataset.stream, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      const token = place("token").value;
      const hello = { sample_rate: this.audio.sampleRate, model: place("model").value, windows: true };
      this.socket.send(JSON.stringify(token ? { ...hello, token } : hello));
    };
    this.socket.onmessage = (message) => this.hear(JSON.parse(message.data));
    this.socket.onclose = () => this.fail(texts.lost);
  }

  hear(message) {
    if (message.type === "ready") this.listen();
    if (message.type === "window") now(message);
    if (message.type === "segment") add(message, this.segments++);
    if (message.type === "end") this.end(message);
    if (message.type === "error") {
      if (message.error === "unauthorised") place("access").hidden = false;
      this.fail(texts[message.error] ?? "", message.message);
    }
  }

  listen() {
    this.worklet.port.onmessage = ({ data: { buffer, isLast } }) => {
      if (this.socket.readyState !== WebSocket.OPEN) return;
      if (this.socket.bufferedAmount > MOST_WAITING) return this.fail(texts.slow);
      if (buffer.byteLength > 0) this.socket.send(buffer);
      if (!isLast) return;
      this.worklet.port.onmessage = null; // nothing may follow the end
      this.socket.send('{"type": "end"}');
    };
    this.audio.createMediaStreamSource(this.microphone).connect(this.worklet);
    this.audio.resume();
    state("listening");
  }

  finish() {
    if (this.socket?.readyState !== WebSocket.OPEN || this.isFinishing) return this.fail("");
    state("finishing");
    this.isFinishing = true;
    this.worklet.port.postMessage("end");
  }

  end(message) {
    place("now").replaceChildren();
    const seconds = message.seconds.toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 });
    state(message.segments.length ? "done" : "none", { seconds });
    this.release();
  }

  fail(words, detail = "") {
    if (this.hasEnded) return;
    place("status").textContent = [words, detail].filter(Boolean).join(" ");
    place("status").className = words || detail ? "affetto-problem" : "";
    this.release();
  }

  release() {
    this.hasEnded = true;
    this.microphone?.getTracks().forEach((track) => track.stop());
    this.audio?.close();
    this.socket?.close();
    session = null;
    place("start").textContent = texts.start;
    place("start").classList.remove("is-on");
  }
}

function state(name, values = {}) {
  place("status").className = "";
  place("status").dataset.state = name;
  place("start").classList.toggle("is-on", name === "listening");
  place("status").textContent = texts[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

function now(window_) {
  place("now").replaceChildren(...described(window_), ...bars(window_.probabilities ?? {}));
}

function add(segment, number) {
  const line = document.createElement("li");
  const times = element("span", "times", `${clock(segment.start)} – ${clock(segment.end)}`);
  line.append(times, ...described(segment));
  line.dataset.number = number;
  place("segments").append(line);
  line.scrollIntoView({ block: "nearest" });
}

function described(result) {
  const share = result.emotion ? result.probabilities[result.emotion] : null;
  const dot = element("i", "dot");
  dot.style.background = colours[result.emotion] ?? "#c8c8c8";
  const numbers = Object.entries(result.dimensions ?? {}).map(([name, value]) => {
    return `${texts.names[name] ?? name} ${value.toLocaleString(document.documentElement.lang, { maximumFractionDigits: 2 })}`;
  });
  const hasLabels = Object.keys(result.probabilities ?? {}).length > 0;
  const word = result.emotion ? (texts.labels[result.emotion] ?? result.emotion) : hasLabels ? texts.unsure : "";
  return [
    dot,
    element("b", "word", [word, ...numbers].filter(Boolean).join(" · ")),
    element("span", "share", share === null ? "" : `${Math.round(100 * share)} %`),
  ];
}

function bars(probabilities) {
  const list = element("div", "bars");
  for (const [label, share] of Object.entries(probabilities)) {
    const bar = element("span", "bar");
    bar.style.setProperty("--share", share);
    bar.style.setProperty("--colour", colours[label] ?? "#c8c8c8");
    list.append(element("span", "", texts.labels[label] ?? label), bar);
  }
  return [list];
}

function element(name, kind, text = "") {
  const made = document.createElement(name);
  made.className = kind;
  made.textContent = text;
  return made;
}

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
}
