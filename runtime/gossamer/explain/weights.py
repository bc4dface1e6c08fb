"""Zeros of a layer's weights: how they lie, what they save, what they would save as blocks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..convert import pack, prediction
from ..convert.cost_model import CostModel
from ..convert.goss_file import Storage
from ..convert.ir import Node
from ..convert.pack import QUAD, with_zeros
from ..session import LayerInfo
from . import blocks
from .report import Alternative, WeightsReport

FITS = 0.9  # share of the zeros in whole blocks of a pattern from which on they have it
WORTHWHILE = 1.05  # times as fast


def fitting(shares: Mapping[str, float]) -> str | None:
    """Give the largest pattern that zeros fit, of `blocks.zeros_in_blocks`; None without zeros."""
    return max((p for p, share in shares.items() if share >= FITS), key=_size, default=None)


def _size(pattern: str) -> int:
    rows, columns = map(int, pattern.split("x"))
    return rows * columns


def explain(node: Node, layer: LayerInfo, costs: CostModel) -> tuple[WeightsReport, float]:
    """Explain a layer's weights.

    Parameters
    ----------
    node
        Of a graph that was read from a file.
    layer
        Of a session of that file.
    costs
        Of the target.

    Returns
    -------
    tuple
        The report, and the layer's predicted seconds.
    """
    compare = _compare_storages if pack.has_matrix(node) else _take_as_it_is
    return compare(node, layer, costs)


def _compare_storages(
    node: Node, layer: LayerInfo, costs: CostModel
) -> tuple[WeightsReport, float]:
    value = node.inputs[1]
    dense = layer.nonzeros == layer.weights  # every block is there
    stored = blocks.stored(value, Storage.DENSE if dense else Storage.SPARSE)
    shares = blocks.zeros_in_blocks(value)
    pattern = fitting(shares)
    zeros = float(np.mean(value.data == 0))
    seconds = prediction.node_seconds(node, costs, stored)
    chosen = prediction.chosen_matrix(node, costs, pruned=value.data)
    converted = prediction.node_seconds(node, costs, chosen)
    report = WeightsReport(
        shape=value.shape,
        dtype=value.dtype,
        zeros=zeros,
        zeros_in_blocks=shares,
        pattern=pattern,
        storage="dense" if dense else "sparse",
        block_rows=stored.block_rows,
        block_columns=QUAD if value.dtype == "i8" else 1,
        stored_bytes=stored.bytes,
        break_even=blocks.break_evens(node, costs),
        dense_seconds=prediction.node_seconds(node, costs, asked=pack.DENSE),
        alternative=_alternative(node, zeros, pattern, (seconds, converted), costs),
        converted_seconds=converted,
    )
    return report, seconds


def _take_as_it_is(node: Node, layer: LayerInfo, costs: CostModel) -> tuple[WeightsReport, float]:
    """Explain depthwise weights, which have one storage."""
    value = node.inputs[1]
    report = WeightsReport(
        shape=value.shape,
        dtype=value.dtype,
        zeros=float(np.mean(value.data == 0)),
        zeros_in_blocks={},
        pattern=None,
        storage="dense",
        block_rows=1,
        block_columns=1,
        stored_bytes=layer.nonzeros * value.data.itemsize,
        break_even={},
        dense_seconds=None,
        alternative=None,
        converted_seconds=None,
    )
    return report, prediction.node_seconds(node, costs)


def as_blocks(node: Node, zeros: float, pattern: str, costs: CostModel) -> float | None:
    """Predict a layer were its zeros in blocks of a pattern; None where that cannot be.

    In f32, blocks of several columns are stored as such of one.
    """
    value = node.inputs[1]
    rows, columns = blocks.matrix_size(value)
    size = int(pattern.partition("x")[0])
    if size not in blocks.patterns(value).values():
        return None
    return prediction.node_seconds(node, costs, with_zeros(rows, columns, zeros, size, size))


def _alternative(
    node: Node, zeros: float, pattern: str | None, seconds: tuple[float, float], costs: CostModel
) -> Alternative | None:
    """Look for blocks in which zeros save more; `seconds`: as it is, and as converted anew."""
    larger = [
        name for name in blocks.patterns(node.inputs[1]) if pattern and _size(name) > _size(pattern)
    ]
    faster = {name: as_blocks(node, zeros, name, costs) for name in larger}
    known = {name: found for name, found in faster.items() if found is not None}
    if not known:
        return None
    limit = min(known.values()) * (1 + pack.NOISE)
    best = next(name for name in known if known[name] <= limit)  # smaller blocks lose less
    if min(seconds) / known[best] < WORTHWHILE:
        return None
    return Alternative(best, known[best], seconds[0] / known[best])
