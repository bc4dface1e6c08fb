"""Operators that every format spells alike: from a node to the graph of `ir`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from .goss_file import MAX_INPUTS
from .ir import Value, no_clamp
from .node_reader import NodeReader, Unsupported

MAX_CONV_ATTRIBUTE = 1 << 15
MAX_CONSTANT_ELEMENTS = 1 << 24  # of constants that conversion makes
MAX_GROUPED_WEIGHTS = 1 << 27  # with the zeros of other groups


def same_pads(
    size: Sequence[int], reach: Sequence[int], strides: Sequence[int], *, upper: bool = True
) -> tuple[int, ...]:
    """Padding (top, left, bottom, right) with which the output has size / stride pixels.

    Where it is odd, the larger half is below and right (`upper`), or above and left.
    """
    totals = [
        max((-(-pixels // stride) - 1) * stride + taps - pixels, 0)
        for pixels, taps, stride in zip(size, reach, strides, strict=True)
    ]
    small, large = [total // 2 for total in totals], [-(-total // 2) for total in totals]
    return (*small, *large) if upper else (*large, *small)


def output_size(
    node: NodeReader,
    size: Sequence[int],
    reach: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
) -> tuple[int, ...]:
    """How often a window of `reach` pixels fits into an image, down and across."""
    room = [size[axis] + pads[axis] + pads[axis + 2] - reach[axis] for axis in (0, 1)]
    if min(room) < 0:
        node.fail(f"a window of {reach} does not fit into {list(size)} with padding {list(pads)}")
    return tuple(free // stride + 1 for free, stride in zip(room, strides, strict=True))


def conv(
    node: NodeReader,
    weights: Value,
    bias: Value | None,
    groups: int,
    size: Sequence[int],
    geometry: Mapping[str, Sequence[int]],
) -> Value:
    """Emit a convolution of input 0 with weights (M,C/groups,kh,kw) to an image of `size`."""
    x, outputs = node.computed(0, 4), weights.shape[0]
    channels = x.shape[1]
    if groups < 1 or weights.shape[1] * groups != channels or outputs % groups:
        node.fail(
            f"'{weights.name}' {list(weights.shape)} in {groups} groups does not fit "
            f"the {channels} channels of '{x.name}'"
        )
    if groups not in (1, channels):
        weights, groups = _without_groups(weights, groups), 1
    bias = bias or node.own_constant("bias", np.zeros(outputs))
    shape = (x.shape[0], outputs, *size)
    return node.emit("conv", [x, weights, bias], shape, groups=groups, **geometry, **no_clamp())


def _without_groups(weights: Value, groups: int) -> Value:
    """Weights of all channels, zero where a channel is in another group: stored sparse."""
    outputs, channels, *kernel = weights.shape
    shape = (outputs, channels * groups, *kernel)
    if math.prod(shape) > MAX_GROUPED_WEIGHTS:
        raise Unsupported(f"{groups} groups of {weights.data.size} weights; fewer expected")
    data, rows = np.zeros(shape, np.float32), outputs // groups
    for group in range(groups):
        mine = slice(group * rows, (group + 1) * rows)
        data[mine, group * channels : (group + 1) * channels] = weights.data[mine]
    return Value(weights.name, shape, data)


def max_pool(
    node: NodeReader, kernel: Sequence[int], size: Sequence[int], geometry: Mapping[str, tuple]
) -> Value:
    """Emit the largest value of each window, to an image of `size`."""
    x = node.computed(0, 4)
    return node.emit("max_pool", [x], (*x.shape[:2], *size), kernel=tuple(kernel), **geometry)


def average_pool(
    node: NodeReader,
    kernel: Sequence[int],
    size: Sequence[int],
    geometry: Mapping[str, tuple],
    counted: Sequence[int] = (0, 0, 0, 0),
) -> Value:
    """Emit the average of each window, to an image of `size`.

    `counted` says how far around the image zeros count, as pads do.
    """
    x = node.computed(0, 4)
    if tuple(kernel) == x.shape[2:] and tuple(size) == (1, 1) and not any(geometry["pads"]):
        return node.emit("global_average_pool", [x], (*x.shape[:2], 1, 1), keep_dims=True)
    shape = (*x.shape[:2], *size)
    attributes = {"kernel": tuple(kernel), **geometry, "counted": tuple(counted)}
    return node.emit("average_pool", [x], shape, **attributes)


def mean(node: NodeReader, axes: Sequence[int], keep_dims: bool) -> Value:
    """Emit an average over axes that follow each other; those of size 1 do not count."""
    x = node.computed(0)
    chosen = {node.axis(axis, len(x.shape)) for axis in axes}
    if keep_dims:
        shape = [1 if axis in chosen else size for axis, size in enumerate(x.shape)]
    else:
        shape = [size for axis, size in enumerate(x.shape) if axis not in chosen]
    if len(x.shape) == 4 and chosen == {2, 3}:
        return node.emit("global_average_pool", [x], shape, keep_dims=keep_dims)
    averaged = [axis for axis in sorted(chosen) if x.shape[axis] > 1]
    if not averaged:
        return reshape_to(node, x, shape)
    first, last = averaged[0], averaged[-1] + 1
    if any(x.shape[axis] > 1 for axis in {*range(first, last)} - chosen):
        raise Unsupported(f"axes {list(axes)} of {list(x.shape)}; neighbours expected")
    before, count = math.prod(x.shape[:first]), math.prod(x.shape[first:last])
    behind = math.prod(x.shape[last:])
    if behind == 1:
        planes = reshape_to(node, x, (1, before, 1, count))
        y = node.emit("global_average_pool", [planes], (1, before, 1, 1), keep_dims=True)
    else:
        weights = np.full((1, count), 1 / count)
        rows = reshape_to(node, x, (before, count, behind))
        y = matrix_times(node, weights, f"{node.name}.mean", rows)
    return reshape_to(node, y, shape)


def pad(node: NodeReader, x: Value, pads: Sequence[int]) -> Value:
    """Emit zeros around an image: top, left, bottom, right."""
    if not any(pads):
        return x
    top, left, bottom, right = pads
    shape = (*x.shape[:2], x.shape[2] + top + bottom, x.shape[3] + left + right)
    return node.emit("pad", [x], shape, pads=(top, left, bottom, right))


def pad_axis(node: NodeReader, x: Value, axis: int, before: int, after: int) -> Value:
    """Emit zeros before and after what lies along one axis."""
    if not before and not after:
        return x
    step = math.prod(x.shape[axis + 1 :])
    if max(before, after) * step > MAX_CONV_ATTRIBUTE:
        raise Unsupported(
            f"{max(before, after) * step} zeros in a row; at most {MAX_CONV_ATTRIBUTE} expected"
        )
    rows = math.prod(x.shape[:axis])
    image = reshape_to(node, x, (1, rows, 1, x.shape[axis] * step))
    padded = pad(node, image, (0, before * step, 0, after * step))
    shape = (*x.shape[:axis], x.shape[axis] + before + after, *x.shape[axis + 1 :])
    return reshape_to(node, padded, shape)


def fully_connected(
    node: NodeReader,
    x: Value,
    weights: np.ndarray,
    name: str,
    bias: np.ndarray,
    scales: np.ndarray | None = None,
) -> Value:
    """Emit x (N,C) times weights (M,C) plus bias (M); `scales` as of `Value`."""
    if x.shape[1] != weights.shape[1]:
        node.fail(f"weights '{name}' for {x.shape[1]} channels expected, found {weights.shape[1]}")
    data = np.ascontiguousarray(weights, dtype=np.float32)
    inputs = [x, Value(name, data.shape, data, scales=scales), node.own_constant("bias", bias)]
    return node.emit("fully_connected", inputs, (x.shape[0], len(data)), **no_clamp())


def matrix_times(node: NodeReader, weights: np.ndarray, name: str, x: Value) -> Value:
    """Emit weights (M,C) times x (...,C,L): a pointwise convolution of images of height 1."""
    *batch, channels, length = x.shape
    if channels != weights.shape[1]:
        node.fail(f"weights '{name}' for {channels} channels expected, found {weights.shape[1]}")
    data = np.ascontiguousarray(weights[:, :, np.newaxis, np.newaxis], dtype=np.float32)
    image = reshape_to(node, x, (math.prod(batch), channels, 1, length))
    inputs = [image, Value(name, data.shape, data), node.own_constant("bias", np.zeros(len(data)))]
    shape, geometry = (image.shape[0], len(data), 1, length), pointwise_geometry()
    y = node.emit("conv", inputs, shape, groups=1, **geometry, **no_clamp())
    return reshape_to(node, y, (*batch, len(data), length))


def pointwise_geometry() -> dict[str, tuple[int, ...]]:
    """Strides, pads and dilations of a convolution that looks at one pixel at a time."""
    return {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1)}


def broadcast(node: NodeReader, a: Sequence[int], b: Sequence[int]) -> tuple[int, ...]:
    """The shape of two tensors' sum."""
    try:
        return np.broadcast_shapes(tuple(a), tuple(b))
    except ValueError:
        node.fail(f"shapes {list(a)} and {list(b)} that broadcast expected")


