"""Operators on tensors of any rank agree with NumPy, whatever the layouts, shapes and axes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

import gossamer
from gossamer import InferenceSession, ModelError, SessionOptions, UnsupportedError
from gossamer.convert.goss_file import Dtype, Model, Node, Op, Role, Storage, Tensor, write_model
from gossamer.convert.lower import BINARIES, REDUCTIONS
from gossamer.convert.pack import pack_i8_weights, pack_weights

SIZES = st.integers(1, 5) | st.sampled_from([7, 8, 17])
MOST_ELEMENTS = 1 << 14


def shapes(least: int = 1, most: int = 6) -> st.SearchStrategy[tuple[int, ...]]:
    sizes = st.lists(SIZES, min_size=least, max_size=most).map(tuple)
    return sizes.filter(lambda shape: np.prod(shape) <= MOST_ELEMENTS)


def numbers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape, scale=2).astype(np.float32)


def one_node(op, *inputs, attributes=()):
    """A file of one node; of the inputs, shapes are computed and arrays constant."""
    tensors = []
    for number, given_ in enumerate(inputs):
        if isinstance(given_, np.ndarray):
            storage = Storage.SPARSE if op is Op.RESIZE else Storage.DENSE
            packed = pack_weights(given_, 1, storage)
            tensors.append(Tensor(f"x{number}", Role.WEIGHTS, given_.shape, packed))
        else:
            tensors.append(Tensor(f"x{number}", Role.INPUT, given_))
    node = Node("node", op, tuple(range(len(inputs))), len(inputs), attributes)
    return write_model(Model([*tensors, Tensor("y", Role.OUTPUT)], [node], {}))


def assert_agrees(data, tolerance=1e-5, positive=False, **options):
    session = InferenceSession(data, SessionOptions(**options))
    feeds = {
        value.name: numbers(value.shape, 3 + i) for i, value in enumerate(session.get_inputs())
    }
    if positive:
        feeds = {name: np.abs(x) + 0.1 for name, x in feeds.items()}
    (found,), (want,) = session.run(None, feeds), reference.run(data, feeds).values()
    assert found.shape == want.shape or want.ndim == 0
    scale = max(1.0, float(np.abs(want).max()))
    np.testing.assert_allclose(found, want.reshape(found.shape), atol=tolerance * scale, rtol=1e-5)


@st.composite
def operands(draw, count=2):
    """Shapes that broadcast: some axes of a common one are 1 or left out in front."""
    whole = draw(shapes())
    found = []
    for _ in range(count):
        ones = draw(st.lists(st.booleans(), min_size=len(whole), max_size=len(whole)))
        shape = tuple(1 if one else size for one, size in zip(ones, whole, strict=True))
        found.append(shape[draw(st.integers(0, len(shape) - 1)) :])
    return found


@settings(max_examples=150)
@given(
    operands(), st.sampled_from(BINARIES), st.sampled_from([None, 0, 1]), st.sampled_from([1, 3])
)
def test_two_operands_broadcast(pair, kind, constant, threads):
    if kind == "pow" or constant is not None:
        pair = list(pair)
    if constant is not None:
        pair[constant] = np.abs(numbers(pair[constant], 9)) + 0.5
    data = one_node(Op.BINARY, *pair, attributes=(BINARIES.index(kind),))
    assert_agrees(data, positive=kind in ("pow", "div", "mod", "fmod"), threads=threads)


@pytest.mark.parametrize("isa", gossamer.isas())
@pytest.mark.parametrize("kind", BINARIES)
def test_large_operands_are_shared_by_threads(isa, kind):
    data = one_node(Op.BINARY, (2, 3, 101, 97), (3, 1, 97), attributes=(BINARIES.index(kind),))
    assert_agrees(data, positive=True, threads=3, isa=isa)


@given(operands(3), st.sampled_from([None, 0, 1, 2]))
def test_a_choice_broadcasts(three, constant):
    three = list(three)
    if constant is not None:
        three[constant] = np.maximum(numbers(three[constant], 9), 0)
    assert_agrees(one_node(Op.SELECT, *three))


@settings(max_examples=150)
@given(st.data(), shapes(), st.sampled_from([1, 3]))
def test_axes_in_any_order(data, shape, threads):
    axes = data.draw(st.permutations(range(len(shape))))
    words = (*axes, *[0] * (6 - len(axes)))
    assert_agrees(one_node(Op.TRANSPOSE, shape, attributes=words), 0, threads=threads)


@pytest.mark.parametrize("isa", gossamer.isas())
@pytest.mark.parametrize("shape", [(1, 3, 64, 70), (1, 70, 33, 64), (2, 65, 31, 3)])
def test_large_matrices_turn(isa, shape):
    for axes in ((0, 2, 3, 1), (0, 3, 1, 2), (3, 2, 1, 0), (0, 1, 3, 2)):
        data = one_node(Op.TRANSPOSE, shape, attributes=(*axes, 0, 0))
        assert_agrees(data, 0, threads=3, isa=isa)


@settings(max_examples=150)
@given(st.data(), shapes())
def test_any_places_of_any_axis(data, shape):
    axis = data.draw(st.integers(0, len(shape) - 1))
    places = data.draw(st.lists(st.integers(-1, shape[axis] - 1), min_size=1, max_size=9))
    table = np.array(places, np.float32)
    assert_agrees(one_node(Op.TAKE, shape, table, attributes=(axis, 1.5)), 0)


@settings(max_examples=100)
@given(st.data(), shapes(), st.booleans(), st.booleans())
def test_computed_places_of_computed_or_constant_tensors(data, shape, constant, long):
    axis = data.draw(st.integers(0, len(shape) - 1))
    x = numbers(shape, 3) if constant else shape
    count = (40 if long else 3,)  # random numbers, most of them no places at all
    session = InferenceSession(one_node(Op.TAKE, x, count, attributes=(axis, 1.5)))
    places = np.random.default_rng(4).integers(-2, shape[axis] + 2, count).astype(np.float32)
    places[::5] += 0.25
    feeds = {"x1": places} if constant else {"x0": numbers(shape, 3), "x1": places}
    want = reference.take(numbers(shape, 3), places, axis, 1.5)
    np.testing.assert_array_equal(session.run(None, feeds)[0], want)


@settings(max_examples=150)
@given(st.data(), shapes(), st.booleans(), st.booleans(), st.sampled_from([1, 3]))
def test_the_best_of_any_axis_are_found_in_order(data, shape, smallest, places, threads):
    axis = data.draw(st.integers(0, len(shape) - 1))
    count = data.draw(st.integers(1, shape[axis]))
    words = (axis, count, int(smallest), int(places))
    session = InferenceSession(
        one_node(Op.TOP_K, shape, attributes=words), SessionOptions(threads=threads)
    )
    x = np.round(numbers(shape, data.draw(st.integers(0, 9))))  # some numbers are equal
    want = reference.top_k(x, axis, count, smallest, places)
    np.testing.assert_array_equal(session.run(None, {"x0": x})[0], want)


@pytest.mark.parametrize("count", [1, 2, 100, 4000])
@pytest.mark.parametrize("order", [1, -1])
def test_the_best_of_many_are_found_whatever_their_order(count, order):
    x = np.arange(4000, dtype=np.float32)[::order].copy()
    session = InferenceSession(one_node(Op.TOP_K, (4000,), attributes=(0, count, 0, 0)))
    np.testing.assert_array_equal(session.run(None, {"x0": x})[0], np.arange(3999, -1, -1)[:count])


@settings(max_examples=150)
@given(st.data(), st.integers(0, 99), st.booleans(), st.sampled_from([float("nan"), 0.0, 0.5, 9.0]))
def test_boxes_that_overlap_better_ones_are_left_out(data, seed, centered, score):
    batches, classes, count = (data.draw(st.integers(1, most)) for most in (2, 3, 40))
    most, limit = data.draw(st.integers(1, 50)), data.draw(st.sampled_from([0.0, 0.3, 0.5, 1.0]))
    words = (most, limit, int(centered), score)
    shapes_ = (batches, count, 4), (batches, classes, count)
    session = InferenceSession(one_node(Op.NON_MAX_SUPPRESSION, *shapes_, attributes=words))
    generator = np.random.default_rng(seed)
    boxes = generator.integers(-8, 8, shapes_[0]).astype(np.float32)  # some touch, some are none
    if centered:
        boxes[..., 2:] = np.abs(boxes[..., 2:])
    scores = generator.integers(-4, 9, shapes_[1]).astype(np.float32) / 8  # some are equal
    words = (most, np.float32(limit), centered, score)
    for times in (1, -1):  # each run has rows of its own
        want = reference.non_max_suppression(boxes, times * scores, *words)
        (found,) = session.run(None, {"x0": boxes, "x1": times * scores})
        np.testing.assert_array_equal(found, want)
    assert session.get_outputs()[0].shape == [batches * classes * min(most, count), 3]


def test_what_has_rows_that_only_a_run_tells_is_not_read():
    tensors = [Tensor("b", Role.INPUT, (1, 9, 4)), Tensor("s", Role.INPUT, (1, 2, 9))]
    tensors += [Tensor("rows", Role.OUTPUT), Tensor("y", Role.OUTPUT)]
    nodes = [
        Node("nms", Op.NON_MAX_SUPPRESSION, (0, 1), 2, (3, 0.5, 0, 0.0)),
        Node("behind", Op.FLATTEN, (2,), 3),
    ]
    with pytest.raises(
        UnsupportedError, match="'behind'.*reads 'rows', whose rows only a run tells"
    ):
        InferenceSession(write_model(Model(tensors, nodes, {})))


@settings(max_examples=200)
@given(st.data(), shapes(), st.sampled_from(REDUCTIONS), st.booleans(), st.sampled_from([1, 3]))
def test_any_axes_are_reduced(data, shape, kind, keep, threads):
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))
    axes = {min(axes)} if kind.startswith("arg") else axes
    words = (REDUCTIONS.index(kind), sum(1 << axis for axis in axes), int(keep))
    if kind == "product":
        shape = tuple(min(size, 3) for size in shape)
    tolerance = 1e-5
    if kind == "sum":  # numbers may cancel, what was rounded on the way does not
        tolerance *= math.sqrt(math.prod(shape[axis] for axis in axes))
    data = one_node(Op.REDUCE, shape, attributes=words)
    assert_agrees(data, tolerance, threads=threads)


@pytest.mark.parametrize("isa", gossamer.isas())
@pytest.mark.parametrize("kind", range(len(REDUCTIONS) - 2))
def test_reductions_of_long_rows_agree(isa, kind):
    for mask in (0b1100, 0b0100, 0b0010, 0b1000, 0b1111):
        data = one_node(Op.REDUCE, (2, 5, 33, 40), attributes=(kind, mask, 0))
        if kind == REDUCTIONS.index("product"):
            continue
        assert_agrees(data, threads=3, isa=isa)


@settings(max_examples=80)
@given(
    st.integers(1, 3), st.booleans(), st.booleans(), *[st.integers(1, 40)] * 3,
    st.sampled_from([None, 0, 1]), st.sampled_from([1, 3]),
)  # fmt: skip
def test_matrix_products_agree(batch, one_a, one_b, rows, inner, columns, constant, threads):
    a = (1 if one_a else batch, rows, inner)
    b = (1 if one_b else batch, inner, columns)
    pair = [numbers(shape, 5) if constant == i else shape for i, shape in enumerate((a, b))]
    assert_agrees(one_node(Op.MATMUL, *pair), threads=threads)


@pytest.mark.parametrize("isa", gossamer.isas())
@pytest.mark.parametrize("sizes", [(197, 64, 197), (197, 197, 64), (70, 700, 33)])
def test_large_matrix_products_agree(isa, sizes):
    rows, inner, columns = sizes
    data = one_node(Op.MATMUL, (3, rows, inner), (3, inner, columns))
    assert_agrees(data, threads=3, isa=isa)


@pytest.mark.parametrize("isa", gossamer.isas())
@pytest.mark.parametrize("channels", [1, 3, 16, 192])
@pytest.mark.parametrize("rows", [1, 50])
def test_normalized_rows_agree(isa, channels, rows):
    scale = [numbers((channels,), seed) for seed in (1, 2)]
    for constants in ([], scale):
        data = one_node(Op.LAYER_NORM, (rows, channels), *constants, attributes=(1e-5,))
        assert_agrees(data, threads=2, isa=isa)


@settings(max_examples=60)
@given(shapes(4, 4), st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.integers(0, 9))
def test_images_get_other_sizes(shape, height, width, taps, seed):
    random = np.random.default_rng(seed)
    matrices = []
    for size, count in zip(shape[2:], (height, width), strict=True):
        matrix = np.zeros((count, size), np.float32)
        for row in matrix:
            row[random.integers(size, size=taps)] = random.normal(size=taps)
        matrices.append(matrix)
    assert_agrees(one_node(Op.RESIZE, shape, *matrices))


@pytest.mark.parametrize("isa", gossamer.isas())
@pytest.mark.parametrize("rows", [7, 8, 50, 64, 131])
def test_layers_on_many_rows_agree(isa, rows):
    weights, bias = numbers((37, 50), 1), numbers((37,), 2)
    for block_rows in (1, 4):
        for storage in (Storage.DENSE, Storage.SPARSE):
            if storage is Storage.SPARSE:
                weights = weights * (np.arange(37)[:, None] // 4 % 2)
            tensors = [
                Tensor("x", Role.INPUT, (rows, 50)),
                Tensor("w", Role.WEIGHTS, (37, 50), pack_weights(weights, block_rows, storage)),
                Tensor("b", Role.WEIGHTS, (37,), pack_weights(bias, 1, Storage.DENSE)),
                Tensor("y", Role.OUTPUT),
            ]
            node = Node("node", Op.FULLY_CONNECTED, (0, 1, 2), 3, (-1.0, 5.0))
            assert_agrees(write_model(Model(tensors, [node], {})), threads=3, isa=isa)


@pytest.mark.parametrize(
    ("op", "attributes"), [(Op.BINARY, (0,)), (Op.MATMUL, ()), (Op.TAKE, (0, 0.0)), (Op.SELECT, ())]
)
def test_constants_of_bytes_are_refused(op, attributes):
    packed = pack_i8_weights(np.ones((4, 4), np.int8), np.ones(4), 1, Storage.DENSE)
    constant = Tensor("w", Role.WEIGHTS, (4, 4), packed, Dtype.I8)
    tensors = [constant, Tensor("x", Role.INPUT, (4, 4)), Tensor("y", Role.OUTPUT)]
    inputs = (0, 1, 1) if op is Op.SELECT else (0, 1)
    data = write_model(Model(tensors, [Node("node", op, inputs, 2, attributes)], {}))
    with pytest.raises(ModelError, match="constant 0: f32, dense"):
        InferenceSession(data)


IMAGE, NUMBERS = (2, 4, 7, 9), (4,)
TABLE = np.zeros(3, np.float32)
SUPPRESS, BOXES = Op.NON_MAX_SUPPRESSION, "boxes .batch, n, 4., scores .batch"


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "message"),
    [
        (Op.TRANSPOSE, [IMAGE], (0, 1, 2, 2, 0, 0), "an order of the 4 axes"),
        (Op.TRANSPOSE, [IMAGE], (0, 1, 2, 4, 0, 0), "an order of the 4 axes"),
        (Op.TRANSPOSE, [IMAGE], (0, 1, 2, 3, 4, 0), "an order of the 4 axes"),
        (Op.TAKE, [IMAGE, TABLE], (4, 0.0), "axis 4 of a tensor that has 4"),
        (Op.TAKE, [IMAGE, (2, 2)], (1, 0.0), "places of rank 2, 1 expected"),
        (Op.TAKE, [(1 << 25,), NUMBERS], (0, 0.0), "at most 2.24 expected"),
        (Op.TAKE, [IMAGE, TABLE], (1, float("nan")), "fill nan"),
        (Op.TAKE, [IMAGE, TABLE + 4], (1, 0.0), "place 0 is 4, a whole number from -1 to 3"),
        (Op.TAKE, [IMAGE, TABLE - 2], (1, 0.0), "place 0 is -2"),
        (Op.TAKE, [IMAGE, TABLE + 0.5], (1, 0.0), "place 0 is 0.5"),
        (Op.BINARY, [IMAGE, (8,)], (0,), "axis 3 has 9 and 8 elements"),
        (Op.BINARY, [IMAGE, (9,)], (12,), "kind 12; this build knows 0 to 11"),
        (Op.SELECT, [IMAGE, IMAGE, (8,)], (), "axis 3 has 9 and 8 elements"),
        (Op.REDUCE, [IMAGE], (7, 1, 0), "kind 7; this build knows 0 to 6"),
        (Op.REDUCE, [IMAGE], (0, 0, 0), "axes 0x0"),
        (Op.REDUCE, [IMAGE], (0, 16, 0), "axes 0x10 of 'x0', which has 4"),
        (Op.REDUCE, [IMAGE], (5, 3, 0), "axes 0x3"),
        (Op.MATMUL, [(2, 3, 4), (2, 3, 4)], (), "2x3x4 and 2x3x4 do not fit"),
        (Op.MATMUL, [(2, 3, 4), (3, 4, 5)], (), "do not fit"),
        (Op.MATMUL, [(3, 4), (4, 5)], (), "ranks 2 and 2"),
        (Op.MATMUL, [(1, 1, 1 << 25), (1, 1 << 25, 1)], (), "at most 2.24 in a row"),
        (Op.LAYER_NORM, [(2, 3)], (-1.0,), "with epsilon -1"),
        (Op.LAYER_NORM, [(2, 3)], (float("nan"),), "with epsilon nan"),
        (Op.LAYER_NORM, [IMAGE], (0.0,), "of rank 4"),
        (Op.LAYER_NORM, [(2, 3), TABLE], (0.0,), "constant weights expected"),
        (Op.LAYER_NORM, [(2, 3), TABLE, NUMBERS], (0.0,), "constant weights expected"),
        (Op.LAYER_NORM, [(2, 4), TABLE, TABLE], (0.0,), "bias of 3 values"),
        (Op.RESIZE, [IMAGE, np.eye(7), np.eye(8)], (), "matrix 2: 9 columns"),
        (Op.RESIZE, [IMAGE, np.eye(6), np.eye(9)], (), "matrix 1: 7 columns"),
        (Op.RESIZE, [(2, 4), np.eye(7), np.eye(8)], (), "rank 2, 4 expected"),
        (Op.TOP_K, [IMAGE], (4, 1, 0, 0), "1 elements of axis 4"),
        (Op.TOP_K, [IMAGE], (3, 10, 0, 0), "10 elements of axis 3"),
        (Op.TOP_K, [IMAGE], (3, 0, 0, 0), "0 elements of axis 3"),
        (Op.TOP_K, [(1 << 25,)], (0, 1, 0, 0), "at most 2.24 expected"),
        (SUPPRESS, [(1, 9, 4), (1, 2, 8)], (1, 0.5, 0, 0.0), BOXES),
        (SUPPRESS, [(1, 9, 5), (1, 2, 9)], (1, 0.5, 0, 0.0), BOXES),
        (SUPPRESS, [(2, 9, 4), (1, 2, 9)], (1, 0.5, 0, 0.0), BOXES),
        (SUPPRESS, [(9, 4), (2, 9)], (1, 0.5, 0, 0.0), BOXES),
        (SUPPRESS, [(1, 1 << 24, 4), (1, 1, 1 << 24)], (1, 0.5, 0, 0.0), BOXES),
        (SUPPRESS, [(1, 9, 4), (1, 2, 9)], (0, 0.5, 0, 0.0), "a count"),
        (SUPPRESS, [(1, 9, 4), (1, 2, 9)], (1, 1.5, 0, 0.0), "an overlap up to 1 expected"),
        (SUPPRESS, [(1, 9, 4), (1, 2, 9)], (1, np.nan, 0, 0.0), "an overlap up to 1 expected"),
        (SUPPRESS, [(1, 9, 4), (1, 2, 9)], (1, 0.5, 0), "3 attribute words"),
        (Op.MATMUL, [(1, 2, 3), TABLE.reshape(1, 3, 1) + np.inf], (), "'x1' are not finite"),
        (Op.LAYER_NORM, [(2, 3), TABLE - np.inf, TABLE], (0.0,), "'x1' are not finite"),
        (Op.TAKE, [TABLE + np.inf, NUMBERS], (0, 0.0), "'x0' are not finite"),
        (Op.BINARY, [(3,), TABLE + np.nan], (0,), "'x1': stored value 0 is NaN"),
    ],
)
def test_what_an_operator_cannot_do_is_refused(op, inputs, attributes, message):
    with pytest.raises((ModelError, UnsupportedError), match=message):
        InferenceSession(one_node(op, *inputs, attributes=attributes))
