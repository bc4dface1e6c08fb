"""Small quantized networks with random weights, scales and shapes."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

import gossamer
from gossamer.convert.ir import Graph, Node, Value, no_clamp
from gossamer.convert.lower import lower

Shape = tuple[int, ...]


class QuantizedGraph:
    """Appends layers; every method returns the value that its layer computes."""

    def __init__(self, seed: int, shape: Shape, *, zero_point: int | None = None) -> None:
        self.random = np.random.default_rng(seed)
        self.image = Value("image", shape)
        self.nodes: list[Node] = []
        self.x = self.u7(shape, scale=0.03, zero_point=zero_point)
        self.append("quantize", [self.image], self.x)

    def u7(self, shape: Shape, scale: float, zero_point: int | None = None) -> Value:
        if zero_point is None:
            zero_point = int(self.random.choice([0, 127, self.random.integers(128)]))
        scale = float(np.float32(scale * self.random.uniform(0.7, 1.4)))
        return Value(f"t{len(self.nodes)}", shape, None, None, "u7", scale, zero_point)

    def append(self, op: str, inputs: list[Value], output: Value, **attributes) -> Value:
        name = f"{op}{len(self.nodes)}"
        self.nodes.append(Node(op, name, op, inputs, output, attributes))
        return output

    def weights(self, shape: Shape, zeros: float, pattern: str | None) -> Value:
        values = self.random.integers(-127, 128, shape).astype(np.int8)
        rows = 4 if pattern == "4x4" else 1
        kept = self.random.random((-(-shape[0] // rows), -(-shape[1] // 4), *shape[2:])) >= zeros
        kept = np.repeat(np.repeat(kept, rows, 0), 4, 1)[: shape[0], : shape[1]]
        scales = self.random.uniform(0.001, 0.01, shape[0]).astype(np.float32)
        name = f"w{len(self.nodes)}"
        return Value(name, shape, values * kept, pattern, "i8", scales=scales)

    def bias(self, rows: int) -> Value:
        return Value(f"b{len(self.nodes)}", (rows,), self.random.normal(size=rows).astype("f4"))

    def scale_of(self, x: Value, weights: Value) -> float:
        """Of results that mostly lie within what a byte holds."""
        fan_in = max(np.count_nonzero(weights.data) / len(weights.data), 1)
        return x.scale * 0.005 * 73 * 50 * np.sqrt(fan_in) / 40

    def clamp(self) -> dict[str, float]:
        choices = [no_clamp(), {"min": 0.0, "max": np.inf}, {"min": 0.0, "max": 6.0}]
        return choices[self.random.integers(len(choices))]

    def conv(
        self,
        x: Value,
        rows: int,
        kernel: tuple[int, int] = (1, 1),
        *,
        strides: tuple[int, int] = (1, 1),
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        dilations: tuple[int, int] = (1, 1),
        zeros: float = 0.0,
        pattern: str = "4x4",
        residual: Value | None = None,
        depthwise: bool = False,
    ) -> Value:
        channels, groups = x.shape[1], x.shape[1] if depthwise else 1
        weights = self.weights((rows, channels // groups, *kernel), zeros, pattern)
        size = [
            (x.shape[2 + i] + pads[i] + pads[i + 2] - (kernel[i] - 1) * dilations[i] - 1)
            // strides[i]
            + 1
            for i in (0, 1)
        ]
        inputs = [x, weights, self.bias(rows)] + ([residual] if residual else [])
        output = self.u7((x.shape[0], rows, *size), self.scale_of(x, weights))
        geometry = {"strides": strides, "pads": pads, "dilations": dilations, "groups": groups}
        return self.append("conv", inputs, output, **geometry, **self.clamp())

    def fully_connected(
        self, x: Value, rows: int, *, zeros: float = 0.0, pattern: str = "4x4", f32: bool = False
    ) -> Value:
        weights = self.weights((rows, x.shape[1]), zeros, pattern)
        shape = (x.shape[0], rows)
        output = Value("y", shape) if f32 else self.u7(shape, self.scale_of(x, weights))
        inputs = [x, weights, self.bias(rows)]
        return self.append("fully_connected", inputs, output, **self.clamp())

    def add(self, a: Value, b: Value) -> Value:
        return self.append("add", [a, b], self.u7(a.shape, a.scale + b.scale), **self.clamp())

    def multiply(self, a: Value, b: Value) -> Value:
        return self.append("multiply", [a, b], self.u7(a.shape, a.scale * b.scale * 40))

    def lookup(self, x: Value) -> Value:
        table = self.random.integers(0, 128, 128).astype(np.uint8)
        return self.append("lookup", [x], self.u7(x.shape, 0.05), table=table)

    def global_average_pool(self, x: Value, *, keep_dims: bool) -> Value:
        shape = (*x.shape[:2], 1, 1) if keep_dims else x.shape[:2]
        output = self.u7(shape, x.scale / 4)
        return self.append("global_average_pool", [x], output, keep_dims=keep_dims)

    def pool(self, x: Value, kind: str, kernel: int, stride: int, pad: int, counted: int) -> Value:
        size = [(edge + 2 * pad - kernel) // stride + 1 for edge in x.shape[2:]]
        output = self.u7((*x.shape[:2], *size), x.scale)
        attributes = {
            "kernel": (kernel,) * 2,
            "strides": (stride,) * 2,
            "pads": (pad,) * 4,
            "dilations": (1, 1),
        }
        if kind == "max_pool":
            output.scale, output.zero_point = x.scale, x.zero_point
        else:
            attributes["counted"] = (counted,) * 4
        return self.append(kind, [x], output, **attributes)

    def move(self, op: str, inputs: list[Value], shape: Shape, /, **attributes) -> Value:
        """Layers that copy numbers: only concat may change what they stand for."""
        output = self.u7(shape, inputs[0].scale)
        if op != "concat":
            output.scale, output.zero_point = inputs[0].scale, inputs[0].zero_point
        return self.append(op, inputs, output, **attributes)

    def file(self, *outputs: Value) -> bytes:
        """The ``.goss`` file; what is quantized comes out as f32."""
        named = {}
        for value in outputs:
            if value.dtype == "u7":
                plain = Value(f"{value.name}.plain", value.shape)
                value = self.append("dequantize", [value], plain)
            named[value.name] = value
        return lower(Graph("quantized", [self.image], named, self.nodes), {})

    def feed(self) -> np.ndarray:
        """An input that uses the whole range, and some beyond it."""
        middle = (63 - self.x.zero_point) * self.x.scale
        spread = 40 * self.x.scale
        return (middle + spread * self.random.normal(size=self.image.shape)).astype(np.float32)


def network(seed: int) -> QuantizedGraph:
    """A network with a branch, every kind of layer that small ones have, and odd sizes."""
    g = QuantizedGraph(seed, (2, 3, 13, 11))
    x = g.conv(g.x, 10, (3, 3), strides=(2, 2), pads=(1, 1, 1, 1))
    y = g.conv(x, 10, (3, 3), pads=(1, 1, 1, 1), depthwise=True)
    y = g.conv(y, 18, zeros=0.6, pattern="4x4")
    y = g.lookup(y)
    y = g.conv(y, 18, (5, 5), strides=(2, 2), pads=(2, 2, 2, 2), depthwise=True)
    gate = g.conv(g.global_average_pool(y, keep_dims=True), 18)
    y = g.multiply(y, g.lookup(gate))
    z = g.conv(y, 18, zeros=0.3, pattern="1x4", residual=y)
    z = g.add(z, y)
    z = g.move("concat", [z, y], (2, 36, *z.shape[2:]))
    z = g.pool(z, "max_pool", 2, 1, 0, 0)
    z = g.conv(z, 24, (2, 3), pads=(0, 1, 1, 1), zeros=0.5)
    z = g.global_average_pool(z, keep_dims=False)
    g.output = g.fully_connected(z, 7, f32=True)
    return g


class Sample(NamedTuple):
    """A network, its input ``image``, and the hash of the bytes that this machine computes."""

    data: bytes
    x: np.ndarray
    sha256: str


def sample() -> Sample:
    """Make the one that tests of all targets share."""
    g = network(0)
    data, x = g.file(g.output), g.feed()
    (y,) = gossamer.InferenceSession(data).run(None, {"image": x})
    return Sample(data, x, hashlib.sha256(y.tobytes()).hexdigest())
