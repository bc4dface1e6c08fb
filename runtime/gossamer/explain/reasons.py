"""Why a layer is stored and computed as it is, in a sentence."""

from __future__ import annotations

from ..convert.pack import DENSE
from .blocks import ANYWHERE, PRUNED
from .report import WeightsReport
from .weights import WORTHWHILE

FEW = 0.005  # a share that a whole number of per cent rounds to nothing


def why(weights: WeightsReport | None, seconds: float | None, kernel_reason: str) -> str:
    """Explain a layer.

    Parameters
    ----------
    weights
        None where it has none.
    seconds
        Predicted; known where there are weights.
    kernel_reason
        What the engine says.
    """
    if weights is None:
        return kernel_reason or "no weights"
    if not weights.break_even:  # there is one storage
        if weights.zeros >= FEW and weights.storage == DENSE:
            return f"{weights.zeros:.0%} zeros save nothing: {kernel_reason}"
        return kernel_reason
    parts = [_dense(weights) if weights.storage == DENSE else _sparse(weights, seconds)]
    if weights.converted_seconds and seconds / weights.converted_seconds >= WORTHWHILE:
        speedup = seconds / weights.converted_seconds
        parts.append(f"converted for this target it would be {speedup:.2f} times as fast")
    if other := weights.alternative:
        parts.append(
            f"as {other.pattern} blocks this layer would be {other.speedup:.2f} times as fast: "
            f"try `gossamer prune --pattern {other.pattern}`"
            + (" before quantizing" if weights.dtype == "i8" else "")
        )
    return "; ".join(parts)


def _dense(weights: WeightsReport) -> str:
    if weights.pattern is None:
        return f"no zeros, dense in {_blocks(weights)}{_hint(weights)}"
    pays = weights.break_even[weights.pattern]
    hint = "" if weights.alternative else _hint(weights)
    dense = f"{_zeros(weights)}: dense in {_blocks(weights)}"
    if pays is not None and weights.zeros > pays:  # stored for another target, or as was asked
        return f"{dense}, though sparse is faster from {pays:.0%}{hint}"
    until = "however many there are" if pays is None else f"until {pays:.0%}"
    return f"{dense} is faster {until}{hint}"


def _hint(weights: WeightsReport) -> str:
    """Say from how many zeros on the blocks that pruning makes would pay, if these are others."""
    pattern = PRUNED[weights.dtype]
    pays = weights.break_even.get(pattern)
    if pays is None or pattern == weights.pattern:
        return ""
    return f"; in {pattern} blocks they would pay from {pays:.0%}"


def _sparse(weights: WeightsReport, seconds: float) -> str:
    speedup, pays = weights.dense_seconds / seconds, weights.break_even[weights.pattern]
    gain = f"{speedup:.2f} times as fast as dense"
    if pays is None or weights.zeros < pays:
        gain = "hardly faster than dense"
    since = "" if pays is None else f", pays from {pays:.0%}"
    return f"{_zeros(weights)}: sparse in {_blocks(weights)}, {gain}{since}"


def _blocks(weights: WeightsReport) -> str:
    """Name the blocks that are stored: by their rows, where they are a column wide."""
    return f"blocks of {weights.block_rows if weights.block_columns == 1 else weights.block}"


def _zeros(weights: WeightsReport) -> str:
    shares = weights.zeros_in_blocks
    if weights.pattern != ANYWHERE:
        inside = f"{shares[weights.pattern]:.0%} of them in whole {weights.pattern} blocks"
        return f"{weights.zeros:.0%} zeros, {inside}"
    larger = next((name for name in shares if name != ANYWHERE), None)
    inside = f" ({shares[larger]:.0%} of them in whole {larger} blocks)" if larger else ""
    return f"{weights.zeros:.0%} zeros, unstructured{inside}"
