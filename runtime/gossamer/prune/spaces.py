"""Channels that move together, and which axes of weights run over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .pattern import Pattern
from .rearrangement import Matrix, Space


class Segment(NamedTuple):
    """A space along an axis: its channel c has the places c * repeat to (c + 1) * repeat - 1."""

    space: int
    repeat: int = 1


Segments = tuple[Segment, ...]  # one behind the other, they make up an axis


def concatenated(parts: Iterable[Segments]) -> Segments:
    """Lay axes one behind the other."""
    return tuple(segment for part in parts for segment in part)


def repeated(segments: Segments, times: int) -> Segments:
    """Give the axis on which each place became several neighbours."""
    return tuple(Segment(space, repeat * times) for space, repeat in segments)


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
            first, second = self.root(one.space), self.root(other.space)
            self._fixed[first] = self._fixed[first] or self._fixed[second]
            self._parents[second] = first

    def places(self, segments: Segments, orders: Sequence[np.ndarray]) -> np.ndarray:
        """Old place of each place of an axis under orders of the spaces."""
        places, begin = [], 0
        for space, repeat in segments:
            channels = orders[self.root(space)][:, np.newaxis] * repeat
            places.append(begin + (channels + np.arange(repeat)).ravel())
            begin += self.sizes[space] * repeat
        return np.concatenate(places)


class Layer(NamedTuple):
    """Weights that will be pruned, and what their first two axes run over.

    `saliency` is that of each element, (M, C).
    """

    name: str
    rows: Segments
    columns: Segments
    saliency: np.ndarray
    pattern: Pattern
    sparsity: float


def pose(spaces: Spaces, layers: Iterable[Layer]) -> tuple[list[Space], list[Matrix]]:
    """Write layers as what `rearrangement.rearrange` is asked."""
    asked = [Space(size, spaces.is_fixed(number)) for number, size in enumerate(spaces.sizes)]
    matrices = []
    for name, rows, columns, *pruning in layers:
        of_rows, *of_columns = (
            tuple(spaces.root(segment.space) for segment in axis) for axis in (rows, columns)
        )
        numbers = of_columns[0]
        if any(segment.repeat > 1 for segment in columns):
            # Flattened pixels move with their channel, not one by one.
            asked.append(Space(pruning[0].shape[1], fixed=True))
            numbers = (len(asked) - 1,)
        matrices.append(Matrix(name, pruning[0], of_rows[0], numbers, *pruning[1:]))
    return asked, matrices
