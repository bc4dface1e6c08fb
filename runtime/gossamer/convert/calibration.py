"""Measures the costs of `cost_model` on a machine.

One network holds a layer of every kind in question, so that one profile measures them in turns and
what disturbs the machine disturbs them alike.
"""

from __future__ import annotations

import datetime
import platform
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .cost_model import ConvCost, CostModel
from .ir import Graph, Node, Value, no_clamp
from .lower import lower

BLOCK_ROWS = (1, 2, 4, 8)
DENSITIES = (1.0, 0.7, 0.4, 0.1)  # of blocks
# Weights and planes that a second-level cache holds; whole tiles of pixels.
CHANNELS, SIDE = 256, 16
OUTPUTS, FULLY_CONNECTED_DENSITY = 1024, 0.1


@dataclass(frozen=True)
class _Probe:
    """A layer of the network that is measured, by its weights."""

    layer: str
    block_rows: int
    density: float
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

    def weigh(shape: tuple[int, ...], block_rows: int, density: float) -> None:
        blocks = random.random((shape[0] // block_rows, shape[1])) < density
        weights = random.normal(size=shape[:2]) * blocks.repeat(block_rows, axis=0)
        nonzeros = np.count_nonzero(weights)
        weights *= np.sqrt(shape[0] / nonzeros)  # keeps the size of the activations
        node = nodes[-1]
        sparse = "1x1" if density < 1 else "dense"
        node.inputs.append(
            Value(f"{node.name}.weights", shape, weights.astype(np.float32).reshape(shape),
                  f"{block_rows}x1" if len(shape) == 4 else sparse)
        )  # fmt: skip
        bias = np.full(shape[0], 0.01, np.float32)
        node.inputs.append(Value(f"{node.name}.bias", bias.shape, bias))
        probes.append(_Probe(node.name, block_rows, density, nonzeros))

    for block_rows in BLOCK_ROWS:
        for density in DENSITIES:
            x = append("conv", x, image.shape, strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1),
                       groups=1, **no_clamp())  # fmt: skip
            weigh((CHANNELS, CHANNELS, 1, 1), block_rows, density)
    x = append("global_average_pool", x, (1, CHANNELS), keep_dims=False)
    for density in (1.0, FULLY_CONNECTED_DENSITY):
        inputs = x.shape[1]
        x = append("fully_connected", x, (1, OUTPUTS), **no_clamp())
        weigh((OUTPUTS, inputs), 1, density)
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
    pixels = SIDE * SIDE
    conv = {}
    for block_rows in BLOCK_ROWS:
        mine = [p for p in probes if p.block_rows == block_rows and p.layer.startswith("conv")]
        dense, *sparse = ((p, seconds[p.layer] * 1e12 / pixels) for p in mine)
        blocks = np.array([p.nonzeros / block_rows for p, _ in sparse])
        block, row = _line(blocks, CHANNELS / block_rows, np.array([time for _, time in sparse]))
        conv[block_rows] = ConvCost(
            weight=round(dense[1] / dense[0].nonzeros, 2),
            block=round(block, 2),
            row=round(row, 1),
        )
    dense_layer, sparse_layer = (p for p in probes if p.layer.startswith("fully_connected"))
    return CostModel(
        target=target,
        measured=f"{machine}; {datetime.date.today()}",
        conv=conv,
        fully_connected_weight=round(seconds[dense_layer.layer] * 1e12 / dense_layer.nonzeros, 2),
        fully_connected_nonzero=round(
            seconds[sparse_layer.layer] * 1e12 / sparse_layer.nonzeros, 2
        ),
    )


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
