"""Measures the costs of `cost_model` on a machine.

One network holds a layer of every kind in question, so that one profile measures them in turns and
what disturbs the machine disturbs them alike. A few tiny networks tell what a run takes besides its
layers. `prediction` says how often each layer pays each cost; here that is solved for the costs.
"""

from __future__ import annotations

import datetime
import itertools
import math
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from . import pack, prediction
from .cost_model import (
    BLOCK_ROWS,
    I8_BLOCK_ROWS,
    I8_KINDS,
    KINDS,
    STEPS,
    CostModel,
    StoredMatrix,
    from_table,
)
from .goss_file import Storage
from .ir import Graph, Node, Value, no_clamp
from .lower import ACTIVATIONS, lower
from .passes import conv_attributes

# Lanes of a vector and registers, as each instruction set's vector header says.
VECTORS = {
    "avx2": (8, 16),
    "avx512": (16, 32),
    "avx512_vnni": (16, 32),
    "generic": (4, 16),
    "neon": (4, 32),
    "neon_dotprod": (4, 32),
    "wasm_relaxed": (4, 16),
    "wasm_simd": (4, 16),
}
DENSITIES = (1.0, 0.7, 0.4, 0.1)  # of blocks
# Planes that a second-level cache holds with their weights, an odd number of its lines apart.
CHANNELS, SIDE = 256, 12
FEW_CHANNELS = 32  # rows of blocks are short
ODD_SIDE = 7  # its last tiles are narrow ones
FEATURES = 768  # of the fully connected layers: together more than caches hold, as in networks
CLOCK_PICOSECONDS = 1e6  # what is shorter is uncertain: clocks have steps
DOT, IMAGE = (1, 1, 1, 1), (1, 3, 224, 224)
FAR_SIDE = 112  # of planes that no second-level cache holds


class Timing(NamedTuple):
    """Seconds of a network: of its layers by name, and of a whole run."""

    layers: Mapping[str, float]
    run: float


@dataclass
class Probe:
    """Something to measure: a layer of a network, or a whole run of it."""

    network: str
    graph: Graph
    node: Node | None = None
    matrix: StoredMatrix | None = None  # the storage that was asked for

    def seconds(self, costs: CostModel) -> float:
        """Predict it."""
        if self.node:
            return prediction.node_seconds(self.node, costs, self.matrix)
        return prediction.predict(self.graph, costs).seconds

    def measured(self, timings: Mapping[str, Timing]) -> float:
        """Look it up."""
        timing = timings[self.network]
        return timing.layers[self.node.name] if self.node else timing.run


