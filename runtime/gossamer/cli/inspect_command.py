"""``gossamer inspect``: show layers, kernels, memory."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from ..embedded import open_model
from ..session import InferenceSession, LayerInfo
from .options import MODEL_HELP, Commands
from .printing import print_fact, print_json, print_table


def add_to(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser("inspect", help="show layers, kernels, memory")
    parser.set_defaults(command=_run)
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _run(options: argparse.Namespace) -> int:
    session = open_model(options.model)
    if options.json:
        print_json(_description(session))
        return 0
    info = session.info
    for kind, arguments in (("input", session.get_inputs()), ("output", session.get_outputs())):
        for argument in arguments:
            print_fact(kind, f"{argument.name} {argument.dtype} {_shape(argument.shape)}")
    for key, value in session.metadata.items():
        print_fact(key, ", ".join(value.splitlines()))
    print()
    print_table(_layer_rows(session.layers()), right_aligned=range(3, 6))
    print()
    print_fact("multiply-adds", f"{info.macs:,} of {info.dense_macs:,} with every weight present")
    print_fact("weights", f"{info.weight_bytes:,} bytes")
    print_fact(
        "arena",
        f"{info.arena_bytes:,} bytes; the tensors without sharing: {info.tensor_bytes:,}; "
        f"most alive at once: {info.largest_live_bytes:,}",
    )
    print_fact("runs on", f"{session.isa}, {info.threads} thread{'s' if info.threads > 1 else ''}")
    for note in session.notes:
        print_fact("note", note)
    return 0


def _description(session: InferenceSession) -> dict[str, Any]:
    return {
        "inputs": [dataclasses.asdict(argument) for argument in session.get_inputs()],
        "outputs": [dataclasses.asdict(argument) for argument in session.get_outputs()],
        "metadata": dict(session.metadata),
        "isa": session.isa,
        "notes": session.notes,
        "info": dataclasses.asdict(session.info),
        "layers": [dataclasses.asdict(layer) for layer in session.layers()],
    }


def _layer_rows(layers: Sequence[LayerInfo]) -> Iterator[Sequence[str]]:
    yield "layer", "operator", "output", "zeros", "bytes", "multiply-adds", "kernel", "reason"
    for layer in layers:
        zeros = f"{1 - layer.nonzeros / layer.weights:.0%}" if layer.weights else ""
        yield (
            *(layer.name, layer.op, _shape(layer.shape), zeros),
            *(f"{layer.weight_bytes:,}", f"{layer.macs:,}", layer.kernel, layer.reason),
        )


def _shape(dimensions: Sequence[int]) -> str:
    return "×".join(map(str, dimensions))
