"""The zoo's graphs as ONNX models."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from ..convert.ir import Graph, Node, Value

OPSET = 13


class _Writer:
    """Nodes and constants of an ONNX graph."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}

    def emit(self, op: str, inputs: Sequence[str], output: str, **attributes) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, data: np.ndarray) -> str:
        self.constants[name] = numpy_helper.from_array(data, name)
        return name

    def name(self, value: Value) -> str:
        return value.name if value.data is None else self.constant(value.name, value.data)

    def conv(self, node: Node) -> None:
        x, weights, bias, *residual = map(self.name, node.inputs)
        a, name = node.attributes, node.output.name
        geometry = {"strides": a["strides"], "pads": a["pads"], "dilations": a["dilations"]}
        clamps = a["min"] > -math.inf
        parts = ["conv"] + ["sum"] * bool(residual) + ["clamp"] * clamps
        names = [f"{name}.{part}" for part in parts[:-1]] + [name]
        y = self.emit("Conv", [x, weights, bias], names.pop(0), group=a["groups"], **geometry)
        if residual:
            y = self.emit("Add", [y, *residual], names.pop(0))
        if clamps:
            low = self.constant("clamp.low", np.float32(a["min"]))
            high = self.constant("clamp.high", np.float32(a["max"]))
            self.emit("Clip", [y, low, high], names.pop(0))

    def activation(self, node: Node) -> None:
        x, name = self.name(node.inputs[0]), node.output.name
        if node.attributes["kind"] == "sigmoid":
            self.emit("Sigmoid", [x], name)
        else:
            self.emit("Mul", [x, self.emit("Sigmoid", [x], f"{name}.gate")], name)

    def multiply(self, node: Node) -> None:
        self.emit("Mul", list(map(self.name, node.inputs)), node.output.name)

    def global_average_pool(self, node: Node) -> None:
        x, name = self.name(node.inputs[0]), node.output.name
        if node.attributes["keep_dims"]:
            self.emit("GlobalAveragePool", [x], name)
        else:
            self.emit("Flatten", [self.emit("GlobalAveragePool", [x], f"{name}.mean")], name)

    def fully_connected(self, node: Node) -> None:
        self.emit("Gemm", list(map(self.name, node.inputs)), node.output.name, transB=1)

    def softmax(self, node: Node) -> None:
        self.emit("Softmax", [self.name(node.inputs[0])], node.output.name, axis=1)


def write(graph: Graph, title: str) -> bytes:
    """Write a graph of the zoo.

    Parameters
    ----------
    graph
        Of `networks`.
    title
        Becomes the model's documentation.

    Returns
    -------
    bytes
        Of the ``.onnx`` file, checked.
    """
    writer = _Writer()
    for node in graph.nodes:
        getattr(writer, node.op)(node)
    for name, value in graph.outputs.items():
        writer.emit("Identity", [value.name], name)
    inputs = [_described(value.name, value) for value in graph.inputs]
    outputs = [_described(name, value) for name, value in graph.outputs.items()]
    constants = list(writer.constants.values())
    body = helper.make_graph(writer.nodes, graph.source, inputs, outputs, constants)
    model = helper.make_model(
        body,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
        producer_name="gossamer",
        doc_string=title,
    )
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def _described(name: str, value: Value) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape)
