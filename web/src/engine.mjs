/**
 * @file Loads the engine: picks the build that this browser can run, instantiates it, turns its statuses into errors.
 * The module imports nothing, so there is no toolchain glue. Runs in the worker, and in node; not public.
 */
import { GossamerError } from "./errors.mjs";
import { layout } from "./layout.mjs";

/** (module (func (result v128) (i8x16.splat (i32.const 0)))) */
const SIMD_PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11,
]);

/** (module (func (result v128) (i8x16.relaxed_swizzle (i8x16.splat (i32.const 1)) (i8x16.splat (i32.const 2)))))
 * Browsers without it reject every module that holds one such instruction. */
const RELAXED_PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15,
  253, 128, 2, 11,
]);

/** In the order of the C enum goss_status; a test compares the two. */
export const STATUS_CODES = /** @type {const} */ ([
  "ok",
  "invalid-argument",
  "model-corrupt",
  "unsupported",
  "out-of-memory",
]);

/** goss_abi_version() of the engines that this code calls. */
const ABI_VERSION = 1;

/** sizeof(goss_error): int32 status, then a NUL-terminated UTF-8 message. */
const ERROR_BYTES = 256;

/**
 * Chooses the build to fetch, and says why when it is less than what was asked for.
 *
 * @param {"fixed" | "relaxed"} wanted
 * @returns {{build: "gossamer-simd" | "gossamer-relaxed", notes: string[]}}
 * @throws {GossamerError} "unsupported-engine" | "invalid-argument"
 */
export function chooseBuild(wanted) {
  if (wanted !== "fixed" && wanted !== "relaxed") {
    throw new GossamerError("invalid-argument", `simd: ${JSON.stringify(wanted)} found, "fixed" or "relaxed" expected`);
  }
  if (!WebAssembly.validate(SIMD_PROBE)) {
    throw new GossamerError(
      "unsupported-engine",
      "This browser has no WebAssembly SIMD. Chrome and Edge have it from version 91, Firefox from 89, Safari from 16.4.",
    );
  }
  if (wanted === "fixed") return { build: "gossamer-simd", notes: [] };
  if (WebAssembly.validate(RELAXED_PROBE)) return { build: "gossamer-relaxed", notes: [] };
  return { build: "gossamer-simd", notes: ["Fixed SIMD runs: this browser has no relaxed SIMD."] };
}

/** An instance of the module: its functions and its memory. */
export class Engine {
  /** @type {Record<string, any>} */
  #exports;
  #error;

  /**
   * @param {BufferSource} bytes  one of the builds
   * @returns {Promise<Engine>}
   * @throws {GossamerError} "not-wasm" | "out-of-memory"
   */
  static async instantiate(bytes) {
    try {
      const { instance } = await WebAssembly.instantiate(bytes);
      return new Engine(instance);
    } catch (error) {
      if (error instanceof RangeError) {
        throw new GossamerError("out-of-memory", `There is no memory for the engine: ${error.message}`, { cause: error });
      }
      if (error instanceof WebAssembly.CompileError || error instanceof WebAssembly.LinkError) {
        throw new GossamerError("not-wasm", `The engine cannot be compiled: ${error.message}`, { cause: error });
      }
      throw error;
    }
  }

  /** @param {WebAssembly.Instance} instance */
  constructor(instance) {
    this.#exports = instance.exports;
    const version = this.#exports.goss_abi_version?.();
    if (version !== ABI_VERSION) {
      throw new GossamerError(
        "not-wasm",
        `The engine has interface ${version ?? "none"}, this package's code calls interface ${ABI_VERSION}; ` +
          "serve the wasm files and the JavaScript of one version.",
      );
    }
    this.#exports._initialize();
    this.#error = this.allocate(ERROR_BYTES);
  }

  /**
   * Calls a C function whose last parameter is a `goss_error *`.
   *
   * @param {string} name  an export, such as "goss_session_run"
   * @param {...number} values  numbers and addresses
   * @throws {GossamerError} with the engine's sentence
   */
  call(name, ...values) {
    const status = this.#exports[name](...values, this.#error);
    const code = STATUS_CODES[status];
    if (code !== "ok") throw new GossamerError(code, this.text(this.#error + 4));
  }

  /**
   * Calls a C function that returns a number.
   *
   * @param {string} name  an export, such as "goss_model_metadata_count"
   * @param {...number} values
   * @returns {number}
   */
  count(name, ...values) {
    return this.#exports[name](...values);
  }

  /**
   * @param {number} bytes
   * @returns {number} address, a multiple of 64
   * @throws {GossamerError} "out-of-memory"
   */
  allocate(bytes) {
    const address = this.#exports.goss_alloc(bytes);
    if (address !== 0) return address >>> 0;
    throw new GossamerError("out-of-memory", `The engine's memory has no ${bytes} bytes left.`);
  }

  /**
   * Allocates, calls `use(address)`, and frees in any case.
   *
   * @template T
   * @param {number} bytes
   * @param {(address: number) => T} use
   * @returns {T}
   */
  borrow(bytes, use) {
    const address = this.allocate(bytes);
    try {
      return use(address);
    } finally {
      this.#exports.goss_free(address);
    }
  }

  /**
   * A view of bytes. Take a fresh one for every use: growth detaches the buffer under an old one.
   *
   * @param {number} address
   * @param {number} length
   */
  bytes(address, length) {
    return new Uint8Array(this.#exports.memory.buffer, address, length);
  }

  /**
   * A view of floats; as short-lived as that of bytes.
   *
   * @param {number} address  a multiple of 4
   * @param {number} length
   */
  floats(address, length) {
    return new Float32Array(this.#exports.memory.buffer, address, length);
  }

  /** @param {number} address  of a pointer or a uint32_t */
  word(address) {
    return new DataView(this.#exports.memory.buffer).getUint32(address, true);
  }

  /** @param {number} address  of NUL-terminated UTF-8 */
  text(address) {
    const memory = new Uint8Array(this.#exports.memory.buffer);
    return new TextDecoder().decode(memory.subarray(address, memory.indexOf(0, address)));
  }

  /**
   * Reads what a C function writes into a struct.
   *
   * @param {import("./layout.mjs").StructName} struct
   * @param {(address: number) => void} fill
   * @returns {Record<string, any>} numbers, strings and arrays of numbers, by the names of the C fields
   */
  read(struct, fill) {
    const { fields, bytes } = layout(struct);
    return this.borrow(bytes, (address) => {
      fill(address);
      return Object.fromEntries(fields.map((field) => [field.name, this.#field(address, field)]));
    });
  }

  /** @param {number} struct @param {import("./layout.mjs").Field} field */
  #field(struct, { type, offset, length }) {
    const view = new DataView(this.#exports.memory.buffer, struct + offset);
    if (type === "uint64_t") return Number(view.getBigUint64(0, true));
    if (type === "const char *") return this.text(view.getUint32(0, true));
    if (length === 1) return view.getUint32(0, true);
    return Array.from({ length }, (_, index) => view.getUint32(4 * index, true));
  }
}
