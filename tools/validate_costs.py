#!/usr/bin/env python3
"""Compare predicted times of whole networks with measured ones, in headless Chromium, one thread.

Networks of the zoo and the embedded ones, or those given. Needs ``.venv`` and the modules, as
``make test`` sets them up. Prints a table: medians of rounds in which the networks take turns.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from calibrate import BUILDS, ROOT, time_in_browser
from headless import launch
from measure import processor
from playwright.sync_api import sync_playwright

from gossamer import zoo
from gossamer.convert import cost_model
from gossamer.convert.prediction import predict
from gossamer.convert.read import read_graph
from gossamer.embedded import MODELS
from gossamer.serve import Server

NETWORKS = (
    *(("mobilenet_v1", "4x1", sparsity, "f32") for sparsity in (0, 0.5, 0.8, 0.9)),
    *(("mobilenet_v2", "4x1", sparsity, "f32") for sparsity in (0, 0.8)),
    *(("efficientnet_b0", "4x1", sparsity, "f32") for sparsity in (0, 0.8)),
    *(("mobilenet_v1", "4x4", sparsity, "int8") for sparsity in (0, 0.7)),
    *(("mobilenet_v2", "4x4", sparsity, "int8") for sparsity in (0, 0.7)),
)


def files() -> dict[str, bytes]:
    """Make the networks as ``.goss`` files, by what the table calls them."""
    found = {}
    for name, pattern, sparsity, dtype in NETWORKS:
        zeros = f"{sparsity:.0%} {pattern}" if sparsity else "dense"
        found[f"{name} {zeros}, {dtype}"] = zoo.build(
            name, pattern=pattern, sparsity=sparsity, dtype=dtype
        )
    for path in sorted(MODELS.glob("*.goss")):
        found[path.stem] = path.read_bytes()
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", choices=sorted(BUILDS), default="wasm_relaxed")
    parser.add_argument("models", nargs="*", type=Path, help="files to measure instead")
    options = parser.parse_args()
    target, costs = options.target, cost_model.load(options.target)
    models = {path.stem: path.read_bytes() for path in options.models} or files()
    with Server(ROOT) as server, sync_playwright() as playwright:
        browser = launch(playwright)
        timings = time_in_browser(browser, server.url, models, BUILDS[target])
        version = browser.version
    print("| network | predicted | measured | predicted / measured |")
    print("|---|---|---|---|")
    worst = 0.0
    for name, data in models.items():
        predicted, measured = predict(read_graph(data, name), costs).seconds, timings[name].run
        worst = max(worst, abs(predicted / measured - 1))
        times = f"{1000 * predicted:.2f} ms | {1000 * measured:.2f} ms"
        print(f"| {name} | {times} | {predicted / measured:.2f} |")
    print(f"\n{target}, one thread; {processor()}, {os.cpu_count()} cores; Chromium {version};")
    print(f"costs measured on {costs.origin}. Largest error {worst:.0%}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
