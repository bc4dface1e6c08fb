"""What `gossamer explain` says: verdicts, sums, break-evens, where layers come from, refusals."""

from __future__ import annotations

import dataclasses
import json
import math
import re

import numpy as np
import onnx
import pytest
import tiny_models
from hypothesis import given
from hypothesis import strategies as st
from models.onnx_graphs import GraphBuilder, mobilenet, save
from tiny_tflite import Op, Tensor, build

import gossamer
from gossamer import cli, zoo
from gossamer.convert import cost_model, pack, prediction
from gossamer.convert.cost_model import StoredMatrix
from gossamer.convert.ir import Value
from gossamer.convert.read import read_graph
from gossamer.explain import blocks as blocks_of
from gossamer.explain import reasons, weights
from gossamer.explain import target as targets
from gossamer.explain.report import Explanation, LayerReport, Status, WeightsReport
from gossamer.explain.verdict import Times, judge

COSTS = cost_model.load("wasm_relaxed")
HOST = gossamer.isas()[0]


def network(pattern, sparsity):
    data = zoo.build_onnx("mobilenet_v2", resolution=96, pattern=pattern, sparsity=sparsity)
    return onnx.load_model_from_string(data)


def explain_network(pattern, sparsity, target="wasm_relaxed"):
    return gossamer.explain(network(pattern, sparsity), target=target, measure=False)


@pytest.fixture(scope="module")
def unstructured():
    return explain_network("1x1", 0.5)


@pytest.fixture(scope="module")
def blocks():
    return explain_network("4x1", 0.8)


def with_matrix(explanation):
    return [layer for layer in explanation.layers if layer.weights and layer.weights.break_even]


# ---- Verdicts -----------------------------------------------------------------------------------


def test_a_dense_model_is_told_what_pruning_would_bring():
    explanation = explain_network("4x1", 0)
    assert explanation.verdict.status is Status.DENSE
    assert explanation.zeros == explanation.pruned_zeros == 0
    assert explanation.dense_seconds == pytest.approx(explanation.predicted_seconds)
    (advice,) = explanation.verdict.advice
    assert "gossamer prune MODEL PRUNED --pattern 4x1 --sparsity 0.5" in advice
    for layer in with_matrix(explanation):
        assert layer.weights.storage == "dense"
        assert layer.weights.pattern is layer.weights.alternative is None
        assert layer.why.startswith("no zeros, dense in blocks of ")


@pytest.mark.parametrize(
    ("zeros", "said"), [(0.0, "no zeros to"), (0.04, "hardly any zeros to skip (4.0%)")]
)
def test_zeros_that_rounding_leaves_make_no_pruned_model(zeros, said):
    verdict = judge(zeros, zeros, Times(1, 1.02, 1, {"4x1": 0.99}, 1), "somewhere")
    assert verdict.status is Status.DENSE
    assert said in verdict.headline
    few_but_in_the_right_place = Times(1, 1.2, 1, {"4x1": 1}, 1)
    assert judge(zeros, zeros, few_but_in_the_right_place, "").status is Status.PAYS


def test_zeros_in_blocks_pay_and_there_is_nothing_to_do(blocks):
    assert blocks.verdict.status is Status.PAYS
    assert blocks.verdict.advice == ()
    assert blocks.verdict.headline.startswith("The zeros pay: ")
    assert blocks.dense_seconds > 1.5 * blocks.predicted_seconds
    pruned = [layer for layer in with_matrix(blocks) if layer.weights.zeros]
    assert {layer.weights.pattern for layer in pruned} <= {"4x1", "8x1"}
    assert all("times as fast as dense" in layer.why for layer in pruned)


def test_unstructured_zeros_are_told_what_blocks_would_bring(unstructured):
    assert unstructured.verdict.status is Status.PAYS_LESS
    (advice,) = unstructured.verdict.advice
    assert re.search("--pattern [248]x1 --sparsity 0.5 ", advice)
    assert 0.45 < unstructured.pruned_zeros < 0.55
    pruned = [layer for layer in with_matrix(unstructured) if layer.weights.zeros]
    assert {layer.weights.pattern for layer in pruned} == {"1x1"}
    assert any("try `gossamer prune --pattern 4x1`" in layer.why for layer in pruned)


