"""Networks that answer for every pixel or box, as ONNX models with random weights."""

from __future__ import annotations

import numpy as np
from onnx import helper

from .vision_networks import Network


class DenseNetwork(Network):
    """Layers that make images larger, and heads of detectors."""

    def double_conv(self, x, outputs):
        return self.conv_bn(self.conv_bn(x, outputs, 3), outputs, 3)

    def conv_transposed(self, x, outputs, kernel, stride, pad):
        weights = self.weights(self.shapes[x], outputs, kernel, kernel, scale=0.1)
        geometry = {"strides": [stride] * 2, "pads": [pad] * 4}
        bias = self.weights(outputs, scale=0.1)
        return self.layer("ConvTranspose", x, weights, bias, channels=outputs, **geometry)

    def resized(self, x, factor=2, **attributes):
        scales = self.constant([1, 1, factor, factor])
        return self.layer("Resize", x, "", scales, **attributes)

    def parts(self, x, sizes, axis):
        names = [f"{x}.part_{number}" for number in range(len(sizes))]
        split = helper.make_node(
            "Split", [x, self.integers(*sizes)], names, name=f"{x}.split", axis=axis
        )
        self.nodes.append(split)
        return names


BILINEAR = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
CORNERS = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
NEAREST = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
WAYS_UP = ("transposed", "bilinear", "corners", "nearest")


def unet(way_up="transposed", side=64, width=16, depth=3, classes=5):
    """U-Net (arXiv:1505.04597) with padding, one class a pixel."""
    g = DenseNetwork(side)
    x, skipped = g.double_conv("image", width), []
    for level in range(depth):
        skipped.append(x)
        x = g.double_conv(g.max_pool(x, 2, 2), width << (level + 1))
    for short in reversed(skipped):
        channels = g.shapes[short]
        if way_up == "transposed":
            x = g.conv_transposed(x, channels, 2, 2, 0)
        else:
            how = {"bilinear": BILINEAR, "corners": CORNERS, "nearest": NEAREST}[way_up]
            x = g.conv_of(g.resized(x, **how), channels, 1, bias=True)
        x = g.double_conv(g.concat(short, x), channels)
    x = g.conv_of(x, classes, 1, bias=True)
    return g.model(g.layer("Softmax", x, axis=1))


def _ssd(g, classes, anchors):
    x, scores, boxes = g.conv_bn("image", 16, 3, 2), [], []
    for outputs in (24, 32, 48):
        x = g.conv_bn(x, outputs, 3, 2)
        for found, each in ((scores, classes), (boxes, 4)):
            y = g.conv_of(x, anchors * each, 3, bias=True)
            y = g.layer("Transpose", y, perm=[0, 2, 3, 1])
            found.append(g.layer("Reshape", y, g.integers(1, -1, each)))
    score = g.layer("Softmax", g.layer("Concat", *scores, axis=1), axis=2)
    return score, g.layer("Concat", *boxes, axis=1)


def ssd_head(side=64, classes=6, anchors=3):
    """A small backbone with SSD's heads (arXiv:1512.02325): scores and boxes of all anchors."""
    g = DenseNetwork(side)
    return g.model(*_ssd(g, classes, anchors))


def ssd(side=64, classes=6, anchors=3):
    """The same with what follows: boxes around their anchors, and which of them are left."""
    g = DenseNetwork(side)
    scores, moves = _ssd(g, classes, anchors)
    cells = [side // step for step in (4, 8, 16)]
    points = [np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n] * 2), -1) for n in cells]
    points = np.concatenate([np.repeat(p.reshape(-1, 2), anchors, axis=0) for p in points])
    sizes = np.concatenate([np.full((anchors * n * n, 2), 2 / n) for n in cells])
    near, grown = g.parts(moves, [2, 2], 2)
    middle = g.node("Mul", g.node("Mul", near, g.constant(0.1)), g.constant(sizes))
    middle = g.node("Add", middle, g.constant(points))
    size = g.node("Mul", g.node("Exp", g.node("Mul", grown, g.constant(0.2))), g.constant(sizes))
    boxes = g.node("Concat", middle, size, axis=2)
    scores = g.node("Transpose", scores, perm=[0, 2, 1])
    limits = g.integers(20), g.constant([0.45]), g.constant([0.8])
    rows = g.node("NonMaxSuppression", boxes, scores, *limits, center_point_box=1)
    return g.model(boxes, scores, g.node("Cast", rows, to=1))


