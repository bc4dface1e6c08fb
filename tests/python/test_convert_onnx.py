"""ONNX models give onnxruntime's answers; what cannot run is refused in one sentence."""

import dataclasses
import logging
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import reference
from models import onnx_graphs
from models.onnx_graphs import GraphBuilder, mobilenet
from models.random_graphs import RandomGraph
from onnx import TensorProto, helper

import gossamer
from gossamer.convert import cost_model
from gossamer.convert.pack import PATTERNS

TOLERANCE = 1e-5


def random_inputs(session):
    random = np.random.default_rng(1)
    return {
        value.name: random.normal(scale=3, size=value.shape).astype(np.float32)
        for value in session.get_inputs()
    }


def assert_same_answers(src, batch=1, tolerance=TOLERANCE, **options):
    """Compare engine, numpy reference and onnxruntime on every output; return the file."""
    data = gossamer.convert(src, None, batch=batch, **options)
    session = gossamer.InferenceSession(data)
    feeds = random_inputs(session)
    peer = onnxruntime.InferenceSession(src if isinstance(src, str) else src.SerializeToString())
    names = [value.name for value in session.get_outputs()]
    assert names == [value.name for value in peer.get_outputs()]
    wanted = peer.run(names, feeds)
    truth = reference.run(data, feeds)
    for name, found, want in zip(names, session.run(names, feeds), wanted, strict=True):
        assert found.shape == want.shape
        np.testing.assert_allclose(found, want, atol=tolerance, rtol=tolerance)
        np.testing.assert_allclose(truth[name], want, atol=tolerance, rtol=tolerance)
    return data


def ops(data):
    return reference.read(data).ops()


# ---- Whole models -------------------------------------------------------------------------------


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 18, 21])
@pytest.mark.parametrize("head", ["flatten", "mean", "reshape"])
def test_mobilenet_blocks_of_every_opset_agree(opset, head):
    data = assert_same_answers(mobilenet(opset, head))
    assert ops(data) == ["conv"] * 5 + [
        "conv + residual",
        "global_average_pool",
        "fully_connected",
        "softmax",
    ]


def test_an_open_batch_is_what_was_asked_for():
    data = assert_same_answers(mobilenet(17), batch=3)
    assert reference.read(data).named("image").dims == (3, 3, 16, 16)


@pytest.fixture(scope="module")
def torch_models():
    pytest.importorskip("torch", reason="torch exports the models")
    from models import torch_models

    return torch_models


@pytest.fixture(scope="module")
def image(torch_models):
    import torch

    return torch.zeros(2, 3, 32, 32)


HEADS = ["flatten", "view", "reshape", "mean", "mean of mean", "average"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("opset", "fold_batch_norm"), [(11, True), (13, False), (20, True)])
def test_mobilenet_v1_of_the_script_exporter_agrees(
    torch_models, image, head, opset, fold_batch_norm
):
    model = torch_models.trained(torch_models.MobileNetV1(head))
    exported = torch_models.export_by_script(model, image, opset, fold_batch_norm)
    data = assert_same_answers(exported, batch=2)
    assert ops(data) == ["conv"] * 9 + ["global_average_pool", "fully_connected", "softmax"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("head", ["flatten", "view", "mean"])
def test_mobilenet_v1_of_the_dynamo_exporter_agrees(torch_models, image, head):
    model = torch_models.trained(torch_models.MobileNetV1(head))
    data = assert_same_answers(torch_models.export_by_dynamo(model, image, 20), batch=2)
    assert ops(data) == ["conv"] * 9 + ["global_average_pool", "fully_connected", "softmax"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("opset", "optimize"), [(18, True), (23, False)])
def test_mobilenet_v2_of_the_dynamo_exporter_agrees(torch_models, image, opset, optimize):
    model = torch_models.trained(torch_models.MobileNetV2())
    exported = torch_models.export_by_dynamo(model, image, opset, optimize=optimize)
    found = ops(assert_same_answers(exported))
    assert found.count("conv + residual") == 3
    assert "add" not in found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("opset", "fold_batch_norm"), [(11, True), (17, False)])
def test_mobilenet_v2_of_the_script_exporter_agrees(torch_models, image, opset, fold_batch_norm):
    model = torch_models.trained(torch_models.MobileNetV2())
    exported = torch_models.export_by_script(model, image, opset, fold_batch_norm)
    assert ops(assert_same_answers(exported, batch=2)).count("clamp") == 0


@pytest.mark.filterwarnings("ignore")
def test_pruned_layers_are_stored_sparse_and_agree(torch_models, image):
    model = torch_models.MobileNetV1(channels=16)
    model = torch_models.prune(torch_models.trained(model), 0.8)
    dense_bytes = sum(p.numel() for p in model.parameters()) * 4
    data = assert_same_answers(torch_models.export_by_dynamo(model, image, 20))
    pointwise = [
        tensor
        for tensor in reference.read(data).tensors
        if tensor.role == "weights" and tensor.dims[1:] and tensor.dims[2:] == (1, 1)
    ]
    assert len(pointwise) == 4
    assert all(tensor.sparse for tensor in pointwise)
    assert len(data) < dense_bytes


def kernels(**options):
    session = gossamer.InferenceSession(gossamer.convert(mobilenet(17), None, **options))
    return {layer.name: layer.kernel for layer in session.layers()}


def test_storage_can_be_asked_for_layer_by_layer():
    asked = {"Conv_6": "1x1", "Conv_8": "8x1", "Gemm_19": "2x1"}
    chosen, found = kernels(), kernels(storage=asked)
    assert found["Conv_6"] == "pointwise_f32_1x1"
    assert found["Conv_8"] == "pointwise_f32_8x1"
    assert found["Gemm_19"] == "fully_connected_f32_2x1"
    assert all(found[name] == kernel for name, kernel in chosen.items() if name not in asked)


def test_a_target_chooses_by_its_costs(tmp_path):
    costs = cost_model.load("wasm_relaxed")
    cheap = {rows: cost_model.BlockCost(1, rows, 1) for rows in (1, 2, 4)}
    cheap[8] = cost_model.BlockCost(0.5, 8, 1)
    mine = dataclasses.replace(costs, target="mine", conv=cost_model.MatrixCost(cheap))
    cost_model.save(mine, tmp_path / "costs.json")
    found = kernels(target="mine", costs=tmp_path / "costs.json")
    assert found["Conv_6"] == "pointwise_f32_8x1"
    assert kernels()["Conv_6"] != found["Conv_6"]


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ({"Conv_7": "1x1"}, "'Conv_7'.*Conv_0, Conv_6, Conv_8"),
        ({"Conv_3": "1x1"}, "'Conv_3'.*Conv_0, Conv_6, Conv_8"),
        ({"Conv_6": "3x1"}, "Conv_6.*1x1, 2x1, 4x1, 8x1, dense.*3x1"),
        ({"Gemm_19": "3x1"}, "Gemm_19.*1x1, 2x1, 4x1, 8x1, dense.*3x1"),
    ],
)
def test_storage_that_no_layer_can_have_is_refused(storage, message):
    with pytest.raises(gossamer.InputError, match=message):
        kernels(storage=storage)


@pytest.mark.filterwarnings("ignore")
def test_weights_beside_the_model_are_read(torch_models, image, tmp_path):
    model = torch_models.trained(torch_models.MobileNetV2())
    path = tmp_path / "model.onnx"
    torch_models.export_by_dynamo(model, image, 20, path)
    assert (tmp_path / "model.onnx.data").exists()
    assert_same_answers(str(path))


