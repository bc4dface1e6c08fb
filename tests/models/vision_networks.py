"""Well-known networks as ONNX models with random weights, at their full widths."""

from __future__ import annotations

import math

from onnx import helper

from .onnx_graphs import GraphBuilder

CLASSES = 1000


class Network(GraphBuilder):
    """Layers that know how many channels they read; `x` is what the last one computed."""

    def __init__(self, side, opset=17):
        super().__init__(opset, image=[1, 3, side, side])
        self.shapes = {"image": 3}

    def layer(self, op, x, *inputs, channels=None, **attributes):
        y = self.node(op, x, *inputs, **attributes)
        self.shapes[y] = channels or self.shapes[x]
        return y

    def conv_of(self, x, outputs, kernel=1, stride=1, pad=None, groups=1, bias=False):
        inputs = self.shapes[x] // groups
        weights = self.weights(
            outputs, inputs, kernel, kernel, scale=math.sqrt(2 / (inputs * kernel**2))
        )
        constants = [weights, self.weights(outputs, scale=0.1)] if bias else [weights]
        pads = [kernel // 2 if pad is None else pad] * 4
        geometry = {"strides": [stride] * 2, "pads": pads, "group": groups}
        return self.layer("Conv", x, *constants, channels=outputs, **geometry)

    def normalized(self, x):
        """Batch normalization that leaves the size of activations as it is."""
        channels = self.shapes[x]
        bounds = ((0.8, 1.2), (-0.1, 0.1), (-0.1, 0.1), (0.8, 1.2))
        statistics = [self.constant(self.random.uniform(*b, channels)) for b in bounds]
        return self.layer("BatchNormalization", x, *statistics)

    def conv_bn(self, x, outputs, *geometry, activation="Relu", **options):
        y = self.normalized(self.conv_of(x, outputs, *geometry, **options))
        return self.activate(y, activation) if activation else y

    def activate(self, x, activation):
        return self.layer(activation, x)

    def add(self, a, b):
        return self.layer("Add", a, b)

    def concat(self, *parts):
        channels = sum(self.shapes[part] for part in parts)
        return self.layer("Concat", *parts, channels=channels, axis=1)

    def max_pool(self, x, kernel, stride, **options):
        window = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2}
        return self.layer("MaxPool", x, **window, **options)

    def pooled(self, x):
        return self.layer("Flatten", self.layer("GlobalAveragePool", x))

    def linear(self, x, outputs):
        inputs = self.shapes[x]
        weights = self.weights(outputs, inputs, scale=inputs**-0.5)
        bias = self.weights(outputs, scale=0.1)
        return self.layer("Gemm", x, weights, bias, channels=outputs, transB=1)


def resnet(depth, side=64):
    """ResNet-18 or ResNet-50 (arXiv:1512.03385, strides as torchvision has them)."""
    blocks, deep = {18: ((2, 2, 2, 2), False), 50: ((3, 4, 6, 3), True)}[depth]
    g = Network(side)
    x = g.max_pool(g.conv_bn("image", 64, 7, 2), 3, 2, pads=[1] * 4)
    for stage, count in enumerate(blocks):
        width = 64 << stage
        for block in range(count):
            stride = 2 if stage and not block else 1
            outputs = 4 * width if deep else width
            if deep:
                y = g.conv_bn(g.conv_bn(x, width), width, 3, stride)
                y = g.conv_bn(y, outputs, activation=None)
            else:
                y = g.conv_bn(g.conv_bn(x, width, 3, stride), outputs, 3, activation=None)
            if stride > 1 or g.shapes[x] != outputs:
                x = g.conv_bn(x, outputs, 1, stride, activation=None)
            x = g.layer("Relu", g.add(y, x))
    return g.model(g.linear(g.pooled(x), CLASSES))


def squeezenet(side=64):
    """SqueezeNet 1.1 (arXiv:1602.07360)."""
    g = Network(side)

    def conv(x, outputs, kernel, **options):
        return g.layer("Relu", g.conv_of(x, outputs, kernel, bias=True, **options))

    x = conv("image", 64, 3, stride=2, pad=0)
    for pool, squeezed, expanded in (
        (True, 16, 64), (False, 16, 64), (True, 32, 128), (False, 32, 128),
        (True, 48, 192), (False, 48, 192), (False, 64, 256), (False, 64, 256),
    ):  # fmt: skip
        if pool:
            x = g.max_pool(x, 3, 2, ceil_mode=1)
        x = conv(x, squeezed, 1)
        x = g.concat(conv(x, expanded, 1), conv(x, expanded, 3))
    return g.model(g.pooled(conv(g.layer("Dropout", x), CLASSES, 1)))


V3_SMALL = (  # kernel, expanded, outputs, squeeze-and-excite, hard swish, stride
    (3, 16, 16, True, False, 2), (3, 72, 24, False, False, 2), (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2), (5, 240, 40, True, True, 1), (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1), (5, 144, 48, True, True, 1), (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1), (5, 576, 96, True, True, 1),
)  # fmt: skip
V3_LARGE = (
    (3, 16, 16, False, False, 1), (3, 64, 24, False, False, 2), (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2), (5, 120, 40, True, False, 1), (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2), (3, 200, 80, False, True, 1), (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1), (3, 480, 112, True, True, 1), (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2), (5, 960, 160, True, True, 1), (5, 960, 160, True, True, 1),
)  # fmt: skip


