/**
 * @file Inference of pruned neural networks on CPUs, in any browser. This is the package's public face.
 *
 * @example
 * import { InferenceSession } from "gossamer-nn";
 * const session = await InferenceSession.create("model.goss");
 * const { probabilities } = await session.run({ image: new Float32Array(3 * 32 * 32) });
 */
export { GossamerError } from "./src/errors.mjs";
export { decodeImage } from "./src/image.mjs";
export { InferenceSession } from "./src/session.mjs";
