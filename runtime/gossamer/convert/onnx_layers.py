"""ONNX's convolutions and pooling: from a node to the graph of `ir`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import onnx.helper

from . import patches
from .arithmetic import binary, with_constant
from .ir import Value
from .moves import reshape_to
from .node_reader import Unsupported
from .onnx_node import MISSING, OnnxNode
from .operators import (
    MAX_CONV_ATTRIBUTE,
    average_pool,
    conv,
    conv_transpose,
    max_pool,
    output_size,
    same_pads,
)

_Operator = Callable[[OnnxNode], Value]
_SPATIAL = {
    "kernel_shape", "strides", "dilations", "pads", "output_padding", "output_shape",
}  # fmt: skip


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


_Geometry = dict[str, tuple[int, ...]]


def _window(
    node: OnnxNode, size: Sequence[int], kernel: Sequence[int]
) -> tuple[_Geometry, tuple[int, ...]]:
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


def _also_for_rows(operator: _Operator) -> _Operator:
    """Let an operator on images (N,C,H,W) take rows (N,C,L) too: images of height 1."""

    @functools.wraps(operator)
    def for_rows(node: OnnxNode) -> Value:
        x = node.computed(0, 3, 4)
        if len(x.shape) == 4:
            return operator(node)
        node.inputs[0] = reshape_to(node, x, (*x.shape[:2], 1, x.shape[2]))
        for name in _SPATIAL & set(node.attributes):
            row = list(node.integers(name))
            fill = 0 if name in ("pads", "output_padding") else 1
            image = [fill, *row[:1], fill, *row[1:]] if name == "pads" else [fill, *row]
            node.attributes[name] = onnx.helper.make_attribute(name, image)
        if node.has(1) and len(node.value(1).shape) == 3:
            weights = _weights(node)
            outputs, channels, length = weights.shape
            shape = (outputs, channels, 1, length)
            if weights.data is None:
                node.inputs[1] = reshape_to(node, weights, shape)
            else:
                node.inputs[1] = Value(weights.name, shape, weights.data.reshape(shape))
        image = operator(node)
        if image.shape[2] != 1:
            node.fail(f"rows expected, found an image {list(image.shape)}")
        return reshape_to(node, image, (*image.shape[:2], image.shape[3]))

    return for_rows


def _weights(node: OnnxNode, *ranks: int) -> Value:
    """Take the weights of a layer, constant or computed."""
    return node.computed(1, *ranks) if node.value(1).data is None else node.weights(1, *ranks)


def _constant_bias(node: OnnxNode, channels: int) -> Value | None:
    """Take the bias of a layer, if it has one that is constant."""
    if not node.has(2) or node.value(2).data is None:
        return None
    node.channels(2, channels)
    return node.value(2)


def _with_bias(node: OnnxNode, y: Value) -> Value:
    """Emit y plus the bias, if there is one."""
    if not node.has(2):
        return y
    bias = node.operand(2)
    if bias.shape != y.shape[1:2]:
        node.fail(f"'{bias.name}' of shape {list(y.shape[1:2])} expected, found {list(bias.shape)}")
    if bias.data is not None:
        return with_constant(node, y, bias.data.reshape(-1, 1, 1), scaled=False)
    return binary(node, "add", y, reshape_to(node, bias, (*bias.shape, 1, 1)))


def _also_for_volumes(pooling: _Operator) -> _Operator:
    """Let a pooling of images take volumes (N,C,D,H,W) too: over H and W, then over D."""

    @functools.wraps(pooling)
    def for_volumes(node: OnnxNode) -> Value:
        x = node.computed(0, 3, 4, 5)
        if len(x.shape) < 5:
            return pooling(node)
        n, channels, depth, height, width = x.shape
        given = {name: _of_volume(node, name) for name in _SPATIAL & set(node.attributes)}
        others = dict(node.attributes)
        node.inputs[0] = reshape_to(node, x, (n, channels * depth, height, width))
        _keep_axes(node, {name: (*numbers[1:3], *numbers[4:]) for name, numbers in given.items()})
        images = pooling(node)
        height, width = images.shape[2:]
        node.attributes = others
        node.inputs[0] = reshape_to(node, images, (n, channels, depth, height * width))
        _keep_axes(node, {name: _depth_only(numbers) for name, numbers in given.items()})
        columns = pooling(node)
        return reshape_to(node, columns, (n, channels, columns.shape[2], height, width))

    return for_volumes


def _keep_axes(node: OnnxNode, attributes: Mapping[str, Sequence[int]]) -> None:
    for name, numbers in attributes.items():
        node.attributes[name] = onnx.helper.make_attribute(name, numbers)


def _of_volume(node: OnnxNode, name: str) -> tuple[int, ...]:
    numbers, count = node.integers(name), 6 if name == "pads" else 3
    if len(numbers) != count:
        node.fail(f"attribute '{name}': {count} numbers expected, found {list(numbers)}")
    return numbers


def _depth_only(numbers: Sequence[int]) -> tuple[int, ...]:
    return (numbers[0], 0, numbers[3], 0) if len(numbers) == 6 else (numbers[0], 1)


@_also_for_rows
def _conv(node: OnnxNode) -> Value:
    x, weights = node.computed(0, 4), _weights(node, 4)
    groups, kernel = node.integer("group", 1), weights.shape[2:]
    if node.integers("kernel_shape", kernel) != kernel:
        node.fail(f"attribute 'kernel_shape' {list(kernel)}, as of '{weights.name}', expected")
    geometry, size = _window(node, x.shape[2:], kernel)
    if weights.data is None:
        return _with_bias(node, patches.conv(node, weights, groups, size, **geometry))
    bias = _constant_bias(node, weights.shape[0])
    y = conv(node, weights, bias, groups, size, geometry)
    return y if bias else _with_bias(node, y)


@_also_for_rows
def _conv_transpose(node: OnnxNode) -> Value:
    x, weights = node.computed(0, 4), _weights(node, 4)
    groups, kernel = node.integer("group", 1), weights.shape[2:]
    if node.integers("kernel_shape", kernel) != kernel:
        node.fail(f"attribute 'kernel_shape' {list(kernel)}, as of '{weights.name}', expected")
    strides = _spatial(node, "strides", 2, 1, (1, 1))
    dilations = _spatial(node, "dilations", 2, 1, (1, 1))
    extra = _spatial(node, "output_padding", 2, 0, (0, 0))
    reach = [(taps - 1) * dilation + 1 for taps, dilation in zip(kernel, dilations, strict=True)]
    whole = [(x.shape[2 + a] - 1) * strides[a] + reach[a] + extra[a] for a in (0, 1)]
    pads, size = _cut_pads(node, whole, [x.shape[2 + a] * strides[a] for a in (0, 1)])
    if weights.data is None:
        geometry = {"strides": strides, "pads": pads, "dilations": dilations}
        return _with_bias(node, patches.conv_transpose(node, weights, groups, size, **geometry))
    bias = _constant_bias(node, weights.shape[1] * groups)
    y = conv_transpose(node, weights, bias, groups, strides, dilations, pads, size)
    return y if bias else _with_bias(node, y)


def _cut_pads(
    node: OnnxNode, whole: Sequence[int], same: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What is cut off the whole result of a transposed convolution, and what is left."""
    mode = node.text("auto_pad", "NOTSET")
    pads = _spatial(node, "pads", 4, 0, (0, 0, 0, 0))
    size = node.integers("output_shape", None)
    if mode not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        node.fail(f"auto_pad NOTSET, VALID, SAME_UPPER or SAME_LOWER expected, found {mode!r}")
    if size is None and mode.startswith("SAME"):
        size = tuple(same)
    if size is None:
        return pads, tuple(whole[a] - pads[a] - pads[a + 2] for a in (0, 1))
    if len(size) != 2 or min(size) < 1:
        node.fail(f"output_shape of an image expected, found {list(size)}")
    totals = [have - want for have, want in zip(whole, size, strict=True)]
    small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return (*small, *large) if mode == "SAME_UPPER" else (*large, *small), size


