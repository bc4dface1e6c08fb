"""Spaces of channels that move together, and moving them in a PyTorch model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .layers import MASK


class Segment(NamedTuple):
    """A space along an axis: its channel c has the places c * repeat to (c + 1) * repeat - 1."""

    space: int
    repeat: int = 1


Segments = tuple[Segment, ...]  # one behind the other, they make up an axis


class Spaces:
    """Numbered sets of channels; those that must move together are made one (union-find)."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self._parents: list[int] = []
        self._fixed: list[bool] = []

    def new(self, size: int, *, fixed: bool = False) -> Segments:
        """Add a space; a fixed one keeps its order."""
        self.sizes.append(size)
        self._parents.append(len(self._parents))
        self._fixed.append(fixed)
        return (Segment(len(self._parents) - 1),)

    def root(self, space: int) -> int:
        """Give the number that stands for all spaces that move with this one."""
        while self._parents[space] != space:
            space = self._parents[space]
        return space

    def is_fixed(self, space: int) -> bool:
        """Whether the space keeps its order."""
        return self._fixed[self.root(space)]

    def fix(self, segments: Segments) -> None:
        """Let the channels of an axis stay where they are."""
        for segment in segments:
            self._fixed[self.root(segment.space)] = True

    def unify(self, a: Segments, b: Segments) -> None:
        """Let two axes move alike; where they are made up differently, neither moves."""
        if [(self.sizes[s], repeat) for s, repeat in a] != [(self.sizes[s], r) for s, r in b]:
            self.fix(a + b)
            return
        for one, other in zip(a, b, strict=True):
            one, other = self.root(one.space), self.root(other.space)
            self._fixed[one] = self._fixed[one] or self._fixed[other]
            self._parents[other] = one


class ChannelMap:
    """Which axes of a model's parameters and buffers run over which spaces of channels."""

    def __init__(self) -> None:
        self.spaces = Spaces()
        self._axes: dict[Tensor, dict[int, Segments]] = {}  # tensors compare by identity

    def lay(self, tensor: Tensor | None, axis: int, segments: Segments) -> None:
        """Say what an axis runs over; a tensor that is used twice must move alike in both."""
        if tensor is not None:
            known = self._axes.setdefault(tensor, {}).setdefault(axis, segments)
            self.spaces.unify(known, segments)

    def fix(self, tensor: Tensor) -> None:
        """Let a tensor stay as it is."""
        for segments in self._axes.get(tensor, {}).values():
            self.spaces.fix(segments)

    def segments(self, tensor: Tensor, axis: int) -> Segments | None:
        """Give what an axis runs over; None: nothing that can move."""
        return self._axes.get(tensor, {}).get(axis)

    @torch.no_grad()
    def move(
        self,
        model: nn.Module,
        orders: Sequence[np.ndarray | None],
        optimizer: torch.optim.Optimizer | None = None,
    ) -> None:
        """Move channels; the model computes what it did.

        Parameters
        ----------
        model
            That this map was traced from. Its parameters with their gradients, its buffers and
            masks change in place.
        orders
            Of each space the old number of the channel that becomes number i; for a space that
            moves with another, the entry of its `Spaces.root` is taken.
        optimizer
            Whose state changes too, wherever it has the shape of a parameter.
        """
        masks = {m.weight: getattr(m, MASK) for m in model.modules() if hasattr(m, MASK)}
        for tensor, axes in self._axes.items():
            state = optimizer.state.get(tensor, {}).values() if optimizer else ()
            companions = (tensor, tensor.grad, masks.get(tensor), *state)
            for axis, segments in axes.items():
                index = torch.from_numpy(self._index(segments, orders)).to(tensor.device)
                for companion in companions:
                    if isinstance(companion, Tensor) and companion.shape == tensor.shape:
                        companion.copy_(companion.index_select(axis, index.to(companion.device)))

    def _index(self, segments: Segments, orders: Sequence[np.ndarray | None]) -> np.ndarray:
        """Old place of each place of an axis."""
        places, begin = [], 0
        for space, repeat in segments:
            order = orders[self.spaces.root(space)][:, None] * repeat
            places.append(begin + (order + np.arange(repeat)).ravel())
            begin += self.spaces.sizes[space] * repeat
        return np.concatenate(places)


def concatenated(parts: Iterable[Segments]) -> Segments:
    """Lay axes one behind the other."""
    return tuple(segment for part in parts for segment in part)
