#!/usr/bin/env python3
"""Prune quantized MobileNet-v2 files at once and measure what ImageNet's accuracy loses.

Of the pictures' listing, every fifth and the one behind it calibrate, the other three of five are
classified, so that no picture does both. Each row of the table is written when it is known: run
again with the same options to go on after an interruption. Nothing is drawn at random: pictures,
their order and the result depend on the files only.

Usage: python tools/imagenet_one_shot.py [--shared FOLDER] [--calibrate N] [--only PATTERN]
       [--models MODEL ...]
Needs ``gossamer`` with the extras convert and image.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import gossamer
from gossamer.convert.write import write_atomically
from gossamer.evaluation import Picture, class_of, pictures_in, spread
from gossamer.image import image_to_tensor, labels

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "tools" / "results" / "imagenet_one_shot.json"
MODELS = ("mobilenet_v2_1.0_224_quant", "tf2_mobilenet_v2_1.0_224_ptq")
PATTERNS = ("4x1", "1x1", "2x1", "8x1", "4x4", "1x4")
SPARSITIES = (0.3, 0.1, 0.2, 0.4, 0.5)

# What is done besides zeroing blocks: whether pictures calibrate, and the steps of `prune`.
METHODS = {
    "magnitude": {"calibrated": False, "rearrange": False, "reconstruct": False},
    "all": {"calibrated": True, "rearrange": True, "reconstruct": True},
    "spread": {"calibrated": True, "rearrange": True, "reconstruct": True, "allocation": "cost"},
    "rearranged": {"calibrated": False, "rearrange": True, "reconstruct": False},
    "second order": {"calibrated": True, "rearrange": False, "reconstruct": False},
    "reconstructed": {"calibrated": True, "rearrange": False, "reconstruct": True},
}
STEPS_OF = ("4x1", 0.3)  # where the steps are measured alone


class Row(NamedTuple):
    """A line of the table."""

    model: str
    pattern: str
    sparsity: float
    method: str

    @property
    def key(self) -> str:
        """Name it in the file of results."""
        return f"{self.model} {self.pattern} {self.sparsity:g} {self.method}"


def rows() -> Iterator[Row]:
    """List the rows, those that say most first."""
    for model in MODELS:
        yield Row(model, "1x1", 0.0, "dense")
    for pattern in PATTERNS:
        for sparsity in SPARSITIES:
            for model in MODELS:
                alone = (pattern, sparsity) == STEPS_OF
                for method in METHODS if alone else ("magnitude", "all"):
                    yield Row(model, pattern, sparsity, method)


def is_for_calibration(index: int) -> bool:
    """Whether the picture at that place of the listing calibrates; the others are classified."""
    return index % 5 < 2


class Photos:
    """Pictures as a model takes them, and their classes; each is decoded once a model."""

    def __init__(self, session: gossamer.InferenceSession, pictures: Sequence[Picture]) -> None:
        names = labels(session)
        self.classes = [class_of(picture.name, names, len(names)) for picture in pictures]
        self.tensors = []
        for picture in pictures:
            with picture.open() as file:
                self.tensors.append(image_to_tensor(file, session))

    def right(self, path: Path) -> list[int]:
        """Classify them: 1 where the model is right."""
        session = gossamer.InferenceSession(str(path), gossamer.SessionOptions(threads=1))
        name = session.get_inputs()[0].name
        answers = (session.run(None, {name: tensor})[0] for tensor in self.tensors)
        found = [int(np.argmax(answer)) for answer in answers]
        return [int(a == b) for a, b in zip(found, self.classes, strict=True)]


def measure(row: Row, models: Path, calibration: Photos, photos: Photos) -> dict[str, Any]:
    """Make one row."""
    begin = time.monotonic()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.goss"
        if row.method == "dense":
            convert(row.model, models, path)
        else:
            options = {"allocation": "uniform", **METHODS[row.method]}
            report = gossamer.prune(
                models / f"{row.model}.tflite",
                path,
                sparsity=row.sparsity,
                pattern=row.pattern,
                data=calibration.tensors if options.pop("calibrated") else None,
                limit=len(calibration.tensors),
                progress=show,
                **options,
            )
            result = {
                "zeros": round(report.zeros, 4),
                "predicted_speedup": round(report.milliseconds_before / report.milliseconds, 3),
            }
        right = photos.right(path)
    result |= {"top1": round(100 * float(np.mean(right)), 2), "right": "".join(map(str, right))}
    return {**row._asdict(), **result, "seconds": round(time.monotonic() - begin, 1)}


def show(what: str, done: int, total: int) -> None:
    """Say on a terminal how far a row is."""
    if sys.stderr.isatty():
        print(f"\r\033[K{what}: {done}/{total}", end="", file=sys.stderr, flush=True)


def convert(model: str, models: Path, path: Path) -> None:
    """Convert a model to f32, with its labels."""
    metadata = {"labels": (models / "imagenet_labels.txt").read_text()}
    gossamer.convert(models / f"{model}.tflite", path, metadata=metadata, dequantize=True)


def decode(
    model: str, models: Path, calibration: Sequence[Picture], pictures: Sequence[Picture]
) -> tuple[Photos, Photos]:
    """Prepare pictures as a model wants them: those that calibrate, and those to classify."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.goss"
        convert(model, models, path)
        session = gossamer.InferenceSession(str(path))
        return Photos(session, calibration), Photos(session, pictures)


