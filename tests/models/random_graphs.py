"""Random ONNX graphs that are legal and small: chains with branches, reuse, several outputs."""

from __future__ import annotations

import random

import numpy as np

from .onnx_graphs import GraphBuilder

OPSETS = (7, 9, 11, 13, 18, 21)


class RandomGraph:
    """Grows a graph step by step; `values` are (name, shape) of what a step may read."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        pick = self.random.choice
        shape = (pick([1, 2, 3]), pick([1, 2, 3, 5, 8]), pick([1, 3, 5, 8]), pick([1, 4, 7]))
        self.g = GraphBuilder(pick(OPSETS), x=shape)
        self.g.random = np.random.default_rng(seed)
        self.values = [("x", shape)]

    def model(self):
        for _ in range(self.random.randint(2, 12)):
            x, shape = self.random.choice(self.values[-3:])
            steps = self.image_steps if len(shape) == 4 else self.row_steps
            self.values.append(self.random.choice(steps)(self, x, shape))
        others = [name for name, _ in self.random.sample(self.values, 2) if name != "x"]
        return self.g.model(*dict.fromkeys([self.g.node("Identity", self.values[-1][0]), *others]))

    def conv(self, x, shape):
        n, channels, height, width = shape
        pick, g = self.random.choice, self.g
        groups = pick([1, channels])
        outputs = pick([1, 2, 3, 4, 6, 9]) if groups == 1 else channels * pick([1, 2])
        strides, dilations = [pick([1, 1, 2]), pick([1, 2])], [pick([1, 2]), 1]
        pads = [self.random.randint(0, 2) for _ in range(4)]
        padded = height + pads[0] + pads[2], width + pads[1] + pads[3]
        kernel = [1 if size < 5 else pick([1, 2, 3]) for size in padded]
        size = [
            (padded[axis] - (kernel[axis] - 1) * dilations[axis] - 1) // strides[axis] + 1
            for axis in (0, 1)
        ]
        weights = g.weights(
            outputs, channels // groups, *kernel, zeros=pick([0, 0.3, 0.8, 0.95, 1])
        )
        bias = pick([[], [g.weights(outputs)]])
        if g.opset >= 11 and pick([True, False]):
            x = g.node("Pad", x, g.integers(0, 0, *pads[:2], 0, 0, *pads[2:]))
            pads = [0, 0, 0, 0]
        attributes = {"strides": strides, "dilations": dilations, "pads": pads, "group": groups}
        return g.node("Conv", x, weights, *bias, **attributes), (n, outputs, *size)

    def batch_norm(self, x, shape):
        return self.g.batch_norm(x, shape[1]), shape

    def relu(self, x, shape):
        return self.g.node("Relu", x), shape

    def relu6(self, x, shape):
        return self.g.relu6(x), shape

    def add(self, x, shape):
        same = [name for name, other in self.values if other == shape]
        return self.g.node("Add", x, self.random.choice(same)), shape

    def arithmetic(self, x, shape):
        inputs = [x, self.g.weights(shape[1], *[1] * (len(shape) - 2))]
        self.random.shuffle(inputs)
        return self.g.node(self.random.choice(["Add", "Sub", "Mul"]), *inputs), shape

    def pool(self, x, shape):
        return self.g.node("GlobalAveragePool", x), (*shape[:2], 1, 1)

    def windows(self, x, shape):
        pick, (n, channels, *size) = self.random.choice, shape
        kernel = [pick([taps for taps in (1, 2, 3) if taps <= pixels]) for pixels in size]
        strides = [pick([1, 2, 3]), pick([1, 2])]
        pads = [self.random.randint(0, kernel[axis % 2] - 1) for axis in range(4)]
        out = [
            (size[axis] + pads[axis] + pads[axis + 2] - kernel[axis]) // strides[axis] + 1
            for axis in (0, 1)
        ]
        window = {"kernel_shape": kernel, "strides": strides, "pads": pads}
        return self.g.node(pick(["MaxPool", "AveragePool"]), x, **window), (n, channels, *out)

    def concat(self, x, shape):
        fits = [
            (name, other[1])
            for name, other in self.values
            if len(other) == len(shape) and (*other[:1], *other[2:]) == (*shape[:1], *shape[2:])
        ]
        parts = [self.random.choice(fits) for _ in range(self.random.choice([1, 2, 5]))]
        channels = shape[1] + sum(channels for _, channels in parts)
        if channels > 64:
            return x, shape
        y = self.g.node("Concat", x, *(name for name, _ in parts), axis=1)
        return y, (shape[0], channels, *shape[2:])

    def curve(self, x, shape):
        ops = ["Tanh", "Elu", "Softplus", "HardSigmoid", "LeakyRelu", "Sigmoid"]
        return self.g.node(self.random.choice(ops), x), shape

    def mean(self, x, shape):
        keep_dims = self.random.choice([0, 1])
        return self.g.mean(x, keep_dims), shape[:2] + (1, 1) * keep_dims

    def flatten(self, x, shape):
        return self.g.node("Flatten", x), (shape[0], int(np.prod(shape[1:])))

    def gemm(self, x, shape):
        outputs = self.random.choice([1, 2, 5, 8])
        weights = self.g.weights(outputs, shape[1], zeros=self.random.choice([0, 0.9]))
        bias = self.g.weights(outputs)
        return self.g.node("Gemm", x, weights, bias, transB=1), (shape[0], outputs)

    def mat_mul(self, x, shape):
        outputs = self.random.choice([1, 2, 5, 8])
        return self.g.node("MatMul", x, self.g.weights(shape[1], outputs)), (shape[0], outputs)

    def softmax(self, x, shape):
        return self.g.node("Softmax", x, axis=1), shape

    any_steps = (batch_norm, relu, relu6, add, arithmetic, concat, curve)
    image_steps = (conv, conv, conv, pool, windows, mean, flatten, *any_steps)
    row_steps = (gemm, mat_mul, softmax, *any_steps)
