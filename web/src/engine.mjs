/**
 * @file Loads the engine: instantiates it, turns its statuses into errors. The module imports nothing, or only the memory
 * that threads share, so there is no toolchain glue. Runs in the worker, and in node; not public.
 */
import { engineError, GossamerError } from "./errors.mjs";
import { LAYOUTS } from "./layout.mjs";

/** In the order of the C enum goss_status; a test compares the two. */
export const STATUS_CODES = /** @type {const} */ ([
  "ok",
  "invalid-argument",
  "model-corrupt",
  "unsupported",
  "out-of-memory",
  "worker-failed",
]);

const DECODER = new TextDecoder();

/** goss_abi_version() of the engines that this code calls. */
const ABI_VERSION = 3;

/** sizeof(goss_error): int32 status, then a NUL-terminated UTF-8 message. */
const ERROR_BYTES = 256;

/** Pages that shared memory starts with, and the most that it may grow to: the first that the browser has room for. */
const INITIAL_PAGES = 256;
const MOST_PAGES = [65536, 32768, 16384, 8192, 4096];

/** Of each worker of the crew, in bytes. Kernels need a few kilobytes. */
const STACK_BYTES = 128 * 1024;

/** An instance of the module: its functions and its memory. */
export class Engine {
  #module;
  #memory;
  /** @type {Record<string, any>} */
  #exports;
  #error;

  /**
   * @param {WebAssembly.Module | BufferSource} build  compiled or not
   * @returns {Promise<Engine>}
   * @throws {GossamerError} "not-wasm" | "out-of-memory"
   */
  static async instantiate(build) {
    try {
      const module = build instanceof WebAssembly.Module ? build : await WebAssembly.compile(build);
      const imports = WebAssembly.Module.imports(module).length > 0 ? { env: { memory: sharedMemory() } } : {};
      return new Engine(module, imports.env?.memory, await WebAssembly.instantiate(module, imports));
    } catch (error) {
      throw engineError(error);
    }
  }

  /**
   * @param {WebAssembly.Module} module
   * @param {WebAssembly.Memory | undefined} shared  memory, if the module imports it
   * @param {WebAssembly.Instance} instance
   */
  constructor(module, shared, instance) {
    this.#module = module;
    this.#exports = instance.exports;
    this.#memory = shared ?? this.#exports.memory;
    const version = this.#exports.goss_abi_version?.();
    if (version !== ABI_VERSION) {
      throw new GossamerError(
        "not-wasm",
        `The engine has interface ${version ?? "none"}, this package's code calls interface ${ABI_VERSION}; ` +
          "serve the wasm files and the JavaScript of one version.",
      );
    }
    (this.#exports._initialize ?? this.#exports.__wasm_call_ctors)();
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
   * What a worker needs to compute with this engine: the module, its memory, and a part of that for itself.
   *
   * @param {number} thread  from 1
   * @returns {{module: WebAssembly.Module, memory: WebAssembly.Memory, thread: number, stack: number, locals: number}}
   * @throws {GossamerError} "out-of-memory"
   */
  place(thread) {
    const stack = this.allocate(STACK_BYTES) + STACK_BYTES; // it grows downwards
    const locals = this.allocate(Math.max(1, this.#exports.__tls_size?.value ?? 0));
    return { module: this.#module, memory: this.#memory, thread, stack, locals };
  }

  /**
   * A view of bytes. Take a fresh one for every use: growth detaches the buffer under an old one.
   *
   * @param {number} address
   * @param {number} length
   */
  bytes(address, length) {
    return new Uint8Array(this.#memory.buffer, address, length);
  }

  /**
   * A view of floats; as short-lived as that of bytes.
   *
   * @param {number} address  a multiple of 4
   * @param {number} length
   */
  floats(address, length) {
    return new Float32Array(this.#memory.buffer, address, length);
  }

  /** @param {number} address  of a pointer or a uint32_t */
  word(address) {
    return new DataView(this.#memory.buffer).getUint32(address, true);
  }

  /** @param {number} address  of NUL-terminated UTF-8 */
  text(address) {
    const memory = new Uint8Array(this.#memory.buffer);
    // A copy: decoders refuse memory that is shared.
    return DECODER.decode(memory.slice(address, memory.indexOf(0, address)));
  }

  /**
   * Reads what a C function writes into a struct.
   *
   * @param {import("./layout.mjs").StructName} struct
   * @param {(address: number) => void} fill
   * @returns {Record<string, any>} numbers, strings and arrays of numbers, by the names of the C fields
   */
  read(struct, fill) {
    const { fields, bytes } = LAYOUTS[struct];
    return this.borrow(bytes, (address) => {
      fill(address);
      const view = new DataView(this.#memory.buffer, address, bytes);
      /** @type {Record<string, any>} */
      const values = {};
      for (const field of fields) values[field.name] = this.#field(view, field);
      return values;
    });
  }

  /** @param {DataView} view  of a struct @param {import("./layout.mjs").Field} field */
  #field(view, { type, offset, length }) {
    if (type === "uint64_t") return Number(view.getBigUint64(offset, true));
    if (type === "const char *") return this.text(view.getUint32(offset, true));
    if (length === 1) return view.getUint32(offset, true);
    return Array.from({ length }, (_, index) => view.getUint32(offset + 4 * index, true));
  }
}

/** Memory for a module with threads. Its largest size is reserved at once, and not every device can spare 4 GiB. */
function sharedMemory() {
  for (const maximum of MOST_PAGES.slice(0, -1)) {
    try {
      return new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum, shared: true });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
  return new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: MOST_PAGES.at(-1), shared: true });
}
