"""Open the demo page in headless Chromium and compare its answers with native Python's.

Prints a table and saves ``build/demo.png``. Exit status: 0 only where the page and native Python
name every bundled photo, and rightly so.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from headless import BrowserMissingError, launch
from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

import gossamer
from gossamer.serve import PAGE, Server

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "web" / "demo" / "samples"
SCREENSHOT = ROOT / "build" / "demo.png"
MODEL = "cifar10-mobilenet"
RUNS = 15
PATIENCE_MS = 15_000


class CheckError(Exception):
    """The check could not be made, or found a difference; one line."""


@dataclass(frozen=True)
class Answer:
    """A label, its probability 0..1, and the median latency in milliseconds."""

    label: str
    probability: float
    latency_ms: float

    def __str__(self) -> str:
        return f"{self.label:<10} {self.probability:6.1%} {self.latency_ms:7.2f} ms"


def main() -> int:
    """Run the check; the exit status."""
    try:
        samples = _samples()
        native = _native_answers(samples)
        with Server(ROOT) as server, sync_playwright() as playwright:
            browser = launch(playwright)
            page = _open(browser, server.url + PAGE)
            answers = {name: _ask(page, name) for name in samples}
            _save_screenshot(page, next(iter(samples)))
            engine = (
                f"Chromium {browser.version}, {page.locator('html').get_attribute('data-build')}"
            )
        _print_table(samples, native, answers, engine)
        return _judge(samples, native, answers)
    except (CheckError, BrowserMissingError, gossamer.GossamerError, OSError) as error:
        print(f"demo check: {error}", file=sys.stderr)
    except PlaywrightError as error:
        print(f"demo check: {error.message.splitlines()[0]}", file=sys.stderr)
    return 1


def _samples() -> dict[str, str]:
    """Expected label of each photo's file."""
    samples = json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8"))
    if not samples:
        raise CheckError(f"{SAMPLES}: no samples")
    return {sample["file"]: sample["label"] for sample in samples}


def _native_answers(samples: dict[str, str]) -> dict[str, Answer]:
    session = gossamer.load_model(MODEL)
    return {name: _native_answer(session, SAMPLES / name) for name in samples}


def _native_answer(session: gossamer.InferenceSession, photo: Path) -> Answer:
    (prediction,) = gossamer.classify(session, photo, top=1)
    tensor = gossamer.image_to_tensor(photo, session)
    times = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        session.run(None, {session.get_inputs()[0].name: tensor})
        times.append(1000 * (time.perf_counter() - begin))
    return Answer(prediction.label, prediction.probability, statistics.median(times))


def _open(browser: Browser, url: str) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(url)
    page.wait_for_selector("html:not([data-state=loading])")
    if page.locator("html").get_attribute("data-state") != "ready":
        raise CheckError(f"{url}: {page.inner_text('#error') or '; '.join(problems)}")
    return page


def _ask(page: Page, name: str) -> Answer:
    page.click(f'#samples button[data-file="{name}"]')
    page.wait_for_function(
        """name => document.querySelector("#error").textContent
             || document.querySelector("#predictions").dataset.photo === name""",
        arg=name,
    )
    if page.inner_text("#error"):
        raise CheckError(f"{name}: the page says: {page.inner_text('#error')}")
    best = page.locator("#predictions li").first
    return Answer(
        best.get_attribute("data-label") or "",
        float(best.get_attribute("data-probability") or "nan"),
        float(page.locator("#facts [data-fact=latency]").get_attribute("data-ms") or "nan"),
    )


def _save_screenshot(page: Page, name: str) -> None:
    _ask(page, name)
    SCREENSHOT.parent.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOT, full_page=True, animations="disabled")


def _print_table(
    samples: dict[str, str],
    native: dict[str, Answer],
    browser: dict[str, Answer],
    engine: str,
) -> None:
    print(f"{'photo':<16} {'expected':<10}   {'native Python':<28}   browser")
    for name, label in samples.items():
        print(f"{name:<16} {label:<10}   {native[name]}   {browser[name]}")
    isa = gossamer.load_model(MODEL).isa
    print(f"native: gossamer {gossamer.__version__}, {isa}, Python {platform.python_version()}")
    print(f"browser: {engine}")
    print("latency: of the model alone, median; screenshot: build/demo.png")


def _judge(samples: dict[str, str], native: dict[str, Answer], browser: dict[str, Answer]) -> int:
    wrong = [
        f"{name}: {label} expected, native says {native[name].label}, "
        f"the browser {browser[name].label}"
        for name, label in samples.items()
        if not native[name].label == browser[name].label == label
    ]
    for line in wrong:
        print(f"demo check: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