# ---- Single operators ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attributes",
    [
        {"strides": [2, 1], "pads": [0, 1, 2, 0]},
        {"dilations": [2, 3], "pads": [2, 3, 2, 3]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 3]},
        {"auto_pad": "VALID"},
        {"auto_pad": "NOTSET", "pads": [1, 1, 1, 1], "kernel_shape": [3, 3]},
    ],
)
@pytest.mark.parametrize("group", [1, 4])
def test_convolutions_of_every_geometry_agree(attributes, group):
    g = GraphBuilder(x=[2, 4, 10, 11])
    weights = g.weights(8, 4 // group, 3, 3)
    assert_same_answers(g.model(g.node("Conv", "x", weights, group=group, **attributes)))


@pytest.mark.parametrize("attributes", [{}, {"strides": [2, 1], "pads": [1, 0, 1, 2]}])
@pytest.mark.parametrize(("groups", "outputs"), [(2, 6), (3, 24), (6, 6), (4, 16)])
def test_convolutions_in_groups_skip_the_channels_of_others(groups, outputs, attributes):
    g = GraphBuilder(x=[2, 12, 9, 10])
    for kernel in (1, 3):
        weights, bias = g.weights(outputs, 12 // groups, kernel, kernel), g.weights(outputs)
        y = g.node("Conv", "x", weights, bias, group=groups, **attributes)
        data = assert_same_answers(g.model(g.node("Relu", y)))
        assert ops(data) == ["conv"]
        (layer,) = gossamer.InferenceSession(data).layers()
        assert layer.macs < layer.dense_macs


@pytest.mark.parametrize("channels", [1, 3, 6, 13])
def test_sparse_convolutions_of_odd_sizes_agree(channels):
    g = GraphBuilder(x=[1, 5, 7, 3])
    y = g.node("Conv", "x", g.weights(channels, 5, 1, 1, zeros=0.8))
    y = g.node("Conv", y, g.weights(9, channels, 3, 3, zeros=0.9), pads=[1, 1, 1, 1])
    assert_same_answers(g.model(y))


def test_a_layer_without_any_weight_left_gives_its_bias():
    g = GraphBuilder(x=[1, 4, 3, 3])
    y = g.node("Conv", "x", g.constant(np.zeros((5, 4, 1, 1))), g.weights(5))
    data = assert_same_answers(g.model(y))
    assert reference.read(data).named("constant_0").sparse


@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("bias_shape", [(7,), (1, 7), (1,), (), (1, 1), None])
def test_gemm_with_factors_and_every_bias_agrees(trans_b, bias_shape):
    g = GraphBuilder(x=[3, 5])
    weights = g.weights(*((7, 5) if trans_b else (5, 7)))
    inputs = ["x", weights] + ([] if bias_shape is None else [g.weights(*bias_shape)])
    data = assert_same_answers(
        g.model(g.node("Gemm", *inputs, alpha=0.5, beta=2.0, transB=trans_b))
    )
    assert ops(data) == ["fully_connected"]


@pytest.mark.parametrize("zeros", [0, 0.9, 1])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_fully_connected_layers_run_in_blocks(pattern, zeros):
    g = GraphBuilder(x=[3, 300])
    model = g.model(g.node("MatMul", "x", g.weights(300, 131, zeros=zeros), name="fc"))
    data = assert_same_answers(model, storage={"fc": pattern})
    (layer,) = gossamer.InferenceSession(data).layers()
    assert layer.kernel == f"fully_connected_f32_{pattern}"
    assert ("sparse" in layer.reason) == (zeros > 0)


def test_matmul_then_add_is_one_layer():
    g = GraphBuilder(x=[2, 5])
    y = g.node("Add", g.weights(7), g.node("MatMul", "x", g.weights(5, 7)))
    data = assert_same_answers(g.model(g.node("Relu", y)))
    assert ops(data) == ["fully_connected"]


def test_batch_norm_after_gemm_is_folded():
    g = GraphBuilder(x=[2, 5])
    y = g.batch_norm(g.node("Gemm", "x", g.weights(5, 7), g.weights(7)), 7, epsilon=0.1)
    assert ops(assert_same_answers(g.model(y))) == ["fully_connected"]


def test_batch_norm_that_no_layer_can_take_becomes_a_layer():
    g = GraphBuilder(x=[2, 5, 4, 4])
    y = g.relu6(g.batch_norm(g.node("Relu", g.batch_norm("x", 5)), 5))
    y = g.batch_norm(g.node("Flatten", g.node("GlobalAveragePool", y)), 5)
    data = assert_same_answers(g.model(y))
    assert ops(data) == ["conv", "conv", "global_average_pool", "binary", "binary"]


def test_two_batch_norms_in_a_row_are_folded_into_one_convolution():
    g = GraphBuilder(x=[1, 3, 6, 6])
    y = g.batch_norm(g.batch_norm(g.conv("x", 4, 3, 3), 4), 4)
    assert ops(assert_same_answers(g.model(y))) == ["conv"]


def test_arithmetic_with_one_constant_a_channel_agrees():
    g = GraphBuilder(x=[2, 3, 5, 5])
    y = g.node("Sub", "x", g.constant([[[1]], [[2]], [[3]]]))
    y = g.node("Div", y, g.constant([[[[2]], [[4]], [[5]]]]))
    y = g.node("Mul", g.constant(3), y)
    y = g.node("Sub", g.constant([1]), y)
    data = assert_same_answers(g.model(g.conv(y, 4, 3, 3)))
    assert ops(data) == ["conv", "conv"]  # zeros around the second are zeros behind the first


@pytest.mark.parametrize(("low", "high"), [(0.5, None), (None, 0.5), (-1, 1), (None, None)])
@pytest.mark.parametrize("opset", [10, 11, 17])
def test_clip_with_any_bounds_agrees(low, high, opset):
    g = GraphBuilder(opset, x=[2, 3, 5, 5])
    if opset < 11:
        bounds = {"min": low, "max": high}
        y = g.node("Clip", "x", **{k: float(v) for k, v in bounds.items() if v is not None})
    else:
        y = g.node("Clip", "x", *("" if v is None else g.constant(v) for v in (low, high)))
    assert ops(assert_same_answers(g.model(y))) == ["clamp"]


def test_flattening_after_a_later_axis_is_a_matrix_too():
    g = GraphBuilder(x=[1, 3, 4, 5])
    y = g.node("Flatten", "x", axis=0)
    assert ops(assert_same_answers(g.model(g.node("Gemm", y, g.weights(60, 4))))) == [
        "flatten",
        "fully_connected",
    ]


def test_clip_with_crossed_bounds_gives_the_upper_one():
    g = GraphBuilder(x=[2, 3, 5, 5])
    assert_same_answers(g.model(g.node("Clip", "x", g.constant(2), g.constant(-1))))


def test_clamps_in_a_row_become_one():
    g = GraphBuilder(x=[1, 3, 4, 4])
    y = g.node("Clip", g.conv("x", 4, 3), g.constant(-1), g.constant(1))
    y = g.node("Clip", g.node("Relu", y), g.constant(0.25), g.constant(9))
    assert ops(assert_same_answers(g.model(y))) == ["conv"]


@pytest.mark.parametrize("axis", [1, -1, None])
@pytest.mark.parametrize("opset", [11, 13])
def test_softmax_over_the_classes_agrees(axis, opset):
    g = GraphBuilder(opset, x=[3, 9])
    y = g.node("Softmax", "x", **({} if axis is None else {"axis": axis}))
    assert ops(assert_same_answers(g.model(y))) == ["softmax"]


@pytest.mark.parametrize("rows", [2, 3, 5])
@pytest.mark.parametrize("classes", range(1, 20))
def test_softmax_of_several_rows_leaves_its_neighbours_alone(rows, classes):
    g = GraphBuilder(x=[rows, classes])
    y = g.node("MatMul", "x", g.weights(classes, classes))
    assert_same_answers(g.model(y, g.node("Softmax", y, axis=1)))


@pytest.mark.parametrize("opset", [10, 11, 18])
def test_padding_moves_into_the_convolution(opset):
    g, pads = GraphBuilder(opset, x=[1, 3, 6, 6]), [0, 0, 0, 1, 0, 0, 2, 3]
    if opset < 11:
        y = g.node("Pad", "x", pads=pads)
    else:
        y = g.node("Pad", "x", g.integers(*pads), g.constant(0))
    assert ops(assert_same_answers(g.model(g.conv(y, 4, 3, 3)))) == ["conv"]


def test_squeeze_without_axes_drops_every_size_of_one():
    g = GraphBuilder(x=[2, 3, 6, 6])
    y = g.node("Squeeze", g.node("GlobalAveragePool", "x"))
    assert ops(assert_same_answers(g.model(y))) == ["global_average_pool"]


@pytest.mark.parametrize("opset", [11, 13])
def test_squeezing_a_pooled_image_leaves_no_node(opset):
    g = GraphBuilder(opset, x=[2, 3, 6, 6])
    pooled = g.node("GlobalAveragePool", "x")
    if opset < 13:
        y = g.node("Squeeze", pooled, axes=[2, -1])
    else:
        y = g.node("Squeeze", pooled, g.integers(2, -1))
    assert ops(assert_same_answers(g.model(y))) == ["global_average_pool"]


@pytest.mark.parametrize("opset", [11, 13])
def test_unsqueezing_a_mean_keeps_its_dimensions(opset):
    g = GraphBuilder(opset, x=[2, 3, 6, 6])
    mean = g.mean("x", 0)
    if opset < 13:
        y = g.node("Unsqueeze", mean, axes=[-1, 2])
    else:
        y = g.node("Unsqueeze", mean, g.integers(2, 3))
    data = assert_same_answers(g.model(g.conv(y, 4, 3)))
    assert ops(data) == ["global_average_pool", "conv"]


def test_flattening_an_image_keeps_the_order():
    g = GraphBuilder(x=[2, 3, 4, 5])
    data = assert_same_answers(g.model(g.node("Gemm", g.node("Flatten", "x"), g.weights(60, 4))))
    assert ops(data) == ["flatten", "fully_connected"]


def test_a_shape_computed_from_shapes_is_a_constant():
    g = GraphBuilder(x=["n", 3, 4, 4])
    pooled = g.node("GlobalAveragePool", "x")
    rows = g.node("Gather", g.node("Shape", pooled), g.constant(0, np.int64))
    rows = g.node("Unsqueeze", rows, g.integers(0))
    rest = helper.make_tensor("rest", TensorProto.INT64, [1], [-1])
    shape = g.node("Concat", rows, g.node("Constant", value=rest), axis=0)
    data = assert_same_answers(g.model(g.node("Reshape", pooled, shape)), batch=2)
    assert ops(data) == ["global_average_pool"]


def test_weights_computed_from_constants_are_constants():
    g = GraphBuilder(x=[1, 4])
    transposed = g.node("Transpose", g.weights(6, 4), perm=[1, 0])
    weights = g.node("Mul", g.node("Identity", transposed), g.constant(2))
    assert ops(assert_same_answers(g.model(g.node("MatMul", "x", weights)))) == ["fully_connected"]


def test_dropout_and_identity_leave_no_node():
    g = GraphBuilder(x=[1, 4])
    y = g.node("Dropout", g.node("Identity", "x"), g.constant(0.5))
    data = assert_same_answers(g.model(g.node("Cast", g.node("Relu", y), to=TensorProto.FLOAT)))
    assert ops(data) == ["clamp"]


def test_the_later_pointwise_summand_adds_the_earlier_one():
    g = GraphBuilder(x=[2, 4, 5, 5])
    late = g.conv(g.node("Relu", "x"), 4, 4, 1)
    early = g.conv("x", 4, 4, 1)
    total = g.node("Relu", g.node("Add", early, late))
    assert ops(assert_same_answers(g.model(total))) == ["clamp", "conv", "conv + residual"]


def test_a_summand_of_another_kind_of_convolution_is_added_apart():
    g = GraphBuilder(x=[1, 4, 5, 5])
    y = g.node("Add", g.conv("x", 4, 4, 3, pads=[1, 1, 1, 1]), "x")
    assert ops(assert_same_answers(g.model(y))) == ["conv", "add"]


def test_squeeze_and_excite_with_silu_agrees():
    g = GraphBuilder(x=[2, 6, 5, 7])
    y = g.conv("x", 6, 6, 3)
    y = g.node("Mul", y, g.node("Sigmoid", y))
    squeezed = g.conv(g.node("GlobalAveragePool", y), 3, 6, 1)
    squeezed = g.node("Mul", g.node("Sigmoid", squeezed), squeezed)
    gate = g.node("Sigmoid", g.conv(squeezed, 6, 3, 1))
    assert ops(assert_same_answers(g.model(g.node("Mul", gate, y)))) == [
        "conv + silu", "global_average_pool", "conv + silu", "conv + sigmoid", "multiply",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["Sigmoid", "SiLU"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "geometry",
    [
        (6, 5, 1, {}),
        (6, 5, 3, {"pads": [1, 1, 1, 1]}),
        (6, 5, 3, {"strides": [2, 2]}),
        (6, 6, 3, {"group": 6, "pads": [1, 1, 1, 1]}),
        (6, 6, 5, {"group": 6, "strides": [2, 2], "pads": [2, 2, 2, 2]}),
        (6, 12, 3, {"group": 6, "dilations": [2, 2]}),
    ],
)
def test_every_kind_of_convolution_does_the_activation_behind_it(geometry, batch, kind):
    *sizes, attributes = geometry
    g = GraphBuilder(x=[batch, sizes[0], 9, 11])
    inputs, outputs, kernel = sizes
    y = g.conv("x", outputs, inputs // attributes.get("group", 1), kernel, **attributes)
    sigmoid = g.node("Sigmoid", y)
    y = sigmoid if kind == "Sigmoid" else g.node("Mul", y, sigmoid)
    assert ops(assert_same_answers(g.model(y))) == [f"conv + {kind.lower()}"]


def test_an_activation_comes_behind_the_sum_and_the_clamp():
    g = GraphBuilder(x=[1, 8, 20, 20])
    y = g.node("Relu", g.node("Add", g.conv("x", 8, 8, 1), "x"))
    assert ops(assert_same_answers(g.model(g.node("Sigmoid", y)))) == ["conv + residual + sigmoid"]


def test_a_clamp_behind_an_activation_stays_apart():
    g = GraphBuilder(x=[1, 4, 5, 5])
    y = g.node("Relu", g.node("Sigmoid", g.conv("x", 4, 4, 1)))
    assert ops(assert_same_answers(g.model(y))) == ["conv + sigmoid", "clamp"]


def test_a_result_that_others_read_is_activated_apart():
    g = GraphBuilder(x=[1, 4, 5, 5])
    y = g.conv("x", 4, 4, 1)
    total = g.node("Mul", g.node("Sigmoid", y), g.node("Relu", y))
    assert ops(assert_same_answers(g.model(total))) == ["conv", "activation", "clamp", "multiply"]


def test_a_product_of_two_results_agrees():
    g = GraphBuilder(x=[1, 4, 3, 3], y=[1, 4, 3, 3])
    assert ops(assert_same_answers(g.model(g.node("Mul", "x", "y")))) == ["multiply"]


def test_a_product_over_other_axes_broadcasts():
    g = GraphBuilder(x=[1, 4, 3, 3], y=[1, 1, 3, 3])
    assert ops(assert_same_answers(g.model(g.node("Mul", "x", "y")))) == ["binary"]


WINDOWS = [
    {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    {"kernel_shape": [2, 2], "strides": [2, 2]},
    {"kernel_shape": [2, 3], "strides": [1, 3], "pads": [0, 1, 1, 2]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
    {"kernel_shape": [3, 2], "strides": [2, 3], "pads": [1, 0, 0, 1], "ceil_mode": 1},
    {"kernel_shape": [2, 2], "strides": [3, 3], "pads": [1, 1, 1, 1], "ceil_mode": 1},
    {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    {"kernel_shape": [2, 2], "strides": [1, 2], "auto_pad": "SAME_LOWER"},
    {"kernel_shape": [5, 4], "strides": [4, 5], "auto_pad": "VALID"},
]


@pytest.mark.parametrize("size", [(7, 7), (10, 11), (5, 40)])
@pytest.mark.parametrize("attributes", WINDOWS)
def test_pooling_of_every_geometry_agrees(attributes, size):
    g = GraphBuilder(18, x=[2, 3, *size])
    outputs = [
        g.node("MaxPool", "x", **attributes),
        g.node("AveragePool", "x", **attributes),
        g.node("AveragePool", "x", count_include_pad=1, **attributes),
    ]
    assert ops(assert_same_answers(g.model(*outputs))) == ["max_pool"] + ["average_pool"] * 2


@pytest.mark.parametrize("dilations", [[2, 1], [1, 2], [3, 2]])
def test_pooling_with_holes_agrees(dilations):
    g = GraphBuilder(19, x=[1, 4, 12, 13])
    window = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "dilations": dilations}
    outputs = [
        g.node("MaxPool", "x", **window, strides=[2, 1]),
        g.node("AveragePool", "x", **window, strides=[1, 2]),
    ]
    assert ops(assert_same_answers(g.model(*outputs))) == ["max_pool", "average_pool"]


def test_an_average_over_the_whole_image_is_a_global_one():
    g = GraphBuilder(x=[2, 3, 4, 5])
    model = g.model(g.node("AveragePool", "x", kernel_shape=[4, 5]))
    assert ops(assert_same_answers(model)) == ["global_average_pool"]


def test_zeros_around_an_average_count():
    g = GraphBuilder(x=[1, 3, 6, 6])
    y = g.node("Pad", "x", g.integers(0, 0, 1, 1, 0, 0, 2, 0))
    model = g.model(g.node("AveragePool", y, kernel_shape=[3, 3], strides=[2, 2]))
    assert ops(assert_same_answers(model)) == ["average_pool"]


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"kernel_shape": [2, 2], "pads": [2, 0, 0, 0]}, "pads [2, 0, 0, 0]"),
        ({"kernel_shape": [2, 2], "strides": [99999, 1]}, "strides"),
    ],
)
def test_pooling_that_the_engine_lacks_is_named(attributes, reason):
    g = GraphBuilder(x=[1, 3, 6, 6])
    model = g.model(g.node("MaxPool", "x", name="pool", **attributes))
    assert_refused(model, gossamer.UnsupportedError, "MaxPool ×1, first 'pool'", reason)


@pytest.mark.parametrize("parts", [1, 2, 4, 5, 11, 17])
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (3, 9), (2, 4, 6)])
def test_any_number_of_tensors_becomes_one(parts, shape):
    g = GraphBuilder(x=list(shape))
    clamped = [g.node("Clip", "x", g.constant(i / 9), g.constant(2)) for i in range(parts)]
    y = g.node("Concat", *clamped, axis=1)
    found = ops(assert_same_answers(g.model(y)))
    assert found.count("concat") == {1: 0, 2: 1, 4: 1, 5: 2, 11: 4, 17: 6}[parts]


