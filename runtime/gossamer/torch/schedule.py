"""How sparsity grows over the steps of a training."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError


@dataclass(frozen=True)
class CubicSchedule:
    """Prune fast while weights are many, slowly when they are few (Zhu & Gupta, arXiv:1710.01878).

    A schedule of another shape is a subclass with an `at` of its own.

    Attributes
    ----------
    sparsity
        Share of zeros from step `end` on, above 0, below 1.
    begin, end
        First and last step, counted from 0, at which masks are laid anew. Equal: all at once.
    every
        Steps between two of them.
    initial
        Share of zeros at step `begin`; equal to `sparsity` it is a constant one, for regrowth.

    Raises
    ------
    InputError
        A number is outside of its range.
    """

    sparsity: float
    begin: int = 0
    end: int = 0
    every: int = 100
    initial: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.sparsity < 1:
            raise InputError(f"sparsity: above 0 and below 1 expected, found {self.sparsity!r}")
        if not 0 <= self.initial <= self.sparsity:
            raise InputError(f"initial: 0 to {self.sparsity} expected, found {self.initial!r}")
        steps = {"begin": self.begin, "end": self.end, "every": self.every}
        for name, step in steps.items():
            if not float(step).is_integer():
                raise InputError(f"{name}: whole steps expected, found {step!r}; round it")
        if not 0 <= self.begin <= self.end:
            raise InputError(
                f"steps: 0 <= begin <= end expected, found begin={self.begin}, end={self.end}"
            )
        if self.every < 1:
            raise InputError(f"every: at least 1 step expected, found {self.every!r}")

    def progress(self, step: int) -> float:
        """Give the share of the steps from `begin` to `end` that are over, 0 to 1."""
        if step >= self.end:
            return 1.0
        return max(step - self.begin, 0) / (self.end - self.begin)

    def at(self, step: int) -> float:
        """Give the share of zeros that a step asks for."""
        if step < self.begin:
            return 0.0
        remaining = (1 - self.progress(step)) ** 3
        return self.sparsity + (self.initial - self.sparsity) * remaining

    def refreshes(self, step: int) -> bool:
        """Whether masks are laid anew at a step; `end` is always one of them."""
        due = (step - self.begin) % self.every == 0
        return self.begin <= step <= self.end and (due or step == self.end)
