/**
 * @file Measures one engine on one model in this page. The page shows it to people; `make bench` drives it.
 */

/**
 * @typedef {object} Task
 * @property {"gossamer" | "onnxruntime" | "litert" | "tfjs"} engine
 * @property {string} model       URL of what the engine reads: .goss, .onnx, .tflite, network.json
 * @property {number[]} inputShape  [N, C, H, W]
 * @property {number} threads
 * @property {"fixed" | "relaxed"} [simd]  Gossamer's build
 * @property {number} warmUp      at least so many runs before those that count
 * @property {number} warmUpMs    and so much time: browsers compile a second time while the first code runs
 * @property {number} runs
 * @property {number} [layerRuns]  Gossamer: measure each layer so often, too
 */

/**
 * @typedef {object} Loaded
 * @property {{build: string, threads: number, notes: string[]}} about
 * @property {(input: Float32Array) => Promise<{output: Float32Array, milliseconds: number, callMs: number}>} run
 * @property {(input: Float32Array, runs: number) => Promise<object>} [layers]
 * @property {() => void} [dispose]  where closing the page is not enough
 */

/** @typedef {(task: Task) => Promise<Loaded>} Load */

/** @type {Record<Task["engine"], () => Promise<{load: Load}>>} */
const ENGINES = {
  gossamer: () => import("./engines/gossamer.mjs"),
  onnxruntime: () => import("./engines/onnxruntime.mjs"),
  litert: () => import("./engines/litert.mjs"),
  tfjs: () => import("./engines/tfjs.mjs"),
};

/**
 * @param {Task} task
 * @returns {Promise<object>} `about` the engine; `readyMs` from nothing to the first result; of each run that counts
 *   the milliseconds in the engine (`times`) and as the page waits (`callTimes`); the last `output`; `layers`
 */
export async function measure(task) {
  const input = testImage(task.inputShape.reduce((product, size) => product * size));
  const begin = performance.now();
  const { load } = await ENGINES[task.engine]();
  const engine = await load(task);
  let { output } = await engine.run(input);
  const readyMs = performance.now() - begin;
  for (let run = 1; run < task.warmUp || performance.now() - begin < task.warmUpMs; run++) await engine.run(input);
  const times = [];
  const callTimes = [];
  for (let run = 0; run < task.runs; run++) {
    const result = await engine.run(input);
    times.push(result.milliseconds);
    callTimes.push(result.callMs);
    ({ output } = result);
  }
  const profile = task.layerRuns && engine.layers ? await engine.layers(input, task.layerRuns) : null;
  engine.dispose?.();
  return { about: engine.about, readyMs, times, callTimes, output: Array.from(output), profile };
}

/** The same numbers in -1..1 everywhere; tools/bench/networks.py makes them, too.
 * @param {number} length */
export function testImage(length) {
  return Float32Array.from({ length }, (_, index) => ((index * 2654435761) % 4294967296) / 2147483648 - 1);
}

/** NCHW -> NHWC.
 * @param {Float32Array} values @param {number[]} shape  [N, C, H, W] */
export function toChannelsLast(values, [batch, channels, height, width]) {
  const pixels = height * width;
  const result = new Float32Array(values.length);
  for (let image = 0; image < batch; image++) {
    for (let channel = 0; channel < channels; channel++) {
      const plane = (image * channels + channel) * pixels;
      for (let pixel = 0; pixel < pixels; pixel++) {
        result[(image * pixels + pixel) * channels + channel] = values[plane + pixel];
      }
    }
  }
  return result;
}

/** @param {number[]} values  at least one @param {number} share  0..1 */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  return sorted[below] + (place - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
}