def test_a_fire_module_agrees():
    g = GraphBuilder(x=[2, 4, 9, 9])
    squeezed = g.node("Relu", g.conv("x", 3, 4, 1))
    sides = [g.node("Relu", g.conv(squeezed, 5, 3, kernel)) for kernel in (1, 3)]
    y = g.node("Concat", *sides, squeezed, axis=-3)
    model = g.model(g.conv(y, 6, 13, 1))
    assert ops(assert_same_answers(model)) == ["conv"] * 3 + ["concat", "conv"]


@pytest.mark.parametrize(
    ("op", "attributes", "kind"),
    [
        ("HardSwish", {}, "activation"),
        ("Tanh", {}, "activation"),
        ("Elu", {}, "activation"),
        ("Softplus", {}, "activation"),
        ("Mish", {}, "activation"),
        ("Erf", {}, "activation"),
        ("Gelu", {}, "activation"),
        ("Gelu", {"approximate": "tanh"}, "activation"),
        ("LeakyRelu", {}, "leaky_relu"),
        ("LeakyRelu", {"alpha": 1.5}, "leaky_relu"),
        ("LeakyRelu", {"alpha": -0.25}, "leaky_relu"),
        ("HardSigmoid", {}, "conv"),
        ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}, "conv"),
    ],
)
def test_activations_agree(op, attributes, kind):
    g = GraphBuilder(20, x=[2, 3, 5, 7])
    assert ops(assert_same_answers(g.model(g.node(op, "x", **attributes)))) == [kind]


