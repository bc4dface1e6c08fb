#!/usr/bin/env python3
"""Measure what each choice of pruning at once is worth: how zeros are spread, saliency, order.

Usage: python tools/one_shot_choices.py DENSE.goss --train TAR --validation TAR
Needs ``gossamer`` with the extras convert and image; `python tools/cifar10 dense-twin` writes the
network that the committed figures are of. Rows are kept as soon as they are there; run again to go
on after an interruption.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import gossamer
from gossamer.convert.network import read_network, samples
from gossamer.prune import one_shot, rearrangement, saliency
from gossamer.prune.channels import ChannelMap
from gossamer.prune.pattern import Pattern, element_saliency
from gossamer.prune.sensitivity import outputs_of, without_softmax
from gossamer.prune.spaces import Layer, pose

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "tools" / "results" / "one_shot_choices.json"
SHARED = ROOT.parent / "shared" / "data"
HALF = {"sparsity": 0.5, "pattern": "4x1"}
ALIKE = HALF | {"allocation": "uniform"}
ORDERS = {
    "in place": {"rearrange": False},
    "sorted by norm": {"order": "sort_by_norm"},
    "rearranged": {},
}

# What is asked of `prune`, by what the tables call it.
SPREADS = {
    "uniform": ALIKE,
    "global": HALF | {"allocation": "global"},
    "global, by magnitude": HALF | {"allocation": "global", "saliency": "magnitude"},
    "global, by magnitude, not refitted": HALF
    | {"allocation": "global", "saliency": "magnitude", "reconstruct": False},
    "cost": HALF | {"allocation": "cost"},
    "cost, output taken to move alike": HALF | {"allocation": "cost", "alike": True},
    "speedup=2": {"speedup": 2},
    "speedup=2, output taken to move alike": {"speedup": 2, "alike": True},
    "uniform, as fast as that": ALIKE | {"sparsity": 0.565},
}
SALIENCIES = {
    "reconstruction": ALIKE,
    "diagonal": ALIKE | {"saliency": "diagonal"},
    "magnitude": ALIKE | {"saliency": "magnitude"},
}
ARRANGEMENTS = {
    f"{sparsity:.0%}, {name}": ALIKE | {"sparsity": sparsity} | order
    for sparsity in (0.3, 0.5, 0.8)
    for name, order in ORDERS.items()
}
TABLES = {"spread": SPREADS, "saliency": SALIENCIES, "order": ARRANGEMENTS}


def key_of(asked: Mapping[str, Any]) -> str:
    """Name a row; tables share those that ask for the same."""
    return " ".join(f"{name}={value}" for name, value in asked.items())


def measure(model: Path, asked: Mapping[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Make one row."""
    asked = dict(asked)
    order, alike = asked.pop("order", "rearrange"), asked.pop("alike", False)
    sort = mock.patch.object(one_shot, "rearrange", getattr(rearrangement, order))
    guess = mock.patch.object(one_shot, "_curves", _no_curves if alike else one_shot._curves)
    with tempfile.TemporaryDirectory() as folder, sort, guess:
        path = Path(folder) / "pruned.goss"
        report = gossamer.prune(model, path, data=options.train, limit=options.limit, **asked)
        accuracy = gossamer.evaluate(
            gossamer.InferenceSession(path),
            options.validation,
            reference=gossamer.InferenceSession(model),
        )
    return {
        "zeros": report.zeros,
        "faster": report.milliseconds_before / report.milliseconds,
        "kept": float(np.mean([layer.kept for layer in report.layers])),
        "top1": accuracy.top1,
        "n": accuracy.n,
        "difference": accuracy.comparison.difference,
        "interval": list(accuracy.comparison.interval),
        "agreement": accuracy.comparison.agreement,
        "layers": {layer.name: f"{layer.kept:.1%}" for layer in report.layers},
    }


def _no_curves(*arguments: Any) -> None:
    """Say nothing of how much each layer moves the output."""


