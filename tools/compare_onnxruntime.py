"""Time networks of general operators here and in onnxruntime, one thread each, in turns.

    .venv/bin/python tools/compare_onnxruntime.py [MODEL.onnx ...]

Without files: the U-Nets and the vision transformer of the tests, at usual sizes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

import gossamer

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 15


def networks() -> Iterator[tuple[str, onnx.ModelProto]]:
    """Make the networks of the tests."""
    sys.path.insert(0, str(ROOT / "tests"))
    import torch
    from models import dense_networks, torch_models, transformers

    for way_up in ("transposed", "bilinear"):
        yield f"U-Net, {way_up}, 128", dense_networks.unet(way_up, side=128, width=16)
    torch.manual_seed(0)
    sizes = {"side": 224, "patch": 16, "width": 192, "heads": 3, "depth": 4, "classes": 1000}
    transformer = transformers.VisionTransformer(**sizes).eval()
    image = torch.zeros(2, 3, 224, 224)
    yield "ViT, 4 blocks of 192", torch_models.export_by_dynamo(transformer, image, 18)


def compare(model: onnx.ModelProto) -> tuple[float, float, float]:
    """Give the median seconds here and there, and the largest difference by the output's range."""
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
    found, wanted = session.run(None, feeds)[0], peer.run(None, feeds)[0]
    seconds: dict[object, list[float]] = {session: [], peer: []}
    for _ in range(ROUNDS):
        for engine, times in seconds.items():
            begin = time.perf_counter()
            engine.run(None, feeds)
            times.append(time.perf_counter() - begin)
    here, there = (statistics.median(times) for times in seconds.values())
    return here, there, float(np.abs(found - wanted).max() / np.ptp(wanted))


def main() -> None:
    """Print a line for each network, and their sum."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.onnx")
    files = parser.parse_args().models
    warnings.simplefilter("ignore")  # of the exporter
    totals = np.zeros(2)
    for name, model in ((p.name, onnx.load(p)) for p in files) if files else networks():
        here, there, error = compare(model)
        totals += here, there
        print(
            f"{name:24} {1e3 * here:7.1f} ms, onnxruntime {1e3 * there:7.1f} ms: "
            f"{here / there:.2f} of its time; outputs differ by {error:.0e} of their range"
        )
    print(f"{'all':24} {1e3 * totals[0]:7.1f} ms, onnxruntime {1e3 * totals[1]:7.1f} ms: "
          f"{totals[0] / totals[1]:.2f} of its time")  # fmt: skip


if __name__ == "__main__":
    main()