def test_a_convolution_takes_over_a_hard_sigmoid():
    g = GraphBuilder(x=[1, 3, 5, 7])
    y = g.node("HardSigmoid", g.batch_norm(g.conv("x", 4, 3), 4), alpha=1 / 6)
    assert ops(assert_same_answers(g.model(y))) == ["conv"]


def test_a_convolution_takes_over_a_scale_behind_its_clamp():
    g = GraphBuilder(x=[1, 3, 5, 7])
    y = g.node("Add", g.conv("x", 4, 3), g.constant(3))
    y = g.node("Div", g.node("Clip", y, g.constant(0), g.constant(6)), g.constant(6))
    assert ops(assert_same_answers(g.model(y))) == ["conv"]


def hard_swish_by_clip(g, x):
    gate = g.node("Clip", g.node("Add", x, g.constant(3)), g.constant(0), g.constant(6))
    return g.node("Div", g.node("Mul", x, gate), g.constant(6))


def hard_swish_by_divided_clip(g, x):
    gate = g.node("Clip", g.node("Add", x, g.constant(3)), g.constant(0), g.constant(6))
    return g.node("Mul", g.node("Div", gate, g.constant(6)), x)


def hard_swish_by_hard_sigmoid(g, x):
    return g.node("Mul", x, g.node("HardSigmoid", x, alpha=1 / 6, beta=0.5))


def mish_by_softplus(g, x):
    return g.node("Mul", x, g.node("Tanh", g.node("Softplus", x)))


def gelu_by_erf(g, x):
    grown = g.node("Erf", g.node("Div", x, g.constant(2**0.5)))
    return g.node("Mul", g.node("Mul", x, g.node("Add", grown, g.constant(1))), g.constant(0.5))


def gelu_by_erf_of_half(g, x):
    grown = g.node("Erf", g.node("Mul", x, g.constant(0.5**0.5)))
    half = g.node("Mul", g.constant(0.5), x)
    return g.node("Mul", half, g.node("Add", grown, g.constant(1)))


