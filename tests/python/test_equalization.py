"""Cross-layer equalization: another network that computes the same."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gossamer
from gossamer.convert.ir import Graph, Node, Value, no_clamp
from gossamer.convert.lower import lower
from gossamer.convert.passes import conv_attributes
from gossamer.quantize.equalization import MOST, equalize, links
from gossamer.quantize.observation import channel_ranges

RELU, RELU6 = {"min": 0.0, "max": math.inf}, {"min": 0.0, "max": 6.0}


def constant(name: str, data: np.ndarray) -> Value:
    data = data.astype(np.float32)
    return Value(name, data.shape, data)


def network(bounds: dict[str, float] = RELU) -> Graph:
    """Pointwise, depthwise, pointwise, fully connected; channels of very different sizes."""
    random = np.random.default_rng(0)
    image = Value("image", (1, 3, 8, 8))
    nodes, x = [], image

    def conv(name: str, outputs: int, groups: int = 1, kernel: int = 1) -> None:
        nonlocal x
        sizes = 10.0 ** random.uniform(-1, 1, size=(outputs, 1, 1, 1))
        weights = sizes * random.normal(size=(outputs, x.shape[1] // groups, kernel, kernel))
        inputs = [
            x,
            constant(f"{name}.w", weights),
            constant(f"{name}.b", random.normal(size=outputs)),
        ]
        geometry = {"pads": (kernel // 2,) * 4} if kernel > 1 else {}
        y = Value(name, (1, outputs, 8, 8))
        attributes = conv_attributes(groups) | bounds | geometry
        nodes.append(Node("conv", name, "Conv", inputs, y, attributes))
        x = y

    conv("expand", 8)
    conv("depthwise", 8, groups=8, kernel=3)
    conv("project", 6)
    pooled_value = Value("pooled", (1, 6))
    nodes.append(Node("global_average_pool", "pool", "", [x], pooled_value, {"keep_dims": False}))
    inputs = [pooled_value, constant("w", random.normal(size=(5, 6))), constant("b", np.zeros(5))]
    nodes.append(Node("fully_connected", "scores", "Gemm", inputs, Value("y", (1, 5)), no_clamp()))
    return Graph("test", [image], {"y": nodes[-1].output}, nodes)


def images(count: int = 4) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(1)
    return [{"image": random.normal(size=(1, 3, 8, 8)).astype(np.float32)} for _ in range(count)]


def scores(graph: Graph) -> np.ndarray:
    session = gossamer.InferenceSession(lower(graph, {}))
    return np.concatenate([session.run(None, feeds)[0] for feeds in images()])


def spread(graph: Graph, name: str) -> float:
    """How many times larger than others a channel of a node's output is."""
    (value,) = (node.output for node in graph.nodes if node.name == name)
    largest = channel_ranges(graph, [value], images(), lambda done: None)[value].largest
    return float(largest.max() / largest.min())


def equalized(graph: Graph) -> tuple[int, dict]:
    values = [node.output for node in graph.nodes]
    ranges = channel_ranges(graph, values, images(), lambda done: None)
    return equalize(graph, ranges), ranges


@pytest.mark.parametrize("bounds", [RELU, no_clamp()])
def test_an_equalized_network_computes_the_same(bounds: dict[str, float]) -> None:
    graph = network(bounds)
    before = scores(graph)
    pairs, _ = equalized(graph)
    assert pairs == 3
    np.testing.assert_allclose(scores(graph), before, rtol=1e-3, atol=1e-3 * np.abs(before).max())


def test_channels_in_front_of_a_depthwise_layer_get_one_range() -> None:
    graph = network()
    before = spread(graph, "expand")
    equalized(graph)
    assert before > 3 and spread(graph, "expand") < max(1.01, before / MOST * 1.01)


def test_ranges_are_those_of_the_equalized_network() -> None:
    graph = network()
    _, ranges = equalized(graph)
    seen = channel_ranges(graph, list(ranges), images(), lambda done: None)
    for value, found in ranges.items():
        np.testing.assert_allclose(found.low, seen[value].low, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(found.high, seen[value].high, rtol=1e-3, atol=1e-4)


def test_a_relu6_is_not_equalized() -> None:
    assert not links(network(RELU6))


def test_what_others_read_too_is_not_equalized() -> None:
    graph = network()
    graph.outputs["expanded"] = graph.nodes[0].output
    assert [link.first.name for link in links(graph)] == ["depthwise", "project"]


def test_zeros_stay_zeros() -> None:
    graph = network()
    graph.nodes[2].inputs[1].data[:4] = 0
    equalized(graph)
    weights = graph.nodes[2].inputs[1].data
    assert not weights[:4].any() and weights[4:].all()
