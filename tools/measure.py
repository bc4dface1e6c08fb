"""Measure the embedded model on every target of this machine; sizes of what ships.

Prints the tables of the README. With ``--write`` it also puts them there, and the figures behind
them into ``tools/measurements.json``. Latencies are of the model alone, one thread, medians.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from headless import launch
from playwright.sync_api import sync_playwright

import gossamer
from gossamer.serve import ENGINES, Server

ROOT = Path(__file__).resolve().parent.parent
MODEL = "cifar10-mobilenet"
MODEL_FILE = Path("runtime/gossamer/models") / f"{MODEL}.goss"
ROUNDS, RUNS_A_ROUND, WARM_UP = 10, 10, 10
MARKS = ("<!-- measurements: begin -->", "<!-- measurements: end -->")

BROWSER_RUNS = """
async ({ model, simd, runs }) => {
  const { InferenceSession } = await import("/web/dist/gossamer.mjs");
  const session = await InferenceSession.create(model, { simd, threads: 1 });
  const image = new Float32Array(3 * 32 * 32).fill(0.5);
  const times = [];
  for (let i = 0; i < runs; i++) {
    await session.run({ image });
    times.push(session.latencyMs);
  }
  session.dispose();
  return times;
}
"""
PYODIDE_RUNS = f"""
import array, json, time
import gossamer
session = gossamer.load_model({MODEL!r})
image = memoryview(array.array("f", [0.5] * 3072)).cast("B").cast("f", [1, 3, 32, 32])
times = []
for _ in range({WARM_UP + ROUNDS * RUNS_A_ROUND}):
    begin = time.perf_counter()
    session.run(None, {{"image": image}})
    times.append(1000 * (time.perf_counter() - begin))
main = lambda argv: json.dumps(times)
"""


def native_times(isas: list[str]) -> dict[str, list[float]]:
    """Milliseconds of each run, by instruction set, in interleaved rounds."""
    import numpy as np

    path = Path(gossamer.__file__).parent / "models" / MODEL_FILE.name
    image = {"image": np.full((1, 3, 32, 32), 0.5, np.float32)}
    sessions = {
        isa: gossamer.InferenceSession(path, gossamer.SessionOptions(threads=1, isa=isa))
        for isa in isas
    }
    times: dict[str, list[float]] = {isa: [] for isa in isas}
    for session in sessions.values():
        for _ in range(WARM_UP):
            session.run(None, image)
    for _ in range(ROUNDS):
        for isa, session in sessions.items():
            for _ in range(RUNS_A_ROUND):
                begin = time.perf_counter()
                session.run(None, image)
                times[isa].append(1000 * (time.perf_counter() - begin))
    return times


def browser_times() -> tuple[dict[str, list[float]], str]:
    """Milliseconds of each run, by build, in interleaved rounds; and the browser's version."""
    times: dict[str, list[float]] = {"relaxed": [], "fixed": []}
    with Server(ROOT) as server, sync_playwright() as playwright:
        browser = launch(playwright)
        for _ in range(ROUNDS):
            for simd in times:
                page = browser.new_page()
                page.goto(f"{server.url}web/demo/icon.svg")
                given = {"model": f"{server.url}{MODEL_FILE}", "simd": simd}
                runs = page.evaluate(BROWSER_RUNS, given | {"runs": WARM_UP + RUNS_A_ROUND})
                times[simd] += runs[WARM_UP:]
                page.close()
        return times, f"Chromium {browser.version}"


def pyodide_times() -> list[float]:
    """Milliseconds of each run under node."""
    wheels = json.loads((ROOT / "dist" / "wheels.json").read_text())
    runner = ROOT / "tests" / "pyodide" / "run_in_node.mjs"
    script = ROOT / "build" / "classify_pixels.py"
    script.write_text(PYODIDE_RUNS)
    command = ["node", runner, ROOT / "dist" / wheels["pyodide"], script]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(output.splitlines()[-1])[WARM_UP:]


def sizes() -> dict[str, dict[str, int]]:
    """Bytes of each file that ships, raw and as gzip sends it."""
    wheels = json.loads((ROOT / "dist" / "wheels.json").read_text())
    files = [ROOT / "web" / "dist" / name for name in ENGINES]
    files += sorted((ROOT / MODEL_FILE.parent).glob("*.goss"))
    files += [ROOT / "dist" / wheel for wheel in wheels.values()]
    return {
        file.name: {
            "bytes": file.stat().st_size,
            "gzip_bytes": len(gzip.compress(file.read_bytes(), 9)),
        }
        for file in files
    }


def measure() -> dict[str, Any]:
    """Everything that the tables show."""
    session = gossamer.load_model(MODEL)
    layers = session.layers()
    chromium, version = browser_times()
    latencies = {f"native Python, {isa}": t for isa, t in native_times(gossamer.isas()).items()}
    latencies |= {f"Chromium, {simd} SIMD": times for simd, times in chromium.items()}
    latencies["Pyodide in node, fixed SIMD"] = pyodide_times()
    return {
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "versions": f"Python {platform.python_version()}, {version}, node {_node()}",
        "weights": sum(layer.weights for layer in layers),
        "nonzeros": sum(layer.nonzeros for layer in layers),
        "macs": session.info.macs,
        "dense_macs": session.info.dense_macs,
        "arena_bytes": session.info.arena_bytes,
        "tensor_bytes": session.info.tensor_bytes,
        "sizes": sizes(),
        "latency_ms": {
            name: {
                "median": round(statistics.median(times), 3),
                "quartiles": [round(q, 3) for q in statistics.quantiles(times)[::2]],
                "runs": len(times),
            }
            for name, times in latencies.items()
        },
    }


def processor() -> str:
    """Name of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def _node() -> str:
    return subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip()


def tables(found: dict[str, Any]) -> str:
    """Write the figures as Markdown."""
    zeros = 1 - found["nonzeros"] / found["weights"]
    lines = [
        f"`cifar10-mobilenet`, {zeros:.1%} of {found['weights']:,} weights zero: "
        f"{found['macs'] / 1e6:.1f} million multiply-adds instead of "
        f"{found['dense_macs'] / 1e6:.1f}; "
        f"intermediate tensors take {found['arena_bytes']:,} bytes, "
        f"{found['tensor_bytes']:,} without sharing memory.",
        "",
        "| one photo, one thread | median | quartiles | runs |",
        "|---|---|---|---|",
    ]
    for name, latency in found["latency_ms"].items():
        low, high = latency["quartiles"]
        lines.append(
            f"| {name} | {latency['median']:.2f} ms | {low:.2f} – {high:.2f} | {latency['runs']} |"
        )
    lines += ["", "| file | bytes | gzip |", "|---|---|---|"]
    for name, size in found["sizes"].items():
        lines.append(f"| `{name}` | {size['bytes']:,} | {size['gzip_bytes']:,} |")
    lines += ["", f"{found['machine']}, shared; {found['versions']}."]
    return "\n".join(lines)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="update README.md and the figures")
    write = parser.parse_args().write
    found = measure()
    text = tables(found)
    print(text)
    if write:
        (ROOT / "tools" / "measurements.json").write_text(json.dumps(found, indent=2) + "\n")
        readme = ROOT / "README.md"
        before, rest = readme.read_text(encoding="utf-8").split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        readme.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
