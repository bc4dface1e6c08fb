"""Compare outputs and times with onnxruntime's, one thread each, in turns.

    .venv/bin/python tools/compare_onnxruntime.py [MODEL.onnx ...]

Without files: the networks of the tests at usual sizes; tools/results/onnxruntime.md is written.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

import gossamer
from gossamer import zoo

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "tools" / "results" / "onnxruntime.md"
ROUNDS = 15


@dataclass(frozen=True)
class Row:
    """One network: median seconds here and there, largest difference by the output's range."""

    name: str
    here: float
    there: float
    difference: float

    def __str__(self) -> str:
        return (
            f"| {self.name} | {1e3 * self.here:.1f} | {1e3 * self.there:.1f} "
            f"| {self.here / self.there:.2f} | {self.difference:.0e} |"
        )


def classifiers() -> Iterator[tuple[str, onnx.ModelProto]]:
    """Make networks of convolutions, and what stands behind them."""
    from models import dense_networks, vision_networks

    for name in zoo.NAMES:
        yield name, onnx.load_from_string(zoo.build_onnx(name, sparsity=0))
    for depth in (18, 50):
        yield f"resnet_{depth}", vision_networks.resnet(depth, 224)
    for size in ("small", "large"):
        yield f"mobilenet_v3_{size}", vision_networks.mobilenet_v3(size, 224)
    for make in (
        vision_networks.resnext,
        vision_networks.squeezenet,
        vision_networks.shufflenet_v2,
    ):
        yield make.__name__, make(224)
    yield "efficientnet_lite0", dense_networks.efficientnet_lite0(224)
    yield "ssd_head", dense_networks.ssd_head(224)
    yield "yolo", dense_networks.yolo(224)
    yield "keyword_spotter", dense_networks.keyword_spotter()


def general_networks() -> Iterator[tuple[str, onnx.ModelProto]]:
    """Make networks of general operators."""
    import torch
    from models import dense_networks, torch_models, transformers

    for way_up in ("transposed", "bilinear"):
        yield f"unet, {way_up}, 128", dense_networks.unet(way_up, side=128, width=16)
    torch.manual_seed(0)
    sizes = {"side": 224, "patch": 16, "width": 192, "heads": 3, "depth": 4, "classes": 1000}
    transformer = transformers.VisionTransformer(**sizes).eval()
    image = torch.zeros(2, 3, 224, 224)
    yield "vit, 4 blocks of 192", torch_models.export_by_dynamo(transformer, image, 18)


def compare(name: str, model: onnx.ModelProto) -> Row:
    """Run a network here and there."""
    one = gossamer.SessionOptions(threads=1)
    session = gossamer.InferenceSession(gossamer.convert(model, None), one)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    peer = onnxruntime.InferenceSession(model.SerializeToString(), options)
    random = np.random.default_rng(0)
    feeds = {
        value.name: random.normal(size=value.shape).astype(np.float32)
        for value in session.get_inputs()
    }
    pairs = zip(session.run(None, feeds), peer.run(None, feeds), strict=True)
    difference = max(np.abs(found - wanted).max() / np.ptp(wanted) for found, wanted in pairs)
    seconds: dict[object, list[float]] = {session: [], peer: []}
    for _ in range(ROUNDS):
        for engine, times in seconds.items():
            begin = time.perf_counter()
            engine.run(None, feeds)
            times.append(time.perf_counter() - begin)
    here, there = (statistics.median(times) for times in seconds.values())
    return Row(name, here, there, float(difference))


def compare_all(networks: Iterator[tuple[str, onnx.ModelProto]]) -> list[Row]:
    """Compare networks; print each row when it is there."""
    rows = []
    for name, model in networks:
        rows.append(compare(name, model))
        print(rows[-1], flush=True)
    return rows


def total(rows: list[Row]) -> Row:
    """Sum the times."""
    return Row(
        "sum",
        sum(row.here for row in rows),
        sum(row.there for row in rows),
        max(row.difference for row in rows),
    )


def table(classifiers: list[Row], general: list[Row]) -> str:
    """Write the rows as Markdown."""
    head = [
        "| network | Gossamer, ms | onnxruntime, ms | ratio | outputs differ, of their range |",
        "|---|---|---|---|---|",
    ]
    lines = [
        "# Networks against onnxruntime",
        "",
        f"Seeded random weights, dense, batch 1, one thread each, native, medians of {ROUNDS} runs "
        f"in turns. {platform.processor() or platform.machine()}, onnxruntime "
        f"{onnxruntime.__version__}, {date.today().isoformat()}.",
        "Made by `.venv/bin/python tools/compare_onnxruntime.py`.",
        "",
        *head,
        *map(str, classifiers),
        "",
        "Networks of general operators:",
        "",
        *head,
        *map(str, [*general, total(general)]),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print a row for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.onnx")
    files = parser.parse_args().models
    warnings.simplefilter("ignore")  # of the exporter
    if files:
        compare_all((path.name, onnx.load(path)) for path in files)
        return
    sys.path.insert(0, str(ROOT / "tests"))
    RESULTS.write_text(
        table(compare_all(classifiers()), compare_all(general_networks())), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
