/**
 * @file Installs a wheel into Pyodide under node and runs a Python script there.
 * Usage: node run_in_node.mjs WHEEL SCRIPT PHOTO... (photos as tests/classify_pixels.py takes them)
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { loadPyodide } from "pyodide";

const [wheel, script, ...photos] = process.argv.slice(2);
const python = await loadPyodide();
await python.loadPackage(wheel, { messageCallback: () => {} });

const argv = photos.map((photo) => {
  const [file, width, height] = photo.split(":");
  const inside = `/tmp/${basename(file)}`;
  python.FS.writeFile(inside, readFileSync(file));
  return `${inside}:${width}:${height}`;
});
python.globals.set("argv", python.toPy(argv));
python.FS.writeFile("/tmp/classify_pixels.py", readFileSync(script));
console.log(python.runPython("import sys; sys.path.insert(0, '/tmp'); import classify_pixels; classify_pixels.main(list(argv))"));
