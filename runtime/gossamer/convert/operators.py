"""Layers that every format spells alike: from a node to the graph of `ir`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from .arithmetic import scale_shift
from .ir import Value, no_clamp
from .moves import blocks_to_pixels, pad, reshape_to, run_of
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


def conv_transpose(
    node: NodeReader,
    weights: Value,
    bias: Value | None,
    groups: int,
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int],
    size: Sequence[int],
) -> Value:
    """Emit the transposed convolution of input 0 with weights (C,M/groups,kh,kw).

    Of a result at stride s, every s-th pixel is an ordinary convolution of x: with every s-th tap
    of the kernel, in reverse. So one convolution computes the pixels of a stride down and across as
    channels of their own, which then change places.

    Parameters
    ----------
    pads
        Top, left, bottom, right: what is cut off; below zero where zeros are added.
    size
        Of the result.
    """
    x = node.computed(0, 4)
    inputs, outputs = weights.shape[0], weights.shape[1] * groups
    if groups < 1 or inputs != x.shape[1] or inputs % groups:
        node.fail(
            f"'{weights.name}' {list(weights.shape)} in {groups} groups does not fit {x.name}"
        )
    down, across = strides
    kernel = _with_holes(weights.data, dilations)
    taps = [-(-count // step) for count, step in zip(kernel.shape[2:], strides, strict=True)]
    room = [
        (0, count * step - have)
        for count, step, have in zip(taps, strides, kernel.shape[2:], strict=True)
    ]
    kernel = np.pad(kernel, ((0, 0), (0, 0), *room))
    parted = kernel.reshape(groups, -1, weights.shape[1], taps[0], down, taps[1], across)
    # groups, inputs, outputs, ty, py, tx, px: to channels (groups, outputs, py, px)
    phases = parted.transpose(0, 2, 4, 6, 1, 3, 5)[..., ::-1, ::-1]
    data = np.ascontiguousarray(phases.reshape(-1, inputs // groups, *taps))
    each = Value(weights.name, data.shape, data)
    spread = None
    if bias is not None:
        spread = node.own_constant("bias", np.repeat(bias.data, down * across))
    reach = [count + have - 1 for count, have in zip(x.shape[2:], taps, strict=True)]
    border = (taps[0] - 1, taps[1] - 1)
    geometry = {**pointwise_geometry(), "pads": (*border, *border)}
    y = conv(node, each, spread, groups, reach, geometry)
    if down * across > 1:
        y = blocks_to_pixels(node, y, strides)
    return _cut(node, y, pads[:2], size, bias, outputs)


def _with_holes(weights: np.ndarray, dilations: Sequence[int]) -> np.ndarray:
    """Write a kernel with its dilations as zeros."""
    shape = [
        (taps - 1) * dilation + 1
        for taps, dilation in zip(weights.shape[2:], dilations, strict=True)
    ]
    if weights.shape[0] * weights.shape[1] * math.prod(shape) > MAX_GROUPED_WEIGHTS:
        raise Unsupported(f"dilations {list(dilations)} of {weights.size} weights; fewer expected")
    spread = np.zeros((*weights.shape[:2], *shape), np.float32)
    spread[:, :, :: dilations[0], :: dilations[1]] = weights
    return spread


def _cut(
    node: NodeReader,
    y: Value,
    first: Sequence[int],
    size: Sequence[int],
    bias: Value | None,
    channels: int,
) -> Value:
    """Emit the part of an image that begins at a pixel; outside of it is the bias alone."""
    for axis, (begin, count) in enumerate(zip(first, size, strict=True), 2):
        have = y.shape[axis]
        inside = min(begin + count, have) - max(begin, 0)
        if inside < 1:
            raise Unsupported(f"output_padding or pads beyond an image of {have}; less expected")
        y = run_of(node, y, axis, max(begin, 0), inside)
    missing = [-min(begin, 0) for begin in first]
    behind = [
        count - have - gap for count, have, gap in zip(size, y.shape[2:], missing, strict=True)
    ]
    if not any((*missing, *behind)):
        return y
    if bias is None:
        return pad(node, y, (*missing, *behind))
    numbers = bias.data.astype(np.float64)
    without = scale_shift(node, y, np.ones(channels), -numbers)
    return scale_shift(node, pad(node, without, (*missing, *behind)), np.ones(channels), numbers)


def layer_norm(
    node: NodeReader, x: Value, axis: int, epsilon: float, constants: Sequence[Value] = ()
) -> Value:
    """Emit x with mean 0 and variance 1 over all axes from one on, scaled and shifted."""
    rows = reshape_to(node, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))
    inputs = [rows, *constants]
    return reshape_to(node, node.emit("layer_norm", inputs, rows.shape, epsilon=epsilon), x.shape)


def group_norm(
    node: NodeReader, x: Value, groups: int, epsilon: float, scale: np.ndarray, bias: np.ndarray
) -> Value:
    """Emit x (N,C,...) with mean 0 and variance 1 over each group of channels; scale, bias (C)."""
    n, channels, *_ = x.shape
    if groups < 1 or channels % groups:
        node.fail(f"a divisor of {channels} channels expected, found {groups} groups")
    parted = reshape_to(node, x, (n * groups, math.prod(x.shape) // (n * groups)))
    normal = reshape_to(node, layer_norm(node, parted, 1, epsilon), x.shape)
    return scale_shift(node, normal, scale, bias)


def resize(node: NodeReader, x: Value, rows: np.ndarray, columns: np.ndarray) -> Value:
    """Emit rows x columns^T for each plane of an image; rows (H',H), columns (W',W)."""
    matrices = [node.own_constant("rows", rows), node.own_constant("columns", columns)]
    return node.emit("resize", [x, *matrices], (*x.shape[:2], len(rows), len(columns)))
