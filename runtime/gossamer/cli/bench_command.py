"""``gossamer bench``: measure a model, or what the engine's work costs, on this machine."""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from collections.abc import Iterator, Sequence

from ..benchmarking import Benchmark, benchmark
from ..convert.cost_model import CostModel, save
from ..embedded import open_model
from ..errors import InputError, MissingDependencyError
from ..session import SessionOptions
from .options import MODEL_HELP, Commands, count
from .printing import print_fact, print_json, print_table


def add_to(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser("bench", help="measure a model on this machine, layer by layer")
    parser.set_defaults(command=_run)
    parser.add_argument("model", metavar="MODEL", nargs="?", help=MODEL_HELP)
    parser.add_argument(
        "--calibrate",
        metavar="FILE",
        help="instead of a model, measure what the engine's work costs here, and write it for "
        "convert --costs",
    )
    parser.add_argument("--runs", type=count, default=50, help="measured runs (default: 50)")
    parser.add_argument("--threads", type=count, help="default: processors, at most 4")
    parser.add_argument("--isa", help="instruction set (default: the best of this machine)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _run(options: argparse.Namespace) -> int:
    if (options.model is None) == (options.calibrate is None):
        raise InputError("bench: either a MODEL or --calibrate FILE expected")
    if options.calibrate:
        return _calibrate(options)
    session = open_model(options.model, SessionOptions(threads=options.threads, isa=options.isa))
    measured = benchmark(session, options.runs)
    if options.json:
        print_json(dataclasses.asdict(measured))
        return 0
    print_table(_bench_rows(measured), right_aligned=range(2, 7))
    print()
    lower, median, upper = statistics.quantiles([1000 * s for s in measured.seconds * 2], n=4)
    runs = f"{len(measured.seconds)} runs"
    print_fact("whole model", f"{median:.2f} ms, quartiles {lower:.2f} - {upper:.2f}, {runs}")
    peak = measured.peak_macs_per_second / 1e9
    print_fact("peak", f"{peak:.1f} GMAC/s a thread, {measured.isa}, {measured.threads} threads")
    for note in session.notes:
        print_fact("note", note)
    return 0


def _bench_rows(measured: Benchmark) -> Iterator[Sequence[str]]:
    yield "layer", "kernel", "ms", "share", "GMAC/s", "of peak", "kB moved"
    total = sum(layer.seconds for layer in measured.layers)
    for layer in measured.layers:
        computes = layer.macs_per_second > 0
        yield (
            *(layer.name, layer.kernel, f"{1000 * layer.seconds:.3f}"),
            f"{layer.seconds / total:.0%}",
            f"{layer.macs_per_second / 1e9:.1f}" if computes else "",
            f"{layer.peak_share:.0%}" if computes else "",
            f"{layer.moved_bytes / 1000:,.0f}",
        )


def _calibrate(options: argparse.Namespace) -> int:
    try:
        from ..convert.calibration import calibrate
    except ImportError as error:
        raise MissingDependencyError(
            f"calibration needs the package '{error.name}'; run: pip install 'gossamer-nn[convert]'"
        ) from error
    costs = calibrate(options.isa, options.runs)
    save(costs, options.calibrate)
    print_table(_cost_rows(costs), right_aligned=range(1, 5))
    print()
    print_table(_step_rows(costs), right_aligned=range(1, 3))
    print(f"{options.calibrate}: costs of {costs.target}, {costs.origin}")
    return 0


def _cost_rows(costs: CostModel) -> Iterator[Sequence[str]]:
    yield "picoseconds", "weight, dense", "block, sparse", "row of blocks", "block, each tile"
    kinds = (
        ("conv, a pixel", costs.conv, 1),
        ("fully connected", costs.fully_connected, 1),
        ("int8 conv, a pixel", costs.of_i8("conv"), 4),
        ("int8 fully connected", costs.of_i8("fully_connected"), 4),
    )
    for what, kind, channels in kinds:
        for rows, cost in kind.blocks.items():
            numbers = cost.weight, cost.block, cost.row, cost.tile
            yield f"{what}, {rows}x{channels}", *(f"{number:.1f}" for number in numbers)


def _step_rows(costs: CostModel) -> Iterator[Sequence[str]]:
    operators = costs.need_operators()
    yield "picoseconds", "vector", "plane"
    for name, cost in operators.steps.items():
        yield name.replace("_", " "), f"{cost.vector:.0f}", f"{cost.plane:.0f}"
    for what in ("run", "layer", "far_byte"):
        yield what.replace("_", " "), f"{getattr(operators, what):.0f}", ""
