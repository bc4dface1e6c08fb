"""Weight matrices: which storage is cheapest for the zeros that are there, and the bytes of it.

Storage is described in sections 10 and 11 of ``runtime/FORMAT.md``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from .cost_model import PIXEL, Area, CostModel, MatrixCost, StoredMatrix
from .goss_file import PackedWeights, Storage, align, column_type
from .ir import Node

PATTERNS = {"1x1": 1, "2x1": 2, "4x1": 4, "8x1": 8}  # rows of a block
I8_PATTERNS = {"4x4": 4, "1x4": 1}  # the same, of i8 weights: rows x input channels
QUAD = 4  # of channels
DENSE = "dense"
INDEX_BYTES = 2  # of a block, as a rule
MOST_REMAINDER_BITS = 15
NOISE = 0.03  # a difference in measured costs that says nothing; larger blocks need fewer indices

HALVED_FROM = 1 << 10  # weights: the tables, biases and tests of fewer are not worth a conversion
MANY_PIXELS = 1 << 10
BREAK_EVEN_STEPS = 12  # of a bisection: to 1 / 4096


class Use(Enum):
    """What a weight tensor does; it decides which storage is allowed."""

    CONV = "conv"
    DEPTHWISE = "depthwise"
    FULLY_CONNECTED = "fully_connected"
    BIAS = "bias"  # or any other constant that an operator reads as it is
    TABLE = "table"


# fully_connected.c: so many rows are turned into planes, as the pixels of a convolution are.
MANY_ROWS = 8
WEIGHTED = ("conv", "conv_pixels", "fully_connected")


def use_of_input(node: Node, position: int) -> Use:
    """What a constant input of a node is for."""
    if node.op == "resize":
        return Use.TABLE
    if position >= 2 or node.op not in WEIGHTED:
        return Use.BIAS
    if node.op == "fully_connected":
        return Use.CONV if has_many_rows(node) else Use.FULLY_CONNECTED
    return Use.CONV if node.attributes["groups"] == 1 else Use.DEPTHWISE


def has_matrix(node: Node) -> bool:
    """Whether a node's weights can be stored in several ways."""
    return node.op in WEIGHTED and use_of_input(node, 1) is not Use.DEPTHWISE


def has_many_rows(node: Node) -> bool:
    """Whether a fully connected layer reads so many rows that they are turned into planes."""
    quantized = node.inputs[1].dtype == "i8"
    return node.op == "fully_connected" and not quantized and node.output.shape[0] >= MANY_ROWS


@dataclass(frozen=True)
class Choice:
    """A storage and the sentence that says why."""

    block_rows: int
    storage: Storage
    reason: str


def as_matrix(weights: np.ndarray) -> np.ndarray:
    """View weights ``(rows, ...)`` as the matrix ``(rows, columns)`` that is stored."""
    return weights.reshape(len(weights) if weights.ndim else 1, -1)


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


def stored_matrix(matrix: np.ndarray, block_rows: int, storage: Storage) -> StoredMatrix:
    """Describe a matrix in a storage."""
    if storage is Storage.DENSE:
        return StoredMatrix(*matrix.shape, block_rows)
    whole, rest = present_blocks(matrix, block_rows)
    return StoredMatrix(*matrix.shape, block_rows, int(whole.sum()), int(rest.sum()))


def _compare(
    zeros: float, sparse: tuple[float, int], dense: tuple[float, int], channels: int = 1
) -> Choice:
    """Choose between the cheapest ways, each a cost and the rows of a block."""
    blocks = f"{sparse[1]}x{channels}"
    what = f"{zeros:.1%} zeros, blocks of {blocks} cost {sparse[0] / dense[0]:.2f} of dense"
    if sparse[0] < dense[0]:
        return Choice(sparse[1], Storage.SPARSE, f"sparse: {what}")
    return Choice(dense[1], Storage.DENSE, f"dense: {what}")


def _cheapest_as(
    storage: Storage, matrix: np.ndarray, costs: MatrixCost, area: Area
) -> tuple[float, int]:
    return _cheapest(
        {
            rows: costs.picoseconds(stored_matrix(matrix, rows, storage), area)
            for rows in block_sizes(len(matrix))
            if storage is Storage.DENSE or _lacks_blocks(matrix, rows)
        }
    )


def _cheapest(costs: dict[int, float]) -> tuple[float, int]:
    """The cost and rows of the largest blocks that are not measurably worse than the best."""
    limit = min(costs.values()) * (1 + NOISE)
    rows = max(rows for rows, cost in costs.items() if cost <= limit)
    return costs[rows], rows


