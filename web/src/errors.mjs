/**
 * @file The one error class of the package, and the codes it carries.
 */

/**
 * - `invalid-argument`   an option, a name, a shape, a value such as NaN
 * - `model-corrupt`      the model file is truncated, altered, or not a `.goss` file
 * - `unsupported`        the model needs a newer version or an operator that this one lacks
 * - `out-of-memory`      the plan or a photo needs more memory than there is
 * - `fetch-failed`       HTTP status or network, for the model or the engine
 * - `not-wasm`           what lies at the engine's URL is not this version's engine
 * - `unsupported-engine` the browser has no WebAssembly SIMD
 * - `image-unreadable`   an empty file, or no picture that this browser decodes
 * - `aborted`            the caller's signal fired
 * - `disposed`           the session was disposed
 * - `worker-failed`      a worker did not start, or stopped
 *
 * @typedef {"invalid-argument" | "model-corrupt" | "unsupported" | "out-of-memory" | "fetch-failed" | "not-wasm" |
 *   "unsupported-engine" | "image-unreadable" | "aborted" | "disposed" | "worker-failed"} ErrorCode
 */

/** What went wrong, in a sentence, and its `code` for programs. */
export class GossamerError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {string} message
   * @param {ErrorOptions} [options]
   */
  constructor(code, message, options) {
    super(message, options);
    this.name = "GossamerError";
    /** @readonly */
    this.code = code;
  }
}

/**
 * What compiling or starting the engine threw, as an error of this package where it is a known one. Not public.
 *
 * @param {any} error
 */
export function engineError(error) {
  if (error instanceof RangeError) {
    return new GossamerError("out-of-memory", `There is no memory for the engine: ${error.message}`, { cause: error });
  }
  if (error instanceof WebAssembly.CompileError || error instanceof WebAssembly.LinkError) {
    return new GossamerError("not-wasm", `The engine cannot be compiled: ${error.message}`, { cause: error });
  }
  return error;
}
