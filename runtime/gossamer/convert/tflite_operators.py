"""One function for each TensorFlow Lite operator: from a node to the graph of `ir`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from . import arithmetic, moves, operators, tflite_arithmetic, tflite_shapes
from .ir import Value
from .node_reader import Unsupported
from .tflite_node import CLAMPS, TfliteNode, activated, filed, planed

SAME, VALID = 0, 1  # of the schema's Padding


def _window(
    node: TfliteNode, size: Sequence[int], kernel: Sequence[int]
) -> tuple[dict[str, tuple[int, ...]], tuple[int, ...]]:
    """Strides, pads and dilations of a window that slides over an image, and the output's size."""
    strides = node.option("StrideH", 1), node.option("StrideW", 1)
    dilations = node.option("DilationHFactor", 1), node.option("DilationWFactor", 1)
    for name, pair in (("strides", strides), ("dilations", dilations)):
        if not all(1 <= number <= operators.MAX_CONV_ATTRIBUTE for number in pair):
            node.fail(f"{name} of at least 1 expected, found {list(pair)}")
    reach = [(taps - 1) * dilation + 1 for taps, dilation in zip(kernel, dilations, strict=True)]
    padding = node.option("Padding", SAME)
    if padding not in (SAME, VALID):
        node.fail(f"padding SAME or VALID expected, found {padding}")
    pads = operators.same_pads(size, reach, strides) if padding == SAME else (0, 0, 0, 0)
    output = operators.output_size(node, size, reach, strides, pads)
    return {"strides": strides, "dilations": dilations, "pads": pads}, output


def _convolve(node: TfliteNode, order: tuple[int, ...], depthwise: bool) -> Value:
    x, stored = node.computed(0, 4), node.weights(1, 4)
    data = np.ascontiguousarray(stored.data.transpose(order))
    channels = x.shape[1]
    if channels % data.shape[1] or (depthwise and data.shape[1] != 1):
        node.fail(f"'{stored.name}' {list(stored.shape)} does not fit {channels} channels")
    if node.has(2):
        node.channels(2, data.shape[0])
    geometry, size = _window(node, x.shape[2:], data.shape[2:])
    scales = None if stored.scales is None else stored.scales.transpose(order)
    weights = Value(stored.name, data.shape, data, scales=scales)
    bias = node.value(2) if node.has(2) else None
    groups = channels // data.shape[1]
    return activated(node, operators.conv(node, weights, bias, groups, size, geometry))


def _conv_2d(node: TfliteNode) -> Value:
    return _convolve(node, (0, 3, 1, 2), depthwise=False)


def _depthwise_conv_2d(node: TfliteNode) -> Value:
    return _convolve(node, (3, 0, 1, 2), depthwise=True)


def _fully_connected(node: TfliteNode) -> Value:
    x, weights = node.computed(0), node.weights(1, 2)
    if node.option("WeightsFormat", 0) != 0:
        raise Unsupported("shuffled weights; plain ones expected")
    if node.option("KeepNumDims", False) and len(x.shape) != 2:
        raise Unsupported(f"rank {len(x.shape)} that is kept; rank 2 expected")
    outputs, features = weights.shape
    if math.prod(x.shape) % features:
        node.fail(f"weights for {list(x.shape)} expected, found {list(weights.shape)}")
    matrix = weights.data
    image = node.flattened.get(x, x.shape)
    if len(image) == 4 and not _is_flat(image):
        matrix = _columns_of_planes(node, matrix, image)
    bias = node.channels(2, outputs) if node.has(2) else np.zeros(outputs)
    rows = moves.reshape_to(node, x, (math.prod(x.shape) // features, features))
    y = operators.fully_connected(node, rows, matrix, weights.name, bias, weights.scales)
    return activated(node, y)


def _columns_of_planes(node: TfliteNode, matrix: np.ndarray, image: Sequence[int]) -> np.ndarray:
    """Weights for pixels of an image, in the order of channel planes."""
    _, channels, height, width = image
    if matrix.shape[1] != channels * height * width:
        node.fail(f"weights for an image {list(image)} expected, found {list(matrix.shape)}")
    pixels = matrix.reshape(-1, height, width, channels)
    return pixels.transpose(0, 3, 1, 2).reshape(matrix.shape)


def _is_flat(image: Sequence[int]) -> bool:
    """Whether an image's numbers stand in one order as pixels and as planes."""
    return image[1] == 1 or math.prod(image[2:]) == 1


def _average_pool_2d(node: TfliteNode) -> Value:
    x = node.computed(0, 4)
    kernel = _kernel(node)
    geometry, size = _window(node, x.shape[2:], kernel)
    return activated(node, operators.average_pool(node, kernel, size, geometry))


def _max_pool_2d(node: TfliteNode) -> Value:
    x = node.computed(0, 4)
    kernel = _kernel(node)
    geometry, size = _window(node, x.shape[2:], kernel)
    return activated(node, operators.max_pool(node, kernel, size, geometry))


def _kernel(node: TfliteNode) -> tuple[int, int]:
    kernel = node.option("FilterHeight", 0), node.option("FilterWidth", 0)
    if min(kernel) < 1:
        node.fail(f"a window of at least 1 pixel expected, found {list(kernel)}")
    return kernel


def _reshape(node: TfliteNode) -> Value:
    """Emit the shape that the file gives the result; the batch may be another one."""
    x, shape = node.moved(0), node.result.shape
    if shape and math.prod(shape) != math.prod(x.shape):
        shape = (x.shape[0], *shape[1:])
    turned = (shape[0], shape[3], shape[1], shape[2]) if len(shape) == 4 else tuple(shape)
    if turned == x.shape:
        return x
    images = [image for image in (x.shape, turned) if len(image) == 4]
    if all(map(_is_flat, images)):
        return moves.reshape_to(node, x, turned)
    if turned != (x.shape[0], math.prod(x.shape[1:])):
        return planed(node, moves.reshape_to(node, filed(node, x), shape))
    rows = moves.reshape_to(node, x, turned)
    node.flattened[rows] = x.shape
    return rows


def _clamp_to(name: str) -> Callable[[TfliteNode], Value]:
    return lambda node: arithmetic.clamp(node, node.computed(0), *CLAMPS[name])


def _same(node: TfliteNode) -> Value:
    """Real numbers stay what they are."""
    value = node.value(0)
    if value.data is not None:
        data = value.data.astype(np.float32)
        return Value(value.name, data.shape, data)
    return value


OPERATORS: dict[str, Callable[[TfliteNode], Value | list[Value]]] = {
    **tflite_arithmetic.OPERATORS,
    **tflite_shapes.OPERATORS,
    "AVERAGE_POOL_2D": _average_pool_2d,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "DEQUANTIZE": _same,
    "EXPAND_DIMS": _reshape,
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _max_pool_2d,
    "QUANTIZE": _same,
    "RELU": _clamp_to("RELU"),
    "RELU6": _clamp_to("RELU6"),
    "RELU_N1_TO_1": _clamp_to("RELU_N1_TO_1"),
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
}
