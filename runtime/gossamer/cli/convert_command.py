"""``gossamer convert``: turn a model into a .goss file."""

from __future__ import annotations

import argparse

from ..convert import convert
from .options import Commands, count, metadata_of, pair, size
from .printing import saying


def add_to(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser("convert", help="turn an ONNX model into a .goss file")
    parser.set_defaults(command=_run)
    parser.add_argument("source", metavar="SRC", help="an .onnx or .tflite file")
    parser.add_argument("destination", metavar="DST", help="the .goss file to write")
    parser.add_argument(
        "--batch", metavar="N", type=count, default=1, help="images a run (default: 1)"
    )
    parser.add_argument(
        "--dim",
        metavar="NAME=SIZE",
        type=size,
        action="append",
        default=[],
        help="size of an input's dimension that the model names and leaves open; may be repeated",
    )
    parser.add_argument(
        "--metadata",
        metavar="KEY=VALUE",
        type=pair,
        action="append",
        default=[],
        help='such as title=…, image_mean="127.5 127.5 127.5", image_scale="0.01 0.01 0.01"; '
        "may be repeated",
    )
    parser.add_argument(
        "--target",
        default="wasm_relaxed",
        help="instruction set or core by whose costs weights are stored (default: wasm_relaxed), "
        "as in explain; the file runs everywhere",
    )
    parser.add_argument("--costs", metavar="FILE", help="from bench --calibrate")
    parser.add_argument(
        "--storage",
        metavar="NODE=STORAGE",
        type=pair,
        action="append",
        default=[],
        help="1x1, 2x1, 4x1, 8x1 or dense, whatever it costs; may be repeated",
    )
    parser.add_argument(
        "--pixels",
        choices=("u8", "f32"),
        help="let the model take interleaved pixels 0..255 of this type and normalise them itself, "
        "as image_mean and image_scale say",
    )
    parser.add_argument(
        "--dequantize",
        action="store_true",
        help="compute in f32 what the source has quantized, with the numbers that it stands for",
    )
    parser.add_argument(
        "--weights",
        choices=("f32", "f16"),
        default="f32",
        help="f16 rounds weights to half precision: half of the file, computed in f32",
    )
    parser.add_argument("--labels", metavar="FILE", help="class names in order, one a line")


def _run(options: argparse.Namespace) -> int:
    # what a quantized model loses, what moves data, what does not fit f16
    with saying(*(f"gossamer.convert.{part}" for part in ("int8", "transposes", "halves"))):
        return _write_converted(options)


def _write_converted(options: argparse.Namespace) -> int:
    written = convert(
        options.source,
        options.destination,
        batch=options.batch,
        dims=dict(options.dim),
        metadata=metadata_of(options),
        target=options.target,
        costs=options.costs,
        storage=dict(options.storage),
        pixels=options.pixels,
        dequantize=options.dequantize,
        weights=options.weights,
    )
    print(f"{options.destination}: {len(written):,} bytes")
    return 0
