"""Transposes that are merged, or seen as simpler ones."""

from __future__ import annotations

import logging
import math

from .goss_file import MAX_RANK
from .ir import Graph, Node, Value

_log = logging.getLogger(__name__)


def report_transposes(graph: Graph) -> None:
    """Log how many transposes are left, and where."""
    left = [node.name for node in graph.nodes if node.op == "transpose"]
    if left:
        names = ", ".join(f"'{name}'" for name in left)
        _log.info("%d transpose%s left: %s", len(left), "s" if len(left) > 1 else "", names)


def simplify_transposes(graph: Graph) -> None:
    """Let transposes see as few axes as they can, behind reshapes.

    Axes of one element, and neighbours that stay so, are no concern of theirs. What is no image has
    no padding then. Between images a transpose reads and writes the planes as they are.
    """
    uses, producers = graph.use_counts(), graph.producers()
    reshaped = {value for node in graph.nodes if node.op == "reshape" for value in node.inputs}
    nodes = []
    for node in graph.nodes:
        nodes.append(node)
        if node.op != "transpose":
            continue
        (x,), axes = node.inputs, node.attributes["axes"]
        shape, order = _fewest_axes(x.shape, axes)
        before = producers.get(x)
        flat = (before and before.op == "reshape") or node.output in reshaped
        image = len(axes) == 4 and len(shape) < 4 and not (flat and uses[node.output] == 1)
        if len(shape) == len(axes) or image:
            continue
        viewed = Value(f"{node.name}.axes", shape)
        turned = Value(node.output.name, tuple(shape[axis] for axis in order))
        nodes[-1:] = [
            Node("reshape", node.name, node.origin, [x], viewed),
            Node("transpose", node.name, node.origin, [viewed], turned, {"axes": order}),
            Node("reshape", node.name, node.origin, [turned], node.output),
        ]
    graph.nodes = nodes
    for node in graph.nodes:
        if node.op == "transpose" and len(node.output.shape) > MAX_RANK:
            axes = list(node.attributes["axes"])
            graph.add_problem(node, f"axes {axes}; at most {MAX_RANK} expected")


def merge_transposes(graph: Graph) -> None:
    """Let the last of several transposes do the work of all; what they undo becomes a reshape."""
    producers = graph.producers()
    for node in graph.nodes:
        before = producers.get(node.inputs[0]) if node.op == "transpose" else None
        if before and before.op == "transpose":
            first, second = before.attributes["axes"], node.attributes["axes"]
            node.inputs = list(before.inputs)
            node.attributes["axes"] = tuple(first[axis] for axis in second)
    for node in graph.nodes:
        axes = node.attributes["axes"] if node.op == "transpose" else None
        if axes == tuple(range(len(node.output.shape))):
            node.op, node.attributes = "reshape", {}


def _fewest_axes(
    shape: tuple[int, ...], axes: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A shape with fewer axes, and the order in which it gives the same."""
    wide = [axis for axis in sorted(axes) if shape[axis] > 1]
    groups: list[list[int]] = []
    for axis in (axis for axis in axes if shape[axis] > 1):
        if groups and wide.index(axis) == wide.index(groups[-1][-1]) + 1:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    ordered = sorted(groups)
    sizes = tuple(math.prod(shape[axis] for axis in group) for group in ordered)
    return sizes, tuple(ordered.index(group) for group in groups)
