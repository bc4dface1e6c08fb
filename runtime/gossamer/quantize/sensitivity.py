"""How much a network's output moves when nodes run in int8, measured with the engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..convert.int8 import quantize_graph
from ..convert.ir import Graph, Node, Value
from ..convert.quantization import Quantization
from ..prune.sensitivity import outputs_of, relative_error
from .observation import Inputs, quick_storage


def decibels(outputs: np.ndarray, reference: np.ndarray) -> float | None:
    """Signal to noise; None where there is no noise.

    Parameters
    ----------
    outputs, reference
        Of `outputs_of`: with rounding, and without.
    """
    error = relative_error(outputs, reference)
    return -10 * math.log10(error) if error > 0 else None


def measure(
    graph: Graph,
    parameters: Mapping[Value, Quantization],
    nodes: Sequence[Node],
    inputs: Inputs,
    progress: Callable[[int, int], None],
) -> dict[str, float | None]:
    """Run one node after the other in int8, alone, and look at the output.

    Parameters
    ----------
    graph
        In f32, without the softmax at its end, which hides errors.
    parameters
        Of what the nodes read and compute.
    nodes
        Of the graph.
    inputs
        What to run.
    progress
        Called after each node with how many are done, and how many there are.

    Returns
    -------
    dict
        By the node's name, as `decibels` says.
    """
    reference, found = outputs_of(graph, inputs, quick_storage(graph)), {}
    for done, node in enumerate(nodes, start=1):
        alone = quantize_graph(graph, parameters, [node])
        outputs = outputs_of(alone, inputs, quick_storage(alone))
        found[node.name] = decibels(outputs, reference)
        progress(done, len(nodes))
    return found
