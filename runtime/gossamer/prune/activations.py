"""What the layers of a network read when it runs: second moments, gathered with the engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..convert import pack
from ..convert.ir import Graph, Node, Value
from ..convert.lower import lower
from ..errors import InputError
from ..session import InferenceSession

Inputs = Sequence[Mapping[str, np.ndarray]]

SAMPLES_OF_AN_IMAGE = 5  # what all its pixels are worth
MOST_PIXELS = 256  # of an image that a layer looks at, evenly spread over its output
TOGETHER = 4  # inputs whose columns are multiplied at once
MOST_BYTES = 2**29  # of what a network computed up to some node, to be kept


@dataclass
class Moments:
    """Sums over columns of what a layer's weights multiply.

    A column x is what one output pixel reads: all input channels, at each kernel position. It is
    followed by a 1, which stands for the bias. Where a layer reads averages of whole images, of
    which there are few, there is a column for each averaged pixel instead: the average, moved by
    what that pixel is above it. The mean stays, and how channels go together is far better known.

    Attributes
    ----------
    dense
        Sum of x x^T in the network as it was, (C + 1, C + 1), f64.
    cross
        Sum of x y^T, where y is the column that the layer reads now.
    now
        Sum of y y^T.
    images
        How many the columns are from.
    shortfall
        Sum of s y^T, (M, C + 1), where something is added to the layer's output, and s is how much
        more that was in the network as it was. 0 where nothing is.
    """

    dense: np.ndarray
    cross: np.ndarray
    now: np.ndarray
    images: int
    shortfall: np.ndarray | float = 0.0

    @property
    def count(self) -> int:
        """Number of columns."""
        return round(float(self.dense[-1, -1]))

    @property
    def samples(self) -> int:
        """Number of columns that count as independent: those of an image are much alike."""
        return min(self.count, SAMPLES_OF_AN_IMAGE * self.images)

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.dense + other.dense,
            self.cross + other.cross,
            self.now + other.now,
            self.images + other.images,
            self.shortfall + other.shortfall,
        )


def covariance(sums: np.ndarray) -> np.ndarray:
    """Covariance, times the number of columns, from sums with those of a constant 1 behind them."""
    return sums[:-1, :-1] - np.outer(sums[:-1, -1], sums[-1, :-1]) / sums[-1, -1]


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

        Averages that layers read from there on are computed again: these layers look behind them.
        The stage stays where it is where that is too large to be kept, or names are not unique.
        """
        nodes = self.graph.nodes
        place = next(place for place, node in enumerate(nodes) if node.name == name)
        layers = [node for node in nodes[place:] if pack.has_matrix(node)]
        averages = [_average_before(self.graph, layer) for layer in layers]
        rest = nodes[min([place, *(nodes.index(average) for average in averages if average)]) :]
        computed = {node.output for node in rest}
        read = [value for node in rest for value in node.inputs if value.data is None]
        read += self.graph.outputs.values()
        alive = [value for value in dict.fromkeys(read) if value not in computed]
        new = [value for value in alive if value not in self.graph.inputs]
        kept = sum(math.prod(value.shape) for value in new) * 4 * len(self.inputs)
        unique = len({value.name for value in alive}) == len(alive)
        if not new or not unique or kept > MOST_BYTES or any(v.dtype != "f32" for v in new):
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
        end = min(first + TOGETHER, len(dense.inputs))
        reads = [run.reads(slice(first, end)) for run in runs]
        for name in layers:
            (x, *before), (y, *added) = reads[0][name], reads[-1][name]
            if not (np.isfinite(x).all() and np.isfinite(y).all()):
                raise InputError(
                    f"{source}: node '{name}' reads numbers that are not finite; calibrate "
                    "with other inputs, or mend the model"
                )
            xx = x @ x.T
            images = (end - first) * runs[0].batch(name)
            mine = Moments(xx, xx, xx, images)
            if now is not dense:
                short = sum((a - b) @ y.T for a, b in zip(before, added, strict=True))
                mine = Moments(xx, x @ y.T, y @ y.T, images, short)
            sums[name] = sums[name] + mine if name in sums else mine
        if progress:
            progress(end)
    return sums


