#!/usr/bin/env python3
"""Make the example of `gossamer explain`: its report and a picture of its page, in tools/results.

MobileNet-v2 with random weights, half of those of its pointwise layers zero, anywhere. Measured on
this machine. Needs ``.venv`` and Chromium, as ``make test`` sets them up.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time
from pathlib import Path

from headless import launch
from playwright.sync_api import sync_playwright

import gossamer
from gossamer import zoo
from gossamer.explain.report import Explanation

RESULTS = Path(__file__).resolve().parent / "results"
NAME = "explain_mobilenet_v2"
WIDTH, HEIGHT = 800, 1000
TARGET = "host"


def explain() -> tuple[Explanation, float]:
    """Explain the network; the seconds that took, reading the file and measuring included."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mobilenet_v2.onnx")
        path.write_bytes(zoo.build_onnx("mobilenet_v2", pattern="1x1", sparsity=0.5))
        begin = time.perf_counter()
        explanation = gossamer.explain(path, target=TARGET)
        seconds = time.perf_counter() - begin
    return dataclasses.replace(explanation, model=path.name), seconds


def photograph(page: str, target: Path) -> None:
    """Take a picture of the page, one layer opened."""
    with sync_playwright() as playwright, contextlib.closing(launch(playwright)) as browser:
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        tab.set_content(page)
        tab.locator("summary").nth(2).click()
        tab.screenshot(path=target)


def main() -> None:
    """Explain, write, print."""
    explanation, seconds = explain()
    (RESULTS / f"{NAME}.txt").write_text(f"{explanation}\n", encoding="utf-8")
    photograph(explanation.html(), RESULTS / f"{NAME}.png")
    print(f"{explanation.verdict.headline}\nexplained in {seconds:.1f} s, measuring included")


if __name__ == "__main__":
    main()
