"""What the ways to store a layer's weights cost to run.

The converter chooses by these costs, and nothing else in Gossamer knows them. They are measured,
for each instruction set, by `calibration`; the tables that ship are ``costs.json``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from .write import write_atomically

SHIPPED = Path(__file__).with_name("costs.json")
DEFAULT_TARGET = "wasm_relaxed"
KINDS = ("conv", "fully_connected")  # of layers whose weights can be stored in several ways


@dataclass(frozen=True)
class BlockCost:
    """A matrix in blocks of some rows, one thread, in picoseconds for each vector it multiplies.

    Attributes
    ----------
    weight
        Each weight, where every block is present.
    block
        Each block that is present, where some are missing.
    row
        Each row of blocks, where some are missing: what it takes besides its blocks.
    """

    weight: float
    block: float
    row: float


@dataclass(frozen=True)
class MatrixCost:
    """What a kind of layer costs, by the rows of its blocks.

    Attributes
    ----------
    blocks
        Costs of blocks of 1, 2, 4 and 8 rows.
    """

    blocks: Mapping[int, BlockCost]

    def dense(self, rows: int, columns: int, block_rows: int) -> float:
        """Cost of a matrix with every block present."""
        rest = rows % block_rows
        whole = (rows - rest) * columns * self.blocks[block_rows].weight
        return whole + rest * columns * self.blocks[1].weight

    def sparse(self, blocks: int, rows: int, singles: int, block_rows: int) -> float:
        """Cost of a matrix of which some blocks, and some weights of the last rows, are there.

        Parameters
        ----------
        blocks
            Whole blocks that are present.
        rows
            Of the weight matrix.
        singles
            Weights other than zero in the ``rows % block_rows`` last rows.
        block_rows
            Of a block.
        """
        whole, single = self.blocks[block_rows], self.blocks[1]
        cost = blocks * whole.block + rows // block_rows * whole.row
        return cost + singles * single.block + rows % block_rows * single.row


@dataclass(frozen=True)
class CostModel:
    """The costs of an instruction set.

    Attributes
    ----------
    target
        Name of the instruction set.
    measured
        Where, when and with what; a text.
    conv
        Of convolutions, for each output pixel.
    fully_connected
        Of fully connected layers, for each image.
    """

    target: str
    measured: str
    conv: MatrixCost
    fully_connected: MatrixCost


def load(target: str, path: str | os.PathLike[str] | None = None) -> CostModel:
    """Read the costs of an instruction set.

    Parameters
    ----------
    target
        Name of the instruction set.
    path
        What `save` wrote; None = the tables that ship.

    Raises
    ------
    InputError
        The file cannot be read, or lacks the instruction set.
    """
    path = Path(path) if path else SHIPPED
    tables = _read(path)
    if target not in tables:
        raise InputError(
            f"{path}: costs of {' or '.join(map(repr, sorted(tables)))} expected, asked for "
            f"{target!r}; on a machine that has it, run: gossamer bench --calibrate FILE"
        )
    try:
        table = tables[target]
        costs = {kind: _matrix_cost(table[kind]) for kind in KINDS}
        return CostModel(target, str(table["measured"]), **costs)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not costs of {target!r}: {error!r}") from error


def save(model: CostModel, path: str | os.PathLike[str]) -> None:
    """Write costs into a file, in the place of older ones of the same instruction set.

    Raises
    ------
    InputError
        The file exists and holds something else, or cannot be written.
    """
    path = Path(path)
    tables = _read(path) if path.exists() else {}
    costs = {kind: asdict(getattr(model, kind))["blocks"] for kind in KINDS}
    tables[model.target] = {"measured": model.measured} | costs
    text = json.dumps(dict(sorted(tables.items())), indent=1)
    write_atomically(f"{text}\n".encode(), path)


def _read(path: Path) -> dict[str, Any]:
    try:
        tables = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: no JSON: {error}") from error
    if not isinstance(tables, dict):
        raise InputError(f"{path}: a JSON object of costs by instruction set expected")
    return tables


def _matrix_cost(table: Mapping[str, Mapping[str, Any]]) -> MatrixCost:
    blocks = {int(rows): BlockCost(**_numbers(cost)) for rows, cost in table.items()}
    if set(blocks) != {1, 2, 4, 8}:
        raise ValueError(f"blocks of 1, 2, 4 and 8 rows expected, found {sorted(blocks)}")
    return MatrixCost(blocks)


def _numbers(costs: Mapping[str, Any]) -> dict[str, float]:
    """Check that costs are positive numbers; only what comes on top of others may be zero."""
    for key, value in costs.items():
        lowest = 0 if key == "row" else 1e-3
        if not isinstance(value, int | float) or not lowest <= value < 1e9:
            raise ValueError(f"{key}: a positive number expected, found {value!r}")
    return {key: float(value) for key, value in costs.items()}
