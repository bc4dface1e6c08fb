"""What an ONNX model computes from constants alone, computed during conversion."""

from __future__ import annotations

import math

import numpy as np
import onnx
import onnx.reference
import onnx.shape_inference
from onnx import AttributeProto, numpy_helper

from .onnx_node import OnnxNode

# A node is computed here when all that it reads is constant, but for these, and for those with a
# graph inside, whose results are not known before.
RANDOM = {
    "Bernoulli", "Dropout", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
    "RandomUniformLike",
}  # fmt: skip
# The input of which these need no more than the type or the shape.
UNREAD_INPUT = {"CastLike": 1, "Shape": 0, "Size": 0}
MAX_FOLDED_ELEMENTS = 1 << 24
MAX_INFERENCE_ELEMENTS = 1 << 10  # of constants, such as shapes, that say how large results are


def reads_constants(node: OnnxNode) -> bool:
    """Whether a node depends on constants only."""
    operator = node.proto.op_type
    kinds = {attribute.type for attribute in node.proto.attribute}
    if operator in RANDOM or kinds & {AttributeProto.GRAPH, AttributeProto.GRAPHS}:
        return False
    unread = UNREAD_INPUT.get(operator)
    return not any(
        value and (value.shape if position == unread else value.data) is None
        for position, value in enumerate(node.inputs)
    )


def is_small(node: OnnxNode) -> bool:
    """Whether onnx infers, before they are computed, that a node's results are small enough."""
    feeds = _feeds(node)
    if not feeds and node.proto.op_type == "Constant":
        return True
    model = _model_of(node, feeds)
    for name, array in feeds.items():
        if array.size <= MAX_INFERENCE_ELEMENTS:
            model.graph.initializer.append(numpy_helper.from_array(array, name))
    try:
        inferred = onnx.shape_inference.infer_shapes(model).graph
    except Exception:  # onnx says nowhere what it raises; evaluation will say what is wrong
        return all(array.size <= MAX_INFERENCE_ELEMENTS for array in feeds.values())
    tensors = [info.type.tensor_type for info in inferred.output]
    return all(
        tensor.HasField("shape")
        and all(dim.HasField("dim_value") for dim in tensor.shape.dim)
        and math.prod(dim.dim_value for dim in tensor.shape.dim) <= MAX_FOLDED_ELEMENTS
        for tensor in tensors
    )


def evaluate(node: OnnxNode) -> list[np.ndarray]:
    """Compute a node with onnx's reference implementation."""
    feeds = _feeds(node)
    model = _model_of(node, feeds)
    try:
        arrays = onnx.reference.ReferenceEvaluator(model).run(None, feeds)
    except Exception as error:  # onnx says nowhere what a malformed node raises
        shapes = [list(array.shape) for array in feeds.values()]
        node.fail(f"cannot be computed from constants of shapes {shapes}: {error}")
    return [np.asarray(array) for array in arrays]


def _feeds(node: OnnxNode) -> dict[str, np.ndarray]:
    """What a node of constants reads; zeros where it reads a shape or a type only."""
    return {
        name: np.broadcast_to(np.float32(0), value.shape) if value.data is None else value.data
        for name, value in zip(node.proto.input, node.inputs, strict=True)
        if value is not None
    }


def _model_of(node: OnnxNode, feeds: dict[str, np.ndarray]) -> onnx.ModelProto:
    """A model of one node."""
    infos = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for name, array in feeds.items()
    ]
    results = [onnx.ValueInfoProto(name=name) for name in filter(None, node.proto.output)]
    graph = onnx.helper.make_graph([node.proto], "node", infos, results)
    opset = onnx.helper.make_opsetid("", node.opset)
    return onnx.helper.make_model(graph, opset_imports=[opset])