def yolo(side=64, classes=4, bins=8):
    """A head without anchors as YOLOv8's, with its decoding: boxes and scores in one tensor.

    Sides of boxes are means over distributions (arXiv:2006.04388).
    """
    g = DenseNetwork(side)
    x, maps = g.conv_bn("image", 16, 3, 2, activation="HardSwish"), []
    for outputs in (24, 32):
        x = g.conv_bn(x, outputs, 3, 2, activation="HardSwish")
        y = g.conv_of(g.conv_bn(x, outputs, 3), 4 * bins + classes, 1, bias=True)
        maps.append(g.layer("Reshape", y, g.integers(1, 4 * bins + classes, -1)))
    y = g.layer("Concat", *maps, axis=2)
    sides, scores = g.parts(y, [4 * bins, classes], 1)
    sides = g.node("Reshape", sides, g.integers(1, 4, bins, -1))
    sides = g.node("Softmax", g.node("Transpose", sides, perm=[0, 2, 1, 3]), axis=1)
    weights = g.constant(np.arange(bins).reshape(1, bins, 1, 1))
    sides = g.node("Reshape", g.node("Conv", sides, weights), g.integers(1, 4, -1))
    cells = [(side // step) for step in (4, 8)]
    points = np.concatenate(
        [np.stack(np.meshgrid(*[np.arange(n) + 0.5] * 2)).reshape(1, 2, -1) for n in cells], axis=2
    )
    steps = np.concatenate([np.full((1, 1, n * n), side / n) for n in cells], axis=2)
    near, far = g.parts(sides, [2, 2], 1)
    low, high = g.node("Sub", g.constant(points), near), g.node("Add", g.constant(points), far)
    middle = g.node("Div", g.node("Add", low, high), g.constant(2))
    size = g.node("Sub", high, low)
    boxes = g.node("Mul", g.node("Concat", middle, size, axis=1), g.constant(steps))
    return g.model(g.node("Concat", boxes, g.node("Sigmoid", scores), axis=1))


def keyword_spotter(frames=49, features=40, width=32, words=12):
    """A keyword spotter of depthwise separable convolutions (arXiv:1711.07128)."""
    g = DenseNetwork(1)
    g.inputs[0] = helper.make_tensor_value_info("image", 1, [1, frames, features])
    x = g.layer("Unsqueeze", "image", g.integers(1), channels=1)
    pads = {"strides": [2, 2], "pads": [4, 1, 5, 2]}
    x = g.layer("Conv", x, g.weights(width, 1, 10, 4, scale=0.3), channels=width, **pads)
    x = g.layer("Relu", g.normalized(x))
    for _ in range(4):
        x = g.conv_bn(g.conv_bn(x, width, 3, groups=width), width)
    y = g.layer("ReduceMean", x, axes=[2, 3], keepdims=0)
    return g.model(g.layer("LogSoftmax", g.linear(y, words), axis=1))


LITE0 = (  # kernel, expansion, outputs, count, stride
    (3, 1, 16, 1, 1), (3, 6, 24, 2, 2), (5, 6, 40, 2, 2), (3, 6, 80, 3, 2),
    (5, 6, 112, 3, 1), (5, 6, 192, 4, 2), (3, 6, 320, 1, 1),
)  # fmt: skip


class Lite(Network):
    def activate(self, x, activation):
        return self.layer("Clip", x, self.constant(0), self.constant(6))


def efficientnet_lite0(side=64):
    """EfficientNet-Lite0: EfficientNet-B0 (arXiv:1905.11946) with ReLU6 and without gates."""
    g = Lite(side)
    x = g.conv_bn("image", 32, 3, 2)
    for kernel, expansion, outputs, count, stride in LITE0:
        for number in range(count):
            step, hidden = stride if number == 0 else 1, expansion * g.shapes[x]
            y = g.conv_bn(x, hidden) if expansion > 1 else x
            y = g.conv_bn(y, hidden, kernel, step, groups=hidden)
            y = g.conv_bn(y, outputs, activation=None)
            x = g.add(y, x) if step == 1 and outputs == g.shapes[x] else y
    return g.model(g.linear(g.pooled(g.conv_bn(x, 1280)), 1000))