def exactness(model: Path, options: argparse.Namespace) -> dict[str, float]:
    """Move the channels of the whole network, and look at how much its scores change."""
    graph, texts = read_network(model, {})
    inputs = samples(graph, texts, options.validation, options.limit)
    graph = without_softmax(graph)
    before = outputs_of(graph, inputs)
    channels = ChannelMap(graph)
    layers = [
        Layer(
            layer.name,
            *channels.axes(layer.value),
            element_saliency(saliency.magnitude(layer.before)),
            Pattern.parse(HALF["pattern"]),
            HALF["sparsity"],
        )
        for layer in one_shot._prunable(graph, (), last=False)
    ]
    channels.reorder(rearrangement.rearrange(*pose(channels.spaces, layers)))
    after = outputs_of(graph, inputs)
    return {
        "pictures": len(inputs),
        "difference": float(np.abs(after - before).max()),
        "largest": float(np.abs(before).max()),
    }


def table(results: Mapping[str, Any]) -> str:
    """Write the results as Markdown."""
    rows, exact = results["rows"], results["exactness"]
    n = next(iter(rows.values()))["n"]
    lines = [
        "# What the choices of pruning at once are worth",
        "",
        f"Of {results['model']}, calibrated with {results['limit']} pictures; top-1 on {n:,} "
        f"others is {100 * results['top1']:.2f} without zeros. Differences to that in points, with "
        "their 95 % intervals; agreement: the same answer; kept: share of the saliency, the mean "
        "of the layers. Blocks are 4x1 but where a time is asked for. Speed is predicted for "
        "wasm_relaxed, one thread. Made by `tools/one_shot_choices.py`.",
    ]
    for name, choices in TABLES.items():
        lines += ["", f"| {name} | zeros | times as fast | kept | difference | agreement |"]
        lines.append("|---|---|---|---|---|---|")
        for choice, asked in choices.items():
            row = rows[key_of(asked)]
            low, high = row["interval"]
            lines.append(
                f"| {choice} | {row['zeros']:.1%} | {row['faster']:.2f} | {row['kept']:.1%} "
                f"| {100 * row['difference']:+.2f} ({100 * low:+.2f} to {100 * high:+.2f}) "
                f"| {row['agreement']:.1%} |"
            )
    lines += ["", f"Saliency kept layer by layer, {HALF['sparsity']:.0%} zeros", ""]
    lines += [f"| layer | {' | '.join(ORDERS)} |", "|---|---|---|---|"]
    kept = [rows[key_of(ALIKE | order)]["layers"] for order in ORDERS.values()]
    lines += [f"| {layer} | {' | '.join(of[layer] for of in kept)} |" for layer in kept[0]]
    lines += [
        "",
        f"Rearranging alone, without zeros, moves the scores of {exact['pictures']} pictures by at "
        f"most {exact['difference']:.1e}; the largest score is {exact['largest']:.1f}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Make the rows that are missing, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, metavar="DENSE.goss")
    parser.add_argument("--train", type=Path, default=SHARED / "cifar10-train.tar")
    parser.add_argument("--validation", type=Path, default=SHARED / "cifar10-validation.tar")
    parser.add_argument("--limit", type=int, default=256, help="pictures to calibrate with")
    options = parser.parse_args()
    if RESULTS.exists():
        results = json.loads(RESULTS.read_text())
    else:
        session = gossamer.InferenceSession(options.model)
        results = {
            "model": "the dense twin of cifar10-mobilenet",
            "limit": options.limit,
            "top1": gossamer.evaluate(session, options.validation).top1,
            "exactness": exactness(options.model, options),
            "rows": {},
        }
    for asked in (asked for choices in TABLES.values() for asked in choices.values()):
        key = key_of(asked)
        if key not in results["rows"]:
            results["rows"][key] = measure(options.model, asked, options)
            print(key, results["rows"][key], flush=True)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    RESULTS.with_suffix(".md").write_text(table(results), encoding="utf-8")


if __name__ == "__main__":
    main()
