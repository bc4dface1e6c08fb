"""Rearrangement: channels change places, the network computes the same, pruning keeps more."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import vision_networks
from models.random_graphs import RandomGraph

import gossamer
from gossamer import zoo
from gossamer.convert import lower, onnx, pack, passes, read
from gossamer.convert.ir import Graph, Node, Value, no_clamp
from gossamer.prune.channels import ChannelMap
from gossamer.prune.pattern import Pattern
from gossamer.prune.rearrangement import (
    Matrix,
    Space,
    identity,
    kept_share,
    rearrange,
    sort_by_norm,
)
from gossamer.prune.sensitivity import without_softmax
from gossamer.prune.spaces import Layer, pose


def outputs(graph: Graph, seed: int = 0) -> list[np.ndarray]:
    session = gossamer.InferenceSession(lower.lower(graph, {}))
    random = np.random.default_rng(seed)
    feeds = {}
    for argument in session.get_inputs():
        values = random.normal(size=argument.shape)
        feeds[argument.name] = values.astype(argument.dtype)
    return [np.array(values) for values in session.run(None, feeds)]


def shuffled(graph: Graph, seed: int = 0, loose: Sequence[str] = ()) -> int:
    """Move every channel that may move; returns how many spaces that are."""
    channels = ChannelMap(graph, loose)
    random = np.random.default_rng(seed)
    orders = [
        np.arange(size) if channels.spaces.is_fixed(number) else random.permutation(size)
        for number, size in enumerate(channels.spaces.sizes)
    ]
    channels.reorder(orders)
    roots = {channels.spaces.root(number) for number in range(len(orders))}
    return sum(not channels.spaces.is_fixed(root) for root in roots)


def assert_unchanged(
    before: list[np.ndarray], after: list[np.ndarray], tolerance: float = 1e-6
) -> None:
    for old, new in zip(before, after, strict=True):
        assert np.abs(old - new).max() <= tolerance * max(1, np.abs(old).max())


@pytest.mark.parametrize("name", zoo.NAMES)
def test_a_network_computes_the_same_after_its_channels_moved(name: str) -> None:
    graph = zoo._graph(name, 0.25, 32, "4x1", 0.5, "f32", 0, 10)
    weights = {n.name: n.inputs[1].data for n in graph.nodes if len(n.inputs) > 2}
    before = outputs(graph)
    assert shuffled(graph) > 10
    moved = [n.name for n in graph.nodes if n.name in weights and n.inputs[1].shape[0] > 10]
    still = [
        n.name
        for n in graph.nodes
        if n.name in moved and np.array_equal(n.inputs[1].data, weights[n.name])
    ]
    assert not still
    assert_unchanged(before, outputs(graph))


@pytest.mark.parametrize("probabilities", [False, True])
@pytest.mark.parametrize("name", zoo.NAMES)
def test_a_network_answers_the_same_after_its_scores_moved(name: str, probabilities: bool) -> None:
    graph = zoo._graph(name, 0.25, 32, "4x1", 0.5, "f32", 0, 10)
    if not probabilities:
        graph = without_softmax(graph)
    last = [node for node in graph.nodes if pack.has_matrix(node)][-1]
    weights, before = last.inputs[1].data, outputs(graph)
    shuffled(graph, loose=[last.name])
    assert not np.array_equal(np.sort(last.inputs[1].data, axis=1), np.sort(weights, axis=1))
    assert [node.op for node in graph.nodes].count("take") == 1
    assert_unchanged(before, outputs(graph))
    again = read.read_graph(lower.lower(graph, {}), "")
    assert_unchanged(before, outputs(again))
    assert shuffled(again) > 10
    assert_unchanged(before, outputs(again))


@pytest.mark.parametrize("seed", range(60))
def test_graphs_of_all_kinds_compute_the_same(seed: int) -> None:
    try:
        graph = onnx.import_model(RandomGraph(seed).model(), 1)
        passes.optimize(graph)
    except gossamer.UnsupportedError:
        pytest.skip("the engine cannot run this one")
    before = outputs(graph)
    shuffled(graph, seed)
    assert_unchanged(before, outputs(graph))


@pytest.mark.parametrize("name", ["resnext", "squeezenet", "mobilenet_v3", "shufflenet_v2"])
def test_concatenated_sliced_and_grouped_channels_compute_the_same(name: str) -> None:
    graph = onnx.import_model(getattr(vision_networks, name)(side=32), 1)
    passes.optimize(graph)
    before = outputs(graph)
    assert shuffled(graph) > 3
    assert_unchanged(before, outputs(graph), 2e-6)


def test_pixels_and_a_flattened_image_compute_the_same() -> None:
    random = np.random.default_rng(0)

    def constant(name: str, *shape: int) -> Value:
        return Value(name, shape, random.normal(size=shape).astype(np.float32))

    pixels, image, row = Value("x", (1, 4, 5, 3)), Value("a", (1, 8, 4, 5)), Value("b", (1, 160))
    wide, scores = Value("d", (1, 16, 4, 5)), Value("c", (1, 4))
    normalization = Value("n", (2, 3), np.array([[0.5] * 3, [2] * 3], np.float32))
    geometry = passes.conv_attributes(groups=1)
    nodes = [
        Node("conv_pixels", "conv", "", [pixels, constant("w", 8, 3, 1, 1), constant("wb", 8),
             normalization], image, geometry),
        Node("conv", "depthwise", "", [image, constant("d", 16, 1, 1, 1), constant("db", 16)],
             wide, passes.conv_attributes(groups=8)),
        Node("conv", "project", "", [wide, constant("p", 8, 16, 1, 1), constant("pb", 8), image],
             Value("e", image.shape), geometry),
    ]  # fmt: skip
    nodes.append(Node("flatten", "flatten", "", [nodes[-1].output], row))
    readers = [row, constant("f", 4, 160), constant("fb", 4)]
    nodes.append(Node("fully_connected", "fc", "", readers, scores, no_clamp()))
    graph = Graph("test", [pixels], {"scores": scores}, nodes)
    before = outputs(graph)
    assert shuffled(graph, 3) == 1, "the sum, its summands and all between move together"
    assert_unchanged(before, outputs(graph))


def test_weights_that_two_layers_share_move_alike() -> None:
    random = np.random.default_rng(0)
    weights = Value("w", (6, 6, 1, 1), random.normal(size=(6, 6, 1, 1)).astype(np.float32))
    bias = Value("b", (6,), random.normal(size=6).astype(np.float32))
    first = Value("first", (6, 2, 1, 1), random.normal(size=(6, 2, 1, 1)).astype(np.float32))
    last = Value("last", (2, 6, 1, 1), random.normal(size=(2, 6, 1, 1)).astype(np.float32))
    bias_2 = Value("b2", (2,), np.ones(2, np.float32))
    values = [Value("x", (1, 2, 3, 3)), *(Value(f"v{i}", (1, 6, 3, 3)) for i in range(3))]
    values.append(Value("y", (1, 2, 3, 3)))
    constants = [(first, bias), (weights, bias), (weights, bias), (last, bias_2)]
    nodes = [
        Node("conv", f"n{i}", "", [values[i], *pair], values[i + 1], passes.conv_attributes(1))
        for i, pair in enumerate(constants)
    ]
    graph = Graph("test", values[:1], {"y": values[-1]}, nodes)
    before = outputs(graph)
    assert shuffled(graph, 1) == 1
    assert_unchanged(before, outputs(graph))


def chain(*sizes: int, pattern: str, sparsity: float, seed: int = 0) -> tuple[list, list]:
    random = np.random.default_rng(seed)
    spaces = [Space(size, fixed=i in (0, len(sizes) - 1)) for i, size in enumerate(sizes)]
    matrices = [
        Matrix(f"m{i}", random.random((m, c)) ** 4, i + 1, (i,), Pattern.parse(pattern), sparsity)
        for i, (c, m) in enumerate(zip(sizes, sizes[1:], strict=False))
    ]
    return spaces, matrices


def kept(matrices: list[Matrix], orders: list[np.ndarray]) -> float:
    return sum(kept_share(matrix, orders) for matrix in matrices)


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(1, 24), min_size=2, max_size=4),
    pattern=st.sampled_from(["1x1", "2x1", "4x1", "8x1", "4x4", "1x4"]),
    sparsity=st.floats(0, 0.95),
    seed=st.integers(0, 99),
)
def test_orders_are_permutations_and_never_keep_less(sizes, pattern, sparsity, seed) -> None:
    spaces, matrices = chain(*sizes, pattern=pattern, sparsity=sparsity, seed=seed)
    orders = rearrange(spaces, matrices)
    for space, order in zip(spaces, orders, strict=True):
        assert sorted(order.tolist()) == list(range(space.size))
        assert not space.fixed or order.tolist() == list(range(space.size))
    floor = max(kept(matrices, identity(spaces)), kept(matrices, sort_by_norm(spaces, matrices)))
    assert kept(matrices, orders) >= floor - 1e-9


@pytest.mark.parametrize("pattern", ["4x1", "4x4"])
def test_channels_that_belong_together_are_found(pattern: str) -> None:
    random = np.random.default_rng(5)
    rows = Pattern.parse(pattern).rows
    support = (random.random((8, 12)) < 0.25).repeat(Pattern.parse(pattern).columns, axis=1)
    planted = support.repeat(rows, axis=0) * (1 + random.random((8 * rows, support.shape[1])))
    share = 1 - support.mean()
    shuffle = random.permutation(len(planted))
    spaces = [Space(support.shape[1], True), Space(len(planted), False)]
    matrix = Matrix("m", planted[shuffle], 1, (0,), Pattern.parse(pattern), share)
    assert kept_share(matrix, identity(spaces)) < 0.8
    assert kept_share(matrix, rearrange(spaces, [matrix])) > 0.99


def test_a_space_serves_all_layers_that_write_and_read_it() -> None:
    random = np.random.default_rng(1)
    spaces = [Space(8, True), Space(16, False), Space(12, True)]
    pattern = Pattern(4, 4)
    matrices = [
        Matrix("a", random.random((16, 8)) ** 4, 1, (0,), pattern, 0.5),
        Matrix("b", random.random((16, 8)) ** 4, 1, (0,), pattern, 0.5),
        Matrix("c", random.random((12, 24)) ** 4, 2, (0, 1), pattern, 0.5),
    ]
    orders = rearrange(spaces, matrices)
    shares = [kept_share(m, orders) - kept_share(m, identity(spaces)) for m in matrices]
    assert sum(shares) > 0.05


def test_the_same_question_has_the_same_answer() -> None:
    spaces, matrices = chain(9, 32, 16, pattern="4x1", sparsity=0.7)
    first, second = rearrange(spaces, matrices), rearrange(spaces, matrices)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_networks_own_layers_are_posed_and_gain() -> None:
    graph = zoo._graph("mobilenet_v2", 0.25, 32, "1x1", 0.0, "f32", 0, 10)
    channels = ChannelMap(graph)
    layers = [
        Layer(n.name, *channels.axes(n.inputs[1]), n.inputs[1].data[..., 0, 0] ** 2,
              Pattern(4), 0.7)
        for n in graph.nodes
        if n.op == "conv" and n.attributes["groups"] == 1 and n.inputs[1].shape[2:] == (1, 1)
    ]  # fmt: skip
    spaces, matrices = pose(channels.spaces, layers)
    orders = rearrange(spaces, matrices)
    assert kept(matrices, orders) > kept(matrices, identity(spaces)) * 1.05
    before = outputs(graph)
    channels.reorder(orders)
    assert_unchanged(before, outputs(graph))
    for matrix, layer in zip(matrices, layers, strict=True):
        node = next(n for n in graph.nodes if n.name == layer.name)
        now = Matrix("", node.inputs[1].data[..., 0, 0] ** 2, 0, (1,), Pattern(4), 0.7)
        here = [np.arange(size) for size in now.saliency.shape]
        assert kept_share(now, here) == pytest.approx(kept_share(matrix, orders))
