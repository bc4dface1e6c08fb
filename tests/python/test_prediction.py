"""Predicted times: every operator has one, they add up, and grow with the work."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gossamer
from gossamer import zoo
from gossamer.convert import cost_model, pack
from gossamer.convert.goss_file import Op
from gossamer.convert.ir import Graph, Node, Value, no_clamp
from gossamer.convert.lower import lower
from gossamer.convert.passes import conv_attributes
from gossamer.convert.prediction import area, chosen_matrix, has_cost, node_seconds, predict
from gossamer.convert.read import read_graph

TARGETS = ("avx2", "generic", "wasm_relaxed", "wasm_simd")
COSTS = cost_model.load("wasm-relaxed")


def conv(weights, side=14, *, op="conv", pads=(0, 0, 0, 0), strides=(1, 1), groups=1, batch=1):
    outputs, inputs, *kernel = weights.shape
    size = (side + 2 * pads[0] - kernel[0]) // strides[0] + 1
    shape = (
        (batch, side, side, inputs) if op == "conv_pixels" else (batch, inputs * groups, side, side)
    )
    values = [Value("x", shape), Value("w", weights.shape, weights), Value("b", (outputs,))]
    attributes = conv_attributes(groups) | {"pads": pads, "strides": strides}
    return Node(op, "layer", op, values, Value("y", (batch, outputs, size, size)), attributes)


def simple(op, *shapes, output=None, **attributes):
    inputs = [Value(f"x{i}", shape) for i, shape in enumerate(shapes)]
    return Node(op, op, op, inputs, Value("y", output or shapes[0]), attributes)


def pool(op, **attributes):
    window = {"kernel": (3, 3), "strides": (2, 2), "pads": (1,) * 4, "dilations": (1, 1)}
    return simple(op, (1, 32, 14, 14), output=(1, 32, 7, 7), **window, **attributes)


def connected(weights):
    values = [Value("x", (1, weights.shape[1])), Value("w", weights.shape, weights)]
    inputs = [*values, Value("b", weights.shape[:1])]
    return Node("fully_connected", "layer", "", inputs, Value("y", (1, len(weights))), no_clamp())


IMAGE = (1, 32, 14, 14)
NODES = {
    Op.CONV: conv(np.ones((64, 32, 1, 1))),
    Op.FULLY_CONNECTED: connected(np.ones((10, 32))),
    Op.GLOBAL_AVERAGE_POOL: simple("global_average_pool", IMAGE, output=(1, 32)),
    Op.ADD: simple("add", IMAGE, IMAGE),
    Op.CLAMP: simple("clamp", IMAGE),
    Op.SOFTMAX: simple("softmax", (1, 1000)),
    Op.FLATTEN: simple("flatten", IMAGE, output=(1, 32 * 196)),
    Op.ACTIVATION: simple("activation", IMAGE, kind="silu"),
    Op.MULTIPLY: simple("multiply", IMAGE, (1, 32, 1, 1)),
    Op.MAX_POOL: pool("max_pool"),
    Op.AVERAGE_POOL: pool("average_pool", counted=(0, 0, 0, 0)),
    Op.CONCAT: simple("concat", IMAGE, IMAGE, output=(1, 64, 14, 14)),
    Op.LEAKY_RELU: simple("leaky_relu", IMAGE, slope=0.1),
    Op.SLICE: simple("slice", IMAGE, output=(1, 8, 14, 14), first=8, count=8),
    Op.SHUFFLE: simple("shuffle", IMAGE, groups=4),
    Op.CONV_PIXELS: conv(np.ones((8, 3, 3, 3)), 32, op="conv_pixels", pads=(1, 1, 1, 1)),
    Op.RESHAPE: simple("reshape", (1, 32 * 196), output=IMAGE),
    Op.TRANSPOSE: simple("transpose", IMAGE, output=(1, 14, 14, 32), axes=(0, 2, 3, 1)),
    Op.TAKE: simple("take", IMAGE, (14,), axis=3, fill=0.0),
    Op.BINARY: simple("binary", IMAGE, (14,), kind="mul"),
    Op.SELECT: simple("select", IMAGE, IMAGE, (14,)),
    Op.REDUCE: simple("reduce", IMAGE, output=(1, 14, 14), kind="sum", axes=(1,), keep_dims=False),
    Op.MATMUL: simple("matmul", (3, 50, 64), (3, 64, 50), output=(3, 50, 50)),
    Op.LAYER_NORM: simple("layer_norm", (50, 64), epsilon=1e-5),
    Op.RESIZE: simple("resize", IMAGE, (28, 14), (28, 14), output=(1, 32, 28, 28)),
    Op.TOP_K: simple(
        "top_k", (1, 1000), output=(1, 5), axis=1, count=5, smallest=False, places=True
    ),
    Op.NON_MAX_SUPPRESSION: simple(
        *("non_max_suppression", (1, 100, 4), (1, 8, 100)),
        output=(80, 3),
        **{"most": 10, "overlap": 0.5, "centered": False},
    ),
    Op.LOOKUP: simple("lookup", IMAGE, table=np.arange(128, dtype=np.uint8)),
    Op.QUANTIZE: simple("quantize", IMAGE),
    Op.DEQUANTIZE: simple("dequantize", IMAGE),
    Op.QUANTIZE_PIXELS: simple("quantize_pixels", (1, 14, 14, 32), (2, 32), output=IMAGE),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("op", Op)
def test_every_operator_has_a_cost_on_every_target_that_is_measured(op, target):
    node = NODES[op]
    assert node.op == op.name.lower()
    assert has_cost(node)
    assert 1e-7 < node_seconds(node, cost_model.load(target)) < 1


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"),
    [(3, 1, 1), (3, 2, 1), (5, 1, 1), (5, 2, 1), (7, 1, 1), (3, 1, 2), (3, 3, 1), (1, 1, 1)],
)
def test_every_depthwise_convolution_has_a_cost(kernel, stride, dilation):
    pad = kernel // 2
    node = conv(
        np.ones((32, 1, kernel, kernel)), 28, pads=(pad,) * 4, strides=(stride,) * 2, groups=32
    )
    node.attributes["dilations"] = (dilation, dilation)
    assert 1e-7 < node_seconds(node, COSTS) < 1e-2


def test_an_activation_takes_as_long_within_a_convolution_as_alone():
    node = conv(np.ones((32, 32, 1, 1)))
    without = node_seconds(node, COSTS)
    node.attributes["activation"] = "silu"
    alone = node_seconds(NODES[Op.ACTIVATION], COSTS) - COSTS.operators.layer * 1e-12
    assert node_seconds(node, COSTS) == pytest.approx(without + alone)


@pytest.fixture(scope="module")
def network():
    data = zoo.build("efficientnet_b0", width=0.25, resolution=64, sparsity=0.5)
    return read_graph(data, "network")


def test_a_network_takes_the_sum_of_its_nodes_and_what_a_run_takes(network):
    prediction = predict(network, COSTS)
    assert set(prediction.nodes) == set(network.nodes)
    assert all(seconds > 0 for seconds in prediction.nodes.values())
    assert prediction.seconds == pytest.approx(prediction.run + sum(prediction.nodes.values()))
    for node in network.nodes[:20]:
        assert prediction.nodes[node] == node_seconds(node, COSTS)


def test_prediction_takes_the_storage_that_conversion_is_asked_for(network):
    name = next(node.name for node in network.nodes if pack.has_matrix(node))
    usual, asked = (predict(network, COSTS, storage) for storage in ({}, {name: "8x1"}))
    changed = {node.name for node in network.nodes if usual.nodes[node] != asked.nodes[node]}
    assert changed == {name}


@given(
    st.sampled_from([1, 2, 4, 8]),
    st.integers(0, 200),
    st.integers(1, 56),
    st.sampled_from(TARGETS),
)
def test_more_blocks_never_take_less_time(block_rows, blocks, side, target):
    node, costs = conv(np.ones((64, 32, 1, 1)), side), cost_model.load(target)
    fewer, more = (
        node_seconds(node, costs, cost_model.StoredMatrix(64, 32, block_rows, count, 0))
        for count in (blocks, blocks + 1)
    )
    assert fewer < more


@given(st.integers(1, 60), st.sampled_from([1, 3]), st.sampled_from([1, 2]))
def test_more_pixels_never_take_less_time(side, kernel, stride):
    pad = kernel // 2
    smaller, larger = (
        node_seconds(
            conv(np.ones((16, 8, kernel, kernel)), size, pads=(pad,) * 4, strides=(stride,) * 2),
            COSTS,
        )
        for size in (side, side + 16)
    )
    assert smaller < larger


def test_the_predicted_storage_is_the_written_one():
    random = np.random.default_rng(0)
    for zeros in (0, 0.4, 0.6, 0.9):
        weights = random.normal(size=(64, 64, 1, 1)).astype(np.float32)
        weights *= random.random((32, 64, 1, 1)).repeat(2, 0) >= zeros
        for side in (1, 7, 14, 56):
            node = conv(weights, side)
            node.inputs[2].data = np.zeros(64, np.float32)
            graph = Graph("one", [node.inputs[0]], {"y": node.output}, [node])
            (layer,) = gossamer.InferenceSession(lower(graph, {}, COSTS)).layers()
            matrix = chosen_matrix(node, COSTS)
            assert layer.kernel.endswith(f"_{matrix.block_rows}x1")
            assert ("sparse" in layer.reason) == (matrix.blocks is not None)


def test_rows_that_are_no_whole_vectors_go_through_strips_with_surplus_columns():
    node = conv(np.ones((8, 8, 3, 3)), 14, pads=(1, 1, 1, 1))
    # 256 // 16 rows of 16 columns would fit into a strip: all 14 do.
    assert area(node, COSTS).pixels == 14 * 16
    node = conv(np.ones((8, 8, 3, 3)), 16, pads=(1, 1, 1, 1), batch=2)
    assert area(node, COSTS).pixels == 2 * 16 * 16


def test_costs_of_an_older_version_are_refused_with_what_to_do(network):
    with pytest.raises(gossamer.InputError, match="--calibrate"):
        predict(network, dataclasses.replace(COSTS, operators=None))
