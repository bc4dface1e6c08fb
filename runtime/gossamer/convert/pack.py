"""Weight matrices: which storage is cheapest for the zeros that are there, and the bytes of it.

Storage is described in section 9 of ``runtime/FORMAT.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from .goss_file import PackedWeights, Storage, align

DENSE_CONV_BLOCK_ROWS = 4

# Time per stored weight, relative to a dense convolution in blocks of 4. MobileNet-v1's pointwise
# layers in a browser, one thread, took 26.7 ms dense. With 50, 70 and 90 % zeros: 14.5, 8.1 and
# 3.2 ms in blocks of 4x1; 13.7, 8.2 and 3.0 ms in 2x1; single weights 19, 10.9 and 3.8 ms. The
# generic kernels on x86-64 (128 to 1024 channels): 4x1 1.05, 2x1 1.15, 1x1 1.4. 8x1 is not chosen:
# with 16 vector registers it takes 1.2 times as long as 4x1, which can store whatever 8x1 can.
SPARSE_CONV_COST = {4: 1.1, 2: 1.15, 1: 1.4}
# A single weight of a fully connected layer is gathered; dense ones go four to a vector.
SPARSE_FULLY_CONNECTED_COST = 4.0


class Use(Enum):
    """What a weight tensor does; it decides which storage is allowed."""

    CONV = "conv"
    DEPTHWISE = "depthwise"
    FULLY_CONNECTED = "fully_connected"
    BIAS = "bias"


@dataclass(frozen=True)
class Choice:
    """A storage and the sentence that says why."""

    block_rows: int
    storage: Storage
    reason: str


def as_matrix(weights: np.ndarray) -> np.ndarray:
    """View weights ``(rows, ...)`` as the matrix ``(rows, columns)`` that is stored."""
    return weights.reshape(weights.shape[0], -1)


def present_blocks(matrix: np.ndarray, block_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the blocks that hold a weight other than zero.

    Returns
    -------
    tuple of ndarray of bool
        ``(rows // block_rows, columns)`` for whole blocks and ``(rows % block_rows, columns)`` for
        the remaining rows.
    """
    whole = matrix.shape[0] // block_rows * block_rows
    blocks = matrix[:whole].reshape(-1, block_rows, matrix.shape[1])
    return (blocks != 0).any(axis=1), matrix[whole:] != 0


def _sparse_conv_cost(matrix: np.ndarray, block_rows: int) -> float:
    """Relative time of a sparse convolution: 1 would be a dense one."""
    whole, rest = present_blocks(matrix, block_rows)
    whole_time = whole.sum() * block_rows * SPARSE_CONV_COST[block_rows]
    return float(whole_time + rest.sum() * SPARSE_CONV_COST[1]) / matrix.size


def _compare(zeros: float, sparse_cost: float, sparse_rows: int, dense_rows: int) -> Choice:
    what = f"{zeros:.1%} zeros, blocks of {sparse_rows}x1 cost {sparse_cost:.2f} of dense"
    if sparse_cost < 1:
        return Choice(sparse_rows, Storage.SPARSE, f"sparse: {what}")
    return Choice(dense_rows, Storage.DENSE, f"dense: {what}")


def choose_storage(weights: np.ndarray, use: Use, block_rows: int | None = None) -> Choice:
    """Choose the storage that runs fastest.

    Parameters
    ----------
    weights
        f32, shape ``(rows, ...)``; a zero is a weight that need not be stored.
    use
        Depthwise weights and biases are always dense, in blocks of one row; fully connected
        weights have blocks of one row.
    block_rows
        Asks for blocks of so many rows of a convolution's weights; None takes the cheapest.

    Returns
    -------
    Choice
        On equal cost the larger block, which has fewer indices.
    """
    matrix = as_matrix(weights)
    zeros = float(np.mean(matrix == 0))
    if use in (Use.DEPTHWISE, Use.BIAS):
        return Choice(1, Storage.DENSE, f"dense: {use.value} weights always are")
    if use is Use.FULLY_CONNECTED:
        return _compare(zeros, (1 - zeros) * SPARSE_FULLY_CONNECTED_COST, 1, 1)
    if block_rows:
        whole, rest = present_blocks(matrix, block_rows)
        storage = Storage.DENSE if whole.all() and rest.all() else Storage.SPARSE
        return Choice(block_rows, storage, f"{storage.name.lower()}: {block_rows}x1 was asked for")
    costs = {
        rows: _sparse_conv_cost(matrix, rows) for rows in SPARSE_CONV_COST if rows <= len(matrix)
    }
    cheapest = min(costs, key=costs.__getitem__)
    dense_rows = DENSE_CONV_BLOCK_ROWS if len(matrix) >= DENSE_CONV_BLOCK_ROWS else 1
    return _compare(zeros, costs[cheapest], cheapest, dense_rows)


def _pack_dense(whole: np.ndarray, rest: np.ndarray) -> bytes:
    """Whole blocks ``(block rows, block_rows, columns)``, then the remaining rows."""
    return whole.transpose(0, 2, 1).tobytes() + rest.tobytes()


def _pack_sparse(whole: np.ndarray, rest: np.ndarray) -> tuple[int, bytes]:
    """Counts, columns and values of the blocks that are present; and how many there are."""
    present = np.concatenate([(whole != 0).any(axis=1), rest != 0])
    columns = np.nonzero(present)[1]
    counts = present.sum(axis=1).astype("<u4")
    column_type = "<u2" if present.shape[1] <= 65536 else "<u4"
    index = counts.tobytes() + columns.astype(column_type).tobytes()
    gap = bytes(align(len(index)) - len(index))
    blocks = whole.transpose(0, 2, 1)[present[: len(whole)]]
    return len(columns), index + gap + blocks.tobytes() + rest[rest != 0].tobytes()


def pack_weights(weights: np.ndarray, block_rows: int, storage: Storage) -> PackedWeights:
    """Write a weight tensor in the bytes of section 9.

    Parameters
    ----------
    weights
        Finite, shape ``(rows, ...)``; stored as f32.
    block_rows
        1, 2, 4 or 8 consecutive rows that are stored together; ``rows % block_rows`` remaining
        rows are stored one by one.
    storage
        Sparse leaves out the blocks whose weights are all zero.

    Returns
    -------
    PackedWeights
        Ready for `goss_file.Tensor`.
    """
    matrix = as_matrix(np.ascontiguousarray(weights, dtype="<f4"))
    rows = len(matrix) // block_rows * block_rows
    whole = matrix[:rows].reshape(-1, block_rows, matrix.shape[1])
    if storage is Storage.DENSE:
        return PackedWeights(block_rows, storage, 0, _pack_dense(whole, matrix[rows:]))
    blocks, data = _pack_sparse(whole, matrix[rows:])
    return PackedWeights(block_rows, storage, blocks, data)
