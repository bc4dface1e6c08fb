"""The function of each ONNX operator: from a node to the graph of `ir`."""

from __future__ import annotations

from collections.abc import Callable

from . import (
    onnx_arithmetic,
    onnx_layers,
    onnx_matrices,
    onnx_normalization,
    onnx_places,
    onnx_shapes,
)
from .ir import Value
from .onnx_node import OnnxNode
from .onnx_quantization import dequantize_linear, quantize_linear
from .onnx_resize import resize_node, upsample

# Operators with several outputs give a list.
OPERATORS: dict[str, Callable[[OnnxNode], Value | list[Value]]] = {
    **onnx_arithmetic.OPERATORS,
    **onnx_layers.OPERATORS,
    **onnx_matrices.OPERATORS,
    **onnx_normalization.OPERATORS,
    **onnx_places.OPERATORS,
    **onnx_shapes.OPERATORS,
    "DequantizeLinear": dequantize_linear,
    "QuantizeLinear": quantize_linear,
    "Resize": resize_node,
    "Upsample": upsample,
}
