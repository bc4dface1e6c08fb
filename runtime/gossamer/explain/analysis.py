"""From a model to what became of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..benchmarking import benchmark
from ..convert import pack, prediction
from ..convert.cost_model import CostModel
from ..convert.ir import Node, SourceNode
from ..errors import InputError
from ..session import InferenceSession, LayerInfo, SessionOptions
from . import blocks, subject, weights
from .reasons import why
from .report import Explanation, LayerReport, Measurement
from .target import find_target
from .verdict import FEW, Times, judge

if TYPE_CHECKING:
    import onnx
    import torch

RUNS = 20
# What only puts numbers elsewhere.
MOVES = {"concat", "slice", "shuffle", "reshape", "flatten", "transpose", "take"}


@dataclass(frozen=True)
class _Layer:
    """A node, and what is known of it."""

    node: Node
    report: LayerReport

    @property
    def seconds(self) -> float:
        return self.report.predicted_seconds or 0.0

    @property
    def zeros(self) -> float:
        return self.report.weights.zeros

    @property
    def has_choice(self) -> bool:
        return self.report.weights is not None and self.report.weights.dense_seconds is not None


def run(
    model: str | os.PathLike[str] | bytes | onnx.ModelProto | torch.nn.Module,
    *,
    target: str,
    costs: str | os.PathLike[str] | None,
    measure: bool | None,
    threads: int,
    batch: int,
    dims: Mapping[str, int] | None,
    example_inputs: torch.Tensor | Sequence[torch.Tensor] | None,
) -> Explanation:
    """Do what `gossamer.explain` says."""
    table, isa, notes = find_target(target, costs)
    if measure and isa is None:
        raise InputError(
            f"measure: target {target!r} is no instruction set of this machine; explain it without "
            "measuring, or measure in a browser with the page web/bench"
        )
    options = SessionOptions(threads=threads, isa=isa)
    found = subject.read(model, table, options, batch, dims, example_inputs)
    layers = [
        _layer(node, layer, source, table)
        for node, layer, source in zip(
            found.graph.nodes, found.session.layers(), found.sources, strict=True
        )
    ]
    run_seconds = prediction.run_seconds(found.graph, table)
    times = _times(layers, run_seconds, table)
    count, zeros = _zeros(layers)
    _, pruned = _zeros([layer for layer in layers if layer.has_choice and layer.zeros >= FEW])
    reports = _with_shares([layer.report for layer in layers])
    measured = None
    if measure or (measure is None and isa):
        measured, reports = _measure(found.session, reports)
    return Explanation(
        model=found.name,
        target=table.target,
        costs=table.origin,
        caveat=table.caveat,
        verdict=judge(zeros, pruned, times, table.target),
        predicted_seconds=times.now,
        dense_seconds=times.dense,
        run_seconds=run_seconds,
        measured=measured,
        weights=count,
        zeros=zeros,
        pruned_zeros=pruned,
        layers=tuple(reports),
        folded=found.folded,
        notes=(*notes, *_notes(reports, found, table)),
    )


def _layer(
    node: Node, layer: LayerInfo, source: tuple[SourceNode, ...], costs: CostModel
) -> _Layer:
    seconds, of = None, None
    if pack.has_matrix(node) or node.op == "conv":
        of, seconds = weights.explain(node, layer, costs)
    elif prediction.has_cost(node):
        seconds = prediction.node_seconds(node, costs)
    report = LayerReport(
        name=node.name,
        op=node.op,
        shape=tuple(layer.shape),
        kernel=layer.kernel,
        weights=of,
        source=source,
        moves_data=node.op in MOVES,
        predicted_seconds=seconds,
        share=0.0,
        measured_seconds=None,
        why=why(of, seconds, layer.reason),
    )
    return _Layer(node, report)


def _times(layers: Sequence[_Layer], run_seconds: float, costs: CostModel) -> Times:
    """Predict a run as it is, and as it might be."""
    choices = [layer for layer in layers if layer.has_choice]
    others = run_seconds + sum(layer.seconds for layer in layers if not layer.has_choice)

    def total(seconds: Iterable[float | None]) -> float:
        """With other times of the layers that have a choice; None: as it is."""
        pairs = zip(choices, seconds, strict=True)
        return others + sum(layer.seconds if new is None else new for layer, new in pairs)

    def as_blocks(pattern: str) -> float:
        """With every layer's zeros in blocks, where that is faster."""
        found = (weights.as_blocks(layer.node, layer.zeros, pattern, costs) for layer in choices)
        return total(
            new if new is not None and new < layer.seconds else None
            for layer, new in zip(choices, found, strict=True)
        )

    i8 = any(layer.report.weights.dtype == "i8" for layer in choices)
    dtype, patterns = ("i8", pack.I8_PATTERNS) if i8 else ("f32", pack.PATTERNS)
    inner = {id(layer) for layer in choices[1:-1]}
    halved = (
        weights.as_blocks(layer.node, 0.5, blocks.PRUNED[dtype], costs)
        if id(layer) in inner
        else None
        for layer in choices
    )
    return Times(
        now=total(layer.seconds for layer in choices),
        dense=total(layer.report.weights.dense_seconds for layer in choices),
        converted=total(layer.report.weights.converted_seconds for layer in choices),
        as_blocks={name: as_blocks(name) for name in patterns if name != blocks.ANYWHERE},
        halved=total(halved),
        dtype=dtype,
    )


def _zeros(layers: Sequence[_Layer]) -> tuple[int, float]:
    """Number of weights, and share of them that is zero; those that layers share count once."""
    once = {layer.node.inputs[1]: layer.zeros for layer in layers if layer.has_choice}
    count = sum(value.data.size for value in once)
    zeros = sum(value.data.size * share for value, share in once.items())
    return count, zeros / count if count else 0.0


def _with_shares(reports: Sequence[LayerReport]) -> list[LayerReport]:
    total = sum(report.predicted_seconds or 0.0 for report in reports)
    return [
        replace(report, share=(report.predicted_seconds or 0.0) / total) if total else report
        for report in reports
    ]


def _measure(
    session: InferenceSession, reports: Sequence[LayerReport]
) -> tuple[Measurement, list[LayerReport]]:
    found = benchmark(session, RUNS)
    timed = [
        replace(report, measured_seconds=layer.seconds)
        for report, layer in zip(reports, found.layers, strict=True)
    ]
    return Measurement(found.median_seconds, RUNS, found.isa, found.threads), timed


def _notes(reports: Sequence[LayerReport], found: subject.Subject, costs: CostModel) -> list[str]:
    notes = list(found.session.notes)
    if not costs.i8_conv and any(r.weights and r.weights.dtype == "i8" for r in reports):
        notes.append(
            f"what int8 costs is not measured on {costs.target}: a block of 4 input channels is "
            "taken to cost what one of a single channel does in f32"
        )
    if unknown := sorted({r.op for r in reports if r.predicted_seconds is None}):
        notes.append(f"nothing is known of what {', '.join(unknown)} costs: left out of all sums")
    if not found.is_converted:
        notes.append(
            "a .goss file does not say what was fused or folded: explain the model that it comes "
            "from to see that"
        )
    return notes
