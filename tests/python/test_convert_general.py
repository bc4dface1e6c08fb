"""Models of general operators, of any shapes and axes, give onnxruntime's answers."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models.onnx_graphs import GraphBuilder

import gossamer

SIZES = st.integers(1, 5)


def assert_agrees(model, tolerance=1e-5):
    session = gossamer.InferenceSession(gossamer.convert(model, None))
    random = np.random.default_rng(0)
    feeds = {
        value.name: random.normal(size=value.shape).astype(np.float32)
        for value in session.get_inputs()
    }
    peer = onnxruntime.InferenceSession(model.SerializeToString())
    for found, want in zip(session.run(None, feeds), peer.run(None, feeds), strict=True):
        assert found.shape == want.shape
        np.testing.assert_allclose(found, want, atol=tolerance, rtol=tolerance)
    return session


@st.composite
def broadcasting(draw):
    """Two shapes of which some axes are 1 or left out in front."""
    whole = draw(st.lists(SIZES, min_size=1, max_size=5))
    pair = []
    for _ in range(2):
        shape = [draw(st.sampled_from([1, size])) for size in whole]
        pair.append(shape[draw(st.integers(0, len(shape) - 1)) :])
    return pair


@settings(max_examples=60)
@given(
    broadcasting(), st.sampled_from(["Add", "Sub", "Mul", "Div", "Max", "Min"]), st.booleans(),
    st.booleans(),
)  # fmt: skip
def test_arithmetic_broadcasts(pair, op, constant, swapped):
    g = GraphBuilder(x=pair[0], y=pair[1])
    other = g.node("Exp", "y")
    if constant:
        g = GraphBuilder(x=pair[0])
        other = g.constant(np.random.default_rng(1).uniform(0.5, 2, pair[1]))
    x = g.node("Exp", "x")
    assert_agrees(g.model(g.node(op, *((other, x) if swapped else (x, other)))), 1e-4)


@settings(max_examples=40)
@given(st.data(), st.lists(SIZES, min_size=2, max_size=5))
def test_axes_move_and_are_undone_or_not(data, shape):
    g = GraphBuilder(x=shape)
    y = "x"
    for _ in range(data.draw(st.integers(1, 3))):
        y = g.node("Transpose", y, perm=data.draw(st.permutations(range(len(shape)))))
    if data.draw(st.booleans()):
        y = g.node("Reshape", y, g.integers(-1, shape[0]))
        y = g.node("Transpose", y, perm=[1, 0])
    assert_agrees(g.model(g.node("Relu", y)), 0)


REDUCTIONS = ["Sum", "Mean", "Max", "Min", "L1", "L2", "SumSquare", "LogSumExp"]


@settings(max_examples=60)
@given(
    st.data(), st.lists(SIZES, min_size=2, max_size=5), st.sampled_from(REDUCTIONS), st.booleans()
)
def test_reductions_agree(data, shape, kind, keep):
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1, max_size=len(shape) - 1))
    g = GraphBuilder(18, x=shape)
    model = g.model(g.node(f"Reduce{kind}", "x", g.integers(*axes), keepdims=int(keep)))
    assert_agrees(model, 1e-4)


@settings(max_examples=40)
@given(st.data(), st.lists(SIZES, min_size=1, max_size=4))
def test_slices_of_any_axes_agree(data, shape):
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))
    parts = []
    for axis in axes:
        first, last = sorted(data.draw(st.tuples(*[st.integers(0, shape[axis] - 1)] * 2)))
        parts.append(data.draw(st.sampled_from([(first, last + 1, 1), (first, last + 1, 2)])))
        if data.draw(st.booleans()):
            parts[-1] = (last, first - 1 - shape[axis] - 1, -1)
    starts, ends, steps = zip(*parts, strict=True)
    g = GraphBuilder(x=shape)
    sizes = [g.integers(*numbers) for numbers in (starts, ends, axes, steps)]
    assert_agrees(g.model(g.node("Slice", "x", *sizes)), 0)


@settings(max_examples=30)
@given(st.data(), st.lists(SIZES, min_size=2, max_size=5))
def test_concatenating_computed_tensors_and_constants_agrees(data, shape):
    axis = data.draw(st.integers(0, len(shape) - 1))
    g, random = GraphBuilder(x=shape), np.random.default_rng(2)
    parts = []
    for size in data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=6)):
        other = [*shape[:axis], size, *shape[axis + 1 :]]
        parts.append(g.constant(random.normal(size=other)) if size else "x")
    y = g.node("Concat", "x", *parts, axis=axis)
    assert_agrees(g.model(g.node("Relu", y)), 1e-6)


@settings(max_examples=40)
@given(*[st.integers(1, 9)] * 3, st.sampled_from([[], [2], [2, 3], [1, 3]]), st.booleans())
def test_batches_of_matrix_products_agree(rows, inner, columns, batch, one):
    g = GraphBuilder(x=[*batch, rows, inner], y=[*([] if one else batch), inner, columns])
    assert_agrees(g.model(g.node("MatMul", "x", "y")), 1e-4)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("bhqd,bhkd->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)]),
        ("bhqk,bkhd->bqhd", [(2, 3, 4, 5), (2, 5, 3, 6)]),
        ("ij,jk->ki", [(3, 4), (4, 5)]),
        ("bij,bjk", [(2, 3, 4), (2, 4, 5)]),
        ("bi,bj->bij", [(2, 3), (2, 4)]),
        ("bic,bjd->bij", [(2, 3, 4), (2, 5, 6)]),
        ("bijk->bk", [(2, 3, 4, 5)]),
    ],
)
def test_sums_of_products_agree(equation, shapes):
    inputs = {f"x{number}": list(shape) for number, shape in enumerate(shapes)}
    g = GraphBuilder(**inputs)
    assert_agrees(g.model(g.node("Einsum", *inputs, equation=equation)), 1e-4)


MODES = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]


@settings(max_examples=60)
@given(
    *[st.integers(1, 9)] * 4, st.sampled_from(["nearest", "linear", "cubic"]),
    st.sampled_from(MODES), st.booleans(),
)  # fmt: skip
def test_images_get_any_size(height, width, rows, columns, mode, coordinates, antialias):
    g = GraphBuilder(18, x=[1, 3, height, width])
    how = {"mode": mode, "coordinate_transformation_mode": coordinates}
    if antialias and mode != "nearest":
        how["antialias"] = 1
    if coordinates == "align_corners":  # where it asks for less than it has, engines differ
        rows, columns = max(rows, height), max(columns, width)
    if mode == "nearest" and coordinates != "asymmetric":  # ties fall as numbers are rounded
        rows, columns = 2 * height, 3 * width
    y = g.node("Resize", "x", "", "", g.integers(1, 3, rows, columns), **how)
    assert_agrees(g.model(y), 1e-4)


@settings(max_examples=40)
@given(
    st.integers(1, 3), st.tuples(*[st.integers(1, 4)] * 2), st.tuples(*[st.integers(1, 3)] * 2),
    st.tuples(*[st.integers(0, 1)] * 4), st.tuples(*[st.integers(1, 2)] * 2),
    st.sampled_from([1, 2]),
)  # fmt: skip
def test_transposed_convolutions_agree(inputs, kernel, strides, pads, dilations, group):
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    if any(pads[a] + pads[a + 2] >= reach[a] for a in (0, 1)):
        pads = (0, 0, 0, 0)
    g = GraphBuilder(x=[2, inputs * group, 5, 4])
    weights, bias = g.weights(inputs * group, 3, *kernel), g.weights(3 * group)
    geometry = {"strides": strides, "pads": pads, "dilations": dilations, "group": group}
    assert_agrees(g.model(g.node("ConvTranspose", "x", weights, bias, **geometry)), 1e-4)


def test_truth_values_and_places_come_out_as_f32():
    g = GraphBuilder(x=[2, 3, 4], y=[3, 1])
    place = g.node("ArgMax", "x", axis=2, keepdims=0)
    larger = g.node("And", g.node("Less", "x", "y"), g.node("Not", g.node("Equal", "x", "y")))
    chosen = g.node("Where", larger, "x", "y")
    number = g.node("Cast", larger, to=1)
    model = g.model(place, larger, chosen, number)
    for info, kind in zip(model.graph.output, (7, 9, 1, 1), strict=True):
        info.type.tensor_type.elem_type = kind
    session = assert_agrees(model, 0)
    assert {value.type for value in session.get_outputs()} == {"tensor(float)"}


def test_normalization_that_is_spelled_out_is_one_layer():
    g = GraphBuilder(13, x=[2, 5, 16])
    distance = g.node("Sub", "x", g.node("ReduceMean", "x", axes=[-1]))
    square = g.node("Pow", distance, g.constant(2))
    variance = g.node("Add", g.node("ReduceMean", square, axes=[-1]), g.constant(1e-5))
    y = g.node("Div", distance, g.node("Sqrt", variance))
    y = g.node("Add", g.node("Mul", y, g.weights(16)), g.weights(16))
    ops = [layer.op for layer in assert_agrees(g.model(y), 1e-4).layers()]
    assert ops.count("layer_norm") == 1
    assert set(ops) <= {"layer_norm", "reshape"}
