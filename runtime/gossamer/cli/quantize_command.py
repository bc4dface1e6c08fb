"""``gossamer quantize``: quantize a trained network to int8."""

from __future__ import annotations

import argparse
import dataclasses
import sys

from ..quantize import quantize
from .options import Commands, add_files, add_output_options, count, metadata_of
from .printing import print_json, show_step


def add_to(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "quantize",
        help="quantize a trained network to int8, without training it further",
        description="Give weights 8 bits and activations 7, over ranges that are seen to occur "
        "when the network runs; zeros stay zeros, so pruned networks stay pruned.",
    )
    parser.set_defaults(command=_run)
    add_files(parser)
    parser.add_argument(
        "--data", metavar="TAR|DIR", required=True, help="pictures to calibrate with"
    )
    parser.add_argument(
        "--limit", metavar="N", type=count, default=256, help="of the pictures (default: 256)"
    )
    parser.add_argument(
        "--calibration",
        choices=("mse", "percentile", "minmax"),
        default="mse",
        help="how much of what occurs ranges cover: what makes the squared error of rounding "
        "smallest, all but the share beyond --percentile, or all (default: mse)",
    )
    parser.add_argument("--percentile", type=float, default=99.99, help="default: 99.99")
    parser.add_argument(
        "--keep-f32", metavar="NODE", action="append", default=[], help="stays; may be repeated"
    )
    parser.add_argument(
        "--equalize", action="store_true", help="equalize channels between layers with a ReLU"
    )
    parser.add_argument("--no-correct-bias", action="store_true", help="leave biases alone")
    parser.add_argument(
        "--no-sensitivity", action="store_true", help="do not measure what each layer alone loses"
    )
    parser.add_argument("--pixels", choices=("u8", "f32"), help="as in convert")
    add_output_options(parser)


def _run(options: argparse.Namespace) -> int:
    show = sys.stderr.isatty()
    report = quantize(
        options.source,
        options.destination,
        data=options.data,
        limit=options.limit,
        calibration=options.calibration,
        percentile=options.percentile,
        keep_f32=options.keep_f32,
        equalize=options.equalize,
        correct_bias=not options.no_correct_bias,
        sensitivity=not options.no_sensitivity,
        pixels=options.pixels,
        target=options.target,
        costs=options.costs,
        metadata=metadata_of(options),
        progress=show_step if show else None,
    )
    if show:
        print(file=sys.stderr)
    if options.json:
        print_json(dataclasses.asdict(report))
    else:
        print(report)
    return 0