def block_sizes(matrix_rows: int) -> list[int]:
    """Give the rows of a block that a matrix can be stored in."""
    return [rows for rows in PATTERNS.values() if rows == 1 or rows <= matrix_rows]


def _lacks_blocks(matrix: np.ndarray, block_rows: int) -> bool:
    """Whether sparse storage would leave anything out."""
    whole, rest = present_blocks(matrix, block_rows)
    return not (whole.all() and rest.all())


def choose_storage(
    weights: np.ndarray,
    use: Use,
    costs: CostModel,
    asked: str | None = None,
    area: Area | None = None,
) -> Choice:
    """Choose the storage that runs fastest.

    Parameters
    ----------
    weights
        f32, shape ``(rows, ...)``; a zero is a weight that need not be stored.
    use
        Depthwise weights and biases are always dense, tables always sparse, in blocks of one row.
    costs
        Of the instruction set to choose for.
    asked
        One of `PATTERNS`, or `DENSE`: leaves no choice where `use` has one.
    area
        What a run multiplies the weights with, as `prediction.area` says; None = many pixels.
    """
    matrix = as_matrix(weights)
    zeros = float(np.mean(matrix == 0))
    if use in (Use.DEPTHWISE, Use.BIAS):
        return Choice(1, Storage.DENSE, f"dense: {use.value} weights always are")
    if use is Use.TABLE:
        return Choice(1, Storage.SPARSE, "sparse: tables always are")
    if use is Use.FULLY_CONNECTED:
        cost, area = costs.fully_connected, area or PIXEL
    else:
        cost, area = costs.conv, area or costs.area({MANY_PIXELS: 1})
    if asked in PATTERNS:
        whole, rest = present_blocks(matrix, PATTERNS[asked])
        storage = Storage.DENSE if whole.all() and rest.all() else Storage.SPARSE
        return Choice(PATTERNS[asked], storage, f"{storage.name.lower()}: {asked} was asked for")
    dense = _cheapest_as(Storage.DENSE, matrix, cost, area)
    if asked == DENSE:
        return Choice(dense[1], Storage.DENSE, "dense: was asked for")
    if zeros == 0:
        return Choice(dense[1], Storage.DENSE, "dense: no zeros")
    return _compare(zeros, _cheapest_as(Storage.SPARSE, matrix, cost, area), dense)


def with_zeros(
    rows: int, columns: int, share: float, zero_rows: float, block_rows: int
) -> StoredMatrix:
    """Describe a sparse matrix whose zeros lie anywhere.

    Parameters
    ----------
    rows, columns
        Of the matrix.
    share
        Of its weights that are zero, 0 to 1.
    zero_rows
        Of the blocks that are zero at once, each as likely as any other; a single i8 weight: 1/4.
    block_rows
        Of the blocks that are stored: one with a weight other than zero is.

    Returns
    -------
    StoredMatrix
        With the number of blocks that is to be expected.
    """
    whole, rest = divmod(rows, block_rows)
    missing = share ** max(1, block_rows / zero_rows)
    blocks, singles = whole * columns * (1 - missing), rest * columns * (1 - share)
    return StoredMatrix(rows, columns, block_rows, round(blocks), round(singles))


