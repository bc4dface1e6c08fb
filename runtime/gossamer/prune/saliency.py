"""How much it costs to lose a weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..convert.pack import as_matrix
from ..errors import InputError
from .activations import Moments, covariance
from .pattern import Pattern

KINDS = ("reconstruction", "diagonal", "magnitude")

# Of the mean variance of a layer's inputs, what is added to each: some always, more where there are
# few samples for so many inputs, since then what they say of each other is mostly chance.
DAMPING, SHRINKAGE = 0.01, 0.5


def magnitude(weights: np.ndarray) -> np.ndarray:
    """Square each weight (M, C, ...)."""
    return weights.astype(np.float64) ** 2


def diagonal(weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Say how much a layer's output varies less when a weight goes and no other makes up for it.

    Optimal brain damage (LeCun, Denker, Solla 1989): the diagonal of the second derivatives, which
    is the variance of what a weight multiplies.

    Parameters
    ----------
    weights
        (M, C, ...).
    inputs
        Covariance of what each column multiplies, (C * ..., C * ...).
    """
    matrix = as_matrix(weights).astype(np.float64)
    return (matrix**2 * np.diag(inputs)).reshape(weights.shape)


def second_order(
    weights: np.ndarray, inputs: np.ndarray, samples: int, pattern: Pattern
) -> np.ndarray:
    """Say how much a layer's output moves when a block goes and the others make up for it.

    Rows of a layer do not depend on each other, so a block costs the sum over its rows of
    w^T [(H^-1)_BB]^-1 w, with the columns B of the block (optimal brain surgeon, in blocks as in
    arXiv:2203.07259).

    Parameters
    ----------
    weights
        (M, C, ...).
    inputs
        Covariance H of what each column multiplies, (C * ..., C * ...).
    samples
        That it is from.
    pattern
        Whose blocks go.

    Returns
    -------
    ndarray
        Like `weights`: the cost of each weight's block, spread evenly over it in each row.
    """
    matrix = as_matrix(weights).astype(np.float64)
    inverse = np.linalg.inv(damped(inputs, samples))
    width = pattern.columns * (matrix.shape[1] // weights.shape[1])
    costs = np.empty(matrix.shape)
    for begin in range(0, matrix.shape[1], width):
        block = np.s_[begin : begin + width]
        w, metric = matrix[:, block], np.linalg.inv(inverse[block, block])
        costs[:, block] = np.einsum("mi,ij,mj->m", w, metric, w)[:, np.newaxis] / w.shape[1]
    return np.maximum(costs, 0).reshape(weights.shape)


def damped(covariance: np.ndarray, samples: int) -> np.ndarray:
    """Add to the diagonal what lets a covariance be inverted and trusted."""
    size = len(covariance)
    share = DAMPING + SHRINKAGE * size / samples
    return covariance + np.eye(size) * (share * np.trace(covariance) / size or 1.0)


def kind_of(asked: str | None, calibrated: bool) -> str:
    """Give the kind that is asked for, or the default.

    Raises
    ------
    InputError
        There is no such kind, or it needs data to calibrate with.
    """
    kind = asked or ("reconstruction" if calibrated else "magnitude")
    if kind not in KINDS:
        raise InputError(f"saliency: {', '.join(KINDS)} expected, found {kind!r}")
    if kind != "magnitude" and not calibrated:
        raise InputError(f"saliency: '{kind}' needs data; without, take 'magnitude'")
    return kind


@dataclass(frozen=True)
class Rule:
    """How the saliency of a network's weights is told.

    Attributes
    ----------
    kind
        One of `KINDS`: `second_order`, `diagonal`, `magnitude`.
    pattern
        Whose blocks go.
    seen
        What layers read, by their names; magnitude needs none.
    """

    kind: str
    pattern: Pattern
    seen: Mapping[str, Moments]

    @property
    def counts_columns_alone(self) -> bool:
        """Whether that of a weight does not depend on which columns share its block."""
        return self.kind != "reconstruction" or self.pattern.columns == 1

    def of(self, name: str, weights: np.ndarray) -> np.ndarray:
        """Tell that of a layer's weights, (M, C, ...), where channels lie as they were seen."""
        return self._of(name, weights, self.pattern)

    def of_single_columns(self, name: str, weights: np.ndarray) -> np.ndarray:
        """Tell what each element costs alone."""
        return self._of(name, weights, Pattern())

    def moved(
        self, values: np.ndarray, places: np.ndarray, name: str, weights: np.ndarray
    ) -> np.ndarray:
        """Tell that of weights whose columns have moved.

        Parameters
        ----------
        values
            What it was, with the rows where they are now.
        places
            Old number of the input channel that became number i.
        name, weights
            Of the layer, as it is now.
        """
        if self.counts_columns_alone:
            return values.take(places, 1)
        return self._of(name, weights, self.pattern, places)

    def _of(
        self, name: str, weights: np.ndarray, pattern: Pattern, places: np.ndarray | None = None
    ) -> np.ndarray:
        if self.kind == "magnitude":
            return magnitude(weights)
        inputs = covariance(self.seen[name].dense)
        if self.kind == "diagonal":
            return diagonal(weights, inputs)
        if places is not None:
            elements = len(inputs) // len(places)  # of a channel in a column
            index = (places[:, np.newaxis] * elements + np.arange(elements)).ravel()
            inputs = inputs[np.ix_(index, index)]
        return second_order(weights, inputs, self.seen[name].samples, pattern)
