"""Operators of ONNX in all the forms that the importer brings to the engine's few."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from models.onnx_graphs import GraphBuilder

import gossamer


def assert_agrees(model: onnx.ModelProto, **dims: int) -> list[str]:
    """Compare with onnxruntime; the layers that run."""
    session = gossamer.InferenceSession(gossamer.convert(model, None, dims=dims))
    random = np.random.default_rng(5)
    feeds = {
        value.name: random.normal(size=value.shape).astype(np.float32)
        for value in session.get_inputs()
    }
    peer = onnxruntime.InferenceSession(model.SerializeToString())
    for expected, actual in zip(peer.run(None, feeds), session.run(None, feeds), strict=True):
        assert actual.shape == (expected.shape or (1,))
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
    return [layer.op for layer in session.layers()]


@pytest.mark.parametrize("auto_pad", ["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("group", [1, 2, 4])
def test_convolutions_of_rows_agree(auto_pad: str, stride: int, group: int) -> None:
    g = GraphBuilder(x=[2, 4, 11])
    weights, bias = g.weights(8, 4 // group, 3), g.weights(8)
    pads = {"pads": [2, 1]} if auto_pad == "NOTSET" else {}
    attributes = {"strides": [stride], "group": group, "auto_pad": auto_pad, **pads}
    assert_agrees(g.model(g.node("Conv", "x", weights, bias, **attributes)))


def test_between_layers_on_rows_nothing_is_reshaped() -> None:
    g = GraphBuilder(x=[1, 4, 16])
    y = g.node("Relu", g.batch_norm(g.node("Conv", "x", g.weights(6, 4, 3)), 6))
    y = g.node("Conv", y, g.weights(5, 6, 3), dilations=[2])
    assert assert_agrees(g.model(y)) == ["reshape", "conv", "conv", "reshape"]


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("group", [1, 2, 3, 6])
def test_groups_of_channels_agree(auto_pad: str, group: int) -> None:
    g = GraphBuilder(x=[1, 6, 9, 8])
    weights = g.weights(12, 6 // group, 3, 2)
    y = g.node("Conv", "x", weights, group=group, auto_pad=auto_pad, strides=[2, 1])
    assert assert_agrees(g.model(y)) == ["conv"]


SHAPES = [
    ([3, 4, 5], [5]),
    ([3, 4, 5], [4, 1]),
    ([3, 4, 5], [3, 1, 1]),
    ([3, 4, 5], [3, 4, 5]),
    ([2, 4], [1, 1, 4]),
    ([7], [7]),
    ([7], [1]),
    ([1, 3, 4, 5], [4, 5]),
    ([2, 3, 4, 2, 3], [4, 1, 1]),
    ([1, 3000], [1, 3000]),
]


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize(("shape", "constant"), SHAPES)
def test_constants_along_any_axes_agree(op: str, shape: list[int], constant: list[int]) -> None:
    g = GraphBuilder(x=shape)
    c = g.constant(np.random.default_rng(1).uniform(0.5, 2, constant))
    assert_agrees(g.model(g.node(op, "x", c)))
    if op != "Div":
        assert_agrees(g.model(g.node(op, c, "x")))


@pytest.mark.parametrize(("a", "b"), [([2, 3, 4], [1, 2, 3, 4]), ([4], [1, 1, 4]), ([5], [5])])
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
def test_computed_tensors_that_differ_by_axes_of_size_1_agree(op: str, a, b) -> None:
    g = GraphBuilder(a=a, b=b)
    assert_agrees(g.model(g.node(op, "a", "b")))


@pytest.mark.parametrize("b", [[2, 3, 1, 1], [2, 1, 1, 1], [1, 1, 1, 1], [1]])
def test_one_factor_for_each_plane_agrees(b: list[int]) -> None:
    g = GraphBuilder(a=[2, 3, 4, 5], b=b)
    assert_agrees(g.model(g.node("Mul", "a", "b"), g.node("Mul", "b", "a")))


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[0], [1], [2], [3], [0, 1], [1, 2], [-1, -2], [0, 1, 2, 3], None])
def test_means_over_neighbouring_axes_agree(axes: list[int] | None, keepdims: int) -> None:
    g = GraphBuilder(13, x=[2, 3, 4, 5])
    attributes = {} if axes is None else {"axes": axes}
    assert_agrees(g.model(g.node("ReduceMean", "x", keepdims=keepdims, **attributes)))


@pytest.mark.parametrize("opset", [11, 13])
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_softmax_over_any_axis_agrees(axis: int, opset: int) -> None:
    g = GraphBuilder(opset, x=[2, 3, 4])
    assert_agrees(g.model(g.node("Softmax", "x", axis=axis)))


@pytest.mark.parametrize("bias", [None, [], [3], [1], [2, 1], [2, 3]])
@pytest.mark.parametrize("trans_b", [0, 1])
def test_every_bias_of_gemm_agrees(bias: list[int] | None, trans_b: int) -> None:
    g = GraphBuilder(x=[2, 5])
    weights = g.weights(*((3, 5) if trans_b else (5, 3)))
    inputs = ["x", weights] + ([] if bias is None else [g.weights(*bias)])
    assert_agrees(g.model(g.node("Gemm", *inputs, transB=trans_b, alpha=0.5, beta=0.25)))


def test_gemm_adds_what_is_computed() -> None:
    g = GraphBuilder(x=[2, 5], c=[2, 3])
    assert_agrees(g.model(g.node("Gemm", "x", g.weights(5, 3), "c", beta=0.5)))


@pytest.mark.parametrize("trans_a", [0, 1])
def test_gemm_takes_its_constant_first(trans_a: int) -> None:
    g = GraphBuilder(x=[5, 4])
    weights = g.weights(*((5, 3) if trans_a else (3, 5)))
    assert_agrees(g.model(g.node("Gemm", weights, "x", g.weights(3, 1), transA=trans_a)))


@pytest.mark.parametrize(
    ("x", "weights"), [([2, 5], [5, 3]), ([2, 4, 5], [5, 3]), ([5], [5, 3]), ([2, 2, 5], [5])]
)
def test_matrix_products_of_any_rank_agree(x: list[int], weights: list[int]) -> None:
    g = GraphBuilder(x=x)
    assert_agrees(g.model(g.node("MatMul", "x", g.weights(*weights))))


@pytest.mark.parametrize(
    ("weights", "x"), [([3, 5], [5, 2]), ([3, 5], [4, 5, 2]), ([5], [5, 2]), ([3, 5], [5])]
)
def test_products_with_the_constant_first_agree(weights: list[int], x: list[int]) -> None:
    g = GraphBuilder(x=x)
    assert_agrees(g.model(g.node("MatMul", g.weights(*weights), "x")))


@pytest.mark.parametrize("fill", [0.0, 1.25])
@pytest.mark.parametrize("pads", [[0, 0, 1, 2, 0, 0, 3, 0], [1, 0, 0, 0, 0, 2, 0, 1]])
def test_padding_of_any_axes_agrees(pads: list[int], fill: float) -> None:
    g = GraphBuilder(x=[2, 3, 4, 5])
    assert_agrees(g.model(g.node("Pad", "x", g.integers(*pads), g.constant(fill))))


@pytest.mark.parametrize("op", ["Max", "Min"])
def test_bounds_by_numbers_agree(op: str) -> None:
    g = GraphBuilder(x=[2, 3])
    assert assert_agrees(g.model(g.node(op, g.constant(0.5), "x", g.constant([0.25])))) == ["clamp"]


@pytest.mark.parametrize("shape", [[6, 20], [120], [1, 2, 3, 4, 5], [4, 5, 6], [5, 4, 3, 2]])
def test_reshapes_of_images_agree(shape: list[int]) -> None:
    g = GraphBuilder(x=[2, 3, 4, 5])
    y = g.node("Reshape", "x", g.integers(*shape))
    assert_agrees(g.model(y, g.node("Sigmoid", g.node("Reshape", y, g.integers(2, 3, 4, 5)))))


@pytest.mark.parametrize("opset", range(11, onnx.defs.onnx_opset_version() + 1))
def test_every_operator_set_is_read(opset: int) -> None:
    g = GraphBuilder(opset, x=[1, 3, 8, 8])
    y = g.node("Clip", g.batch_norm(g.conv("x", 4, 3, 3), 4), g.constant(0), g.constant(6))
    y = g.node("Flatten", g.node("GlobalAveragePool", y))
    y = g.node("Softmax", g.node("Gemm", y, g.weights(4, 5)), axis=1)
    session = gossamer.InferenceSession(gossamer.convert(g.model(y), None))
    assert [layer.op for layer in session.layers()][-2:] == ["fully_connected", "softmax"]


# ---- Dimensions that a model leaves open --------------------------------------------------------


def test_named_dimensions_get_their_sizes() -> None:
    g = GraphBuilder(x=["n", 3, "height", "width"])
    model = g.model(g.conv("x", 4, 3, 3))
    assert_agrees(model, n=2, height=5, width=7)
    with pytest.raises(gossamer.UnsupportedError, match="'height'"):
        gossamer.convert(model, None, dims={"width": 7})


@pytest.mark.parametrize(
    ("dims", "message"),
    [({"depth": 3}, "'depth'.*: height, n"), ({"height": 0}, "'height'.*at least 1.*0")],
)
def test_sizes_that_do_not_fit_are_refused(dims: dict[str, int], message: str) -> None:
    g = GraphBuilder(x=["n", 3, "height", 4])
    with pytest.raises(gossamer.InputError, match=message):
        gossamer.convert(g.model(g.node("Relu", "x")), None, dims=dims)


# ---- What is refused by name --------------------------------------------------------------------


def test_shapes_that_overflow_are_refused_by_name() -> None:
    g = GraphBuilder(x=[1, 2])
    grown = g.node("Pad", "x", g.integers(0, 2**40, 0, 0), name="grown")
    with pytest.raises(gossamer.UnsupportedError, match="Pad ×1, first 'grown'"):
        gossamer.convert(g.model(grown), None)
    g = GraphBuilder(x=[1, 1])
    tiled = g.node("Tile", g.constant([1]), g.integers(2**62), name="tiled")
    with pytest.raises(gossamer.UnsupportedError, match=r"Tile ×1, first 'tiled'.*2\^24"):
        gossamer.convert(g.model(g.node("Add", "x", tiled)), None)


def test_a_shape_of_more_axes_than_the_engine_has_is_refused_by_name() -> None:
    g = GraphBuilder(x=[2, 4])
    y = g.node("Reshape", "x", g.integers(2, 1, 1, 1, 1, 1, 4), name="deep")
    with pytest.raises(gossamer.UnsupportedError, match="Reshape ×1, first 'deep'.*rank 1 to 6"):
        gossamer.convert(g.model(y), None)
    assert_agrees(g.model(g.node("Flatten", y)))


def test_what_stands_behind_results_of_unknown_rank_is_not_judged() -> None:
    g = GraphBuilder(x=[2, 4])
    y = g.node("Reshape", "x", g.node("NonZero", "x", name="unknown"))
    model = g.model(g.node("Transpose", y, perm=[1, 0]))
    with pytest.raises(gossamer.UnsupportedError, match="NonZero ×1, first 'unknown'"):
        gossamer.convert(model, None)


def test_a_second_output_that_is_read_is_refused_by_name() -> None:
    g = GraphBuilder(x=[1, 2, 4, 4])
    pool = onnx.helper.make_node("MaxPool", ["x"], ["y", "i"], "pool", kernel_shape=[2, 2])
    g.nodes.append(pool)
    with pytest.raises(gossamer.UnsupportedError, match="MaxPool ×1, first 'pool': output 'i'"):
        gossamer.convert(g.model("y", "i"), None)
    assert_agrees(g.model("y"))


def test_constants_are_computed_with_every_output_under_its_own_name() -> None:
    g = GraphBuilder(18, x=[1, 2])
    split = onnx.helper.make_node(
        "Split", [g.constant([1, 2, 5, 7])], ["", "second"], num_outputs=2
    )
    g.nodes.append(split)
    data = gossamer.convert(g.model(g.node("Add", "x", "second")), None)
    (y,) = gossamer.InferenceSession(data).run(None, {"x": np.zeros((1, 2), np.float32)})
    assert y.tolist() == [[5, 7]]  # onnxruntime crashes where an output has no name


@pytest.mark.parametrize("constant", [(), ("b",), ("w",), ("w", "b")])
@pytest.mark.parametrize(
    ("op", "weights", "attributes"),
    [
        ("Conv", [6, 4, 3, 3], {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
        ("Conv", [6, 2, 3, 2], {"group": 2, "dilations": [2, 3]}),
        ("Conv", [4, 1, 3, 3], {"group": 4, "auto_pad": "SAME_LOWER"}),
        ("ConvTranspose", [4, 6, 3, 3], {"strides": [2, 3], "output_padding": [1, 2]}),
        ("ConvTranspose", [4, 3, 2, 3], {"group": 2, "dilations": [2, 2], "pads": [1, 2, 0, 1]}),
        ("ConvTranspose", [4, 1, 3, 3], {"group": 4, "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    ],
)
def test_convolutions_by_computed_weights_agree(
    op: str, weights: list[int], attributes: dict, constant: tuple[str, ...]
) -> None:
    groups = attributes.get("group", 1)
    bias = weights[0] if op == "Conv" else weights[1] * groups
    shapes = {"w": weights, "b": [bias]}
    inputs = {name: shape for name, shape in shapes.items() if name not in constant}
    g = GraphBuilder(x=[2, 4, 7, 8], **inputs)
    names = [g.weights(*shapes[name]) if name in constant else name for name in "wb"]
    assert_agrees(g.model(g.node(op, "x", *names, **attributes)))


@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
def test_rows_by_computed_weights_agree(op: str) -> None:
    g = GraphBuilder(x=[2, 4, 9], w=[4, 4, 3])
    assert_agrees(g.model(g.node(op, "x", "w", strides=[2], pads=[1, 0])))


@pytest.mark.parametrize(("op", "groups"), [("Conv", 2), ("ConvTranspose", 3), ("Conv", 0)])
def test_computed_weights_that_do_not_fit_are_named(op: str, groups: int) -> None:
    g = GraphBuilder(x=[2, 4, 9, 9], w=[4, 4, 3, 3])
    with pytest.raises(gossamer.ModelError, match=f"'w' .*in {groups} groups does not fit"):
        gossamer.convert(g.model(g.node(op, "x", "w", group=groups)), None)
