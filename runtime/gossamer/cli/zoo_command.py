"""``gossamer zoo``: make a well-known network with random weights."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import zoo
from ..convert.write import write_atomically
from ..errors import InputError
from .options import Commands, count


def add_to(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser("zoo", help="make a well-known network with random weights")
    parser.set_defaults(command=_run)
    parser.add_argument("name", metavar="NAME", choices=zoo.NAMES, help=", ".join(zoo.NAMES))
    parser.add_argument("target", metavar="DST", help="the .goss or .onnx file to write")
    parser.add_argument("--width", type=float, default=1.0, help="default: 1")
    parser.add_argument("--resolution", type=count, default=224, help="pixels (default: 224)")
    parser.add_argument("--pattern", choices=zoo.PATTERNS, default="4x1", help="default: 4x1")
    parser.add_argument("--sparsity", type=float, default=0.7, help="share of zeros (default: 0.7)")
    parser.add_argument("--dtype", choices=zoo.DTYPES, default="f32", help="default: f32")
    parser.add_argument("--seed", type=int, default=0, help="of the weights (default: 0)")
    parser.add_argument("--classes", type=count, default=1000, help="default: 1000")


def _run(options: argparse.Namespace) -> int:
    formats = {".goss": zoo.build, ".onnx": zoo.build_onnx}
    target = Path(options.target)
    if target.suffix not in formats:
        raise InputError(f"{target}: a name that ends in .goss or .onnx expected")
    data = formats[target.suffix](
        options.name,
        width=options.width,
        resolution=options.resolution,
        pattern=options.pattern,
        sparsity=options.sparsity,
        dtype=options.dtype,
        seed=options.seed,
        classes=options.classes,
    )
    write_atomically(data, target)
    print(f"{target}: {len(data):,} bytes")
    return 0
