"""Measures the costs of `cost_model` on a machine.

One network holds a layer of every kind in question, so that one profile measures them in turns and
what disturbs the machine disturbs them alike.
"""

from __future__ import annotations

import datetime
import itertools
import platform
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .cost_model import KINDS, BlockCost, CostModel, MatrixCost
from .ir import Graph, Node, Value, no_clamp
from .lower import lower
from .passes import conv_attributes

BLOCK_ROWS = (1, 2, 4, 8)
DENSITIES = (1.0, 0.7, 0.4, 0.1)  # of blocks
# Weights and planes that a second-level cache holds; whole tiles of pixels.
CHANNELS, SIDE = 256, 16
FEATURES = 512  # of the fully connected layers


@dataclass(frozen=True)
class _Probe:
    """A layer of the network that is measured, by its weights."""

    layer: str
    kind: str  # one of `KINDS`
    block_rows: int
    density: float
    rows: int
    nonzeros: int


def network() -> tuple[bytes, list[_Probe]]:
    """Make the network to measure as a ``.goss`` file, and say what its layers are."""
    random = np.random.default_rng(0)
    image = x = Value("image", (1, CHANNELS, SIDE, SIDE))
    nodes: list[Node] = []
    probes: list[_Probe] = []

    def append(op: str, x: Value, shape: tuple[int, ...], **attributes: object) -> Value:
        name = f"{op}_{len(nodes)}"
        y = Value(name, shape)
        nodes.append(Node(op, name, op, [x], y, attributes))
        return y

    def weigh(shape: tuple[int, ...], block_rows: int, density: float) -> _Probe:
        blocks = random.random((shape[0] // block_rows, shape[1])) < density
        weights = random.normal(size=shape[:2]) * blocks.repeat(block_rows, axis=0)
        nonzeros = np.count_nonzero(weights)
        weights *= np.sqrt(shape[0] / nonzeros)  # keeps the size of the activations
        node = nodes[-1]
        values = weights.astype(np.float32).reshape(shape)
        node.inputs.append(Value(f"{node.name}.weights", shape, values, f"{block_rows}x1"))
        bias = np.full(shape[0], 0.01, np.float32)
        node.inputs.append(Value(f"{node.name}.bias", bias.shape, bias))
        return _Probe(node.name, node.op, block_rows, density, shape[0], nonzeros)

    variants = list(itertools.product(BLOCK_ROWS, DENSITIES))
    for block_rows, density in variants:
        x = append("conv", x, image.shape, **conv_attributes(groups=1))
        probes.append(weigh((CHANNELS, CHANNELS, 1, 1), block_rows, density))
    x = append("conv", x, (1, FEATURES, SIDE, SIDE), **conv_attributes(groups=1))
    weigh((FEATURES, CHANNELS, 1, 1), 4, 1.0)  # only widens: not measured
    x = append("global_average_pool", x, (1, FEATURES), keep_dims=False)
    for block_rows, density in variants:
        x = append("fully_connected", x, (1, FEATURES), **no_clamp())
        probes.append(weigh((FEATURES, FEATURES), block_rows, density))
    graph = Graph("calibration", [image], {"y": x}, nodes)
    return lower(graph, {"title": "calibration"}), probes


def fit(
    target: str, seconds: dict[str, float], probes: Sequence[_Probe], machine: str
) -> CostModel:
    """Turn the seconds of each layer of `network` into costs.

    Parameters
    ----------
    target
        Name of the instruction set.
    seconds
        By the layer's name.
    probes
        From `network`.
    machine
        What measured, for people.
    """
    vectors = {"conv": SIDE * SIDE, "fully_connected": 1}
    costs = {
        kind: MatrixCost(
            {
                block_rows: _fit_blocks(
                    [p for p in probes if (p.kind, p.block_rows) == (kind, block_rows)],
                    {name: time * 1e12 / vectors[kind] for name, time in seconds.items()},
                )
                for block_rows in BLOCK_ROWS
            }
        )
        for kind in KINDS
    }
    return CostModel(target, f"{machine}; {datetime.date.today()}", **costs)


def _fit_blocks(probes: Sequence[_Probe], picoseconds: dict[str, float]) -> BlockCost:
    """Costs of the blocks of one size, from layers of which the first is dense."""
    dense, *sparse = probes
    rows = dense.rows / dense.block_rows
    blocks = np.array([p.nonzeros / p.block_rows for p in sparse])
    block, row = _line(blocks, rows, np.array([picoseconds[p.layer] for p in sparse]))
    weight = picoseconds[dense.layer] / dense.nonzeros
    return BlockCost(round(weight, 2), round(block, 2), round(row, 1))


def _line(blocks: np.ndarray, rows: float, times: np.ndarray) -> tuple[float, float]:
    """Fit times = blocks * block + rows * row, neither below zero: noise may say otherwise."""
    equations = np.stack([blocks, np.full(len(blocks), rows)], axis=1)
    block, row = np.linalg.lstsq(equations, times)[0].tolist()
    if block > 0 and row >= 0:
        return block, row
    return float(blocks @ times / (blocks @ blocks)), 0.0


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

    data, probes = network()
    session = InferenceSession(data, SessionOptions(threads=1, isa=isa))
    measured = benchmark(session, runs)
    seconds = {layer.name: layer.seconds for layer in measured.layers}
    machine = f"{platform.machine()}, {platform.platform(terse=True)}"
    return fit(session.isa, seconds, probes, machine)
