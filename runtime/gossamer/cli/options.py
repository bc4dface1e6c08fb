"""What several commands take."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

from ..errors import InputError

MODEL_HELP = "a .goss file, or an embedded model's name"

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def count(text: str) -> int:
    """Take a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} found, a whole number of at least 1 expected")
    return int(text)


def pair(text: str) -> tuple[str, str]:
    """Take KEY=VALUE."""
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise argparse.ArgumentTypeError(f"{text!r} found, KEY=VALUE expected")
    return key, value


def size(text: str) -> tuple[str, int]:
    """Take NAME=SIZE."""
    name, size = pair(text)
    return name, count(size)


def add_files(parser: argparse.ArgumentParser) -> None:
    """Take the model to change, and where the changed one goes."""
    parser.add_argument("source", metavar="SRC", help="an .onnx, .tflite or .goss file")
    parser.add_argument("destination", metavar="DST", help="the .goss file to write")


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Take how a changed model is written and reported."""
    parser.add_argument(
        "--target", default="wasm_relaxed", help="as in convert (default: wasm_relaxed)"
    )
    parser.add_argument("--costs", metavar="FILE", help="from bench --calibrate")
    parser.add_argument(
        "--metadata", metavar="KEY=VALUE", type=pair, action="append", default=[],
        help="as in convert",
    )  # fmt: skip
    parser.add_argument("--labels", metavar="FILE", help="class names in order, one a line")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def metadata_of(options: argparse.Namespace) -> dict[str, str]:
    """Gather ``--metadata`` and ``--labels``."""
    metadata: dict[str, str] = {}
    for key, value in options.metadata:
        if key in metadata:
            raise InputError(f"--metadata: {key!r} stands twice")
        metadata[key] = value
    if options.labels:
        metadata["labels"] = _read_labels(Path(options.labels))
    return metadata


def _read_labels(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: no UTF-8 text: {error}; one class name a line expected"
        ) from None
    if not lines or not all(line.strip() for line in lines):
        raise InputError(f"{path}: empty, or with an empty line; one class name a line expected")
    return "\n".join(line.strip() for line in lines)
