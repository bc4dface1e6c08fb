"""Every kind of layer at sizes that no tile divides, for tests of every build.

A case is one model whose layers all read its input; each layer is an output.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import numpy as np
import onnxruntime

import gossamer
from gossamer.convert.pack import PATTERNS

from .onnx_graphs import GraphBuilder

SIZES = ((1, 1), (7, 7), (13, 17))
CHANNELS = (1, 3, 1001)
OUTPUTS = 11  # channels; 1, 2, 4 and 8 leave rows over
TOLERANCE = 1e-5  # of the largest output


@dataclass(frozen=True)
class Case:
    """A model, its input ``x``, and what onnxruntime makes of it."""

    name: str
    data: bytes  # .goss
    x: np.ndarray
    expected: dict[str, np.ndarray]

    def check(self, outputs: dict[str, np.ndarray]) -> None:
        """Fail unless every output is right."""
        assert outputs.keys() == self.expected.keys()
        for name, expected in self.expected.items():
            error = np.abs(outputs[name].reshape(expected.shape) - expected).max()
            assert error <= TOLERANCE * max(1, np.abs(expected).max()), (self.name, name, error)


@functools.cache
def cases() -> list[Case]:
    """Make all of them; seeded. Once, for the tests of all targets."""
    return [_case(size, channels) for size in SIZES for channels in CHANNELS]


def _case(size: tuple[int, int], channels: int) -> Case:
    g, storage, outputs = GraphBuilder(x=[1, channels, *size]), {}, []

    def add(name: str, op: str, *inputs: str, pattern: str | None = None, **attributes) -> None:
        outputs.append(g.node(op, *inputs, name=name, output=name, **attributes))
        if pattern:
            storage[name] = pattern

    scale = channels**-0.5
    pooled = g.node("Flatten", g.node("GlobalAveragePool", "x"))
    for pattern, zeros in itertools.product(PATTERNS, (0, 0.8)):
        weights = g.weights(OUTPUTS, channels, 1, 1, scale=scale, zeros=zeros)
        add(f"pointwise_{pattern}_{zeros}", "Conv", "x", weights, pattern=pattern)
        weights = g.weights(channels, OUTPUTS, scale=scale, zeros=zeros)
        add(f"fully_connected_{pattern}_{zeros}", "MatMul", pooled, weights, pattern=pattern)
        for stride in (1, 2):
            weights = g.weights(OUTPUTS, channels, 3, 3, scale=scale / 3, zeros=zeros)
            add(f"conv_{stride}_{pattern}_{zeros}", "Conv", "x", weights, pattern=pattern,
                pads=[1] * 4, strides=[stride] * 2)  # fmt: skip
    for kernel, stride in itertools.product((3, 5), (1, 2)):
        weights = g.weights(channels, 1, kernel, kernel, scale=1 / kernel)
        add(f"depthwise_{kernel}_{stride}", "Conv", "x", weights, group=channels,
            pads=[kernel // 2] * 4, strides=[stride] * 2)  # fmt: skip

    model = g.model(*outputs)
    x = g.random.normal(size=(1, channels, *size)).astype(np.float32)
    peer = onnxruntime.InferenceSession(model.SerializeToString())
    expected = dict(zip(outputs, peer.run(outputs, {"x": x}), strict=True))
    data = gossamer.convert(model, None, storage=storage)
    return Case(f"{channels}x{size[0]}x{size[1]}", data, x, expected)
