"""How the output moves: measured with the engine, one layer at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gossamer
from gossamer import zoo
from gossamer.convert.pack import has_matrix
from gossamer.convert.read import read_graph
from gossamer.prune.pattern import Pattern, keep_mask
from gossamer.prune.sensitivity import ErrorCurve, measure

SIDE = 32


@pytest.fixture(scope="module")
def network():
    return read_graph(zoo.build("mobilenet_v1", 0.25, SIDE, sparsity=0, classes=10), "network")


@pytest.fixture(scope="module")
def saliencies(network):
    nodes = [node for node in network.nodes if has_matrix(node)][1:4]
    return {node.name: node.inputs[1].data.astype(np.float64) ** 2 for node in nodes}


@pytest.fixture(scope="module")
def inputs():
    random = np.random.default_rng(0)
    return [{"image": random.normal(size=(1, 3, SIDE, SIDE)).astype(np.float32)} for _ in range(3)]


@pytest.fixture
def prune(saliencies):
    def weights(node, sparsity):
        keep = keep_mask(saliencies[node.name], Pattern(2), sparsity)
        return node.inputs[1].data * keep, node.inputs[2].data

    return weights


def test_each_layer_gets_a_curve_that_rises_from_zero(network, saliencies, inputs, prune):
    seen = []
    before = [node.inputs[1].data.copy() for node in network.nodes if has_matrix(node)]
    curves = measure(
        network, prune, saliencies, inputs, (0.9, 0.3), lambda *so_far: seen.append(so_far)
    )
    assert list(curves) == list(saliencies)
    for curve in curves.values():
        assert len(curve.lost) == 2
        assert 0 < curve.lost[0] < curve.lost[1] < 1
        assert 0 < curve.error[0] <= curve.error[1]
        assert curve(0) == 0
    assert seen == [(1, 3), (2, 3), (3, 3)]
    after = [node.inputs[1].data for node in network.nodes if has_matrix(node)]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.fixture
def without_last_bias(network):
    """The scores are the last layer's weights times something, and no more."""
    last = next(node for node in network.nodes if node.op == "fully_connected")
    bias, last.inputs[2].data = last.inputs[2].data, np.zeros(10, np.float32)
    yield last
    last.inputs[2].data = bias


def test_the_error_is_that_of_the_scores_in_front_of_the_softmax(
    network, without_last_bias, inputs
):
    """Without weights all scores are zero: an error as large as they were."""
    weights = without_last_bias.inputs[1].data
    saliencies = {without_last_bias.name: np.ones(weights.shape)}
    nothing = np.zeros_like(weights), without_last_bias.inputs[2].data
    curves = measure(network, lambda *_: nothing, saliencies, inputs, (0.5,))
    assert curves[without_last_bias.name] == ErrorCurve((1.0,), (1.0,))


def test_a_layer_that_is_not_changed_moves_nothing(network, saliencies, inputs):
    curves = measure(
        network, lambda node, _: [v.data for v in node.inputs[1:3]], saliencies, inputs, (0.5,)
    )
    assert all(curve == ErrorCurve((), ()) for curve in curves.values())
    assert all(curve(0.3) == 0 for curve in curves.values())


def test_no_inputs_are_refused(network, saliencies, prune):
    with pytest.raises(gossamer.InputError, match="at least one input"):
        measure(network, prune, saliencies, [])


def test_outputs_that_say_nothing_are_refused(
    network, without_last_bias, saliencies, inputs, prune
):
    weights = without_last_bias.inputs[1]
    values, weights.data = weights.data, np.zeros_like(weights.data)
    with pytest.raises(gossamer.InputError, match="not zero throughout"):
        measure(network, prune, saliencies, inputs)
    weights.data = values


@given(st.floats(0, 1))
def test_curves_pass_through_their_points_and_go_on(lost):
    curve = ErrorCurve((0.1, 0.4), (0.2, 0.5))
    assert curve(0.1) == pytest.approx(0.2)
    assert curve(0.25) == pytest.approx(0.35)
    assert curve(0.8) == pytest.approx(1.0)
    assert curve(lost) <= curve(lost + 0.01)
