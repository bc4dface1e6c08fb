"""Whole numbers that stand for real ones: of activations (7 bits), of weights (8), and tables.

Activations: q in 0..127 is scale * (q - zero_point). Weights: w in -127..127 is row_scale * w, a
scale for each output channel. See section 9 of ``runtime/FORMAT.md``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .ir import Node

LARGEST = 127  # of activations, from 0, and of weights, from -127
SMALLEST_SCALE = np.finfo(np.float32).tiny


class Quantization(NamedTuple):
    """What the whole numbers of a tensor stand for. `scale` is a number that f32 has."""

    scale: float
    zero_point: int

    @classmethod
    def of_range(cls, low: float, high: float) -> Quantization:
        """Spread the 128 numbers over a range; 0 is always one of them, exactly."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = float(np.float32(max((high - low) / LARGEST, SMALLEST_SCALE)))
        if low == high:
            return cls(1.0, 0)
        return cls(scale, min(max(round(-low / scale), 0), LARGEST))

    @property
    def low(self) -> float:
        """Smallest number that can be told."""
        return -self.zero_point * self.scale

    @property
    def high(self) -> float:
        """Largest number that can be told."""
        return (LARGEST - self.zero_point) * self.scale

    def quantize(self, x: np.ndarray) -> np.ndarray:
        """Give the nearest whole numbers, u8."""
        q = np.rint(np.asarray(x, np.float64) / self.scale) + self.zero_point
        return np.clip(q, 0, LARGEST).astype(np.uint8)

    def dequantize(self, q: np.ndarray) -> np.ndarray:
        """Give the real numbers that whole ones stand for, f64."""
        return self.scale * (np.asarray(q, np.float64) - self.zero_point)


class QuantizedWeights(NamedTuple):
    """Weights (M, ...) as i8 and f32 scales (M); `changed` rows do not have the scale asked for."""

    data: np.ndarray
    scales: np.ndarray
    changed: int

    def real(self) -> np.ndarray:
        """Give the real numbers that they stand for, f64."""
        rows = self.scales.astype(np.float64).reshape(-1, *[1] * (self.data.ndim - 1))
        return self.data * rows


def quantize_weights(weights: np.ndarray, scales: np.ndarray | None = None) -> QuantizedWeights:
    """Round weights, each output channel with a scale of its own. Zeros stay zeros.

    Parameters
    ----------
    weights
        Finite, (M, ...).
    scales
        What the source model quantizes them with, of a shape that broadcasts with them. Where its
        numbers fit into -127..127 they stay what they are; rows where they do not, or that have
        several scales, are rounded anew.
    """
    matrix = weights.reshape(len(weights), -1).astype(np.float64)
    largest = np.abs(matrix).max(axis=1)
    own = np.where(largest > 0, np.maximum(largest / LARGEST, SMALLEST_SCALE), 1.0)
    own = own.astype(np.float32)
    if scales is not None:
        given = np.broadcast_to(np.asarray(scales, np.float32), weights.shape)
        given = given.reshape(len(weights), -1)
        first = given[:, 0]
        fits = (given == given[:, :1]).all(axis=1) & (first >= SMALLEST_SCALE)
        fits &= largest <= (LARGEST + 0.25) * first.astype(np.float64)
        own = np.where(fits, first, own)
    q = np.rint(matrix / own.astype(np.float64)[:, np.newaxis])
    q = np.clip(q, -LARGEST, LARGEST).astype(np.int8).reshape(weights.shape)
    return QuantizedWeights(q, own, 0 if scales is None else int((~fits).sum()))


def lookup_table(node: Node, x: Quantization, y: Quantization) -> np.ndarray:
    """Compute what an operator of one number gives for each of the 128, u8.

    Parameters
    ----------
    node
        An activation, a clamp or a leaky ReLU.
    x, y
        Of what it reads, and of what it is to give.
    """
    numbers = x.dequantize(np.arange(LARGEST + 1))
    return y.quantize(_function(node)(numbers))


def _function(node: Node) -> Callable[[np.ndarray], np.ndarray]:
    attributes = node.attributes
    if node.op == "clamp":
        return lambda x: np.clip(x, attributes["min"], attributes["max"])
    if node.op == "leaky_relu":
        return lambda x: np.where(x > 0, x, x * attributes["slope"])
    return ACTIVATIONS[attributes["kind"]]


def _erf(x: np.ndarray) -> np.ndarray:
    return np.array([math.erf(number) for number in x])


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(x / 2)


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


# What FORMAT.md, section 8, calls them.
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "hard_swish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "tanh": np.tanh,
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "softplus": _softplus,
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "erf": _erf,
    "gelu": lambda x: x * (1 + _erf(x / math.sqrt(2))) / 2,
    "gelu_tanh": lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "reciprocal": np.reciprocal,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "sign": np.sign,
    "sin": np.sin,
    "cos": np.cos,
}
