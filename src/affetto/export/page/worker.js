// The model in a worker: takes {folder} once, then {number, samples}; gives {loaded}, {number, answers} or {problem}.

let classify = null;

async function load(folder) {
    const { env, pipeline } = await import("./library/transformers.min.js");
    env.allowRemoteModels = false;
    env.allowLocalModels = true;
    // The folder is at hand, and may hold another model tomorrow.
    env.useBrowserCache = env.useWasmCache = false;
    env.fetch = (path, options) => fetch(new URL(path, folder), options);
    const file = (ending) => new URL(`library/ort-wasm-simd-threaded.asyncify.${ending}`, folder).href;
    env.backends.onnx.wasm.wasmPaths = { mjs: file("mjs"), wasm: file("wasm") };
    env.backends.onnx.wasm.proxy = false;
    classify = await pipeline("audio-classification", ".", { device: "wasm" });
}

self.onmessage = async ({ data }) => {
    try {
        if (data.folder) {
            await load(data.folder);
            self.postMessage({ loaded: true });
        } else {
            const answers = await classify(data.samples, { top_k: null });
            self.postMessage({ number: data.number, answers });
        }
    } catch (problem) {
        self.postMessage({ problem: problem.message ?? String(problem) });
    }
};