SPELLINGS = [
    hard_swish_by_clip, hard_swish_by_divided_clip, hard_swish_by_hard_sigmoid, mish_by_softplus,
    gelu_by_erf, gelu_by_erf_of_half,
]  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spelled_out_activations_are_one_node(spelling):
    g = GraphBuilder(x=[2, 3, 5, 7])
    y = spelling(g, g.batch_norm(g.conv("x", 4, 3), 4))
    kind = spelling.__name__.partition("_by_")[0]
    found = ops(assert_same_answers(g.model(g.conv(y, 3, 4))))
    assert found == [f"conv + {kind}", "conv"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spelled_out_activations_of_rows_are_one_node(spelling):
    g = GraphBuilder(x=[2, 9])
    assert ops(assert_same_answers(g.model(spelling(g, "x")))) == ["activation"]


def test_a_factor_behind_an_activation_moves_into_a_layer():
    g = GraphBuilder(x=[2, 4, 5, 7])
    gate = g.node("Clip", g.node("Add", "x", g.constant(3)), g.constant(0), g.constant(6))
    y = g.node("Mul", "x", gate)  # six times hard swish
    assert ops(assert_same_answers(g.model(y))) == ["activation", "binary"]


def test_gates_that_are_no_activation_stay_products():
    g = GraphBuilder(x=[2, 4, 5, 7])
    other = g.node("Clip", g.node("Add", "x", g.constant(2)), g.constant(0), g.constant(6))
    by_channel = g.node("Add", "x", g.weights(4, 1, 1))
    clipped = g.node("Clip", by_channel, g.constant(0), g.constant(6))
    used = g.node("Sigmoid", "x")
    outputs = [g.node("Mul", "x", gate) for gate in (other, clipped, used, "x")]
    found = ops(assert_same_answers(g.model(*outputs, used)))
    assert found.count("multiply") == 4


@pytest.mark.parametrize("opset", [11, 13, 18])
@pytest.mark.parametrize("shape", [(2, 6, 3, 5), (3, 6), (2, 6, 4)])
def test_splitting_takes_neighbouring_channels(opset, shape):
    g = GraphBuilder(opset, x=list(shape))
    sizes = {"split": [1, 3, 2]} if opset < 13 else {}
    inputs = ["x"] if opset < 13 else ["x", g.integers(1, 3, 2)]
    g.nodes.append(helper.make_node("Split", inputs, ["a", "b", "c"], name="s", axis=1, **sizes))
    outputs = [g.node("Relu", name) for name in "abc"]
    found = ops(assert_same_answers(g.model(*outputs)))
    assert sorted(found) == ["clamp"] * 3 + ["slice"] * 3


def test_an_even_split_needs_no_sizes_and_unread_parts_no_node():
    g = GraphBuilder(18, x=[2, 7, 3, 5])
    g.nodes.append(
        helper.make_node("Split", ["x"], ["a", "b", "c"], name="s", axis=1, num_outputs=3)
    )
    assert ops(assert_same_answers(g.model(g.node("Relu", "c")))) == ["slice", "clamp"]


@pytest.mark.parametrize("opset", [9, 13])
def test_slices_of_channels_agree(opset):
    g = GraphBuilder(opset, x=[2, 6, 3, 5])
    bounds = ((2, 1 << 40, 1), (0, 3, 1), (-4, -1, 1), (0, 3, 2))
    outputs = []
    for start, end, axis in bounds:
        if opset < 10:
            y = g.node("Slice", "x", starts=[start], ends=[end], axes=[axis])
        else:
            y = g.node("Slice", "x", *(g.integers(n) for n in (start, end, axis)))
        outputs.append(g.node("Relu", y))
    assert ops(assert_same_answers(g.model(*outputs))).count("slice") == 3


def shuffle(g, x, shape, groups):
    n, channels, *size = shape
    y = g.node("Reshape", x, g.integers(n, groups, channels // groups, *size))
    axes = [0, 2, 1, *range(3, 3 + len(size))]
    y = g.node("Transpose", y, perm=axes)
    return g.node("Reshape", y, g.integers(n, -1, *size))


@pytest.mark.parametrize("groups", [2, 3, 6])
@pytest.mark.parametrize("shape", [(2, 12, 3, 5), (3, 12), (2, 12, 5)])
def test_a_shuffle_of_channels_is_one_node(groups, shape):
    g = GraphBuilder(x=list(shape))
    assert ops(assert_same_answers(g.model(shuffle(g, "x", shape, groups)))) == ["shuffle"]


def test_a_shuffled_unit_with_groups_agrees():
    g = GraphBuilder(x=[2, 12, 7, 7])
    y = g.node("Conv", "x", g.weights(6, 4, 1, 1), group=3)
    y = shuffle(g, g.node("Relu", y), (2, 6, 7, 7), 3)
    y = g.node("Conv", y, g.weights(6, 1, 3, 3), group=6, pads=[1] * 4)
    y = g.node("Conv", y, g.weights(12, 2, 1, 1), group=3)
    found = ops(assert_same_answers(g.model(g.node("Relu", g.node("Add", y, "x")))))
    assert found == ["conv", "shuffle", "conv", "conv + residual"]


def test_transposing_sizes_of_one_leaves_no_node():
    g = GraphBuilder(x=[2, 3, 6, 6])
    y = g.node("Transpose", g.node("GlobalAveragePool", "x"), perm=[0, 2, 3, 1])
    assert ops(assert_same_answers(g.model(g.node("Flatten", y)))) == ["global_average_pool"]


@pytest.mark.parametrize("perm", [[0, 1, 3, 2], [0, 2, 3, 1]])
def test_other_transposes_are_one_node(perm):
    g = GraphBuilder(x=[2, 3, 6, 6])
    model = g.model(g.node("Relu", g.node("Transpose", "x", perm=perm)))
    assert ops(assert_same_answers(model)) == ["transpose", "clamp"]


def test_transposes_that_undo_each_other_leave_no_node():
    g = GraphBuilder(x=[2, 3, 6, 6])
    y = g.node("Transpose", g.node("Transpose", "x", perm=[0, 2, 3, 1]), perm=[0, 3, 1, 2])
    assert ops(assert_same_answers(g.model(g.node("Relu", y)))) == ["clamp"]


# ---- Graphs that must not be fused --------------------------------------------------------------


def test_a_result_that_two_nodes_read_is_kept():
    g = GraphBuilder(x=[1, 3, 5, 5])
    y = g.conv("x", 4, 3, 3)
    z = g.node("Add", g.batch_norm(y, 4), g.node("Relu", y))
    assert sorted(ops(assert_same_answers(g.model(z)))) == ["add", "clamp", "conv", "conv"]


def test_a_result_that_is_an_output_too_is_kept():
    g = GraphBuilder(x=[1, 3, 5, 5])
    y = g.conv("x", 4, 3, 3)
    data = assert_same_answers(g.model(g.node("Relu", y), y))
    assert ops(data) == ["conv", "clamp"]


def test_convolutions_that_share_weights_store_them_once():
    g = GraphBuilder(x=[1, 4, 5, 5])
    weights, bias = g.weights(4, 4, 1, 1), g.weights(4)
    y = g.node("Conv", g.node("Conv", "x", weights, bias), weights, bias)
    data = assert_same_answers(g.model(y))
    assert [t.role for t in reference.read(data).tensors].count("weights") == 2


def test_convolutions_that_share_weights_but_not_their_batch_norm_agree():
    g = GraphBuilder(x=[1, 4, 5, 5])
    weights = g.weights(4, 4, 1, 1)
    y = g.batch_norm(g.node("Conv", "x", weights), 4)
    y = g.batch_norm(g.node("Conv", y, weights), 4)
    assert ops(assert_same_answers(g.model(g.node("Conv", y, weights)))) == ["conv"] * 3


def test_a_tensor_can_be_added_to_itself():
    g = GraphBuilder(x=[1, 3, 5, 5])
    y = g.conv("x", 4, 3)
    assert ops(assert_same_answers(g.model(g.node("Relu", g.node("Add", y, y))))) == ["conv", "add"]


def test_padding_that_others_read_too_is_a_layer_for_them():
    g = GraphBuilder(x=[1, 3, 5, 5])
    padded = g.node("Pad", "x", g.integers(0, 0, 1, 1, 0, 0, 1, 1), name="pad")
    data = assert_same_answers(g.model(g.conv(padded, 4, 3, 3), padded))
    assert sorted(ops(data)) == ["conv", "conv"]


def test_outputs_that_are_inputs_or_have_two_names_are_copied():
    g = GraphBuilder(x=[1, 3])
    y = g.node("Relu", "x")
    first, second = g.node("Identity", y), g.node("Identity", y)
    data = assert_same_answers(g.model(first, second, g.node("Identity", "x")))
    assert ops(data) == ["clamp"] * 3


def test_nodes_that_no_output_needs_are_left_out():
    g = GraphBuilder(x=[1, 3])
    g.node("Asinh", "x")
    assert ops(assert_same_answers(g.model(g.node("Relu", "x")))) == ["clamp"]


def test_initializers_may_be_listed_as_inputs():
    model = mobilenet(17)
    model.graph.input.extend(
        helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in model.graph.initializer
    )
    session = gossamer.InferenceSession(gossamer.convert(model, None))
    assert [value.name for value in session.get_inputs()] == ["image"]


def test_nodes_without_names_are_called_by_their_output():
    g = GraphBuilder(x=[1, 3])
    g.node("Relu", "x", name="", output="y")
    assert [node.name for node in reference.read(gossamer.convert(g.model("y"), None)).nodes] == [
        "y"
    ]


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs_agree(seed):
    for graph in range(10):
        assert_same_answers(RandomGraph(10 * seed + graph).model(), tolerance=1e-4)


# ---- Files --------------------------------------------------------------------------------------


def test_the_file_is_the_bytes_and_holds_the_metadata(tmp_path):
    path = onnx_graphs.save(mobilenet(17), tmp_path / "model.onnx")
    metadata = {"labels": "cat\ndög", "title": "Test"}
    data = gossamer.convert(path, tmp_path / "model.goss", metadata=metadata)
    assert (tmp_path / "model.goss").read_bytes() == data
    assert reference.read(data).metadata == metadata
    assert sorted(os.listdir(tmp_path)) == ["model.goss", "model.onnx"]


def test_the_same_model_gives_the_same_bytes():
    assert gossamer.convert(mobilenet(17), None) == gossamer.convert(mobilenet(17), None)


def test_a_loaded_model_is_not_changed():
    model = mobilenet(11)
    before = model.SerializeToString(deterministic=True)
    gossamer.convert(model, None, batch=4)
    assert model.SerializeToString(deterministic=True) == before


def test_external_data_is_found_beside_the_file(tmp_path):
    path = onnx_graphs.save(mobilenet(17), tmp_path / "model.onnx", external=True)
    assert gossamer.convert(path, None) == gossamer.convert(mobilenet(17), None)


def test_a_failed_conversion_leaves_the_old_file(tmp_path):
    target = tmp_path / "model.goss"
    target.write_bytes(b"old")
    g = GraphBuilder(x=[1, 3])
    with pytest.raises(gossamer.UnsupportedError):
        gossamer.convert(g.model(g.node("Asinh", "x")), target)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model.goss"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    def full_disk(*arguments):
        raise OSError(28, "No space left on device")

    target = tmp_path / "model.goss"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(gossamer.InputError, match=r"model\.goss: cannot be written: No space left"):
        gossamer.convert(mobilenet(17), target)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model.goss"]


def test_importing_the_package_leaves_onnx_alone():
    code = "import sys, gossamer; sys.exit('onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_why_each_layer_is_stored_as_it_is_can_be_logged(caplog):
    with caplog.at_level(logging.INFO, "gossamer.convert"):
        gossamer.convert(mobilenet(17), None)
    assert "Conv_0: dense: no zeros" in caplog.text


# ---- Refusals -----------------------------------------------------------------------------------


def assert_refused(src, error, *texts, **options):
    """The error is ours, and one message with all of the texts."""
    with pytest.raises(error) as caught:
        gossamer.convert(src, None, **options)
    assert type(caught.value) is error
    for text in texts:
        assert text in str(caught.value)


def test_all_that_is_unsupported_is_in_one_message():
    g = GraphBuilder(x=["n", 4, 8, 8])
    y = g.node("Asinh", g.conv("x", 4, 4), name="first curve")
    y = g.node("Asinh", g.conv(y, 6, 2, group=2), name="second curve")
    y = g.node("LpPool", y, kernel_shape=[2, 2], strides=[2, 2], name="pool")
    y = g.node("FusedConv", y, domain="other", name="alien")
    y = g.node("Atan", y, name="third curve")
    y = g.node("Conv", y, g.weights(4, 4, 1, 1), dilations=[1, 1], name="behind")
    assert_refused(
        g.model(y),
        gossamer.UnsupportedError,
        "Asinh ×2, first 'first curve': no such operator",
        "LpPool ×1, first 'pool'",
        "other::FusedConv ×1, first 'alien'",
        "Atan ×1, first 'third curve'",
        "export it again",
    )


def chain(*steps, **inputs):
    """A model that puts each step on top of the former: (operator, constants, attributes)."""
    g = GraphBuilder(**inputs)
    y = next(iter(inputs))
    for op, constants, attributes in steps:
        y = g.node(op, y, *(g.constant(c) for c in constants), **attributes)
    return g.model(y)


IMAGE, ROW = {"x": [1, 4, 6, 6]}, {"x": [2, 4]}


@pytest.mark.parametrize(
    ("inputs", "op", "constants", "attributes", "reason"),
    [
        (ROW, "Add", [np.full(4, np.nan)], {}, "numbers that are not finite"),
        (ROW, "Mul", [np.full(4, -np.inf)], {}, "numbers that are not finite"),
        (IMAGE, "ConvTranspose", [np.ones((4, 4))], {}, "rank 2; rank 4 expected"),
        (ROW, "Einsum", [], {"equation": "ii->i"}, "each letter once in each"),
        ({"x": [1, 4, 6, 6, 6]}, "Conv", [np.ones((4, 4, 3, 3, 3))], {}, "rank 5; rank 3 or 4"),
        (IMAGE, "Cast", [], {"to": TensorProto.FLOAT16}, "to FLOAT16"),
        (IMAGE, "Conv", [np.ones((4, 4, 1, 1))], {"strides": [99999, 1]}, "strides"),
        (IMAGE, "Conv", [np.ones(4)], {}, "input 1 of rank 1; rank 4 expected"),
        (IMAGE, "BatchNormalization", [np.ones(4)] * 4, {"spatial": 0}, "spatial 0"),
    ],
)
def test_variants_that_the_engine_lacks_are_named(inputs, op, constants, attributes, reason):
    model = chain((op, constants, attributes), **inputs)
    assert_refused(model, gossamer.UnsupportedError, f"{op} ×1, first '{op}_0'", reason)


@pytest.mark.parametrize(
    ("inputs", "op", "constants", "attributes"),
    [
        (ROW, "Softmax", [], {"axis": 0}),
        (IMAGE, "Softmax", [], {"axis": 1}),
        (ROW, "Add", [np.ones((3, 1, 4))], {}),
        (ROW, "Gemm", [np.ones((2, 3))], {"transA": 1}),
        (IMAGE, "MatMul", [np.arange(144).reshape(4, 6, 6) / 99], {}),
        (IMAGE, "ReduceMean", [], {"axes": [1, 3]}),
        (IMAGE, "Elu", [], {"alpha": 2.0}),
        (IMAGE, "Selu", [], {}),
        (IMAGE, "Celu", [], {"alpha": 0.5}),
        (IMAGE, "ThresholdedRelu", [], {"alpha": 0.5}),
        (IMAGE, "Softsign", [], {}),
        (IMAGE, "PRelu", [np.arange(4).reshape(4, 1, 1) / 9], {}),
        (IMAGE, "PRelu", [0.25], {}),
        (ROW, "Pow", [[0.5, 2, 3, -1]], {}),
        (IMAGE, "Concat", [], {"axis": 2}),
        (IMAGE, "LRN", [], {"size": 3, "alpha": 0.5, "bias": 2.0}),
        (IMAGE, "InstanceNormalization", [np.arange(4), np.ones(4)], {}),
        (IMAGE, "GlobalMaxPool", [], {}),
        (IMAGE, "LogSoftmax", [], {"axis": 2}),
        (ROW, "Einsum", [], {"equation": "ij->ji"}),
        (IMAGE, "DepthToSpace", [], {"blocksize": 2, "mode": "CRD"}),
        (IMAGE, "SpaceToDepth", [], {"blocksize": 3}),
    ],
)
def test_general_operators_agree(inputs, op, constants, attributes):
    model = chain(("Sigmoid", [], {}), (op, constants, attributes), **inputs)
    assert_same_answers(model)


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Max", "Min"])
def test_computed_tensors_of_different_shapes_broadcast(op):
    g = GraphBuilder(x=[1, 4, 6, 6])
    pooled = g.node("GlobalAveragePool", g.node("Exp", "x"))
    assert_same_answers(g.model(g.node(op, "x", pooled)))


def test_two_computed_matrices_are_multiplied():
    g = GraphBuilder(x=[1, 4], w=[4, 4])
    assert "matmul" in ops(assert_same_answers(g.model(g.node("MatMul", "x", "w"))))


@pytest.mark.parametrize(
    ("pads", "fill", "mode"),
    [
        ([0, 0, 1, 1, 0, 0, 1, 1], 7, "constant"),
        ([0, 0, 1, 1, 0, 2, 3, 1], 0, "reflect"),
        ([0, 1, 1, 1, 0, 0, 2, 1], 0, "edge"),
        ([0, 0, -1, 0, 0, 0, 0, -2], 0, "constant"),
        ([0, 0, 0, 0, 0, 40000, 0, 0], 0, "constant"),
    ],
)
def test_padding_of_every_kind_agrees(pads, fill, mode):
    g = GraphBuilder(x=[1, 3, 6, 6])
    padded = g.node("Pad", "x", g.integers(*pads), g.constant(fill), mode=mode)
    assert_same_answers(g.model(g.node("Relu", padded)))


@pytest.mark.parametrize(
    ("pads", "mode", "reason"),
    [
        ([0, 0, 6, 0, 0, 0, 0, 0], "reflect", "reflect by 6 and 0 of 6 elements"),
        ([0, 0, -4, 0, 0, 0, -2, 0], "constant", "nothing is left of axis 2"),
    ],
)
def test_padding_that_leaves_nothing_or_needs_more_is_named(pads, mode, reason):
    g = GraphBuilder(x=[1, 3, 6, 6])
    padded = g.node("Pad", "x", g.integers(*pads), g.constant(0), mode=mode)
    assert_refused(g.model(padded), gossamer.UnsupportedError, "Pad ×1", reason)


def test_padding_by_chosen_axes_is_done_by_the_convolution_behind_it():
    g = GraphBuilder(18, x=[1, 3, 6, 6])
    padded = g.node("Pad", "x", g.integers(1, 1), g.constant(0), g.integers(2))
    assert ops(assert_same_answers(g.model(g.conv(padded, 4, 3, 3)))) == ["conv"]


def test_padding_by_nothing_leaves_no_node():
    g = GraphBuilder(x=[1, 3, 6, 6])
    y = g.node("Relu", g.node("Pad", "x", g.integers(*[0] * 8)))
    assert ops(assert_same_answers(g.model(y))) == ["clamp"]


def test_dropout_in_training_mode_is_refused():
    g = GraphBuilder(x=[1, 4])
    model = g.model(g.node("Dropout", "x", g.constant(0.5), g.constant(True, bool)))
    assert_refused(model, gossamer.UnsupportedError, "Dropout ×1", "model.eval()")


def test_activations_of_constants_are_constants():
    g = GraphBuilder(x=[1, 4])
    y = g.node("Add", "x", g.node("Relu", g.constant([-1, 2, -3, 4])))
    assert ops(assert_same_answers(g.model(y))) == ["binary"]


def test_what_is_random_is_not_taken_for_constant():
    g = GraphBuilder(x=[1, 4])
    model = g.model(g.node("Add", "x", g.node("RandomNormal", shape=[4])))
    assert_refused(model, gossamer.UnsupportedError, "RandomNormal ×1", "no such operator")


def test_attributes_that_nobody_knows_are_refused():
    model = chain(("Relu", [], {"slope": 0.5}), x=[1, 4])
    assert_refused(model, gossamer.UnsupportedError, "attribute 'slope'")


def test_batch_norm_in_training_mode_is_refused():
    g = GraphBuilder(x=[2, 4, 5, 5])
    model = g.model(g.batch_norm("x", 4, training_mode=1))
    assert_refused(model, gossamer.UnsupportedError, "model.eval()")


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_weights_of_another_type_are_refused(dtype):
    g = GraphBuilder(x=[1, 4])
    model = g.model(g.node("MatMul", "x", g.constant(np.ones((4, 4)), dtype)))
    assert_refused(model, gossamer.UnsupportedError, np.dtype(dtype).name, "float32 expected")


def test_inputs_of_another_type_are_refused_with_everything_behind_them():
    g = GraphBuilder(dtype=TensorProto.FLOAT16, x=[1, 4])
    model = g.model(g.node("Asinh", g.node("Relu", "x")))
    texts = ("input ×1, first 'x': FLOAT16; tensors of FLOAT, BOOL, INT32", "Asinh ×1")
    assert_refused(model, gossamer.UnsupportedError, *texts)


@pytest.mark.parametrize("shape", [["n", 3, "height", 8], ["n", None], None, [1] * 7])
def test_inputs_of_open_or_impossible_shapes_are_refused(shape):
    model = chain(("Relu", [], {}), x=shape)
    assert_refused(model, gossamer.UnsupportedError, "input ×1, first 'x'", "shape", "expected")


def test_inputs_without_elements_are_refused():
    model = chain(("Relu", [], {}), x=[1, 0])
    texts = ("input ×1, first 'x': shape [1, 0]", "sizes of at least 1 expected")
    assert_refused(model, gossamer.UnsupportedError, *texts)


def test_tensors_beyond_two_to_the_31_elements_are_refused():
    model = chain(("Relu", [], {}), x=[1, 2**16, 2**16])
    assert_refused(model, gossamer.UnsupportedError, "fewer than 2^31 elements")
    g = GraphBuilder(x=[1, 1, 2**15, 2**15])
    model = g.model(g.conv("x", 8, 1))
    assert_refused(model, gossamer.UnsupportedError, "Conv ×1", "less than 2^31 elements")


def test_huge_constants_are_not_computed():
    g = GraphBuilder(x=[1, 1])
    huge = g.node("ConstantOfShape", g.integers(2**40), name="huge")
    model = g.model(g.node("Add", "x", huge))
    texts = ("ConstantOfShape ×1, first 'huge'", "at most 2^24 elements")
    assert_refused(model, gossamer.UnsupportedError, *texts)


def test_operators_of_a_later_opset_are_refused():
    g = GraphBuilder(11, x=[1, 4])
    model = g.model(g.node("Add", "x", g.node("CastLike", g.constant(1), "x")))
    assert_refused(model, gossamer.UnsupportedError, "CastLike ×1")


def test_a_constant_output_of_a_model_without_inputs_is_refused():
    g = GraphBuilder()
    model = g.model(g.node("Identity", g.constant(1), output="c"))
    assert_refused(model, gossamer.UnsupportedError, "output ×1, first 'c': constant", "no inputs")


@pytest.mark.parametrize("batch", [0, -1, True, 1.5, "1"])
def test_an_impossible_batch_is_refused(batch):
    assert_refused(mobilenet(17), gossamer.InputError, f"found {batch!r}", batch=batch)


def test_another_batch_than_the_models_own_is_refused():
    model = chain(("Relu", [], {}), x=[1, 4])
    assert_refused(model, gossamer.UnsupportedError, "batch 2 was asked for", batch=2)


def test_a_reshape_for_another_batch_is_explained():
    g = GraphBuilder(x=["n", 4, 1, 1])
    model = g.model(g.node("Reshape", "x", g.integers(1, 4), name="view"))
    assert_refused(model, gossamer.ModelError, "'view' (Reshape)", "another batch", batch=2)


@pytest.mark.parametrize("metadata", [{"title": 1}, {1: "x"}, {"a": "b\0"}, {"a": "\ud800"}])
def test_metadata_that_is_no_text_is_refused(metadata):
    assert_refused(mobilenet(17), gossamer.InputError, "metadata", metadata=metadata)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(value):
    g = GraphBuilder(x=[1, 2, 4, 4])
    weights = g.constant([[[[1]], [[2]]], [[[3]], [[value]]]], name="stem.weight")
    model = g.model(g.node("Conv", "x", weights, name="stem"))
    texts = ("'stem' (Conv)", "'stem.weight'", "found 1 NaN or infinite", "[1, 1, 0, 0]")
    assert_refused(model, gossamer.ModelError, *texts)


def test_a_batch_norm_without_variance_is_refused():
    g = GraphBuilder(x=[1, 2, 4, 4])
    two = g.constant([1, 1])
    y = g.node("Conv", "x", g.weights(2, 2, 1, 1), name="stem")
    model = g.model(g.node("BatchNormalization", y, two, two, two, g.constant([0, 1]), epsilon=0.0))
    assert_refused(model, gossamer.ModelError, "'stem' (Conv)", "NaN or infinite")


def test_clamps_by_nan_are_refused():
    model = chain(("Clip", [np.nan], {}), x=[1, 4])
    assert_refused(model, gossamer.ModelError, "'Clip_0' (Clip)", "found nan")


# ---- Broken files and graphs --------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path):
    assert_refused(
        tmp_path / "none.onnx", gossamer.ModelError, "none.onnx: cannot be read: No such"
    )


def test_a_folder_is_no_model(tmp_path):
    assert_refused(tmp_path, gossamer.ModelError, "cannot be read")


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 100, b"not protobuf", b"\x89PNG\r\n\x1a\n", bytes(range(256))]
)
def test_files_that_are_no_onnx_models_are_refused(tmp_path, data):
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    assert_refused(path, gossamer.ModelError, "model.onnx", "expected", "found")


def test_a_goss_file_needs_no_conversion(tmp_path):
    path = tmp_path / "model.goss"
    gossamer.convert(mobilenet(17), path)
    assert_refused(path, gossamer.ModelError, "found a .goss file")


def test_a_truncated_model_is_refused_at_every_length(tmp_path):
    data = chain(("Relu", [], {}), ("MatMul", [np.eye(4)], {}), x=[1, 4]).SerializeToString()
    path = tmp_path / "model.onnx"
    refused = 0
    for length in range(len(data)):
        path.write_bytes(data[:length])
        try:
            gossamer.convert(path, None)
        except (gossamer.ModelError, gossamer.UnsupportedError):
            refused += 1
    assert refused > 0.9 * len(data)  # a cut at the end of a field can leave a model


def test_a_model_with_flipped_bytes_never_ends_in_a_foreign_error(tmp_path):
    data = mobilenet(11).SerializeToString()
    random = np.random.default_rng(3)
    path = tmp_path / "model.onnx"
    refused = 0
    for _ in range(300):
        altered = bytearray(data)
        for position in random.integers(0, len(data), 3):
            altered[position] ^= 1 << random.integers(8)
        path.write_bytes(altered)
        try:
            gossamer.convert(path, None)
        except (gossamer.ModelError, gossamer.UnsupportedError):
            refused += 1
    assert refused > 0


@pytest.mark.parametrize("name", [b"stem", b"Relu", b"middle", b"image", b"weights"])
def test_names_that_are_not_utf_8_are_refused(tmp_path, name):
    g = GraphBuilder(image=[1, 4])
    y = g.node("Relu", "image", name="stem", output="middle")
    model = g.model(g.node("MatMul", y, g.constant(np.eye(4), name="weights")))
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString().replace(name, b"\xff" + name[1:]))
    assert_refused(path, gossamer.ModelError, "model.onnx")


