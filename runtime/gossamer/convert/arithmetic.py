"""Arithmetic that every format spells alike: from a node to the graph of `ir`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .ir import Value, no_clamp
from .moves import expand, reshape_to, transpose
from .node_reader import NodeReader, Unsupported

MAX_CONSTANT_ELEMENTS = 1 << 24  # of constants that conversion makes


def broadcast(node: NodeReader, *shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape of tensors together."""
    try:
        return np.broadcast_shapes(*map(tuple, shapes))
    except ValueError:
        found = " and ".join(str(list(shape)) for shape in shapes)
        node.fail(f"shapes {found} that broadcast expected")


def with_constant(
    node: NodeReader, x: Value, constant: np.ndarray, scaled: bool, factor: float = 1.0
) -> Value:
    """Emit x * constant if `scaled`, and otherwise x * factor + constant.

    Layers take over one number for each of their channels. So, where that is possible, x is seen
    as rows of which the channels are those axes along which the constant varies.
    """
    shape = broadcast(node, x.shape, constant.shape)
    aligned = (1,) * (len(shape) - constant.ndim) + constant.shape
    varying = [axis for axis, size in enumerate(aligned) if size > 1]
    apart = len(shape) == 4 and varying not in ([], [1]) or not np.isfinite(constant).all()
    if math.prod(shape) != math.prod(x.shape) or apart:
        if factor != 1:
            x = with_constant(node, x, np.float32(factor), scaled=True)
        number = node.own_constant("constant", constant)
        return binary(node, "mul" if scaled else "add", x, number)
    if not varying:
        channels, view = shape[1] if len(shape) in (2, 4) else 1, shape
    elif varying == [1]:
        channels, view = shape[1], shape
    else:
        first, last = varying[0], varying[-1] + 1
        channels, rest = math.prod(shape[first:last]), math.prod(shape[last:])
        view = (math.prod(shape[:first]), channels, *((1, rest) if rest > 1 else ()))
        constant = np.broadcast_to(constant.reshape(aligned[first:last]), shape[first:last])
    if channels > MAX_CONSTANT_ELEMENTS:
        raise Unsupported(f"a constant for {channels} channels; at most 2^24 expected")
    numbers = np.broadcast_to(constant.astype(np.float64).ravel(), channels).copy()
    scale = numbers if scaled else np.full(channels, factor)
    shift = np.zeros(channels) if scaled else numbers
    return reshape_to(node, scale_shift(node, reshape_to(node, x, view), scale, shift), shape)


def scale_shift(node: NodeReader, x: Value, scale: np.ndarray, shift: np.ndarray) -> Value:
    """Emit x * scale + shift, with one of each a channel."""
    return node.emit("scale_shift", [x], x.shape, scale=scale, shift=shift)


# ---- Of two or three tensors ---------------------------------------------------------------------


def binary(node: NodeReader, kind: str, a: Value, b: Value, dtype: str = "f32") -> Value:
    """Emit one of `lower.BINARIES` of tensors that broadcast."""
    return node.emit("binary", [a, b], broadcast(node, a.shape, b.shape), dtype, kind=kind)


def select(node: NodeReader, test: Value, a: Value, b: Value) -> Value:
    """Emit a where test is not 0, else b."""
    shape = broadcast(node, test.shape, a.shape, b.shape)
    return node.emit("select", [test, a, b], shape, node.common_type(a, b))


def sum_of(node: NodeReader, a: Value, b: Value) -> Value:
    """Emit a + b."""
    shape = broadcast(node, a.shape, b.shape)
    if math.prod(a.shape) != math.prod(shape) or math.prod(b.shape) != math.prod(shape):
        return binary(node, "add", a, b)
    a, b = reshape_to(node, a, shape), reshape_to(node, b, shape)
    return node.emit("add", [a, b], shape, **no_clamp())


