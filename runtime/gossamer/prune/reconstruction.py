"""Refitting the weights that stay, so that a layer answers as it did before it was pruned.

Least squares, layer by layer, on second moments of what the layer reads: optimal brain surgeon
(Hassibi & Stork 1993) for all weights that go at once. SparseGPT (arXiv:2301.00774) approximates
this for large layers; here each set of weights that stays together is solved exactly.
"""

from __future__ import annotations

import numpy as np

from ..convert.pack import as_matrix
from .activations import Moments, covariance
from .saliency import damped

LARGEST_GAIN = 2.0  # of a channel's scale: more would mostly scale what is wrong with it


def refit(weights: np.ndarray, keep: np.ndarray, moments: Moments) -> np.ndarray:
    """Fit the weights that stay to the layer's output before, and to what is missing beside it.

    Where a layer's output is added to something that pruning has changed already, the layer makes
    up for that, too, as far as what it reads tells.

    Parameters
    ----------
    weights
        As they were, (M, C, ...).
    keep
        Which of them stay, of the same shape.
    moments
        Of the layer.

    Returns
    -------
    ndarray
        Like `weights`, f32; zero where `keep` is False. Where the inputs say nothing, a weight
        stays what it was.
    """
    before, mask = as_matrix(weights).astype(np.float64), as_matrix(keep)
    now = covariance(moments.now)
    wanted = before @ covariance(moments.cross) + _shortfall(moments, len(before))[0]  # (M, C)
    system = damped(now, moments.samples)
    pull = np.diag(system - now)  # damping pulls towards the old weights, not towards zero
    fitted = solved_where(system, wanted + before * pull, mask)
    return fitted.reshape(weights.shape).astype(np.float32)


def solved_where(system: np.ndarray, right: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Minimise w S w^T / 2 - r w^T for each row, with zeros where its mask is False.

    Rows with the same mask are solved together: directly for what stays, or, where less goes, from
    the solution without a mask and what each weight that goes moves the others by (optimal brain
    surgeon for several weights).

    Parameters
    ----------
    system
        S, (C, C), positive definite.
    right, mask
        (M, C).
    """
    solved = np.zeros_like(right)
    inverse = np.linalg.inv(system)
    whole = right @ inverse
    sets, members = np.unique(mask, axis=0, return_inverse=True)
    for number, columns in enumerate(sets):
        rows = np.flatnonzero(members.reshape(-1) == number)
        kept, gone = np.flatnonzero(columns), np.flatnonzero(~columns)
        at = np.ix_(rows, kept)
        if len(gone) < len(kept):
            moved = np.linalg.solve(inverse[np.ix_(gone, gone)], whole[np.ix_(rows, gone)].T)
            solved[at] = whole[at] - moved.T @ inverse[np.ix_(gone, kept)]
        else:
            solved[at] = np.linalg.solve(system[np.ix_(kept, kept)], right[at].T).T
    return solved


def restored_variance(before: np.ndarray, after: np.ndarray, moments: Moments) -> np.ndarray:
    """Let each output channel vary as much as it did.

    Least squares leaves out what it cannot predict, so what it fits varies less, and layer after
    layer what later ones read. A batch normalisation that is estimated anew would make up for that
    (REPAIR, arXiv:2211.08403).

    Parameters
    ----------
    before, after
        The layer's weights, (M, C, ...).
    moments
        Of the layer.

    Returns
    -------
    ndarray
        Like `after`; each row times 1 to `LARGEST_GAIN`.
    """
    dense = _covariances(before, moments.dense, before)
    now = _covariances(after, moments.now, after)
    return _scaled(after, np.sqrt(dense / np.where(now > 0, now, np.inf)))


def restored_slope(before: np.ndarray, after: np.ndarray, moments: Moments) -> np.ndarray:
    """Let each output channel rise as much, on average, as it did.

    For scores, which are compared with each other: of two classes the one that was fitted worse
    would otherwise lose. Channels vary more by this than they did, which would add up through
    layers.

    Parameters and return value are those of `restored_variance`.
    """
    dense = _covariances(before, moments.dense, before)
    slope = _covariances(before, moments.cross, after)
    return _scaled(after, dense / np.where(slope > 0, slope, np.inf))


def _scaled(weights: np.ndarray, gain: np.ndarray) -> np.ndarray:
    rows = as_matrix(weights) * gain.clip(1, LARGEST_GAIN)[:, np.newaxis]
    return rows.reshape(weights.shape).astype(np.float32)


def _covariances(one: np.ndarray, sums: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Covariance of each output channel of two layers, times the number of columns."""
    a, b = (as_matrix(weights).astype(np.float64) for weights in (one, other))
    return np.einsum("mc,mc->m", a @ covariance(sums), b)


def corrected_bias(
    bias: np.ndarray, before: np.ndarray, after: np.ndarray, moments: Moments
) -> np.ndarray:
    """Let the mean of each output channel be what it was, with what it is added to.

    Parameters
    ----------
    bias
        As it was, (M,).
    before, after
        The layer's weights, (M, C, ...).
    moments
        Of the layer.
    """
    old = as_matrix(before) @ (moments.dense[:-1, -1] / moments.count)
    new = as_matrix(after) @ (moments.now[:-1, -1] / moments.count)
    return (bias + old - new + _shortfall(moments, len(bias))[1]).astype(np.float32)


def _shortfall(moments: Moments, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Covariance with what the layer reads, times the number of columns, (M, C), and mean (M)."""
    sums = np.broadcast_to(moments.shortfall, (outputs, len(moments.now)))
    mean = sums[:, -1] / moments.count
    return sums[:, :-1] - np.outer(mean, moments.now[-1, :-1]), mean


def relative_error(before: np.ndarray, after: np.ndarray, moments: Moments) -> float:
    """Squared error of a layer's output over its variance, both without their means."""
    old, new = (as_matrix(w).astype(np.float64) for w in (before, after))
    dense, cross, now = (covariance(sums) for sums in (moments.dense, moments.cross, moments.now))
    variance = np.vdot(old @ dense, old)
    error = variance - 2 * np.vdot(old @ cross, new) + np.vdot(new @ now, new)
    return float(max(error, 0.0) / variance) if variance > 0 else 0.0