def _pool(
    node: OnnxNode,
) -> tuple[tuple[int, ...], _Geometry, tuple[int, ...], tuple[int, ...]]:
    """A pooling's kernel, its geometry, the output's size, and the padding before `ceil_mode`."""
    size = node.computed(0, 4).shape[2:]
    kernel = _spatial(node, "kernel_shape", 2, 1, MISSING)
    geometry, output = _window(node, size, kernel)
    pads, strides = geometry["pads"], geometry["strides"]
    reach = [(kernel[a] - 1) * geometry["dilations"][a] + 1 for a in (0, 1)]
    if any(pad >= reach[axis % 2] for axis, pad in enumerate(pads)):
        raise Unsupported(f"pads {list(pads)} that hold a window of {reach}; smaller ones expected")
    if not node.integer("ceil_mode", 0):
        return kernel, geometry, output, pads
    # One window more where it begins over the image, with padding for what it lacks.
    output = tuple(
        count + ((count - 1) * stride + window < total and count * stride < total - after)
        for count, stride, window, after, total in zip(
            output, strides, reach, pads[2:], (size[a] + pads[a] + pads[a + 2] for a in (0, 1)),
            strict=True,
        )
    )  # fmt: skip
    after = (
        max(pads[a + 2], (output[a] - 1) * strides[a] + reach[a] - size[a] - pads[a])
        for a in (0, 1)
    )
    return kernel, {**geometry, "pads": (*pads[:2], *after)}, output, pads


@_also_for_volumes
@_also_for_rows
def _max_pool(node: OnnxNode) -> Value:
    node.ignore("storage_order")  # of the indices
    kernel, geometry, size, _ = _pool(node)
    return max_pool(node, kernel, size, geometry)


@_also_for_volumes
@_also_for_rows
def _average_pool(node: OnnxNode) -> Value:
    kernel, geometry, size, pads = _pool(node)
    counted = pads if node.integer("count_include_pad", 0) else (0, 0, 0, 0)
    return average_pool(node, kernel, size, geometry, counted)


OPERATORS: dict[str, _Operator] = {
    "AveragePool": _average_pool,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _max_pool,
}