def product_of(node: NodeReader, a: Value, b: Value) -> Value:
    """Emit a * b; one factor for each of a's planes is what images are gated with."""
    shape = broadcast(node, a.shape, b.shape)
    if math.prod(a.shape) < math.prod(b.shape):
        a, b = b, a  # the factors are the second
    if math.prod(a.shape) != math.prod(shape):
        return binary(node, "mul", a, b)
    if math.prod(b.shape) == math.prod(shape):
        factors = [reshape_to(node, x, shape) for x in (a, b)]
        return node.emit("multiply", factors, shape)
    aligned = (1,) * (len(shape) - len(b.shape)) + b.shape
    if len(shape) != 4 or aligned != (*shape[:2], 1, 1):
        return binary(node, "mul", a, b)
    return node.emit("multiply", [reshape_to(node, a, shape), reshape_to(node, b, aligned)], shape)


def add(node: NodeReader) -> Value:
    """Emit a + b, of which at least one is computed."""
    a, b = node.operand(0, infinite=True), node.operand(1, infinite=True)
    if a.data is None and b.data is None:
        return sum_of(node, a, b)
    x, constant = (a, 1) if a.data is None else (b, 0)
    return with_constant(node, x, node.weights(constant).data, scaled=False)


def subtract(node: NodeReader) -> Value:
    """Emit a - b, of which at least one is computed."""
    a, b = node.operand(0), node.operand(1)
    if a.data is None and b.data is None:
        return binary(node, "sub", a, b)
    if a.data is None:
        return with_constant(node, a, -node.weights(1).data, scaled=False)
    return with_constant(node, b, node.weights(0).data, scaled=False, factor=-1.0)


def multiply(node: NodeReader) -> Value:
    """Emit a * b, of which at least one is computed."""
    a, b = node.operand(0), node.operand(1)
    if a.data is None and b.data is None:
        return product_of(node, a, b)
    x, constant = (a, 1) if a.data is None else (b, 0)
    return with_constant(node, x, node.weights(constant).data, scaled=True)


def divide(node: NodeReader) -> Value:
    """Emit a / b, of which at least one is computed."""
    a, b = node.operand(0), node.operand(1)
    if b.data is None or not b.data.all():
        return binary(node, "div", a, b)
    return with_constant(node, a, 1 / node.weights(1).data.astype(np.float64), scaled=True)


def power(node: NodeReader) -> Value:
    """Emit a to the power of b: products and roots where the exponent is one number of those."""
    a, b = node.operand(0), node.operand(1, whole=True)
    exponent = b.data.item() if b.data is not None and b.data.size == 1 else None
    if exponent is None or a.data is not None or b.data.ndim > len(a.shape):
        return binary(node, "pow", a, b)
    if exponent == 1:
        return a
    if exponent == 2:
        return product_of(node, a, a)
    if exponent == 3:
        return product_of(node, product_of(node, a, a), a)
    if exponent == 0.5:
        return unary(node, "sqrt", a)
    if exponent == -1:
        return unary(node, "reciprocal", a)
    return binary(node, "pow", a, b)


def extreme(node: NodeReader, kind: str) -> Value:
    """Emit the smallest ("min") or largest ("max") of all inputs; numbers are bounds."""
    values = [node.element(position) for position in range(len(node.inputs))]
    computed, dtype = [v for v in values if v.data is None], node.common_type(*values)
    result = computed[0]
    for value in computed[1:]:
        result = binary(node, kind, result, value, dtype)
    for value in values:
        if value.data is None:
            continue
        if value.data.size == 1 and value.data.ndim <= len(result.shape):
            bound = value.data.item()
            low, high = (bound, math.inf) if kind == "max" else (-math.inf, bound)
            result = clamp(node, result, low, high)
        else:
            result = binary(node, kind, result, value, dtype)
    return result


def compare(node: NodeReader, kind: str, *, swapped: bool = False, inverted: bool = False) -> Value:
    """Emit whether a is less than b, or the like, as 0 or 1."""
    a, b = (node.element(1), node.element(0)) if swapped else (node.element(0), node.element(1))
    node.common_type(a, b)
    found = binary(node, kind, a, b, "bool")
    return invert(node, found) if inverted else found


def invert(node: NodeReader, truth: Value) -> Value:
    """Emit 1 where a truth value is 0, else 0."""
    zero = node.own_constant("zero", 0.0)
    return binary(node, "equal", truth, zero, "bool")