def with_constant(
    node: NodeReader, x: Value, constant: np.ndarray, scaled: bool, factor: float = 1.0
) -> Value:
    """Emit x * constant if `scaled`, and otherwise x * factor + constant.

    The engine has one number for each of an image's channels. So x is seen as an image of which
    the channels are those axes along which the constant varies.
    """
    shape = broadcast(node, x.shape, constant.shape)
    if math.prod(shape) != math.prod(x.shape):
        found, expected = list(constant.shape), list(x.shape)
        raise Unsupported(f"a constant {found} with {expected}; a result of that size expected")
    aligned = (1,) * (len(shape) - constant.ndim) + constant.shape
    varying = [axis for axis, size in enumerate(aligned) if size > 1]
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


def concat(node: NodeReader, axis: int) -> Value:
    """Emit all inputs one behind the other along the channels, four at a time."""
    values = [node.computed(position) for position in range(len(node.inputs))]
    first = values[0].shape
    axis = node.axis(axis, len(first))
    for value in values:
        if len(value.shape) != len(first) or any(
            size != other and number != axis
            for number, (size, other) in enumerate(zip(value.shape, first, strict=False))
        ):
            node.fail(f"'{value.name}' {list(value.shape)} does not fit {list(first)}, axis {axis}")
    if axis != 1:
        raise Unsupported(f"axis {axis}; the channels' axis, 1, expected")
    while len(values) > 1:
        values = [
            _concat_few(node, values[begin : begin + MAX_INPUTS])
            for begin in range(0, len(values), MAX_INPUTS)
        ]
    return values[0]


