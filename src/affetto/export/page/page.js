// A recording in, emotions out, all within the browser. The model computes in a worker, so that the page stays awake.

const RATE_HZ = 16000;
const LONGEST_SECONDS = 60; // all windows are computed at once: memory grows with the length
const SHORTEST_SECONDS = 0.1;

const ENGLISH = {
    loading: "Loading the model…",
    ready: "Ready.",
    listening: "Computing…",
    recording: "Recording: press again to stop.",
    record: "Record",
    stop: "Stop",
    heard: (seconds) => `${seconds.toFixed(1)} s analysed, in this browser.`,
    cut: `Only the first ${LONGEST_SECONDS} s were analysed, in this browser.`,
    short: "The recording is shorter than 0.1 s.",
    broken: "The file cannot be read as audio: convert it to wav, mp3 or ogg.",
    microphone: "The browser gives no microphone: allow it, or choose a file.",
    failed: (reason) => `The model cannot be run (${reason}). Serve the folder over HTTP, complete as it was exported.`,
    labels: {},
};
const ITALIAN = {
    title: "Emozioni nel parlato",
    lead: "Scegli una registrazione o registra la tua voce. Resta in questo browser: nulla viene inviato.",
    synthetic: "Questo modello è stato addestrato su parlato sintetico: mostra come funziona la pagina, nulla di più.",
    choose: "Scegli un file",
    law: "Legge, licenza e limiti",
    limits:
        "Il modello ha imparato da un corpus e può sbagliare con altre lingue, età, microfoni e stanze. Una voce non " +
        "mostra che cosa prova una persona. Non basare su di essa decisioni che riguardano persone.",
    loading: "Il modello si carica…",
    ready: "Pronto.",
    listening: "In ascolto…",
    recording: "Registrazione in corso: premi di nuovo per fermarla.",
    record: "Registra",
    stop: "Ferma",
    heard: (seconds) => `${seconds.toFixed(1)} s analizzati, in questo browser.`,
    cut: `Solo i primi ${LONGEST_SECONDS} s sono stati analizzati, in questo browser.`,
    short: "La registrazione è più corta di 0,1 s.",
    broken: "Il file non si può leggere come audio: convertilo in wav, mp3 o ogg.",
    microphone: "Il browser non dà il microfono: permettilo, o scegli un file.",
    failed: (reason) => `Il modello non funziona (${reason}). Servi la cartella via HTTP, completa com'è stata esportata.`,
    labels: {
        anger: "rabbia",
        disgust: "disgusto",
        fear: "paura",
        joy: "gioia",
        neutrality: "neutralità",
        sadness: "tristezza",
        surprise: "sorpresa",
    },
};

const texts = navigator.language.toLowerCase().startsWith("it") ? ITALIAN : ENGLISH;
const find = (id) => document.getElementById(id);
let recorder = null;
let pending = null; // what the state becomes once the answer is there
let recordings = 0; // number of the latest recording; answers to earlier ones are dropped

function show(text, isProblem = false) {
    find("state").textContent = text;
    find("state").className = isProblem ? "problem" : "";
}

function translate() {
    if (texts !== ITALIAN) return;
    document.documentElement.lang = "it";
    for (const element of document.querySelectorAll("[data-text]")) element.textContent = texts[element.dataset.text];
    document.title = texts.title;
    // The notice in the reader's language comes first.
    const [first, second] = [find("notice"), find("notice-it")];
    if (second) [first.textContent, second.textContent] = [second.textContent, first.textContent];
}

// A worker that is made from a blob is bound by this page's policy; one of a file would not be.
function startWorker() {
    const address = JSON.stringify(new URL("worker.js", location.href).href);
    const source = URL.createObjectURL(new Blob([`import ${address};`], { type: "text/javascript" }));
    const worker = new Worker(source, { type: "module" });
    worker.onmessage = ({ data }) => receive(data);
    worker.onerror = (event) => show(texts.failed(event.message || "worker.js"), true);
    worker.postMessage({ folder: new URL(".", location.href).href });
    return worker;
}

function receive(message) {
    if (message.problem !== undefined) show(texts.failed(message.problem), true);
    else if (message.loaded) {
        show(texts.ready);
        find("file").disabled = find("record").disabled = false;
    } else if (message.number === recordings) {
        draw(message.answers);
        show(pending);
    }
}

function draw(answers) {
    const name = (label) => texts.labels[label] ?? label;
    const bars = answers.map(({ label, score }) => {
        const share = `${Math.round(100 * score)} %`;
        const bar = document.createElement("div");
        bar.className = "bar";
        const [head, track] = [document.createElement("div"), document.createElement("div")];
        for (const text of [name(label), share]) head.appendChild(document.createElement("span")).textContent = text;
        track.className = "track";
        const fill = track.appendChild(document.createElement("div"));
        fill.className = "fill";
        fill.style.width = `${100 * score}%`;
        bar.append(head, track);
        return bar;
    });
    find("emotion").textContent = name(answers[0].label);
    find("bars").replaceChildren(...bars);
    find("answer").hidden = false;
}

async function decode(blob) {
    const context = new OfflineAudioContext(1, 1, RATE_HZ); // decodes to its own rate
    const sound = await context.decodeAudioData(await blob.arrayBuffer());
    const samples = new Float32Array(sound.length);
    for (let channel = 0; channel < sound.numberOfChannels; channel++) {
        const values = sound.getChannelData(channel);
        for (let i = 0; i < samples.length; i++) samples[i] += values[i] / sound.numberOfChannels;
    }
    return samples;
}

async function listen(blob) {
    const number = ++recordings;
    find("answer").hidden = true;
    show(texts.listening);
    let samples;
    try {
        samples = await decode(blob);
    } catch {
        return show(texts.broken, true);
    }
    URL.revokeObjectURL(find("player").src);
    find("player").src = URL.createObjectURL(blob);
    find("player").hidden = false;
    if (samples.length < SHORTEST_SECONDS * RATE_HZ) return show(texts.short, true);
    const cut = samples.slice(0, LONGEST_SECONDS * RATE_HZ);
    pending = cut.length < samples.length ? texts.cut : texts.heard(cut.length / RATE_HZ);
    worker.postMessage({ number, samples: cut }, [cut.buffer]);
}

async function toggleRecording() {
    if (recorder) return recorder.stop();
    let stream;
    try {
        stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch {
        return show(texts.microphone, true);
    }
    const parts = [];
    recorder = new MediaRecorder(stream);
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.onstop = () => {
        for (const track of stream.getTracks()) track.stop();
        const { mimeType } = recorder;
        recorder = null;
        find("record").textContent = texts.record;
        find("record").classList.remove("recording");
        listen(new Blob(parts, { type: mimeType }));
    };
    recorder.start();
    find("record").textContent = texts.stop;
    find("record").classList.add("recording");
    show(texts.recording);
}

translate();
show(texts.loading);
const worker = startWorker();
find("file").addEventListener("change", ({ target }) => {
    if (target.files[0]) listen(target.files[0]);
    target.value = "";
});
find("record").addEventListener("click", toggleRecording);
const config = await (await fetch("config.json")).json();
find("synthetic").hidden = !config.affetto.synthetic;
