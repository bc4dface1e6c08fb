"""From a graph in f32 to one with int8 in it."""

from __future__ import annotations

import numpy as np
import pytest

from gossamer import zoo
from gossamer.convert import int8, int8_choice, passes
from gossamer.convert.ir import Graph, Node, Value, no_clamp
from gossamer.convert.passes import conv_attributes
from gossamer.convert.quantization import Quantization

SIZE = {"width": 0.25, "resolution": 32, "classes": 10}


def network(name: str) -> Graph:
    graph = zoo._graph(name, pattern="4x4", sparsity=0.5, dtype="f32", seed=0, **SIZE)
    passes.fuse(graph, passes.merge_activation)
    int8_choice.prepare(graph)
    return graph


def everything(graph: Graph) -> dict[Value, Quantization]:
    """A range for each tensor, each another one."""
    values = {value for node in graph.nodes for value in (*node.inputs, node.output)}
    values = sorted((value for value in values if value.data is None), key=lambda v: v.name)
    return {value: Quantization(0.01 * (1 + i), i % 128) for i, value in enumerate(values)}


def kinds(graph: Graph) -> list[tuple[str, str]]:
    return [(node.op, node.output.dtype) for node in graph.nodes]


@pytest.mark.parametrize("name", zoo.NAMES)
def test_everything_but_the_probabilities_runs_in_int8(name: str) -> None:
    graph = network(name)
    nodes = int8_choice.candidates(graph)
    found = int8.quantize_graph(graph, everything(graph), nodes)
    assert [node.op for node in graph.nodes if node not in nodes] == ["softmax"]
    assert kinds(found)[0] == ("quantize", "u7")
    assert kinds(found)[-2:] == [("fully_connected", "f32"), ("softmax", "f32")]
    assert {dtype for _, dtype in kinds(found)[:-2]} == {"u7"}
    for node in found.nodes:
        weights = node.inputs[1] if node.op in int8_choice.MATRICES else None
        assert weights is None or (weights.dtype == "i8" and weights.data.dtype == np.int8)


def test_activations_of_convolutions_become_tables() -> None:
    graph = network("efficientnet_b0")
    found = int8.quantize_graph(graph, everything(graph), int8_choice.candidates(graph))
    assert all("activation" not in node.attributes for node in found.nodes)
    assert sum(node.op == "lookup" for node in found.nodes) == 49 + 16


def test_a_node_that_stays_f32_stands_between_conversions() -> None:
    graph = network("mobilenet_v1")
    stays = graph.nodes[4]
    chosen = [node for node in int8_choice.candidates(graph) if node is not stays]
    found = int8.quantize_graph(graph, everything(graph), chosen)
    place = next(i for i, node in enumerate(found.nodes) if node.name == stays.name)
    around = found.nodes[place - 1 : place + 2]
    assert [node.op for node in around] == ["dequantize", "conv", "quantize"]
    assert around[1].inputs[1] is stays.inputs[1], "its weights stay f32"


def test_a_graph_is_not_changed_by_quantizing_it() -> None:
    graph = network("mobilenet_v2")
    before = [(node.op, list(node.inputs), node.output) for node in graph.nodes]
    found = int8.quantize_graph(graph, everything(graph), int8_choice.candidates(graph))
    assert [(node.op, node.inputs, node.output) for node in graph.nodes] == before
    biases = {node.inputs[2] for node in found.nodes if node.op in int8_choice.MATRICES}
    assert not biases & {value for node in graph.nodes for value in node.inputs}


def test_zeros_stay_zeros() -> None:
    graph = network("mobilenet_v1")
    found = int8.quantize_graph(graph, everything(graph), int8_choice.candidates(graph))
    whole = {node.name: node for node in found.nodes}
    for node in graph.nodes:
        if node.op in int8_choice.MATRICES:
            real, rounded = node.inputs[1].data, whole[node.name].inputs[1].data
            assert (rounded[real == 0] == 0).all()


