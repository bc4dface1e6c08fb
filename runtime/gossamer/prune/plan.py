"""What is asked of each layer when a network is pruned."""

from __future__ import annotations

from dataclasses import dataclass

from .pattern import Pattern


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
