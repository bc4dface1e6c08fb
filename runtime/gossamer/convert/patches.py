"""Convolutions whose weights are computed: products of matrices with patches of the image."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from .arithmetic import matmul
from .ir import Value
from .moves import MAX_PLACES, reshape_to, take, transpose
from .node_reader import NodeReader, Unsupported


def conv(
    node: NodeReader,
    weights: Value,
    groups: int,
    size: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
) -> Value:
    """Emit a convolution of input 0 with computed weights (M,C/groups,kh,kw) to an image of `size`.

    Of `pads`, only top and left matter.
    """
    x, (outputs, channels, *kernel) = node.computed(0, 4), weights.shape
    _check_groups(node, weights, groups, outputs, channels * groups)

    def places(axis: int) -> np.ndarray:
        taps, pixels = np.ogrid[: kernel[axis], : size[axis]]
        return pixels * strides[axis] - pads[axis] + taps * dilations[axis]

    rows = (groups, outputs // groups, channels * math.prod(kernel))
    return _product(node, x, reshape_to(node, weights, rows), kernel, size, places)


def conv_transpose(
    node: NodeReader,
    weights: Value,
    groups: int,
    size: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
) -> Value:
    """Emit the transposed convolution of input 0 with computed weights (C,M/groups,kh,kw)."""
    x, (channels, outputs, *kernel) = node.computed(0, 4), weights.shape
    _check_groups(node, weights, groups, channels, channels)

    def places(axis: int) -> np.ndarray:
        taps, pixels = np.ogrid[: kernel[axis], : size[axis]]
        reached = pixels + pads[axis] - taps * dilations[axis]
        return np.where(reached % strides[axis], -1, reached // strides[axis])

    parted = (groups, channels // groups, outputs, math.prod(kernel))
    turned = transpose(node, reshape_to(node, weights, parted), (0, 2, 1, 3))
    rows = (groups, outputs, channels // groups * math.prod(kernel))
    return _product(node, x, reshape_to(node, turned, rows), kernel, size, places)


def _check_groups(
    node: NodeReader, weights: Value, groups: int, parted: int, channels: int
) -> None:
    if groups < 1 or parted % groups or channels != node.value(0).shape[1]:
        node.fail(
            f"'{weights.name}' {list(weights.shape)} in {groups} groups does not fit "
            f"{list(node.value(0).shape)}"
        )


def _product(
    node: NodeReader,
    x: Value,
    weights: Value,
    kernel: Sequence[int],
    size: Sequence[int],
    places: Callable[[int], np.ndarray],
) -> Value:
    """Emit weights (groups, M/groups, C/groups * taps) times what each pixel reads of x.

    `places` gives where each tap (first) lies for each pixel of the result, down or across.
    """
    n, groups = x.shape[0], weights.shape[0]
    for axis in (0, 1):
        have, count = x.shape[2 + axis], kernel[axis] * size[axis]
        if count > MAX_PLACES:
            raise Unsupported(f"{kernel} taps to {list(size)} pixels; at most 2^24 expected")
        found = places(axis).ravel()
        x = take(node, x, 2 + axis, np.where((found < 0) | (found >= have), -1, found))
    parted = (n, x.shape[1], kernel[0], size[0], kernel[1], size[1])
    spread = transpose(node, reshape_to(node, x, parted), (0, 1, 2, 4, 3, 5))
    read = reshape_to(node, spread, (n, groups, weights.shape[2], math.prod(size)))
    return reshape_to(node, matmul(node, weights, read), (n, groups * weights.shape[1], *size))
