"""ONNX's normalizations: from a node to the graph of `ir`."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .arithmetic import (
    binary,
    log_sum_exp,
    product_of,
    reduce,
    scale_shift,
    softmax,
    sum_of,
    unary,
    with_constant,
)
from .ir import Value
from .moves import reshape_to
from .node_reader import Unsupported
from .onnx_node import OnnxNode
from .operators import group_norm, layer_norm, matrix_times


def _batch_normalization(node: OnnxNode) -> Value:
    x = node.computed(0)
    if len(x.shape) < 2:
        raise Unsupported(f"rank {len(x.shape)}; at least 2 expected")
    if node.integer("training_mode", 0) or len([name for name in node.proto.output if name]) > 1:
        raise Unsupported("training mode; call model.eval() before the export")
    node.ignore("momentum")
    if node.integer("spatial", 1) != 1:
        raise Unsupported("spatial 0; 1 expected")
    epsilon = node.number("epsilon", 1e-5)
    if any(node.value(position).data is None for position in range(1, 5)):
        return _by_computed_statistics(node, x, epsilon)
    scale, bias, mean, variance = (node.channels(position, x.shape[1]) for position in range(1, 5))
    scale = scale / np.sqrt(variance + epsilon)
    return scale_shift(node, x, scale, bias - mean * scale)


def _by_computed_statistics(node: OnnxNode, x: Value, epsilon: float) -> Value:
    shape = (x.shape[1], *[1] * (len(x.shape) - 2))
    scale, bias, mean, variance = (_along(node, position, shape) for position in range(1, 5))
    tiny = node.own_constant("epsilon", epsilon)
    deviation = unary_of(node, "sqrt", binary(node, "add", variance, tiny))
    normal = binary(node, "div", binary(node, "sub", x, mean), deviation)
    return binary(node, "add", binary(node, "mul", normal, scale), bias)


def unary_of(node: OnnxNode, kind: str, x: Value) -> Value:
    """Emit a function of x, which may be constant: then as a tensor that is computed."""
    if x.data is not None:
        raise Unsupported("some statistics are constant and others computed; one kind expected")
    return unary(node, kind, x)


def _along(node: OnnxNode, position: int, shape: tuple[int, ...]) -> Value:
    value = node.operand(position)
    if value.data is None:
        return reshape_to(node, value, shape)
    if value.data.size != math.prod(shape):
        node.fail(f"'{value.name}' of {math.prod(shape)} numbers expected")
    return Value(value.name, shape, value.data.reshape(shape))


def _layer_normalization(node: OnnxNode) -> list[Value]:
    x = node.computed(0)
    axis = node.axis(node.integer("axis", -1), len(x.shape))
    epsilon = node.number("epsilon", 1e-5)
    node.ignore("stash_type")
    positions = [position for position in (1, 2) if node.has(position)]
    shape = x.shape[axis:]
    if all(node.value(p).data is not None and node.value(p).shape == shape for p in positions):
        count = math.prod(shape)
        scale = node.weights(1).data.reshape(count)
        bias = node.weights(2).data.reshape(count) if node.has(2) else np.zeros(count)
        constants = [node.own_constant("scale", scale), node.own_constant("bias", bias)]
        y = layer_norm(node, x, axis, epsilon, constants)
    else:
        y = layer_norm(node, x, axis, epsilon)
        y = binary(node, "mul", y, node.operand(1))
        y = binary(node, "add", y, node.operand(2)) if node.has(2) else y
    read = any(node.proto.output[1:])
    return [y, *_statistics(node, x, axis, epsilon)] if read else [y]


def _statistics(node: OnnxNode, x: Value, axis: int, epsilon: float) -> tuple[Value, Value]:
    """The mean of all axes from one on, and 1 by the standard deviation."""
    axes = range(axis, len(x.shape))
    average = reduce(node, "mean", x, axes, keep_dims=True)
    distance = binary(node, "sub", x, average)
    variance = reduce(node, "mean", product_of(node, distance, distance), axes, keep_dims=True)
    tiny = node.own_constant("epsilon", epsilon)
    deviation = unary(node, "sqrt", binary(node, "add", variance, tiny))
    return average, unary(node, "reciprocal", deviation)


def _rms_normalization(node: OnnxNode) -> Value:
    x = node.computed(0)
    axis = node.axis(node.integer("axis", -1), len(x.shape))
    epsilon = node.number("epsilon", 1e-5)
    node.ignore("stash_type")
    axes = range(axis, len(x.shape))
    square = reduce(node, "mean", product_of(node, x, x), axes, keep_dims=True)
    root = unary(node, "sqrt", with_constant(node, square, np.float32(epsilon), scaled=False))
    return binary(node, "mul", binary(node, "div", x, root), node.operand(1))


def _instance_normalization(node: OnnxNode) -> Value:
    x = node.computed(0)
    if len(x.shape) < 3:
        raise Unsupported(f"rank {len(x.shape)}; at least 3 expected")
    channels, epsilon = x.shape[1], node.number("epsilon", 1e-5)
    if all(node.value(position).data is not None for position in (1, 2)):
        constants = (node.channels(position, channels) for position in (1, 2))
        return group_norm(node, x, channels, epsilon, *constants)
    y = group_norm(node, x, channels, epsilon, np.ones(channels), np.zeros(channels))
    shape = (channels, *[1] * (len(x.shape) - 2))
    y = binary(node, "mul", y, _along(node, 1, shape))
    return binary(node, "add", y, _along(node, 2, shape))


def _group_normalization(node: OnnxNode) -> Value:
    x, groups = node.computed(0), node.integer("num_groups")
    channels, epsilon = x.shape[1], node.number("epsilon", 1e-5)
    node.ignore("stash_type")
    if groups < 1 or channels % groups:
        node.fail(f"a divisor of {channels} channels expected, found {groups} groups")
    each = groups if node.opset < 21 else channels
    if any(node.value(position).data is None for position in (1, 2)):
        y = group_norm(node, x, groups, epsilon, np.ones(channels), np.zeros(channels))
        parted = reshape_to(node, y, (x.shape[0], each, -(-channels // each), *x.shape[2:]))
        shape = (each, *[1] * (len(x.shape) - 1))
        y = binary(node, "mul", parted, _along(node, 1, shape))
        return reshape_to(node, binary(node, "add", y, _along(node, 2, shape)), x.shape)
    scale, bias = (np.repeat(node.channels(p, each), channels // each) for p in (1, 2))
    return group_norm(node, x, groups, epsilon, scale, bias)


def _local_response(node: OnnxNode) -> Value:
    """Emit x by a power of the sum of squares in neighbouring channels."""
    x, size = node.computed(0), node.integer("size")
    alpha, beta = node.number("alpha", 1e-4), node.number("beta", 0.75)
    if len(x.shape) < 2 or size < 1:
        node.fail(f"channels and a size of at least 1 expected, found {list(x.shape)} and {size}")
    n, channels, *rest = x.shape
    distance = np.arange(channels) - np.arange(channels)[:, np.newaxis]
    near = (distance >= -((size - 1) // 2)) & (distance <= size // 2)
    rows = reshape_to(node, product_of(node, x, x), (n, channels, math.prod(rest)))
    sums = matrix_times(node, alpha / size * near, f"{node.name}.neighbours", rows)
    sums = with_constant(node, sums, np.float32(node.number("bias", 1.0)), scaled=False)
    factor = binary(node, "pow", sums, node.own_constant("beta", -beta))
    return product_of(node, x, reshape_to(node, factor, x.shape))


def _lp_normalization(node: OnnxNode) -> Value:
    x, p = node.computed(0), node.integer("p", 2)
    axis = node.axis(node.integer("axis", -1), len(x.shape))
    if p not in (1, 2):
        node.fail(f"p of 1 or 2 expected, found {p}")
    size = unary(node, "abs", x) if p == 1 else product_of(node, x, x)
    norm = reduce(node, "sum", size, [axis], keep_dims=True)
    norm = norm if p == 1 else unary(node, "sqrt", norm)
    test = binary(node, "equal", norm, node.own_constant("zero", 0.0), "bool")
    return binary(node, "div", x, sum_of(node, norm, test))  # nothing stays nothing


def _rows_before(node: OnnxNode) -> tuple[Value, int]:
    """X and an axis; before operator set 13, as a matrix: all axes behind it count as one."""
    x = node.computed(0)
    axis = node.axis(node.integer("axis", 1 if node.opset < 13 else -1), len(x.shape))
    if node.opset >= 13:
        return x, axis
    return reshape_to(node, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))), 1


def _softmax(node: OnnxNode) -> Value:
    x, axis = _rows_before(node)
    return reshape_to(node, softmax(node, x, axis), node.value(0).shape)


def _log_softmax(node: OnnxNode) -> Value:
    x, axis = _rows_before(node)
    result = binary(node, "sub", x, log_sum_exp(node, x, [axis], keep_dims=True))
    return reshape_to(node, result, node.value(0).shape)


OPERATORS: dict[str, Callable[[OnnxNode], Value | list[Value]]] = {
    "BatchNormalization": _batch_normalization,
    "GroupNormalization": _group_normalization,
    "InstanceNormalization": _instance_normalization,
    "LRN": _local_response,
    "LayerNormalization": _layer_normalization,
    "LogSoftmax": _log_softmax,
    "LpNormalization": _lp_normalization,
    "RMSNormalization": _rms_normalization,
    "Softmax": _softmax,
}
