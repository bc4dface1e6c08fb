"""One function for each TensorFlow Lite operator: from a node to the graph of `ir`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import arithmetic, moves, operators
from .ir import Value
from .node_reader import NodeReader, Unsupported
from .tflite_file import ACTIVATIONS, Operator, Tensor

SAME, VALID = 0, 1  # of the schema's Padding
CLAMPS = {
    "NONE": (-math.inf, math.inf),
    "RELU": (0.0, math.inf),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}
# By the file's axes of an image, the axes here.
PLANE_AXES = {0: 0, 1: 2, 2: 3, 3: 1}
# What may read a flattened image.
FOLLOW_FLATTENING = {"FULLY_CONNECTED", "QUANTIZE", "DEQUANTIZE"}


class TfliteNode(NodeReader):
    """Inputs and options of one operator. Computed inputs are channel planes, constants are not.

    `flattened` holds, by the value, the shape of an image whose planes stand in a row where the
    file has pixels: only a fully connected layer can make up for it.
    """

    def __init__(
        self,
        source: str,
        output: Tensor,
        operator: Operator,
        inputs: list[Value | None],
        flattened: dict[Value, tuple[int, ...]],
    ) -> None:
        super().__init__(source, output.name, operator.name, inputs, output.name)
        self.options, self.result, self.flattened = operator.options, output, flattened
        if operator.name not in FOLLOW_FLATTENING and any(v in flattened for v in inputs):
            raise Unsupported("a flattened image is read; a fully connected layer expected")

    def option(self, name: str, default: Any) -> Any:
        """Read one of the options; a node without them has the schema's defaults."""
        return self.options.get(name, default)

    def align(self) -> None:
        """Turn constants like the images that they are combined with."""
        rank = max((len(v.shape) for v in self.inputs if v and v.data is None), default=0)
        if any(v and v.data is None and len(v.shape) != rank for v in self.inputs):
            raise Unsupported("computed tensors of several ranks; one rank expected")
        for position, value in enumerate(self.inputs):
            if rank == 4 and value and value.data is not None:
                data = value.data.reshape((1,) * (4 - value.data.ndim) + value.data.shape)
                data = np.ascontiguousarray(data.transpose(0, 3, 1, 2))
                self.inputs[position] = Value(value.name, data.shape, data)


def _activated(node: TfliteNode, value: Value) -> Value:
    """Append the activation that is fused to an operator.

    Where a quantized result cannot be negative, converters drop the ReLU: its range does the same.
    """
    number = node.option("FusedActivationFunction", 0)
    name = ACTIVATIONS.get(number, f"activation {number}")
    if name not in CLAMPS:
        raise Unsupported(f"fused activation {name}; {', '.join(CLAMPS)} expected")
    low, high = CLAMPS[name]
    if (bounds := node.result.bounds()) and bounds[0] == 0:
        low, high = max(low, 0.0), min(high, bounds[1])
    if math.isinf(low) and math.isinf(high):
        return value
    return arithmetic.clamp(node, value, low, high)


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
    return _activated(node, operators.conv(node, weights, bias, groups, size, geometry))


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
    return _activated(node, y)


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


def _add(node: TfliteNode) -> Value:
    node.align()
    return _activated(node, arithmetic.add(node))


def _sub(node: TfliteNode) -> Value:
    node.align()
    return _activated(node, arithmetic.subtract(node))


def _mul(node: TfliteNode) -> Value:
    node.align()
    return _activated(node, arithmetic.multiply(node))


def _average_pool_2d(node: TfliteNode) -> Value:
    x = node.computed(0, 4)
    kernel = node.option("FilterHeight", 0), node.option("FilterWidth", 0)
    if min(kernel) < 1:
        node.fail(f"a window of at least 1 pixel expected, found {list(kernel)}")
    geometry, size = _window(node, x.shape[2:], kernel)
    return _activated(node, operators.average_pool(node, kernel, size, geometry))


def _mean(node: TfliteNode) -> Value:
    rank = len(node.computed(0).shape)
    axes = [node.axis(axis, rank) for axis in node.sizes(1)]
    keep = bool(node.option("KeepDims", False))
    if rank == 4 and set(axes) != {1, 2} and not keep:
        raise Unsupported(f"axes {axes} of an image; [1, 2] expected")
    return arithmetic.mean(node, [PLANE_AXES[a] for a in axes] if rank == 4 else axes, keep)


def _pad(node: TfliteNode) -> Value:
    x = node.computed(0, 4)
    pads = np.asarray(node.constant(1))
    if pads.shape != (4, 2) or pads.dtype.kind != "i" or pads.min() < 0:
        node.fail(f"4 pairs of pads, not below 0, expected, found {pads.tolist()}")
    if pads[[0, 3]].any() or pads.max() > operators.MAX_CONV_ATTRIBUTE:
        raise Unsupported(f"pads {pads.tolist()}; zeros around the image expected")
    (top, bottom), (left, right) = pads[1:3].tolist()
    return moves.pad(node, x, (top, left, bottom, right))


def _reshape(node: TfliteNode) -> Value:
    """Emit the shape that the file gives the result; the batch may be another one."""
    x, shape = node.computed(0), node.result.shape
    if shape and math.prod(shape) != math.prod(x.shape):
        shape = (x.shape[0], *shape[1:])
    turned = (shape[0], shape[3], shape[1], shape[2]) if len(shape) == 4 else tuple(shape)
    if turned == x.shape:
        return x
    images = [image for image in (x.shape, turned) if len(image) == 4]
    if all(map(_is_flat, images)):
        return moves.reshape_to(node, x, turned)
    if turned != (x.shape[0], math.prod(x.shape[1:])):
        raise Unsupported(
            f"an image {list(x.shape)} to {list(turned)}; all of it in a row expected"
        )
    rows = moves.reshape_to(node, x, turned)
    node.flattened[rows] = x.shape
    return rows


def _softmax(node: TfliteNode) -> Value:
    x = node.computed(0)
    if node.option("Beta", 1.0) != 1.0:
        raise Unsupported(f"beta {node.option('Beta', 1.0)}; 1 expected")
    if len(x.shape) == 4 and math.prod(x.shape[2:]) > 1:
        raise Unsupported(f"an image {list(x.shape)}; one pixel expected")
    classes = x.shape[1] if len(x.shape) == 4 else x.shape[-1]
    rows = moves.reshape_to(node, x, (math.prod(x.shape) // classes, classes))
    return moves.reshape_to(node, node.emit("softmax", [rows], rows.shape), x.shape)


def _clamp_to(name: str) -> Callable[[TfliteNode], Value]:
    return lambda node: arithmetic.clamp(node, node.computed(0), *CLAMPS[name])


def _same(node: TfliteNode) -> Value:
    """Real numbers stay what they are."""
    value = node.value(0)
    if value.data is not None:
        data = value.data.astype(np.float32)
        return Value(value.name, data.shape, data)
    return value


OPERATORS: dict[str, Callable[[TfliteNode], Value]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _average_pool_2d,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "DEQUANTIZE": _same,
    "FULLY_CONNECTED": _fully_connected,
    "LOGISTIC": arithmetic.sigmoid,
    "MEAN": _mean,
    "MUL": _mul,
    "PAD": _pad,
    "QUANTIZE": _same,
    "RELU": _clamp_to("RELU"),
    "RELU6": _clamp_to("RELU6"),
    "RELU_N1_TO_1": _clamp_to("RELU_N1_TO_1"),
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
    "SUB": _sub,
}
