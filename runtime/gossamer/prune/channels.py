"""Which channels of a converted network move together, and moving them.

A network computes the same when the output channels of a layer change places, as long as all that
reads them follows: the input channels of later layers, depthwise filters, gates, what is added.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..convert.ir import Graph, Node, Value
from .spaces import Segments, Spaces, repeated


class ChannelMap:
    """What the channels of a graph, as `passes.optimize` leaves it, run over.

    Inputs and outputs keep their order, and so does what operators touch that are not known here.

    Parameters
    ----------
    graph
        Weights that two nodes share make their channels move alike.

    Attributes
    ----------
    spaces
        Of channels that move together.
    """

    def __init__(self, graph: Graph) -> None:
        self.spaces = Spaces()
        self._values: dict[Value, Segments] = {}  # axis 1 of what is computed
        self._axes: dict[Value, dict[int, Segments]] = {}  # of constants
        for value in graph.inputs:
            self._values[value] = self.spaces.new(_channels(value), fixed=True)
        for node in graph.nodes:
            self._values[node.output] = _RULES.get(node.op, _unknown)(self, node)
        for value in graph.outputs.values():
            self.spaces.fix(self._values[value])

    def axes(self, weights: Value) -> tuple[Segments, Segments]:
        """What the output and the input channels of a layer's weights run over."""
        return self._axes[weights][0], self._axes[weights][1]

    def reorder(self, orders: Sequence[np.ndarray]) -> None:
        """Move channels in every constant of the graph, in place.

        Parameters
        ----------
        orders
            For each space the old number of the channel that becomes number i; the entry of its
            `Spaces.root` is taken.
        """
        for value, axes in self._axes.items():
            for axis, segments in axes.items():
                places = self.spaces.places(segments, orders)
                value.data = np.ascontiguousarray(value.data.take(places, axis))

    def of(self, value: Value) -> Segments:
        """What the channels of a node's input run over; those of a constant do not move."""
        if value not in self._values:
            self._values[value] = self.spaces.new(_channels(value), fixed=True)
        return self._values[value]

    def lay(self, constant: Value, axis: int, segments: Segments) -> None:
        """Say what an axis of a constant runs over."""
        known = self._axes.setdefault(constant, {}).setdefault(axis, segments)
        if known != segments:
            self.spaces.unify(known, segments)


def _channels(value: Value) -> int:
    return value.shape[1] if len(value.shape) > 1 else value.shape[0]


def _convolution(channels: ChannelMap, node: Node) -> Segments:
    x, weights, bias = node.inputs[:3]
    if node.op == "conv_pixels":  # (N, H, W, C)
        inputs = channels.spaces.new(weights.shape[1], fixed=True)
    else:
        inputs = channels.of(x)
    if node.attributes["groups"] == 1:
        outputs = channels.spaces.new(weights.shape[0])
        channels.lay(weights, 1, inputs)
    else:  # depthwise
        outputs = repeated(inputs, weights.shape[0] // node.attributes["groups"])
    channels.lay(weights, 0, outputs)
    channels.lay(bias, 0, outputs)
    if node.op == "conv" and len(node.inputs) > 3:
        channels.spaces.unify(outputs, channels.of(node.inputs[3]))
    return outputs


def _fully_connected(channels: ChannelMap, node: Node) -> Segments:
    x, weights, bias = node.inputs
    outputs = channels.spaces.new(weights.shape[0])
    channels.lay(weights, 0, outputs)
    channels.lay(weights, 1, channels.of(x))
    channels.lay(bias, 0, outputs)
    return outputs


def _each_alone(channels: ChannelMap, node: Node) -> Segments:
    return channels.of(node.inputs[0])


def _alike(channels: ChannelMap, node: Node) -> Segments:
    a, b = node.inputs
    channels.spaces.unify(channels.of(a), channels.of(b))
    return channels.of(a)


def _flatten(channels: ChannelMap, node: Node) -> Segments:
    x = node.inputs[0]
    return repeated(channels.of(x), math.prod(x.shape[2:]))


def _unknown(channels: ChannelMap, node: Node) -> Segments:
    for value in node.inputs:
        channels.spaces.fix(channels.of(value))
    return channels.spaces.new(_channels(node.output), fixed=True)


_RULES: dict[str, Callable[[ChannelMap, Node], Segments]] = {
    "conv": _convolution,
    "conv_pixels": _convolution,
    "fully_connected": _fully_connected,
    "global_average_pool": _each_alone,
    "clamp": _each_alone,
    "activation": _each_alone,
    "softmax": _each_alone,
    "add": _alike,
    "multiply": _alike,
    "flatten": _flatten,
}
