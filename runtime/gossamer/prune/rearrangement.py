"""Orders of channels in which pruning by blocks loses less.

Channels of one space may change places as long as every layer that writes or reads them agrees, so
channels whose important weights lie at the same inputs can be made neighbours: they then share
blocks. 1xN (arXiv:2105.14713) sorts each layer's filters by their norm; channel permutations for
N:M sparsity (Pool & Yu, NeurIPS 2021) swap channels while that keeps more. Here all layers of a
network are served at once. An alternation as in k-means comes first: with the blocks that stay held
fixed, channels are swapped while that keeps more; then the blocks are chosen anew. It is fast, but
a channel holds on to a block that stays because of it. So pairs are tried out behind it, with only
the saliency held fixed from which on a block stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .pattern import Pattern, keep_mask, share

MOST_ROUNDS = 30  # of the alternation; it mostly ends before
MOST_SWEEPS = 3  # over all pairs of channels; later ones gain little
SMALLEST_GAIN = 1e-9  # of a swap, as a share of a layer's saliency


@dataclass(frozen=True)
class Space:
    """Channels that move together.

    Attributes
    ----------
    size
        Number of channels.
    fixed
        Their order is given, as that of a model's inputs and outputs.
    """

    size: int
    fixed: bool


@dataclass(frozen=True)
class Matrix:
    """A layer's weights as rearrangement sees them.

    Attributes
    ----------
    name
        Of the layer.
    saliency
        Of each element, (M, C), at least 0.
    rows
        Number of the space that the output channels lie in.
    columns
        Numbers of the spaces that the input channels lie in, one behind the other.
    pattern, sparsity
        What it will be pruned to.
    """

    name: str
    saliency: np.ndarray
    rows: int
    columns: tuple[int, ...]
    pattern: Pattern
    sparsity: float


def rearrange(spaces: Sequence[Space], matrices: Sequence[Matrix]) -> list[np.ndarray]:
    """Find orders that keep the largest shares of saliency, summed over the layers.

    Parameters
    ----------
    spaces
        Of the network.
    matrices
        Its layers that will be pruned.

    Returns
    -------
    list of ndarray
        For each space the old number of the channel that becomes number i. They never keep less
        than the order that is there, nor than `sort_by_norm`.
    """
    problem = _Problem(spaces, matrices)
    starts = (identity(spaces), sort_by_norm(spaces, matrices), problem.greedy())
    best = max((problem.improve(start) for start in starts), key=problem.kept)
    return max([*starts[:2], best, problem.try_pairs(best)], key=problem.kept)


def identity(spaces: Sequence[Space]) -> list[np.ndarray]:
    """Give the orders that change nothing."""
    return [np.arange(space.size) for space in spaces]


def sort_by_norm(spaces: Sequence[Space], matrices: Sequence[Matrix]) -> list[np.ndarray]:
    """Sort each space by the sums of saliency of the first layer that writes it (1xN)."""
    orders = identity(spaces)
    for matrix in reversed(matrices):
        if not spaces[matrix.rows].fixed:
            orders[matrix.rows] = np.argsort(-matrix.saliency.sum(axis=1), kind="stable")
    return orders


def kept_share(matrix: Matrix, orders: Sequence[np.ndarray]) -> float:
    """Share of a layer's saliency that pruning would keep under some orders."""
    ordered = _ordered(matrix, orders)
    return share(ordered, keep_mask(ordered, matrix.pattern, matrix.sparsity))


def column_order(matrix: Matrix, orders: Sequence[np.ndarray]) -> np.ndarray:
    """Old number of the input channel that becomes number i."""
    parts, begin = [], 0
    for space in matrix.columns:
        parts.append(begin + orders[space])
        begin += len(orders[space])
    return np.concatenate(parts)


def _ordered(matrix: Matrix, orders: Sequence[np.ndarray]) -> np.ndarray:
    return matrix.saliency[np.ix_(orders[matrix.rows], column_order(matrix, orders))]


@dataclass(frozen=True)
class _View:
    """A layer as one space sees it.

    Attributes
    ----------
    features
        What channel i brings to each block across, (size, blocks across).
    block
        Number along the space of the block that position i lies in, (size,).
    kept
        Which blocks stay, (blocks along, blocks across).
    """

    features: np.ndarray
    block: np.ndarray
    kept: np.ndarray


