/**
 * @file The benchmark page: every build of Gossamer on one model, for people. `make bench` compares with other engines
 * through measure.mjs. `html[data-state]` is "ready", "running", "done" or "failed".
 */
import { measure, quantile } from "./measure.mjs";

const form = /** @type {HTMLFormElement} */ (document.getElementById("form"));
const fields = /** @type {any} */ (form.elements);
const WARM_UP = { warmUp: 3, warmUpMs: 500 };

fields.threads.value = crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, 4) : 1;
say("ready", "");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
  button.disabled = true;
  try {
    await run();
  } catch (error) {
    say("failed", String(/** @type {Error} */ (error).message ?? error));
  } finally {
    button.disabled = false;
  }
});

/** Measures every build in turn, round by round. */
async function run() {
  const [file] = fields.file.files;
  const model = file ? new Uint8Array(await file.arrayBuffer()) : new URL(fields.address.value, location.href).href;
  say("running", "Loading the model");
  // Not before it is asked for: `measure` counts the time that loading an engine takes.
  const { InferenceSession } = await import("../dist/gossamer.mjs");
  const first = await InferenceSession.create(model, { threads: 1 });
  const [{ dims: inputShape }] = first.inputs;
  first.dispose();

  const most = Number(fields.threads.value);
  const tasks = [...new Set([1, most])].flatMap((threads) => {
    return ["relaxed", "fixed"].map((simd) => ({ engine: "gossamer", model, inputShape, threads, simd, ...WARM_UP }));
  });
  const results = tasks.map(() => ({ times: [], about: null, profile: null }));
  const rounds = Number(fields.rounds.value);
  for (let round = 1; round <= rounds; round++) {
    say("running", `Round ${round} of ${rounds}`);
    for (const [index, task] of tasks.entries()) {
      const layerRuns = round === rounds && index === 0 ? 20 : 0;
      const seen = /** @type {any} */ (await measure(/** @type {any} */ ({ ...task, runs: Number(fields.runs.value), layerRuns })));
      results[index].times.push(...seen.times);
      Object.assign(results[index], { about: seen.about, profile: seen.profile });
    }
  }
  showBuilds(results);
  showLayers(results[0].profile);
  say("done", "Done");
}

/** @param {any[]} results */
function showBuilds(results) {
  fill("builds", results.map(({ about, times }) => [
    about.build,
    about.threads,
    `${quantile(times, 0.5).toFixed(2)} ms`,
    `${quantile(times, 0.25).toFixed(2)} – ${quantile(times, 0.75).toFixed(2)}`,
    about.notes.join(" "),
  ]));
}

/** @param {any} profile */
function showLayers({ peak, layers }) {
  const medians = layers.map(({ times }) => quantile(times, 0.5));
  const total = medians.reduce((sum, ms) => sum + ms, 0);
  fill("layers", layers.map((layer, index) => {
    const ms = medians[index];
    const rate = ms > 0 ? (1000 * layer.macs) / ms : 0;
    return [
      layer.name,
      layer.kernel,
      ms.toFixed(3),
      `${((100 * ms) / total).toFixed(0)} %`,
      rate ? (rate / 1e9).toFixed(1) : "",
      rate ? `${((100 * rate) / peak).toFixed(0)} %` : "",
      ((layer.tensorBytes + layer.weightBytes) / 1000).toFixed(0),
    ];
  }));
}

/** @param {string} id @param {(string | number)[][]} rows */
function fill(id, rows) {
  const table = /** @type {HTMLTableElement} */ (document.getElementById(id));
  table.hidden = false;
  table.tBodies[0].replaceChildren(...rows.map((cells) => {
    const row = document.createElement("tr");
    row.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: String(text) })));
    return row;
  }));
}

/** @param {string} state @param {string} text */
function say(state, text) {
  document.documentElement.dataset.state = state;
  /** @type {HTMLElement} */ (document.getElementById("status")).textContent = text;
}
