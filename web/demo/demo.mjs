/**
 * @file The demo page: loads a model, and names what is in samples, files and camera frames.
 * The page's state can be read from `data-` attributes: `html[data-state]`, `html[data-build]`,
 * `#predictions[data-photo]`, `#predictions li[data-label][data-probability]`, `#facts dd[data-ms]`.
 */
import { GossamerError, InferenceSession } from "../dist/gossamer.mjs";
import { Camera } from "./camera.mjs";
import { median, showBytes, showCount, showMs, showPercent } from "./text.mjs";

const MODEL = new URL("../../runtime/gossamer/models/cifar10-mobilenet.goss", import.meta.url);
const SAMPLES = new URL("samples/", import.meta.url);

/** The latency shown is the median of this many runs. */
const RUNS = 15;

const TOP = 5;

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);
const page = document.documentElement;
const canvas = /** @type {HTMLCanvasElement} */ (byId("photo"));

/** @type {InferenceSession} */
let session;

/** Photos are shown in the order in which they were asked for; an overtaken one is dropped. */
let newest = 0;

/** Of the files that were loaded, in bytes. */
const sizes = { model: 0, engine: 0 };

/** @type {number[]} in milliseconds */
let latencies = [];

const camera = new Camera(byId("video"), {
  onFrame: async (video) => {
    const predictions = await session.classify(video, { top: TOP });
    if (camera.running) showAnswer(predictions, [...latencies.slice(1 - RUNS), session.latencyMs]);
  },
  onError: (error) => {
    stopCamera();
    showError(error);
  },
});

start();

async function start() {
  try {
    const [samples] = await Promise.all([listSamples(), loadModel()]);
    await showFacts();
    connectControls();
    page.dataset.state = "ready";
    if (samples.length > 0) samples[0].click();
  } catch (error) {
    page.dataset.state = "failed";
    showError(error);
  } finally {
    byId("loading").hidden = true;
  }
}

// ---- Loading ----------------------------------------------------------------------------------------

async function loadModel() {
  const simd = new URLSearchParams(location.search).get("simd") ?? "relaxed";
  const parts = { engine: { loaded: 0, total: 0 }, model: { loaded: 0, total: 0 } };
  session = await InferenceSession.create(MODEL, {
    simd: /** @type {"fixed" | "relaxed"} */ (simd),
    onProgress: ({ stage, loaded, total }) => {
      parts[stage] = { loaded, total: total ?? 0 };
      showProgress(parts.engine, parts.model);
    },
  });
  Object.assign(sizes, { model: parts.model.loaded, engine: parts.engine.loaded });
  page.dataset.build = session.build;
}

/** @param {...{loaded: number, total: number}} parts */
function showProgress(...parts) {
  const loaded = parts.reduce((sum, part) => sum + part.loaded, 0);
  const total = parts.reduce((sum, part) => sum + part.total, 0);
  if (parts.every((part) => part.total > 0)) byId("progress").value = loaded / total;
  byId("bytes").textContent = total > 0 ? `${showBytes(loaded)} of ${showBytes(total)}` : showBytes(loaded);
}

/** @returns {Promise<HTMLButtonElement[]>} */
async function listSamples() {
  const response = await fetch(new URL("samples.json", SAMPLES));
  if (!response.ok) throw new GossamerError("fetch-failed", `${response.url}: the server answers ${response.status}.`);
  const buttons = (await response.json()).map(sampleButton);
  byId("samples").replaceChildren(
    ...buttons.map((/** @type {HTMLButtonElement} */ button) => {
      const item = document.createElement("li");
      item.append(button);
      return item;
    }),
  );
  return buttons;
}

/** @param {{file: string, label: string, credit: string}} sample */
function sampleButton({ file, label, credit }) {
  const image = new Image();
  image.src = new URL(file, SAMPLES).href;
  image.alt = `Sample photo: ${label}`;
  const button = document.createElement("button");
  button.type = "button";
  button.disabled = true;
  button.dataset.file = file;
  button.setAttribute("aria-pressed", "false");
  button.append(image);
  button.addEventListener("click", () => showPhoto(image, `Photo: ${credit}`, file, button));
  return button;
}

// ---- Controls ---------------------------------------------------------------------------------------

function connectControls() {
  for (const control of document.querySelectorAll("button, input")) {
    /** @type {HTMLButtonElement | HTMLInputElement} */ (control).disabled = false;
  }
  byId("file").addEventListener("change", (/** @type {any} */ event) => {
    const [file] = event.target.files;
    event.target.value = ""; // so that the same file can be chosen again
    if (file) showPhoto(file, file.name, file.name);
  });
  byId("camera").addEventListener("click", () => (camera.running ? stopCamera() : startCamera()));
  connectDrop();
}

function connectDrop() {
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    byId("drop").classList.add("dragging");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) byId("drop").classList.remove("dragging");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    byId("drop").classList.remove("dragging");
    const [file] = event.dataTransfer?.files ?? [];
    if (file) showPhoto(file, file.name, file.name);
    else showError(new GossamerError("image-unreadable", "What you dropped is not a file. Drop a picture file."));
  });
}

