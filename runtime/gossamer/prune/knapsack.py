"""One choice from each of several lists: least loss within a budget of costs.

The multiple-choice knapsack problem, by dynamic programming over a budget cut into steps (Kellerer,
Pferschy, Pisinger: Knapsack Problems, 2004, section 11.5).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Costs are rounded up to a step of what the budget leaves above the cheapest choices.
STEPS = 8192


def choose(
    costs: Sequence[Sequence[float]], losses: Sequence[Sequence[float]], budget: float
) -> list[int] | None:
    """Choose one entry of each list.

    Parameters
    ----------
    costs, losses
        Of each entry of each list.
    budget
        What the costs may add up to.

    Returns
    -------
    list of int
        The number of an entry for each list; None = the cheapest entries already cost more. No
        choice that costs ``len(costs)`` steps less than the budget has a smaller loss.
    """
    cheapest = [min(entries) for entries in costs]
    room = budget - sum(cheapest)
    if room < -1e-9 * budget:
        return None
    step = max(room, 0.0) / STEPS
    least = np.zeros(STEPS + 1)  # loss of the lists so far, by the steps that they may take
    taken = np.zeros((len(costs), STEPS + 1), dtype=np.int32)
    needed = [
        _steps(np.array(entries) - low, step) for entries, low in zip(costs, cheapest, strict=True)
    ]
    for row, steps, entries in zip(taken, needed, losses, strict=True):
        before, least = least, np.full(STEPS + 1, np.inf)
        for entry in np.argsort(steps, kind="stable"):
            first = steps[entry]
            if first > STEPS:
                break
            loss = before[: STEPS + 1 - first] + entries[entry]
            better = loss < least[first:]
            least[first:][better] = loss[better]
            row[first:][better] = entry
    left, chosen = STEPS, []
    for row, steps in zip(taken[::-1], needed[::-1], strict=True):
        chosen.append(int(row[left]))
        left -= steps[chosen[-1]]
    return chosen[::-1]


def _steps(costs: np.ndarray, step: float) -> np.ndarray:
    """Round up to whole steps; what no step can pay takes more than there are."""
    if step == 0:
        return np.where(costs > 0, STEPS + 1, 0)
    return np.minimum(np.ceil(costs / step - 1e-9), STEPS + 1).astype(np.int64)
