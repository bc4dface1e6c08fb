"""Spread a budget of time, or of weights, over a network's layers.

Each layer may stay as it is, or be pruned in one of some patterns to one of some sparsities. Such a
candidate has a time, by the engine's cost model, and a loss: how much the network's output moves.
Chosen is what adds up to the smallest loss within the budget.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..convert import pack, prediction
from ..convert.cost_model import CostModel
from ..convert.ir import Graph, Node
from ..errors import InputError
from . import knapsack
from .pattern import Pattern, keep_in_order, removal_order
from .plan import LayerPlan

PATTERNS = (Pattern(1), Pattern(2), Pattern(4), Pattern(8))
SPARSITIES = tuple(percent / 100 for percent in range(10, 100, 5))

# From the share of a layer's saliency that is lost, 0 to 1, to how much the output moves.
ErrorCurve = Callable[[float], float]


@dataclass(frozen=True)
class Candidate:
    """Something that can be done to a layer.

    Attributes
    ----------
    plan
        Pattern and sparsity; None leaves the layer as it is.
    seconds
        Predicted time of the layer.
    kept
        Weights other than zero.
    loss
        How much the network's output moves.
    """

    plan: LayerPlan | None
    seconds: float
    kept: int
    loss: float


@dataclass(frozen=True)
class Allocation:
    """What is done to each layer.

    Attributes
    ----------
    layers
        By the node's name: what was chosen.
    seconds_before, seconds
        Predicted time of the network as it was and as it will be.
    sparsity
        Share of these layers' weights that is zero.
    loss
        Sum over the layers.
    note
        A sentence on what is special about it; may be empty.
    """

    layers: Mapping[str, Candidate]
    seconds_before: float
    seconds: float
    sparsity: float
    loss: float
    note: str = ""

    @property
    def plans(self) -> dict[str, LayerPlan]:
        """Of those layers that are pruned."""
        return {name: chosen.plan for name, chosen in self.layers.items() if chosen.plan}


def allocate(
    graph: Graph,
    saliencies: Mapping[str, np.ndarray],
    costs: CostModel,
    *,
    seconds: float | None = None,
    speedup: float | None = None,
    sparsity: float | None = None,
    patterns: Sequence[Pattern] = PATTERNS,
    error_curves: Mapping[str, ErrorCurve] | None = None,
) -> Allocation:
    """Choose pattern and sparsity of each layer.

    Only what makes its layer faster is ever chosen, so that layers stay dense where zeros would not
    pay.

    Parameters
    ----------
    graph
        As `passes.optimize` leaves it.
    saliencies
        By the names of the nodes that may be pruned, of nodes that share weights only one: of each
        weight, like the weights, at least 0.
    costs
        Of the instruction set that will run the network.
    seconds
        What a run may take.
    speedup
        Instead: what a run takes now over what it may take, at least 1.
    sparsity
        Instead: share of these nodes' weights that is to be zero, 0 to below 1.
    patterns
        To choose from.
    error_curves
        By the nodes' names, as `sensitivity.measure` gives them. None: all outputs move alike, by
        the share of saliency that is lost.

    Raises
    ------
    InputError
        Not one budget is given, or it cannot be reached, and the message says what can; a name is
        no node with a matrix, a saliency does not fit its weights, or the costs are of an older
        version.
    """
    budgets = {"seconds": seconds, "speedup": speedup, "sparsity": sparsity}
    given = [name for name, value in budgets.items() if value is not None]
    if len(given) != 1:
        raise InputError(f"one of {', '.join(budgets)} expected, found {given or 'none'}")
    if sparsity is not None and not 0 <= sparsity < 1:
        raise InputError(f"sparsity: 0 to below 1 expected, found {sparsity!r}")
    if speedup is not None and not 1 <= speedup < math.inf:
        raise InputError(f"speedup: at least 1 expected, found {speedup!r}")
    if seconds is not None and not seconds > 0:
        raise InputError(f"seconds: above 0 expected, found {seconds!r}")
    before = prediction.predict(graph, costs)
    choices = {
        name: candidates(
            nodes, saliencies[name], costs, patterns, error_curves[name] if error_curves else float
        )
        for name, nodes in _prunable(graph, saliencies).items()
    }
    weights = sum(saliency.size for saliency in saliencies.values())
    if sparsity is not None:
        chosen, note = _by_weights(choices, sparsity, weights)
    else:
        limit = seconds if seconds is not None else before.seconds / speedup
        chosen, note = _by_time(choices, limit, before.seconds)
    saved = sum(entries[0].seconds for entries in choices.values())
    saved -= sum(candidate.seconds for candidate in chosen.values())
    return Allocation(
        layers=chosen,
        seconds_before=before.seconds,
        seconds=before.seconds - saved,
        sparsity=1 - sum(candidate.kept for candidate in chosen.values()) / max(weights, 1),
        loss=sum(candidate.loss for candidate in chosen.values()),
        note=note,
    )


def candidates(
    nodes: Sequence[Node],
    saliency: np.ndarray,
    costs: CostModel,
    patterns: Sequence[Pattern] = PATTERNS,
    error_curve: ErrorCurve = float,
) -> list[Candidate]:
    """List what can be done to nodes that share their weights: nothing, or what is faster.

    Times are those of the storage that the converter would choose for the pruned weights.
    """
    weights = nodes[0].inputs[1].data
    unpruned = sum(prediction.node_seconds(node, costs) for node in nodes)
    found = [Candidate(None, unpruned, int(np.count_nonzero(weights)), 0.0)]
    total = float(saliency.sum(dtype=np.float64))
    for pattern in patterns:
        order = removal_order(saliency, pattern)
        for sparsity in SPARSITIES:
            keep = keep_in_order(order, sparsity)
            stored = keep & (weights != 0)
            matrix = prediction.chosen_matrix(nodes[0], costs, stored)
            seconds = sum(prediction.node_seconds(node, costs, matrix) for node in nodes)
            if seconds < unpruned * (1 - pack.NOISE):
                lost = total - float(saliency.sum(dtype=np.float64, where=keep))
                loss = float(error_curve(max(lost / total, 0.0) if total else 0.0))
                plan = LayerPlan(pattern, sparsity)
                found.append(Candidate(plan, seconds, int(np.count_nonzero(stored)), loss))
    return found


def parse_seconds(text: str) -> float:
    """Read a time such as "12ms", "1.5 s" or "800us".

    Raises
    ------
    InputError
        The text is something else, or no time above zero.
    """
    match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*(s|ms|us|µs)\s*", text)
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if seconds <= 0:
        raise InputError(f"time: such as 12ms, 0.5s or 800us expected, found {text!r}")
    return seconds


_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}


def _prunable(graph: Graph, saliencies: Mapping[str, np.ndarray]) -> dict[str, list[Node]]:
    """List the nodes of each name, with those that share its weights."""
    nodes = {node.name: node for node in graph.nodes if pack.has_matrix(node)}
    for name, saliency in saliencies.items():
        if name not in nodes:
            raise InputError(
                f"{graph.source}: saliency of '{name}'; nodes that can be pruned: "
                f"{', '.join(nodes) or 'none'}"
            )
        shape = nodes[name].inputs[1].shape
        if saliency.shape != shape:
            raise InputError(
                f"{graph.source}: node '{name}': saliency of shape {list(shape)}, like its "
                f"weights, expected, found {list(saliency.shape)}"
            )
    return {
        name: [node for node in nodes.values() if node.inputs[1] is nodes[name].inputs[1]]
        for name in saliencies
    }


_Choices = Mapping[str, Sequence[Candidate]]
_Chosen = tuple[dict[str, Candidate], str]


def _by_time(choices: _Choices, limit: float, before: float) -> _Chosen:
    if before <= limit:
        note = f"nothing is pruned: the network takes {_ms(before)} as it is, {_ms(limit)} allowed"
        return {name: entries[0] for name, entries in choices.items()}, note
    fixed = before - sum(entries[0].seconds for entries in choices.values())
    chosen = _choose(choices, [[c.seconds for c in of] for of in choices.values()], limit - fixed)
    if chosen is None:
        fastest = fixed + sum(min(c.seconds for c in of) for of in choices.values())
        raise InputError(
            f"a run in {_ms(limit)} asked for, but the fastest reachable is {_ms(fastest)}, "
            f"{before / fastest:.2f} times as fast as now: with at most {max(SPARSITIES):.0%} "
            f"zeros in {len(choices)} layers; the others take {_ms(fixed)}"
        )
    return chosen, ""


def _by_weights(choices: _Choices, sparsity: float, weights: int) -> _Chosen:
    limit = (1 - sparsity) * weights
    if sum(entries[0].kept for entries in choices.values()) <= limit:
        note = f"nothing is pruned: {sparsity:.1%} of the weights or more are zero as they are"
        return {name: entries[0] for name, entries in choices.items()}, note
    chosen = _choose(choices, [[c.kept for c in of] for of in choices.values()], limit)
    if chosen is None:
        fewest = sum(min(c.kept for c in of) for of in choices.values())
        raise InputError(
            f"{sparsity:.1%} zeros asked for, but at most {1 - fewest / weights:.1%} are reachable "
            "where they make layers faster; take another pattern, or prune all layers alike "
            "(allocation 'uniform')"
        )
    return chosen, ""


def _choose(
    choices: _Choices, costs: list[list[float]], budget: float
) -> dict[str, Candidate] | None:
    losses = [[candidate.loss for candidate in entries] for entries in choices.values()]
    numbers = knapsack.choose(costs, losses, budget)
    if numbers is None:
        return None
    pairs = zip(choices.items(), numbers, strict=True)
    return {name: entries[number] for (name, entries), number in pairs}


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.4g} ms"
