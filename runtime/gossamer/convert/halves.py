"""Weights in half precision, which files are half as large with; the engine computes in f32."""

from __future__ import annotations

import logging

from ..errors import InputError
from . import pack
from .ir import Graph

_log = logging.getLogger("gossamer.convert.halves")


def are_asked(weights: str) -> bool:
    """Whether "f16", rather than "f32", is asked for; another word is an `InputError`."""
    if weights not in ("f32", "f16"):
        raise InputError(f"weights: 'f32' or 'f16' expected, found {weights!r}")
    return weights == "f16"


def round_weights(graph: Graph) -> None:
    """Round what convolutions and fully connected layers multiply with to what f16 holds.

    A layer whose weights f16 is too narrow for is logged at level WARNING, and stays.
    """
    for node in graph.nodes:
        if node.op not in pack.WEIGHTED or node.inputs[1].dtype != "f32":
            continue
        rounded = pack.round_to_half(node.inputs[1].data)
        if rounded is None:
            _log.warning("'%s': weights beyond what f16 holds, 6e-5 to 65504, stay f32", node.name)
        else:
            node.inputs[1].data = rounded