class MobileNetV3(Network):
    """Hard swish as one operator, or spelled out as PyTorch's exporter did at older opsets."""

    spelled_out = False

    def activate(self, x, activation):
        if activation != "HardSwish" or not self.spelled_out:
            return super().activate(x, activation)
        three, zero, six = (self.constant(number) for number in (3, 0, 6))
        gate = self.layer("Clip", self.layer("Add", x, three), zero, six)
        return self.layer("Div", self.layer("Mul", x, gate), six)

    def excited(self, x):
        channels = self.shapes[x]
        squeezed = -(-channels // 4 // 8) * 8
        y = self.layer("GlobalAveragePool", x)
        y = self.layer("Relu", self.conv_of(y, squeezed, bias=True))
        y = self.conv_of(y, channels, bias=True)
        if self.spelled_out:
            three, zero, six = (self.constant(number) for number in (3, 0, 6))
            y = self.layer("Clip", self.layer("Add", y, three), zero, six)
            y = self.layer("Div", y, six)
        else:
            y = self.layer("HardSigmoid", y, alpha=1 / 6, beta=0.5)
        return self.layer("Mul", y, x)


def mobilenet_v3(size="small", side=64, spelled_out=False):
    """MobileNet-v3 (arXiv:1905.02244), small or large."""
    g = MobileNetV3(side)
    g.spelled_out = spelled_out
    blocks, features = {"small": (V3_SMALL, 1024), "large": (V3_LARGE, 1280)}[size]
    x = g.conv_bn("image", 16, 3, 2, activation="HardSwish")
    for kernel, expanded, outputs, excite, swish, stride in blocks:
        activation, y = "HardSwish" if swish else "Relu", x
        if expanded != g.shapes[x]:
            y = g.conv_bn(y, expanded, activation=activation)
        y = g.conv_bn(y, expanded, kernel, stride, groups=expanded, activation=activation)
        y = g.excited(y) if excite else y
        y = g.conv_bn(y, outputs, activation=None)
        x = g.add(y, x) if stride == 1 and outputs == g.shapes[x] else y
    x = g.conv_bn(x, 6 * g.shapes[x], activation="HardSwish")
    x = g.activate(g.linear(g.pooled(x), features), "HardSwish")
    return g.model(g.linear(x, CLASSES))


class ShuffleNetV2(Network):
    """Units that halve their channels and shuffle them."""

    def halves(self, x):
        half = self.shapes[x] // 2
        names = [f"{x}.left", f"{x}.right"]
        split = helper.make_node(
            "Split", [x, self.integers(half, half)], names, name=f"{x}.split", axis=1
        )
        self.nodes.append(split)
        self.shapes.update(dict.fromkeys(names, half))
        return names

    def shuffled(self, x, side):
        channels = self.shapes[x]
        y = self.layer("Reshape", x, self.integers(1, 2, channels // 2, side, side))
        y = self.layer("Transpose", y, perm=[0, 2, 1, 3, 4])
        return self.layer("Reshape", y, self.integers(1, -1, side, side))


def shufflenet_v2(side=64):
    """ShuffleNet-v2 0.5x (arXiv:1807.11164)."""
    g = ShuffleNetV2(side)
    x = g.max_pool(g.conv_bn("image", 24, 3, 2), 3, 2, pads=[1] * 4)
    side //= 4
    for outputs, count in ((48, 4), (96, 8), (192, 4)):
        half = outputs // 2
        for unit in range(count):
            stride = 1 if unit else 2
            if unit:
                left, right = g.halves(x)
            else:
                right = x
                left = g.conv_bn(x, g.shapes[x], 3, 2, groups=g.shapes[x], activation=None)
                left = g.conv_bn(left, half)
                side //= 2
            right = g.conv_bn(right, half)
            right = g.conv_bn(right, half, 3, stride, groups=half, activation=None)
            x = g.shuffled(g.concat(left, g.conv_bn(right, half)), side)
    return g.model(g.linear(g.pooled(g.conv_bn(x, 1024)), CLASSES))


def resnext(side=64):
    """The first blocks of ResNeXt-50 (arXiv:1611.05431), 32 groups of 4 channels."""
    g = Network(side)
    x = g.max_pool(g.conv_bn("image", 64, 7, 2), 3, 2, pads=[1] * 4)
    for width, stride in ((128, 1), (128, 1), (256, 2)):
        y = g.conv_bn(g.conv_bn(x, width), width, 3, stride, groups=32)
        y = g.conv_bn(y, 2 * width, activation=None)
        if stride > 1 or g.shapes[x] != 2 * width:
            x = g.conv_bn(x, 2 * width, 1, stride, activation=None)
        x = g.layer("Relu", g.add(y, x))
    return g.model(g.linear(g.pooled(x), CLASSES))
