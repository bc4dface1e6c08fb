"""Patterns of weights that live or die together.

A layer's weights are seen as a matrix of *elements*: rows are output channels, columns are input
channels. An element is one weight of a pointwise or fully connected layer, and one whole kernel of
a k x k convolution. A pattern cuts that matrix into blocks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ..errors import InputError


@dataclass(frozen=True)
class Pattern:
    """Blocks of consecutive output channels by consecutive input channels.

    1x1 is unstructured pruning; N x 1 over kernels is 1xN of arXiv:2105.14713, which names inputs
    first. Where a pattern does not divide a matrix, the last blocks are smaller.

    Attributes
    ----------
    rows, columns
        Of a block, at least 1.
    """

    rows: int = 1
    columns: int = 1

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Read a pattern such as "4x1".

        Raises
        ------
        InputError
            The text is something else.
        """
        match = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", text)
        if match is None:
            raise InputError(f"pattern: such as 1x1, 4x1 or 4x4 expected, found {text!r}")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}"

    def divides(self, shape: tuple[int, ...]) -> bool:
        """Whether weights (M, C, ...) are cut into whole blocks only."""
        return shape[0] % self.rows == 0 and shape[1] % self.columns == 0

    def block_means(self, saliency: np.ndarray) -> np.ndarray:
        """Give the mean saliency of each block's elements.

        Parameters
        ----------
        saliency
            Of each element, (M, C).

        Returns
        -------
        ndarray
            (ceil(M / rows), ceil(C / columns)).
        """
        sums, counts = self._block_sums(saliency), self._block_sums(np.ones(saliency.shape))
        return sums / counts

    def expand(self, blocks: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Repeat a value of each block for all of its weights (M, C, ...)."""
        elements = blocks.repeat(self.rows, 0).repeat(self.columns, 1)[: shape[0], : shape[1]]
        return np.broadcast_to(elements.reshape(*shape[:2], *[1] * (len(shape) - 2)), shape)

    def _block_sums(self, matrix: np.ndarray) -> np.ndarray:
        rows = np.arange(0, matrix.shape[0], self.rows)
        columns = np.arange(0, matrix.shape[1], self.columns)
        return np.add.reduceat(np.add.reduceat(matrix, rows, axis=0), columns, axis=1)


def element_saliency(saliency: np.ndarray) -> np.ndarray:
    """Sum the saliency of weights (M, C, ...) over each kernel: (M, C)."""
    return saliency.reshape(*saliency.shape[:2], -1).sum(axis=2, dtype=np.float64)


def share(saliency: np.ndarray, keep: np.ndarray) -> float:
    """Share of the saliency that stays."""
    total = saliency.sum(dtype=np.float64)
    return float(saliency[keep].sum(dtype=np.float64) / total) if total else 1.0


def removal_order(saliency: np.ndarray, pattern: Pattern) -> np.ndarray:
    """Order the weights of a layer by when they go.

    Parameters
    ----------
    saliency
        Of each weight, (M, C, ...), at least 0.
    pattern
        Blocks of which the least salient go first.

    Returns
    -------
    ndarray
        Like `saliency`: the share of the weights, 0 to below 1, that are gone before this one.
    """
    means = pattern.block_means(element_saliency(saliency))
    sizes = pattern._block_sums(np.ones(saliency.shape[:2])).ravel()
    order = np.argsort(means, axis=None, kind="stable")
    gone = np.empty(means.size)
    gone[order] = np.cumsum(sizes[order]) - sizes[order]
    return pattern.expand((gone / sizes.sum()).reshape(means.shape), saliency.shape)


def keep_mask(saliency: np.ndarray, pattern: Pattern, sparsity: float) -> np.ndarray:
    """Choose the weights of a layer that stay: at least those of one block.

    Parameters
    ----------
    saliency
        Of each weight, (M, C, ...), at least 0.
    pattern
        Blocks of which the least salient go.
    sparsity
        Share of the weights, 0 to 1, that at least goes, where more than one block is left.

    Returns
    -------
    ndarray of bool
        Like `saliency`; a block is all True or all False.
    """
    return keep_in_order(removal_order(saliency, pattern), sparsity)


def keep_in_order(order: np.ndarray, sparsity: float) -> np.ndarray:
    """Choose as `keep_mask` does, by what `removal_order` gives."""
    return order >= min(sparsity - 1e-12, order.max())
