"""Predict the NEON inner loops' speed with llvm-mca, and write the table of ``arm/README.md``.

For every pointwise kernel the innermost loop with the most multiply-adds, as the cross compiler
wrote it, on models of two ARM cores. Each core's peak is the same prediction for nothing but
independent multiply-adds.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Count = Callable[[list[str]], int]
Loop = tuple[int, int]

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "arm" / "README.md"
MARKS = ("<!-- llvm-mca: begin -->", "<!-- llvm-mca: end -->")
# LLVM has no model of its own for Cortex-A76; Neoverse N1 is the same core for servers.
CORES = {"Cortex-A72": "cortex-a72", "Cortex-A76": "neoverse-n1"}
PATTERNS = ("1x1", "2x1", "4x1", "8x1")
COMPILER = "aarch64-linux-gnu-gcc"
# By instruction set, as CMakeLists.txt has them: compiler, vector header, flags.
BUILDS = {
    "neon": (COMPILER, "arm/vector_neon.h", []),
    "neon_dotprod": (COMPILER, "arm/vector_neon_dotprod.h", ["-march=armv8.2-a+dotprod"]),
    "generic": ("gcc", "runtime/kernels/generic/vector_generic.h", []),
}
ANALYZER = "/usr/lib/llvm-19/bin/llvm-mca"
LANES = 4
ITERATIONS = 1000
# More than the latency of a multiply-add times what a core starts in a cycle.
PEAK_SUMS = 24

_LABEL = re.compile(r"(\.?\w+):")
# A loop ends on a condition; who jumps back without one comes from a case that stands elsewhere.
_BRANCH = re.compile(r"\s+(?:b\.?\w\w|cbn?z|tbn?z|j(?!mp)\w+)\s.*?(\.L\w+)\s*$")


def compile_kernels(source: str, isa: str = "neon", more: str = "") -> str:
    """Compile a source of ``runtime/kernels`` to assembly, with the build's flags.

    Parameters
    ----------
    source
        Name of the file.
    isa
        One of `BUILDS`.
    more
        C to compile behind it.
    """
    compiler, header, of_isa = BUILDS[isa]
    include = [f"-I{ROOT}/runtime/{room}" for room in ("include", "base", "kernels")]
    vector = f'-DGOSS_VECTOR_HEADER="{ROOT}/{header}"'
    flags = ["-O3", "-DNDEBUG", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-std=c11"]
    command = [compiler, "-S", *flags, *of_isa, vector, *include, "-x", "c", "-", "-o", "-"]
    text = f'#include "{source}"\n{more}'
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def main_loop(assembly: str, function: str, count: Count | None = None) -> list[str]:
    """Find the innermost loop of a function that has the most multiply-adds.

    Parameters
    ----------
    assembly
        Of GNU as.
    function
        A label in it.
    count
        What to count instead of multiply-adds.

    Returns
    -------
    list of str
        The loop's instructions, the branch back included.

    Raises
    ------
    ValueError
        The function has no loop with a multiply-add.
    """
    count = count or multiply_adds
    lines, loops = function_loops(assembly, function)
    bodies = [instructions(lines[first : last + 1]) for first, last in innermost(loops)]
    best = max(bodies, key=count, default=[])
    if count(best) == 0:
        raise ValueError(f"{function}: no loop with a multiply-add found")
    return best


def function_loops(assembly: str, function: str) -> tuple[list[str], list[Loop]]:
    """Give a function's lines, and of each loop in it the first and the last one."""
    _, _, rest = assembly.partition(f"\n{function}:\n")
    lines = rest.partition("\n\t.size\t")[0].splitlines()
    labels: dict[str, int] = {}
    loops: list[Loop] = []
    for number, line in enumerate(lines):
        if label := _LABEL.match(line):
            labels[label[1]] = number
        elif (branch := _BRANCH.match(line)) and branch[1] in labels:
            loops.append((labels[branch[1]], number))
    return lines, loops


def innermost(loops: list[Loop]) -> list[Loop]:
    """Give the loops that have no other one in them."""
    return [
        loop
        for loop in loops
        if not any(loop[0] <= other[0] and other[1] < loop[1] for other in loops)
    ]


def instructions(lines: list[str]) -> list[str]:
    """Leave out labels and directives."""
    return [line for line in lines if line[:1].isspace() and line.strip()[0] != "."]


def multiply_adds(lines: list[str]) -> int:
    """Count the vector multiply-adds."""
    return sum("fmla" in line for line in lines)


def cycles(
    lines: list[str], core: str, iterations: int = ITERATIONS, triple: str = "aarch64"
) -> float:
    """Predict the cycles of one iteration."""
    command = [ANALYZER, f"-mtriple={triple}", f"-mcpu={core}", f"-iterations={iterations}"]
    text = "\n".join(lines)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return int(re.search(r"Total Cycles:\s+(\d+)", done.stdout)[1]) / iterations


def peak(core: str) -> float:
    """Predict multiply-adds a cycle of nothing else."""
    lines = [f"\tfmla v{n}.4s, v30.4s, v31.4s" for n in range(PEAK_SUMS)]
    return PEAK_SUMS * LANES / cycles(lines, core)


def rows() -> list[list[str]]:
    """Analyze every kernel on every core."""
    assembly = compile_kernels("pointwise_f32.c")
    found = []
    for name, core in CORES.items():
        most = peak(core)
        for pattern in PATTERNS:
            loop = main_loop(assembly, f"goss_pointwise_f32_{pattern}_neon")
            each = cycles(loop, core)
            rate = multiply_adds(loop) * LANES / each
            found.append(
                [
                    *(name, pattern, str(len(loop)), str(multiply_adds(loop) * LANES)),
                    *(f"{each:.1f}", f"{rate:.2f}", f"{most:.2f}", f"{rate / most:.0%}"),
                ]
            )
    return found


def main() -> None:
    """Write the table into ``arm/README.md``."""
    head = "core | blocks | instructions | multiply-adds | cycles | a cycle | peak | share"
    lines = [f"| {head} |", "|" + "---|" * 8]
    lines += [f"| {' | '.join(row)} |" for row in rows()]
    table = "\n".join(lines)
    before, _, rest = README.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    README.write_text(f"{before}{MARKS[0]}\n{table}\n{MARKS[1]}{after}", encoding="utf-8")
    print(table)


if __name__ == "__main__":
    try:
        main()
    except FileNotFoundError as error:
        sys.exit(f"llvm_mca: {error.filename} is missing; run `make build-aarch64 wasm` first")
