/** @file onnxruntime-web on its WebAssembly backend, called as its documentation says. */
const BASE = new URL("../../../tools/bench/node_modules/onnxruntime-web/dist/", import.meta.url).href;

/** @type {import("../measure.mjs").Load} */
export async function load({ model, threads, inputShape }) {
  const ort = await import(`${BASE}ort.wasm.min.mjs`);
  ort.env.wasm.wasmPaths = BASE;
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
  return {
    about: { build: `onnxruntime-web ${ort.env.versions.web ?? ort.env.versions.common}`, threads, notes: [] },
    async run(input) {
      const feeds = { [session.inputNames[0]]: new ort.Tensor("float32", input, inputShape) };
      const begin = performance.now();
      const results = await session.run(feeds);
      const milliseconds = performance.now() - begin;
      return { output: results[session.outputNames[0]].data, milliseconds, callMs: milliseconds };
    },
  };
}