def _concat_few(node: NodeReader, values: list[Value]) -> Value:
    if len(values) == 1:
        return values[0]
    (n, _, *rest), channels = values[0].shape, sum(value.shape[1] for value in values)
    return node.emit("concat", values, (n, channels, *rest))


def channels_from(node: NodeReader, first: int, count: int) -> Value:
    """Emit some neighbouring channels."""
    x = node.computed(0)
    n, channels, *rest = x.shape
    if count < 1 or not 0 <= first <= channels - count:
        node.fail(f"{count} channels from {first} on do not lie in the {channels} of '{x.name}'")
    return node.emit("slice", [x], (n, count, *rest), first=first, count=count)


def transpose(node: NodeReader, axes: Sequence[int]) -> Value:
    """Emit x with its axes in another order."""
    x = node.computed(0)
    if sorted(axes) != list(range(len(x.shape))):
        node.fail(f"an order of {len(x.shape)} axes expected, found {list(axes)}")
    shape = [x.shape[axis] for axis in axes]
    wide = [axis for axis in axes if x.shape[axis] > 1]
    if wide == sorted(wide):
        return reshape_to(node, x, shape)
    return node.emit("transpose", [x], shape, axes=tuple(axes))


def scale_shift(node: NodeReader, x: Value, scale: np.ndarray, shift: np.ndarray) -> Value:
    """Emit x * scale + shift, with one of each a channel."""
    return node.emit("scale_shift", [x], x.shape, scale=scale, shift=shift)


def sum_of(node: NodeReader, a: Value, b: Value) -> Value:
    """Emit a + b, which differ in no more than axes of size 1."""
    shape = broadcast(node, a.shape, b.shape)
    if math.prod(a.shape) != math.prod(shape) or math.prod(b.shape) != math.prod(shape):
        raise Unsupported(f"shapes {list(a.shape)} and {list(b.shape)}; twice the same expected")
    a, b = reshape_to(node, a, shape), reshape_to(node, b, shape)
    return node.emit("add", [a, b], shape, **no_clamp())


def add(node: NodeReader) -> Value:
    """Emit a + b, of which at least one is computed."""
    a, b = node.value(0), node.value(1)
    if a.data is None and b.data is None:
        return sum_of(node, a, b)
    x, constant = (a, 1) if a.data is None else (b, 0)
    return with_constant(node, x, node.weights(constant).data, scaled=False)