async function startCamera() {
  const mine = ++newest;
  showError(null);
  press(null);
  if (!(await camera.start())) return;
  if (mine !== newest) {
    camera.stop(); // a photo was chosen while the browser asked for permission
    return;
  }
  latencies = [];
  canvas.hidden = true;
  byId("hint").hidden = true;
  byId("caption").textContent = "Live; frames stay on this device.";
  byId("predictions").dataset.photo = "camera";
  byId("camera").textContent = "Stop the camera";
  byId("camera").setAttribute("aria-pressed", "true");
  byId("announcement").textContent = "The camera runs; answers change with what it sees.";
}

function stopCamera() {
  if (!camera.running) return;
  camera.stop();
  canvas.hidden = false;
  byId("camera").textContent = "Use the camera";
  byId("camera").setAttribute("aria-pressed", "false");
  byId("announcement").textContent = "The camera is off.";
}

// ---- Photos -----------------------------------------------------------------------------------------

/**
 * @param {File | HTMLImageElement} source
 * @param {string} caption
 * @param {string} name  for `data-photo`
 * @param {HTMLButtonElement | null} [button]  the sample's
 */
async function showPhoto(source, caption, name, button = null) {
  const mine = ++newest;
  stopCamera();
  showError(null);
  press(button);
  try {
    const tensor = await session.imageToTensor(source instanceof Image ? await decoded(source) : source);
    const predictions = await session.classify(tensor, { top: TOP });
    const times = [];
    while (times.length < RUNS) {
      await session.classify(tensor);
      times.push(session.latencyMs);
    }
    const bitmap = await createImageBitmap(source);
    if (mine !== newest) return;
    drawSquare(bitmap);
    byId("caption").textContent = caption;
    showAnswer(predictions, times);
    byId("predictions").dataset.photo = name;
    const [{ label, probability }] = predictions;
    canvas.setAttribute("aria-label", `Photo that looks like: ${label}`);
    byId("announcement").textContent = `${label}, ${showPercent(probability)}`;
  } catch (error) {
    if (mine === newest) showError(error);
  }
}

/** @param {HTMLImageElement} image */
async function decoded(image) {
  const name = image.src.split("/").at(-1);
  await image.decode().catch((error) => {
    throw new GossamerError("image-unreadable", `${name} cannot be loaded: ${error.message}`);
  });
  return image;
}

/** Draws what the model gets to see: the largest centered square.
 * @param {ImageBitmap} bitmap */
function drawSquare(bitmap) {
  const side = Math.min(bitmap.width, bitmap.height);
  const [left, top] = [(bitmap.width - side) / 2, (bitmap.height - side) / 2];
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, left, top, side, side, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  byId("hint").hidden = true;
}

// ---- What it sees, how it runs ----------------------------------------------------------------------

/**
 * @param {import("../src/session.mjs").Prediction[]} predictions
 * @param {number[]} times  in milliseconds
 */
function showAnswer(predictions, times) {
  latencies = times;
  const list = byId("predictions");
  while (list.children.length < predictions.length) list.append(predictionRow());
  predictions.forEach(({ label, probability }, index) => {
    const row = list.children[index];
    row.dataset.label = label;
    row.dataset.probability = probability;
    row.style.setProperty("--share", probability);
    row.children[0].textContent = label;
    row.children[1].textContent = showPercent(probability);
  });
  showLatency();
}

function predictionRow() {
  const row = document.createElement("li");
  row.append(document.createElement("span"), document.createElement("span"));
  return row;
}

function showLatency() {
  const value = byId("facts").querySelector("[data-fact=latency]");
  value.dataset.ms = median(latencies);
  value.textContent = `${showMs(median(latencies))} per photo, median of ${latencies.length}`;
}

async function showFacts() {
  const { info, metadata } = session;
  const layers = await session.layers();
  const weights = layers.reduce((sum, layer) => sum + layer.weights, 0);
  const nonzeros = layers.reduce((sum, layer) => sum + layer.nonzeros, 0);
  const simd = session.build.startsWith("gossamer-relaxed") ? "relaxed" : "fixed";
  const facts = [
    ["latency", "Latency", "…"],
    ["engine", "Engine", `WebAssembly, ${simd} SIMD, ${showBytes(sizes.engine)}, ${info.threads} thread${info.threads > 1 ? "s" : ""}`],
    ["model", "Model", `${metadata.title ?? "untitled"}, ${showBytes(sizes.model)}`],
    ["zeros", "Zeros", `${showPercent(1 - nonzeros / weights)} of ${showCount(weights)} weights`],
    ["work", "Work", `${showCount(info.macs)} multiply-adds instead of ${showCount(info.denseMacs)}`],
    ["memory", "Memory", `${showBytes(info.arenaBytes)} instead of ${showBytes(info.tensorBytes)} without sharing`],
  ];
  byId("facts").replaceChildren(...facts.flatMap(factRow));
  byId("notes").replaceChildren(
    ...session.notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })),
  );
  byId("classes").textContent = metadata.labels.trim().split("\n").join(", ");
}

/** @param {string[]} fact */
function factRow([key, name, value]) {
  const term = Object.assign(document.createElement("dt"), { textContent: name });
  const description = Object.assign(document.createElement("dd"), { textContent: value });
  description.dataset.fact = key;
  return [term, description];
}

/** @param {HTMLButtonElement | null} chosen */
function press(chosen) {
  for (const button of byId("samples").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button === chosen));
  }
}

/** @param {unknown} error  null clears the message */
function showError(error) {
  const region = byId("error");
  region.textContent = error instanceof Error ? error.message : "";
  region.dataset.code = error instanceof GossamerError ? error.code : "";
}
