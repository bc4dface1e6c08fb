"""From which share of zeros on sparse storage is faster than dense, by what `pack` chooses by."""

from __future__ import annotations

from . import pack
from .cost_model import Area, MatrixCost, StoredMatrix

STEPS = 12  # of the bisection: to 1 / 4096


def with_zeros(
    rows: int, columns: int, share: float, zero_rows: int, block_rows: int
) -> StoredMatrix:
    """Describe a sparse matrix whose zeros lie anywhere.

    Parameters
    ----------
    rows, columns
        Of the matrix.
    share
        Of its weights that are zero, 0 to 1.
    zero_rows
        Of the blocks that are zero at once, each as likely as any other.
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
    rows: int, columns: int, zero_rows: int, costs: MatrixCost, area: Area
) -> float | None:
    """Find the share of zeros from which on sparse storage is measurably faster.

    Parameters
    ----------
    rows, columns
        Of the matrix.
    zero_rows
        Of the blocks in which zeros lie.
    costs, area
        As `pack.choose_storage` compares them.

    Returns
    -------
    float or None
        0 to 1; None: it never is.
    """
    sizes = pack.block_sizes(rows)
    dense, _ = pack.cheapest(
        {size: costs.picoseconds(StoredMatrix(rows, columns, size), area) for size in sizes}
    )

    def pays(share: float) -> bool:
        sparse = {
            size: costs.picoseconds(with_zeros(rows, columns, share, zero_rows, size), area)
            for size in sizes
        }
        return pack.cheapest(sparse)[0] < dense * (1 - pack.NOISE)

    low, high = 0.0, 1.0
    if not pays(high):
        return None
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if pays(middle) else (middle, high)
    return high
