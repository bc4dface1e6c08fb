"""One function for each ONNX operator: from a node to the graph of `ir`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from onnx import TensorProto

from .ir import Value, no_clamp
from .onnx_node import MISSING, NodeReader, Unsupported, type_name

MAX_CONV_ATTRIBUTE = 1 << 15


def _spatial(
    node: NodeReader, name: str, count: int, smallest: int, default: object
) -> tuple[int, ...]:
    """An attribute with one number for each axis of the image, or two for `pads`."""
    numbers = node.integers(name, default)
    if len(numbers) != count:
        node.fail(f"attribute '{name}': {count} numbers expected, found {list(numbers)}")
    if not all(smallest <= number <= MAX_CONV_ATTRIBUTE for number in numbers):
        raise Unsupported(f"{name} {list(numbers)}; {smallest} to {MAX_CONV_ATTRIBUTE} expected")
    return numbers


def _auto_pads(
    mode: str, size: Sequence[int], reach: Sequence[int], strides: Sequence[int]
) -> tuple[int, ...]:
    """Padding (top, left, bottom, right) by ONNX's rule for SAME_UPPER and SAME_LOWER."""
    totals = [
        max((-(-pixels // stride) - 1) * stride + taps - pixels, 0)
        for pixels, taps, stride in zip(size, reach, strides, strict=True)
    ]
    small, large = [total // 2 for total in totals], [-(-total // 2) for total in totals]
    return (*small, *large) if mode == "SAME_UPPER" else (*large, *small)


def _window(
    node: NodeReader, size: Sequence[int], kernel: Sequence[int]
) -> tuple[dict[str, tuple[int, ...]], tuple[int, ...]]:
    """Strides, pads and dilations of a window that slides over an image, and the output's size."""
    strides = _spatial(node, "strides", 2, 1, (1, 1))
    dilations = _spatial(node, "dilations", 2, 1, (1, 1))
    pads = _spatial(node, "pads", 4, 0, (0, 0, 0, 0))
    reach = [(taps - 1) * dilation + 1 for taps, dilation in zip(kernel, dilations, strict=True)]
    mode = node.text("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        pads = _auto_pads(mode, size, reach, strides)
    elif mode == "VALID":
        pads = (0, 0, 0, 0)
    elif mode != "NOTSET":
        node.fail(f"auto_pad NOTSET, VALID, SAME_UPPER or SAME_LOWER expected, found {mode!r}")
    room = [size[axis] + pads[axis] + pads[axis + 2] - reach[axis] for axis in (0, 1)]
    if min(room) < 0:
        node.fail(f"a window of {reach} does not fit into {list(size)} with padding {list(pads)}")
    output = tuple(free // stride + 1 for free, stride in zip(room, strides, strict=True))
    return {"strides": strides, "dilations": dilations, "pads": pads}, output


def _conv(node: NodeReader) -> Value:
    x, weights = node.computed(0, 4), node.weights(1, 4)
    groups, kernel = node.integer("group", 1), weights.shape[2:]
    if node.integers("kernel_shape", kernel) != kernel:
        node.fail(f"attribute 'kernel_shape' {list(kernel)}, as of '{weights.name}', expected")
    geometry, size = _window(node, x.shape[2:], kernel)
    channels, outputs = x.shape[1], weights.shape[0]
    if groups < 1 or weights.shape[1] * groups != channels or outputs % groups:
        node.fail(
            f"'{weights.name}' {list(weights.shape)} in {groups} groups does not fit "
            f"the {channels} channels of '{x.name}'"
        )
    if groups not in (1, channels):
        raise Unsupported(f"{groups} groups for {channels} channels; 1 or one a channel expected")
    if node.has(2):
        node.channels(2, outputs)
    bias = node.value(2) if node.has(2) else node.own_constant("bias", np.zeros(outputs))
    shape = (x.shape[0], outputs, *size)
    return node.emit("conv", [x, weights, bias], shape, groups=groups, **geometry, **no_clamp())


def _fully_connected(
    node: NodeReader, x: Value, weights: np.ndarray, name: str, bias: np.ndarray
) -> Value:
    """Emit x (N,C) times weights (M,C) plus bias (M)."""
    if x.shape[1] != weights.shape[1]:
        node.fail(f"weights '{name}' for {x.shape[1]} channels expected, found {weights.shape[1]}")
    data = np.ascontiguousarray(weights, dtype=np.float32)
    inputs = [x, Value(name, data.shape, data), node.own_constant("bias", bias)]
    return node.emit("fully_connected", inputs, (x.shape[0], len(data)), **no_clamp())


def _gemm(node: NodeReader) -> Value:
    x, weights = node.computed(0, 2), node.weights(1, 2)
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    if node.integer("transA", 0):
        raise Unsupported("transA 1; 0 expected")
    matrix = weights.data if node.integer("transB", 0) else weights.data.T
    bias = np.zeros(len(matrix))
    if node.has(2):
        bias = bias + beta * _per_channel(node, 2, (x.shape[0], len(matrix)))
    if alpha != 1:
        matrix = matrix * np.float64(alpha)
    return _fully_connected(node, x, matrix, weights.name, bias)


def _mat_mul(node: NodeReader) -> Value:
    x, weights = node.computed(0, 2), node.weights(1, 2)
    return _fully_connected(node, x, weights.data.T, weights.name, np.zeros(weights.shape[1]))


def _per_channel(node: NodeReader, position: int, shape: tuple[int, ...]) -> np.ndarray:
    """A constant that broadcasts to `shape` and varies along axis 1 only, as (C) in f64."""
    data = node.weights(position).data.astype(np.float64)
    aligned = (1,) * (len(shape) - data.ndim) + data.shape
    channels = shape[1] if len(shape) > 1 else 1
    if len(aligned) != len(shape) or any(
        size != 1 and (axis != 1 or size != channels) for axis, size in enumerate(aligned)
    ):
        raise Unsupported(
            f"a constant {list(data.shape)} with {list(shape)}; one number, or one a channel, "
            f"expected"
        )
    return np.broadcast_to(data.ravel(), channels).copy()


def _scale_shift(node: NodeReader, x: Value, scale: np.ndarray, shift: np.ndarray) -> Value:
    return node.emit("scale_shift", [x], x.shape, scale=scale, shift=shift)


def _batch_normalization(node: NodeReader) -> Value:
    x = node.computed(0, 2, 4)
    if node.integer("training_mode", 0) or len([name for name in node.proto.output if name]) > 1:
        raise Unsupported("training mode; call model.eval() before the export")
    node.ignore("momentum")
    if node.integer("spatial", 1) != 1:
        raise Unsupported("spatial 0; 1 expected")
    scale, bias, mean, variance = (node.channels(position, x.shape[1]) for position in range(1, 5))
    scale = scale / np.sqrt(variance + node.number("epsilon", 1e-5))
    return _scale_shift(node, x, scale, bias - mean * scale)


def _add(node: NodeReader) -> Value:
    a, b = node.value(0), node.value(1)
    if a.data is None and b.data is None:
        if a.shape != b.shape:
            shapes = f"{list(a.shape)} and {list(b.shape)}"
            raise Unsupported(f"shapes {shapes}; twice the same expected")
        return node.emit("add", [a, b], a.shape, **no_clamp())
    x, constant = (a, 1) if a.data is None else (b, 0)
    shift = _per_channel(node, constant, x.shape)
    return _scale_shift(node, x, np.ones_like(shift), shift)


def _subtract(node: NodeReader) -> Value:
    if node.value(0).data is None:
        x = node.computed(0)
        shift = -_per_channel(node, 1, x.shape)
        return _scale_shift(node, x, np.ones_like(shift), shift)
    x = node.computed(1)
    shift = _per_channel(node, 0, x.shape)
    return _scale_shift(node, x, -np.ones_like(shift), shift)


def _multiply(node: NodeReader) -> Value:
    a, b = node.value(0), node.value(1)
    if a.data is None and b.data is None:
        a, b = node.computed(0), node.computed(1)
        if b.shape != a.shape and a.shape[2:] == (1, 1):
            a, b = b, a  # the factors are the second
        if b.shape not in (a.shape, (*a.shape[:2], 1, 1)) or len(a.shape) != len(b.shape):
            shapes = f"{list(a.shape)} and {list(b.shape)}"
            raise Unsupported(f"shapes {shapes}; twice the same, or one number a channel, expected")
        return node.emit("multiply", [a, b], a.shape)
    constant = 0 if node.value(0).data is not None else 1
    x = node.computed(1 - constant)
    scale = _per_channel(node, constant, x.shape)
    return _scale_shift(node, x, scale, np.zeros_like(scale))


def _sigmoid(node: NodeReader) -> Value:
    x = node.computed(0)
    return node.emit("activation", [x], x.shape, kind="sigmoid")


def _divide(node: NodeReader) -> Value:
    x = node.computed(0)
    scale = 1 / _per_channel(node, 1, x.shape)
    return _scale_shift(node, x, scale, np.zeros_like(scale))


def _clamp(node: NodeReader, low: float, high: float) -> Value:
    x = node.computed(0)
    if math.isnan(low) or math.isnan(high):
        node.fail(f"numbers as bounds expected, found {low} and {high}")
    return node.emit("clamp", [x], x.shape, min=min(low, high), max=high)


def _relu(node: NodeReader) -> Value:
    return _clamp(node, 0.0, math.inf)


def _clip(node: NodeReader) -> Value:
    if node.opset < 11:
        return _clamp(node, node.number("min", -math.inf), node.number("max", math.inf))
    return _clamp(node, node.scalar(1, -math.inf), node.scalar(2, math.inf))


def _global_average_pool(node: NodeReader) -> Value:
    x = node.computed(0, 4)
    return node.emit("global_average_pool", [x], (*x.shape[:2], 1, 1), keep_dims=True)


def _average_pool(node: NodeReader) -> Value:
    x = node.computed(0, 4)
    kernel = _spatial(node, "kernel_shape", 2, 1, MISSING)
    geometry, size = _window(node, x.shape[2:], kernel)
    node.ignore("count_include_pad", "ceil_mode")  # they change nothing for the whole image
    if kernel != x.shape[2:] or size != (1, 1) or any(geometry["pads"]):
        image = list(x.shape[2:])
        raise Unsupported(f"a window {list(kernel)} over {image}; the whole image expected")
    return node.emit("global_average_pool", [x], (*x.shape[:2], 1, 1), keep_dims=True)


def _reduce_mean(node: NodeReader) -> Value:
    x = node.computed(0, 4)
    axes, keep_dims = node.axes() or (), bool(node.integer("keepdims", 1))
    node.ignore("noop_with_empty_axes")
    if {node.axis(axis, 4) for axis in axes} != {2, 3}:
        raise Unsupported(f"axes {list(axes)}; the image's, [2, 3], expected")
    shape = (*x.shape[:2], 1, 1) if keep_dims else x.shape[:2]
    return node.emit("global_average_pool", [x], shape, keep_dims=keep_dims)


def _softmax(node: NodeReader) -> Value:
    x = node.computed(0, 2)
    axis = node.axis(node.integer("axis", 1 if node.opset < 13 else -1), 2)
    if axis != 1:
        raise Unsupported("axis 0; the classes' axis, 1, expected")
    return node.emit("softmax", [x], x.shape)


def _reshape_to(node: NodeReader, x: Value, shape: Sequence[int]) -> Value:
    if math.prod(shape) != math.prod(x.shape):
        node.fail(
            f"'{x.name}' {list(x.shape)} does not fit into {list(shape)}, "
            f"which may have been exported for another batch"
        )
    return x if tuple(shape) == x.shape else node.emit("reshape", [x], shape)


def _reshape(node: NodeReader) -> Value:
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
    return _reshape_to(node, x, shape)


def _flatten(node: NodeReader) -> Value:
    x, axis = node.computed(0), node.integer("axis", 1)
    axis = axis if axis == len(x.shape) else node.axis(axis, len(x.shape))
    return _reshape_to(node, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def _squeeze(node: NodeReader) -> Value:
    x = node.computed(0)
    axes = node.axes()
    if axes is None:
        axes = [axis for axis, size in enumerate(x.shape) if size == 1]
    dropped = {node.axis(axis, len(x.shape)) for axis in axes}
    return _reshape_to(node, x, [size for axis, size in enumerate(x.shape) if axis not in dropped])


def _unsqueeze(node: NodeReader) -> Value:
    x = node.computed(0)
    axes = node.axes()
    if axes is None:
        node.fail("axes expected, found none")
    shape = list(x.shape)
    for axis in sorted(node.axis(axis, len(x.shape) + len(axes)) for axis in axes):
        shape.insert(axis, 1)
    return _reshape_to(node, x, shape)


def _pad(node: NodeReader) -> Value:
    x, mode = node.computed(0, 4), node.text("mode", "constant")
    pads = node.integers("pads") if node.opset < 11 else node.sizes(1)
    fill = node.number("value", 0.0) if node.opset < 11 else node.scalar(2, 0.0)
    if node.has(3):
        raise Unsupported("padding of chosen axes; all four expected")
    if len(pads) != 8:
        node.fail(f"8 pads expected, found {list(pads)}")
    if mode != "constant" or fill != 0 or any(pads[:2] + pads[4:6]) or min(pads) < 0:
        raise Unsupported(f"{mode} {fill:g}, pads {list(pads)}; zeros around the image expected")
    top, left, bottom, right = pads[2], pads[3], pads[6], pads[7]
    if not any(pads):
        return x
    shape = (*x.shape[:2], x.shape[2] + top + bottom, x.shape[3] + left + right)
    return node.emit("pad", [x], shape, pads=(top, left, bottom, right))


def _identity(node: NodeReader) -> Value:
    return node.value(0)


def _dropout(node: NodeReader) -> Value:
    node.ignore("ratio", "seed")
    if node.scalar(2, 0.0):
        raise Unsupported("training mode; call model.eval() before the export")
    return node.computed(0)


def _cast(node: NodeReader) -> Value:
    node.ignore("saturate", "round_mode")
    if (to := node.integer("to")) != TensorProto.FLOAT:
        raise Unsupported(f"to {type_name(to)}; FLOAT expected")
    return node.computed(0)


OPERATORS: dict[str, Callable[[NodeReader], Value]] = {
    "Add": _add,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "Clip": _clip,
    "Conv": _conv,
    "Div": _divide,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average_pool,
    "Identity": _identity,
    "MatMul": _mat_mul,
    "Mul": _multiply,
    "Pad": _pad,
    "ReduceMean": _reduce_mean,
    "Relu": _relu,
    "Reshape": _reshape,
    "Sigmoid": _sigmoid,
    "Softmax": _softmax,
    "Squeeze": _squeeze,
    "Sub": _subtract,
    "Unsqueeze": _unsqueeze,
}
