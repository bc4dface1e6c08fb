"""What the tensors of a network hold when it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..convert import pack, passes
from ..convert.ir import Graph, Node, Value
from ..convert.lower import lower
from ..errors import InputError
from ..session import InferenceSession
from .ranges import Histogram

Inputs = Sequence[Mapping[str, np.ndarray]]
MOST_COUNTED = 1 << 15  # numbers of a tensor that one input adds to its histogram, evenly spread


def quick_storage(graph: Graph) -> dict[str, str]:
    """Ask for a storage of every matrix: that needs no search for the cheapest."""
    return {
        node.name: "4x4" if node.inputs[1].dtype == "i8" else "4x1"
        for node in graph.nodes
        if pack.has_matrix(node)
    }


class Watched:
    """A network that also gives out what some of its tensors hold, in real numbers."""

    def __init__(self, graph: Graph, values: Sequence[Value]) -> None:
        self.values = [value for value in values if value not in graph.inputs]
        self.fed = [value for value in values if value in graph.inputs]
        nodes, outputs = list(graph.nodes), {}
        for number, value in enumerate(self.values):
            if value.dtype == "u7":
                real = Value(f"watched.{number}", value.shape)
                nodes.append(Node("dequantize", real.name, "dequantize", [value], real))
                value = real
            outputs[f"watched.{number}"] = value
        watched = Graph(graph.source, graph.inputs, outputs, nodes)
        passes.remove_unused(watched)
        content = lower(watched, {}, storage=quick_storage(watched))
        self.session = InferenceSession(content) if self.values else None

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[Value, np.ndarray]:
        """Run once: what each of the values holds."""
        found = self.session.run(None, dict(inputs)) if self.session else []
        seen = dict(zip(self.values, found, strict=True))
        return seen | {value: np.asarray(inputs[value.name]) for value in self.fed}


@dataclass
class ChannelRanges:
    """Smallest and largest number of each channel, (C), f64."""

    low: np.ndarray
    high: np.ndarray

    @property
    def largest(self) -> np.ndarray:
        """Of the absolute numbers."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    def join(self, other: ChannelRanges) -> ChannelRanges:
        """Cover both."""
        return ChannelRanges(np.minimum(self.low, other.low), np.maximum(self.high, other.high))


def channel_ranges(
    graph: Graph,
    values: Sequence[Value],
    inputs: Inputs,
    progress: Callable[[int], None],
) -> dict[Value, ChannelRanges]:
    """Look at the range of each channel of some tensors.

    Raises
    ------
    InputError
        A tensor holds numbers that are not finite.
    """
    watched, ranges = Watched(graph, values), {}
    for done, feeds in enumerate(inputs, start=1):
        for value, x in watched.run(feeds).items():
            planes = x.reshape(len(x), x.shape[1] if x.ndim > 1 else 1, -1)
            found = ChannelRanges(
                *(limit(planes, axis=(0, 2)).astype(np.float64) for limit in (np.min, np.max))
            )
            if not (np.isfinite(found.low).all() and np.isfinite(found.high).all()):
                raise InputError(
                    f"{graph.source}: '{value.name}' holds numbers that are not finite; calibrate "
                    "with other inputs, or mend the model"
                )
            ranges[value] = ranges[value].join(found) if value in ranges else found
        progress(done)
    return ranges


def histograms(
    graph: Graph,
    ranges: Mapping[Value, ChannelRanges],
    inputs: Inputs,
    progress: Callable[[int], None],
) -> dict[Value, Histogram]:
    """Count how often numbers occur in tensors whose ranges are known."""
    found = {
        value: Histogram(float(of.low.min()), float(of.high.max())) for value, of in ranges.items()
    }
    watched = Watched(graph, list(ranges))
    for done, feeds in enumerate(inputs, start=1):
        for value, x in watched.run(feeds).items():
            step = math.ceil(x.size / MOST_COUNTED) | 1  # odd: rows of pixels often are even
            found[value].add(x.ravel()[::step])
        progress(done)
    return found
