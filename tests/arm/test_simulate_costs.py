"""The script that simulates costs of cores finds what there is to simulate; what ships is its."""

from __future__ import annotations

import shutil

import llvm_mca
import pytest
import simulate_costs
from simulate_costs import BOARDS, F32, I8, LOOPS, REFERENCE

from gossamer.convert import cost_model
from gossamer.convert.cost_model import BLOCK_ROWS

GENERIC = cost_model.load("generic")
ROWS = """
tile_4_2:
.L1:
\tmovi\tv0.4s, 0
\tcbz\tx1, .L3
.L2:
\tldp\tq1, q2, [x0]
\tfmla\tv0.4s, v1.4s, v2.4s
\tfmla\tv3.4s, v1.4s, v2.4s
\tsubs\tx1, x1, #1
\tbne\t.L2
.L3:
\tfmul\tv0.4s, v0.4s, v1.4s
\tstr\tq0, [x2]
\tcbnz\tx3, .L1
\tret
\tmov\tx1, x4
\tb\t.L3
\t.size\ttile_4_2, .-tile_4_2
"""


@pytest.fixture
def tools():
    for program in (llvm_mca.COMPILER, "gcc", llvm_mca.ANALYZER):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")


@pytest.mark.parametrize(
    ("lines", "stored", "loaded", "products"),
    [
        (["\tstr\tq0, [x1]", "\tstp\tq0, q1, [x1, 32]", "\tstr\tw0, [x1]"], 3, 0, 0),
        (["\tldr\tq0, [x1]", "\tldp\tq0, q1, [x1]", "\tldr\tx1, [x2]"], 0, 3, 0),
        (["\tstr\tq0, [sp, 16]", "\tldp\tq0, q1, [sp]"], 0, 0, 0),
        (["\tmovups\t%xmm1, 16(%rdi,%rax)", "\tmovaps\t%xmm1, %xmm2"], 1, 0, 0),
        (["\tmovaps\t%xmm1, 16(%rsp)", "\tmovaps\t16(%rsp), %xmm1"], 0, 0, 0),
        (["\tmovups\t(%rdi), %xmm1", "\taddps\t(%rdx), %xmm1", "\taddps\t%xmm0, %xmm1"], 0, 2, 0),
        (["\tmulps\t%xmm1, %xmm2", "\tfmla\tv0.4s, v1.4s, v2.4s", "\tmul\tx0, x1, x2"], 0, 0, 2),
    ],
)
def test_vectors_and_products_are_counted(lines, stored, loaded, products):
    assert simulate_costs.stored(lines) == stored
    assert simulate_costs.loaded(lines) == loaded
    assert simulate_costs.products(lines) == products


def test_a_row_of_blocks_is_its_loop_so_many_times_and_what_is_around_it(monkeypatch):
    traces = []

    def picoseconds(self, lines, iterations):
        traces.append(lines)
        return float(len(lines))

    monkeypatch.setattr(simulate_costs, "compiled", lambda *arguments: ROWS)
    monkeypatch.setattr(simulate_costs.Core, "picoseconds", picoseconds)
    simulate_costs.simulate_tile.cache_clear()
    block, row = simulate_costs.simulate_tile(REFERENCE, F32, 4, 2)
    simulate_costs.simulate_tile.cache_clear()
    assert (block, row) == (5, 5)  # instructions; those of the other case stand elsewhere
    assert all(trace[-1] == "\tcbnz\tx3, .L1" for trace in traces)


def test_tiles_are_those_of_the_kernels():
    assert simulate_costs.tile_widths(F32, "neon", 1) == (8, 4, 2, 1)
    assert simulate_costs.tile_widths(F32, "neon", 4) == (4, 2, 1)
    assert simulate_costs.tile_widths(F32, "generic", 8) == (1,)
    assert simulate_costs.tile_widths(I8, "neon", 4) == (2, 1)
    assert simulate_costs.tile_widths(I8, "neon_dotprod", 4) == (4, 2, 1)
    assert simulate_costs.tile_widths(I8, "neon_dotprod", 1) == (4, 2, 1)


def test_simulation_comes_near_what_was_measured_where_both_are_known(tools):
    """Far off, a loop was not the kernel's, or its vectors were miscounted."""
    for step in LOOPS:
        measured = GENERIC.operators.steps[step].vector
        assert 0.5 < measured / simulate_costs.simulate_step(REFERENCE, step) < 2, step
    for rows in BLOCK_ROWS:
        assert 0.7 < simulate_costs.measured_over_simulated(GENERIC, rows) < 1.5, rows


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.target)
def test_the_costs_that_ship_are_those_that_are_simulated(tools, board):
    """A kernel that changed wants `tools/simulate_costs.py` run again, and "generic" measured anew.

    What that is measured to take differs from day to day; less than this allows.
    """
    shipped = cost_model.load(board.target)
    assert shipped.origin.rpartition(";")[0] == simulate_costs.origin(board).rpartition(";")[0]
    for step in ("add", "depthwise_3x3_stride_1", "sigmoid"):
        longer = simulate_costs.simulate_step(board.core, step)
        longer /= simulate_costs.simulate_step(REFERENCE, step)
        expected = GENERIC.operators.steps[step].vector * longer
        assert shipped.operators.steps[step].vector == pytest.approx(expected, rel=0.25)
    missed = simulate_costs.measured_over_simulated(GENERIC, 4)
    found = simulate_costs.simulate_conv(board.core, F32, 4, shipped.operators)
    assert shipped.conv.blocks[4].block == pytest.approx(found.block * missed, rel=0.25)
    assert shipped.operators.far_byte == pytest.approx(board.byte, rel=0.01)
