/**
 * @file Runs converted models in the WebAssembly engine, all in one process.
 *
 * Usage: node run_cases.mjs MODULE FOLDER. FOLDER/cases.json lists the cases: their folder has `model.goss`, an
 * `.in` file of f32 for each input, and gets an `.out` file for each output, numbered in the model's order.
 * Prints for each case the shapes of its outputs, or what went wrong.
 */
import v8 from "node:v8";
import { readFileSync, writeFileSync } from "node:fs";
import { Engine } from "../../web/src/engine.mjs";
import { NativeSession } from "../../web/src/native_session.mjs";

try {
  v8.setFlagsFromString("--experimental-wasm-relaxed-simd"); // which newer versions of node do without
  v8.setFlagsFromString("--no-liftoff"); // whose dot product of bytes is wrong in versions that have the flag
} catch {
  // the flag is gone
}

const [module, folder] = process.argv.slice(2);
const build = readFileSync(module);

/** @param {{folder: string, inputs: string[]}} given */
async function run({ folder: at, inputs }) {
  const session = new NativeSession(await Engine.instantiate(build), readFileSync(`${at}/model.goss`), { threads: 1 });
  const feeds = inputs.map((name, number) => {
    const { buffer, byteOffset, length } = readFileSync(`${at}/${number}.in`);
    return [name, new Float32Array(buffer.slice(byteOffset, byteOffset + length))];
  });
  const { outputs } = session.run(Object.fromEntries(feeds));
  return Object.values(outputs).map(({ data, dims }, number) => {
    writeFileSync(`${at}/${number}.out`, data);
    return dims;
  });
}

const found = [];
for (const given of JSON.parse(readFileSync(`${folder}/cases.json`, "utf8"))) {
  found.push(await run(given).catch((error) => `${error.code}: ${error.message}`));
}
console.log(JSON.stringify(found));
