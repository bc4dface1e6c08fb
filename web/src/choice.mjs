/**
 * @file Chooses the build and the number of threads that this browser can run. Not public.
 */
import { GossamerError } from "./errors.mjs";

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

/** Without being asked, no more threads than this run. */
const DEFAULT_MOST_THREADS = 4;

/**
 * Chooses how many threads run, and says why when they are fewer than what was asked for or than this machine has.
 *
 * @param {number} [wanted]  default: what the machine has, at most 4
 * @returns {{threads: number, notes: string[]}}
 * @throws {GossamerError} "invalid-argument"
 */
export function chooseThreads(wanted) {
  const threads = wanted ?? Math.min(globalThis.navigator?.hardwareConcurrency ?? 1, DEFAULT_MOST_THREADS);
  if (!Number.isInteger(threads) || threads < 1) {
    throw new GossamerError("invalid-argument", `threads: ${threads} found, a whole number of at least 1 expected`);
  }
  if (threads === 1 || globalThis.crossOriginIsolated) return { threads, notes: [] };
  const note =
    `1 thread runs instead of ${threads}: the page is not cross-origin isolated. Serve it with the headers ` +
    "Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.";
  return { threads: 1, notes: [note] };
}

/** @typedef {"gossamer-simd" | "gossamer-relaxed" | "gossamer-simd-threads" | "gossamer-relaxed-threads"} Build */

/**
 * Chooses the build to fetch, and says why when it is less than what was asked for.
 *
 * @param {"fixed" | "relaxed"} simd
 * @param {number} threads  that will run
 * @returns {{build: Build, notes: string[]}}
 * @throws {GossamerError} "unsupported-engine" | "invalid-argument"
 */
export function chooseBuild(simd, threads) {
  const { build, notes } = chooseInstructions(simd);
  return { build: threads > 1 ? `${build}-threads` : build, notes };
}

/** @param {"fixed" | "relaxed"} wanted
 * @returns {{build: "gossamer-simd" | "gossamer-relaxed", notes: string[]}} */
function chooseInstructions(wanted) {
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
