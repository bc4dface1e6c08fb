"""Predict the NEON inner loops' speed with llvm-mca, and write the table of ``arm/README.md``.

For every pointwise kernel the innermost loop with the most multiply-adds, as the cross compiler
wrote it, on models of two ARM cores. Each core's peak is the same prediction for nothing but
independent multiply-adds.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "arm" / "README.md"
MARKS = ("<!-- llvm-mca: begin -->", "<!-- llvm-mca: end -->")
# LLVM has no model of its own for Cortex-A76; Neoverse N1 is the same core for servers.
CORES = {"Cortex-A72": "cortex-a72", "Cortex-A76": "neoverse-n1"}
PATTERNS = ("1x1", "2x1", "4x1", "8x1")
COMPILER = "aarch64-linux-gnu-gcc"
ANALYZER = "/usr/lib/llvm-19/bin/llvm-mca"
LANES = 4
ITERATIONS = 1000
# More than the latency of a multiply-add times what a core starts in a cycle.
PEAK_SUMS = 24

_LABEL = re.compile(r"(\.?\w+):")
_BRANCH = re.compile(r"\s+(?:b\.?\w*|cbn?z|tbn?z)\s.*?(\.L\w+)\s*$")


def compile_kernels() -> str:
    """Compile ``pointwise_f32.c`` for NEON to assembly, with the build's flags."""
    include = [f"-I{ROOT}/runtime/{room}" for room in ("include", "base", "kernels")]
    vector = f'-DGOSS_VECTOR_HEADER="{ROOT}/arm/vector_neon.h"'
    flags = ["-O3", "-DNDEBUG", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-std=c11"]
    source = ROOT / "runtime" / "kernels" / "pointwise_f32.c"
    command = [COMPILER, "-S", *flags, vector, *include, str(source), "-o", "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main_loop(assembly: str, function: str) -> list[str]:
    """Find the innermost loop of a function that has the most multiply-adds.

    Parameters
    ----------
    assembly
        Of GNU as.
    function
        A label in it.

    Returns
    -------
    list of str
        The loop's instructions, the branch back included.

    Raises
    ------
    ValueError
        The function has no loop with a multiply-add.
    """
    _, _, rest = assembly.partition(f"\n{function}:\n")
    lines = rest.partition("\n\t.size\t")[0].splitlines()
    labels: dict[str, int] = {}
    loops: list[tuple[int, int]] = []
    for number, line in enumerate(lines):
        if label := _LABEL.match(line):
            labels[label[1]] = number
        elif (branch := _BRANCH.match(line)) and branch[1] in labels:
            loops.append((labels[branch[1]], number))
    innermost = [
        loop
        for loop in loops
        if not any(loop[0] <= other[0] and other[1] < loop[1] for other in loops)
    ]
    bodies = [
        [line for line in lines[first:last + 1] if line[:1].isspace() and line.strip()[0] != "."]
        for first, last in innermost
    ]  # fmt: skip
    best = max(bodies, key=multiply_adds, default=[])
    if multiply_adds(best) == 0:
        raise ValueError(f"{function}: no loop with a multiply-add found")
    return best


def multiply_adds(lines: list[str]) -> int:
    """Count the vector multiply-adds."""
    return sum("fmla" in line for line in lines)


def cycles(lines: list[str], core: str) -> float:
    """Predict the cycles of one iteration."""
    command = [ANALYZER, "-mtriple=aarch64", f"-mcpu={core}", f"-iterations={ITERATIONS}"]
    text = "\n".join(lines)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return int(re.search(r"Total Cycles:\s+(\d+)", done.stdout)[1]) / ITERATIONS


def peak(core: str) -> float:
    """Predict multiply-adds a cycle of nothing else."""
    lines = [f"\tfmla v{n}.4s, v30.4s, v31.4s" for n in range(PEAK_SUMS)]
    return PEAK_SUMS * LANES / cycles(lines, core)


def rows() -> list[list[str]]:
    """Analyze every kernel on every core."""
    assembly = compile_kernels()
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
