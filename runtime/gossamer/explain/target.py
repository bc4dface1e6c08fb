"""For which machine a model is explained."""

from __future__ import annotations

import os
from typing import NamedTuple

from ..convert import cost_model
from ..convert.cost_model import CostModel
from ..errors import InputError
from ..session import isas

HOST = "host"


class Target(NamedTuple):
    """Costs, the instruction set of this machine that they are of (None: of another), notes."""

    costs: CostModel
    isa: str | None
    notes: tuple[str, ...]


def find_target(name: str, path: str | os.PathLike[str] | None) -> Target:
    """Read the costs of a target.

    Parameters
    ----------
    name
        An instruction set or a core, hyphens as good as underscores, or "host".
    path
        As `cost_model.load` takes it.

    Raises
    ------
    InputError
        There are no costs of it, or they cannot predict.
    """
    asked = name.replace("-", "_")
    if asked == HOST:
        return _host(path)
    return Target(_load(asked, path), asked if asked in isas() else None, ())


def _host(path: str | os.PathLike[str] | None) -> Target:
    """Take the best instruction set that is known well enough, and say so where it isn't best.

    Generic code is that of the compiler: its costs on one architecture say nothing of another's.
    """
    best, *others = [isa for isa in isas() if isa != "generic"] or isas()
    try:
        return Target(_load(best, path), best, ())
    except InputError as reason:
        if not others:
            raise
        note = f"for {others[0]}, not for {best}, which is this machine's best: {reason}"
        return Target(_load(others[0], path), others[0], (note,))


def _load(target: str, path: str | os.PathLike[str] | None) -> CostModel:
    costs = cost_model.load(target, path)
    costs.need_operators()
    return costs
