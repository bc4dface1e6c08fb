/** @file LiteRT.js on its WebAssembly backend (XNNPACK). Images lie as NHWC. */
import { toChannelsLast } from "../measure.mjs";

const BASE = new URL("../../../tools/bench/node_modules/@litertjs/core/", import.meta.url).href;

/** @type {import("../measure.mjs").Load} */
export async function load({ model, threads, inputShape }) {
  const { loadLiteRt, loadAndCompile, Tensor } = await import(`${BASE}dist/index.js`);
  await loadLiteRt(`${BASE}wasm/`, { threads: threads > 1 });
  const compiled = await loadAndCompile(model, { accelerator: "wasm", cpuOptions: { numThreads: threads } });
  const [batch, channels, height, width] = inputShape;
  return {
    about: { build: "LiteRT.js", threads, notes: [] },
    async run(input) {
      const tensor = new Tensor(toChannelsLast(input, inputShape), [batch, height, width, channels]);
      const begin = performance.now();
      const [result] = await compiled.run(tensor);
      const output = Float32Array.from(result.toTypedArray());
      const milliseconds = performance.now() - begin;
      tensor.delete();
      result.delete();
      return { output, milliseconds, callMs: milliseconds };
    },
  };
}