def test_names_with_nul_characters_are_refused():
    g = GraphBuilder(x=[1, 4])
    model = g.model(g.node("Relu", "x", name="a\0b"))
    assert_refused(model, gossamer.ModelError, "NUL")


def test_src_must_be_a_path_or_a_model():
    assert_refused(b"bytes", gossamer.InputError, "found bytes")


def test_an_unwritable_place_is_named(tmp_path):
    with pytest.raises(gossamer.InputError, match="none/model.goss: cannot be written: No such"):
        gossamer.convert(mobilenet(17), tmp_path / "none" / "model.goss")


def test_a_graph_without_nodes_is_refused():
    assert_refused(GraphBuilder(x=[1]).model("x"), gossamer.ModelError, "found 0 nodes")


def test_a_graph_without_outputs_is_refused():
    g = GraphBuilder(x=[1])
    g.node("Relu", "x")
    assert_refused(g.model(), gossamer.ModelError, "0 outputs")


def test_a_graph_without_inputs_is_refused():
    g = GraphBuilder()
    model = g.model(g.node("Relu", g.constant(1)))
    assert_refused(model, gossamer.UnsupportedError, "output ×1", "a computed tensor expected")


def test_a_cycle_is_refused():
    g = GraphBuilder(x=[1, 4])
    g.node("Add", "x", "b", output="a", name="add")
    g.node("Relu", "a", output="b")
    assert_refused(g.model("b"), gossamer.ModelError, "'add' (Add)", "'b'", "a cycle")


