"""Budgets over layers: the best choice there is, and plain words where there is none."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gossamer
from gossamer import zoo
from gossamer.convert import cost_model
from gossamer.convert.pack import has_matrix
from gossamer.convert.prediction import node_seconds, predict
from gossamer.convert.read import read_graph
from gossamer.prune import knapsack
from gossamer.prune.allocation import allocate, candidates, parse_seconds
from gossamer.prune.pattern import Pattern, keep_mask

COSTS = cost_model.load("wasm-relaxed")

costs_and_losses = st.lists(
    st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=1, max_size=5),
    min_size=1,
    max_size=5,
)


@given(costs_and_losses, st.floats(0.01, 30))
def test_choices_are_as_good_as_the_best_of_all_but_for_a_step_of_each(lists, budget):
    costs, losses = ([[entry[i] for entry in entries] for entries in lists] for i in (0, 1))
    every = list(itertools.product(*(range(len(entries)) for entries in lists)))

    def total(of, choice):
        return sum(entries[number] for entries, number in zip(of, choice, strict=True))

    found = knapsack.choose(costs, losses, budget)
    cheapest = min(total(costs, choice) for choice in every)
    if found is None:
        assert cheapest > budget
        return
    assert total(costs, found) <= budget * (1 + 1e-6)
    tighter = budget - (budget - cheapest) * len(lists) / knapsack.STEPS
    best = min(total(losses, c) for c in every if total(costs, c) <= max(tighter, cheapest))
    assert total(losses, found) <= best + 1e-9


def test_a_budget_that_only_the_cheapest_choices_meet_is_met():
    assert knapsack.choose([[0.1, 0.3], [0.2, 0.7]], [[5, 0], [5, 0]], 0.1 + 0.2) == [0, 0]
    assert knapsack.choose([[0.1, 0.3], [0.2, 0.7]], [[5, 0], [5, 0]], 0.29) is None


@pytest.fixture(scope="module")
def network():
    """MobileNet-v1, narrow: no zeros, and free in its storage."""
    graph = read_graph(zoo.build("mobilenet_v1", 0.25, 96, sparsity=0, classes=10), "network")
    for node in graph.nodes:
        for value in node.inputs:
            value.pattern = None
    return graph


@pytest.fixture(scope="module")
def saliencies(network):
    return {
        node.name: node.inputs[1].data.astype(np.float64) ** 2
        for node in network.nodes
        if has_matrix(node) and node.inputs[1].shape[2:] == (1, 1)
    }


def pruned(network, saliencies, plans):
    """Seconds of the network with weights pruned as planned, by a way of its own."""
    total = predict(network, COSTS)
    seconds = total.seconds
    for node in network.nodes:
        if node.name in plans:
            plan, value = plans[node.name], node.inputs[1]
            weights, value.data = (
                value.data,
                value.data * keep_mask(saliencies[node.name], plan.pattern, plan.sparsity),
            )
            seconds += node_seconds(node, COSTS) - total.nodes[node]
            value.data = weights
    return seconds


def test_a_budget_of_time_is_kept_and_used(network, saliencies):
    dense = predict(network, COSTS).seconds
    for share in (0.9, 0.7):
        allocation = allocate(network, saliencies, COSTS, seconds=share * dense)
        assert 0.97 * share * dense < allocation.seconds <= share * dense
        assert allocation.seconds_before == dense
        assert allocation.note == ""
        seconds = pruned(network, saliencies, allocation.plans)
        assert seconds == pytest.approx(allocation.seconds)


def test_a_speedup_is_a_budget_of_time(network, saliencies):
    allocation = allocate(network, saliencies, COSTS, speedup=1.25)
    assert allocation == allocate(
        network, saliencies, COSTS, seconds=allocation.seconds_before / 1.25
    )


def test_a_smaller_budget_never_loses_less(network, saliencies):
    losses = [allocate(network, saliencies, COSTS, speedup=s).loss for s in (1, 1.1, 1.2, 1.3, 1.4)]
    assert losses == sorted(losses)
    assert losses[0] == 0


def test_layers_that_move_the_output_more_are_pruned_less(network, saliencies):
    loud = max(saliencies, key=lambda name: saliencies[name].size)
    curves = {name: lambda lost: lost for name in saliencies}
    usual = allocate(network, saliencies, COSTS, speedup=1.3, error_curves=curves)
    curves[loud] = lambda lost: 100 * lost
    careful = allocate(network, saliencies, COSTS, speedup=1.3, error_curves=curves)
    assert usual.plans[loud].sparsity > 0
    assert careful.layers[loud].kept > usual.layers[loud].kept


def test_an_impossible_budget_is_refused_with_the_fastest_reachable(network, saliencies):
    with pytest.raises(gossamer.InputError, match="fastest reachable is ([0-9.]+) ms") as error:
        allocate(network, saliencies, COSTS, seconds=1e-5)
    fastest = float(str(error.value).split("fastest reachable is ")[1].split(" ms")[0]) / 1000
    assert allocate(network, saliencies, COSTS, seconds=fastest * 1.001).seconds <= fastest * 1.001
    with pytest.raises(gossamer.InputError, match="fastest reachable"):
        allocate(network, saliencies, COSTS, seconds=fastest * 0.99)


def test_a_budget_that_is_met_already_prunes_nothing_and_says_so(network, saliencies):
    allocation = allocate(network, saliencies, COSTS, seconds=1.0)
    assert allocation.plans == {}
    assert allocation.seconds == allocation.seconds_before
    assert "nothing is pruned" in allocation.note


def test_patterns_that_do_not_pay_are_never_candidates(network, saliencies):
    for node in network.nodes:
        if node.name in saliencies:
            unpruned, *others = candidates([node], saliencies[node.name], COSTS)
            assert unpruned.plan is None
            assert all(candidate.seconds < 0.98 * unpruned.seconds for candidate in others)
            # An index for each of 90 % of the weights takes longer than all of them without, but
            # in short rows, of which most is their beginning and end.
            plans = [candidate.plan for candidate in others]
            if node.inputs[1].shape[1] >= 128:
                assert not any(p.pattern == Pattern(1) and p.sparsity < 0.2 for p in plans)


def test_a_share_of_zeros_is_reached_in_the_pattern_that_is_asked_for(network, saliencies):
    for sparsity in (0.3, 0.8):
        allocation = allocate(network, saliencies, COSTS, sparsity=sparsity, patterns=(Pattern(4),))
        assert sparsity <= allocation.sparsity < sparsity + 0.02
        assert {plan.pattern for plan in allocation.plans.values()} == {Pattern(4)}
        assert allocation.seconds < allocation.seconds_before


def test_more_zeros_than_can_be_are_refused_with_how_many_can(network, saliencies):
    with pytest.raises(gossamer.InputError, match="99.0% zeros.*at most 9[45]"):
        allocate(network, saliencies, COSTS, sparsity=0.99)


def test_zeros_that_are_there_count(network, saliencies):
    allocation = allocate(network, saliencies, COSTS, sparsity=0)
    assert allocation.plans == {}
    assert "nothing is pruned" in allocation.note


@pytest.mark.parametrize(
    ("budget", "complaint"),
    [
        ({}, "one of seconds, speedup, sparsity"),
        ({"seconds": 1, "speedup": 2}, "one of seconds, speedup, sparsity"),
        ({"sparsity": 1}, "0 to below 1"),
        ({"speedup": 0.5}, "at least 1"),
        ({"seconds": 0}, "above 0"),
        ({"seconds": float("nan")}, "above 0"),
    ],
)
def test_budgets_that_make_no_sense_are_refused(network, saliencies, budget, complaint):
    with pytest.raises(gossamer.InputError, match=complaint):
        allocate(network, saliencies, COSTS, **budget)


def test_saliencies_of_other_nodes_or_shapes_are_refused(network, saliencies):
    with pytest.raises(gossamer.InputError, match="'nowhere'.*conv_2"):
        allocate(network, {"nowhere": np.ones((1, 1))}, COSTS, speedup=2)
    name = next(iter(saliencies))
    with pytest.raises(gossamer.InputError, match=f"'{name}'.*shape"):
        allocate(network, {name: np.ones((1, 1))}, COSTS, speedup=2)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("12ms", 0.012), ("1.5 s", 1.5), ("800us", 8e-4), (" .5ms ", 5e-4), ("3µs", 3e-6)],
)
def test_times_are_read(text, seconds):
    assert parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "12", "ms", "-3ms", "0ms", "1e3ms", "12 min", "1.2.3s"])
def test_other_texts_are_no_times(text):
    with pytest.raises(gossamer.InputError, match="such as 12ms"):
        parse_seconds(text)
