#!/usr/bin/env python3
"""Measure the costs that ship: of this machine's instruction sets, and of headless Chromium's.

Needs ``.venv`` and the modules, as ``make test`` sets them up. Costs of instruction sets that this
machine lacks stay as they are.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from headless import launch
from playwright.sync_api import Browser, sync_playwright

import gossamer
from gossamer.convert.calibration import Timing, calibrate, fit, networks
from gossamer.convert.cost_model import CostModel, save
from gossamer.serve import Server

ROOT = Path(__file__).resolve().parent.parent
COSTS = ROOT / "runtime" / "gossamer" / "convert" / "costs.json"
# What measures a target: a build of the WebAssembly module.
BUILDS = {"wasm_relaxed": "relaxed", "wasm_simd": "fixed"}
# Browsers compile a module twice, the second time while it runs.
WARM_UP, ROUNDS, RUNS = 30, 15, 10
OPEN = """async ({ model, simd }) => {
    const { InferenceSession } = await import("/web/dist/gossamer.mjs");
    window.session = await InferenceSession.create(model, { simd, threads: 1 });
    window.inputs = {};
    for (const { name, dims } of session.inputs)
        inputs[name] = new Float32Array(dims.reduce((a, b) => a * b)).fill(0.5);
    return (await session.layers()).map(({ name }) => name);
}"""
MEASURE = """async (runs) => {
    const whole = [];
    for (let run = 0; run < runs; run++) {
        await session.run(inputs);
        whole.push(session.latencyMs);
    }
    return [whole, await session.profile(inputs, { runs })];
}"""


def time_in_browser(
    browser: Browser, url: str, files: Mapping[str, bytes], simd: str
) -> dict[str, Timing]:
    """Measure networks in turns: what slows the machine for a while slows all of them."""
    pages, layers = {}, {}
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        for name, data in files.items():
            path = Path(folder, f"{name}.goss")
            path.write_bytes(data)
            pages[name] = browser.new_page()
            pages[name].goto(f"{url}web/bench/index.html")
            model = f"{url}{path.relative_to(ROOT)}"
            layers[name] = pages[name].evaluate(OPEN, {"model": model, "simd": simd})
            pages[name].evaluate(MEASURE, WARM_UP)
    rounds = [
        {name: page.evaluate(MEASURE, RUNS) for name, page in pages.items()} for _ in range(ROUNDS)
    ]
    for page in pages.values():
        page.close()
    return {
        name: Timing(
            {
                layer: statistics.median(_middle(times[name][1][index]) for times in rounds)
                for index, layer in enumerate(layers[name])
            },
            statistics.median(_middle(times[name][0]) for times in rounds),
        )
        for name in files
    }


def _middle(times: Sequence[float]) -> float:
    """Seconds, mean of the middle half: a median would keep the clock's steps of 5 microseconds."""
    quarter = len(times) // 4
    return statistics.fmean(sorted(times)[quarter : len(times) - quarter]) / 1000


def calibrate_in_browser(browser: Browser, url: str, target: str) -> CostModel:
    """Measure a build of the WebAssembly module."""
    files, stages = networks()
    timings = time_in_browser(browser, url, files, BUILDS[target])
    return fit(target, timings, stages, f"{platform.machine()}, Chromium {browser.version}")


def main() -> None:
    """Measure and write."""
    targets = [*gossamer.isas(), *BUILDS]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(targets)}")
    chosen = parser.parse_args().targets or targets
    with Server(ROOT) as server, sync_playwright() as playwright:
        browser = launch(playwright)
        for target in chosen:
            wasm = target in BUILDS
            model = (
                calibrate_in_browser(browser, server.url, target)
                if wasm
                else calibrate(target, ROUNDS * RUNS)
            )
            save(model, COSTS)
            print(f"{COSTS}: {model.target}, {model.origin}")


if __name__ == "__main__":
    main()
