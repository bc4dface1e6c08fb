"""A layer's weights as blocks: in f32 of numbers, in int8 of quads, 4 input channels each."""

from __future__ import annotations

import numpy as np

from ..convert import pack, prediction
from ..convert.cost_model import CostModel, MatrixCost, StoredMatrix
from ..convert.goss_file import Storage
from ..convert.ir import Node, Value
from ..convert.pack import I8_PATTERNS, PATTERNS, QUAD, Use

ANYWHERE = "1x1"  # the pattern of zeros that lie anywhere
PRUNED = {"f32": "4x1", "i8": "4x4"}  # what to prune with for weights of a dtype, to begin with


def is_i8(value: Value) -> bool:
    """Whether weights are quantized."""
    return value.dtype == "i8"


def patterns(value: Value) -> dict[str, int]:
    """Give the patterns that weights can be stored in, smaller blocks first: rows of a block."""
    if is_i8(value):
        return dict(sorted(I8_PATTERNS.items(), key=lambda item: item[1]))
    sizes = pack.block_sizes(value.shape[0])
    return {name: rows for name, rows in PATTERNS.items() if rows in sizes}


def matrix_size(value: Value) -> tuple[int, int]:
    """Give rows and columns of the matrix that is stored: a quad counts as a column."""
    if is_i8(value):
        return pack.i8_blocks(value.data, 1).shape[:2]
    return pack.as_matrix(value.data).shape


def stored(value: Value, storage: Storage) -> StoredMatrix:
    """Describe weights in a storage, in the blocks that they have in their file."""
    if is_i8(value):
        return pack.stored_i8_matrix(value.data, I8_PATTERNS[value.pattern], storage)
    return pack.stored_matrix(pack.as_matrix(value.data), PATTERNS[value.pattern], storage)


def matrix_cost(node: Node, costs: CostModel) -> MatrixCost:
    """Give the costs by which the storage of a node's weights is chosen."""
    connected = pack.use_of_input(node, 1) is Use.FULLY_CONNECTED
    kind = "fully_connected" if connected else "conv"
    return costs.of_i8(kind) if is_i8(node.inputs[1]) else getattr(costs, kind)


def zeros_in_blocks(value: Value) -> dict[str, float]:
    """Give the share of the zeros that lie in whole blocks, by pattern; empty without zeros.

    In f32 the last ``rows % block_rows`` rows are blocks of one row; in int8 what fills the last
    quads and blocks is no weight, and does not count.
    """
    zeros = int(np.count_nonzero(value.data == 0))
    if not zeros:
        return {}
    count = _in_i8_blocks if is_i8(value) else _in_f32_blocks
    inside = {name: count(value.data, rows) / zeros for name, rows in patterns(value).items()}
    return {ANYWHERE: 1.0} | inside


def _in_f32_blocks(weights: np.ndarray, rows: int) -> int:
    whole, rest = pack.present_blocks(pack.as_matrix(weights), rows)
    return int((~whole).sum()) * rows + int((~rest).sum())


def _in_i8_blocks(weights: np.ndarray, rows: int) -> int:
    present = pack.i8_blocks(weights, rows).any(axis=(2, 3))
    weights_of = pack.i8_blocks(np.ones_like(weights), rows)
    return int(weights_of[~present].sum(dtype=np.int64))


def zero_rows(value: Value, pattern: str) -> float:
    """Give the rows of the blocks in which zeros lie, as `pack.with_zeros` takes them."""
    return 1 / QUAD if is_i8(value) and pattern == ANYWHERE else int(pattern.partition("x")[0])


def break_evens(node: Node, costs: CostModel) -> dict[str, float | None]:
    """Find the share of zeros from which on sparse storage is faster, by the zeros' pattern."""
    value, of, area = node.inputs[1], matrix_cost(node, costs), prediction.area(node, costs)
    return {
        pattern: pack.break_even(*matrix_size(value), zero_rows(value, pattern), of, area)
        for pattern in {ANYWHERE: 1} | patterns(value)
    }
