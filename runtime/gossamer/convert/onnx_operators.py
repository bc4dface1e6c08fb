"""One function for each ONNX operator: from a node to the graph of `ir`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from onnx import TensorProto

from .ir import Value, no_clamp
from .node_reader import Unsupported
from .onnx_node import MISSING, OnnxNode, type_name
from .operators import (
    MAX_CONV_ATTRIBUTE,
    add,
    average_pool,
    clamp,
    conv,
    divide,
    fully_connected,
    mean,
    multiply,
    output_size,
    pad,
    per_channel,
    relu,
    reshape_to,
    same_pads,
    scale_shift,
    sigmoid,
    subtract,
)


def _spatial(
    node: OnnxNode, name: str, count: int, smallest: int, default: object
) -> tuple[int, ...]:
    """An attribute with one number for each axis of the image, or two for `pads`."""
    numbers = node.integers(name, default)
    if len(numbers) != count:
        node.fail(f"attribute '{name}': {count} numbers expected, found {list(numbers)}")
    if not all(smallest <= number <= MAX_CONV_ATTRIBUTE for number in numbers):
        raise Unsupported(f"{name} {list(numbers)}; {smallest} to {MAX_CONV_ATTRIBUTE} expected")
    return numbers


def _window(
    node: OnnxNode, size: Sequence[int], kernel: Sequence[int]
) -> tuple[dict[str, tuple[int, ...]], tuple[int, ...]]:
    """Strides, pads and dilations of a window that slides over an image, and the output's size."""
    strides = _spatial(node, "strides", 2, 1, (1, 1))
    dilations = _spatial(node, "dilations", 2, 1, (1, 1))
    pads = _spatial(node, "pads", 4, 0, (0, 0, 0, 0))
    reach = [(taps - 1) * dilation + 1 for taps, dilation in zip(kernel, dilations, strict=True)]
    mode = node.text("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        pads = same_pads(size, reach, strides, upper=mode == "SAME_UPPER")
    elif mode == "VALID":
        pads = (0, 0, 0, 0)
    elif mode != "NOTSET":
        node.fail(f"auto_pad NOTSET, VALID, SAME_UPPER or SAME_LOWER expected, found {mode!r}")
    output = output_size(node, size, reach, strides, pads)
    return {"strides": strides, "dilations": dilations, "pads": pads}, output


def _conv(node: OnnxNode) -> Value:
    x, weights = node.computed(0, 4), node.weights(1, 4)
    groups, kernel = node.integer("group", 1), weights.shape[2:]
    if node.integers("kernel_shape", kernel) != kernel:
        node.fail(f"attribute 'kernel_shape' {list(kernel)}, as of '{weights.name}', expected")
    geometry, size = _window(node, x.shape[2:], kernel)
    if node.has(2):
        node.channels(2, weights.shape[0])
    bias = node.value(2) if node.has(2) else None
    return conv(node, weights, bias, groups, size, geometry)


def _gemm(node: OnnxNode) -> Value:
    x, weights = node.computed(0, 2), node.weights(1, 2)
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    if node.integer("transA", 0):
        raise Unsupported("transA 1; 0 expected")
    matrix = weights.data if node.integer("transB", 0) else weights.data.T
    bias = np.zeros(len(matrix))
    if node.has(2):
        bias = bias + beta * per_channel(node, 2, (x.shape[0], len(matrix)))
    if alpha != 1:
        matrix = matrix * np.float64(alpha)
    return fully_connected(node, x, matrix, weights.name, bias)


def _mat_mul(node: OnnxNode) -> Value:
    x, weights = node.computed(0, 2), node.weights(1, 2)
    return fully_connected(node, x, weights.data.T, weights.name, np.zeros(weights.shape[1]))


def _batch_normalization(node: OnnxNode) -> Value:
    x = node.computed(0, 2, 4)
    if node.integer("training_mode", 0) or len([name for name in node.proto.output if name]) > 1:
        raise Unsupported("training mode; call model.eval() before the export")
    node.ignore("momentum")
    if node.integer("spatial", 1) != 1:
        raise Unsupported("spatial 0; 1 expected")
    scale, bias, mean, variance = (node.channels(position, x.shape[1]) for position in range(1, 5))
    scale = scale / np.sqrt(variance + node.number("epsilon", 1e-5))
    return scale_shift(node, x, scale, bias - mean * scale)


def _clip(node: OnnxNode) -> Value:
    if node.opset < 11:
        return clamp(node, node.number("min", -math.inf), node.number("max", math.inf))
    return clamp(node, node.scalar(1, -math.inf), node.scalar(2, math.inf))


def _global_average_pool(node: OnnxNode) -> Value:
    x = node.computed(0, 4)
    return node.emit("global_average_pool", [x], (*x.shape[:2], 1, 1), keep_dims=True)


def _average_pool(node: OnnxNode) -> Value:
    x = node.computed(0, 4)
    kernel = _spatial(node, "kernel_shape", 2, 1, MISSING)
    geometry, size = _window(node, x.shape[2:], kernel)
    node.ignore("count_include_pad", "ceil_mode")  # they change nothing for the whole image
    return average_pool(node, kernel, size, geometry["pads"])


def _reduce_mean(node: OnnxNode) -> Value:
    axes, keep_dims = node.axes() or (), bool(node.integer("keepdims", 1))
    node.ignore("noop_with_empty_axes")
    return mean(node, axes, keep_dims)


def _softmax(node: OnnxNode) -> Value:
    x = node.computed(0, 2)
    axis = node.axis(node.integer("axis", 1 if node.opset < 13 else -1), 2)
    if axis != 1:
        raise Unsupported("axis 0; the classes' axis, 1, expected")
    return node.emit("softmax", [x], x.shape)


def _reshape(node: OnnxNode) -> Value:
    x, shape = node.computed(0), list(node.sizes(1))
    if not node.integer("allowzero", 0):
        if any(size == 0 and axis >= len(x.shape) for axis, size in enumerate(shape)):
            node.fail(f"shape {shape} copies a dimension that {list(x.shape)} lacks")
        shape = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    if shape.count(-1) == 1:
        rest = math.prod(size for size in shape if size != -1)
        shape[shape.index(-1)] = math.prod(x.shape) // rest if rest else 0
    if any(size < 1 for size in shape):
        node.fail(f"shape {shape}: sizes of at least 1, and one -1, expected")
    return reshape_to(node, x, shape)


def _flatten(node: OnnxNode) -> Value:
    x, axis = node.computed(0), node.integer("axis", 1)
    axis = axis if axis == len(x.shape) else node.axis(axis, len(x.shape))
    return reshape_to(node, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def _squeeze(node: OnnxNode) -> Value:
    x = node.computed(0)
    axes = node.axes()
    if axes is None:
        axes = [axis for axis, size in enumerate(x.shape) if size == 1]
    dropped = {node.axis(axis, len(x.shape)) for axis in axes}
    return reshape_to(node, x, [size for axis, size in enumerate(x.shape) if axis not in dropped])


def _unsqueeze(node: OnnxNode) -> Value:
    x = node.computed(0)
    axes = node.axes()
    if axes is None:
        node.fail("axes expected, found none")
    shape = list(x.shape)
    for axis in sorted(node.axis(axis, len(x.shape) + len(axes)) for axis in axes):
        shape.insert(axis, 1)
    return reshape_to(node, x, shape)


def _pad(node: OnnxNode) -> Value:
    mode = node.text("mode", "constant")
    pads = node.integers("pads") if node.opset < 11 else node.sizes(1)
    fill = node.number("value", 0.0) if node.opset < 11 else node.scalar(2, 0.0)
    if node.has(3):
        raise Unsupported("padding of chosen axes; all four expected")
    if len(pads) != 8:
        node.fail(f"8 pads expected, found {list(pads)}")
    if mode != "constant" or fill != 0 or any(pads[:2] + pads[4:6]) or min(pads) < 0:
        raise Unsupported(f"{mode} {fill:g}, pads {list(pads)}; zeros around the image expected")
    return pad(node, (*pads[2:4], *pads[6:8]))


def _identity(node: OnnxNode) -> Value:
    return node.value(0)


def _dropout(node: OnnxNode) -> Value:
    node.ignore("ratio", "seed")
    if node.scalar(2, 0.0):
        raise Unsupported("training mode; call model.eval() before the export")
    return node.computed(0)


def _cast(node: OnnxNode) -> Value:
    node.ignore("saturate", "round_mode")
    if (to := node.integer("to")) != TensorProto.FLOAT:
        raise Unsupported(f"to {type_name(to)}; FLOAT expected")
    return node.computed(0)


OPERATORS: dict[str, Callable[[OnnxNode], Value]] = {
    "Add": add,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "Clip": _clip,
    "Conv": _conv,
    "Div": divide,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average_pool,
    "Identity": _identity,
    "MatMul": _mat_mul,
    "Mul": multiply,
    "Pad": _pad,
    "ReduceMean": _reduce_mean,
    "Relu": relu,
    "Reshape": _reshape,
    "Sigmoid": sigmoid,
    "Softmax": _softmax,
    "Squeeze": _squeeze,
    "Sub": subtract,
    "Unsqueeze": _unsqueeze,
}
