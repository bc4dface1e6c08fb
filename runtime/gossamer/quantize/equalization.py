"""Cross-layer equalization (arXiv:1906.04721): channels of a tensor that use its whole range.

A layer's output channel divided by a number, and the weights that read it multiplied by the same
number, give the same network, where what lies between commutes with that: nothing, a ReLU, pooling.
A ReLU6 does not, so a layer with one stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..convert.int8_choice import MATRICES
from ..convert.ir import Graph, Node, Value
from .observation import ChannelRanges

# Per channel, and without bounds other than zero.
PASSING = ("max_pool", "average_pool", "global_average_pool", "leaky_relu")
MOST = 16.0  # that a channel grows against others: another picture may need more than was seen


@dataclass(frozen=True)
class Link:
    """Two layers with nothing between them, but `between`, that cares for a channel's scale."""

    first: Node
    between: tuple[Node, ...]
    second: Node

    @property
    def tensors(self) -> list[Value]:
        """What the channels run through."""
        return [self.first.output, *(node.output for node in self.between)]


def links(graph: Graph) -> list[Link]:
    """Find the layers that can be equalized, in execution order."""
    uses = graph.use_counts()
    readers = {value: node for node in graph.nodes for value in node.inputs}
    found = []
    for first in graph.nodes:
        if not _scales(first, uses):
            continue
        between, value = [], first.output
        while uses[value] == 1 and value in readers and _passes(readers[value]):
            between.append(readers[value])
            value = readers[value].output
        second = readers.get(value)
        if second and uses[value] == 1 and _takes(second, value, uses):
            found.append(Link(first, tuple(between), second))
    return found


def _scales(node: Node, uses: Mapping[Value, int]) -> bool:
    residual = node.op == "conv" and len(node.inputs) > 3
    return (
        node.op in MATRICES
        and not residual
        and node.attributes["min"] in (-math.inf, 0)
        and node.attributes["max"] == math.inf
        and "activation" not in node.attributes
        and all(uses[value] == 1 for value in node.inputs[1:3])
    )


def _passes(node: Node) -> bool:
    relu = node.op == "clamp" and (node.attributes["min"], node.attributes["max"]) == (0, math.inf)
    return node.op in PASSING or relu


def _takes(node: Node, value: Value, uses: Mapping[Value, int]) -> bool:
    if node.op not in ("conv", "fully_connected") or node.inputs[0] is not value:
        return False
    weights = node.inputs[1]
    channels = value.shape[1]
    return uses[weights] == 1 and channels in (weights.shape[1], _groups(node))


def _groups(node: Node) -> int:
    return node.attributes.get("groups", 1)


def equalize(graph: Graph, ranges: dict[Value, ChannelRanges]) -> int:
    """Equalize channels in place.

    Parameters
    ----------
    graph
        Its weights and biases become others; it computes what it did.
    ranges
        Of what layers give each other; those that change are updated.

    Returns
    -------
    int
        How many pairs of layers were equalized.
    """
    found = links(graph)
    for link in found:
        factors = _factors(link, ranges[link.first.output].largest)
        _divide_rows(link.first, factors)
        _multiply_columns(link.second, factors)
        for value in link.tensors:
            of = ranges[value]
            ranges[value] = ChannelRanges(of.low / factors, of.high / factors)
    return len(found)


def _factors(link: Link, largest: np.ndarray) -> np.ndarray:
    """Choose what each channel is divided by.

    A depthwise layer has a scale a channel, so its weights lose nothing: all channels get the same
    range. Other weights share a scale with those of other channels: both sides meet half way.
    """
    if _groups(link.second) > 1:
        factors = largest
    else:
        weights = np.abs(link.second.inputs[1].data).reshape(*link.second.inputs[1].shape[:2], -1)
        weights = weights.max(axis=2).astype(np.float64)
        rows = weights.max(axis=1, keepdims=True)
        shares = (weights / np.where(rows > 0, rows, 1)).max(axis=0)
        factors = np.sqrt(largest / np.where(shares > 0, shares, 1))
        factors[shares == 0] = 0
    if not factors.any():
        return np.ones_like(factors)
    return np.where(factors > 0, np.maximum(factors / factors.max(), 1 / MOST), 1.0)


def _divide_rows(node: Node, factors: np.ndarray) -> None:
    weights, bias = node.inputs[1:3]
    weights.data = (weights.data / _along(factors, 0, weights.data.ndim)).astype(np.float32)
    weights.scales = None
    bias.data = (bias.data / factors).astype(np.float32)


def _multiply_columns(node: Node, factors: np.ndarray) -> None:
    weights = node.inputs[1]
    axis = 0 if _groups(node) > 1 else 1
    weights.data = (weights.data * _along(factors, axis, weights.data.ndim)).astype(np.float32)
    weights.scales = None


def _along(factors: np.ndarray, axis: int, rank: int) -> np.ndarray:
    return factors.reshape([-1 if number == axis else 1 for number in range(rank)])
