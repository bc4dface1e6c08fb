"""``gossamer explain``: say what became of each layer, what it costs and why."""

from __future__ import annotations

import argparse
import dataclasses

from ..convert.write import write_atomically
from ..explain import explain
from .options import Commands, count, size
from .printing import print_json


def add_to(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "explain",
        help="say what became of each layer, what it costs and why",
        description="Per layer: zeros, how they lie, how they are stored and why, and what it "
        "takes; first of all, what the zeros are worth.",
    )
    parser.set_defaults(command=_run)
    parser.add_argument(
        "model", metavar="MODEL", help="a .onnx, .tflite or .goss file, or an embedded model's name"
    )
    parser.add_argument(
        "--target",
        default="wasm_relaxed",
        help="instruction set to predict for: wasm-relaxed (default), wasm-simd, avx2, ...; host: "
        "the best of this machine; cortex-a72, cortex-a76: estimates that nobody measured",
    )
    parser.add_argument("--costs", metavar="FILE", help="from bench --calibrate")
    parser.add_argument(
        "--measure",
        action=argparse.BooleanOptionalAction,
        help="run the model, too (default: where this machine has the target)",
    )
    parser.add_argument("--threads", type=count, default=1, help="to measure with (default: 1)")
    parser.add_argument(
        "--batch", metavar="N", type=count, default=1, help="as in convert (default: 1)"
    )
    parser.add_argument(
        "--dim", metavar="NAME=SIZE", type=size, action="append", default=[], help="as in convert"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a report")
    parser.add_argument("--html", metavar="FILE", help="write a page, too")


def _run(options: argparse.Namespace) -> int:
    explanation = explain(
        options.model,
        target=options.target,
        costs=options.costs,
        measure=options.measure,
        threads=options.threads,
        batch=options.batch,
        dims=dict(options.dim),
    )
    if options.html:
        write_atomically(explanation.html().encode(), options.html)
    if options.json:
        print_json(dataclasses.asdict(explanation))
    else:
        print(explanation)
    return 0
