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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import gossamer
from gossamer.convert import lower
from gossamer.convert.network import read_network, samples
from gossamer.prune import one_shot, rearrangement, saliency
from gossamer.prune.channels import ChannelMap
from gossamer.prune.pattern import Pattern, element_saliency
from gossamer.prune.sensitivity import without_softmax
from gossamer.prune.spaces import Layer, pose

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "tools" / "results" / "one_shot_choices.json"
SHARED = ROOT.parent / "shared" / "data"
HALF = {"sparsity": 0.5, "pattern": "4x1"}
UNIFORM = {"pattern": "4x1", "allocation": "uniform"}
ORDERS = {
    "in place": {"rearrange": False},
    "sorted by norm": {"order": "sort_by_norm"},
    "rearranged": {},
}
SHOWN = 0.5  # zeros with which layers are listed

# What is asked of `prune`, by what the tables call it.
SPREADS = {
    "uniform": HALF | {"allocation": "uniform"},
    "global": HALF | {"allocation": "global"},
    "global, by magnitude": HALF | {"allocation": "global", "saliency": "magnitude"},
    "global, by magnitude, not refitted": HALF
    | {"allocation": "global", "saliency": "magnitude", "reconstruct": False},
    "cost": HALF | {"allocation": "cost"},
    "cost, output taken to move alike": HALF | {"allocation": "cost", "alike": True},
    "speedup=2": {"speedup": 2},
    "speedup=2, output taken to move alike": {"speedup": 2, "alike": True},
    "uniform, as fast as that": UNIFORM | {"sparsity": 0.565},
}
SALIENCIES = {kind: HALF | {"allocation": "uniform", "saliency": kind} for kind in saliency.KINDS}
ARRANGEMENTS = {
    f"{sparsity:.0%}, {name}": UNIFORM | {"sparsity": sparsity} | order
    for sparsity in (0.3, 0.5, 0.8)
    for name, order in ORDERS.items()
}
TABLES = {"spread": SPREADS, "saliency": SALIENCIES, "order": ARRANGEMENTS}


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
    before = _scores(graph, inputs)
    channels = ChannelMap(graph)
    layers = [
        Layer(
            layer.name,
            *channels.axes(layer.value),
            element_saliency(saliency.magnitude(layer.before)),
            Pattern(4),
            0.5,
        )
        for layer in one_shot._prunable(graph, (), last=False)
    ]
    channels.reorder(rearrangement.rearrange(*pose(channels.spaces, layers)))
    after = _scores(graph, inputs)
    return {
        "pictures": len(inputs),
        "difference": float(np.abs(after - before).max()),
        "largest": float(np.abs(before).max()),
    }


def _scores(graph: one_shot.Graph, inputs: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
    session = gossamer.InferenceSession(lower.lower(graph, {}))
    return np.stack([session.run(None, dict(values))[0] for values in inputs])


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
        for choice in choices:
            row = rows[f"{name}: {choice}"]
            low, high = row["interval"]
            lines.append(
                f"| {choice} | {row['zeros']:.1%} | {row['faster']:.2f} | {row['kept']:.1%} "
                f"| {100 * row['difference']:+.2f} ({100 * low:+.2f} to {100 * high:+.2f}) "
                f"| {row['agreement']:.1%} |"
            )
    lines += ["", f"Saliency kept layer by layer, {SHOWN:.0%} zeros", ""]
    lines += [f"| layer | {' | '.join(ORDERS)} |", "|---|---|---|---|"]
    kept = [rows[f"order: {SHOWN:.0%}, {order}"]["layers"] for order in ORDERS]
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
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": {}}
    results |= {"model": "the dense twin of cifar10-mobilenet", "limit": options.limit}

    def make(place: dict[str, Any], key: str, made: Callable[[], Any]) -> None:
        if key not in place:
            place[key] = made()
            print(key, place[key], flush=True)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")

    session = gossamer.InferenceSession(options.model)
    make(results, "top1", lambda: gossamer.evaluate(session, options.validation).top1)
    make(results, "exactness", lambda: exactness(options.model, options))
    for name, choices in TABLES.items():
        for choice, asked in choices.items():
            row = lambda asked=asked: measure(options.model, asked, options)  # noqa: E731
            make(results["rows"], f"{name}: {choice}", row)
    RESULTS.with_suffix(".md").write_text(table(results), encoding="utf-8")


if __name__ == "__main__":
    main()
