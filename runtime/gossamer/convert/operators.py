"""Operators that every format spells alike: from a node to the graph of `ir`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from .goss_file import MAX_INPUTS
from .ir import Value, no_clamp
from .node_reader import NodeReader, Unsupported

MAX_CONV_ATTRIBUTE = 1 << 15
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
    """Emit an average over the image's axes, 2 and 3."""
    x = node.computed(0, 4)
    if {node.axis(axis, 4) for axis in axes} != {2, 3}:
        raise Unsupported(f"axes {list(axes)}; the image's, [2, 3], expected")
    shape = (*x.shape[:2], 1, 1) if keep_dims else x.shape[:2]
    return node.emit("global_average_pool", [x], shape, keep_dims=keep_dims)


def pad(node: NodeReader, pads: Sequence[int]) -> Value:
    """Emit zeros around an image: top, left, bottom, right."""
    x = node.computed(0, 4)
    if not any(pads):
        return x
    top, left, bottom, right = pads
    shape = (*x.shape[:2], x.shape[2] + top + bottom, x.shape[3] + left + right)
    return node.emit("pad", [x], shape, pads=(top, left, bottom, right))


def fully_connected(
    node: NodeReader, x: Value, weights: np.ndarray, name: str, bias: np.ndarray
) -> Value:
    """Emit x (N,C) times weights (M,C) plus bias (M)."""
    if x.shape[1] != weights.shape[1]:
        node.fail(f"weights '{name}' for {x.shape[1]} channels expected, found {weights.shape[1]}")
    data = np.ascontiguousarray(weights, dtype=np.float32)
    inputs = [x, Value(name, data.shape, data), node.own_constant("bias", bias)]
    return node.emit("fully_connected", inputs, (x.shape[0], len(data)), **no_clamp())


def per_channel(node: NodeReader, position: int, shape: tuple[int, ...]) -> np.ndarray:
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


def add(node: NodeReader) -> Value:
    """Emit a + b: twice the same shape, or a constant that varies by channel."""
    a, b = node.value(0), node.value(1)
    if a.data is None and b.data is None:
        if a.shape != b.shape:
            shapes = f"{list(a.shape)} and {list(b.shape)}"
            raise Unsupported(f"shapes {shapes}; twice the same expected")
        return node.emit("add", [a, b], a.shape, **no_clamp())
    x, constant = (a, 1) if a.data is None else (b, 0)
    shift = per_channel(node, constant, x.shape)
    return scale_shift(node, x, np.ones_like(shift), shift)


def subtract(node: NodeReader) -> Value:
    """Emit a - b, one of them constant."""
    if node.value(0).data is None:
        x = node.computed(0)
        shift = -per_channel(node, 1, x.shape)
        return scale_shift(node, x, np.ones_like(shift), shift)
    x = node.computed(1)
    shift = per_channel(node, 0, x.shape)
    return scale_shift(node, x, -np.ones_like(shift), shift)


def multiply(node: NodeReader) -> Value:
    """Emit a * b: of one shape, one factor a channel, or a constant that varies by channel."""
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
    scale = per_channel(node, constant, x.shape)
    return scale_shift(node, x, scale, np.zeros_like(scale))


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
    """Emit x by a constant that varies by channel."""
    x = node.computed(0)
    scale = 1 / per_channel(node, 1, x.shape)
    return scale_shift(node, x, scale, np.zeros_like(scale))


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
