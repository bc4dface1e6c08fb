/**
 * @file The public class: a model, ready to run in a worker of its own.
 */
import { chooseBuild, chooseThreads } from "./choice.mjs";
import { engineError, GossamerError } from "./errors.mjs";
import { decodeImage } from "./image.mjs";
import { readSource } from "./source.mjs";

/** @typedef {import("./native_session.mjs").TensorInfo} TensorInfo */
/** @typedef {import("./native_session.mjs").Values} Values */
/** @typedef {import("./native_session.mjs").LayerInfo} LayerInfo */
/** @typedef {import("./native_session.mjs").SessionInfo} SessionInfo */
/** @typedef {import("./native_session.mjs").Description} Description */
/** @typedef {import("./source.mjs").Source} Source */
/** @typedef {import("./source.mjs").Content} Content */
/** @typedef {import("./image.mjs").ImageSource} ImageSource */

/** @typedef {{data: Float32Array, dims: number[]}} Tensor */
/** @typedef {{label: string, probability: number}} Prediction  probability 0..1 */
/** @typedef {{stage: "engine" | "model", loaded: number, total: number | null}} Progress
 *   bytes; `total` is null where the server does not tell */

/**
 * @typedef {object} SessionOptions
 * @property {number} [threads]  at least 1; default: what the machine has, at most 4. Where fewer run, because the page
 *   is not cross-origin isolated or for another reason, `notes` says so
 * @property {"fixed" | "relaxed"} [simd]  "relaxed", the default, where the browser has it; `notes` says where not
 * @property {(progress: Progress) => void} [onProgress]
 * @property {AbortSignal} [signal]  stops loading
 */

/** Written out, so that bundlers find the files. */
const ENGINES = {
  "gossamer-simd": new URL("../dist/gossamer-simd.wasm", import.meta.url),
  "gossamer-relaxed": new URL("../dist/gossamer-relaxed.wasm", import.meta.url),
  "gossamer-simd-threads": new URL("../dist/gossamer-simd-threads.wasm", import.meta.url),
  "gossamer-relaxed-threads": new URL("../dist/gossamer-relaxed-threads.wasm", import.meta.url),
};

/**
 * A model, planned for this machine. It lives in a worker, so that the page stays responsive; calls follow one
 * another. Sessions of their own run side by side.
 *
 * @example
 * const session = await InferenceSession.create("cifar10-mobilenet.goss");
 * const [{ label, probability }] = await session.classify(file, { top: 1 });
 * session.dispose();
 */
export class InferenceSession {
  #remote;
  #description;
  #build;
  #notes;
  #latencyMs = NaN;
  /** What inputs travel to the worker in, and come back in: fresh memory costs more than the copy.
   * @type {Record<string, Values>[]} */
  #spare = [];
  /** @type {Promise<LayerInfo[]> | null}  describing them takes longer than a small model's run */
  #layers = null;

