"""Which channels of a converted network move together, and moving them.

A network computes the same when the output channels of a layer change places, as long as all that
reads them follows: the input channels of later layers, depthwise filters, gates, what is added.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

import numpy as np

from ..convert.ir import Graph, Node, Value
from .spaces import Segments, Spaces, concatenated, repeated


class ChannelMap:
    """What the channels of a graph, as `passes.optimize` leaves it, run over.

    Inputs and outputs keep their order, and so does what operators touch that are not known here.

    Parameters
    ----------
    graph
        Weights that two nodes share make their channels move alike.
    loose
        Names of nodes whose output channels may move whatever reads them: a `take` behind each puts
        them back into their order.

    Attributes
    ----------
    spaces
        Of channels that move together.
    """

    def __init__(self, graph: Graph, loose: Collection[str] = ()) -> None:
        self.spaces = Spaces()
        self._graph = graph
        self._loose: dict[Node, Segments] = {}
        self._values: dict[Value, Segments] = {}  # axis 1 of what is computed
        self._axes: dict[Value, dict[int, Segments]] = {}  # of constants
        for value in graph.inputs:
            self._values[value] = self.spaces.new(_channels(value), fixed=True)
        for node in graph.nodes:
            outputs = _RULES.get(node.op, _unknown)(self, node)
            if node.name in loose:
                self._loose[node] = outputs
                outputs = self.spaces.new(_channels(node.output), fixed=True)
            self._values[node.output] = outputs
        for value in graph.outputs.values():
            self.spaces.fix(self._values[value])

    def axes(self, weights: Value) -> tuple[Segments, Segments]:
        """What the output and the input channels of a layer's weights run over."""
        return self._axes[weights][0], self._axes[weights][1]

    def reorder(self, orders: Sequence[np.ndarray]) -> list[str]:
        """Move channels in every constant of the graph, in place; put back those of loose nodes.

        Parameters
        ----------
        orders
            For each space the old number of the channel that becomes number i; the entry of its
            `Spaces.root` is taken.

        Returns
        -------
        list of str
            Names of the loose nodes that had to be put back.
        """
        for value, axes in self._axes.items():
            for axis, segments in axes.items():
                places = self.spaces.places(segments, orders)
                value.data = np.ascontiguousarray(value.data.take(places, axis))
        places = {node: self.spaces.places(axis, orders) for node, axis in self._loose.items()}
        moved = [node for node, of in places.items() if (np.diff(of) != 1).any()]
        for node in moved:
            _put_back(self._graph, node, places[node])
        return [node.name for node in moved]

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


def _put_back(graph: Graph, node: Node, places: np.ndarray) -> None:
    """Give a node's channels behind it the order in which they were, at `places`, before."""
    output = node.output
    node.output = Value(f"{output.name}.moved", output.shape)
    back = np.argsort(places).astype(np.float32)
    table = Value(f"{output.name}.places", back.shape, back)
    take = Node(
        "take", f"{node.name}.back", "take", [node.output, table], output, {"axis": 1, "fill": 0.0}
    )
    graph.nodes.insert(graph.nodes.index(node) + 1, take)


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


def _concat(channels: ChannelMap, node: Node) -> Segments:
    return concatenated(channels.of(value) for value in node.inputs)


def _slice(channels: ChannelMap, node: Node) -> Segments:
    """Take whole spaces; what a slice cuts in two does not move."""
    first, end = node.attributes["first"], node.attributes["first"] + node.attributes["count"]
    taken, begin, cut = [], 0, False
    for segment in channels.of(node.inputs[0]):
        behind = begin + channels.spaces.sizes[segment.space] * segment.repeat
        if first <= begin and behind <= end:
            taken.append(segment)
        elif begin < end and first < behind:
            cut = True
        begin = behind
    return _unknown(channels, node) if cut else tuple(taken)


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
    "max_pool": _each_alone,
    "average_pool": _each_alone,
    "clamp": _each_alone,
    "activation": _each_alone,
    "leaky_relu": _each_alone,
    "softmax": _each_alone,
    "add": _alike,
    "multiply": _alike,
    "flatten": _flatten,
    "concat": _concat,
    "slice": _slice,
}
