"""Models that compute with truth values, whole numbers and places give onnxruntime's answers."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper, parser

import gossamer

SIZES = st.integers(1, 5)


def model_of(text, **constants):
    """A model in onnx's own notation: "(float[2] x, float a) => (float y) { y = Mul(x, a) }".

    Inputs without a shape have no axes; of outputs no shape is known.
    """
    graph = parser.parse_graph(f"graph {text}")
    for info in graph.input:
        info.type.tensor_type.shape.SetInParent()
    for info in graph.output:
        info.type.tensor_type.ClearField("shape")
    for name, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    opset = helper.make_opsetid("", 18)
    return helper.make_model(graph, ir_version=8, opset_imports=[opset])


def as_f32(value):
    """What a session takes and gives for numbers of any type, and for one without axes."""
    return np.atleast_1d(np.asarray(value, np.float32))


def assert_agrees(model, **feeds):
    """Compare engine, numpy reference and onnxruntime; return what the engine gave."""
    data = gossamer.convert(model, None)
    ours = {name: as_f32(value) for name, value in feeds.items()}
    found = gossamer.InferenceSession(data).run(None, ours)
    truth = reference.run(data, ours).values()
    peer = onnxruntime.InferenceSession(model.SerializeToString())
    for got, simple, want in zip(found, truth, peer.run(None, feeds), strict=True):
        assert got.shape == as_f32(want).shape
        np.testing.assert_allclose(got, as_f32(want), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(as_f32(simple), as_f32(want), rtol=1e-5, atol=1e-6)
    return found


def floats(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def places(data, shape, size):
    """Places on an axis, from the front or from the end."""
    flat = data.draw(
        st.lists(
            st.integers(-size, size - 1), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))
        )
    )
    return np.array(flat, np.int64).reshape(shape)


def axes_of(shape):
    return str(list(shape)) if len(shape) else ""


SHAPES = st.lists(SIZES, min_size=1, max_size=4)


@settings(max_examples=40)
@given(st.data(), SHAPES, st.lists(SIZES, min_size=0, max_size=2), st.booleans())
def test_computed_places_of_any_axis_are_gathered(data, shape, of_places, constant):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    found, x = places(data, of_places, shape[axis]), floats(*shape)
    inputs = f"int64{axes_of(of_places)} i"
    if constant:  # a table, such as one of embeddings
        text = f"({inputs}) => (float y) {{ y = Gather<axis = {axis}>(x, i) }}"
        assert_agrees(model_of(text, x=x), i=found)
    else:
        inputs = f"float{axes_of(shape)} x, {inputs}"
        text = f"({inputs}) => (float y) {{ y = Gather<axis = {axis}>(x, i) }}"
        assert_agrees(model_of(text), x=x, i=found)


@settings(max_examples=40)
@given(st.data(), st.lists(SIZES, min_size=1, max_size=4), st.booleans())
def test_places_of_several_axes_are_gathered(data, shape, constant):
    batch = data.draw(st.integers(0, len(shape) - 1))
    depth = data.draw(st.integers(1, len(shape) - batch))
    of_places = [*shape[:batch], data.draw(SIZES)]
    columns = [places(data, of_places, size) for size in shape[batch : batch + depth]]
    found, x = np.stack(columns, -1), floats(*shape)
    inputs = f"float{axes_of(shape)} x"
    if not constant:
        inputs += f", int64{axes_of(found.shape)} i"
    model = model_of(
        f"({inputs}) => (float y) {{ y = GatherND<batch_dims = {batch}>(x, i) }}",
        **({"i": found} if constant else {}),
    )
    assert_agrees(model, x=x, **({} if constant else {"i": found}))


def test_a_computed_place_that_is_none_gives_zero():
    model = model_of("(float[3] x, int64[4] i) => (float y) { y = Gather(x, i) }")
    session = gossamer.InferenceSession(gossamer.convert(model, None))
    feeds = {"x": np.ones(3, np.float32), "i": np.array([0, 3, -4, 0.5], np.float32)}
    np.testing.assert_array_equal(session.run(None, feeds)[0], [1, 0, 0, 0])


@settings(max_examples=30)
@given(st.data(), SHAPES, st.booleans())
def test_places_become_rows_of_ones_and_zeros(data, shape, computed):
    depth = data.draw(SIZES)
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    found = np.array(places(data, shape, depth + 2))  # some of them are beyond the depth
    values = np.array([-1.5, 2.5], np.float32)
    inputs = f"int64{axes_of(shape)} i" + (", float[2] v" if computed else "")
    constants = {"d": np.array(depth)} | ({} if computed else {"v": values})
    model = model_of(
        f"({inputs}) => (float y) {{ y = OneHot<axis = {axis}>(i, d, v) }}", **constants
    )
    assert_agrees(model, i=found, **({"v": values} if computed else {}))


@settings(max_examples=60)
@given(st.data(), SHAPES, st.booleans())
def test_the_largest_and_smallest_are_found_in_order(data, shape, largest):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    count = data.draw(st.integers(1, shape[axis]))
    x = np.round(floats(*shape, seed=data.draw(st.integers(0, 99))))  # some are equal
    how = f"axis = {axis}, largest = {int(largest)}"
    text = f"(float{axes_of(shape)} x) => (float v, int64 i) {{ v, i = TopK<{how}>(x, k) }}"
    assert_agrees(model_of(text, k=np.array([count])), x=x)


def test_places_alone_are_found_too():
    text = "(float[2, 9] x) => (int64 i) { v, i = TopK<axis = 1>(x, k) }"
    data = gossamer.convert(model_of(text, k=np.array([3])), None)
    assert reference.read(data).ops() == ["top_k"]


SUPPRESSION = "NonMaxSuppression<center_point_box = {}>(b, s, most, limit, score)"
LIMITS = {"most": np.array([5]), "limit": np.float32([0.4])}


@settings(max_examples=60)
@given(st.integers(0, 999), st.booleans(), st.sampled_from([None, 0.2, 2.0]), st.integers(1, 60))
def test_boxes_are_left_out_where_better_ones_are(seed, centered, score, count):
    generator = np.random.default_rng(seed)
    boxes = generator.uniform(0, 1, (2, count, 4)).astype(np.float32)
    scores = np.round(generator.uniform(0, 1, (2, 3, count)), 1).astype(np.float32)  # some equal
    limits = {**LIMITS, "most": np.array([generator.integers(1, 70)])}
    call = SUPPRESSION.format(int(centered))
    if score is None:
        call = call.replace(", score", "")
    else:
        limits["score"] = np.float32([score])
    text = f"(float[2,{count},4] b, float[2,3,{count}] s) => (int64 y) {{ y = {call} }}"
    model = model_of(text, **limits)
    (found,) = assert_agrees(model, b=boxes, s=scores)
    assert len(found) or score == 2
    model = model_of(text.replace(f", float[2,3,{count}] s", ""), s=scores, **limits)
    np.testing.assert_array_equal(assert_agrees(model, b=boxes)[0], found)


def test_rows_that_only_a_run_tells_may_be_given_another_name_and_type():
    call = SUPPRESSION.format(0).replace(", score", "")
    text = f"(float[1,9,4] b, float[1,2,9] s) => (float y) {{ i = {call} j = Identity(i) "
    model = model_of(text + "y = Cast<to = 1>(j) }", **LIMITS)
    assert_agrees(model, b=np.abs(floats(1, 9, 4)), s=floats(1, 2, 9))


@pytest.mark.parametrize(
    ("behind", "message"),
    [
        ("y = Gather<axis = 1>(i, most)", "Gather .*how many rows 'i' has; end the model in front"),
        ("y = Shape(i)", "Shape .*how many rows 'i' has"),
        ("y = Cast<to = 9>(i)", "Cast .*how many rows 'i' has"),
        ("y = Identity(i) z = Identity(i)", "output .*'z': another name of 'i'"),
    ],
)
def test_what_reads_rows_that_only_a_run_tells_is_refused(behind, message):
    call = SUPPRESSION.format(0).replace(", score", "")
    outputs = "int64 y, int64 z" if "z =" in behind else "int64 y"
    text = f"(float[1,9,4] b, float[1,2,9] s) => ({outputs}) {{ i = {call} {behind} }}"
    with pytest.raises(gossamer.UnsupportedError, match=message):
        gossamer.convert(model_of(text, **LIMITS), None)


@pytest.mark.parametrize("most", ["", "most"])
def test_a_suppression_that_leaves_no_boxes_is_refused(most):
    text = (
        f"(float[1,9,4] b, float[1,2,9] s) => (int64 y) {{ y = NonMaxSuppression(b, s, {most}) }}"
    )
    with pytest.raises(gossamer.UnsupportedError, match="max_output_boxes_per_class 0"):
        gossamer.convert(model_of(text.replace(", )", ")"), most=np.array([0])), None)


@pytest.mark.parametrize("op", ["And", "Or", "Xor"])
def test_truth_values_are_combined(op):
    a, b = np.array([[0, 0], [1, 1]], bool), np.array([0, 1], bool)
    assert_agrees(model_of(f"(bool[2, 2] a, bool[2] b) => (bool y) {{ y = {op}(a, b) }}"), a=a, b=b)
    assert_agrees(model_of(f"(bool[2, 2] a) => (bool y) {{ y = {op}(a, b) }}", b=b), a=a)


def test_truth_values_choose_among_numbers_of_any_type():
    test = np.array([True, False, True])
    text = "(bool[3] t, {0}[2, 3] a, {0}[3] b) => ({0} y) {{ y = Where(t, a, b) }}"
    for name, kind in (("float", np.float32), ("int64", np.int64)):
        a, b = np.arange(6).reshape(2, 3).astype(kind), np.array([7, 0, 9], kind)
        assert_agrees(model_of(text.format(name)), t=test, a=a, b=b)
    text = "(bool[3] t, int64[3] a) => (int64 y) { y = Where(t, a, b) }"
    assert_agrees(model_of(text, b=np.array([7, -8, 9])), t=test, a=np.array([1, 2, 3]))


@pytest.mark.parametrize("op", ["Equal", "Less", "GreaterOrEqual"])
def test_whole_numbers_are_compared(op):
    a, b = np.array([[1, 2, 3], [-4, 0, 2]]), np.array([1, 1, 2])
    model = model_of(f"(int64[2, 3] a, int64[3] b) => (bool y) {{ y = {op}(a, b) }}")
    assert_agrees(model, a=a, b=b)
    assert_agrees(model_of(f"(int64[2, 3] a) => (bool y) {{ y = {op}(a, b) }}", b=b), a=a)


@pytest.mark.parametrize("op", ["Max", "Min"])
def test_the_largest_of_whole_numbers(op):
    model = model_of(f"(int32[3] a, int32[3] b) => (int32 y) {{ y = {op}(a, b) }}")
    assert_agrees(model, a=np.array([1, 5, -2], np.int32), b=np.array([3, 3, 3], np.int32))
    model = model_of(
        f"(int64[2, 3] x) => (int64 y) {{ y = Reduce{op}<keepdims = 0>(x, a) }}", a=[1]
    )
    assert_agrees(model, x=np.array([[1, 5, -2], [3, 0, 3]]))


def test_whole_numbers_become_real_ones_and_are_used():
    text = "(int64[2, 3] i, float[2, 3] x) => (float y) { f = Cast<to = 1>(i) y = Mul(f, x) }"
    assert_agrees(model_of(text), i=np.arange(6).reshape(2, 3), x=floats(2, 3))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("y = Add(i, i)", "input 0 of type i64; float32 expected"),
        ("y = Where(t, i, c)", "whole numbers beyond 2^24"),
        ("y = Max(i, c)", "whole numbers beyond 2^24"),
        ("y = CumSum(i, a)", "input 0 of type i64"),
    ],
)
def test_what_whole_numbers_cannot_be_used_for_is_named(body, reason):
    """Sums of them may be larger than f32 holds."""
    text = f"(int64[3] i, bool[3] t) => (int64 y) {{ {body} }}"
    model = model_of(text, c=np.array([1, 2, (1 << 24) + 1]), a=np.array(0))
    with pytest.raises(gossamer.UnsupportedError, match=reason.replace("^", r"\^")):
        gossamer.convert(model, None)


def test_numbers_without_axes_come_and_go_as_one_number():
    body = "y = Mul(x, a) z = ReduceSum<keepdims = 0>(y)"
    text = f"(float[3] x, float a) => (float y, float z) {{ {body} }}"
    x, a = floats(3), np.array(2.5, np.float32)
    _, total = assert_agrees(model_of(text), x=x, a=a)
    assert total.shape == (1,)
    body = "b = Not(c) d = Cast<to = 1>(b) e = Add(a, d) y = Unsqueeze(e, f)"
    text = f"(float a) => (float y) {{ {body} }}"
    assert_agrees(model_of(text, c=np.array(False), f=[0, 1]), a=a)
    text = "(float a) => (float y) { b = Greater(a, c) d = Cast<to = 1>(b) y = Unsqueeze(d, f) }"
    assert_agrees(model_of(text, c=np.float32(1), f=[0]), a=a)


def test_constant_outputs_are_given_with_the_others():
    body = "y, m = Dropout(x) s = Shape(x) c = Neg(d)"
    text = f"(float[2, 3] x) => (float y, float c, int64 s, bool m) {{ {body} }}"
    found = assert_agrees(model_of(text, d=np.array([0.5, -np.inf], np.float32)), x=floats(2, 3))
    np.testing.assert_array_equal(found[2], [2, 3])


@pytest.mark.parametrize(
    ("constant", "reason"),
    [
        (np.array([(1 << 24) + 1]), "whole numbers beyond 2^24"),
        (np.array([np.nan], np.float32), "constant with NaN"),
        (np.array([0.5]), "constant of type float64"),
        (np.zeros((0, 2), np.float32), "shape [0, 2]"),
    ],
)
def test_constant_outputs_that_f32_cannot_give_are_named(constant, reason):
    graph = parser.parse_graph("graph (float[2] x) => (float y) { y = Relu(x) }")
    graph.initializer.append(numpy_helper.from_array(constant, "c"))
    graph.output.append(onnx.ValueInfoProto(name="c"))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    with pytest.raises(gossamer.UnsupportedError) as caught:
        gossamer.convert(model, None)
    assert "output ×1, first 'c'" in str(caught.value) and reason in str(caught.value)


MASK = np.where(np.tri(4, dtype=bool), 0, -np.inf).astype(np.float32)


def test_masks_of_causal_attention_are_added_and_chosen():
    text = "(float[2, 4, 4] x) => (float y) { m = Add(x, c) y = Softmax(m) }"
    assert_agrees(model_of(text, c=MASK), x=floats(2, 4, 4))
    text = "(bool[4, 4] t, float[2, 4, 4] x) => (float y) { m = Where(t, x, c) y = Softmax(m) }"
    assert_agrees(model_of(text, c=np.float32(-np.inf)), t=np.tri(4, dtype=bool), x=floats(2, 4, 4))
    text = "(float[4, 4] x) => (bool y) { m = Add(x, c) y = Equal(m, d) }"
    assert_agrees(model_of(text, c=MASK, d=np.float32(-np.inf)), x=floats(4, 4))


def test_an_infinite_bias_does_not_become_part_of_a_layer():
    text = "(float[3, 4] x) => (float y) { p = MatMul(x, w) y = Add(p, c) }"
    c = np.array([0, -np.inf, 1, np.inf], np.float32)
    data = gossamer.convert(model_of(text, w=floats(4, 4), c=c), None)
    assert reference.read(data).ops() == ["fully_connected", "binary"]
    assert_agrees(model_of(text, w=floats(4, 4), c=c), x=floats(3, 4))


@pytest.mark.parametrize("op", ["Mul", "MatMul", "Sub"])
def test_infinite_constants_are_refused_elsewhere(op):
    model = model_of(f"(float[4, 4] x) => (float y) {{ y = {op}(x, c) }}", c=MASK)
    with pytest.raises(gossamer.UnsupportedError, match="numbers that are not finite"):
        gossamer.convert(model, None)


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize(
    "how",
    [
        "kernel_shape = [2, 2, 2]",
        "kernel_shape = [3, 2, 1], strides = [2, 1, 3], pads = [1, 0, 0, 2, 1, 0]",
        "kernel_shape = [3, 3, 2], strides = [2, 2, 2], ceil_mode = 1",
        'kernel_shape = [3, 2, 2], strides = [2, 2, 1], auto_pad = "SAME_UPPER"',
    ],
)
def test_volumes_are_pooled(kind, how):
    text = f"(float[2, 3, 6, 5, 7] x) => (float y) {{ y = {kind}<{how}>(x) }}"
    assert_agrees(model_of(text), x=floats(2, 3, 6, 5, 7))


def test_zeros_around_a_volume_count_where_they_should():
    how = "kernel_shape = [3, 2, 2], pads = [1, 1, 0, 1, 0, 1], count_include_pad = 1"
    text = f"(float[1, 2, 4, 5, 3] x) => (float y) {{ y = AveragePool<{how}>(x) }}"
    assert_agrees(model_of(text), x=floats(1, 2, 4, 5, 3))


@pytest.mark.parametrize(
    "how", ["kernel_shape = [2, 2, 2, 2]", "kernel_shape = [2, 2, 2], pads = [1, 1]"]
)
def test_windows_that_do_not_fit_a_volume_are_named(how):
    text = f"(float[1, 2, 4, 5, 3] x) => (float y) {{ y = MaxPool<{how}>(x) }}"
    with pytest.raises(gossamer.ModelError, match="[36] numbers expected"):
        gossamer.convert(model_of(text), None)
