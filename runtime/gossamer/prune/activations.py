"""What the layers of a network read when it runs: second moments, gathered with the engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..convert.ir import Graph, Node, Value
from ..convert.lower import lower
from ..errors import InputError
from ..session import InferenceSession

Inputs = Sequence[Mapping[str, np.ndarray]]

MOST_PIXELS = 256  # of an image that a layer looks at, evenly spread over its output
TOGETHER = 4  # inputs whose columns are multiplied at once
MOST_BYTES = 2**29  # of what a network computed up to some node, to be kept


@dataclass
class Moments:
    """Sums over columns of what a layer's weights multiply.

    A column x is what one output pixel reads: all input channels, at each kernel position. It is
    followed by a 1, which stands for the bias.

    Attributes
    ----------
    dense
        Sum of x x^T in the network as it was, (C + 1, C + 1), f64.
    cross
        Sum of x y^T, where y is the column that the layer reads now.
    now
        Sum of y y^T.
    """

    dense: np.ndarray
    cross: np.ndarray
    now: np.ndarray

    @property
    def count(self) -> int:
        """Number of columns."""
        return round(float(self.dense[-1, -1]))

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.dense + other.dense, self.cross + other.cross, self.now + other.now)


@dataclass(frozen=True)
class Stage:
    """The rest of a network, and what it starts from.

    Attributes
    ----------
    graph
        Its inputs are the model's, or what earlier nodes compute.
    inputs
        What to run, as `InferenceSession.run` takes it.
    """

    graph: Graph
    inputs: Inputs

    def before(self, name: str) -> Stage:
        """Run it up to a node, whose weights and those behind it may change from then on.

        What is too large to be kept is not: the stage stays where it is.
        """
        place = [node.name for node in self.graph.nodes].index(name)
        rest = self.graph.nodes[place:]
        computed = {node.output for node in rest}
        read = [value for node in rest for value in node.inputs if value.data is None]
        read += self.graph.outputs.values()
        alive = [value for value in dict.fromkeys(read) if value not in computed]
        new = [value for value in alive if value not in self.graph.inputs]
        kept = sum(math.prod(value.shape) for value in new) * 4 * len(self.inputs)
        if not new or kept > MOST_BYTES or any(value.dtype != "f32" for value in new):
            return self
        session = _session(self.graph, {value.name: value for value in new})
        names = [value.name for value in new]
        same = [value.name for value in alive if value.name not in names]
        inputs = [
            {name: values[name] for name in same}
            | dict(zip(names, session.run(None, dict(values)), strict=True))
            for values in self.inputs
        ]
        return Stage(Graph(self.graph.source, alive, self.graph.outputs, rest), inputs)


def moments(
    dense: Stage,
    now: Stage,
    layers: Sequence[str],
    progress: Callable[[int], None] | None = None,
) -> dict[str, Moments]:
    """Run two networks side by side and look at what some layers read.

    Parameters
    ----------
    dense, now
        The network as it was and as it is; the same where nothing has changed yet.
    layers
        Names of convolutions without groups and of fully connected layers, in both graphs.
    progress
        Called after each few inputs with how many are done.

    Raises
    ------
    InputError
        There are no inputs, they do not fit, or a layer reads something that is not finite.
    """
    source = dense.graph.source
    if not dense.inputs:
        raise InputError(f"{source}: at least one input to calibrate with expected, 0 found")
    runs = [_Run(stage, layers) for stage in ([dense] if now is dense else [dense, now])]
    sums: dict[str, Moments] = {}
    for first in range(0, len(dense.inputs), TOGETHER):
        columns = [run.columns(slice(first, first + TOGETHER)) for run in runs]
        for name in layers:
            x, y = columns[0][name], columns[-1][name]
            if not (np.isfinite(x).all() and np.isfinite(y).all()):
                raise InputError(
                    f"{source}: node '{name}' reads numbers that are not finite; calibrate "
                    "with other inputs, or mend the model"
                )
            xx = x @ x.T
            mine = Moments(xx, xx, xx) if y is x else Moments(xx, x @ y.T, y @ y.T)
            sums[name] = sums[name] + mine if name in sums else mine
        if progress:
            progress(min(first + TOGETHER, len(dense.inputs)))
    return sums


class _Run:
    """A network that also gives out what some layers read."""

    def __init__(self, stage: Stage, layers: Sequence[str]) -> None:
        wanted, graph = set(layers), stage.graph
        self.inputs = stage.inputs
        self.nodes = {node.name: node for node in graph.nodes if node.name in wanted}
        self.names: dict[str, str] = {}  # layer: the output, or the model's input, that it reads
        outputs: dict[str, Value] = {}
        known: dict[Value, str] = {}
        for node in self.nodes.values():
            value = node.inputs[0]
            if value in graph.inputs:
                self.names[node.name] = value.name
                continue
            name = known.setdefault(value, f"reads {len(known)}")
            outputs[name] = value
            self.names[node.name] = name
        self.outputs = list(outputs)
        self.session = None  # where all layers read the model's inputs
        if outputs:
            self.session = _session(graph, outputs)

    def columns(self, some: slice) -> dict[str, np.ndarray]:
        """For each layer the columns that it multiplies for some inputs, (C + 1, columns), f64."""
        found: dict[str, list[np.ndarray]] = {name: [] for name in self.nodes}
        for values in self.inputs[some]:
            seen = dict(values)
            if self.session:
                seen |= zip(self.outputs, self.session.run(None, seen), strict=True)
            for name, node in self.nodes.items():
                found[name].append(_columns(node, np.asarray(seen[self.names[name]])))
        return {name: np.concatenate(arrays, axis=1) for name, arrays in found.items()}


def _session(graph: Graph, outputs: dict[str, Value]) -> InferenceSession:
    """Run the part of a graph that computes some values."""
    needed, nodes = set(outputs.values()), []
    for node in reversed(graph.nodes):
        if node.output in needed:
            needed.update(node.inputs)
            nodes.append(node)
    return InferenceSession(lower(Graph(graph.source, graph.inputs, outputs, nodes[::-1]), {}))


def _columns(node: Node, x: np.ndarray) -> np.ndarray:
    """Lay out x as the matrix that the node's weight matrix multiplies, with a row of ones."""
    if x.ndim == 2:
        columns = x.T
    else:
        columns = _patches(node, x)
    return np.concatenate([columns, np.ones((1, columns.shape[1]))]).astype(np.float64)


def _patches(node: Node, x: np.ndarray) -> np.ndarray:
    """Give what some output pixels read, (C * kh * kw, images * pixels)."""
    geometry, kernel = node.attributes, node.inputs[1].shape[2:]
    top, left, bottom, right = geometry["pads"]
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    height, width = node.output.shape[2:]
    step = max(1, math.ceil(height * width / MOST_PIXELS))
    pixels = np.arange(0, height * width, step)
    rows = pixels // width * geometry["strides"][0]
    cols = pixels % width * geometry["strides"][1]
    down = np.arange(kernel[0]) * geometry["dilations"][0]
    across = np.arange(kernel[1]) * geometry["dilations"][1]
    # (N, C, pixels, kh, kw)
    picked = padded[:, :, rows[:, None, None] + down[:, None], cols[:, None, None] + across]
    return picked.transpose(1, 3, 4, 0, 2).reshape(-1, len(x) * len(pixels))
