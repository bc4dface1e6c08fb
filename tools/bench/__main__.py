"""Benchmark Gossamer against other engines, on one network, in headless Chromium.

With ``--dtype int8`` every engine's int8 network is timed, and the f32 ones without zeros; of the
other engines' int8 networks, which round probabilities coarsely, outputs are not compared.

Every engine and configuration runs in a fresh page, rounds are interleaved, and each figure is
compared with others of the same round only. Before anything is timed, each output is compared with
onnxruntime's. Writes ``build/bench/<network>.json``; ``--write`` also puts the figures, the plot
and the README's tables into the repository.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(Path(__file__).resolve().parent)]

import networks  # noqa: E402
import report  # noqa: E402
from headless import launch  # noqa: E402
from playwright.sync_api import Browser, sync_playwright  # noqa: E402

from gossamer import zoo  # noqa: E402
from gossamer.serve import Server  # noqa: E402

PAGE = "web/bench/index.html"
SPARSITIES, PATTERNS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95), ("1x1", "2x1", "4x1", "8x1")
QUICK_SPARSITIES, QUICK_PATTERNS = (0.3, 0.7, 0.8, 0.9), ("1x1", "4x1")
INT8_SPARSITIES, INT8_PATTERN = (0.3, 0.5, 0.7, 0.9), "4x4"
# Browsers compile a module twice, the second time while it runs: half a second of small networks.
WARM_UP, WARM_UP_MS = 25, 1000
TIMEOUT_MS = 120_000


@dataclass(frozen=True)
class Configuration:
    """One line of the table."""

    engine: str
    model: str  # file name
    threads: int = 1
    simd: str = "relaxed"
    pattern: str = ""
    sparsity: float = 0.0
    dtype: str = "f32"

    @property
    def label(self) -> str:
        """What the tables and ratios call it."""
        parts = [report.ENGINES[self.engine] + (" int8" if self.dtype == "int8" else "")]
        if self.engine == "gossamer":
            zeros = f"{self.sparsity:.0%} {self.pattern}" if self.sparsity else "dense"
            parts += [zeros, "fixed SIMD" if self.simd == "fixed" else ""]
        parts.append(f"{self.threads} threads" if self.threads > 1 else "")
        return ", ".join(filter(None, parts))


@dataclass
class Result:
    """What was measured of one configuration."""

    configuration: Configuration
    label: str
    about: dict[str, Any] = field(default_factory=dict)
    ready_ms: list[float] = field(default_factory=list)  # one a round
    rounds_ms: list[list[float]] = field(default_factory=list)  # runs of each round, in the engine
    call_ms: list[list[float]] = field(default_factory=list)  # the same, as the page waits
    profile: dict[str, Any] | None = None


def configurations(sparsities: Sequence[float], patterns: Sequence[str]) -> list[Configuration]:
    """Everything that is compared."""
    peers = [("onnxruntime", "dense.onnx"), ("litert", "dense.tflite"), ("tfjs", "network.json")]
    chosen = [Configuration(*peer, threads) for peer in peers for threads in (1, 2)]
    dense = [(threads, simd) for threads in (1, 2) for simd in ("relaxed", "fixed")]
    chosen += [Configuration("gossamer", "dense.goss", *variant) for variant in dense]
    for sparsity in sparsities:
        for pattern in patterns:
            model = networks.goss_name(pattern, sparsity, "f32")
            variants = dense if (sparsity, pattern) == (0.7, "4x1") else dense[:1]
            chosen += [
                Configuration("gossamer", model, *variant, pattern, sparsity)
                for variant in variants
            ]
    return chosen


def int8_configurations(sparsities: Sequence[float]) -> list[Configuration]:
    """Every engine that has int8, and what the same engines take in f32."""
    chosen = [Configuration("onnxruntime", "dense.onnx"), Configuration("litert", "dense.tflite")]
    chosen += [Configuration("gossamer", "dense.goss", 1, simd) for simd in ("relaxed", "fixed")]
    peers = [("onnxruntime", "dense-int8.onnx"), ("litert", "dense-int8.tflite")]
    chosen += [Configuration(*peer, threads, dtype="int8") for peer in peers for threads in (1, 2)]
    for sparsity in (0.0, *sparsities):
        variants = [(1, "relaxed")]
        if sparsity in (0.0, 0.7):
            variants += [(2, "relaxed"), (1, "fixed")]
        model = networks.goss_name(INT8_PATTERN, sparsity, "int8")
        pattern = INT8_PATTERN if sparsity else ""
        chosen += [
            Configuration("gossamer", model, *variant, pattern, sparsity, "int8")
            for variant in variants
        ]
    return chosen


def make_models(folder: Path, name: str, chosen: list[Configuration], **size: Any) -> None:
    """Write every model file that is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    networks.write_peers_formats(folder, name, **size)
    for configuration in chosen:
        if configuration.engine == "gossamer":
            what = (configuration.pattern, configuration.sparsity, configuration.dtype)
            networks.write_goss(folder, name, *what, **size)
    models = {configuration.model for configuration in chosen}
    if "dense-int8.onnx" in models:
        networks.write_int8_onnx(folder)
    if any(not (folder / model).exists() for model in models):
        print("making .tflite files with TensorFlow", flush=True)
        toolchain = [sys.executable, str(ROOT / "tools" / "toolchain"), "--print", "tensorflow"]
        python = subprocess.run(toolchain, capture_output=True, text=True, check=True)
        script = Path(__file__).with_name("make_tflite.py")
        subprocess.run([python.stdout.strip(), str(script), str(folder)], check=True)


