/**
 * @file All that runs in a session's worker: one engine, one model. Talks to session.mjs; not public. Browsers get this
 * module and those that it imports as one file, dist/worker.mjs: a worker starts sooner that fetches nothing more.
 *
 * Receives `{id, method, argument}`, answers `{id, result}` or `{id, error: {code, message}}`.
 */
import { lendWorkers } from "./crew.mjs";
import { Engine } from "./engine.mjs";
import { GossamerError } from "./errors.mjs";
import { NativeSession } from "./native_session.mjs";

/** @type {(engine: Engine) => void} */
let provide;
/** @type {Promise<Engine>} */
const provided = new Promise((resolve) => (provide = resolve));

/** @type {NativeSession} */
let session;

/** The engine starts while the model is on its way, whichever comes first.
 * @type {Record<string, (argument: any) => any>} */
const methods = {
  async load({ module, threads }) {
    const engine = await Engine.instantiate(module);
    const notes = threads > 1 ? await lendWorkers(engine, threads) : [];
    provide(engine);
    return notes;
  },
  async create({ model, threads }) {
    session = new NativeSession(await provided, model, { threads });
    return session.description;
  },
  run: (inputs) => ({ ...session.run(inputs), returned: inputs }),
  layers: () => session.layers(),
  profile: ({ inputs, runs }) => session.profile(inputs, runs),
  peakMacsPerSecond: () => session.peakMacsPerSecond(),
  imageToTensor: (image) => session.imageToTensor(image),
  imageToPixels: (image) => session.imageToPixels(image),
};

self.addEventListener("message", async ({ data: { id, method, argument } }) => {
  try {
    const result = await methods[method](argument);
    self.postMessage({ id, result }, method === "run" ? memoryOf(result) : []);
  } catch (error) {
    self.postMessage({ id, error: portable(error) });
  }
});

/** What of a run moves to the page instead of being copied.
 * @param {{outputs: Record<string, {data: Float32Array}>, returned: Record<string, Float32Array | Uint8Array>}} run */
function memoryOf({ outputs, returned }) {
  const values = [...Object.values(outputs).map(({ data }) => data), ...Object.values(returned)];
  return values.map(({ buffer }) => buffer);
}

/** @param {unknown} error */
function portable(error) {
  if (error instanceof GossamerError) return { code: error.code, message: error.message };
  return { code: "worker-failed", message: `The engine stopped: ${error}. Create a new session.` };
}
