"""Reading a model file gives the graph that it was written from."""

import numpy as np
import pytest
import reference
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st
from models import dense_networks
from models.onnx_graphs import GraphBuilder
from models.random_graphs import RandomGraph

import gossamer
from gossamer import zoo
from gossamer.convert.lower import lower
from gossamer.convert.read import read_graph
from gossamer.embedded import MODELS, model_names
from gossamer.zoo import PATTERNS


@settings(max_examples=12)
@given(st.sampled_from(zoo.NAMES), st.sampled_from(PATTERNS), st.sampled_from([0, 0.3, 0.9]))
def test_what_is_read_is_written_as_the_same_bytes(name, pattern, sparsity):
    data = zoo.build(name, width=0.3, resolution=32, pattern=pattern, sparsity=sparsity, classes=7)
    metadata = gossamer.InferenceSession(data).metadata
    assert lower(read_graph(data, "model"), metadata) == data


@pytest.mark.parametrize("name", model_names())
def test_embedded_models_are_read(name):
    data = (MODELS / f"{name}.goss").read_bytes()
    graph, expected = read_graph(data, name), reference.read(data)
    for node, layer in zip(graph.nodes, expected.nodes, strict=True):
        assert (node.name, node.op) == (layer.name, layer.op)
        for value, number in zip(node.inputs, layer.inputs, strict=True):
            if value.data is not None:
                np.testing.assert_array_equal(value.data, expected.tensors[number].weights)


@pytest.mark.parametrize("pixels", ["u8", "f32"])
def test_models_that_take_pixels_are_read(pixels):
    onnx = pytest.importorskip("onnx")
    source = zoo.build_onnx("mobilenet_v1", width=0.1, resolution=16, sparsity=0.5, classes=5)
    metadata = {"image_mean": "1 2 3", "image_scale": "0.5 0.25 2"}
    model = onnx.load_from_string(source)
    data = gossamer.convert(model, None, metadata=metadata, pixels=pixels)
    graph = read_graph(data, "model")
    assert (graph.nodes[0].op, graph.inputs[0].dtype) == ("conv_pixels", pixels)
    assert lower(graph, gossamer.InferenceSession(data).metadata) == data


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs_are_read(seed):
    data = gossamer.convert(RandomGraph(seed).model(), None)
    assert lower(read_graph(data, "model"), {}) == data


@pytest.mark.parametrize(
    "model",
    [dense_networks.unet("bilinear"), dense_networks.ssd(), dense_networks.keyword_spotter()],
)
def test_networks_of_general_operators_are_read(model):
    data = gossamer.convert(model, None)
    assert lower(read_graph(data, "model"), {}) == data


@pytest.mark.parametrize("op", ["ReduceMax", "Where", "MatMul", "Pow"])
def test_general_operators_are_read(op):
    g = GraphBuilder(x=[2, 3, 4], y=[2, 4, 4])
    results = {
        "ReduceMax": lambda: g.node("ReduceMax", "x", axes=[1], keepdims=0),
        "Where": lambda: g.node("Where", g.node("Less", "x", g.constant(0)), "x", g.weights(4)),
        "MatMul": lambda: g.node("MatMul", "x", "y"),
        "Pow": lambda: g.node("Pow", g.node("Exp", "x"), g.weights(3, 1)),
    }
    data = gossamer.convert(g.model(results[op]()), None)
    assert lower(read_graph(data, "model"), {}) == data


def test_weights_in_runs_are_the_same_weights_and_compute_the_same():
    contents = [tiny_models.quantized(), tiny_models.runs()]
    image = np.random.default_rng(3).normal(size=(1, 3, 6, 6)).astype(np.float32)
    sparse, runs = (gossamer.InferenceSession(content) for content in contents)
    np.testing.assert_array_equal(*(s.run(None, {"image": image})[0] for s in (sparse, runs)))
    kernels = ([layer.kernel for layer in session.layers()] for session in (sparse, runs))
    assert next(kernels) == next(kernels)
    for left, right in zip(*(read_graph(c, "model").nodes for c in contents), strict=True):
        for a, b in zip(left.inputs, right.inputs, strict=True):
            np.testing.assert_array_equal(a.data, b.data)


def test_damaged_files_are_refused():
    data = bytearray(zoo.build("mobilenet_v1", width=0.1, resolution=16))
    data[len(data) // 2] ^= 1
    with pytest.raises(gossamer.ModelError):
        read_graph(bytes(data), "model")
