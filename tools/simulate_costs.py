#!/usr/bin/env python3
"""Compute the costs that ship of two ARM cores, because nobody measured them.

llvm-mca simulates each kernel's loop, as the wheels have it, on the core and on the x86-64
processor on which the costs of "generic" were measured: the same C, and vectors as wide. What was
measured there, times how much longer the loop takes here, is the cost here. ``arm/README.md`` says
more.

Needs ``.venv``, and the cross compiler and LLVM as ``make build-aarch64 wasm`` sets them up. Costs
of other targets stay as they are.
"""

from __future__ import annotations

import datetime
import functools
import re
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import llvm_mca
import numpy as np
from llvm_mca import function_loops, innermost, instructions, main_loop

from gossamer.convert import cost_model
from gossamer.convert.calibration import VECTORS, solve
from gossamer.convert.cost_model import (
    BLOCK_ROWS,
    I8_BLOCK_ROWS,
    SHIPPED,
    BlockCost,
    CostModel,
    MatrixCost,
    OperatorCosts,
    StepCost,
    StoredMatrix,
)


@dataclass(frozen=True)
class Core:
    """A core: what LLVM calls it, the instruction set that runs on it, its clock in Hz."""

    model: str
    isa: str
    hertz: float

    def picoseconds(self, lines: Sequence[str], iterations: int = llvm_mca.ITERATIONS) -> float:
        """Simulate one iteration of a loop."""
        triple = "x86_64" if self.isa == "generic" else "aarch64"
        cycles = llvm_mca.cycles(list(lines), self.model, iterations, triple)
        return cycles / self.hertz * 1e12


@dataclass(frozen=True)
class Board:
    """A board that people have a core on.

    Attributes
    ----------
    target
        Name of the costs.
    core, core_name
        Of the board.
    bytes_per_second
        That one core moves between itself and the board's memory, read and written.
    name
        Of the board.
    """

    target: str
    core: Core
    core_name: str
    bytes_per_second: float
    name: str

    @property
    def byte(self) -> float:
        """Picoseconds of a byte from memory."""
        return 1e12 / self.bytes_per_second


# Bandwidth: twice what `memcpy` of tinymembench copies, in sbc-bench's reviews of both boards
# (github.com/ThomasKaiser/sbc-bench, results/reviews/RPi-4B-Rev1.1.md and RPi-5B-Rev1.0.md).
BOARDS = (
    Board(
        target="cortex_a72",
        core=Core(llvm_mca.CORES["Cortex-A72"], "neon", 1.8e9),
        core_name="Cortex-A72",
        bytes_per_second=2 * 2514.6e6,
        name="Raspberry Pi 4",
    ),
    Board(
        target="cortex_a76",
        core=Core(llvm_mca.CORES["Cortex-A76"], "neon_dotprod", 2.4e9),
        core_name="Cortex-A76",
        bytes_per_second=2 * 4447.8e6,
        name="Raspberry Pi 5",
    ),
)
# Where "generic" was measured: an AMD EPYC of the fourth generation; its clock by its peak of
# multiply-adds.
REFERENCE = Core("znver4", "generic", 3.35e9)

compiled = functools.cache(llvm_mca.compile_kernels)

# ---- Loops ---------------------------------------------------------------------------------------

# Of vectors; what registers have no room for goes to the stack, and does not count.
_STORE = re.compile(r"\t(?:(st[rp])\tq\d+|mov[au]ps\t%xmm\d+, [^%]*\()(?!.*(?:\[sp|%rsp))")
_LOAD = re.compile(r"\t(?:(ld[rp])\tq\d+|(?:mov[ad]\w+|movups|addps)\t[^%]*\()(?!.*(?:\[sp|%rsp))")
_PRODUCT = re.compile(r"\t(?:fmla|fmul|sdot|smull2?|mulps|mulss)\t")


def stored(lines: Sequence[str]) -> int:
    """Count the vectors that are stored."""
    return sum(2 if found[1] == "stp" else 1 for found in map(_STORE.match, lines) if found)


def loaded(lines: Sequence[str]) -> int:
    """Count the vectors that are loaded."""
    return sum(2 if found[1] == "ldp" else 1 for found in map(_LOAD.match, lines) if found)


def products(lines: Sequence[str]) -> int:
    """Count the multiplications."""
    return sum(bool(_PRODUCT.match(line)) for line in lines)


class Loop(NamedTuple):
    """Where a step's loop is: a source, C behind it, a function, and what counts its vectors."""

    source: str
    unit: llvm_mca.Count = stored
    more: str = ""
    function: str | None = None


