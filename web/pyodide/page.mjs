/**
 * @file The Pyodide page: decodes a photo, hands its pixels and the typed code to Python in a worker, shows the output.
 * `html[data-state]` is "loading", "ready", "running" or "failed".
 */
import { decodeImage } from "../dist/gossamer.mjs";

const SAMPLES = new URL("../demo/samples/", import.meta.url);
const WHEELS = new URL("../../dist/", import.meta.url);
const PYODIDE = new URL("../../tests/pyodide/node_modules/pyodide/", import.meta.url);

const CODE = `import gossamer

session = gossamer.load_model("cifar10-mobilenet")

# photo: the pixels at the left, RGBA, [height, width, 4]
for label, probability in gossamer.classify(session, photo, top=3):
    print(f"{label:12}{probability:6.1%}")

print(session)
`;

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);
const page = document.documentElement;

/** @type {Worker} */
let python;
/** @type {ImageData} */
let photo;

byId("code").value = CODE;
byId("address").value = PYODIDE.href;
byId("run").addEventListener("click", () => (page.dataset.state === "running" ? restart() : run()));
byId("load").addEventListener("click", restart);
byId("file").addEventListener("change", (/** @type {any} */ event) => {
  const [file] = event.target.files;
  if (file) attempt(() => usePhoto(file));
});
byId("samples").addEventListener("change", () => attempt(useSample));
await attempt(listSamples);
await restart();

// ---- Photo ------------------------------------------------------------------------------------------

async function listSamples() {
  /** @type {{file: string, label: string}[]} */
  const samples = await (await fetchOk(new URL("samples.json", SAMPLES))).json();
  byId("samples").append(...samples.map(({ file, label }) => new Option(label, file)));
  await useSample();
}

async function useSample() {
  await usePhoto(await (await fetchOk(new URL(byId("samples").value, SAMPLES))).blob());
}

/** @param {Blob} file */
async function usePhoto(file) {
  photo = await decodeImage(file);
  const bitmap = await createImageBitmap(photo);
  const side = Math.min(photo.width, photo.height);
  const [left, top] = [(photo.width - side) / 2, (photo.height - side) / 2];
  byId("photo").getContext("2d").drawImage(bitmap, left, top, side, side, 0, 0, 480, 480);
  bitmap.close();
  byId("photo").dataset.file = file instanceof File ? file.name : byId("samples").value;
}

// ---- Python -----------------------------------------------------------------------------------------

/** Starts Python anew; what ran before is gone. */
async function restart() {
  python?.terminate();
  show("loading", "Loading Python…");
  await attempt(async () => {
    const pyodide = await findPyodide();
    const wheel = await findWheel();
    python = new Worker(new URL("python_worker.mjs", import.meta.url), { type: "module", name: "python" });
    python.addEventListener("message", ({ data }) => receive(data));
    python.addEventListener("error", (event) => fail(`Python's worker stopped: ${event.message}`));
    python.postMessage({ start: { pyodide, wheel } });
  });
}

function run() {
  byId("output").textContent = "";
  show("running", "Running…");
  const { data, width, height } = photo;
  python.postMessage({ run: { code: byId("code").value, pixels: data, width, height } });
}

/** @param {{ready?: string, text?: string, done?: string, failed?: string}} message */
function receive({ ready, text, done, failed }) {
  if (ready !== undefined) show("ready", ready);
  if (text !== undefined) byId("output").textContent += `${text}\n`;
  if (done !== undefined) show("ready", done);
  if (failed !== undefined) fail(failed);
}

async function findPyodide() {
  const address = new URL(byId("address").value.replace(/\/*$/, "/"));
  await fetchOk(
    new URL("pyodide.mjs", address),
    "Pyodide is not there: run `npm ci` in tests/pyodide, or name a CDN's folder below, such as " +
      "https://cdn.jsdelivr.net/pyodide/v314.0.7/full/",
  );
  return address.href;
}

async function findWheel() {
  const hint = "The Pyodide wheel is not built: run `make wheels`.";
  const wheels = await (await fetchOk(new URL("wheels.json", WHEELS), hint)).json();
  if (!wheels.pyodide) throw new Error(hint);
  return new URL(wheels.pyodide, WHEELS).href;
}

// ---- Messages ---------------------------------------------------------------------------------------

/** @param {() => Promise<void>} action */
async function attempt(action) {
  byId("error").textContent = "";
  try {
    await action();
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error));
  }
}

/** @param {URL} address @param {string} hint */
async function fetchOk(address, hint = "") {
  const response = await fetch(address).catch(() => null);
  if (response?.ok) return response;
  throw new Error(`${address.href}: ${response ? `HTTP status ${response.status}` : "cannot be fetched"}. ${hint}`);
}

/** @param {string} message */
function fail(message) {
  byId("error").textContent = message;
  if (page.dataset.state !== "ready") show("failed", "");
}

/** @param {"loading" | "ready" | "running" | "failed"} state @param {string} status */
function show(state, status) {
  page.dataset.state = state;
  byId("status").textContent = status;
  byId("run").textContent = state === "running" ? "Stop" : "Run";
  byId("run").disabled = !(state === "running" || (state === "ready" && photo));
}
