#!/usr/bin/env python3
"""Measure the costs that ship: of this machine's instruction sets, and of headless Chromium's.

Needs ``.venv`` and the modules, as ``make test`` sets them up. Costs of instruction sets that this
machine lacks stay as they are.
"""

from __future__ import annotations

import base64
import platform
import statistics
from pathlib import Path

from headless import launch
from playwright.sync_api import Browser, sync_playwright

import gossamer
from gossamer.convert.calibration import calibrate, fit, network
from gossamer.convert.cost_model import CostModel, save
from gossamer.serve import Server

ROOT = Path(__file__).resolve().parent.parent
COSTS = ROOT / "runtime" / "gossamer" / "convert" / "costs.json"
# Browsers compile a module twice, the second time while it runs.
WARM_UP, RUNS = 40, 200
PROFILE = """async ({ model, simd, warmUp, runs }) => {
    const { InferenceSession } = await import("/web/gossamer.mjs");
    const file = Uint8Array.from(atob(model), (character) => character.charCodeAt(0));
    const session = await InferenceSession.create(file, { simd, threads: 1 });
    const inputs = {};
    for (const { name, dims } of session.inputs)
        inputs[name] = new Float32Array(dims.reduce((a, b) => a * b)).fill(0.5);
    await session.profile(inputs, { runs: warmUp });
    const times = await session.profile(inputs, { runs });
    return session.layers().map(({ name }, layer) => [name, times[layer]]);
}"""


def calibrate_in_browser(browser: Browser, url: str, simd: str) -> CostModel:
    """Measure a build of the WebAssembly module, "fixed" or "relaxed"."""
    data, probes = network()
    model = base64.b64encode(data).decode()
    page = browser.new_page()
    page.goto(f"{url}web/bench/index.html")
    task = {"model": model, "simd": simd, "warmUp": WARM_UP, "runs": RUNS}
    seconds = {name: _middle(ms) / 1000 for name, ms in page.evaluate(PROFILE, task)}
    page.close()
    target = {"fixed": "wasm_simd", "relaxed": "wasm_relaxed"}[simd]
    return fit(target, seconds, probes, f"{platform.machine()}, Chromium {browser.version}")


def _middle(times: list[float]) -> float:
    """Mean of the middle half: a median would keep the clock's steps of 5 microseconds."""
    return statistics.fmean(sorted(times)[len(times) // 4 : -len(times) // 4])


def main() -> None:
    """Measure and write."""
    models = [calibrate(isa, RUNS) for isa in gossamer.isas()]
    with Server(ROOT) as server, sync_playwright() as playwright:
        browser = launch(playwright)
        models += [calibrate_in_browser(browser, server.url, simd) for simd in ("fixed", "relaxed")]
    for model in models:
        save(model, COSTS)
        print(f"{COSTS}: {model.target}, {model.measured}")


if __name__ == "__main__":
    main()
