"""What the engine's work costs on an instruction set, one thread.

The converter chooses storage by these costs, `prediction` adds them up over a network, and nothing
else in Gossamer knows them. They are measured, for each instruction set, by `calibration`, or
simulated, for a core that nobody measured, by ``tools/simulate_costs.py``; the tables that ship are
``costs.json``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from .write import write_atomically

SHIPPED = Path(__file__).with_name("costs.json")
DEFAULT_TARGET = "wasm_relaxed"
KINDS = ("conv", "fully_connected")  # of layers whose weights can be stored in several ways
BLOCK_ROWS = (1, 2, 4, 8)
I8_KINDS = ("i8_conv", "i8_fully_connected")  # the same, of i8 weights
I8_BLOCK_ROWS = (1, 4)
# What is done plane by plane and vector by vector.
STEPS = (
    *("depthwise_3x3_stride_1", "depthwise_3x3_stride_2"),
    *("depthwise_5x5_stride_1", "depthwise_5x5_stride_2", "depthwise_packed", "depthwise_i8"),
    *("quantize", "input", "pack", "flatten", "global_average_pool", "pool", "softmax"),
    *("add", "clamp", "multiply", "scale", "leaky_relu", "sigmoid", "silu", "hard_swish"),
    *("tanh", "elu", "softplus", "mish", "erf", "gelu", "gelu_tanh"),
)


@dataclass(frozen=True)
class Area:
    """What a matrix is multiplied with.

    Attributes
    ----------
    pixels
        With those that fill the last vectors.
    tiles
        By the rows of a block: how many tiles of pixels a kernel goes through.
    """

    pixels: int
    tiles: Mapping[int, int] = field(default_factory=dict)


PIXEL = Area(1)


@dataclass(frozen=True)
class StoredMatrix:
    """A weight matrix in one of its storages.

    Attributes
    ----------
    rows, columns
        Of the matrix.
    block_rows
        Of a block.
    blocks
        Whole blocks that are stored; None = the storage is dense.
    singles
        Weights that are stored of the ``rows % block_rows`` last rows; None = dense.
    """

    rows: int
    columns: int
    block_rows: int
    blocks: int | None = None
    singles: int | None = None

    def parts(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """Rows of a block, rows of blocks and stored blocks: of whole blocks, of the last rows."""
        whole, rest = divmod(self.rows, self.block_rows)
        blocks = whole * self.columns if self.blocks is None else self.blocks
        singles = rest * self.columns if self.singles is None else self.singles
        return (self.block_rows, whole, blocks), (1, rest, singles)

    @property
    def bytes(self) -> int:
        """Of its values, and of the offsets that sparse blocks have in a session."""
        index = 0 if self.blocks is None else 4
        return sum(blocks * (4 * rows + index) for rows, _, blocks in self.parts())


@dataclass(frozen=True)
class BlockCost:
    """A matrix in blocks of some rows, in picoseconds for each pixel but `tile`.

    Attributes
    ----------
    weight
        Each weight, where every block is present.
    block
        Each block that is present, where some are missing.
    row
        Each row of blocks: what it takes besides its blocks.
    tile
        Each block, for each tile of pixels: reading its place and weights, and waiting for sums.
    """

    weight: float
    block: float
    row: float
    tile: float = 0.0


@dataclass(frozen=True)
class MatrixCost:
    """What a kind of layer costs, by the rows of its blocks.

    Attributes
    ----------
    blocks
        Costs of blocks of 1, 2, 4 and 8 rows; of i8 weights, of 1 and 4.
    """

    blocks: Mapping[int, BlockCost]

    def picoseconds(self, matrix: StoredMatrix, area: Area = PIXEL) -> float:
        """Cost of a matrix times an area."""
        cost = 0.0
        for block_rows, rows, blocks in matrix.parts():
            of = self.blocks[block_rows]
            block = of.weight * block_rows if matrix.blocks is None else of.block
            cost += area.pixels * (blocks * block + rows * of.row)
            cost += area.tiles.get(block_rows, 0) * blocks * of.tile
        return cost


@dataclass(frozen=True)
class StepCost:
    """Work that goes through planes, in picoseconds.

    Attributes
    ----------
    vector
        Each vector of a plane.
    plane
        Each plane: what it takes besides its vectors; zero for what does not stop at planes.
    """

    vector: float
    plane: float


@dataclass(frozen=True)
class OperatorCosts:
    """What a run takes besides matrices.

    Attributes
    ----------
    lanes
        f32 numbers in a vector.
    registers
        That hold vectors: half of them are the sums of a tile of pixels.
    run, layer
        Each run and each layer, in picoseconds, besides what depends on sizes.
    far_byte
        Each byte that a matrix's layer moves beyond those that a near cache holds, in picoseconds.
    steps
        By the names in `STEPS`.
    """

    lanes: int
    registers: int
    run: float
    layer: float
    far_byte: float
    steps: Mapping[str, StepCost]

    def vectors(self, numbers: int) -> int:
        """How many vectors hold so many numbers."""
        return -(-numbers // self.lanes)

    def area(self, runs: Mapping[int, int]) -> Area:
        """Cut runs of neighbouring pixels into tiles as ``kernels/pointwise_f32.c`` does.

        Parameters
        ----------
        runs
            Number of pixels: how many such runs there are.
        """
        lengths = [(self.vectors(pixels), count) for pixels, count in runs.items()]
        tiles = {
            rows: sum(self._tiles(vectors, rows) * count for vectors, count in lengths)
            for rows in BLOCK_ROWS
        }
        return Area(sum(vectors * count for vectors, count in lengths) * self.lanes, tiles)

    def _tiles(self, vectors: int, block_rows: int) -> int:
        widest = min(self.registers // 2 // block_rows, 8)
        tiles, rest = divmod(vectors, widest)
        for narrower in (4, 2, 1):
            if narrower < widest and rest >= narrower:
                tiles, rest = tiles + 1, rest - narrower
        return tiles


@dataclass(frozen=True)
class CostModel:
    """The costs of an instruction set, or of a core.

    Attributes
    ----------
    target
        Its name.
    origin
        Where they were measured, or what simulated them, when and with what; a text.
    conv
        Of convolutions, for each output pixel.
    fully_connected
        Of fully connected layers, for each image.
    operators
        Of everything else; None: the costs are older, and only storage can be chosen by them.
    i8_conv, i8_fully_connected
        Of these layers in int8, where a quad of channels counts as one. None: not measured.
    simulated
        Whether they were computed, not measured.
    """

    target: str
    origin: str
    conv: MatrixCost
    fully_connected: MatrixCost
    operators: OperatorCosts | None = None
    i8_conv: MatrixCost | None = None
    i8_fully_connected: MatrixCost | None = None
    simulated: bool = False

    @property
    def caveat(self) -> str | None:
        """What to know before trusting times that these costs predict; None: they are measured."""
        if not self.simulated:
            return None
        return (
            f"times for {self.target} are estimates, never measured on such a core: its costs are "
            f"simulated by {self.origin}; `gossamer bench --calibrate costs.json` measures a board"
        )

    def area(self, runs: Mapping[int, int]) -> Area:
        """Cut runs of pixels into tiles, as `OperatorCosts.area`; older costs know none."""
        return self.operators.area(runs) if self.operators else PIXEL

    def of_i8(self, kind: str) -> MatrixCost:
        """Give the costs of one of `KINDS` in int8.

        Where these are not measured: a sum of four products takes an instruction, as one product
        of f32 does, so a block of quads is taken to cost what one of numbers costs.
        """
        measured = getattr(self, f"i8_{kind}")
        f32 = getattr(self, kind).blocks
        return measured or MatrixCost({rows: f32[rows] for rows in I8_BLOCK_ROWS})

    def need_operators(self) -> OperatorCosts:
        """Give what predictions need.

        Raises
        ------
        InputError
            The costs are of an older version.
        """
        if self.operators is None:
            raise InputError(
                f"costs of {self.target!r} ({self.origin}) are of an older version and say "
                "nothing about operators but matrices, so no time can be predicted; calibrate "
                "again, on a machine that has it: gossamer bench --calibrate FILE"
            )
        return self.operators


def load(target: str, path: str | os.PathLike[str] | None = None) -> CostModel:
    """Read the costs of an instruction set, or of a core.

    Parameters
    ----------
    target
        Its name; hyphens are as good as underscores.
    path
        What `save` wrote; None = the tables that ship.

    Raises
    ------
    InputError
        The file cannot be read, or lacks the instruction set.
    """
    path = Path(path) if path else SHIPPED
    tables, target = _read(path), target.replace("-", "_")
    if target not in tables:
        raise InputError(
            f"{path}: costs of {' or '.join(map(repr, sorted(tables)))} expected, asked for "
            f"{target!r}; on a machine that has it, run: gossamer bench --calibrate FILE"
        )
    try:
        _check_numbers(tables[target])
        return from_table(target, tables[target])
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
    tables[model.target] = to_table(model)
    text = json.dumps(dict(sorted(tables.items())), indent=1)
    write_atomically(f"{text}\n".encode(), path)


def to_table(model: CostModel) -> dict[str, Any]:
    """Give a model as what JSON can hold; `from_table` takes it."""
    table = {"simulated" if model.simulated else "measured": model.origin}
    matrices = {kind: getattr(model, kind) for kind in (*KINDS, *I8_KINDS)}
    table |= {kind: asdict(costs)["blocks"] for kind, costs in matrices.items() if costs}
    return table | ({"operators": asdict(model.operators)} if model.operators else {})


def from_table(target: str, table: Mapping[str, Any]) -> CostModel:
    """Read what `to_table` gave.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError
        It is something else.
    """
    matrices = {kind: _matrix_cost(table[kind], BLOCK_ROWS) for kind in KINDS}
    matrices |= {
        kind: _matrix_cost(table[kind], I8_BLOCK_ROWS) for kind in I8_KINDS if kind in table
    }
    operators, simulated = table.get("operators"), "simulated" in table
    return CostModel(
        target,
        str(table["simulated" if simulated else "measured"]),
        **matrices,
        operators=operators and _operators(operators),
        simulated=simulated,
    )


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


def _matrix_cost(table: Mapping[str, Mapping[str, float]], sizes: Sequence[int]) -> MatrixCost:
    blocks = {int(rows): BlockCost(**cost) for rows, cost in table.items()}
    if set(blocks) != set(sizes):
        raise ValueError(f"blocks of {list(sizes)} rows expected, found {sorted(blocks)}")
    return MatrixCost(blocks)


def _operators(table: Mapping[str, Any]) -> OperatorCosts:
    steps = {name: StepCost(**cost) for name, cost in table["steps"].items()}
    if set(steps) != set(STEPS):
        raise ValueError(f"steps {sorted(STEPS)} expected, found {sorted(steps)}")
    return OperatorCosts(**{**table, "steps": steps})


# What every kernel spends time on. Other constants come on top and may be zero.
_POSITIVE = ("weight", "block", "vector", "lanes", "registers")


def _check_numbers(table: Mapping[str, Any]) -> None:
    """Check every number, however deep."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            _check_numbers(value)
        elif key not in ("measured", "simulated"):
            lowest = 1e-3 if key in _POSITIVE else 0
            if not isinstance(value, int | float) or not lowest <= value < 1e15:
                raise ValueError(f"{key}: a positive number expected, found {value!r}")
