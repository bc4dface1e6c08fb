#!/usr/bin/env python3
"""Compare predicted times of whole networks with measured ones, in headless Chromium, one thread.

Networks of the zoo and the embedded ones, or those given. Needs ``.venv`` and the modules, as
``make test`` sets them up. Prints Markdown: medians of rounds in which the networks take turns, and
how many times as fast each network is as the first.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from statistics import median

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


def table(predicted: dict[str, float], runs: Sequence[dict[str, float]]) -> list[str]:
    """Write seconds by network, predicted and measured in some runs, as Markdown."""
    lines = [
        "| network | predicted | measured | predicted / measured "
        "| times as fast as the first: predicted | measured |",
        "|---|---|---|---|---|---|",
    ]
    first = next(iter(predicted))
    for name, seconds in predicted.items():
        measured = listed(1000 * run[name] for run in runs)
        share = seconds / median(run[name] for run in runs)
        gain = predicted[first] / seconds
        gains = listed(run[first] / run[name] for run in runs)
        lines.append(
            f"| {name} | {1000 * seconds:.2f} ms | {measured} ms "
            f"| {share:.2f} | {gain:.2f} | {gains} |"
        )
    return lines


def listed(numbers: Iterable[float]) -> str:
    """Write numbers one behind the other."""
    return ", ".join(f"{number:.2f}" for number in numbers)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", choices=sorted(BUILDS), default="wasm_relaxed")
    parser.add_argument("--runs", type=int, default=1, help="measure everything so many times")
    parser.add_argument("models", nargs="*", type=Path, help="files to measure instead")
    options = parser.parse_args()
    target, costs = options.target, cost_model.load(options.target)
    models = {path.stem: path.read_bytes() for path in options.models} or files()
    predicted = {
        name: predict(read_graph(data, name), costs).seconds for name, data in models.items()
    }
    runs = []
    with Server(ROOT) as server, sync_playwright() as playwright:
        browser = launch(playwright)
        for _ in range(options.runs):
            timings = time_in_browser(browser, server.url, models, BUILDS[target])
            runs.append({name: timing.run for name, timing in timings.items()})
        version = browser.version
    errors = (abs(s / median(run[name] for run in runs) - 1) for name, s in predicted.items())
    print("# Predicted and measured times\n")
    print("Of whole networks, in headless Chromium. Made by")
    print(f"`.venv/bin/python {' '.join(['tools/validate_costs.py', *sys.argv[1:]])}`.\n")
    print("\n".join(table(predicted, runs)))
    print(f"\n{target}, one thread; {processor()}, {os.cpu_count()} cores; Chromium {version};")
    print(f"{date.today()}. Costs measured on {costs.origin}. Largest error {max(errors):.0%}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