  /**
   * Fetches the engine and a model and plans it. Resolves when `run` can start.
   *
   * @param {Source} source  URL or content of a `.goss` file; bytes are copied and stay the caller's
   * @param {SessionOptions} [options]
   * @returns {Promise<InferenceSession>}
   * @throws {GossamerError} any code but "disposed" and "image-unreadable"
   */
  static async create(source, { threads: wanted, simd = "relaxed", onProgress = () => {}, signal } = {}) {
    const { threads, notes: threadNotes } = chooseThreads(wanted);
    const { build, notes: buildNotes } = chooseBuild(simd, threads);
    const remote = new Remote();
    const stop = () => remote.close(new GossamerError("aborted", "Loading was aborted."));
    signal?.addEventListener("abort", stop);
    try {
      if (signal?.aborted) throw new GossamerError("aborted", "Loading was aborted.");
      /** @param {Progress["stage"]} stage */
      const options = (stage) => ({ signal, onProgress: (loaded, total) => onProgress({ stage, loaded, total }) });
      const [crewNotes, description] = await Promise.all([
        readEngine(ENGINES[build], options("engine")).then((module) => remote.call("load", { module, threads })),
        readSource(source, options("model")).then(({ bytes, url }) =>
          remote.call("create", { model: bytes, threads }, url ? [bytes.buffer] : []).catch((error) => {
            throw withAddress(error, url);
          }),
        ),
      ]);
      return new InferenceSession(remote, description, build, [...buildNotes, ...threadNotes, ...crewNotes]);
    } catch (error) {
      remote.close(new GossamerError("disposed", "The session was never created."));
      throw error;
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  /**
   * @param {Remote} remote
   * @param {Description} description
   * @param {string} build
   * @param {string[]} notes
   * @private use `create`
   */
  constructor(remote, description, build, notes) {
    this.#remote = remote;
    this.#description = description;
    this.#build = build;
    this.#notes = [...notes, ...description.notes];
  }

  /** Names that `run` needs, in the model's order. */
  get inputNames() {
    return this.#description.inputs.map(({ name }) => name);
  }

  /** Names that `run` gives, in the model's order. */
  get outputNames() {
    return this.#description.outputs.map(({ name }) => name);
  }

  /** @returns {TensorInfo[]} */
  get inputs() {
    return structuredClone(this.#description.inputs);
  }

  /** @returns {TensorInfo[]} */
  get outputs() {
    return structuredClone(this.#description.outputs);
  }

  /** Key / value pairs of the model file, such as "labels" and "title". */
  get metadata() {
    return { ...this.#description.metadata };
  }

  /** What was reduced and why, a sentence each; empty when nothing was. */
  get notes() {
    return [...this.#notes];
  }

  /** The engine that runs: "gossamer-relaxed" or "gossamer-simd", with "-threads" where several threads run. */
  get build() {
    return this.#build;
  }

  /** @returns {SessionInfo} what the plan costs */
  get info() {
    return { ...this.#description.info };
  }

  /** Time that the last run took in the engine, in milliseconds; NaN before the first. */
  get latencyMs() {
    return this.#latencyMs;
  }

  /**
   * The plan, in execution order.
   *
   * @returns {Promise<LayerInfo[]>}
   * @throws {GossamerError} "disposed" | "worker-failed"
   */
  async layers() {
    this.#layers ??= this.#remote.call("layers", null);
    return structuredClone(await this.#layers);
  }

  /**
   * Computes outputs from inputs.
   *
   * @param {Record<string, Values>} inputs  for each name all its values, of its type, row by row; copied
   * @returns {Promise<Record<string, Tensor>>} every output by its name; they belong to the caller
   * @throws {GossamerError} "invalid-argument": a name is unknown or missing, a type or length differs, an input holds
   *   NaN. Nothing was computed, and the session stays usable. | "disposed" | "worker-failed"
   */
  async run(inputs) {
    checkInputs(this.#description.inputs, inputs);
    const lent = this.#spare.pop() ?? {};
    for (const { name } of this.#description.inputs) {
      if (lent[name]) lent[name].set(inputs[name]);
      else lent[name] = inputs[name].slice();
    }
    const memory = Object.values(lent).map(({ buffer }) => /** @type {ArrayBuffer} */ (buffer));
    const { outputs, latencyMs, returned } = await this.#remote.call("run", lent, memory);
    this.#spare.push(returned);
    this.#latencyMs = latencyMs;
    return outputs;
  }

  /**
   * Measures every layer on its own.
   *
   * @param {Record<string, Values>} inputs  as `run` takes them
   * @param {{runs?: number}} [options]  at least 1
   * @returns {Promise<number[][]>} for each layer, in the order of `layers()`, the milliseconds of each run
   * @throws {GossamerError} as `run`
   */
  async profile(inputs, { runs = 20 } = {}) {
    checkInputs(this.#description.inputs, inputs);
    if (!Number.isInteger(runs) || runs < 1) {
      throw new GossamerError("invalid-argument", `runs: ${runs} found, a whole number of at least 1 expected`);
    }
    return this.#remote.call("profile", { inputs, runs });
  }

  /**
   * Measures how many f32 multiply-adds a second one thread of this build can do, operands in registers.
   *
   * @returns {Promise<number>}
   * @throws {GossamerError} "disposed" | "worker-failed"
   */
  async peakMacsPerSecond() {
    return this.#remote.call("peakMacsPerSecond", null);
  }

  /**
   * Prepares a photo for the model: the largest centered square, area-averaged to the input's size, scaled as the
   * model's metadata says; transparent pictures are laid over white. Every language computes the same bits.
   *
   * @param {ImageSource} image
   * @returns {Promise<Values>} of the input's type; planes [1, 3, height, width], or, for a model that takes pixels and
   *   scales them itself, [1, height, width, 3]
   * @throws {GossamerError} "image-unreadable" | "invalid-argument": the model takes no photos, or a side has more than
   *   32768 pixels | "model-corrupt" | "out-of-memory" | "disposed" | "worker-failed"
   */
  async imageToTensor(image) {
    this.#remote.check();
    const layers = await this.layers();
    const { dims, type } = imageInput(this.#description.inputs, layers);
    if (takesPixels(layers)) {
      const { data, width, height } = await decodeImage(image);
      const pixels = await this.#remote.call("imageToPixels", { pixels: data, width, height, dims });
      return type === "uint8" ? pixels : Float32Array.from(pixels);
    }
    const [mean, scale] = ["image_mean", "image_scale"].map((key) => channels(this.#description.metadata, key));
    const { data, width, height } = await decodeImage(image);
    return this.#remote.call("imageToTensor", { pixels: data, width, height, mean, scale, dims });
  }

  /**
   * Names what a photo shows.
   *
   * @param {ImageSource | Values} image  a photo, or what `imageToTensor` made of it
   * @param {{top?: number}} [options]  how many classes to return, at least 1
   * @returns {Promise<Prediction[]>} the likeliest first. A model without labels gets numbers as labels
   * @throws {GossamerError} as `imageToTensor` and `run`
   */
  async classify(image, { top = 5 } = {}) {
    if (!Number.isInteger(top) || top < 1) {
      throw new GossamerError("invalid-argument", `top: ${top} found, a whole number of at least 1 expected`);
    }
    const output = classOutput(this.#description.outputs);
    const labels = classLabels(this.#description.metadata, output.dims[1]);
    const ready = image instanceof Float32Array || image instanceof Uint8Array;
    const tensor = ready ? image : await this.imageToTensor(image);
    const layers = await this.layers();
    const { name } = imageInput(this.#description.inputs, layers);
    const { [output.name]: scores } = await this.run({ [name]: tensor });
    const probabilities = layers.at(-1)?.op === "softmax" ? scores.data : softmax(scores.data);
    return Array.from(probabilities, (probability, index) => ({ label: labels[index], probability }))
      .sort((a, b) => b.probability - a.probability)
      .slice(0, top);
  }

  /** Stops the workers and frees their memory. Calls under way and later ones reject with "disposed". */
  dispose() {
    this.#remote.close(new GossamerError("disposed", "The session is disposed; create a new InferenceSession."));
  }
}

/** The worker's methods, as promises. */
class Remote {
  #worker = new Worker(new URL("../dist/worker.mjs", import.meta.url), { type: "module", name: "gossamer" });
  /** @type {Map<number, {resolve: (result: any) => void, reject: (error: Error) => void}>} */
  #calls = new Map();
  #next = 0;
  /** @type {GossamerError | null} */
  #closed = null;

  constructor() {
    this.#worker.addEventListener("message", ({ data }) => this.#settle(data));
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      const reason = event.message || "its script cannot be loaded";
      this.close(new GossamerError("worker-failed", `The worker stopped: ${reason}. Create a new session.`));
    });
  }

  /**
   * @param {string} method
   * @param {any} argument
   * @param {Transferable[]} [transfer]  what of it moves instead of being copied
   * @returns {Promise<any>}
   */
  async call(method, argument, transfer = []) {
    this.check();
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#worker.postMessage({ id, method, argument }, transfer);
      this.#calls.set(id, { resolve, reject });
    });
  }

  /** Throws the reason why the worker is gone, if it is. */
  check() {
    if (this.#closed) throw this.#closed;
  }

  /** @param {GossamerError} reason */
  close(reason) {
    if (this.#closed) return;
    this.#closed = reason;
    this.#worker.terminate();
    for (const { reject } of this.#calls.values()) reject(reason);
    this.#calls.clear();
  }

  /** @param {{id: number, result?: any, error?: {code: import("./errors.mjs").ErrorCode, message: string}}} answer */
  #settle({ id, result, error }) {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    if (error) call?.reject(new GossamerError(error.code, error.message));
    else call?.resolve(result);
  }
}

/**
 * Compiles here, while the worker starts.
 *
 * @param {URL} address
 * @param {{signal?: AbortSignal, onProgress: (loaded: number, total: number | null) => void}} options
 * @returns {Promise<WebAssembly.Module>}
 */
async function readEngine(address, options) {
  const { bytes, type } = await readSource(address, options);
  try {
    return await WebAssembly.compile(bytes);
  } catch (cause) {
    const error = engineError(cause);
    if (error.code !== "not-wasm") throw error;
    const found = `${type || "no content type"}, ${bytes.length} bytes; ${cause}`;
    const file = address.pathname.split("/").at(-1);
    throw new GossamerError(
      "not-wasm",
      `${address.href} is no WebAssembly module (${found}). Serve the package's file dist/${file} there; ` +
        "a server that answers unknown paths with a page hides that it is missing.",
      { cause },
    );
  }
}

/** Says which file is meant.
 * @param {unknown} error @param {string} url */
function withAddress(error, url) {
  if (!(error instanceof GossamerError) || !url) return error;
  if (error.code !== "model-corrupt" && error.code !== "unsupported") return error;
  return new GossamerError(error.code, `${url}: ${error.message}`, { cause: error });
}

/** @param {TensorInfo[]} expected @param {Record<string, Values>} inputs */
function checkInputs(expected, inputs) {
  const names = expected.map(({ name }) => name);
  if (typeof inputs !== "object" || inputs === null || ArrayBuffer.isView(inputs)) {
    throw new GossamerError("invalid-argument", `inputs: an object expected: {${names[0]}: Float32Array}`);
  }
  const unknown = Object.keys(inputs).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new GossamerError("invalid-argument", `no input '${unknown}'; the model has ${quote(names)}`);
  }
  for (const tensor of expected) checkInput(tensor, inputs[tensor.name]);
}

/** @param {TensorInfo} tensor @param {unknown} values */
function checkInput({ name, type, dims }, values) {
  const length = dims.reduce((product, size) => product * size, 1);
  const array = type === "uint8" ? Uint8Array : Float32Array;
  const expected = `a ${array.name} of ${length} values, [${dims.join(", ")}], expected`;
  if (values === undefined) throw new GossamerError("invalid-argument", `input '${name}' is missing; ${expected}`);
  if (!(values instanceof array)) {
    const found = Object.prototype.toString.call(values).slice(8, -1);
    throw new GossamerError("invalid-argument", `input '${name}': ${found} found, ${expected}`);
  }
  if (values.length !== length) {
    throw new GossamerError("invalid-argument", `input '${name}': ${values.length} values found, ${expected}`);
  }
}

/** Whether the input is interleaved pixels, which the model scales itself.
 * @param {LayerInfo[]} layers */
function takesPixels(layers) {
  return layers.some(({ op }) => op === "conv_pixels");
}

/** @param {TensorInfo[]} inputs @param {LayerInfo[]} layers */
function imageInput(inputs, layers) {
  const [{ dims }] = inputs;
  const channels = dims[takesPixels(layers) ? 3 : 1];
  if (inputs.length === 1 && dims.length === 4 && dims[0] === 1 && channels === 3) return inputs[0];
  const expected = "one [1, 3, H, W], or pixels [1, H, W, 3], expected";
  throw new GossamerError("invalid-argument", `no model for photos: it takes ${shapes(inputs)}; ${expected}`);
}

/** @param {TensorInfo[]} outputs */
function classOutput(outputs) {
  const [output] = outputs;
  if (outputs.length === 1 && output.dims.length === 2 && output.dims[0] === 1) return output;
  throw new GossamerError("invalid-argument", `no classifier: it gives ${shapes(outputs)}; one [1, classes] expected`);
}

/** @param {Record<string, string>} metadata @param {number} classes */
function classLabels(metadata, classes) {
  if (!metadata.labels) return Array.from({ length: classes }, (_, index) => String(index));
  const labels = metadata.labels.replace(/\n$/, "").split("\n");
  if (labels.length === classes) return labels;
  throw new GossamerError(
    "model-corrupt",
    `the model's metadata holds ${labels.length} labels for ${classes} classes; convert it again with one label a line`,
  );
}

/** Three numbers from the metadata.
 * @param {Record<string, string>} metadata @param {string} key */
function channels(metadata, key) {
  if (metadata[key] === undefined) {
    throw new GossamerError(
      "invalid-argument",
      `the model does not say how photos are scaled: its metadata lacks '${key}'; add it when converting the model`,
    );
  }
  const numbers = metadata[key].trim().split(/\s+/).map(Number);
  if (numbers.length === 3 && numbers.every(Number.isFinite)) return numbers;
  throw new GossamerError("model-corrupt", `metadata '${key}': '${metadata[key]}' found, three numbers expected`);
}

/** @param {Float32Array} scores */
function softmax(scores) {
  const largest = Math.max(...scores);
  const powers = Array.from(scores, (score) => Math.exp(score - largest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** @param {TensorInfo[]} tensors */
function shapes(tensors) {
  return tensors.map(({ name, dims }) => `'${name}' [${dims.join(", ")}]`).join(", ");
}

/** @param {string[]} names */
function quote(names) {
  return names.map((name) => `'${name}'`).join(", ");
}