def test_what_blocks_are_said_to_bring_is_what_a_network_in_blocks_takes(unstructured):
    (advice,) = unstructured.verdict.advice
    promise = re.match(r"As many zeros in (\dx1) blocks would take ([\d.]+) ms", advice)
    pattern, promised = promise.groups()
    kept = explain_network(pattern, 0.5).predicted_seconds
    assert float(promised) / 1000 == pytest.approx(kept, rel=0.03)


def test_zeros_that_do_not_pay_are_said_so_first():
    explanation = explain_network("1x1", 0.2, "avx2")
    assert explanation.verdict.status is Status.DOES_NOT_PAY
    assert str(explanation).splitlines()[2].startswith("The zeros do not pay: ")
    (advice,) = explanation.verdict.advice
    assert "--pattern 4x1 --sparsity 0.2 " in advice


def test_a_file_that_was_stored_for_something_else_is_told_to_be_converted_again():
    stored = dict.fromkeys(("Conv_0", "Conv_6", "Conv_8", "Conv_14"), "8x1")
    data = gossamer.convert(mobilenet(17, size=64), None, storage=stored)
    explanation = gossamer.explain(data)
    assert explanation.layers[0].weights.block_rows == 8
    assert "converted for this target it would be" in explanation.layers[0].why
    assert explanation.verdict.advice[0].startswith("The file's storage was chosen for something")


@given(st.floats(0, 1), st.floats(1e-4, 1), st.floats(1e-4, 1), st.floats(1e-4, 1))
def test_a_verdict_never_praises_what_is_not_faster(zeros, now, dense, in_blocks):
    times = Times(now, dense, now, {"4x1": min(now, in_blocks)}, now)
    verdict = judge(zeros, zeros, times, "somewhere")
    if verdict.status in (Status.PAYS, Status.PAYS_LESS):
        assert dense > now
    if verdict.status is Status.DOES_NOT_PAY:
        assert dense < 1.03 * now + 1e-9
        assert verdict.advice


# ---- Times --------------------------------------------------------------------------------------


def test_times_are_those_of_prediction_and_add_up(unstructured):
    data = gossamer.convert(network("1x1", 0.5), None)
    predicted = prediction.predict(read_graph(data, "again"), COSTS)
    assert unstructured.predicted_seconds == pytest.approx(predicted.seconds)
    layers = sum(layer.predicted_seconds for layer in unstructured.layers)
    assert layers + unstructured.run_seconds == pytest.approx(unstructured.predicted_seconds)
    assert sum(layer.share for layer in unstructured.layers) == pytest.approx(1)
    for layer, seconds in zip(unstructured.layers, predicted.nodes.values(), strict=True):
        assert layer.predicted_seconds == pytest.approx(seconds)


def test_what_is_measured_comes_from_this_machine():
    explanation = gossamer.explain("cifar10-mobilenet", target="host")
    assert explanation.target == explanation.measured.isa == HOST
    assert explanation.measured.threads == 1
    assert explanation.measured.seconds > 0
    assert all(layer.measured_seconds > 0 for layer in explanation.layers)
    without = gossamer.explain("cifar10-mobilenet", target="host", measure=False)
    assert without.measured is None
    assert {layer.measured_seconds for layer in without.layers} == {None}
    assert without.predicted_seconds == explanation.predicted_seconds


def test_pixels_are_measured_too():
    data = gossamer.convert(
        mobilenet(17), None, pixels="u8", metadata={"image_mean": "9 9 9", "image_scale": "1 1 1"}
    )
    explanation = gossamer.explain(data, target="host", threads=2)
    assert explanation.layers[0].op == "conv_pixels"
    assert explanation.layers[0].measured_seconds > 0


def test_an_operator_of_unknown_cost_has_a_row_and_a_note(monkeypatch):
    monkeypatch.delitem(prediction._OPERATORS, "softmax")
    explanation = gossamer.explain("cifar10-mobilenet")
    last = explanation.layers[-1]
    assert (last.op, last.predicted_seconds, last.share) == ("softmax", None, 0)
    assert any("softmax" in note and "left out of all sums" in note for note in explanation.notes)
    assert "softmax" in str(explanation)
    assert "unknown" in explanation.html()


# ---- Zeros and break-evens ----------------------------------------------------------------------


