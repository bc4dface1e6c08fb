"""Quantizing a trained network at once, without training it further."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..convert import cost_model, int8, int8_choice, lower, passes, write
from ..convert.cost_model import CostModel
from ..convert.ir import Graph, Node, Value
from ..convert.network import read_network, samples
from ..convert.quantization import Quantization
from ..errors import InputError
from ..prune.sensitivity import outputs_of, without_softmax
from . import bias, sensitivity
from .equalization import equalize
from .observation import Inputs, channel_ranges, histograms
from .ranges import CALIBRATIONS, choose
from .report import LayerReport, QuantizeReport

MOST_MEASURED = 16  # inputs with which each node's sensitivity is measured
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Options:
    """The arguments of `gossamer.quantize` that say how."""

    limit: int = 256
    calibration: str = "mse"
    percentile: float = 99.99
    keep_f32: tuple[str, ...] = ()
    equalize: bool = False
    correct_bias: bool = True
    sensitivity: bool = True

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise InputError(f"limit: at least 1 expected, found {self.limit!r}")
        if self.calibration not in CALIBRATIONS:
            raise InputError(
                f"calibration: {', '.join(CALIBRATIONS)} expected, found {self.calibration!r}"
            )
        if not 50 < self.percentile <= 100:
            raise InputError(
                f"percentile: above 50, at most 100 expected, found {self.percentile!r}"
            )


@dataclass(frozen=True)
class Calibrated:
    """A network in f32 and in int8.

    Attributes
    ----------
    real
        In f32, its activations nodes of their own, its channels equalized.
    parameters
        Of its tensors.
    chosen
        Its nodes that run in int8.
    whole
        In int8.
    notes
        What is special about it, a sentence each.
    """

    real: Graph
    parameters: Mapping[Value, Quantization]
    chosen: list[Node]
    whole: Graph
    notes: list[str]


def quiet(what: str, done: int, total: int) -> None:
    """Say nothing of the progress."""


def run(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str] | None,
    *,
    data: str | os.PathLike[str] | Iterable[Any],
    options: Options,
    pixels: str | None,
    target: str,
    costs: str | os.PathLike[str] | None,
    metadata: Mapping[str, str],
    progress: Progress,
) -> QuantizeReport:
    """Do what `gossamer.quantize` says."""
    table = cost_model.load(target, costs)
    graph, texts = read_network(src, metadata)
    if pixels is not None:
        passes.take_pixels(graph, *write.take_normalization(texts, pixels))
    for node in graph.nodes:
        for value in node.inputs:
            value.pattern = None  # the storage is chosen anew
    inputs = samples(graph, texts, data, options.limit)
    before = lower.lower(graph, texts, table)
    found = calibrate(graph, inputs, options, progress)
    content = lower.lower(found.whole, texts, table)
    if dst is not None:
        write.write_atomically(content, dst)
    return _report(found, inputs, options, table, (len(before), len(content)), progress)


def calibrate(graph: Graph, inputs: Inputs, options: Options, progress: Progress) -> Calibrated:
    """Bring a network to int8.

    Parameters
    ----------
    graph
        As `passes.optimize` leaves it. It changes.
    inputs
        What to calibrate with.
    options
        How.
    progress
        As `gossamer.quantize` takes it.

    Raises
    ------
    InputError
        Nothing can run in int8, or `keep_f32` names no node.
    """
    int8_choice.prepare(graph)
    chosen = _choose(graph, options.keep_f32)
    notes = []
    observed = _counted(progress, "observing ranges", inputs)
    ranges = channel_ranges(graph, _tensors(chosen), inputs, observed)
    if options.equalize and (pairs := equalize(graph, ranges)):
        notes.append(f"pairs of layers whose channels were equalized: {pairs}")
    counted = _counted(progress, "counting activations", inputs)
    parameters = {
        value: choose(histogram, options.calibration, options.percentile)
        for value, histogram in histograms(graph, ranges, inputs, counted).items()
    }
    whole = int8.quantize_graph(graph, parameters, chosen)
    if options.correct_bias:
        bias.correct(
            graph, whole, inputs, lambda done, total: progress("correcting biases", done, total)
        )
    return Calibrated(graph, parameters, chosen, whole, notes)


def _choose(graph: Graph, keep_f32: tuple[str, ...]) -> list[Node]:
    names = {node.name for node in graph.nodes}
    for name in keep_f32:
        if name not in names:
            raise InputError(
                f"keep_f32: '{name}' is no node of {graph.source}; these are: "
                f"{', '.join(sorted(names))}"
            )
    chosen = [node for node in int8_choice.candidates(graph) if node.name not in keep_f32]
    if not any(node.op in int8_choice.MATRICES for node in chosen):
        raise InputError(
            f"{graph.source}: nothing to quantize: of {len(graph.nodes)} nodes no convolution or "
            "fully connected layer can run in int8, but for those that are to stay f32"
        )
    return chosen


def _tensors(nodes: Iterable[Node]) -> list[Value]:
    """What nodes read and compute, each once.

    But pixels: they are normalised first, and that says what they become.
    """
    read = (v for node in nodes for v in node.inputs[node.op == "conv_pixels" :])
    written = (node.output for node in nodes)
    return list(dict.fromkeys(v for v in (*read, *written) if v.data is None))


def _counted(progress: Progress, what: str, inputs: Inputs) -> Callable[[int], None]:
    return lambda done: progress(what, done, len(inputs))


# ---- What is said -------------------------------------------------------------------------------


def _report(
    found: Calibrated,
    inputs: Inputs,
    options: Options,
    costs: CostModel,
    sizes: tuple[int, int],
    progress: Progress,
) -> QuantizeReport:
    real, whole = (without_softmax(graph) for graph in (found.real, found.whole))
    reference, outputs = (outputs_of(graph, inputs) for graph in (real, whole))
    alone: dict[str, float | None] = {}
    if options.sensitivity:
        measured = inputs[:: -(-len(inputs) // MOST_MEASURED)]
        alone = sensitivity.measure(
            real,
            found.parameters,
            [node for node in found.chosen if node.op not in int8_choice.MOVING],
            measured,
            lambda done, total: progress("measuring sensitivity", done, total),
        )
    share = f" {options.percentile:g}" if options.calibration == "percentile" else ""
    return QuantizeReport(
        layers=tuple(_layers(found, options.keep_f32, costs, alone)),
        calibration=f"{options.calibration}{share}, {len(inputs)} inputs",
        signal_to_noise=sensitivity.decibels(outputs, reference),
        agreement=float(np.mean(outputs.argmax(axis=1) == reference.argmax(axis=1))),
        file_bytes_before=sizes[0],
        file_bytes=sizes[1],
        notes=(*found.notes, *([costs.caveat] if costs.caveat else [])),
    )


def _layers(
    found: Calibrated,
    keep_f32: tuple[str, ...],
    costs: CostModel,
    alone: Mapping[str, float | None],
) -> Iterator[LayerReport]:
    in_whole = {node.name: node for node in found.whole.nodes}
    for node in found.real.nodes:
        now = in_whole[node.name]
        whole = now.output if now.output.dtype == "u7" else None
        weights = now.inputs[1] if now.op in int8_choice.MATRICES else None
        yield LayerReport(
            name=node.name,
            op=now.op,
            dtype="int8" if node in found.chosen else "f32",
            reason="" if node in found.chosen else _why_f32(node, keep_f32),
            shape=weights.shape if weights else (),
            zeros=float(np.mean(weights.data == 0)) if weights else None,
            storage=lower.storage_of(now, costs).reason if weights else "",
            scale=whole.scale if whole else None,
            zero_point=whole.zero_point if whole else None,
            signal_to_noise=alone.get(node.name),
        )


def _why_f32(node: Node, keep_f32: tuple[str, ...]) -> str:
    if node.name in keep_f32:
        return "was asked for"
    return int8_choice.why_f32(node) or "follows the last matrix: few numbers"
