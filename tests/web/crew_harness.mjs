/* A worker with an engine whose crew belongs to the page, which can end its workers whenever it likes.
 * Gets {engine, model, threads}; posts {places}; then for each {runs} posts {codes}: what each run said. */
import { Engine } from "/web/src/engine.mjs";
import { NativeSession } from "/web/src/native_session.mjs";

let session;
let expected;

function run() {
  const [{ name, dims }] = session.description.inputs;
  const length = dims.reduce((a, b) => a * b);
  try {
    const { outputs } = session.run({ [name]: Float32Array.from({ length }, (_, index) => Math.sin(index)) });
    const found = Object.values(outputs)[0].data.join();
    expected ??= found;
    return found === expected ? "ok" : "wrong";
  } catch (error) {
    return error.code ?? String(error);
  }
}

self.onmessage = async ({ data: { engine: bytes, model, threads, runs } }) => {
  if (runs) return self.postMessage({ codes: Array.from({ length: runs }, run) });
  const engine = await Engine.instantiate(bytes);
  engine.count("goss_pool_admit", threads - 1);
  session = new NativeSession(engine, model, { threads });
  self.postMessage({ places: Array.from({ length: threads - 1 }, (_, index) => engine.place(index + 1)) });
};
