"""How much a network's output moves when one layer alone is pruned, measured with the engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..convert import cost_model, pack, prediction
from ..convert.ir import Graph, Node, Value
from ..convert.lower import lower
from ..errors import InputError
from ..session import InferenceSession

# Errors grow faster than what is lost: with few points, all in between would seem worse than it is.
SPARSITIES = (0.3, 0.5, 0.7, 0.9)

Inputs = Sequence[Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class ErrorCurve:
    """Output error against the share of a layer's saliency that is lost.

    A share of lost saliency, rather than of zeros, means the same in every pattern: a curve that
    was measured in one serves all. Straight from (0, 0) to point after point, and on through the
    last.

    Attributes
    ----------
    lost
        Shares, 0 to 1, ascending.
    error
        Relative squared error of the output at each.
    """

    lost: tuple[float, ...]
    error: tuple[float, ...]

    def __call__(self, lost: float) -> float:
        """Interpolate."""
        if not self.lost or lost <= 0:
            return 0.0
        if lost > self.lost[-1]:
            return self.error[-1] * lost / self.lost[-1]
        return float(np.interp(lost, (0.0, *self.lost), (0.0, *self.error)))


def measure(
    graph: Graph,
    prune: Callable[[Node, float], tuple[np.ndarray, np.ndarray]],
    saliencies: Mapping[str, np.ndarray],
    inputs: Inputs,
    sparsities: Sequence[float] = SPARSITIES,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, ErrorCurve]:
    """Prune one layer after the other, alone, and look at the output.

    Probabilities hide errors, so a softmax at the end is left out.

    Parameters
    ----------
    graph
        As `passes.optimize` leaves it. Not changed.
    prune
        Gives weights and bias of a node at a sparsity; `graph` keeps its own.
    saliencies
        By the names of the nodes to measure: of each weight, like the weights, at least 0.
    inputs
        What to run: values by the input's name, as `InferenceSession.run` takes them.
    sparsities
        At which to measure each layer.
    progress
        Called after each layer with how many are done, and how many there are.

    Returns
    -------
    dict of str to ErrorCurve
        By the node's name. Errors are sums of squared differences over sums of squares, means over
        the inputs.

    Raises
    ------
    InputError
        `inputs` is empty or does not fit the model, or an output is not finite or zero throughout.
    """
    if not inputs:
        raise InputError(f"{graph.source}: at least one input to measure with expected, found none")
    graph = without_softmax(graph)
    storage = _storage(graph)
    reference = outputs_of(graph, inputs, storage)
    if not np.isfinite(reference).all() or not reference.any(axis=1).all():
        raise InputError(
            f"{graph.source}: finite outputs that are not zero throughout expected; other inputs, "
            "or a model without numbers out of range, are needed"
        )
    nodes = [node for node in graph.nodes if node.name in saliencies]
    curves = {}
    for done, node in enumerate(nodes, start=1):
        points = []
        for sparsity in sparsities:
            weights, bias = prune(node, sparsity)
            outputs = outputs_of(_with_weights(graph, node, weights, bias), inputs, storage)
            lost = _lost_share(saliencies[node.name], node.inputs[1].data, weights)
            points.append((lost, relative_error(outputs, reference)))
        curves[node.name] = _curve(points)
        if progress:
            progress(done, len(nodes))
    return curves


def without_softmax(graph: Graph) -> Graph:
    """Give out the scores that a softmax makes probabilities of."""
    producers = graph.producers()
    outputs, dropped = {}, set()
    for name, value in graph.outputs.items():
        last = producers.get(value)
        scores = last.inputs[0] if last and last.op == "softmax" else None
        if scores in producers and scores not in graph.outputs.values():
            outputs[name] = scores
            dropped.add(last)
        else:
            outputs[name] = value
    nodes = [node for node in graph.nodes if node not in dropped]
    return Graph(graph.source, graph.inputs, outputs, nodes)


def _storage(graph: Graph) -> dict[str, str]:
    """Choose every storage once: what is asked for needs no search."""
    costs = cost_model.load(cost_model.DEFAULT_TARGET)
    return {
        node.name: f"{prediction.chosen_matrix(node, costs).block_rows}x1"
        for node in graph.nodes
        if pack.has_matrix(node)
    }


def _with_weights(graph: Graph, node: Node, *constants: np.ndarray) -> Graph:
    """Copy a graph, with other weights and bias of one node, wherever else they are used."""
    other = {
        value: Value(f"{value.name}.pruned", constant.shape, constant.astype(np.float32))
        for value, constant in zip(node.inputs[1:3], constants, strict=True)
    }
    nodes = [
        dataclasses.replace(node, inputs=[other.get(value, value) for value in node.inputs])
        for node in graph.nodes
    ]
    return Graph(graph.source, graph.inputs, graph.outputs, nodes)


def outputs_of(
    graph: Graph, inputs: Inputs, storage: Mapping[str, str] | None = None
) -> np.ndarray:
    """Run every input: a row of all outputs for each, f64."""
    session = InferenceSession(lower(graph, {}, storage=storage))
    rows = [
        np.concatenate([np.asarray(output).ravel() for output in session.run(None, dict(values))])
        for values in inputs
    ]
    return np.stack(rows).astype(np.float64)


def relative_error(outputs: np.ndarray, reference: np.ndarray) -> float:
    """Squared differences over squares, the mean over rows."""
    errors = ((outputs - reference) ** 2).sum(axis=1) / (reference**2).sum(axis=1)
    return float(errors.mean())


def _lost_share(saliency: np.ndarray, before: np.ndarray, after: np.ndarray) -> float:
    total = float(saliency.sum(dtype=np.float64))
    lost = float(saliency[(after == 0) & (before != 0)].sum(dtype=np.float64))
    return lost / total if total else 0.0


def _curve(points: list[tuple[float, float]]) -> ErrorCurve:
    """Sort points; more lost saliency is no smaller error, whatever chance says."""
    points = sorted(point for point in points if point[0] > 0)
    errors = np.maximum.accumulate([0.0, *(error for _, error in points)]).tolist()
    return ErrorCurve(tuple(lost for lost, _ in points), tuple(errors[1:]))