_SQUARE = """void square_{0}_{1}(const goss_depthwise_square_f32_args *a)
{{ run_strip(a, 0, {0}, {1}, {0} == 5 ? 2 : 1, false); }}
"""
_PACKED = """void packed(const goss_depthwise_f32_args *a, const float *x, float *y)
{ depthwise_tile(a, x, y, 4); }
"""
_ELEMENTWISE = ("add", "clamp", "multiply", "scale")
_CURVES = (
    *("leaky_relu", "hard_swish", "tanh", "elu", "softplus"),
    *("mish", "erf", "gelu", "gelu_tanh"),
)
# Steps whose work is one loop. Of 5x5 at stride 2 compilers for x86-64 make several.
LOOPS = {
    f"depthwise_{k}x{k}_stride_{s}": Loop(
        "depthwise_square_f32.c", stored, _SQUARE.format(k, s), f"square_{k}_{s}"
    )
    for k, s in ((3, 1), (3, 2), (5, 1))
}
LOOPS["depthwise_packed"] = Loop("depthwise_f32.c", products, _PACKED, "packed")
LOOPS["global_average_pool"] = Loop("global_average_pool_f32.c", loaded)
LOOPS |= {name: Loop("elementwise_f32.c") for name in _ELEMENTWISE}
LOOPS |= {name: Loop("activation_f32.c") for name in ("sigmoid", "silu")}
LOOPS |= {name: Loop("curves_f32.c") for name in _CURVES}


@functools.cache
def simulate_step(core: Core, step: str) -> float:
    """Simulate a step's loop: picoseconds of a vector."""
    loop = LOOPS[step]
    assembly = compiled(loop.source, core.isa, loop.more)
    lines = main_loop(assembly, loop.function or f"goss_{step}_f32_{core.isa}", loop.unit)
    return core.picoseconds(lines) / loop.unit(lines)


# ---- Matrices ------------------------------------------------------------------------------------

SHORT, LONG = 8, 40  # blocks in a row
PIXELS = (4, 28, 52, 196, 784, 3136)  # of the planes of networks, in whole vectors
_TILE = """void tile_{0}_{1}(const {2} *given)
{{
    {2} a = *given;
    a.residual = 0;
    if (!a.block_count) __builtin_unreachable();
    pointwise_tile(&a, 0, {0}, {1});
}}
"""
F32, I8 = "pointwise_f32.c", "pointwise_i8.c"
_ARGS = {F32: "goss_pointwise_f32_args", I8: "goss_matrix_i8_args"}


