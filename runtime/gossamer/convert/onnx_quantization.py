"""QuantizeLinear and DequantizeLinear: what a model says of how its tensors are rounded.

Of computed tensors, both are taken for what they stand for: the real tensor in front of them goes
on behind them, and keeps in mind which range it is quantized over. Constants are computed here
(onnx's reference implementation has the newest versions of the two only), and keep their scales.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from onnx import helper

from .arithmetic import clamp
from .ir import Value
from .node_reader import Unsupported
from .onnx_node import OnnxNode


@dataclass(eq=False)
class Quantized(Value):
    """What QuantizeLinear computes: numbers `low` to `high` that stand for those of `real`."""

    real: Value | None = None
    step: float = 0.0
    zero: int = 0
    low: int = 0
    high: int = 0
    dequantized: Value | None = None


class _Rounding(NamedTuple):
    """Inputs 1 and 2, the type of the whole numbers, and the axis of several scales."""

    scale: np.ndarray
    zero: np.ndarray
    kind: np.dtype
    axis: int

    def along(self, numbers: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Give scales or zero points a shape that broadcasts with a constant."""
        shape = [1] * x.ndim
        if numbers.size > 1:
            shape[self.axis] = numbers.size
        return numbers.reshape(shape)


def _rounding(node: OnnxNode) -> _Rounding:
    node.ignore("saturate", "precision")
    if node.integer("block_size", 0):
        raise Unsupported("scales of blocks; one, or one a channel, expected")
    scale, number, rank = (
        node.constant(1),
        node.integer("output_dtype", 0),
        len(node.value(0).shape),
    )
    kind = np.dtype(helper.tensor_dtype_to_np_dtype(number) if number else np.uint8)
    zero = node.constant(2) if node.has(2) else np.zeros(scale.shape, kind)
    if zero.dtype.kind not in "iu":
        raise Unsupported(f"numbers of type {zero.dtype}; whole ones of 8 bits or more expected")
    if zero.size != scale.size or not (np.isfinite(scale) & (scale > 0)).all():
        node.fail(f"as many scales above 0 as zero points expected, found {scale.tolist()}")
    axis = node.integer("axis", 1)
    if scale.size == 1:
        return _Rounding(scale.reshape(()), zero.reshape(()), zero.dtype, 0)
    axis = node.axis(axis, rank)
    if scale.size != node.value(0).shape[axis]:
        node.fail(f"{scale.size} scales do not fit {list(node.value(0).shape)}, axis {axis}")
    return _Rounding(scale, zero, zero.dtype, axis)


def quantize_linear(node: OnnxNode) -> Value:
    """Remember what a tensor is rounded to."""
    x, rounding = node.value(0), _rounding(node)
    limits = np.iinfo(rounding.kind)
    if x.data is not None:
        steps = np.rint(x.data / rounding.along(rounding.scale, x.data))
        numbers = steps + rounding.along(rounding.zero.astype(np.int64), x.data)
        data = np.clip(numbers, limits.min, limits.max).astype(rounding.kind)
        return Value(node.output, x.shape, data)
    step, zero = _single(rounding)
    low, high = int(limits.min), int(limits.max)
    return Quantized(node.output, x.shape, real=x, step=step, zero=zero, low=low, high=high)


def clip_quantized(node: OnnxNode) -> Value:
    """Narrow the range, as PyTorch does for 7 bits."""
    x = node.inputs[0]
    low, high = int(node.scalar(1, x.low)), int(node.scalar(2, x.high))
    low, high = max(low, x.low), min(high, x.high)
    return Quantized(
        node.output, x.shape, real=x.real, step=x.step, zero=x.zero, low=low, high=high
    )


def dequantize_linear(node: OnnxNode) -> Value:
    """Go on with the real tensor in front of QuantizeLinear, brought into its range."""
    x, rounding = node.value(0), _rounding(node)
    if x.data is not None:
        scale = rounding.along(rounding.scale, x.data)
        steps = x.data.astype(np.float64) - rounding.along(rounding.zero, x.data)
        data = (steps * scale).astype(np.float32)
        return Value(node.output, x.shape, data, scales=scale if x.data.itemsize == 1 else None)
    if not isinstance(x, Quantized):
        raise Unsupported("input 0 is not computed by QuantizeLinear; that, or a constant expected")
    step, zero = _single(rounding)
    if (step, zero) != (x.step, x.zero):
        raise Unsupported(
            f"scale {step:g} and zero point {zero} where QuantizeLinear has {x.step:g} and {x.zero}"
        )
    if x.dequantized is None:
        x.dequantized = _in_range(node, x)
    return x.dequantized


def _single(rounding: _Rounding) -> tuple[float, int]:
    """Scale and zero point of a computed tensor."""
    if rounding.scale.size != 1:
        raise Unsupported(f"{rounding.scale.size} scales of a computed tensor; one expected")
    return float(rounding.scale), int(rounding.zero)


def _in_range(node: OnnxNode, x: Quantized) -> Value:
    """Where numbers cannot be negative, tools drop the ReLU: the range does the same."""
    low, high = (x.low - x.zero) * x.step, (x.high - x.zero) * x.step
    real, bounds = x.real, (low, high)
    if low == 0 or real.bounds not in (None, bounds):
        real = clamp(node, real, *(bounds if low == 0 else (-np.inf, np.inf)))
    if x.high - x.low < 256:  # 16 bits would lose too much in 7
        real.bounds = bounds
    return real


# Computed here also of constants.
ROUNDING = ("QuantizeLinear", "DequantizeLinear")
# Who may read what QuantizeLinear computes.
READ_QUANTIZED = {"Clip": clip_quantized, "DequantizeLinear": dequantize_linear}
