"""``gossamer prune``: prune a trained network."""

from __future__ import annotations

import argparse
import dataclasses
import sys

from ..errors import MissingDependencyError
from ..prune import prune
from .options import Commands, add_files, add_output_options, count, metadata_of
from .printing import print_json, show_step


def add_to(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "prune",
        help="prune a trained network, without training it further",
        description="Zero the weights that matter least, in blocks that run fast; with --data, "
        "refit the others so that each layer computes what it did.",
    )
    parser.set_defaults(command=_run)
    add_files(parser)
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--sparsity", type=float, help="share of the layers' weights to zero")
    budget.add_argument("--latency", metavar="TIME", help="what a run may take, such as 12ms")
    budget.add_argument("--speedup", type=float, help="how many times faster it is to run")
    parser.add_argument(
        "--pattern",
        help="blocks, output x input channels (default: 4x1; with --latency and --speedup N x 1 as "
        "it suits each layer)",
    )
    parser.add_argument(
        "--allocation",
        choices=("uniform", "global", "cost"),
        help="how --sparsity is spread: alike over all layers, by one threshold of saliency, or "
        "so that the output moves least, by layers that zeros make faster (default: cost with "
        "--data, uniform without)",
    )
    parser.add_argument(
        "--data", metavar="TAR|DIR", help="pictures to calibrate with; without, weights go by size"
    )
    parser.add_argument(
        "--limit", metavar="N", type=count, default=256, help="of the pictures (default: 256)"
    )
    parser.add_argument(
        "--exclude", metavar="NODE", action="append", default=[], help="stays; may be repeated"
    )
    parser.add_argument(
        "--saliency",
        choices=("reconstruction", "diagonal", "magnitude"),
        help="what tells which weights matter least: how a layer's output moves when they go and "
        "the others make up for it, or when none does, or their size (default: the first with "
        "--data, the last without)",
    )
    parser.add_argument(
        "--no-rearrange", action="store_true", help="leave the channels where they are"
    )
    parser.add_argument("--no-reconstruct", action="store_true", help="do not refit what stays")
    parser.add_argument(
        "--weights", choices=("f32", "f16"), default="f32", help="as in convert (default: f32)"
    )
    add_output_options(parser)


def _run(options: argparse.Namespace) -> int:
    show = sys.stderr.isatty()
    report = prune(
        options.source,
        options.destination,
        sparsity=options.sparsity,
        pattern=options.pattern,
        data=options.data,
        limit=options.limit,
        allocation=options.allocation,
        seconds=_seconds(options.latency),
        speedup=options.speedup,
        rearrange=not options.no_rearrange,
        reconstruct=not options.no_reconstruct,
        exclude=options.exclude,
        saliency=options.saliency,
        target=options.target,
        costs=options.costs,
        metadata=metadata_of(options),
        weights=options.weights,
        progress=show_step if show else None,
    )
    if show:
        print(file=sys.stderr)
    if options.json:
        print_json(dataclasses.asdict(report))
    else:
        print(report)
        print(f"{options.destination}: {report.file_bytes:,} bytes")
    return 0


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        from ..prune.allocation import parse_seconds
    except ImportError as error:
        raise MissingDependencyError(
            f"pruning needs the package '{error.name}'; run: pip install 'gossamer-nn[convert]'"
        ) from error
    return parse_seconds(text)