def tile_widths(source: str, isa: str, rows: int) -> tuple[int, ...]:
    """Give the vectors of the tiles that a kernel cuts a plane into, widest first."""
    sums = VECTORS[isa][1] // 2
    if source == F32:
        widest, narrower = min(sums // rows, 8), (4, 2, 1)
    else:
        registers = 1 if isa == "neon_dotprod" else 2  # GOSS_DOT_REGISTERS
        widest, narrower = 4 if rows == 1 else min(sums // registers // rows, 8), (2, 1)
    return (widest, *(width for width in narrower if width < widest))


@functools.cache
def simulate_tile(core: Core, source: str, rows: int, width: int) -> tuple[float, float]:
    """Simulate a tile: picoseconds of a block, and of a row of blocks besides."""
    assembly = compiled(source, core.isa, _TILE.format(rows, width, _ARGS[source]))
    lines, loops = function_loops(assembly, f"tile_{rows}_{width}")
    work = {loop: products(lines[loop[0] : loop[1] + 1]) for loop in innermost(loops)}
    inner = [loop for loop, count in work.items() if count == max(work.values())]
    first, last = min(
        (loop for loop in loops if loop[0] < inner[0][0] and inner[-1][1] < loop[1]),
        key=lambda loop: loop[1] - loop[0],
    )

    def row(blocks: int) -> float:
        """Go once around the loop over rows, with so many blocks in each."""
        trace, place = [], first
        for begin, end in inner:
            trace += lines[place:begin] + lines[begin : end + 1] * blocks
            place = end + 1
        trace = instructions(trace + lines[place : last + 1])
        return core.picoseconds(trace, iterations=20) / len(inner)

    block = (row(LONG) - row(SHORT)) / (LONG - SHORT)
    return block, max(row(SHORT) - SHORT * block, 0.0)


def simulate_conv(core: Core, source: str, rows: int, operators: OperatorCosts) -> BlockCost:
    """Simulate blocks of some rows: tiles of every width, over planes of several sizes."""
    widths = tile_widths(source, core.isa, rows)
    tiles = {width: simulate_tile(core, source, rows, width) for width in widths}
    blocks, around = [], []
    for pixels in PIXELS:
        rest, block, row = pixels // operators.lanes, 0.0, 0.0
        for width in widths:
            count, rest = divmod(rest, width)
            block, row = block + count * tiles[width][0], row + count * tiles[width][1]
        blocks.append(block)
        around.append(row / pixels)
    areas = [operators.area({pixels: 1}) for pixels in PIXELS]
    counts = np.array([(area.pixels, area.tiles[rows]) for area in areas], dtype=float)
    scale = 1 / np.array(blocks)
    found = solve(counts * scale[:, np.newaxis], np.ones(len(PIXELS)), np.array([True, False]))
    block, tile = found.tolist()
    return BlockCost(block / rows, block, statistics.median(around), tile)


def measured_over_simulated(like: CostModel, rows: int) -> float:
    """Give how much longer blocks take, where they were measured, than the simulation says."""
    operators = like.need_operators()
    cost = simulate_conv(REFERENCE, F32, rows, operators)
    simulated = MatrixCost({1: cost, rows: cost})  # no row is left over
    sizes = [(channels, blocks) for channels in (64, 256) for blocks in (None, 0.3, 0.1)]
    matrices = [
        StoredMatrix(n, n, rows, share and round(share * n * n / rows), share and 0)
        for n, share in sizes
    ]
    areas = [operators.area({pixels: 1}) for pixels in PIXELS]
    return statistics.median(
        like.conv.picoseconds(matrix, area) / simulated.picoseconds(matrix, area)
        for matrix in matrices
        for area in areas
    )


def connected_cost(board: Board, dtype: str, rows: int, row: float) -> BlockCost:
    """Simulate a product with a vector; weights come from memory, and no faster than that gives."""
    core, columns = board.core, 1 if dtype == "f32" else 4
    name = f"goss_fully_connected_{dtype}_{rows}x{columns}_{core.isa}"
    loop = main_loop(compiled(f"fully_connected_{dtype}.c", core.isa), name, products)
    block = core.picoseconds(loop) / (16 // rows if dtype == "f32" else 4)  # blocks at once
    weights, place = 4 * rows * board.byte, 4 * board.byte
    return BlockCost(max(block, weights) / rows, max(block, weights + place), row)


# ---- Everything ----------------------------------------------------------------------------------


def simulate(board: Board, like: CostModel) -> CostModel:
    """Make the costs of a board's core from what was measured on `REFERENCE`."""
    core, known = board.core, like.need_operators()
    longer = {s: simulate_step(core, s) / simulate_step(REFERENCE, s) for s in LOOPS}
    usual = statistics.median(longer.values())  # for what is no loop of vectors
    lanes, registers = VECTORS[core.isa]
    operators = OperatorCosts(
        lanes=lanes,
        registers=registers,
        run=known.run * usual,
        layer=known.layer * usual,
        far_byte=board.byte,
        steps={
            name: StepCost(step.vector * longer.get(name, usual), step.plane * usual)
            for name, step in known.steps.items()
        },
    )
    missed = {rows: measured_over_simulated(like, rows) for rows in BLOCK_ROWS}

    def conv(source: str, rows: int) -> BlockCost:
        cost = simulate_conv(core, source, rows, operators)
        return BlockCost(*(value * missed[rows] for value in vars(cost).values()))

    def connected(dtype: str, rows: int) -> BlockCost:
        row = like.fully_connected.blocks[rows].row * usual
        return connected_cost(board, dtype, rows, row)

    model = CostModel(
        target=board.target,
        origin=origin(board),
        conv=MatrixCost({rows: conv(F32, rows) for rows in BLOCK_ROWS}),
        fully_connected=MatrixCost({rows: connected("f32", rows) for rows in BLOCK_ROWS}),
        operators=operators,
        i8_conv=MatrixCost({rows: conv(I8, rows) for rows in I8_BLOCK_ROWS}),
        i8_fully_connected=MatrixCost({rows: connected("i8", rows) for rows in I8_BLOCK_ROWS}),
        simulated=True,
    )
    return cost_model.from_table(board.target, _rounded(cost_model.to_table(model)))


def origin(board: Board) -> str:
    """Say what simulated what."""
    command = [llvm_mca.ANALYZER, "--version"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    version = re.search(r"LLVM version (\d+)", text)[1]
    return (
        f"llvm-mca {version} ({board.core_name} at {board.core.hertz / 1e9:g} GHz, "
        f"{board.bytes_per_second / 1e9:.1f} GB/s from memory, as in a {board.name}; "
        f"{datetime.date.today()})"
    )


def _rounded(table: Mapping[str, object]) -> dict[str, object]:
    return {
        key: _rounded(value)
        if isinstance(value, Mapping)
        else float(f"{value:.4g}")
        if isinstance(value, float)
        else value
        for key, value in table.items()
    }


def main() -> None:
    """Simulate and write; print how far simulation is from what was measured on `REFERENCE`."""
    like = cost_model.load(REFERENCE.isa)
    blocks = {f"{rows}x1": measured_over_simulated(like, rows) for rows in BLOCK_ROWS}
    measured = like.need_operators().steps
    steps = {step: measured[step].vector / simulate_step(REFERENCE, step) for step in LOOPS}
    for kind, found in (("blocks", blocks), ("steps", steps)):
        least, *_, most = sorted(found.values())
        usual = statistics.median(found.values())
        print(f"measured / simulated, {kind}: {least:.2f} to {most:.2f}, median {usual:.2f}")
    for board in BOARDS:
        model = simulate(board, like)
        cost_model.save(model, SHIPPED)
        print(f"{SHIPPED}: {model.target}, {model.origin}")


if __name__ == "__main__":
    try:
        main()
    except FileNotFoundError as error:
        sys.exit(f"simulate_costs: no {error.filename}; run `make build-aarch64 wasm` first")
