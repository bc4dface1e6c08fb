"""The script that predicts the NEON loops' speed finds the right loops."""

from __future__ import annotations

import shutil
from pathlib import Path

import llvm_mca
import pytest

ASSEMBLY = """
first:
.L1:
\tfmla\tv0.4s, v1.4s, v2.4s
\tfmla\tv3.4s, v1.4s, v2.4s
\tbne\t.L1
\t.size\tfirst, .-first
second:
\tmov\tx0, x1
.L2:
\tldr\tq0, [x0]
.L3:
\tfmla\tv0.4s, v1.4s, v2.4s
\tsubs\tx1, x1, #1
\tb.ne\t.L3
\tfmla\tv0.4s, v1.4s, v2.4s
\tfmla\tv0.4s, v1.4s, v2.4s
\tcbnz\tx2, .L2
\tret
\t.size\tsecond, .-second
third:
\tret
\t.size\tthird, .-third
"""


def test_the_innermost_loop_of_the_function_is_found() -> None:
    loop = llvm_mca.main_loop(ASSEMBLY, "second")
    assert [line.split()[0] for line in loop] == ["fmla", "subs", "b.ne"]
    assert llvm_mca.multiply_adds(llvm_mca.main_loop(ASSEMBLY, "first")) == 2


def test_a_function_without_multiply_adds_is_refused() -> None:
    with pytest.raises(ValueError, match="third: no loop"):
        llvm_mca.main_loop(ASSEMBLY, "third")


def test_kernels_come_near_the_models_peak() -> None:
    for program in (llvm_mca.COMPILER, llvm_mca.ANALYZER):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    rows = llvm_mca.rows()
    assert len(rows) == 8
    assert {row[0] for row in rows} == {"Cortex-A72", "Cortex-A76"}
    # A kernel whose tile no longer fits the registers would fall far below.
    assert all(int(row[-1].rstrip("%")) >= 60 for row in rows), rows
    table = Path(llvm_mca.README).read_text()
    assert table.count("| Cortex-A") == 8
