/**
 * @file Installs a wheel into Pyodide under node and runs a Python script's `main` there.
 * Usage: node run_in_node.mjs WHEEL SCRIPT FILE... (a file may be followed by what the script knows: FILE:WIDTH:HEIGHT)
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { loadPyodide } from "pyodide";

const [wheel, script, ...files] = process.argv.slice(2);
const python = await loadPyodide();
await python.loadPackage(wheel, { messageCallback: () => {} });

const argv = files.map((argument) => {
  const [file, ...rest] = argument.split(":");
  const inside = `/tmp/${basename(file)}`;
  python.FS.writeFile(inside, readFileSync(file));
  return [inside, ...rest].join(":");
});
python.globals.set("argv", python.toPy(argv));
python.FS.writeFile("/tmp/script.py", readFileSync(script));
console.log(python.runPython("import sys; sys.path.insert(0, '/tmp'); import script; script.main(list(argv))"));
