/* Runs a WebAssembly command module: node run_wasi.mjs PROGRAM.wasm [ARGUMENT...] */
import { readFile } from "node:fs/promises";
import { argv, exit } from "node:process";
import { WASI } from "node:wasi";

const [, , program, ...rest] = argv;
const wasi = new WASI({ version: "preview1", args: [program, ...rest] });
const imports = {
  ...wasi.getImportObject(),
  env: { emscripten_notify_memory_growth() {} }, // WASI reads memory anew for every call
};
const { instance } = await WebAssembly.instantiate(await readFile(program), imports);
exit(wasi.start(instance));