# ---- Of one tensor -------------------------------------------------------------------------------


def unary(node: NodeReader, kind: str, x: Value) -> Value:
    """Emit one of `lower.ACTIVATIONS`."""
    return node.emit("activation", [x], x.shape, kind=kind)


def activation(node: NodeReader, kind: str) -> Value:
    """Emit one of `lower.ACTIVATIONS` of input 0."""
    return unary(node, kind, node.computed(0))


def sigmoid(node: NodeReader) -> Value:
    """Emit 1 / (1 + exp(-x))."""
    return activation(node, "sigmoid")


def negate(node: NodeReader, x: Value) -> Value:
    """Emit -x."""
    return with_constant(node, x, np.float32(-1), scaled=True)


def hard_sigmoid(node: NodeReader, scale: float, shift: float) -> Value:
    """Emit scale * x + shift, brought into 0..1: layers take over both."""
    x = node.computed(0)
    channels = np.ones(x.shape[1] if len(x.shape) > 1 else 1)
    y = scale_shift(node, x, scale * channels, shift * channels)
    return clamp(node, y, 0.0, 1.0)


def leaky_relu(node: NodeReader, slope: float) -> Value:
    """Emit x, times a slope where it is negative."""
    x = node.computed(0)
    if not math.isfinite(slope):
        node.fail(f"a finite slope expected, found {slope}")
    return node.emit("leaky_relu", [x], x.shape, slope=slope)


def parametric_relu(node: NodeReader) -> Value:
    """Emit x, times a slope of its own where it is negative."""
    x, slope = node.computed(0), node.operand(1)
    if slope.data is not None and slope.data.size == 1 and math.isfinite(slope.data.item()):
        return leaky_relu(node, slope.data.item())
    if len(slope.shape) == 1 and x.shape[-1] != slope.shape[0] == x.shape[1]:
        slope = _a_channel(node, slope, len(x.shape))  # as older exporters give them
    negative = clamp(node, x, -math.inf, 0.0)
    if slope.data is None:
        part = product_of(node, negative, slope)
    else:
        part = with_constant(node, negative, slope.data, scaled=True)
    return sum_of(node, clamp(node, x, 0.0, math.inf), part)


def _a_channel(node: NodeReader, x: Value, rank: int) -> Value:
    """Numbers (C) in the shape that broadcasts along the channels."""
    shape = (x.shape[0], *[1] * (rank - 2))
    if x.data is None:
        return reshape_to(node, x, shape)
    return Value(x.name, shape, x.data.reshape(shape))


def elu(node: NodeReader, alpha: float, factor: float = 1.0) -> Value:
    """Emit factor * x, and factor * alpha * (e^x - 1) where x is negative."""
    x = node.computed(0)
    if alpha == factor == 1:
        return unary(node, "elu", x)
    below = unary(node, "elu", clamp(node, x, -math.inf, 0.0))
    above = clamp(node, x, 0.0, math.inf)
    parts = [
        with_constant(node, part, np.float32(scale), scaled=True)
        for part, scale in ((above, factor), (below, factor * alpha))
    ]
    return sum_of(node, *parts)


def clamp(node: NodeReader, x: Value, low: float, high: float) -> Value:
    """Emit x brought into low..high."""
    if math.isnan(low) or math.isnan(high):
        node.fail(f"numbers as bounds expected, found {low} and {high}")
    return node.emit("clamp", [x], x.shape, x.dtype, min=min(low, high), max=high)


def relu(node: NodeReader) -> Value:
    """Emit max(x, 0)."""
    return clamp(node, node.computed(0), 0.0, math.inf)


def as_type(node: NodeReader, x: Value, dtype: str) -> Value:
    """Emit x as numbers ("f32"), whole numbers ("i64") or truth values ("bool")."""
    if dtype == x.dtype:
        return x
    if dtype == "bool":
        zero = node.own_constant("zero", 0.0)
        return invert(node, binary(node, "equal", x, zero, "bool"))
    if dtype == "i64" and x.dtype == "f32":
        return truncate(node, x)
    return node.emit("reshape", [x], x.shape, dtype)  # the number stays what it is


