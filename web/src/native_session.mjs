/**
 * @file A model and its plan in an engine's memory. Runs in the worker, and in node; not public.
 *
 * An engine serves one session and is dropped with it, so nothing here is released by hand but scratch.
 */
import { GossamerError } from "./errors.mjs";

/** @typedef {"float32" | "uint8"} Type */
/** @typedef {Float32Array | Uint8Array} Values */

/**
 * @typedef {{name: string, type: Type, dims: number[]}} TensorInfo  `dims` as [N, C, H, W] for images; interleaved
 *   pixels, of models that were converted to take them, as [N, H, W, C]; of outputs of which only a run tells the number
 *   of rows, with the most that there can be
 */

/**
 * @typedef {object} LayerInfo
 * @property {string} name
 * @property {string} op      "conv", "add", ...
 * @property {string} kernel  what runs it
 * @property {string} reason  why
 * @property {number[]} dims  of the output
 * @property {number} macs       multiply-adds of one run, zeros left out
 * @property {number} denseMacs  with every weight present
 * @property {number} weights    elements of the weight matrix, zeros included; biases are not counted
 * @property {number} nonzeros   of these, elements stored
 * @property {number} weightBytes  in the file, biases included, plus what planning expanded
 * @property {number} tensorBytes  of the tensors that it reads and writes
 */

/**
 * @typedef {object} SessionInfo
 * @property {number} arenaBytes   the one allocation for every intermediate tensor and scratch
 * @property {number} tensorBytes  what these would take without sharing memory
 * @property {number} largestLiveBytes  lower bound of `arenaBytes`: the most that is alive during one layer
 * @property {number} weightBytes  weights and indices in the file, plus what planning expanded
 * @property {number} macs         multiply-adds of one run, zeros left out
 * @property {number} denseMacs    with every weight present
 * @property {string} isa          instruction set that runs
 * @property {number} threads      threads that run
 */

/**
 * @typedef {object} Description
 * @property {TensorInfo[]} inputs
 * @property {TensorInfo[]} outputs
 * @property {Record<string, string>} metadata
 * @property {SessionInfo} info
 * @property {string[]} notes
 */

/** @typedef {TensorInfo & {address: number, length: number}} Tensor  `length` in elements */

/** goss_dtype.
 * @type {Record<number, Type>} */
const TYPES = { 1: "float32", 2: "uint8" };

export class NativeSession {
  #engine;
  #session;
  /** How many there are. */
  #layers;
  /** @type {Tensor[]} */
  #inputs;
  /** @type {Tensor[]} */
  #outputs;
  /** @readonly */
  description;