def test_a_tensor_that_nothing_computes_is_named():
    g = GraphBuilder(x=[1, 4])
    model = g.model(g.node("Add", "x", "ghost", name="add"))
    assert_refused(model, gossamer.ModelError, "'add' (Add)", "'ghost'", "a part is missing")
    g = GraphBuilder(x=[1, 4])
    g.node("Relu", "x")
    assert_refused(g.model("ghost"), gossamer.ModelError, "output 'ghost'")


def test_a_tensor_that_is_written_twice_is_named():
    g = GraphBuilder(x=[1, 4])
    g.node("Relu", "x", output="y")
    g.node("Relu", "x", output="y", name="again")
    assert_refused(g.model("y"), gossamer.ModelError, "'again' (Relu)", "'y', which exists already")


def test_a_name_that_stands_twice_is_refused():
    g = GraphBuilder(x=[1, 4])
    y = g.node("Add", "x", g.constant([1], name="c"))
    g.constant([2], name="c")
    assert_refused(g.model(y), gossamer.ModelError, "'c': one initializer expected, found two")
    model = GraphBuilder(x=[1, 4])
    model = chain(("Relu", [], {}), x=[1, 4])
    model.graph.input.append(model.graph.input[0])
    assert_refused(model, gossamer.ModelError, "input 'x'", "found two")
    model = chain(("Relu", [], {}), x=[1, 4])
    model.graph.output.append(model.graph.output[0])
    assert_refused(model, gossamer.ModelError, "output 'value_0'", "found two")


