"""Which pixels of a line become which of a longer or shorter one: matrices of interpolation.

The modes are those of ONNX's Resize; https://onnx.ai/onnx/operators/onnx__Resize.html.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

COORDINATES = (
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
    "tf_crop_and_resize",
)  # fmt: skip
ROUNDINGS: dict[str, Callable[[float], float]] = {
    "round_prefer_floor": lambda x: math.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: math.floor(x + 0.5),
    "floor": math.floor,
    "ceil": math.ceil,
}


def positions(
    mode: str, size: int, result: int, scale: float, region: tuple[float, float] = (0.0, 1.0)
) -> np.ndarray:
    """Where the centres of `result` pixels lie on a line of `size`, by one of `COORDINATES`.

    `region` is the part of the line that tf_crop_and_resize takes.
    """
    x = np.arange(result, dtype=np.float64)
    if mode == "asymmetric":
        return x / scale
    if mode == "align_corners":
        length = size * scale
        return x * (size - 1) / (length - 1) if result > 1 else np.zeros(1)
    if mode == "tf_crop_and_resize":
        begin, end = region
        if result == 1:
            return np.array([0.5 * (begin + end) * (size - 1)])
        return begin * (size - 1) + x * (end - begin) * (size - 1) / (result - 1)
    if mode == "pytorch_half_pixel" and result == 1:
        return np.zeros(1)
    middle = (x + 0.5) / scale - 0.5
    if mode == "half_pixel_symmetric":
        middle += size / 2 * (1 - result / (size * scale))
    return middle


def nearest(places: np.ndarray, size: int, rounding: str) -> np.ndarray:
    """Give each place the one pixel that `ROUNDINGS` says, (places, size)."""
    matrix = np.zeros((len(places), size))
    for row, place in zip(matrix, places.tolist(), strict=True):
        row[min(max(int(ROUNDINGS[rounding](place)), 0), size - 1)] = 1
    return matrix


def linear(places: np.ndarray, size: int, squeeze: float, inside: bool = False) -> np.ndarray:
    """Join the pixels on both sides of each place, (places, size)."""
    return _mix(places, size, lambda x: max(1 - abs(x), 0.0), 1, squeeze, inside)


def cubic(
    places: np.ndarray, size: int, squeeze: float, a: float, inside: bool = False
) -> np.ndarray:
    """Join four pixels around each place by Keys' cubic with parameter a, (places, size)."""

    def curve(x: float) -> float:
        x = abs(x)
        if x <= 1:
            return ((a + 2) * x - (a + 3)) * x * x + 1
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a if x < 2 else 0.0

    return _mix(places, size, curve, 2, squeeze, inside)


def _mix(
    places: np.ndarray,
    size: int,
    curve: Callable[[float], float],
    reach: int,
    squeeze: float,
    inside: bool,
) -> np.ndarray:
    """Weigh pixels by a curve of their distance.

    A line that becomes shorter by a factor below 1 widens the curve (`squeeze`), against aliasing.
    Pixels outside of the line are those at its ends, or with `inside` left out.
    """
    matrix = np.zeros((len(places), size))
    for row, place in zip(matrix, places.tolist(), strict=True):
        first = math.floor(place - reach / squeeze)
        last = math.ceil(place + reach / squeeze)
        weights = {at: curve((at - place) * squeeze) for at in range(first, last + 1)}
        if inside:
            weights = {at: weight for at, weight in weights.items() if 0 <= at < size}
        total = sum(weights.values()) if inside or squeeze < 1 else 1.0
        for at, weight in weights.items():
            row[min(max(at, 0), size - 1)] += weight / total
    return matrix
