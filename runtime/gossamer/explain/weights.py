"""Zeros of a layer's weights: how they lie, what they save, what they would save as blocks."""

from __future__ import annotations

import numpy as np

from ..convert import pack, prediction
from ..convert.break_even import break_even, with_zeros
from ..convert.cost_model import CostModel, StoredMatrix
from ..convert.goss_file import Storage
from ..convert.ir import Node
from ..convert.pack import PATTERNS, Use
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


def with_choice(node: Node, layer: LayerInfo, costs: CostModel) -> tuple[WeightsReport, float]:
    """Explain weights that can be stored in several ways.

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


def without_choice(node: Node) -> WeightsReport:
    """Explain weights that are always stored densely."""
    data = node.inputs[1].data
    zeros = float(np.mean(data == 0))
    return WeightsReport(data.shape, zeros, {}, None, "dense", 1, data.nbytes, {}, None, None, None)


def as_blocks(node: Node, zeros: float, pattern: str, costs: CostModel) -> float | None:
    """Predict a layer were its zeros in blocks of a pattern; None where it has too few rows."""
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
