"""The networks, layer by layer, as graphs of the engine's operators."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..convert.ir import Graph, Node, Value, no_clamp

CLAMPS = {
    None: no_clamp(),
    "relu6": {"min": 0.0, "max": 6.0},
    "silu": no_clamp(),  # an operator of its own
}


class Builder:
    """Appends layers with random weights to a graph.

    Weights are normal with the variance that keeps activations' size (He et al.,
    arXiv:1502.01852), counted over the weights that are not zero.
    """

    def __init__(
        self, width: float, block: tuple[int, int], storage: str | None, sparsity: float, seed: int
    ) -> None:
        self.width, self.sparsity, self.storage = width, sparsity, storage
        self.block_rows, self.block_columns = block
        self.random = np.random.default_rng(seed)
        self.nodes: list[Node] = []

    def channels(self, count: int) -> int:
        """Multiply by the width; to a multiple of 8 that is not below 90 % of it (as published)."""
        scaled = count * self.width
        rounded = max(8, int(scaled + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * scaled else rounded

    def image(self, resolution: int) -> Value:
        """Start a network."""
        return Value("image", (1, 3, resolution, resolution))

    def finish(self, source: str, image: Value, scores: Value) -> Graph:
        """End a network with the probabilities of its scores ``(1, classes)``."""
        output = self._emit("softmax", [scores], scores.shape)
        return Graph(source, [image], {"probabilities": output}, self.nodes)

    def conv(
        self,
        x: Value,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        depthwise: bool = False,
        activation: str | None = None,
        residual: Value | None = None,
        sparse: bool = False,
        bias: float = 0.0,
    ) -> Value:
        """Append a convolution that pads to ``ceil(size / stride)`` pixels, and its activation."""
        inputs = 1 if depthwise else x.shape[1]
        # What is added to a residual is smaller, or a deep network's sums would explode.
        gain = 0.5 if residual else 1.0
        weights = self._weights((outputs, inputs, kernel, kernel), sparse, gain)
        shift = np.full(outputs, bias) + 0.05 * self.random.normal(size=outputs)
        pad = kernel // 2
        sizes = ((size + 2 * pad - kernel) // stride + 1 for size in x.shape[2:])
        y = self._emit(
            "conv",
            [x, weights, self._constant(shift)] + ([residual] if residual else []),
            (x.shape[0], outputs, *sizes),
            strides=(stride, stride),
            pads=(pad, pad, pad, pad),
            dilations=(1, 1),
            groups=x.shape[1] if depthwise else 1,
            **CLAMPS[activation],
        )
        return self.activation(y, "silu") if activation == "silu" else y

    def activation(self, x: Value, kind: str) -> Value:
        """Append "sigmoid" or "silu"."""
        return self._emit("activation", [x], x.shape, kind=kind)

    def multiply(self, x: Value, factors: Value) -> Value:
        """Append the product with one factor a channel."""
        return self._emit("multiply", [x, factors], x.shape)

    def pool(self, x: Value, *, keep_dims: bool) -> Value:
        """Append the mean over the image."""
        shape = (*x.shape[:2], 1, 1) if keep_dims else x.shape[:2]
        return self._emit("global_average_pool", [x], shape, keep_dims=keep_dims)

    def fully_connected(self, x: Value, outputs: int) -> Value:
        """Append a matrix."""
        weights = self._weights((outputs, x.shape[1]), sparse=False)
        bias = self._constant(0.05 * self.random.normal(size=outputs))
        return self._emit(
            "fully_connected", [x, weights, bias], (x.shape[0], outputs), **no_clamp()
        )

    def _emit(self, op: str, inputs: list[Value], shape: tuple[int, ...], **attributes) -> Value:
        name = f"{op}_{len(self.nodes)}"
        output = Value(name, shape)
        self.nodes.append(Node(op, name, op, inputs, output, attributes))
        return output

    def _constant(self, data: np.ndarray, pattern: str | None = None) -> Value:
        data = data.astype(np.float32)
        return Value(f"constant_{len(self.nodes)}_{data.ndim}", data.shape, data, pattern)

    def _weights(self, shape: tuple[int, ...], sparse: bool, gain: float = 1.0) -> Value:
        weights = self.random.normal(size=shape)
        pointwise = len(shape) == 4 and shape[2:] == (1, 1) and shape[1] > 1
        if sparse and self.sparsity:
            self._prune(weights.reshape(shape[0], -1))
        fan_in = max(np.count_nonzero(weights) / shape[0], 1)
        weights *= gain * math.sqrt(2 / fan_in)
        return self._constant(weights, self.storage if sparse and pointwise else None)

    def _prune(self, matrix: np.ndarray) -> None:
        """Zero the exact share of whole blocks, and of the rows that are left over."""
        whole = len(matrix) // self.block_rows * self.block_rows
        columns = matrix.reshape(len(matrix), -1, self.block_columns)  # channels are multiples of 8
        blocks = columns[:whole].reshape(-1, self.block_rows, *columns.shape[1:])
        self._zero(blocks.swapaxes(1, 2))
        self._zero(columns[whole:])

    def _zero(self, blocks: np.ndarray) -> None:
        """Zero a share of the items along the first two axes, in place."""
        count = blocks.shape[0] * blocks.shape[1]
        chosen = self.random.permutation(count)[: round(self.sparsity * count)]
        blocks[np.unravel_index(chosen, blocks.shape[:2])] = 0


def mobilenet_v1(b: Builder, resolution: int, classes: int) -> Graph:
    """Stack 13 blocks of a depthwise and a pointwise convolution."""
    image = b.image(resolution)
    x = b.conv(image, b.channels(32), 3, 2, activation="relu6")
    blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
    blocks += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]
    for outputs, stride in blocks:
        x = b.conv(x, x.shape[1], 3, stride, depthwise=True, activation="relu6")
        x = b.conv(x, b.channels(outputs), activation="relu6", sparse=True)
    return b.finish("mobilenet_v1", image, b.fully_connected(b.pool(x, keep_dims=False), classes))


def mobilenet_v2(b: Builder, resolution: int, classes: int) -> Graph:
    """Stack 17 inverted residuals."""
    image = b.image(resolution)
    x = b.conv(image, b.channels(32), 3, 2, activation="relu6")
    settings = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)]
    settings += [(6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for expansion, outputs, repeats, first_stride in settings:
        for repeat in range(repeats):
            x = _inverted_residual(
                b, x, expansion, b.channels(outputs), 1 if repeat else first_stride
            )
    last = b.channels(1280) if b.width > 1 else 1280
    x = b.conv(x, last, activation="relu6", sparse=True)
    return b.finish("mobilenet_v2", image, b.fully_connected(b.pool(x, keep_dims=False), classes))


def _inverted_residual(b: Builder, x: Value, expansion: int, outputs: int, stride: int) -> Value:
    y, inputs = x, x.shape[1]
    if expansion > 1:
        y = b.conv(y, expansion * inputs, activation="relu6", sparse=True)
    y = b.conv(y, y.shape[1], 3, stride, depthwise=True, activation="relu6")
    residual = x if stride == 1 and inputs == outputs else None
    return b.conv(y, outputs, residual=residual, sparse=True)


def efficientnet_b0(b: Builder, resolution: int, classes: int) -> Graph:
    """Stack 16 inverted residuals with squeeze-excite and SiLU."""
    image = b.image(resolution)
    x = b.conv(image, b.channels(32), 3, 2, activation="silu")
    settings = [(1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3)]
    settings += [(6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)]
    for expansion, outputs, repeats, first_stride, kernel in settings:
        for repeat in range(repeats):
            stride = 1 if repeat else first_stride
            x = _mb_conv(b, x, expansion, b.channels(outputs), kernel, stride)
    x = b.conv(x, b.channels(1280), activation="silu", sparse=True)
    return b.finish(
        "efficientnet_b0", image, b.fully_connected(b.pool(x, keep_dims=False), classes)
    )


def _mb_conv(b: Builder, x: Value, expansion: int, outputs: int, kernel: int, stride: int) -> Value:
    y, inputs = x, x.shape[1]
    if expansion > 1:
        y = b.conv(y, expansion * inputs, activation="silu", sparse=True)
    y = b.conv(y, y.shape[1], kernel, stride, depthwise=True, activation="silu")
    squeezed = b.conv(b.pool(y, keep_dims=True), max(1, inputs // 4), activation="silu")
    # Gates near 1, as in a trained network: a product of many halves would leave nothing.
    gate = b.activation(b.conv(squeezed, y.shape[1], bias=2.0), "sigmoid")
    residual = x if stride == 1 and inputs == outputs else None
    return b.conv(b.multiply(y, gate), outputs, residual=residual, sparse=True)


NETWORKS: dict[str, Callable[[Builder, int, int], Graph]] = {
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "efficientnet_b0": efficientnet_b0,
}