def break_even(
    rows: int, columns: int, zero_rows: float, costs: MatrixCost, area: Area
) -> float | None:
    """Find the share of zeros from which on sparse storage is measurably faster.

    Parameters
    ----------
    rows, columns
        Of the matrix.
    zero_rows
        Of the blocks in which zeros lie, as `with_zeros` takes them.
    costs, area
        As `choose_storage` compares them.

    Returns
    -------
    float or None
        0 to 1; None: it never is.
    """
    sizes = [size for size in block_sizes(rows) if size in costs.blocks]
    dense, _ = _cheapest(
        {size: costs.picoseconds(StoredMatrix(rows, columns, size), area) for size in sizes}
    )

    def pays(share: float) -> bool:
        sparse = {
            size: costs.picoseconds(with_zeros(rows, columns, share, zero_rows, size), area)
            for size in sizes
        }
        return _cheapest(sparse)[0] < dense * (1 - NOISE)

    low, high = 0.0, 1.0
    if not pays(high):
        return None
    for _ in range(BREAK_EVEN_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if pays(middle) else (middle, high)
    return high


def _pack_dense(whole: np.ndarray, rest: np.ndarray) -> bytes:
    """Whole blocks ``(block rows, block_rows, columns)``, then the remaining rows."""
    return whole.transpose(0, 2, 1).tobytes() + rest.tobytes()


def _index(present: np.ndarray) -> bytes:
    """Counts and columns of the blocks that are present, up to where values begin."""
    columns = np.nonzero(present)[1]
    counts = present.sum(axis=1).astype("<u4")
    index = counts.tobytes() + columns.astype(column_type(present.shape[1])).tobytes()
    return index + bytes(align(len(index)) - len(index))


def _pack_sparse(whole: np.ndarray, rest: np.ndarray) -> tuple[int, bytes]:
    """Counts, columns and values of the blocks that are present; and how many there are."""
    present = np.concatenate([(whole != 0).any(axis=1), rest != 0])
    blocks = whole.transpose(0, 2, 1)[present[: len(whole)]]
    return int(present.sum()), _index(present) + blocks.tobytes() + rest[rest != 0].tobytes()


def round_to_half(weights: np.ndarray) -> np.ndarray | None:
    """Round f32 weights ``(rows, ...)`` to what f16 holds.

    Returns
    -------
    ndarray of float32 or None
        None where that loses more than the last bits: a weight is too large, or all of a row are
        so small that f16 has fewer bits for them.
    """
    largest = np.abs(as_matrix(weights)).max(axis=1)
    smallest = np.finfo(np.float16).smallest_normal
    if largest.max() > np.finfo(np.float16).max or ((largest > 0) & (largest < smallest)).any():
        return None
    return weights.astype(np.float16).astype(np.float32)


def fits_half(weights: np.ndarray) -> bool:
    """Whether f16 holds weights as they are, and they are enough for that to matter."""
    with np.errstate(over="ignore"):
        return weights.size >= HALVED_FROM and np.array_equal(weights, weights.astype(np.float16))


def pack_weights(
    weights: np.ndarray, block_rows: int, storage: Storage, dtype: str = "f32"
) -> PackedWeights:
    """Write a weight tensor in the bytes of section 10.

    Parameters
    ----------
    weights
        Finite, shape ``(rows, ...)``.
    block_rows
        1, 2, 4 or 8 consecutive rows that are stored together; ``rows % block_rows`` remaining
        rows are stored one by one.
    storage
        Sparse leaves out the blocks whose weights are all zero.
    dtype
        "f32", or "f16" for weights that `fits_half`.

    Returns
    -------
    PackedWeights
        Ready for `goss_file.Tensor`.
    """
    matrix = as_matrix(np.ascontiguousarray(weights, dtype="<f2" if dtype == "f16" else "<f4"))
    rows = len(matrix) // block_rows * block_rows
    whole = matrix[:rows].reshape(-1, block_rows, matrix.shape[1])
    if storage is Storage.DENSE:
        return PackedWeights(block_rows, storage, 0, _pack_dense(whole, matrix[rows:]))
    blocks, data = _pack_sparse(whole, matrix[rows:])
    return PackedWeights(block_rows, storage, blocks, data)


def _pad(array: np.ndarray, axis: int) -> np.ndarray:
    """Zeros up to a whole number of quads along an axis."""
    missing = [(0, 0)] * array.ndim
    missing[axis] = (0, -array.shape[axis] % QUAD)
    return np.pad(array, missing)


def i8_blocks(weights: np.ndarray, block_rows: int) -> np.ndarray:
    """Arrange weights ``(M, C)`` or ``(M, C, kh, kw)`` as section 11 does.

    Returns
    -------
    ndarray of int8
        ``(block rows, columns, block_rows, 4)``; a column is a quad of channels at one position.
    """
    padded = _pad(_pad(weights.reshape(*weights.shape[:2], -1), 0), 1)
    rows, channels, positions = padded.shape
    quads = padded.reshape(rows, channels // QUAD, QUAD, positions).swapaxes(2, 3)
    return quads.reshape(rows // block_rows, block_rows, -1, QUAD).swapaxes(1, 2)


def stored_i8_matrix(weights: np.ndarray, block_rows: int, storage: Storage) -> StoredMatrix:
    """Describe a matrix of i8 weights in a storage: a quad counts as a weight."""
    present = i8_blocks(weights, block_rows).any(axis=(2, 3))
    rows, columns = len(present) * block_rows, present.shape[1]
    if storage is Storage.DENSE:
        return StoredMatrix(rows, columns, block_rows)
    return StoredMatrix(rows, columns, block_rows, int(present.sum()), 0)


def choose_i8_storage(
    weights: np.ndarray,
    use: Use,
    costs: CostModel,
    asked: str | None = None,
    area: Area | None = None,
) -> Choice:
    """Choose the storage of i8 weights that runs fastest.

    Parameters
    ----------
    weights
        int8, shape ``(M, C)`` or ``(M, C, kh, kw)``; a zero is a weight that need not be stored.
    use, costs, area
        As `choose_storage` takes them.
    asked
        One of `I8_PATTERNS`, or `DENSE`; None takes the cheapest.
    """
    if use is Use.DEPTHWISE:
        return Choice(1, Storage.DEPTHWISE, "dense: depthwise weights always are")
    if use is Use.FULLY_CONNECTED:
        cost, area = costs.of_i8("fully_connected"), area or PIXEL
    else:
        cost, area = costs.of_i8("conv"), area or costs.area({MANY_PIXELS: 1})
    if asked in I8_PATTERNS:
        rows = I8_PATTERNS[asked]
        whole = i8_blocks(weights, rows).any(axis=(2, 3)).all()
        storage = Storage.DENSE if whole else Storage.SPARSE
        return Choice(rows, storage, f"{storage.name.lower()}: {asked} was asked for")
    present = {rows: i8_blocks(weights, rows).any(axis=(2, 3)) for rows in I8_PATTERNS.values()}

    def cheapest_as(storage: Storage, sizes: Iterable[int]) -> tuple[float, int]:
        stored = {rows: stored_i8_matrix(weights, rows, storage) for rows in sizes}
        return _cheapest({rows: cost.picoseconds(m, area) for rows, m in stored.items()})

    dense = cheapest_as(Storage.DENSE, present)
    lacking = [rows for rows, blocks in present.items() if not blocks.all()]
    if asked == DENSE or not lacking:
        why = "was asked for" if asked == DENSE else "no zeros that fill a quad"
        return Choice(dense[1], Storage.DENSE, f"dense: {why}")
    return _compare(float(np.mean(weights == 0)), cheapest_as(Storage.SPARSE, lacking), dense, QUAD)


def i8_storage_in_file(weights: np.ndarray, block_rows: int, storage: Storage) -> Storage:
    """Take runs instead of sparse storage where less than half of its bytes would be weights."""
    if storage is not Storage.SPARSE:
        return storage
    blocks = int(i8_blocks(weights, block_rows).any(axis=(2, 3)).sum())
    bytes_of_blocks = blocks * (INDEX_BYTES + block_rows * QUAD)
    return Storage.RUNS if 2 * np.count_nonzero(weights) < bytes_of_blocks else storage


def _runs(values: np.ndarray) -> bytes:
    """Weights other than zero, and how many zeros lie before each of them."""
    places = np.flatnonzero(values)
    zeros = np.diff(places, prepend=-1) - 1
    bits = min(
        range(MOST_REMAINDER_BITS + 1), key=lambda k: int((zeros >> k).sum()) + k * len(zeros)
    )
    head = np.array([len(places), bits], "<u4").tobytes() + values[places].tobytes()
    remainders = zeros[:, np.newaxis] >> np.arange(bits) & 1
    ends = np.cumsum((zeros >> bits) + 1)
    quotients = np.zeros(ends[-1] if len(ends) else 0, np.uint8)
    quotients[ends - 1] = 1
    streams = (
        np.packbits(part.astype(np.uint8), bitorder="little") for part in (remainders, quotients)
    )
    return head + b"".join(stream.tobytes() for stream in streams)


def pack_i8_weights(
    weights: np.ndarray, scales: np.ndarray, block_rows: int, storage: Storage
) -> PackedWeights:
    """Write quantized weights in the bytes of section 11.

    Parameters
    ----------
    weights
        int8 from -127 to 127, shape ``(M, C)`` or ``(M, C, kh, kw)``.
    scales
        f32, finite and above 0, shape ``(M,)``.
    block_rows
        4 or 1 rows of 4 channels that are stored together.
    storage
        Sparse leaves out the blocks whose weights are all zero; runs leave out every zero, and
        become the same blocks when the engine loads them.
    """
    head = np.asarray(scales, "<f4").tobytes()
    head += bytes(align(len(head)) - len(head))
    if storage is Storage.DEPTHWISE:
        taps = _pad(weights.reshape(len(weights), -1).T, 1)
        return PackedWeights(1, storage, 0, head + taps.tobytes())
    blocks = i8_blocks(weights, block_rows)
    if storage is Storage.DENSE:
        return PackedWeights(block_rows, storage, 0, head + blocks.tobytes())
    present = blocks.any(axis=(2, 3))
    if storage is Storage.RUNS:
        data = _runs(blocks.ravel())
    else:
        data = _index(present) + blocks[present].tobytes()
    return PackedWeights(block_rows, storage, int(present.sum()), head + data)