@pytest.mark.parametrize(
    ("inputs", "op", "constants", "attributes", "reason"),
    [
        (IMAGE, "Conv", [], {}, "2 to 3 inputs expected, found 1"),
        (ROW, "Relu", [1], {}, "1 to 1 inputs expected, found 2"),
        (IMAGE, "Conv", [np.ones((4, 3, 1, 1))], {}, "does not fit the 4 channels"),
        (IMAGE, "Conv", [np.ones((4, 4, 9, 9))], {}, "does not fit into [6, 6]"),
        (IMAGE, "Conv", [np.ones((4, 4, 3, 3))], {"kernel_shape": [5, 5]}, "'kernel_shape'"),
        (IMAGE, "Conv", [np.ones((4, 4, 3, 3))], {"pads": [1, 1]}, "4 numbers expected"),
        (IMAGE, "Conv", [np.ones((4, 4, 3, 3))], {"strides": 2}, "of type INTS expected"),
        (IMAGE, "Conv", [np.ones((4, 4, 3, 3)), np.ones(3)], {}, "shape [4] expected, found [3]"),
        (IMAGE, "Conv", [np.ones((0, 4, 3, 3))], {}, "found none"),
        (IMAGE, "Conv", [np.ones((4, 4, 3, 3))], {"auto_pad": "SOME"}, "found 'SOME'"),
        (ROW, "Gemm", [np.ones((5, 3))], {}, "found [2, 4] and [5, 3]"),
        (ROW, "Softmax", [], {"axis": 2}, "an axis from -2 to 1 expected, found 2"),
        (ROW, "BatchNormalization", [[1], [1], [1], [1]], {}, "shape [4] expected, found [1]"),
        (ROW, "Clip", [[1, 2]], {}, "one number expected, found shape [2]"),
        (IMAGE, "ReduceMean", [], {"axes": [2, 4]}, "an axis from -4 to 3 expected, found 4"),
        (IMAGE, "AveragePool", [], {}, "attribute 'kernel_shape' expected, found none"),
    ],
)
def test_nodes_that_contradict_themselves_are_named(inputs, op, constants, attributes, reason):
    model = chain((op, constants, attributes), **inputs)
    assert_refused(
        model, gossamer.ModelError, f"node '{op}_0' ({op}): ", reason, "export the model"
    )


@pytest.mark.parametrize("shape", [(3, 5), (-2, 4), (-1, -1), (0, 0, 0), (5, -1)])
def test_impossible_shapes_are_named(shape):
    g = GraphBuilder(x=[2, 4])
    model = g.model(g.node("Reshape", "x", g.integers(*shape), name="view"))
    assert_refused(model, gossamer.ModelError, "'view' (Reshape)")


def test_an_input_that_is_left_out_is_named():
    g = GraphBuilder(x=[1, 4])
    model = g.model(g.node("Add", "x", "", name="add"))
    assert_refused(model, gossamer.ModelError, "'add' (Add): input 1 expected, found none")


def test_shapes_of_fractions_are_refused():
    g = GraphBuilder(x=[1, 4])
    model = g.model(g.node("Reshape", "x", g.constant([2, 2]), name="view"))
    assert_refused(model, gossamer.ModelError, "'view' (Reshape)", "whole numbers expected")


def test_a_constant_that_cannot_be_computed_is_named():
    g = GraphBuilder(x=[1, 4])
    bad = g.node("Reshape", g.weights(3), g.integers(2, 2), name="bad")
    model = g.model(g.node("Add", "x", bad))
    assert_refused(model, gossamer.ModelError, "'bad' (Reshape)", "cannot be computed")


def test_an_initializer_with_too_little_data_is_named():
    model = chain(("MatMul", [np.ones((4, 4))], {}), x=[1, 4])
    model.graph.initializer[0].raw_data = b"\0" * 60
    texts = ("tensor 'constant_0' of shape [4, 4]", "its data does not fit")
    assert_refused(model, gossamer.ModelError, *texts)


def test_missing_external_data_is_named(tmp_path):
    path = onnx_graphs.save(mobilenet(17), tmp_path / "model.onnx", external=True)
    (tmp_path / "weights.bin").unlink()
    assert_refused(path, gossamer.ModelError, "model.onnx", "constant_0", "'weights.bin'", "beside")


def test_truncated_external_data_is_named(tmp_path):
    path = onnx_graphs.save(mobilenet(17), tmp_path / "model.onnx", external=True)
    (tmp_path / "weights.bin").write_bytes(b"\0" * 100)
    assert_refused(path, gossamer.ModelError, "model.onnx", "constant_0")


def test_external_data_outside_the_folder_is_not_read(tmp_path):
    folder = tmp_path / "inner"
    folder.mkdir()
    path = onnx_graphs.save(mobilenet(17), folder / "model.onnx", external=True)
    (folder / "weights.bin").rename(tmp_path / "weights.bin")
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        next(e for e in tensor.external_data if e.key == "location").value = "../weights.bin"
    onnx.save(model, path)
    assert_refused(path, gossamer.ModelError, "'../weights.bin'")


def test_a_loaded_model_without_its_external_data_is_refused(tmp_path):
    path = onnx_graphs.save(mobilenet(17), tmp_path / "model.onnx", external=True)
    model = onnx.load(path, load_external_data=False)
    assert_refused(model, gossamer.ModelError, "lies in another file", "onnx.load")


@pytest.mark.parametrize("opset", [6, 1000])
def test_operator_sets_out_of_range_are_refused(opset):
    model = chain(("Relu", [], {}), x=[1, 4])
    model.opset_import[0].version = opset
    assert_refused(model, gossamer.UnsupportedError, f"operator set {opset}")


def test_a_model_without_an_operator_set_is_refused():
    model = chain(("Relu", [], {}), x=[1, 4])
    del model.opset_import[0]
    assert_refused(model, gossamer.ModelError, "operator set expected, found none")


def test_sparse_initializers_are_refused():
    model = chain(("MatMul", [np.ones((4, 4))], {}), x=[1, 4])
    values = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    indices = helper.make_tensor("i", TensorProto.INT64, [1], [0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4, 4]))
    model.graph.node[0].input[1] = "w"
    assert_refused(model, gossamer.UnsupportedError, "sparse initializer ×1, first 'w'")


def test_without_onnx_the_extra_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("gossamer.convert.onnx")]:
        monkeypatch.delitem(sys.modules, name)
    module = sys.modules["gossamer.convert"]
    if hasattr(module, "onnx"):
        monkeypatch.delattr(module, "onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(gossamer.MissingDependencyError, match=r"'gossamer-nn\[convert\]'"):
        gossamer.convert("model.onnx", None)