class _Run:
    """A network that also gives out what some layers read."""

    def __init__(self, stage: Stage, layers: Sequence[str]) -> None:
        wanted, graph = set(layers), stage.graph
        self.inputs = stage.inputs
        self.nodes = {node.name: node for node in graph.nodes if node.name in wanted}
        self.read = {name: _read(graph, node) for name, node in self.nodes.items()}
        self.names: dict[Value, str] = {}  # of what the layers read
        outputs: dict[str, Value] = {}
        for node in self.nodes.values():
            for value in (*self.read[node.name], *_added(node)):
                if value in graph.inputs:
                    self.names[value] = value.name
                elif value not in self.names:
                    self.names[value] = f"reads {len(outputs)}"
                    outputs[self.names[value]] = value
        self.outputs = list(outputs)
        self.session = None  # where all layers read the model's inputs
        if outputs:
            self.session = _session(graph, outputs)

    def batch(self, name: str) -> int:
        """How many images a layer reads at once."""
        return self.nodes[name].inputs[0].shape[0]

    def reads(self, some: slice) -> dict[str, list[np.ndarray]]:
        """Run some inputs.

        Returns
        -------
        dict
            For each layer the columns that it multiplies, (C + 1, columns), f64; and what is added
            to its outputs there, if anything is, (M, columns), f64.
        """
        rows = []
        for values in self.inputs[some]:
            seen = dict(values)
            if self.session:
                seen |= zip(self.outputs, self.session.run(None, seen), strict=True)
            rows.append({value: np.asarray(seen[name]) for value, name in self.names.items()})
        found = {}
        for name, node in self.nodes.items():
            parts = [[_columns(node, *(row[value] for value in self.read[name])) for row in rows]]
            parts += [[_outputs(node, row[value]) for row in rows] for value in _added(node)]
            found[name] = [np.concatenate(part, axis=1) for part in parts]
        return found


def _read(graph: Graph, node: Node) -> list[Value]:
    """What a layer's columns are made of, as `_columns` takes it."""
    average = _average_before(graph, node)
    return [node.inputs[0], *(average.inputs if average else ())]


def _added(node: Node) -> list[Value]:
    """What a convolution adds to its output before the clamp."""
    return node.inputs[3:] if node.op == "conv" else []


def _session(graph: Graph, outputs: dict[str, Value]) -> InferenceSession:
    """Run the part of a graph that computes some values."""
    needed, nodes = set(outputs.values()), []
    for node in reversed(graph.nodes):
        if node.output in needed:
            needed.update(node.inputs)
            nodes.append(node)
    return InferenceSession(lower(Graph(graph.source, graph.inputs, outputs, nodes[::-1]), {}))


def _average_before(graph: Graph, node: Node) -> Node | None:
    """Find the average over whole images that a layer reads, if that is what it reads."""
    x = node.inputs[0]
    average = graph.producer(x, through=("clamp", "flatten", "reshape"))
    if not average or average.op != "global_average_pool" or _added(node):
        return None
    images, channels = average.output.shape[:2]
    same = x.shape[:2] == (images, channels) and math.prod(x.shape) == images * channels
    return average if same else None


def _columns(node: Node, x: np.ndarray, averaged: np.ndarray | None = None) -> np.ndarray:
    """Lay out x as the matrix that the node's weight matrix multiplies, with a row of ones.

    Where x is an average, `averaged` is what of.
    """
    if averaged is not None:
        pixels = averaged.reshape(*averaged.shape[:2], -1)
        pixels = pixels[..., _spread(pixels.shape[2])]
        moved = x.reshape(*x.shape[:2], 1) + pixels - pixels.mean(axis=2, keepdims=True)
        columns = moved.swapaxes(0, 1).reshape(x.shape[1], -1)
    elif x.ndim == 2:
        columns = x.T
    else:
        columns = _patches(node, x)
    return np.concatenate([columns, np.ones((1, columns.shape[1]))]).astype(np.float64)


def _outputs(node: Node, y: np.ndarray) -> np.ndarray:
    """Lay out what is like a node's output as the columns that it comes from, (M, columns)."""
    picked = y.reshape(*y.shape[:2], -1)[..., _pixels(node)]
    return picked.swapaxes(0, 1).reshape(y.shape[1], -1).astype(np.float64)


def _pixels(node: Node) -> np.ndarray:
    """Places of the output pixels that are looked at."""
    return _spread(math.prod(node.output.shape[2:]))


def _spread(pixels: int) -> np.ndarray:
    """Choose at most `MOST_PIXELS` of so many, evenly."""
    return np.arange(0, pixels, max(1, math.ceil(pixels / MOST_PIXELS)))


def _patches(node: Node, x: np.ndarray) -> np.ndarray:
    """Give what some output pixels read, (C * kh * kw, images * pixels)."""
    geometry, kernel = node.attributes, node.inputs[1].shape[2:]
    top, left, bottom, right = geometry["pads"]
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    width, pixels = node.output.shape[3], _pixels(node)
    rows = pixels // width * geometry["strides"][0]
    cols = pixels % width * geometry["strides"][1]
    down = np.arange(kernel[0]) * geometry["dilations"][0]
    across = np.arange(kernel[1]) * geometry["dilations"][1]
    # (N, C, pixels, kh, kw)
    picked = padded[:, :, rows[:, None, None] + down[:, None], cols[:, None, None] + across]
    return picked.transpose(1, 3, 4, 0, 2).reshape(-1, len(x) * len(pixels))
