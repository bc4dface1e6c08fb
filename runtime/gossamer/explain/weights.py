"""Zeros of a layer's weights: how they lie, what they save, what they would save as blocks."""

from __future__ import annotations

import numpy as np

from ..convert import pack, prediction
from ..convert.cost_model import CostModel, StoredMatrix
from ..convert.goss_file import Storage
from ..convert.ir import Node
from ..convert.pack import PATTERNS, Use, break_even, with_zeros
from ..session import LayerInfo
from .report import Alternative, WeightsReport

FITS = 0.9  # share of the zeros in whole blocks of a pattern from which on they have it
WORTHWHILE = 1.05  # times as fast


def zeros_in_blocks(matrix: np.ndarray) -> dict[str, float]:
    """Give the share of a matrix's zeros that lie in whole blocks, by pattern.

    Parameters
    ----------
    matrix
        (rows, columns); the last ``rows % block_rows`` rows are blocks of one row.
    """
    zeros = int(np.count_nonzero(matrix == 0))
    shares = {}
    for pattern, rows in PATTERNS.items():
        if zeros and rows in pack.block_sizes(len(matrix)):
            whole, rest = pack.present_blocks(matrix, rows)
            shares[pattern] = float((~whole).sum() * rows + (~rest).sum()) / zeros
    return shares


def fitting(shares: dict[str, float]) -> str | None:
    """Give the largest pattern that zeros fit."""
    return max((p for p, share in shares.items() if share >= FITS), key=PATTERNS.get, default=None)


def is_compared(node: Node) -> bool:
    """Whether storages of a node's weights are compared here: those of f32 matrices are."""
    return pack.has_matrix(node) and node.inputs[1].dtype == "f32"


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
    compare = _compare_storages if is_compared(node) else _take_as_it_is
    return compare(node, layer, costs)


def _compare_storages(
    node: Node, layer: LayerInfo, costs: CostModel
) -> tuple[WeightsReport, float]:
    value = node.inputs[1]
    matrix = pack.as_matrix(value.data)
    stored = _stored(value.pattern, matrix, layer)
    shares = zeros_in_blocks(matrix)
    pattern = fitting(shares)
    zeros = float(np.mean(matrix == 0))
    seconds = prediction.node_seconds(node, costs, stored)
    converted = prediction.chosen_matrix(node, costs, pruned=value.data)
    report = WeightsReport(
        shape=value.shape,
        zeros=zeros,
        zeros_in_blocks=shares,
        pattern=pattern,
        storage="dense" if stored.blocks is None else "sparse",
        block_rows=stored.block_rows,
        stored_bytes=stored.bytes,
        break_even=_break_evens(node, matrix, costs),
        dense_seconds=prediction.node_seconds(node, costs, asked=pack.DENSE),
        alternative=_alternative(node, zeros, pattern, seconds, costs),
        converted_seconds=prediction.node_seconds(node, costs, converted),
    )
    return report, seconds


def _take_as_it_is(node: Node, layer: LayerInfo, costs: CostModel) -> tuple[WeightsReport, float]:
    value = node.inputs[1]
    dense = pack.has_matrix(node)
    report = WeightsReport(
        shape=value.shape,
        zeros=float(np.mean(value.data == 0)),
        zeros_in_blocks={},
        pattern=None,
        storage="dense" if layer.nonzeros == layer.weights else "sparse",
        block_rows=int((value.pattern or "1x1").partition("x")[0]),
        stored_bytes=layer.nonzeros * value.data.itemsize,
        break_even={},
        dense_seconds=prediction.node_seconds(node, costs, asked=pack.DENSE) if dense else None,
        alternative=None,
        converted_seconds=None,
    )
    return report, prediction.node_seconds(node, costs)


def as_blocks(node: Node, zeros: float, pattern: str, costs: CostModel) -> float | None:
    """Predict a layer were its zeros in blocks of a pattern; None where that cannot be."""
    if not is_compared(node):
        return None
    rows, columns = pack.as_matrix(node.inputs[1].data).shape
    size = PATTERNS[pattern]
    if size not in pack.block_sizes(rows):
        return None
    return prediction.node_seconds(node, costs, with_zeros(rows, columns, zeros, size, size))


def _stored(pattern: str, matrix: np.ndarray, layer: LayerInfo) -> StoredMatrix:
    dense = layer.nonzeros == layer.weights  # every block is there
    storage = Storage.DENSE if dense else Storage.SPARSE
    return pack.stored_matrix(matrix, PATTERNS[pattern], storage)


def _break_evens(node: Node, matrix: np.ndarray, costs: CostModel) -> dict[str, float | None]:
    connected = pack.use_of_input(node, 1) is Use.FULLY_CONNECTED
    of, area = costs.fully_connected if connected else costs.conv, prediction.area(node, costs)
    return {
        pattern: break_even(*matrix.shape, rows, of, area)
        for pattern, rows in PATTERNS.items()
        if rows in pack.block_sizes(len(matrix))
    }


def _alternative(
    node: Node, zeros: float, pattern: str | None, seconds: float, costs: CostModel
) -> Alternative | None:
    larger = [name for name, rows in PATTERNS.items() if pattern and rows > PATTERNS[pattern]]
    faster = {name: as_blocks(node, zeros, name, costs) for name in larger}
    known = {name: found for name, found in faster.items() if found is not None}
    if not known:
        return None
    limit = min(known.values()) * (1 + pack.NOISE)
    best = next(name for name in known if known[name] <= limit)  # smaller blocks lose less
    speedup = seconds / known[best]
    return Alternative(best, known[best], speedup) if speedup >= WORTHWHILE else None