  /**
   * @param {import("./engine.mjs").Engine} engine
   * @param {Uint8Array} file  a `.goss` file; copied
   * @param {{threads: number}} options
   * @throws {GossamerError} "model-corrupt" | "unsupported" | "out-of-memory"
   */
  constructor(engine, file, { threads }) {
    this.#engine = engine;
    const bytes = engine.allocate(Math.max(1, file.length));
    engine.bytes(bytes, file.length).set(file);
    const model = this.#handle("goss_model_load", bytes, file.length);
    this.#session = this.#plan(model, threads);
    const known = engine.read("goss_session_info", (info) => engine.call("goss_session_describe", this.#session, info));
    this.#inputs = this.#bind(known.inputs, "goss_session_input", "goss_session_bind_input");
    this.#outputs = this.#bind(known.outputs, "goss_session_output", "goss_session_bind_output");
    const { inputs: _, outputs: __, layers, notes, ...info } = known;
    this.#layers = layers;
    /** @type {Description} */
    this.description = {
      inputs: this.#inputs.map(publicTensor),
      outputs: this.#outputs.map(publicTensor),
      metadata: this.#metadata(model),
      info: /** @type {any} */ (camelCase(info)),
      notes: notes.split("\n").filter(Boolean),
    };
  }

  /**
   * @param {Record<string, Values>} inputs  one for each name, checked by the caller
   * @returns {{outputs: Record<string, {data: Float32Array, dims: number[]}>, latencyMs: number}}
   * @throws {GossamerError} "invalid-argument": an input holds NaN
   */
  run(inputs) {
    this.#fill(inputs);
    const start = performance.now();
    this.#engine.call("goss_session_run", this.#session);
    const latencyMs = performance.now() - start;
    const outputs = this.#outputs.map(({ name, address }, index) => {
      const { dims } = this.#describe("goss_session_output", index); // each run may give another number of rows
      const length = dims.reduce((/** @type {number} */ product, /** @type {number} */ size) => product * size, 1);
      return [name, { data: this.#engine.floats(address, length).slice(), dims }];
    });
    return { outputs: Object.fromEntries(outputs), latencyMs };
  }

  /** @returns {LayerInfo[]} the plan, in execution order */
  layers() {
    return Array.from({ length: this.#layers }, (_, index) => this.#layer(index));
  }

  /**
   * Measures every layer on its own.
   *
   * @param {Record<string, Values>} inputs  one for each name, checked by the caller
   * @param {number} runs
   * @returns {number[][]} for each layer the milliseconds of each run
   * @throws {GossamerError} "invalid-argument": an input holds NaN
   */
  profile(inputs, runs) {
    this.#fill(inputs);
    /** @type {number[][]} */
    const times = Array.from({ length: this.#layers }, () => []);
    for (let run = 0; run < runs; run++) {
      times.forEach((ofLayer, index) => {
        const start = performance.now();
        this.#engine.call("goss_session_run_layers", this.#session, index, 1);
        ofLayer.push(performance.now() - start);
      });
    }
    return times;
  }

  /**
   * Measures how many f32 multiply-adds a second one thread can do, operands in registers.
   *
   * @returns {number} the best of several short measurements: other programs can only make them slower
   */
  peakMacsPerSecond() {
    const rounds = 1 << 20;
    // Long enough for the browser to compile the code the second, better time.
    const end = performance.now() + 400;
    return this.#engine.borrow(8, (done) => {
      let best = 0;
      while (performance.now() < end) {
        const start = performance.now();
        this.#engine.call("goss_multiply_adds", 0, rounds, done);
        best = Math.max(best, (1000 * this.#engine.word(done)) / (performance.now() - start));
      }
      return best;
    });
  }

  /**
   * @param {object} image
   * @param {Uint8ClampedArray} image.pixels  [height][width][4], not premultiplied
   * @param {number} image.width
   * @param {number} image.height
   * @param {number[]} image.mean   3 values
   * @param {number[]} image.scale  3 values
   * @param {number[]} image.dims   [1, 3, height, width] of the tensor
   * @returns {Float32Array}
   * @throws {GossamerError} "invalid-argument": a side of 0 or more than 32768 pixels
   */
  imageToTensor({ pixels, width, height, mean, scale, dims }) {
    const engine = this.#engine;
    const [, , rows, columns] = dims;
    const floats = 3 * rows * columns;
    return engine.borrow(pixels.length, (source) =>
      engine.borrow(4 * (6 + floats), (means) => {
        const [scales, tensor] = [means + 12, means + 24];
        engine.bytes(source, pixels.length).set(pixels);
        engine.floats(means, 6).set([...mean, ...scale]);
        engine.call("goss_image_to_tensor", source, width, height, 4, means, scales, tensor, columns, rows);
        return engine.floats(tensor, floats).slice();
      }),
    );
  }

  /**
   * @param {object} image
   * @param {Uint8ClampedArray} image.pixels  [height][width][4], not premultiplied
   * @param {number} image.width
   * @param {number} image.height
   * @param {number[]} image.dims   [1, height, width, 3] of the result
   * @returns {Uint8Array}
   * @throws {GossamerError} "invalid-argument": a side of 0 or more than 32768 pixels
   */
  imageToPixels({ pixels, width, height, dims }) {
    const engine = this.#engine;
    const [, rows, columns] = dims;
    return engine.borrow(pixels.length, (source) =>
      engine.borrow(3 * rows * columns, (image) => {
        engine.bytes(source, pixels.length).set(pixels);
        engine.call("goss_image_to_pixels", source, width, height, 4, image, columns, rows);
        return engine.bytes(image, 3 * rows * columns).slice();
      }),
    );
  }

  /** @param {Record<string, Values>} inputs */
  #fill(inputs) {
    for (const { name, type, address, length } of this.#inputs) {
      const memory = type === "uint8" ? this.#engine.bytes(address, length) : this.#engine.floats(address, length);
      memory.set(inputs[name]);
    }
  }

  /** Calls a function that returns a handle by its last parameter but one.
   * @param {string} create @param {...number} values */
  #handle(create, ...values) {
    return this.#engine.borrow(4, (handle) => {
      this.#engine.call(create, ...values, handle);
      return this.#engine.word(handle);
    });
  }

  /** @param {number} model @param {number} threads */
  #plan(model, threads) {
    return this.#engine.borrow(8, (options) => {
      new Uint32Array(this.#engine.bytes(options, 8).buffer, options, 2).set([0, threads]);
      return this.#handle("goss_session_create", model, options);
    });
  }

  /** @param {number} count @param {string} describe @param {string} bind */
  #bind(count, describe, bind) {
    return Array.from({ length: count }, (_, index) => {
      const tensor = this.#describe(describe, index);
      const address = this.#engine.allocate(tensor.bytes);
      this.#engine.call(bind, this.#session, index, address, tensor.bytes);
      const type = TYPES[tensor.dtype];
      const length = type === "uint8" ? tensor.bytes : tensor.bytes / 4;
      return { name: tensor.name, type, dims: tensor.dims, address, length };
    });
  }

  /** @param {string} describe @param {number} index */
  #describe(describe, index) {
    const tensor = this.#engine.read("goss_tensor_info", (info) => {
      this.#engine.call(describe, this.#session, index, info);
    });
    return { ...tensor, dims: tensor.dims.slice(0, tensor.rank) };
  }

  /** @param {number} index @returns {LayerInfo} */
  #layer(index) {
    const { rank, dims, ...layer } = this.#engine.read("goss_layer_info", (info) => {
      this.#engine.call("goss_session_layer", this.#session, index, info);
    });
    return /** @type {any} */ ({ ...camelCase(layer), dims: dims.slice(0, rank) });
  }

  /** @param {number} model @returns {Record<string, string>} */
  #metadata(model) {
    const engine = this.#engine;
    const count = engine.count("goss_model_metadata_count", model);
    const entries = Array.from({ length: count }, (_, index) =>
      engine.borrow(8, (pointers) => {
        engine.call("goss_model_metadata", model, index, pointers, pointers + 4);
        return [engine.text(engine.word(pointers)), engine.text(engine.word(pointers + 4))];
      }),
    );
    return Object.fromEntries(entries);
  }
}

/** @param {Tensor} tensor @returns {TensorInfo} */
function publicTensor({ name, type, dims }) {
  return { name, type, dims };
}

/** @param {Record<string, any>} fields */
function camelCase(fields) {
  const renamed = Object.entries(fields).map(([name, value]) => {
    return [name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase()), value];
  });
  return Object.fromEntries(renamed);
}