def subtract(node: NodeReader) -> Value:
    """Emit a - b, of which at least one is computed."""
    a, b = node.value(0), node.value(1)
    if a.data is None and b.data is None:
        return sum_of(node, a, negate(node, b))
    if a.data is None:
        return with_constant(node, a, -node.weights(1).data, scaled=False)
    return with_constant(node, b, node.weights(0).data, scaled=False, factor=-1.0)


def multiply(node: NodeReader) -> Value:
    """Emit a * b: a constant factor, twice the same shape, or one factor for each of a's planes."""
    a, b = node.value(0), node.value(1)
    if a.data is not None or b.data is not None:
        x, constant = (a, 1) if a.data is None else (b, 0)
        return with_constant(node, x, node.weights(constant).data, scaled=True)
    shape = broadcast(node, a.shape, b.shape)
    if math.prod(a.shape) < math.prod(b.shape):
        a, b = b, a  # the factors are the second
    if math.prod(a.shape) != math.prod(shape):
        shapes = f"{list(a.shape)} and {list(b.shape)}"
        raise Unsupported(f"shapes {shapes}; a result of the shape of one of them expected")
    a = reshape_to(node, a, shape)
    if math.prod(b.shape) == math.prod(shape):
        return node.emit("multiply", [a, reshape_to(node, b, shape)], shape)
    aligned = (1,) * (len(shape) - len(b.shape)) + b.shape
    last = 1 + max((axis for axis, size in enumerate(aligned) if size > 1), default=-1)
    if aligned[:last] != shape[:last]:
        shapes = f"{list(shape)} and {list(b.shape)}"
        raise Unsupported(f"shapes {shapes}; twice the same, or one number a plane, expected")
    if len(shape) == 4 and last == 2:
        planes, rest = shape[:2], shape[2:]
    else:
        planes, rest = (1, math.prod(shape[:last])), (1, math.prod(shape[last:]))
    image, factors = reshape_to(node, a, (*planes, *rest)), reshape_to(node, b, (*planes, 1, 1))
    return reshape_to(node, node.emit("multiply", [image, factors], image.shape), shape)


def negate(node: NodeReader, x: Value) -> Value:
    """Emit -x."""
    return with_constant(node, x, np.float32(-1), scaled=True)


def activation(node: NodeReader, kind: str) -> Value:
    """Emit one of `lower.ACTIVATIONS`."""
    x = node.computed(0)
    return node.emit("activation", [x], x.shape, kind=kind)


def sigmoid(node: NodeReader) -> Value:
    """Emit 1 / (1 + exp(-x))."""
    return activation(node, "sigmoid")


def hard_sigmoid(node: NodeReader, scale: float, shift: float) -> Value:
    """Emit scale * x + shift, brought into 0..1: layers take over both."""
    x = node.computed(0)
    channels = np.ones(x.shape[1] if len(x.shape) > 1 else 1)
    y = scale_shift(node, x, scale * channels, shift * channels)
    return node.emit("clamp", [y], x.shape, min=0.0, max=1.0)


def leaky_relu(node: NodeReader, slope: float) -> Value:
    """Emit x, times a slope where it is negative."""
    x = node.computed(0)
    if not math.isfinite(slope):
        node.fail(f"a finite slope expected, found {slope}")
    return node.emit("leaky_relu", [x], x.shape, slope=slope)


def divide(node: NodeReader) -> Value:
    """Emit x by a constant."""
    x = node.computed(0)
    return with_constant(node, x, 1 / node.weights(1).data.astype(np.float64), scaled=True)


def clamp(node: NodeReader, low: float, high: float) -> Value:
    """Emit x brought into low..high."""
    x = node.computed(0)
    if math.isnan(low) or math.isnan(high):
        node.fail(f"numbers as bounds expected, found {low} and {high}")
    return node.emit("clamp", [x], x.shape, min=min(low, high), max=high)


def relu(node: NodeReader) -> Value:
    """Emit max(x, 0)."""
    return clamp(node, 0.0, math.inf)


def reshape_to(node: NodeReader, x: Value, shape: Sequence[int]) -> Value:
    """Emit x in another shape; its elements keep their order."""
    if math.prod(shape) != math.prod(x.shape):
        node.fail(
            f"'{x.name}' {list(x.shape)} does not fit into {list(shape)}, "
            f"which may have been exported for another batch"
        )
    return x if tuple(shape) == x.shape else node.emit("reshape", [x], shape)
