/** @file Gossamer as the benchmark runs it: one of the package's builds, in its worker. */
import { InferenceSession } from "../../dist/gossamer.mjs";

/** @type {import("../measure.mjs").Load} */
export async function load({ model, threads, simd }) {
  const session = await InferenceSession.create(model, { threads, simd });
  const [name] = session.inputNames;
  const [output] = session.outputNames;
  return {
    about: { build: session.build, threads: session.info.threads, notes: session.notes },
    async run(input) {
      const begin = performance.now();
      const { [output]: tensor } = await session.run({ [name]: input });
      const callMs = performance.now() - begin;
      // The others compute where they are called. What the way to the worker and back costs is said besides.
      return { output: tensor.data, milliseconds: session.latencyMs, callMs };
    },
    async layers(input, runs) {
      const times = await session.profile({ [name]: input }, { runs });
      const layers = (await session.layers()).map((layer, i) => ({ ...layer, times: times[i] }));
      return { peak: await session.peakMacsPerSecond(), layers };
    },
    dispose: () => session.dispose(),
  };
}
