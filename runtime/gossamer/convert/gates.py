"""Activations of the engine in what exporters write for them: x times some function of x."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from .ir import Graph, Node, Value

LONGEST_GATE = 6  # nodes


class _Line(NamedTuple):
    """scale * x + shift."""

    scale: float
    shift: float

    def is_close(self, scale: float, shift: float) -> bool:
        return bool(np.allclose(self, (scale, shift), rtol=1e-5, atol=1e-6))


def fuse_gates(graph: Graph) -> None:
    """Turn x times a gate that depends on x alone into SiLU, mish, GELU or hard swish.

    Factors that this leaves become a node behind it. Run it while scales and shifts are nodes.
    """
    uses, producers = graph.use_counts(), graph.producers()
    gone: set[Value] = set()
    nodes = []
    for node in graph.nodes:
        nodes.append(node)
        found = _find(node, uses, producers) if node.op == "multiply" else None
        if not found:
            continue
        x, kind, factor, dropped = found
        gone.update(dropped)
        for value in dropped:
            node.absorb(producers[value])
        node.op, node.inputs, node.attributes = "activation", [x], {"kind": kind}
        if not math.isclose(factor, 1, rel_tol=1e-6):
            scaled, node.output = node.output, Value(f"{node.name}.activation", x.shape)
            scale = np.full(x.shape[1] if len(x.shape) > 1 else 1, factor)
            scale_shift = {"scale": scale, "shift": np.zeros_like(scale)}
            nodes.append(
                Node("scale_shift", node.name, node.origin, [node.output], scaled, scale_shift)
            )
            producers[node.output], producers[scaled] = node, nodes[-1]
            uses[node.output] = 1
    graph.nodes = [node for node in nodes if node.output not in gone]


def _find(
    node: Node, uses: Counter[Value], producers: Mapping[Value, Node]
) -> tuple[Value, str, float, list[Value]] | None:
    """x, the activation, what it is to be multiplied with, and what nobody needs any more."""
    for factor, gate in (node.inputs, node.inputs[::-1]):
        for root, before in _walk(factor, uses, producers):
            line = _line(before)
            if not line or line.shift != 0:
                continue
            for source, through in _walk(gate, uses, producers):
                found = _recognise(through) if source is root and through else None
                if found:
                    dropped = [step.output for step in (*before, *through)]
                    return root, found[0], found[1] * line.scale, dropped
    return None


def _walk(
    value: Value, uses: Counter[Value], producers: Mapping[Value, Node]
) -> Iterator[tuple[Value, list[Node]]]:
    """Each value that this one depends on alone, and the nodes between, first to last."""
    steps: list[Node] = []
    yield value, []
    while uses[value] == 1 and len(steps) < LONGEST_GATE:
        node = producers.get(value)
        if not node or node.op not in ("scale_shift", "clamp", "activation"):
            return
        value, steps = node.inputs[0], [node, *steps]
        yield value, steps


def _line(steps: list[Node]) -> _Line | None:
    """What scales and shifts that are the same for all channels amount to."""
    line = _Line(1.0, 0.0)
    for step in steps:
        if step.op != "scale_shift":
            return None
        scale, shift = step.attributes["scale"], step.attributes["shift"]
        if (scale != scale[0]).any() or (shift != shift[0]).any():
            return None
        line = _Line(line.scale * scale[0], line.shift * scale[0] + shift[0])
    return line


def _recognise(steps: list[Node]) -> tuple[str, float] | None:
    """The activation that x times these steps is, but for a factor."""
    bends = [number for number, step in enumerate(steps) if step.op != "scale_shift"]
    if not bends:
        return None
    first, last = bends[0], bends[-1]
    inside, outside = _line(steps[:first]), _line(steps[last + 1 :])
    if not inside or not outside or bends != list(range(first, last + 1)):
        return None
    middle = steps[first : last + 1]
    kinds = [step.attributes.get("kind") for step in middle]
    high = outside.scale
    if kinds == ["sigmoid"] and inside.is_close(1, 0) and outside.shift == 0:
        return "silu", high
    if kinds == ["softplus", "tanh"] and inside.is_close(1, 0) and outside.shift == 0:
        return "mish", high
    if kinds == ["erf"] and inside.is_close(math.sqrt(0.5), 0) and outside.is_close(high, high):
        return "gelu", 2 * high
    if kinds == [None] and inside.scale > 0:
        low, high = (middle[0].attributes[bound] for bound in ("min", "max"))
        ends = [(bound - inside.shift) / inside.scale for bound in (low, high)]
        bottom, top = (outside.scale * bound + outside.shift for bound in (low, high))
        if np.allclose(ends, (-3, 3), rtol=1e-5) and abs(bottom) <= 1e-6 * abs(top):
            return "hard_swish", top
    return None