@given(
    st.integers(1, 17), st.integers(1, 9), st.floats(0, 1), st.sampled_from([1, 2, 4, 8]),
    st.integers(0, 99),
)  # fmt: skip
def test_zeros_in_blocks_are_counted_one_by_one(rows, columns, share, block_rows, seed):
    random = np.random.default_rng(seed)
    keep = random.random((-(-rows // block_rows), columns)) >= share
    matrix = keep.repeat(block_rows, 0)[:rows] * 1.0
    shares = blocks_of.zeros_in_blocks(Value("weights", matrix.shape, matrix))
    if matrix.all():
        assert shares == {}
        return
    for pattern, size in pack.PATTERNS.items():
        if pattern in shares:
            whole = rows // size * size
            inside = sum(
                size
                for top in range(0, whole, size)
                for column in range(columns)
                if not matrix[top : top + size, column].any()
            )
            inside += int((matrix[whole:] == 0).sum())
            assert shares[pattern] == pytest.approx(inside / (matrix == 0).sum())
        else:
            assert size > rows
    if rows % block_rows == 0 and rows >= block_rows:
        assert shares[f"{block_rows}x1"] == pytest.approx(1)
        assert pack.PATTERNS[weights.fitting(shares)] >= block_rows


@given(
    st.sampled_from(["avx2", "generic", "wasm_relaxed", "wasm_simd"]),
    st.sampled_from([8, 24, 96, 320]),
    st.sampled_from([16, 144, 576]),
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([49, 196, 3136]),
)
def test_sparse_storage_is_faster_from_the_break_even_on(target, rows, columns, zero_rows, pixels):
    costs = cost_model.load(target)
    area = costs.area({pixels: 1})
    pays = pack.break_even(rows, columns, zero_rows, costs.conv, area)

    def cheapest(share):
        sizes = pack.block_sizes(rows)
        return pack._cheapest(
            {
                size: costs.conv.picoseconds(
                    StoredMatrix(rows, columns, size)
                    if share is None
                    else pack.with_zeros(rows, columns, share, zero_rows, size),
                    area,
                )
                for size in sizes
            }
        )[0]

    assert 0 < pays < 1
    assert cheapest(pays) < cheapest(None)
    assert cheapest(max(0, pays - 0.01)) >= cheapest(None) * (1 - 2 * pack.NOISE)


def test_rows_that_cost_as_much_as_the_weights_never_break_even():
    rows_only = cost_model.MatrixCost(
        {size: cost_model.BlockCost(1e-3, 1e-3, 1e6) for size in (1, 2, 4, 8)}
    )
    assert pack.break_even(64, 64, 1, rows_only, cost_model.PIXEL) is None


@pytest.mark.parametrize("share", [0.3, 0.7])
@pytest.mark.parametrize("zero_rows", [1, 4])
def test_the_expected_number_of_blocks_is_what_random_zeros_leave(share, zero_rows):
    random = np.random.default_rng(1)
    matrix = (random.random((640 // zero_rows, 500)) >= share).repeat(zero_rows, 0)
    for size in (1, 2, 4, 8):
        whole, _ = pack.present_blocks(matrix, size)
        expected = pack.with_zeros(640, 500, share, zero_rows, size)
        assert expected.blocks == pytest.approx(whole.sum(), rel=0.02)


def test_dense_storage_is_explained_as_dense_though_blocks_of_it_are_zero():
    g = GraphBuilder(17, image=[1, 64, 14, 14])
    values = np.random.default_rng(0).normal(size=(64, 64, 1, 1))
    values[:4, :8] = 0
    g.node("Conv", "image", g.constant(values), name="layer", output="y")
    data = gossamer.convert(g.model("y"), None, storage={"layer": "dense"})
    (layer,) = gossamer.explain(data).layers
    assert layer.weights.storage == "dense"
    assert layer.predicted_seconds == pytest.approx(layer.weights.dense_seconds)
    assert layer.weights.stored_bytes == 4 * 64 * 64


def test_zeros_of_depthwise_weights_are_said_to_save_nothing():
    g = GraphBuilder(17, image=[1, 8, 14, 14])
    g.node("Conv", "image", g.weights(8, 1, 3, 3, zeros=0.5), group=8, output="y")
    (layer,) = gossamer.explain(g.model("y")).layers
    assert re.fullmatch(r"\d+% zeros save nothing: depthwise: one 3x3 filter .*", layer.why)
    assert layer.weights.dense_seconds is None


def described(zeros, storage, pays, alternative=None):
    return WeightsReport(
        (8, 8), "f32", zeros, {"1x1": 1.0}, "1x1", storage, 4, 1, 256, {"1x1": pays}, 1.0,
        alternative, 1.0,
    )  # fmt: skip


def test_the_sentence_says_from_when_zeros_pay():
    dense = reasons.why(described(0.41, "dense", 0.62), 1.0, "")
    assert dense == "41% zeros, unstructured: dense in blocks of 4 is faster until 62%"
    never = reasons.why(described(0.41, "dense", None), 1.0, "")
    assert never.endswith("is faster however many there are")
    elsewhere = reasons.why(described(0.41, "dense", 0.3), 1.0, "")
    assert elsewhere.endswith(": dense in blocks of 4, though sparse is faster from 30%")
    sparse = reasons.why(described(0.41, "sparse", 0.3), 0.8, "")
    assert sparse.endswith("sparse in blocks of 4, 1.25 times as fast as dense, pays from 30%")
    early = reasons.why(described(0.2, "sparse", 0.3), 0.99, "")
    assert "hardly faster than dense, pays from 30%" in early


# ---- Where layers come from ---------------------------------------------------------------------


def operators(layer):
    return [node.operator for node in layer.source]


def test_layers_say_which_nodes_they_do_the_work_of():
    explanation = gossamer.explain(mobilenet(17))
    assert [operators(layer) for layer in explanation.layers] == [
        ["Conv", "BatchNormalization", "Clip"],
        ["Conv", "BatchNormalization", "Relu"],
        ["Conv", "BatchNormalization"],
        ["Conv", "BatchNormalization", "Clip"],
        ["Conv", "BatchNormalization", "Clip"],
        ["Conv", "BatchNormalization", "Add"],
        ["GlobalAveragePool", "Flatten"],
        ["Gemm"],
        ["Softmax"],
    ]
    assert explanation.folded == {}
    assert "fused  Conv + BatchNormalization + Clip ×3, first 'Conv_0'" in str(explanation)


def test_every_node_of_the_source_is_in_a_layer_or_folded():
    g = GraphBuilder(17, image=["batch", 8, 8, 8])
    x = g.node("Pad", "image", g.integers(0, 0, 1, 1, 0, 0, 1, 1))
    x = g.node("Identity", g.conv(x, 8, 8, 3, pads=[0, 0, 0, 0]))
    x = g.node("Mul", x, g.node("Sigmoid", x))
    x = g.node("Dropout", x)
    shape = g.node("Concat", g.node("Slice", g.node("Shape", x), *map(g.integers, (0, 1))),
                   g.integers(-1), axis=0)  # fmt: skip
    x = g.node("Mul", x, g.node("Sqrt", g.constant([4.0])))
    model = g.model(g.node("Reshape", x, shape))
    explanation = gossamer.explain(model)
    assert operators(explanation.layers[0])[:2] == ["Conv", "Pad"]
    assert {"Sigmoid", "Mul"} <= {op for layer in explanation.layers for op in operators(layer)}
    assert explanation.folded == {
        **{"Identity": 1, "Dropout": 1, "Shape": 1, "Slice": 1, "Concat": 1, "Sqrt": 1}
    }
    left = {node.name for layer in explanation.layers for node in layer.source}
    assert len(left) + sum(explanation.folded.values()) == len(model.graph.node)
    assert "folded away" in str(explanation)


def test_a_shuffle_says_what_it_was_and_that_it_moves_data():
    g = GraphBuilder(17, image=[1, 8, 4, 4])
    x = g.node("Reshape", "image", g.integers(1, 2, 4, 4, 4))
    x = g.node("Transpose", x, perm=[0, 2, 1, 3, 4])
    g.node("Reshape", x, g.integers(1, 8, 4, 4), output="y")
    explanation = gossamer.explain(g.model("y"))
    (layer,) = explanation.layers
    assert (layer.op, layer.moves_data) == ("shuffle", True)
    assert sorted(operators(layer)) == ["Reshape", "Reshape", "Transpose"]
    said = r"moving data +[\d.]+ ms in 1 of 1 layers: shuffle ×1, first 'Reshape_2'"
    assert re.search(said, str(explanation))


def test_layers_of_tensorflow_lite_models_say_where_they_come_from(tmp_path):
    path = tmp_path / "model.tflite"
    tensors = {name: Tensor((1, 4, 4, 3)) for name in "xyz"}
    ops = [Op("RELU", ["x"], "y"), Op("RELU6", ["y"], "z")]
    path.write_bytes(build(tensors, ops, ["x"], ["z"]))
    (layer,) = gossamer.explain(path).layers
    assert operators(layer) == ["RELU", "RELU6"]


def test_long_names_are_shortened_in_the_table_only():
    g = GraphBuilder(17, image=[1, 4, 4, 4])
    name = "/".join(["model", *["inner"] * 20, "relu"]) + ";other"
    g.node("Relu", "image", name=name, output="y")
    explanation = gossamer.explain(g.model("y"))
    assert explanation.layers[0].name == name
    (row,) = (line for line in str(explanation).splitlines() if "clamp" in line)
    assert re.match("….{32,38}/relu +clamp", row)
    assert name in explanation.html()


def test_a_goss_file_says_that_its_source_knows_more():
    explanation = gossamer.explain(tiny_models.every_operator())
    assert {layer.source for layer in explanation.layers} == {()}
    assert any("does not say what was fused" in note for note in explanation.notes)


@pytest.mark.parametrize("data", [tiny_models.every_operator(), tiny_models.windows()])
def test_every_layer_has_a_row_with_a_kernel_and_a_reason(data):
    explanation = gossamer.explain(data)
    session = gossamer.InferenceSession(data)
    assert [layer.name for layer in explanation.layers] == [row.name for row in session.layers()]
    assert [layer.kernel for layer in explanation.layers] == [r.kernel for r in session.layers()]
    assert all(layer.why for layer in explanation.layers)


# ---- Models, targets, refusals ------------------------------------------------------------------


def test_a_model_is_a_file_its_content_or_an_embedded_name(tmp_path):
    path = tmp_path / "net.goss"
    path.write_bytes(tiny_models.every_operator())
    save(mobilenet(17), tmp_path / "net.onnx")
    assert gossamer.explain(path).layers == gossamer.explain(tiny_models.every_operator()).layers
    assert gossamer.explain(str(tmp_path / "net.onnx")).layers[0].source
    assert gossamer.explain("cifar10-mobilenet").zeros > 0.8


def test_a_pytorch_module_is_explained_as_it_would_be_converted():
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 1)
    )
    example = torch.zeros(2, 3, 9, 9)
    explanation = gossamer.explain(module, example_inputs=example)
    converted = gossamer.InferenceSession(gossamer.convert(module, None, example_inputs=example))
    assert explanation.model == "Sequential"
    assert [layer.shape for layer in explanation.layers] == [(2, 8, 7, 7), (2, 4, 7, 7)]
    assert [layer.kernel for layer in explanation.layers] == [
        layer.kernel for layer in converted.layers()
    ]
    assert [layer.source[0].operator for layer in explanation.layers] == ["Conv", "Conv"]
    assert module.training
    with pytest.raises(gossamer.InputError, match="example_inputs: a tensor"):
        gossamer.explain(module)


@pytest.mark.parametrize("model", ["cifar10-mobilenet", tiny_models.windows(), mobilenet(17)])
def test_example_inputs_are_for_modules_only(model):
    with pytest.raises(gossamer.InputError, match="only a PyTorch module takes them"):
        gossamer.explain(model, example_inputs=[np.zeros(1)])


def test_open_dimensions_are_given_as_for_conversion():
    g = GraphBuilder(17, image=["batch", 3, "height", 8])
    model = g.model(g.conv("image", 4, 3))
    (layer,) = gossamer.explain(model, batch=2, dims={"height": 6}).layers
    assert layer.shape == (2, 4, 6, 8)


@pytest.mark.parametrize("target", ["cortex-a72", "cortex_a76"])
def test_times_that_nobody_measured_are_said_so_before_anything_else(target, capsys):
    explanation = gossamer.explain("cifar10-mobilenet", target=target)
    assert explanation.target == target.replace("-", "_")
    assert explanation.measured is None
    assert "estimates, never measured on such a core" in explanation.caveat
    report = str(explanation)
    assert report.splitlines()[2].startswith(f"Times for {explanation.target} are estimates, never")
    assert re.search(r"predicted +[\d.]+ ms, one thread, an estimate\n", report)
    assert "; costs simulated by llvm-mca " in report
    assert report.index("estimates, never") < report.index(explanation.verdict.headline[:20])
    page = explanation.html()
    assert page.index("estimates, never") < page.index("<section")
    assert cli.main(["explain", "cifar10-mobilenet", "--target", target, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["caveat"] == explanation.caveat


def test_measured_costs_have_no_caveat(unstructured):
    assert unstructured.caveat is None
    assert "estimate" not in str(unstructured)
    assert "estimate" not in unstructured.html()


def test_the_newer_core_is_faster_and_zeros_pay_on_both():
    times = {}
    for target in ("cortex_a72", "cortex_a76"):
        explanation = explain_network("4x1", 0.8, target)
        assert explanation.verdict.status is Status.PAYS
        times[target] = explanation.predicted_seconds
    assert times["cortex_a76"] < times["cortex_a72"]


def test_an_unknown_target_is_refused_with_those_that_there_are():
    with pytest.raises(gossamer.InputError, match="'wasm_relaxed'.*'abacus'"):
        gossamer.explain("cifar10-mobilenet", target="abacus")


def test_costs_that_cannot_predict_are_refused(tmp_path):
    path = tmp_path / "costs.json"
    cost_model.save(dataclasses.replace(cost_model.load("avx2"), operators=None), path)
    with pytest.raises(gossamer.InputError, match="older version"):
        gossamer.explain("cifar10-mobilenet", target="avx2", costs=path)


def test_a_host_whose_best_instruction_set_is_not_known_says_which_one_it_takes(
    monkeypatch, tmp_path
):
    known = cost_model.load("avx2")
    path = tmp_path / "costs.json"
    cost_model.save(dataclasses.replace(known, target="newest", operators=None), path)
    cost_model.save(known, path)
    monkeypatch.setattr(targets, "isas", lambda: ["newest", "avx2", "generic"])
    found = targets.find_target("host", path)
    assert (found.costs.target, found.isa) == ("avx2", "avx2")
    assert found.notes[0].startswith("for avx2, not for newest, which is this machine's best: ")
    monkeypatch.setattr(targets, "isas", lambda: ["newest", "generic"])
    with pytest.raises(gossamer.InputError, match="older version"):
        targets.find_target("host", path)


def test_only_this_machine_can_be_measured():
    with pytest.raises(gossamer.InputError, match="'wasm-simd' is no instruction set of this"):
        gossamer.explain("cifar10-mobilenet", target="wasm-simd", measure=True)


def test_a_broken_or_missing_model_is_named(tmp_path):
    (tmp_path / "broken.goss").write_bytes(b"GOSS" + bytes(100))
    with pytest.raises(gossamer.ModelError, match="broken.goss"):
        gossamer.explain(tmp_path / "broken.goss")
    with pytest.raises(gossamer.InputError, match="nowhere.onnx: no such file"):
        gossamer.explain("nowhere.onnx")


# ---- The command, JSON, the page ----------------------------------------------------------------


def test_json_holds_what_the_dataclasses_hold(capsys):
    assert cli.main(["explain", "cifar10-mobilenet", "--target", "wasm-simd", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == [field.name for field in dataclasses.fields(Explanation)]
    assert found["verdict"]["status"] in [status.value for status in Status]
    for layer in found["layers"]:
        assert list(layer) == [field.name for field in dataclasses.fields(LayerReport)]
        assert math.isfinite(layer["predicted_seconds"])
        assert 0 <= layer["share"] <= 1
    matrices = [layer["weights"] for layer in found["layers"] if layer["weights"]]
    assert all(0 <= share <= 1 for of in matrices for share in of["zeros_in_blocks"].values())
    api = gossamer.explain("cifar10-mobilenet", target="wasm_simd")
    assert found == json.loads(json.dumps(dataclasses.asdict(api)))


def test_the_command_prints_a_report_and_writes_a_page(tmp_path, capsys):
    page = tmp_path / "page.html"
    command = ["explain", "cifar10-mobilenet", "--target", "host", "--no-measure"]
    assert cli.main([*command, "--html", str(page)]) == 0
    report = capsys.readouterr().out
    assert report.startswith("cifar10-mobilenet\n\nThe zeros ")
    assert "node_softmax" in report
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert cli.main(["explain", "cifar10-mobilenet", "--target", "abacus"]) == 1
    assert "abacus" in capsys.readouterr().err


def test_the_page_needs_nothing_from_elsewhere_and_escapes_names():
    g = GraphBuilder(17, image=[1, 4, 4, 4])
    g.node("Relu", "image", name="<script>alert(1)</script>", output="y")
    page = gossamer.explain(g.model("y")).html()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert set(re.findall(r'(?:src|href)="([^"]*)"', page)) == {"data:,"}
    assert "http" not in page
    assert "@import" not in page
