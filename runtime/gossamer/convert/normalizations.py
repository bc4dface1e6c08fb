"""Layer normalization in what exporters of older operator sets write for it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from .ir import Graph, Node, Value


def fuse_normalizations(graph: Graph) -> None:
    """Turn (x - mean) / sqrt(mean of its square + epsilon), over the last axes, into `layer_norm`.

    Scale and shift follow as nodes, which `passes.merge_scale_shift` merges. Run it while they are.
    """
    producers, nodes = graph.producers(), []
    for node in graph.nodes:
        found = _find(node, producers)
        if not found:
            nodes.append(node)
            continue
        x, axis, epsilon = found
        rows = Value(f"{node.name}.rows", (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))
        normal = Value(node.output.name, rows.shape)
        nodes += [
            Node("reshape", node.name, node.origin, [x], rows),
            Node("layer_norm", node.name, node.origin, [rows], normal, {"epsilon": epsilon}),
            Node("reshape", node.name, node.origin, [normal], node.output),
        ]
    graph.nodes = nodes


def _find(node: Node, producers: Mapping[Value, Node]) -> tuple[Value, int, float] | None:
    """x, the first of the axes that are normalized, and epsilon."""
    if not _is(node, "div"):
        return None
    distance, root = (producers.get(value) for value in node.inputs)
    if not distance or not _is(distance, "sub") or not root or root.attributes != {"kind": "sqrt"}:
        return None
    shifted = producers.get(root.inputs[0])
    if not shifted or shifted.op != "scale_shift":
        return None
    scale, shift = shifted.attributes["scale"], shifted.attributes["shift"]
    if (scale != 1).any() or (shift != shift[0]).any() or shift[0] < 0:
        return None
    variance = producers.get(shifted.inputs[0])
    square = producers.get(variance.inputs[0]) if variance else None
    squares = square and square.op == "multiply" and set(square.inputs) == {distance.output}
    x, mean = distance.inputs[0], producers.get(distance.inputs[1])
    axes = [_mean_axes(each) for each in (mean, variance)]
    if not squares or not axes[0] or axes[0] != axes[1] or mean.inputs != [x]:
        return None
    return x, axes[0][0], float(np.float32(shift[0]))


def _is(node: Node, kind: str) -> bool:
    return node.op == "binary" and node.attributes["kind"] == kind


def _mean_axes(node: Node | None) -> tuple[int, ...] | None:
    """The axes of a mean, if they are the last ones and stay as 1."""
    if not node or not node.attributes.get("keep_dims"):
        return None
    rank = len(node.inputs[0].shape)
    if node.op == "global_average_pool":
        return (2, 3)
    if node.op != "reduce" or node.attributes["kind"] != "mean":
        return None
    axes = node.attributes["axes"]
    return axes if axes == tuple(range(axes[0], rank)) else None
