/**
 * @file TensorFlow.js on its WebAssembly backend. It reads no ONNX: the network is built from `network.json` and its
 * weights, with the fused operators that TensorFlow.js's own models use.
 */
import { toChannelsLast } from "../measure.mjs";

const BASE = new URL("../../../tools/bench/node_modules/@tensorflow/", import.meta.url).href;
const SCRIPTS = ["tfjs-core/dist/tf-core.min.js", "tfjs-backend-cpu/dist/tf-backend-cpu.min.js", "tfjs-backend-wasm/dist/tf-backend-wasm.min.js"];

/** @type {import("../measure.mjs").Load} */
export async function load({ model, threads, inputShape }) {
  for (const script of SCRIPTS) await loadScript(BASE + script);
  const tf = /** @type {any} */ (globalThis).tf;
  tf.wasm.setWasmPaths(`${BASE}tfjs-backend-wasm/dist/`);
  tf.wasm.setThreadsCount(threads);
  if (!(await tf.setBackend("wasm"))) throw new Error("TensorFlow.js has no WebAssembly backend here");
  await tf.ready();
  const network = await (await fetch(model)).json();
  const weights = await (await fetch(new URL(network.weights, new URL(model, location.href)))).arrayBuffer();
  const constant = ({ offset, shape }) =>
    tf.tensor(new Float32Array(weights, offset, shape.reduce((a, b) => a * b)), shape);
  const steps = network.nodes.map((node) => prepare(tf, node, constant));
  const [batch, channels, height, width] = inputShape;
  return {
    about: { build: `TensorFlow.js ${tf.version_core}`, threads, notes: [] },
    async run(input) {
      const image = tf.tensor(toChannelsLast(input, inputShape), [batch, height, width, channels]);
      const begin = performance.now();
      const result = tf.tidy(() => {
        const values = { [network.input]: image };
        for (const { inputs, output, compute } of steps) values[output] = compute(...inputs.map((name) => values[name]));
        return values[network.output];
      });
      const output = await result.data();
      const milliseconds = performance.now() - begin;
      result.dispose();
      image.dispose();
      return { output, milliseconds, callMs: milliseconds };
    },
  };
}

/** One node of network.json as a function of tensors. */
function prepare(tf, node, constant) {
  const { op, inputs, output } = node;
  const computes = {
    conv: () => {
      const [filter, bias] = [constant(node.filter), constant(node.bias)];
      const [top, left, bottom, right] = node.pads;
      const pad = [[0, 0], [top, bottom], [left, right], [0, 0]];
      const options = { filter, strides: node.strides, pad, bias, activation: node.relu6 ? "relu6" : "linear" };
      const conv = node.depthwise ? tf.fused.depthwiseConv2d : tf.fused.conv2d;
      return (x) => conv({ x, ...options });
    },
    mean: () => (x) => tf.mean(x, [1, 2], node.keepDims),
    matmul: () => {
      const [matrix, bias] = [constant(node.filter), constant(node.bias)];
      return (x) => tf.add(tf.matMul(x, matrix), bias);
    },
    add: () => tf.add,
    multiply: () => tf.mul,
    sigmoid: () => tf.sigmoid,
    softmax: () => tf.softmax,
  };
  return { inputs, output, compute: computes[op]() };
}

/** @param {string} address */
function loadScript(address) {
  return new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), { src: address, onload: resolve });
    script.onerror = () => reject(new Error(`${address} cannot be loaded`));
    document.head.append(script);
  });
}
