"""Tables as text."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence


def aligned(rows: Iterable[Sequence[str]], right: Container[int] = ()) -> list[str]:
    """Set cells in columns, two spaces apart.

    Parameters
    ----------
    rows
        Of as many cells each.
    right
        Columns whose cells stand at the right.

    Returns
    -------
    list of str
        A line for each row.
    """
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