@dataclass
class _Builder:
    """Appends layers to a graph. What each reads lies near: the layer before it read it, too."""

    random: np.random.Generator
    graph: Graph
    sizes: dict[tuple[int, ...], Value] = field(default_factory=dict)

    def input(self, *shape: int) -> Value:
        if shape not in self.sizes:
            self.sizes[shape] = Value(f"input_{len(self.sizes)}", shape)
            self.graph.inputs.append(self.sizes[shape])
        return self.sizes[shape]

    def append(
        self, op: str, inputs: Sequence[Value], shape: tuple[int, ...], **attributes: Any
    ) -> Node:
        name = f"{op}_{len(self.graph.nodes)}"
        node = Node(op, name, op, list(inputs), Value(name, shape), attributes)
        self.graph.nodes.append(node)
        return node

    def copy(self, x: Value) -> Value:
        """Append what nobody else needs, so that the layer behind it works in place."""
        return self.append("clamp", [x], x.shape, **no_clamp()).output

    def weights(
        self, shape: tuple[int, ...], block_rows: int = 1, density: float = 1.0
    ) -> list[Value]:
        """Weights of which a share of the blocks is there, and a bias."""
        name = f"weights_{len(self.graph.nodes)}"
        blocks = self.random.random((shape[0] // block_rows, shape[1])) < density
        values = self.random.normal(size=shape).astype(np.float32)
        values *= blocks.repeat(block_rows, 0).reshape(*shape[:2], *[1] * (len(shape) - 2))
        values *= np.sqrt(shape[0] / np.count_nonzero(values))  # keeps the size of activations
        bias = np.full(shape[0], 0.01, np.float32)
        return [
            Value(name, shape, values, f"{block_rows}x1"),
            Value(f"{name}.bias", bias.shape, bias),
        ]

    def conv(
        self, x: Value, outputs: int, block_rows: int = 4, density: float = 1.0, *,
        kernel: int = 1, stride: int = 1, dilation: int = 1, groups: int = 1,
    ) -> Node:  # fmt: skip
        """Append a convolution that pads to ``ceil(size / stride)`` pixels."""
        inputs, pad = x.shape[1] // groups, kernel // 2 * dilation
        attributes = conv_attributes(groups) | {
            "strides": (stride, stride),
            "pads": (pad, pad, pad, pad),
            "dilations": (dilation, dilation),
        }
        weights = self.weights((outputs, inputs, kernel, kernel), block_rows, density)
        shape = (1, outputs, *(-(-size // stride) for size in x.shape[2:]))
        return self.append("conv", [x, *weights], shape, **attributes)

    def pool(self, op: str, x: Value, kernel: int, stride: int) -> Node:
        """Append a pooling that pads to ``ceil(size / stride)`` pixels."""
        pads = (kernel // 2,) * 4
        attributes = {"kernel": (kernel, kernel), "strides": (stride, stride), "pads": pads}
        if op == "average_pool":
            attributes["counted"] = (0, 0, 0, 0)
        shape = (*x.shape[:2], *(-(-size // stride) for size in x.shape[2:]))
        return self.append(op, [x], shape, **attributes, dilations=(1, 1))

    def fully_connected(self, x: Value, outputs: int, block_rows: int, density: float) -> Node:
        weights = self.weights((outputs, x.shape[1]), block_rows, density)
        return self.append("fully_connected", [x, *weights], (1, outputs), **no_clamp())

    def conv_pixels(self, side: int, outputs: int) -> Node:
        pixels = self.input(1, side, side, 3)
        attributes = conv_attributes(1) | {"strides": (2, 2), "pads": (1, 1, 1, 1)}
        normalization = Value("normalization", (2, 3), np.full((2, 3), 0.5, np.float32))
        inputs = [pixels, *self.weights((outputs, 3, 3, 3), 4), normalization]
        return self.append("conv_pixels", inputs, (1, outputs, side // 2, side // 2), **attributes)

    def quantize(self, x: Value) -> Node:
        """Append what brings a tensor to int8."""
        return _gives_u7(self.append("quantize", [x], x.shape))

    def i8_weights(self, numbers: np.ndarray, pattern: str) -> list[Value]:
        """Give weights and a bias for a layer in int8."""
        name, rows = f"weights_{len(self.graph.nodes)}", len(numbers)
        scales, zeros = np.full(rows, 1e-3, np.float32), np.zeros(rows, np.float32)
        weights = Value(name, numbers.shape, numbers, pattern, "i8", scales=scales)
        return [weights, Value(f"{name}.bias", zeros.shape, zeros)]

    def i8(self, x: Value, outputs: int, block_rows: int, density: float) -> Node:
        """Append a pointwise convolution, or a fully connected layer, in int8."""
        channels = x.shape[1]
        blocks = self.random.random((outputs // block_rows, channels // pack.QUAD)) < density
        numbers = self.random.integers(1, 128, (outputs, channels)).astype(np.int8)
        numbers *= blocks.repeat(block_rows, 0).repeat(pack.QUAD, 1)
        numbers = numbers.reshape(outputs, channels, *[1] * (len(x.shape) - 2))
        inputs = [x, *self.i8_weights(numbers, f"{block_rows}x4")]
        if len(x.shape) == 2:
            return self.append("fully_connected", inputs, (1, outputs), **no_clamp())
        shape = (1, outputs, *x.shape[2:])
        return _gives_u7(self.append("conv", inputs, shape, **conv_attributes(1)))

    def i8_depthwise(self, x: Value) -> Node:
        """Append a depthwise convolution of 3 x 3 in int8."""
        channels = x.shape[1]
        numbers = self.random.integers(1, 128, (channels, 1, 3, 3)).astype(np.int8)
        attributes = conv_attributes(channels) | {"pads": (1, 1, 1, 1)}
        inputs = [x, *self.i8_weights(numbers, "1x4")]
        return _gives_u7(self.append("conv", inputs, x.shape, **attributes))

    def finish(self) -> None:
        """End with a layer that nothing is asked about: outputs are copied behind the last one."""
        x = self.input(1, 1)
        last = self.append("clamp", [x], x.shape, **no_clamp())
        self.graph.outputs["y"] = last.output


def _gives_u7(node: Node) -> Node:
    node.output.dtype, node.output.scale, node.output.zero_point = "u7", 0.05, 64
    return node


def _steps(b: _Builder) -> Iterator[list[Node]]:
    """Append layers without a choice of storage, each kind with large and with small planes."""
    planes = b.input(1, 48, 28, 28), b.input(1, 512, 7, 7)
    for x in planes:
        b.copy(x)  # brings it near
    pooling = {"keep_dims": False}
    yield [b.append("global_average_pool", [x], x.shape[:2], **pooling) for x in planes]
    windows = itertools.product(("max_pool", "average_pool"), planes, ((3, 2), (3, 1)))
    yield [b.pool(op, x, *window) for op, x, window in windows]
    yield [b.append("clamp", [b.copy(x)], x.shape, **no_clamp()) for x in planes]
    yield [b.append("add", [b.copy(x), x], x.shape, **no_clamp()) for x in planes]
    yield [b.append("multiply", [b.copy(x), x], x.shape) for x in planes]
    factors = [b.input(*x.shape[:2], 1, 1) for x in planes]
    pairs = zip(planes, factors, strict=True)
    yield [b.append("multiply", [b.copy(x), factor], x.shape) for x, factor in pairs]
    yield [b.append("leaky_relu", [b.copy(x)], x.shape, slope=0.1) for x in planes]
    for kind in (kind for kind in ACTIVATIONS if kind in STEPS):
        yield [b.append("activation", [b.copy(x)], x.shape, kind=kind) for x in planes]
    yield [b.append("flatten", [x], (1, math.prod(x.shape))) for x in planes]
    for kernel, stride in itertools.product((3, 5), (1, 2)):
        geometry = {"kernel": kernel, "stride": stride}
        yield [b.conv(x, x.shape[1], 1, groups=x.shape[1], **geometry) for x in planes]
    yield [b.append("softmax", [x], x.shape) for x in (b.input(8, 1000), b.input(64, 16))]


def _matrices(b: _Builder) -> Iterator[list[Node]]:
    """Append layers in every kind of storage, then what packs planes for them, or has far ones."""
    planes, odd, dot = (b.input(1, CHANNELS, side, side) for side in (SIDE, ODD_SIDE, 1))
    few, features = b.input(1, FEW_CHANNELS, SIDE, SIDE), b.input(1, FEATURES)
    for rows in BLOCK_ROWS:
        probes = [*itertools.product([planes], DENSITIES)]
        probes += itertools.product([odd, dot, few], [1.0, 0.4])
        yield [b.conv(x, CHANNELS, rows, density) for x, density in probes]
    for rows in BLOCK_ROWS:
        yield [b.fully_connected(features, FEATURES, rows, density) for density in DENSITIES]
    whole = [b.quantize(x) for x in (planes, odd, dot, few, features)]
    yield whole[:2]
    near, odd, dot, few, row = (node.output for node in whole)
    for rows in I8_BLOCK_ROWS:
        probes = [*itertools.product([near], DENSITIES)]
        probes += itertools.product([odd, dot, few], [1.0, 0.4])
        yield [b.i8(x, CHANNELS, rows, density) for x, density in probes]
    for rows in I8_BLOCK_ROWS:
        yield [b.i8(row, FEATURES, rows, density) for density in DENSITIES]
    x = b.input(1, 32, FAR_SIDE, FAR_SIDE)
    wide = [b.conv(x, 96, 4, density) for density in (1.0, 0.3)]
    yield [*wide, b.conv(b.input(1, 1024, ODD_SIDE, ODD_SIDE), 1024)]
    x = b.input(1, 48, 28, 28)
    yield [
        b.conv(b.input(*IMAGE), 32, kernel=3, stride=2),
        b.conv(b.input(1, 64, 14, 14), 64, kernel=3),
        b.conv_pixels(IMAGE[-1], 32),
        b.conv(x, 48, 1, groups=48, kernel=7),
        b.conv(x, 48, 1, groups=48, kernel=3, dilation=2),
    ]
    yield [b.i8_depthwise(x) for x in (near, odd)]


def _runs() -> dict[str, Graph]:
    """Make networks that do next to nothing: with one layer, with many, with a large input."""
    graphs = {}
    for name, layers, shape in (("one", 1, DOT), ("many", 65, DOT), ("image", 1, IMAGE)):
        b = _Builder(np.random.default_rng(0), Graph("calibration", [], {}, []))
        x = b.input(*shape)
        for _ in range(layers):
            x = b.append("global_average_pool", [x], (*shape[:2], 1, 1), keep_dims=True).output
        b.graph.outputs["y"] = x
        graphs[name] = b.graph
    return graphs


def networks() -> tuple[dict[str, bytes], list[list[Probe]]]:
    """Make the networks to measure as ``.goss`` files, and say what to look at in them.

    The probes of one list are solved together, for costs that those before them did not give.
    """
    runs = _runs()
    b = _Builder(np.random.default_rng(0), Graph("calibration", [], {}, []))
    b.append("clamp", [b.input(1, 1)], (1, 1), **no_clamp())  # inputs are copied before the first
    stages = [
        [Probe("layers", b.graph, node, _stored(node)) for node in nodes]
        for nodes in itertools.chain(_steps(b), _matrices(b))
    ]
    b.finish()
    stages[0] += [Probe(name, graph) for name, graph in runs.items()]
    graphs = {"layers": b.graph, **runs}
    return {name: lower(graph, {"title": name}) for name, graph in graphs.items()}, stages


def _stored(node: Node) -> StoredMatrix | None:
    """Give the storage that was asked for."""
    if not pack.has_matrix(node):
        return None
    weights, matrix = node.inputs[1], pack.as_matrix(node.inputs[1].data)
    if weights.dtype == "i8":
        storage = Storage.DENSE if matrix.all() else Storage.SPARSE
        rows = pack.I8_PATTERNS[weights.pattern]
        return pack.stored_i8_matrix(weights.data, rows, storage)
    storage = Storage.DENSE if matrix.all() else Storage.SPARSE
    return pack.stored_matrix(matrix, pack.PATTERNS[weights.pattern], storage)


# ---- Solving -------------------------------------------------------------------------------------

_Cost = tuple[str, ...]  # where a cost stands in a table


def _all_costs() -> list[_Cost]:
    fields = ("weight", "block", "row", "tile")
    blocks = [
        *itertools.product(KINDS, map(str, BLOCK_ROWS), fields),
        *itertools.product(I8_KINDS, map(str, I8_BLOCK_ROWS), fields),
    ]
    steps = itertools.product(["operators"], ["steps"], STEPS, ("vector", "plane"))
    singles = itertools.product(["operators"], ("run", "layer", "far_byte"))
    return [*blocks, *steps, *singles]


def _model(target: str, measured: str, costs: Mapping[_Cost, float]) -> CostModel:
    """Make a model of some costs; the others are zero."""
    lanes, registers = VECTORS[target]
    table: dict[str, Any] = {"measured": measured}
    for place in _all_costs():
        inner = table
        for key in place[:-1]:
            inner = inner.setdefault(key, {})
        inner[place[-1]] = costs.get(place, 0.0)
    table["operators"] |= {"lanes": lanes, "registers": registers}
    return from_table(target, table)


def fit(
    target: str, timings: Mapping[str, Timing], stages: Sequence[Sequence[Probe]], machine: str
) -> CostModel:
    """Turn the times of `networks` into costs.

    Parameters
    ----------
    target
        Name of the instruction set.
    timings
        By the network's name.
    stages
        From `networks`.
    machine
        What measured, for people.
    """
    units = {place: _model(target, "", {place: 1.0}) for place in _all_costs()}
    costs: dict[_Cost, float] = {}
    for stage in stages:
        counts = {
            place: np.array([probe.seconds(unit) * 1e12 for probe in stage])
            for place, unit in units.items()
        }
        asked = [place for place in units if place not in costs and counts[place].any()]
        times = np.array([probe.measured(timings) * 1e12 for probe in stage])
        rest = times - sum(counts[place] * cost for place, cost in costs.items())
        equations = np.stack([counts[place] for place in asked], axis=1)
        # What every kernel spends time on is above zero whatever noise says.
        main = np.array([place[-1] in ("weight", "block", "vector") for place in asked])
        weights = 1 / np.maximum(times, CLOCK_PICOSECONDS)
        found = solve(equations * weights[:, np.newaxis], rest * weights, main)
        costs |= zip(asked, (float(f"{cost:.4g}") for cost in found.tolist()), strict=True)
    return _model(target, f"{machine}; {datetime.date.today()}", costs)


def solve(equations: np.ndarray, times: np.ndarray, main: np.ndarray) -> np.ndarray:
    """Solve for costs, least squares, none below zero, and `main` ones above it."""
    used = np.ones(len(main), dtype=bool)
    while True:
        costs = np.zeros(len(main))
        costs[used] = np.linalg.lstsq(equations[:, used], times)[0]
        if (costs >= 0).all():
            return np.maximum(costs, np.where(main, 1e-3, 0.0))
        used[(costs * equations.mean(axis=0)).argmin()] = False


# ---- Measuring -----------------------------------------------------------------------------------


def calibrate(isa: str | None = None, runs: int = 50) -> CostModel:
    """Measure this machine, one thread.

    Parameters
    ----------
    isa
        One of `gossamer.isas`; None = the best.
    runs
        Measured runs, at least 1.

    Raises
    ------
    InputError
        This machine lacks the instruction set, or `runs` is below 1.
    """
    from ..benchmarking import benchmark
    from ..session import InferenceSession, SessionOptions

    files, stages = networks()
    timings = {}
    for name, data in files.items():
        session = InferenceSession(data, SessionOptions(threads=1, isa=isa))
        measured = benchmark(session, runs)
        layers = {layer.name: layer.seconds for layer in measured.layers}
        timings[name] = Timing(layers, measured.median_seconds)
    machine = f"{platform.machine()}, {platform.platform(terse=True)}"
    return fit(session.isa, timings, stages, machine)