def expected_output(folder: Path, configuration: Configuration, name: str, **size: Any) -> Any:
    """What onnxruntime computes with the same weights."""
    import onnxruntime

    content = (
        zoo.build_onnx(name, pattern=configuration.pattern, sparsity=configuration.sparsity, **size)
        if configuration.sparsity
        else (folder / "dense.onnx").read_bytes()
    )
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    return session.run(None, {image.name: networks.test_image(image.shape)})[0].ravel()


class Bench:
    """A served repository and a browser that opens a fresh page for every measurement."""

    def __init__(self, browser: Browser, url: str, folder: Path, input_shape: list[int]) -> None:
        self.browser, self.url, self.input_shape = browser, url, input_shape
        self.models = f"{url}{folder.relative_to(ROOT)}/"

    def measure(self, configuration: Configuration, runs: int, layer_runs: int = 0) -> Any:
        """Open a page, run `measure` of ``web/bench/measure.mjs`` there, close it."""
        task = {
            "engine": configuration.engine,
            "model": self.models + configuration.model,
            "inputShape": self.input_shape,
            "threads": configuration.threads,
            "simd": configuration.simd,
            "warmUp": WARM_UP,
            "warmUpMs": WARM_UP_MS,
            "runs": runs,
            "layerRuns": layer_runs,
        }
        context = self.browser.new_context()
        context.set_default_timeout(TIMEOUT_MS)
        try:
            page = context.new_page()
            page.goto(f"{self.url}{PAGE}", wait_until="networkidle")
            script = "async (task) => (await import('/web/bench/measure.mjs')).measure(task)"
            return page.evaluate(script, task)
        finally:
            context.close()


def machine(browser: Browser) -> dict[str, Any]:
    """Where this was measured."""
    packages = json.loads((ROOT / "tools/bench/package-lock.json").read_text())["packages"]
    versions = {
        name.removeprefix("node_modules/"): package["version"]
        for name, package in packages.items()
        if name.removeprefix("node_modules/")
        in ("onnxruntime-web", "@litertjs/core", "@tensorflow/tfjs-backend-wasm")
    }
    return {
        "date": date.today().isoformat(),
        "machine": f"{report.processor()}, {os.cpu_count()} cores, shared",
        "system": platform.platform(),
        "browser": f"Chromium {browser.version}",
        "versions": versions,
    }


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    size = {"width": options.width, "resolution": options.resolution}
    folder = (
        ROOT / "build/bench/models" / f"{options.network}-{options.width:g}-{options.resolution}"
    )
    sparsities = QUICK_SPARSITIES if options.quick else SPARSITIES
    patterns = QUICK_PATTERNS if options.quick else PATTERNS
    if options.dtype == "int8":
        chosen = int8_configurations(() if options.dense else INT8_SPARSITIES)
    else:
        chosen = configurations(() if options.dense else sparsities, patterns)
    chosen = [c for c in chosen if c.label in options.only or not options.only]
    make_models(folder, options.network, chosen, **size)
    results = [Result(c, c.label) for c in chosen]
    with Server(ROOT) as server, sync_playwright() as playwright:
        browser = launch(playwright)
        bench = Bench(browser, server.url, folder, [1, 3, options.resolution, options.resolution])
        for result in results:
            seen = bench.measure(result.configuration, runs=1)
            expected = expected_output(folder, result.configuration, options.network, **size)
            what = result.configuration
            result.about = seen["about"]
            if what.dtype == "int8" and what.engine != "gossamer":
                # Their last softmax has steps of 1 / 256, which no probability here reaches.
                print(f"runs: {result.label}", flush=True)
                continue
            networks.check_output(result.label, seen["output"], expected, what.dtype)
            print(f"agrees: {result.label}", flush=True)
        for round_ in range(options.rounds):
            last = round_ == options.rounds - 1
            for result in results:
                seen = bench.measure(result.configuration, options.runs, 20 if last else 0)
                result.ready_ms.append(seen["readyMs"])
                result.rounds_ms.append(seen["times"])
                result.call_ms.append(seen["callTimes"])
                result.profile = seen["profile"]
            print(f"round {round_ + 1} of {options.rounds} done", flush=True)
        return {
            **machine(browser),
            "network": f"{options.network} {options.width:g}/{options.resolution}, {options.dtype}",
            "rounds": options.rounds,
            "runs": options.runs,
            "command": "make bench",
            "results": [asdict(result) for result in results],
        }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=zoo.NAMES, default="mobilenet_v1")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--dtype", choices=("f32", "int8"), default="f32")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--runs", type=int, default=10, help="timed runs a page (default: 10)")
    parser.add_argument("--quick", action="store_true", help="fewer sparsities and patterns")
    parser.add_argument("--dense", action="store_true", help="no network with zeros")
    parser.add_argument("--only", metavar="LABEL", action="append", default=[], help="as in tables")
    parser.add_argument("--write", action="store_true", help="update figures, plot and README")
    options = parser.parse_args()
    measured = run(options)
    target = ROOT / "build/bench" / f"{report.file_name(measured)}.json"
    target.write_text(json.dumps(measured, indent=1))
    print()
    print(report.text(measured))
    report.plot(measured, target.with_suffix(".svg"))
    print(f"\n{target}\n{target.with_suffix('.svg')}")
    if options.write:
        report.write(measured)


if __name__ == "__main__":
    main()
