// node classify.mjs NODE_MODULES FOLDER DTYPE SAMPLES…
// Prints a JSON line for each file of float32 samples: the logits, and what the pipeline says.

import { readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, folder, dtype, ...files] = process.argv.slice(2);
const library = join(resolve(modules), "@huggingface/transformers/dist/transformers.node.mjs");
const { env, pipeline } = await import(pathToFileURL(library));
env.allowRemoteModels = false;
env.localModelPath = dirname(resolve(folder)) + "/";
const classify = await pipeline("audio-classification", basename(folder), { dtype: dtype || undefined });
for (const file of files) {
    const bytes = readFileSync(file);
    const samples = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4).slice();
    const { logits } = await classify.model(await classify.processor(samples));
    const answers = await classify(samples, { top_k: null });
    const scores = Object.fromEntries(answers.map(({ label, score }) => [label, score]));
    console.log(JSON.stringify({ logits: Array.from(logits.data), scores }));
}