def test_an_output_in_the_middle_is_real() -> None:
    graph = network("mobilenet_v1")
    graph.outputs["early"] = graph.nodes[2].output
    found = int8.quantize_graph(graph, everything(graph), int8_choice.candidates(graph))
    assert {value.dtype for value in found.outputs.values()} == {"f32"}
    assert ("dequantize", "f32") in kinds(found)


def test_what_only_moves_keeps_its_scale() -> None:
    x = Value("x", (1, 4, 2, 2))
    pooled, part = Value("pooled", (1, 4, 1, 1)), Value("part", (1, 2, 1, 1))
    window = {"kernel": (2, 2), "strides": (2, 2), "pads": (0,) * 4, "dilations": (1, 1)}
    nodes = [
        Node("max_pool", "pool", "", [x], pooled, window),
        Node("slice", "slice", "", [pooled], part, {"first": 0, "count": 2}),
    ]
    graph = Graph("test", [x], {"y": part}, nodes)
    found = int8.quantize_graph(graph, {x: Quantization(0.5, 7)}, nodes)
    quantized = [node.output for node in found.nodes if node.output.dtype == "u7"]
    assert {(value.scale, value.zero_point) for value in quantized} == {(0.5, 7)}


def test_pixels_are_normalised_on_the_way_to_int8() -> None:
    graph = network("mobilenet_v1")
    mean, scale = np.float32([127.5] * 3), np.float32([1 / 127.5] * 3)
    passes.take_pixels(graph, "u8", mean, scale)
    found = int8.quantize_graph(graph, everything(graph), int8_choice.candidates(graph))
    assert kinds(found)[:2] == [("quantize_pixels", "u7"), ("conv", "u7")]
    pixels = found.nodes[0].output
    assert pixels.shape == (1, 3, 32, 32)
    assert pixels.scale == pytest.approx(2 / 127) and pixels.zero_point in (63, 64)


def test_scores_of_a_pointwise_layer_are_real_numbers() -> None:
    x, y, flat = Value("x", (1, 8, 1, 1)), Value("y", (1, 3, 1, 1)), Value("flat", (1, 3))
    data = np.ones((3, 8, 1, 1), np.float32)
    inputs = [x, Value("w", data.shape, data), Value("b", (3,), np.zeros(3, np.float32))]
    nodes = [
        Node("conv", "scores", "Conv", inputs, y, conv_attributes(1)),
        Node("flatten", "flatten", "Flatten", [y], flat),
    ]
    graph = Graph("test", [x], {"flat": flat}, nodes)
    int8_choice.prepare(graph)
    found = int8.quantize_graph(graph, everything(graph), int8_choice.candidates(graph))
    assert kinds(found) == [("quantize", "u7"), ("flatten", "u7"), ("fully_connected", "f32")]


def test_a_graph_of_which_nothing_is_quantized_stays_as_it_is() -> None:
    graph = network("mobilenet_v1")
    nodes = list(graph.nodes)
    assert int8.quantize_as_source(graph) is graph and graph.nodes == nodes


def test_sums_that_do_not_fit_32_bits_stay_f32() -> None:
    data = np.zeros((1, 140_000), np.float32)
    weights, bias = Value("w", data.shape, data), Value("b", (1,), np.zeros(1, np.float32))
    inputs = [Value("x", (1, 140_000)), weights, bias]
    node = Node("fully_connected", "fc", "", inputs, Value("y", (1, 1)), no_clamp())
    assert "140,000 products in a sum" in int8_choice.why_f32(node)


def test_several_outputs_a_channel_stay_f32() -> None:
    data = np.zeros((8, 1, 3, 3), np.float32)
    weights, bias = Value("w", data.shape, data), Value("b", (8,), np.zeros(8, np.float32))
    inputs = [Value("x", (1, 4, 5, 5)), weights, bias]
    node = Node("conv", "c", "", inputs, Value("y", (1, 8, 3, 3)), conv_attributes(4))
    assert int8_choice.why_f32(node) == "2 outputs for each of its channels"
