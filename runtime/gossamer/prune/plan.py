"""What is asked of each layer when a network is pruned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .pattern import Pattern, element_saliency


@dataclass(frozen=True)
class LayerPlan:
    """How to prune a layer.

    Attributes
    ----------
    pattern
        Of the weights that live or die together.
    sparsity
        Share of the weights that is to become zero.
    """

    pattern: Pattern
    sparsity: float


def below_one_threshold(
    saliencies: Sequence[np.ndarray], patterns: Sequence[Pattern], sparsity: float
) -> list[float]:
    """Spread a network's sparsity so that the least salient blocks of all layers go.

    Parameters
    ----------
    saliencies, patterns
        Of each layer: of each of its weights, (M, C, ...), and its blocks.
    sparsity
        Share of all these weights, 0 to below 1.

    Returns
    -------
    list of float
        Share of each layer's weights that lie in blocks below the threshold for the mean saliency
        of a weight; each layer keeps at least its best block.
    """
    means = []  # of each weight's block, over its weights
    for saliency, pattern in zip(saliencies, patterns, strict=True):
        kernel = math.prod(saliency.shape[2:])
        blocks = pattern.block_means(element_saliency(saliency)) / kernel
        means.append(pattern.expand(blocks, saliency.shape))
    flat = np.concatenate([mean.ravel() for mean in means])
    zeros = round(sparsity * flat.size)
    threshold = np.partition(flat, zeros - 1)[zeros - 1] if zeros else -1.0
    return [float(min(np.mean(m <= threshold), np.mean(m < m.max()))) for m in means]