def table(results: dict[str, Any]) -> str:
    """Write the results as Markdown."""
    facts = results["facts"]
    lines = [
        "# One-shot pruning of MobileNet-v2 on ImageNet",
        "",
        f"Top-1 in per cent of {facts['classified']} pictures; {facts['calibrated']} others "
        "calibrate. `magnitude`: the smallest blocks go, nothing else. "
        "`all`: channels rearranged, blocks chosen by second-order saliency, the others refitted. "
        "`spread`: as `all`, with zeros where the output moves least instead of alike in every "
        "layer. Recovered: of what magnitude loses. Every convolution without groups is pruned but "
        "the first and, except by `spread`, the last, which has a third of the weights and is "
        "refitted, too. 4x4 and 1x4 are blocks of int8 kernels; the networks here are f32. "
        "Made by `tools/imagenet_one_shot.py`.",
    ]
    found = results["rows"]
    for model in MODELS:
        dense = found.get(Row(model, "1x1", 0.0, "dense").key)
        if dense is None:
            continue
        lines += ["", f"## {model}: {dense['top1']:.1f} dense", ""]
        lines += [
            "| blocks | zeros | magnitude | all | lost | recovered |",
            "|---|---|---|---|---|---|",
        ]
        for pattern in sorted(PATTERNS):
            for sparsity in sorted(SPARSITIES):
                pair = [
                    found.get(Row(model, pattern, sparsity, m).key) for m in ("magnitude", "all")
                ]
                if None not in pair:
                    plain, best = (entry["top1"] for entry in pair)
                    lost = dense["top1"] - plain
                    share = f"{(best - plain) / lost:.0%}" if lost > 0 else ""
                    lines.append(
                        f"| {pattern} | {sparsity:.0%} | {plain:.1f} | {best:.1f} | "
                        f"{dense['top1'] - best:.1f} | {share} |"
                    )
        steps = {name: found.get(Row(model, *STEPS_OF, name).key) for name in METHODS}
        if all(steps.values()):
            lines += ["", f"{STEPS_OF[0]}, {STEPS_OF[1]:.0%}, each step alone: "]
            lines[-1] += ", ".join(f"{name} {entry['top1']:.1f}" for name, entry in steps.items())
            faster = {name: steps[name]["predicted_speedup"] for name in ("spread", "all")}
            lines[-1] += f". `spread` is predicted to run {faster['spread']} times "
            lines[-1] += f"as fast as dense, `all` {faster['all']} times."
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--calibrate", type=int, default=200, help="pictures (default: 200)")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS, metavar="MODEL")
    parser.add_argument("--only", help="rows of one pattern")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.results.parent.mkdir(exist_ok=True)
    results: dict[str, Any] = {"facts": {}, "rows": {}}
    if options.results.exists():
        results = json.loads(options.results.read_text())
    with pictures_in(options.shared / "data" / "imagenet-500.tar") as listing:
        pictures = [p for index, p in enumerate(listing) if not is_for_calibration(index)]
        others = [p for index, p in enumerate(listing) if is_for_calibration(index)]
        calibration = spread(others, options.calibrate)
        facts = {"classified": len(pictures), "calibrated": len(calibration)}
        if results["facts"] not in ({}, facts):
            sys.exit(f"{options.results}: measured with {results['facts']}, asked for {facts}")
        results["facts"] = facts
        models, photos = options.shared / "models", {}
        for row in rows():
            wanted = row.model in options.models and options.only in (None, row.pattern)
            if row.key in results["rows"] or not wanted:
                continue
            if row.model not in photos:
                photos[row.model] = decode(row.model, models, calibration, pictures)
            found = measure(row, models, *photos[row.model])
            results["rows"][row.key] = found
            write_atomically(json.dumps(results, indent=1).encode() + b"\n", options.results)
            write_atomically(table(results).encode(), options.results.with_suffix(".md"))
            if sys.stderr.isatty():
                print("\r\033[K", end="", file=sys.stderr)
            print(f"{row.key}: top-1 {found['top1']:.2f}, {found['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
