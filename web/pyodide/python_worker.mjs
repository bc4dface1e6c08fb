/**
 * @file Python in a worker: loads Pyodide and the wheel, runs code, posts what it prints.
 *
 * Receives `{start: {pyodide, wheel}}`, then `{run: {code, pixels, width, height}}`. Posts `{ready}`, `{text}` for each
 * line printed, `{done}`, `{failed}`.
 */

/** @type {any} */
let python;

const print = (/** @type {string} */ text) => self.postMessage({ text });

self.addEventListener("message", async ({ data }) => {
  try {
    if (data.start) self.postMessage({ ready: await start(data.start) });
    else self.postMessage({ done: run(data.run) });
  } catch (error) {
    self.postMessage({ failed: error instanceof Error ? error.message : String(error) });
  }
});

/** @param {{pyodide: string, wheel: string}} addresses */
async function start({ pyodide, wheel }) {
  const { loadPyodide } = await import(`${pyodide}pyodide.mjs`);
  python = await loadPyodide({ indexURL: pyodide, stdout: print, stderr: print });
  /** @type {string[]} */
  const problems = [];
  await python.loadPackage(wheel, {
    messageCallback: () => {},
    errorCallback: (/** @type {string} */ problem) => problems.push(problem),
  });
  if (problems.length > 0) throw new Error(`${wheel} cannot be installed: ${problems.join(" ")}`);
  return python.runPython(`
import gossamer, platform, sys
f"Python {platform.python_version()}, gossamer {gossamer.__version__}, Pyodide {sys.modules['pyodide'].__version__}"
`);
}

/** @param {{code: string, pixels: Uint8ClampedArray, width: number, height: number}} job */
function run({ code, pixels, width, height }) {
  const globals = python.toPy({ __name__: "__main__" });
  globals.set("photo", python.toPy(pixels));
  python.runPython(`photo = photo.cast("B", [${height}, ${width}, 4])`, { globals });
  const begin = performance.now();
  try {
    python.runPython(code, { globals, filename: "page.py" });
    return `Done in ${Math.round(performance.now() - begin)} ms.`;
  } catch (error) {
    print(error instanceof Error ? error.message.trimEnd() : String(error));
    return "Python raised an error.";
  } finally {
    globals.destroy();
  }
}