class _Problem:
    """Spaces, and the layers scaled so that the saliency of each sums to 1."""

    def __init__(self, spaces: Sequence[Space], matrices: Sequence[Matrix]) -> None:
        self.spaces = spaces
        self.matrices = [_scaled(matrix) for matrix in matrices if matrix.saliency.any()]
        self.movable = [
            number
            for number, space in enumerate(spaces)
            if not space.fixed and any(self._touches(matrix, number) for matrix in self.matrices)
        ]

    @staticmethod
    def _touches(matrix: Matrix, space: int) -> bool:
        """Whether it matters to a layer which channels of a space are neighbours."""
        by_rows = matrix.rows == space and matrix.pattern.rows > 1
        return by_rows or (space in matrix.columns and matrix.pattern.columns > 1)

    def kept(self, orders: Sequence[np.ndarray]) -> float:
        """Sum of the shares that all layers keep."""
        return sum(kept_share(matrix, orders) for matrix in self.matrices)

    def improve(self, orders: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Alternate between blocks and places until nothing moves."""
        orders = list(orders)
        waiting = set(self.movable)
        for _ in range(MOST_ROUNDS):
            for space in sorted(waiting):
                order = _swapped(orders[space], list(self._views(space, orders)))
                if np.array_equal(order, orders[space]):
                    waiting.discard(space)
                orders[space] = order
            if not waiting:
                break
        return orders

    def try_pairs(self, orders: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Swap each channel with the one that gains most, as long as some do."""
        orders = list(orders)
        waiting = set(self.movable)
        for _ in range(MOST_SWEEPS):
            for space in sorted(waiting):
                places = _swept(_States(orders[space], self._views(space, orders)))
                if np.array_equal(places, orders[space]):
                    waiting.discard(space)
                orders[space] = places
        return orders

    def _views(self, space: int, orders: Sequence[np.ndarray]) -> Iterator[_View]:
        for matrix in self.matrices:
            if not self._touches(matrix, space):
                continue
            rows, columns = orders[matrix.rows], column_order(matrix, orders)
            pattern = matrix.pattern
            mask = keep_mask(matrix.saliency[np.ix_(rows, columns)], pattern, matrix.sparsity)
            kept = mask[:: pattern.rows, :: pattern.columns]
            if matrix.rows == space and pattern.rows > 1:
                features = _block_sums(matrix.saliency[:, columns], pattern.columns)
                yield _View(features, np.arange(len(rows)) // pattern.rows, kept)
            if pattern.columns == 1:
                continue
            by_column = _block_sums(matrix.saliency[rows].T, pattern.rows)
            begin = 0
            for number in matrix.columns:
                place = np.arange(begin, begin + self.spaces[number].size)
                if number == space:
                    yield _View(by_column[place], place // pattern.columns, kept.T)
                begin += len(place)

    def greedy(self) -> list[np.ndarray]:
        """Fill block after block: the channel that brings most, then those that fit to it best."""
        orders = identity(self.spaces)
        for space in self.movable:
            of_rows = [
                m for m in self.matrices if m.rows == space and self._touches(m, space)
            ]  # columns alone start as they are
            if of_rows:
                features = np.concatenate([matrix.saliency for matrix in of_rows], axis=1)
                rows = max(matrix.pattern.rows for matrix in of_rows)
                sparsity = float(np.mean([matrix.sparsity for matrix in of_rows]))
                orders[space] = _greedy_order(features, rows, sparsity)
        return orders


def _scaled(matrix: Matrix) -> Matrix:
    saliency = matrix.saliency.astype(np.float64)
    scaled = (saliency / saliency.sum()).astype(np.float32)
    fields = (matrix.rows, matrix.columns, matrix.pattern, matrix.sparsity)
    return Matrix(matrix.name, scaled, *fields)


def _block_sums(matrix: np.ndarray, columns: int) -> np.ndarray:
    if columns == 1:
        return matrix
    return np.add.reduceat(matrix, np.arange(0, matrix.shape[1], columns), axis=1)


def _swapped(order: np.ndarray, views: Sequence[_View]) -> np.ndarray:
    """Swap channels while the blocks that stay keep more."""
    # Positions that lie in the same blocks of every layer are one group.
    blocks = np.stack([view.block for view in views], axis=1)
    distinct, group = np.unique(blocks, axis=0, return_inverse=True)
    group = group.reshape(-1)
    worth = sum(  # of each channel in each group
        view.features @ view.kept[distinct[:, number]].T.astype(np.float32)
        for number, view in enumerate(views)
    )
    order = order.copy()
    while True:
        first, second = _best_swaps(worth[order], group)
        if len(first) == 0:
            return order
        order[first], order[second] = order[second], order[first]


def _best_swaps(worth: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Choose pairs of positions, each in one pair at most, that gain by swapping; best first.

    `worth` (positions, groups) is that of the channel at each position. A gain depends on nothing
    but the two positions, so swaps of disjoint pairs add up.
    """
    positions = np.arange(len(group))
    change = worth - worth[positions, group][:, np.newaxis]
    gains = change[:, group]
    gains = gains + gains.T
    partner = gains.argmax(axis=1)
    gain = gains[positions, partner]
    free = np.ones(len(group), dtype=bool)
    pairs = []
    for position in np.argsort(-gain, kind="stable"):
        other = partner[position]
        if gain[position] <= SMALLEST_GAIN:
            break
        if free[position] and free[other]:
            free[position] = free[other] = False
            pairs.append((position, other))
    chosen = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    return chosen[:, 0], chosen[:, 1]


class _States:
    """Channels at their positions, with what their blocks hold, for each layer."""

    def __init__(self, order: np.ndarray, views: Iterable[_View]) -> None:
        self.order = order.copy()
        self.layers = [_State(self.order, view) for view in views]

    def gains(self, position: int) -> np.ndarray:
        """What a swap with each position would gain, (positions,)."""
        return sum(layer.gains(position) for layer in self.layers)

    def swap(self, one: int, other: int) -> None:
        """Exchange the channels of two positions."""
        self.order[[one, other]] = self.order[[other, one]]
        for layer in self.layers:
            layer.swap(one, other)


class _State:
    """One layer. A block is worth what it holds beyond the saliency from which on blocks stay."""

    def __init__(self, order: np.ndarray, view: _View) -> None:
        self.block = view.block
        self.channels = view.features[order].astype(np.float32)  # (positions, blocks across)
        self.sums = np.zeros((int(view.block[-1]) + 1, self.channels.shape[1]), np.float32)
        np.add.at(self.sums, self.block, self.channels)
        staying = self.sums[view.kept[: len(self.sums)]]
        self.threshold = staying.min() if staying.size else np.float32(0)
        self.others = self.sums[self.block] - self.channels  # what the rest of the block holds

    def gains(self, position: int) -> np.ndarray:
        own, block = self.channels[position], self.block[position]
        worth = self._worth(self.sums)
        here = self._worth(self.others[position] + self.channels)
        there = self._worth(self.others + own)
        gain = here + there - worth[block] - worth[self.block]
        return np.where(self.block == block, 0, gain)

    def _worth(self, sums: np.ndarray) -> np.ndarray:
        return np.maximum(sums - self.threshold, 0).sum(axis=1)

    def swap(self, one: int, other: int) -> None:
        self.channels[[one, other]] = self.channels[[other, one]]
        for block in {int(self.block[one]), int(self.block[other])}:
            members = self.block == block
            self.sums[block] = self.channels[members].sum(axis=0)
            self.others[members] = self.sums[block] - self.channels[members]


def _swept(states: _States) -> np.ndarray:
    for position in range(len(states.order)):
        gains = states.gains(position)
        best = int(gains.argmax())
        if gains[best] > SMALLEST_GAIN:
            states.swap(position, best)
    return states.order


def _greedy_order(features: np.ndarray, rows: int, sparsity: float) -> np.ndarray:
    count = max(1, round((1 - sparsity) * features.shape[1]))  # columns that a block keeps
    remaining = np.ones(len(features), dtype=bool)
    norms = features.sum(axis=1)
    order = []
    while len(order) < len(features):
        total = np.zeros(features.shape[1], dtype=features.dtype)
        for member in range(min(rows, len(features) - len(order))):
            worth = norms
            if member:
                largest = np.argpartition(-total, count - 1)[:count]
                worth = features[:, largest].sum(axis=1)
            chosen = int(np.argmax(np.where(remaining, worth, -1.0)))
            remaining[chosen] = False
            total += features[chosen]
            order.append(chosen)
    return np.array(order)
