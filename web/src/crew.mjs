/**
 * @file The workers that share an engine's memory and compute with it. Used by worker.mjs; not public.
 */

/** The engine runs no more than this; GOSS_POOL_MOST_THREADS in C. */
const MOST_THREADS = 16;

/**
 * Starts workers and lends them to an engine. They end with the worker that called this.
 *
 * @param {import("./engine.mjs").Engine} engine  a build with shared memory
 * @param {number} threads  wanted, this one included
 * @returns {Promise<string[]>} why workers are missing, a sentence each
 */
export async function lendWorkers(engine, threads) {
  const starts = Array.from({ length: Math.min(threads, MOST_THREADS) - 1 }, start);
  const results = await Promise.allSettled(starts.map((worker) => worker.ready));
  const failed = results.flatMap((result) => (result.status === "rejected" ? [String(result.reason)] : []));
  const workers = starts.filter((_, index) => results[index].status === "fulfilled");
  workers.forEach(({ worker }, index) => worker.postMessage(engine.place(index + 1)));
  engine.count("goss_pool_admit", workers.length);
  return failed;
}

/** A worker, and whether its script runs. */
function start() {
  // This runs as a part of dist/worker.mjs.
  const address = new URL("../src/crew_worker.mjs", import.meta.url);
  const worker = new Worker(address, { type: "module", name: "gossamer thread" });
  const ready = new Promise((resolve, reject) => {
    worker.addEventListener("message", resolve, { once: true });
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      reject(`A thread did not start: ${event.message || "its script cannot be loaded"}.`);
    });
  });
  return { worker, ready };
}
