"""From a graph of real numbers to one that computes with whole ones where it can.

Quantization is a property of tensors: a node runs in int8 when what it reads and computes is
quantized. Between such nodes and others stand "quantize" and "dequantize".
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from . import passes
from .int8_choice import LOOKUPS, MATRICES, MOVING, candidates, prepare, readers_of
from .ir import Graph, Node, Value
from .quantization import LARGEST, Quantization, lookup_table, quantize_weights

_log = logging.getLogger("gossamer.convert.int8")


def quantize_graph(
    graph: Graph, parameters: Mapping[Value, Quantization], nodes: Collection[Node]
) -> Graph:
    """Write a graph anew, with some of its nodes in int8.

    Parameters
    ----------
    graph
        As `passes.optimize` leaves it, and `int8_choice.prepare` then. Not changed.
    parameters
        Of what these nodes read and compute, images behind `conv_pixels`'s normalization excepted.
    nodes
        Of the graph, those to run in int8.

    Returns
    -------
    Graph
        Nodes keep their names. A fully connected layer whose result only other nodes read gives
        real numbers at once.
    """
    return _Rewriting(graph, parameters, set(nodes)).run()


class _Rewriting:
    """`real` and `whole` are the f32 and the u7 tensors that stand for those of the old graph."""

    def __init__(
        self, graph: Graph, parameters: Mapping[Value, Quantization], chosen: set[Node]
    ) -> None:
        self.graph, self.parameters, self.chosen = graph, parameters, chosen
        self.readers = readers_of(graph)
        self.real: dict[Value, Value] = {value: value for value in graph.inputs}
        self.whole: dict[Value, Value] = {}
        self.nodes: list[Node] = []
        self.changed = 0  # output channels whose weights do not fit their scales

    def run(self) -> Graph:
        for node in self.graph.nodes:
            if node in self.chosen:
                self.in_int8(node)
            else:
                self.in_f32(node)
        outputs = {name: self.as_real(value) for name, value in self.graph.outputs.items()}
        result = dataclasses.replace(self.graph, outputs=outputs, nodes=self.nodes)
        passes.fuse(result, passes.merge_activation)
        if self.changed:
            _log.info(
                "%s: %d output channels have weights beyond -127..127 of the source's scales and "
                "are rounded anew, each with a scale of its own",
                *(result.source, self.changed),
            )
        return result

    def emit(self, op: str, name: str, inputs: list[Value], output: Value, **attributes) -> Value:
        self.nodes.append(Node(op, name, op, inputs, output, attributes))
        return output

    def as_real(self, value: Value) -> Value:
        if value.data is not None:
            return value
        if value not in self.real:
            output = Value(value.name, value.shape)
            name = f"{value.name}.dequantize"
            self.real[value] = self.emit("dequantize", name, [self.whole[value]], output)
        return self.real[value]

    def as_whole(self, value: Value) -> Value:
        if value not in self.whole:
            output = self.quantized(f"{value.name}.u7", value, self.parameters[value])
            name = f"{value.name}.quantize"
            self.whole[value] = self.emit("quantize", name, [self.as_real(value)], output)
        return self.whole[value]

    def quantized(self, name: str, value: Value, parameters: Quantization) -> Value:
        scale, zero_point = parameters
        return Value(name, value.shape, dtype="u7", scale=scale, zero_point=zero_point)

    def in_f32(self, node: Node) -> None:
        inputs = [self.as_real(value) for value in node.inputs]
        self.nodes.append(dataclasses.replace(node, inputs=inputs))
        self.real[node.output] = node.output

    def in_int8(self, node: Node) -> None:
        if node.op == "conv_pixels":
            inputs = [self.pixels(node)]
        else:
            inputs = [self.as_whole(value) for value in node.inputs if value.data is None]
        attributes = dict(node.attributes)
        if node.op in MATRICES:
            weights, bias = node.inputs[1:3]
            inputs[1:1] = [self.weights(node, weights), Value(bias.name, bias.shape, bias.data)]
        if node.op == "fully_connected" and self.is_read_as_real(node.output):
            self.real[node.output] = output = node.output
        else:
            output = self.quantized(node.output.name, node.output, self.result(node, inputs[0]))
            self.whole[node.output] = output
        op = "conv" if node.op == "conv_pixels" else node.op
        if node.op in LOOKUPS:
            reads, gives = (Quantization(v.scale, v.zero_point) for v in (inputs[0], output))
            op, attributes = "lookup", {"table": lookup_table(node, reads, gives)}
            if reads == gives and (attributes["table"] == np.arange(LARGEST + 1)).all():
                self.whole[node.output] = inputs[0]  # such as a ReLU of what is not negative
                return
        self.nodes.append(
            Node(op, node.name, node.origin, inputs, output, attributes, node.absorbed)
        )

    def result(self, node: Node, x: Value) -> Quantization:
        if node.op in MOVING:
            return Quantization(x.scale, x.zero_point)
        return self.parameters[node.output]

    def is_read_as_real(self, value: Value) -> bool:
        return not self.chosen.intersection(self.readers.get(value, ()))

    def weights(self, node: Node, value: Value) -> Value:
        found = quantize_weights(value.data, value.scales)
        self.changed += found.changed
        return Value(value.name, value.shape, found.data, value.pattern, "i8", scales=found.scales)

    def pixels(self, node: Node) -> Value:
        """Normalise pixels 0..255 and lay them out as planes."""
        pixels, normalization = node.inputs[0], node.inputs[3]
        images, height, width, channels = pixels.shape
        planes = Value(f"{pixels.name}.u7", (images, channels, height, width))
        parameters = pixel_quantization(normalization.data)
        output = self.quantized(planes.name, planes, parameters)
        inputs = [self.as_real(pixels), normalization]
        return self.emit("quantize_pixels", f"{pixels.name}.quantize", inputs, output)


def pixel_quantization(normalization: np.ndarray) -> Quantization:
    """Spread the numbers over what pixels 0..255 become with a mean and a scale a channel."""
    mean, scale = normalization.astype(np.float64)
    ends = np.stack([(0 - mean) * scale, (255 - mean) * scale])
    return Quantization.of_range(float(ends.min()), float(ends.max()))


def quantize_as_source(graph: Graph) -> Graph:
    """Run in int8 what the source model quantizes, with its ranges in 7 bits.

    Returns
    -------
    Graph
        The same one where the source quantizes no layer with weights.
    """
    if not any(value.bounds for node in graph.nodes for value in (*node.inputs, node.output)):
        return graph
    prepare(graph)
    nodes, parameters = _quantized_in_source(graph)
    if not any(node.op in MATRICES for node in nodes):
        passes.fuse(graph, passes.merge_activation)
        return graph
    _log.info(
        "%s: %d of %d nodes run in int8; activations have 7 bits, over the ranges that the source "
        "quantizes to 8",
        *(graph.source, len(nodes), len(graph.nodes)),
    )
    return quantize_graph(graph, parameters, nodes)


def _quantized_in_source(graph: Graph) -> tuple[list[Node], dict[Value, Quantization]]:
    values = {value for node in graph.nodes for value in (*node.inputs, node.output)}
    known = {value: Quantization.of_range(*value.bounds) for value in values if value.bounds}
    readers, chosen = readers_of(graph), []
    for node in candidates(graph):
        computed = [value for value in node.inputs if value.data is None]
        if node.op != "conv_pixels" and not all(value in known for value in computed):
            continue
        if node.op in MOVING:
            known[node.output] = known[computed[0]]
        elif node.output not in known and (clamp := _implied(readers.get(node.output, ()))):
            known[node.output] = known[clamp.output]
        if node.output in known or node.op == "fully_connected":
            chosen.append(node)
    return chosen, known


def _implied(readers: Sequence[Node]) -> Node | None:
    """Find the one reader of a tensor, where that clamps to the range that it is quantized over."""
    if len(readers) != 1 or readers[0].op != "clamp" or not readers[0].output.bounds:
        return None
    (low, high), clamp = readers[0].output.bounds, readers[0].attributes
    return readers[0] if clamp["min"] <= low and high <= clamp["max"] else None
