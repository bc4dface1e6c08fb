"""How much of what a tensor holds in calibration its 128 numbers are to cover."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..convert.quantization import Quantization

CALIBRATIONS = ("percentile", "minmax", "mse")
BINS = 2048
SHARES = np.linspace(0.2, 1.0, 81)  # of a side that "mse" tries to keep


@dataclass
class Histogram:
    """How often numbers occur between the smallest and the largest, in bins of equal width."""

    low: float
    high: float
    counts: np.ndarray = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def add(self, x: np.ndarray) -> None:
        """Count numbers between `low` and `high`."""
        if self.high > self.low:
            places = (x.ravel() - np.float32(self.low)) * np.float32(BINS / (self.high - self.low))
            places = np.clip(places.astype(np.int32), 0, BINS - 1)
            self.counts += np.bincount(places, minlength=BINS)

    @property
    def middles(self) -> np.ndarray:
        """Of the bins."""
        return self.low + (np.arange(BINS) + 0.5) * (self.high - self.low) / BINS

    def quantile(self, share: float) -> float:
        """Give the number below which a share of all lies, to the edge of a bin."""
        total = self.counts.cumsum()
        below = np.searchsorted(total, share * total[-1], side="left" if share > 0.5 else "right")
        edge = below + (share > 0.5)
        return self.low + min(edge, BINS) * (self.high - self.low) / BINS


def choose(histogram: Histogram, calibration: str, percentile: float) -> Quantization:
    """Choose what a tensor's numbers stand for.

    Parameters
    ----------
    histogram
        Of the tensor.
    calibration
        "minmax" covers everything; "percentile" leaves out the share beyond the percentile, below
        and above; "mse" covers what makes the mean squared error of rounding smallest.
    percentile
        Above 50, to 100.
    """
    if calibration == "minmax" or not histogram.counts.any():
        return Quantization.of_range(histogram.low, histogram.high)
    if calibration == "percentile":
        share = percentile / 100
        return Quantization.of_range(histogram.quantile(1 - share), histogram.quantile(share))
    return _least_error(histogram)


def _least_error(histogram: Histogram) -> Quantization:
    """Shrink one side after the other."""
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    for _ in range(2):
        high = min((_error(histogram, low, high * share), high * share) for share in SHARES)[1]
        low = min((_error(histogram, low * share, high), low * share) for share in SHARES)[1]
    return Quantization.of_range(low, high)


def _error(histogram: Histogram, low: float, high: float) -> float:
    numbers, rounding = histogram.middles, Quantization.of_range(low, high)
    errors = rounding.dequantize(rounding.quantize(numbers)) - numbers
    return float(histogram.counts @ errors**2)
