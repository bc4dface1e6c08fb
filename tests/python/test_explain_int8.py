"""What `gossamer explain` says of int8: zeros in quads, break-evens by int8's costs, sources."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models.onnx_graphs import GraphBuilder

import gossamer
from gossamer import zoo
from gossamer.convert import cost_model, pack
from gossamer.convert.cost_model import StoredMatrix
from gossamer.convert.ir import Value
from gossamer.explain import blocks
from gossamer.explain.report import Status

COSTS = cost_model.load("wasm_relaxed")


def explain_network(pattern, sparsity):
    return gossamer.explain(
        zoo.build(
            "mobilenet_v1", resolution=96, width=0.5, pattern=pattern, sparsity=sparsity,
            dtype="int8",
        )
    )  # fmt: skip


def with_matrix(explanation):
    return [layer for layer in explanation.layers if layer.weights and layer.weights.break_even]


@pytest.fixture(scope="module")
def unstructured():
    return explain_network("1x1", 0.6)


def test_zeros_in_blocks_of_quads_pay():
    explanation = explain_network("4x4", 0.8)
    assert explanation.verdict.status is Status.PAYS
    assert explanation.pruned_zeros > 0.7
    pruned = [layer for layer in with_matrix(explanation) if layer.weights.zeros > 0.5]
    assert len(pruned) > 10
    for layer in pruned:
        weights = layer.weights
        assert (weights.dtype, weights.pattern, weights.block) == ("i8", "4x4", "4x4")
        assert list(weights.break_even) == ["1x1", "1x4", "4x4"]
        assert "100% of them in whole 4x4 blocks: sparse in blocks of 4x4, " in layer.why
        assert f"pays from {weights.break_even['4x4']:.0%}" in layer.why
    assert "sparse 4x4" in str(explanation)


def test_a_dense_network_in_int8_is_told_from_when_zeros_in_quads_would_pay():
    explanation = explain_network("4x4", 0)
    assert explanation.verdict.status is Status.DENSE
    (advice,) = explanation.verdict.advice
    assert "in 4x4 blocks" in advice
    assert advice.endswith("--pattern 4x4 --sparsity 0.5 --data PICTURES`, then quantize that.")
    layers = [layer for layer in with_matrix(explanation) if layer.op == "conv"]
    told = [layer for layer in layers if "in 4x4 blocks they would pay from" in layer.why]
    assert len(told) > 10
    assert all(layer.weights.zeros < 0.05 for layer in layers)  # what rounding leaves


def test_single_zeros_in_int8_are_told_what_quads_would_bring(unstructured):
    assert unstructured.verdict.status in (Status.DOES_NOT_PAY, Status.PAYS_LESS)
    (advice,) = unstructured.verdict.advice
    assert re.search(r"--pattern (4x4|1x4) --sparsity 0\.6 .*, then quantize that\.", advice)
    pruned = [layer for layer in with_matrix(unstructured) if layer.weights.zeros > 0.5]
    for layer in pruned:
        assert layer.weights.pattern == "1x1"
        assert re.match(r"\d+% zeros, unstructured \(\d+% of them in whole 1x4 blocks\)", layer.why)
    told = re.compile("try `gossamer prune --pattern (4x4|1x4)` before quantizing")
    assert any(told.search(layer.why) for layer in pruned)


def test_what_quads_are_said_to_bring_is_what_a_network_with_such_zeros_takes(unstructured):
    (advice,) = unstructured.verdict.advice
    pattern, promised = re.match(
        r"As many zeros in (\dx4) blocks would take ([\d.]+) ms", advice
    ).groups()
    kept = explain_network(pattern, 0.6).predicted_seconds
    assert float(promised) / 1000 == pytest.approx(kept, rel=0.05)


@given(
    st.integers(1, 9), st.integers(1, 9), st.sampled_from([(), (3, 3)]), st.floats(0, 1),
    st.integers(0, 99),
)  # fmt: skip
def test_zeros_in_quads_are_counted_one_by_one(outputs, inputs, kernel, share, seed):
    random = np.random.default_rng(seed)
    data = (random.random((outputs, inputs, *kernel)) >= share).astype(np.int8)
    shares = blocks.zeros_in_blocks(Value("weights", data.shape, data, dtype="i8"))
    if data.all():
        assert shares == {}
        return
    taps = data.reshape(outputs, inputs, -1)
    for pattern, rows in (("1x4", 1), ("4x4", 4)):
        inside = 0
        for top in range(0, outputs, rows):
            for left in range(0, inputs, 4):
                for tap in range(taps.shape[2]):
                    block = taps[top : top + rows, left : left + 4, tap]
                    inside += 0 if block.any() else block.size
        assert shares[pattern] == pytest.approx(inside / (taps == 0).sum())
    assert shares["1x1"] == 1


@pytest.mark.parametrize("zero_rows", [1 / 4, 1, 4])
@pytest.mark.parametrize("kind", ["conv", "fully_connected"])
def test_sparse_storage_of_i8_is_faster_from_the_break_even_on(zero_rows, kind):
    costs, area = COSTS.of_i8(kind), COSTS.area({196: 1})
    pays = pack.break_even(96, 36, zero_rows, costs, area)

    def cheapest(matrices):
        found = {rows: costs.picoseconds(matrix, area) for rows, matrix in matrices.items()}
        return pack._cheapest(found)[0]

    def sparse(share):
        return cheapest({r: pack.with_zeros(96, 36, share, zero_rows, r) for r in (1, 4)})

    dense = cheapest({rows: StoredMatrix(96, 36, rows) for rows in (1, 4)})
    assert 0 < pays < 1
    assert sparse(pays) < dense
    assert sparse(pays - 0.01) >= dense * (1 - 2 * pack.NOISE)


def quantized_in_onnx():
    """Two convolutions, with QuantizeLinear and DequantizeLinear around each."""
    g = GraphBuilder(x=(1, 8, 6, 6))

    def rounded(x, scale):
        parameters = g.constant(scale), g.constant(100, np.uint8)
        return g.node("DequantizeLinear", g.node("QuantizeLinear", x, *parameters), *parameters)

    x = rounded("x", 0.05)
    for _ in range(2):
        numbers = g.random.integers(-127, 128, (8, 8, 1, 1))
        scale = g.constant(0.01), g.constant(0, np.int8)
        weights = g.node("DequantizeLinear", g.constant(numbers, np.int8), *scale)
        x = rounded(g.node("Relu", g.node("Conv", x, weights, g.weights(8))), 0.25)
    return g.model(x)


def test_what_onnx_has_quantized_is_explained_as_it_is_converted():
    explanation = gossamer.explain(quantized_in_onnx())
    converted = gossamer.InferenceSession(gossamer.convert(quantized_in_onnx(), None)).layers()
    assert [layer.kernel for layer in explanation.layers] == [layer.kernel for layer in converted]
    kinds = [(layer.op, [node.operator for node in layer.source]) for layer in explanation.layers]
    assert kinds == [
        ("quantize", []),
        ("conv", ["Conv", "Relu"]),
        ("conv", ["Conv", "Relu"]),
        ("dequantize", []),
    ]
    assert {layer.weights.dtype for layer in with_matrix(explanation)} == {"i8"}
    assert explanation.folded == {"QuantizeLinear": 3, "DequantizeLinear": 5}


def test_costs_of_int8_that_are_not_measured_are_said_so(tmp_path):
    data = zoo.build("mobilenet_v1", resolution=32, width=0.25, dtype="int8")
    path, known = tmp_path / "costs.json", cost_model.load("cortex_a72")
    cost_model.save(replace(known, target="without", i8_conv=None), path)
    cost_model.save(known, path)
    for target, told in (("without", True), ("cortex_a72", False)):
        notes = gossamer.explain(data, target=target, costs=path).notes
        assert any("int8 costs is not measured" in note for note in notes) == told
    f32 = zoo.build("mobilenet_v1", resolution=32, width=0.25)
    notes = gossamer.explain(f32, target="without", costs=path).notes
    assert not any("int8" in note for note in notes)


def test_break_evens_of_int8_go_by_what_int8_costs(tmp_path):
    data = zoo.build("mobilenet_v1", resolution=32, width=0.25, dtype="int8")
    path, known = tmp_path / "costs.json", cost_model.load("cortex_a72")
    dear = {
        rows: replace(cost, block=3 * cost.block, tile=0)
        for rows, cost in known.i8_conv.blocks.items()
    }
    cost_model.save(replace(known, target="dear", i8_conv=cost_model.MatrixCost(dear)), path)
    found = with_matrix(gossamer.explain(data, target="dear", costs=path))
    usual = with_matrix(gossamer.explain(data, target="cortex_a72"))
    pairs = [(a, b) for a, b in zip(found, usual, strict=True) if a.op == "conv"]
    assert len(pairs) > 10
    for layer, other in pairs:
        pays, before = (x.weights.break_even["4x4"] for x in (layer, other))
        assert pays > 0.6 > before


def test_hardly_any_zeros_are_not_said_to_be_worth_more_in_other_blocks():
    """What storage for another target would save, converting again does."""
    options = {"pattern": "4x4", "sparsity": 0, "dtype": "int8"}
    data = zoo.build("mobilenet_v1", resolution=96, width=0.5, **options)
    layers = with_matrix(gossamer.explain(data, target="cortex_a76"))
    assert max(layer.weights.zeros for layer in layers) < 0.05
    assert any("converted for this target it would be" in layer.why for layer in layers)
    assert {layer.weights.alternative for layer in layers} == {None}


def test_depthwise_weights_in_int8_have_one_storage():
    explanation = explain_network("4x4", 0.8)
    depthwise = [x for x in explanation.layers if x.weights and not x.weights.break_even]
    assert len(depthwise) == 13
    assert {x.weights.dense_seconds for x in depthwise} == {None}
