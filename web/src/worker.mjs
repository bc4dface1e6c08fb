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

/** The engine is compiled while the model is on its way, whichever comes first.
 * @type {Record<string, (argument: any) => any>} */
const methods = {
  async load({ bytes, threads }) {
    const engine = await Engine.instantiate(bytes);
    const notes = threads > 1 ? await lendWorkers(engine, threads) : [];
    provide(engine);
    return notes;
  },
  async create({ model, threads }) {
    session = new NativeSession(await provided, model, { threads });
    return session.description;
  },
  run: (inputs) => session.run(inputs),
  layers: () => session.layers(),
  profile: ({ inputs, runs }) => session.profile(inputs, runs),
  peakMacsPerSecond: () => session.peakMacsPerSecond(),
  imageToTensor: (image) => session.imageToTensor(image),
  imageToPixels: (image) => session.imageToPixels(image),
};

self.addEventListener("message", async ({ data: { id, method, argument } }) => {
  try {
    self.postMessage({ id, result: await methods[method](argument) });
  } catch (error) {
    self.postMessage({ id, error: portable(error) });
  }
});

/** @param {unknown} error */
function portable(error) {
  if (error instanceof GossamerError) return { code: error.code, message: error.message };
  return { code: "worker-failed", message: `The engine stopped: ${error}. Create a new session.` };
}
