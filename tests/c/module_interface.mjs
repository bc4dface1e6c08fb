/* node module_interface.mjs MODULE.wasm gossamer.h
 * The module imports nothing; it exports what gossamer.h declares, its memory and its start. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { argv } from "node:process";

const [, , modulePath, headerPath] = argv;
const module = await WebAssembly.compile(await readFile(modulePath));
const header = await readFile(headerPath, "utf8");

const declared = [...header.matchAll(/^GOSS_API .*?(goss_\w+)\(/gm)].map(([, name]) => name);
const exported = WebAssembly.Module.exports(module).map(({ name }) => name);
assert.ok(declared.length > 0);
assert.deepEqual(WebAssembly.Module.imports(module), []);
assert.deepEqual(exported.filter((name) => name.startsWith("goss_")).sort(), declared.sort());
for (const name of ["memory", "_initialize"]) assert.ok(exported.includes(name), `exports ${name}`);