def truncate(node: NodeReader, x: Value) -> Value:
    """Emit x without its fraction, as a whole number."""
    size = unary(node, "floor", unary(node, "abs", x))
    return node.emit("multiply", [size, unary(node, "sign", x)], x.shape, "i64")


# ---- Over axes -----------------------------------------------------------------------------------


def reduce(node: NodeReader, kind: str, x: Value, axes: Sequence[int], keep_dims: bool) -> Value:
    """Emit one of `lower.REDUCTIONS` over axes."""
    chosen = sorted({node.axis(axis, len(x.shape)) for axis in axes})
    if keep_dims:
        shape = [1 if axis in chosen else size for axis, size in enumerate(x.shape)]
    else:
        shape = [size for axis, size in enumerate(x.shape) if axis not in chosen]
    if kind == "mean" and len(x.shape) == 4 and chosen == [2, 3]:
        return node.emit("global_average_pool", [x], shape, keep_dims=keep_dims)
    finds_places = kind.startswith("arg")
    dtype = "i64" if finds_places else x.dtype
    reduced = {axis for axis in chosen if x.shape[axis] > 1}
    if not reduced and not finds_places:
        return reshape_to(node, x, shape)
    return node.emit(
        "reduce", [x], shape, dtype, kind=kind, axes=tuple(chosen), keep_dims=keep_dims
    )


def mean(node: NodeReader, axes: Sequence[int], keep_dims: bool) -> Value:
    """Emit an average of input 0 over axes."""
    return reduce(node, "mean", node.computed(0), axes, keep_dims)


def log_sum_exp(node: NodeReader, x: Value, axes: Sequence[int], keep_dims: bool) -> Value:
    """Emit the logarithm of a sum of powers, which the largest keeps finite."""
    largest = reduce(node, "max", x, axes, keep_dims=True)
    powers = unary(node, "exp", binary(node, "sub", x, largest))
    sums = unary(node, "log", reduce(node, "sum", powers, axes, keep_dims=True))
    result = sum_of(node, sums, largest)
    return result if keep_dims else reduce(node, "sum", result, axes, keep_dims=False)


def matmul(node: NodeReader, a: Value, b: Value) -> Value:
    """Emit products of matrices (..., M, K) and (..., K, N), whose batches broadcast."""
    batch = broadcast(node, a.shape[:-2], b.shape[:-2])
    if a.shape[-1] != b.shape[-2]:
        node.fail(f"matrices that fit expected, found {list(a.shape)} and {list(b.shape)}")
    stacks = [_stack(node, value, batch) for value in (a, b)]
    count = max(stack.shape[0] for stack in stacks)
    shape = (count, a.shape[-2], b.shape[-1])
    return reshape_to(node, node.emit("matmul", stacks, shape), (*batch, *shape[1:]))


def _stack(node: NodeReader, x: Value, batch: Sequence[int]) -> Value:
    """Matrices one after the other: one for all batches, or one for each."""
    matrix, count = x.shape[-2:], math.prod(x.shape[:-2])
    if count not in (1, math.prod(batch)):
        if x.data is not None:
            data = np.ascontiguousarray(np.broadcast_to(x.data, (*batch, *matrix)))
            x = Value(x.name, data.shape, data)
        else:
            x = expand(node, x, (*batch, *matrix))
        count = math.prod(batch)
    if x.data is None:
        return reshape_to(node, x, (count, *matrix))
    return Value(x.name, (count, *matrix), x.data.reshape(count, *matrix))


def softmax(node: NodeReader, x: Value, axis: int) -> Value:
    """Emit e^x by the sum along an axis."""
    order = [*range(len(x.shape))]
    order.append(order.pop(axis))
    turned = transpose(node, x, order)
    size = x.shape[axis]
    rows = reshape_to(node, turned, (math.prod(x.shape) // size, size))
    result = reshape_to(node, node.emit("softmax", [rows], rows.shape), turned.shape)
    return transpose(node, result, np.argsort(order).tolist())
