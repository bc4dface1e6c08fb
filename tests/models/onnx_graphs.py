"""ONNX models built node by node, in the style of the exporters."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

IR_VERSION = 8  # old enough for every onnxruntime


class GraphBuilder:
    """Collects nodes; `model` gives the ModelProto.

    Inputs are f32 unless `dtype` says otherwise; a dimension that is a text is left open.
    """

    def __init__(self, opset=17, dtype=TensorProto.FLOAT, **inputs):
        self.opset = opset
        self.inputs = [
            helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()
        ]
        self.initializers, self.nodes = [], []
        self.random = np.random.default_rng(opset)

    def constant(self, values, dtype=np.float32, name=None):
        """An initializer; returns its name."""
        name = name or f"constant_{len(self.initializers)}"
        array = np.asarray(values, dtype)
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def integers(self, *values):
        return self.constant(values, np.int64)

    def weights(self, *shape, scale=0.5, zeros=0.0):
        """Random weights, some of them zero."""
        values = self.random.normal(scale=scale, size=shape)
        return self.constant(values * (self.random.random(shape) >= zeros))

    def node(self, op, *inputs, name=None, domain="", output=None, **attributes):
        """A node with one output; returns the output's name."""
        number = len(self.nodes)
        output = output or f"value_{number}"
        name = f"{op}_{number}" if name is None else name
        self.nodes.append(
            helper.make_node(op, inputs, [output], name=name, domain=domain, **attributes)
        )
        return output

    def conv(self, x, outputs, channels, kernel=1, **attributes):
        """A convolution with bias and padding that keeps the size at stride 1."""
        weights = self.weights(outputs, channels, kernel, kernel)
        attributes.setdefault("pads", [kernel // 2] * 4)
        return self.node("Conv", x, weights, self.weights(outputs), **attributes)

    def batch_norm(self, x, channels, **attributes):
        statistics = [
            self.constant(self.random.uniform(*bounds, channels))
            for bounds in ((0.5, 2), (-0.5, 0.5), (-0.5, 0.5), (0.2, 3))
        ]
        return self.node("BatchNormalization", x, *statistics, **attributes)

    def relu6(self, x):
        if self.opset < 11:
            return self.node("Clip", x, min=0.0, max=6.0)
        return self.node("Clip", x, self.constant(0), self.constant(6))

    def mean(self, x, keepdims):
        if self.opset < 18:
            return self.node("ReduceMean", x, axes=[2, 3], keepdims=keepdims)
        return self.node("ReduceMean", x, self.integers(2, 3), keepdims=keepdims)

    def model(self, *outputs):
        infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "graph", self.inputs, infos, self.initializers)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("other", 1)]
        return helper.make_model(graph, ir_version=IR_VERSION, opset_imports=opsets)


def mobilenet(opset, head="flatten", size=16):
    """Blocks of MobileNet-v1 and v2, with batch norms: image (batch,3,size,size) -> (batch,5)."""
    g = GraphBuilder(opset, image=["batch", 3, size, size])
    x = g.relu6(g.batch_norm(g.conv("image", 8, 3, 3, strides=[2, 2]), 8))
    x = g.node("Relu", g.batch_norm(g.conv(x, 8, 1, 3, group=8), 8))
    short = g.batch_norm(g.conv(x, 12, 8), 12)
    x = g.relu6(g.batch_norm(g.conv(short, 24, 12), 24))
    x = g.relu6(g.batch_norm(g.conv(x, 24, 1, 3, group=24), 24))
    x = g.node("Add", short, g.batch_norm(g.conv(x, 12, 24), 12))
    if head == "flatten":
        x = g.node("Flatten", g.node("GlobalAveragePool", x))
    elif head == "mean":
        x = g.mean(x, 0)
    else:
        x = g.node("Reshape", g.mean(x, 1), g.integers(0, -1))
    x = g.node("Gemm", x, g.weights(5, 12), g.weights(5), transB=1)
    g.node("Softmax", x, axis=1, output="probabilities")
    return g.model("probabilities")


def save(model, path, external=False):
    """Write a model; `external` puts every tensor into ``weights.bin`` beside it."""
    onnx.save(
        model,
        path,
        save_as_external_data=external,
        location="weights.bin" if external else None,
        size_threshold=0,
    )
    return path
