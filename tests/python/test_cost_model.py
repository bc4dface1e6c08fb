"""Costs of storing weights: the tables that ship, files of one's own, measuring."""

import dataclasses
import json
from dataclasses import astuple

import numpy as np
import pytest
from models import onnx_graphs

import gossamer
from gossamer.cli import main
from gossamer.convert import calibration, cost_model
from gossamer.convert.cost_model import (
    KINDS,
    STEPS,
    Area,
    BlockCost,
    CostModel,
    MatrixCost,
    OperatorCosts,
    StepCost,
    StoredMatrix,
)
from gossamer.convert.ir import Graph, Node, Value, no_clamp
from gossamer.convert.lower import lower
from gossamer.convert.pack import Use, choose_storage

SHIPPED = sorted(json.loads(cost_model.SHIPPED.read_text()))
CONV = MatrixCost({n: BlockCost(n, n, n) for n in (1, 2, 4, 8)})
OPERATORS = OperatorCosts(
    lanes=4,
    registers=16,
    run=5e6,
    layer=1e5,
    far_byte=40.0,
    steps={name: StepCost(1000.0 + index, 10.0 * index) for index, name in enumerate(STEPS)},
)
FULLY_CONNECTED = MatrixCost({n: BlockCost(1, 2, 3) for n in (1, 2, 4, 8)})
COSTS = CostModel("mine", "here", CONV, FULLY_CONNECTED, OPERATORS)


def test_every_browser_and_desktop_instruction_set_ships():
    assert {"avx2", "avx512", "avx512_vnni", "generic", "wasm_relaxed", "wasm_simd"} <= set(SHIPPED)
    assert cost_model.DEFAULT_TARGET in SHIPPED


@pytest.mark.parametrize("target", SHIPPED)
def test_zeros_pay_on_every_target(target):
    costs = cost_model.load(target)
    random = np.random.default_rng(0)
    weights = random.normal(size=(256, 256)) * np.repeat(random.random((64, 256)) >= 0.3, 4, axis=0)
    assert choose_storage(weights, Use.CONV, costs).reason.startswith("sparse")
    assert choose_storage(np.ones((256, 256)), Use.CONV, costs).reason.startswith("dense")


SIMULATED = {"cortex_a72", "cortex_a76"}


@pytest.mark.parametrize("target", SHIPPED)
def test_costs_say_whether_anybody_measured_them(target, tmp_path):
    costs = cost_model.load(target)
    assert costs.simulated == (target in SIMULATED)
    assert (costs.caveat is None) == (target not in SIMULATED)
    if costs.simulated:
        assert "never measured" in costs.caveat
        assert "llvm-mca" in costs.caveat
        costs.need_operators()
        assert costs.of_i8("conv") == costs.i8_conv
    cost_model.save(costs, tmp_path / "costs.json")
    assert cost_model.load(target, tmp_path / "costs.json") == costs
    (table,) = json.loads((tmp_path / "costs.json").read_text()).values()
    assert ("simulated" in table, "measured" in table) == (costs.simulated, not costs.simulated)


def test_who_converts_for_a_core_that_nobody_measured_is_told(caplog):
    model = onnx_graphs.mobilenet(17, size=32)
    gossamer.convert(model, None)
    assert not caplog.records
    gossamer.convert(model, None, target="cortex-a72")
    assert ["never measured" in record.message for record in caplog.records] == [True]
    inputs = [np.ones((1, 3, 32, 32), np.float32)] * 2
    for target, told in (("cortex-a76", True), ("generic", False)):
        pruned = gossamer.prune(model, None, sparsity=0.5, target=target)
        whole = gossamer.quantize(model, None, data=inputs, sensitivity=False, target=target)
        for report in (pruned, whole):
            assert any("never measured" in note for note in report.notes) == told


def test_int8_costs_what_f32_does_until_it_is_measured(tmp_path):
    assert COSTS.of_i8("conv").blocks == {rows: CONV.blocks[rows] for rows in (1, 4)}
    measured = MatrixCost({1: BlockCost(5, 6, 7), 4: BlockCost(8, 9, 10)})
    cost_model.save(dataclasses.replace(COSTS, i8_conv=measured), tmp_path / "costs.json")
    found = cost_model.load("mine", tmp_path / "costs.json")
    assert found.of_i8("conv") == measured
    assert found.i8_fully_connected is None
    assert found.of_i8("fully_connected").blocks[4] == FULLY_CONNECTED.blocks[4]


def test_costs_of_rows_that_blocks_do_not_divide():
    # 40 weights of blocks and 1 row of blocks at 4 each; 20 single weights and 2 rows at 1 each
    assert CONV.picoseconds(StoredMatrix(6, 10, 4)) == 40 * 4 + 4 + 20 + 2
    # 7 blocks and 1 row of blocks at 4 each; 3 single weights and 2 rows at 1 each
    assert CONV.picoseconds(StoredMatrix(6, 10, 4, 7, 3)) == 8 * 4 + 5


def test_blocks_are_paid_for_each_pixel_and_once_more_for_each_tile():
    costs = MatrixCost({n: BlockCost(1, 2, 0, 100) for n in (1, 2, 4, 8)})
    matrix = StoredMatrix(8, 10, 4, blocks=7, singles=0)
    assert costs.picoseconds(matrix, Area(12, {1: 9, 4: 3})) == 7 * (12 * 2 + 3 * 100)


@pytest.mark.parametrize(
    ("pixels", "tiles"),
    # Vectors of 4; 16 registers make tiles of 8, 4, 2 and 1 of them for 1, 2, 4 and 8 rows.
    [
        (256, (8, 16, 32, 64)),
        (49, (1 + 1 + 1, 3 + 1, 7, 13)),
        (1, (1, 1, 1, 1)),
        (28, (3, 3, 4, 7)),
    ],
)
def test_pixels_are_cut_into_tiles_as_the_kernels_cut_them(pixels, tiles):
    area = OPERATORS.area({pixels: 3})
    assert area.tiles == {rows: 3 * n for rows, n in zip((1, 2, 4, 8), tiles, strict=True)}
    assert area.pixels == 3 * -(-pixels // 4) * 4


def test_targets_are_found_by_names_with_hyphens():
    assert cost_model.load("wasm-relaxed") == cost_model.load("wasm_relaxed")


def test_older_costs_still_choose_storage_and_say_that_they_cannot_predict(tmp_path):
    path = tmp_path / "costs.json"
    path.write_text(broken(lambda t: t.pop("operators")))
    costs = cost_model.load("avx2", path)
    assert choose_storage(np.ones((8, 8)), Use.CONV, costs).reason.startswith("dense")
    with pytest.raises(gossamer.InputError, match="'avx2'.*older.*--calibrate"):
        costs.need_operators()


def test_a_file_keeps_other_targets(tmp_path):
    path = tmp_path / "costs.json"
    cost_model.save(COSTS, path)
    other = CostModel("other", "there", COSTS.fully_connected, CONV)
    cost_model.save(other, path)
    assert cost_model.load("mine", path) == COSTS
    assert cost_model.load("other", path) == other


def broken(change):
    table = json.loads(cost_model.SHIPPED.read_text())["avx2"]
    change(table)
    return json.dumps({"avx2": table})


@pytest.mark.parametrize(
    "content",
    [
        "no json",
        "[]",
        '{"avx2": 3}',
        broken(lambda t: t.pop("measured")),
        broken(lambda t: t["conv"].pop("2")),
        broken(lambda t: t["conv"]["2"].update(block="fast")),
        broken(lambda t: t["conv"]["2"].update(block=-1)),
        broken(lambda t: t["conv"]["2"].update(weight=0)),
        broken(lambda t: t["conv"]["2"].update(unknown=1)),
        broken(lambda t: t["fully_connected"]["8"].update(row=float("nan"))),
        broken(lambda t: t.pop("fully_connected")),
        broken(lambda t: t["operators"].pop("lanes")),
        broken(lambda t: t["operators"].update(far_byte=-1)),
        broken(lambda t: t["operators"]["steps"].pop("softmax")),
        broken(lambda t: t["operators"]["steps"]["silu"].update(vector=0)),
    ],
)
def test_a_file_that_is_wrong_is_named(tmp_path, content):
    path = tmp_path / "costs.json"
    path.write_text(content)
    with pytest.raises(gossamer.InputError, match="costs.json"):
        cost_model.load("avx2", path)


def test_a_target_without_costs_is_refused_with_what_there_is():
    with pytest.raises(gossamer.InputError, match="'avx2'.*'abacus'.*--calibrate"):
        cost_model.load("abacus")
    with pytest.raises(gossamer.InputError, match="nowhere.json"):
        cost_model.load("avx2", "nowhere.json")


@pytest.fixture(scope="module")
def calibration_networks():
    return calibration.networks()


def test_the_measured_networks_have_the_layers_that_they_say(calibration_networks):
    files, stages = calibration_networks
    sessions = {name: gossamer.InferenceSession(data) for name, data in files.items()}
    layers = {layer.name: layer for layer in sessions["layers"].layers()}
    for probe in (probe for stage in stages for probe in stage):
        if not probe.node:
            assert len(sessions[probe.network].layers()) == len(probe.graph.nodes)
        elif probe.matrix:
            layer, matrix = layers[probe.node.name], probe.matrix
            i8 = probe.node.inputs[1].dtype == "i8"
            dtype, channels = ("i8", 4) if i8 else ("f32", 1)
            assert layer.kernel.endswith(f"_{dtype}_{matrix.block_rows}x{channels}")
            assert ("sparse" in layer.reason) == (matrix.blocks is not None)
            stored = sum(rows * blocks for rows, _, blocks in matrix.parts())
            assert layer.nonzeros == channels * stored


@pytest.mark.parametrize("isa", gossamer.isas())
def test_vectors_have_the_lanes_that_calibration_says(isa):
    """A plane of one pixel takes one vector; the clamp works in place."""
    planes = Value("x", (1, 64, 1, 1))
    y = Value("y", planes.shape)
    graph = Graph("planes", [planes], {"y": y}, [Node("clamp", "", "", [planes], y, no_clamp())])
    session = gossamer.InferenceSession(lower(graph, {}), gossamer.SessionOptions(isa=isa))
    assert session.info.tensor_bytes == 64 * 4 * calibration.VECTORS[isa][0]


def invented(stages, costs):
    """The timings that costs would give."""
    layers, runs = {}, {}
    for probe in (probe for stage in stages for probe in stage):
        if probe.node:
            layers[probe.node.name] = probe.seconds(costs)
        else:
            runs[probe.network] = calibration.Timing({}, probe.seconds(costs))
    return {"layers": calibration.Timing(layers, sum(layers.values())), **runs}


def test_fitting_finds_costs_that_give_the_times_back(calibration_networks):
    _, stages = calibration_networks
    times = invented(stages, cost_model.load("wasm_simd"))
    found = calibration.fit("wasm_simd", times, stages, "nowhere")
    for probe in (probe for stage in stages for probe in stage):
        assert probe.seconds(found) == pytest.approx(probe.measured(times), rel=0.02)


def test_fitting_finds_the_costs_themselves(calibration_networks):
    _, stages = calibration_networks
    conv = MatrixCost({n: BlockCost(40, 70, 500, 900) for n in (1, 2, 4, 8)})
    connected = MatrixCost({n: BlockCost(90, 200, 300) for n in (1, 2, 4, 8)})
    made = CostModel("wasm_relaxed", "", conv, connected, OPERATORS)
    found = calibration.fit("wasm_relaxed", invented(stages, made), stages, "nowhere")
    for kind in KINDS:
        for rows, cost in getattr(made, kind).blocks.items():
            # With 16 registers a tile of 8 rows is one vector: its cost is that of 4 pixels.
            if (kind, rows) != ("conv", 8):
                assert getattr(found, kind).blocks[rows] == approximately(cost)
    for kind in KINDS:
        for rows, cost in made.of_i8(kind).blocks.items():
            assert found.of_i8(kind).blocks[rows] == approximately(cost)
    for name in ("far_byte", "run", "layer"):
        assert getattr(found.operators, name) == pytest.approx(getattr(OPERATORS, name), rel=0.02)
    for name, step in OPERATORS.steps.items():
        assert found.operators.steps[name].vector == pytest.approx(step.vector, rel=0.02)


def approximately(cost):
    return BlockCost(*(pytest.approx(value, rel=0.02, abs=1) for value in astuple(cost)))


@pytest.mark.parametrize("slowed", range(0, 40, 7))
def test_a_disturbed_measurement_gives_no_negative_costs(calibration_networks, slowed):
    _, stages = calibration_networks
    times = invented(stages, cost_model.load("avx2"))
    layers = times["layers"].layers
    layers[[name for name in layers if name.startswith("conv")][slowed]] *= 1000
    table = cost_model.to_table(calibration.fit("avx2", times, stages, "nowhere"))
    cost_model._check_numbers(table)


def test_calibrating_here_writes_costs_that_conversion_takes(tmp_path, capsys):
    path, isa = tmp_path / "costs.json", gossamer.isas()[-1]
    assert main(["bench", "--calibrate", str(path), "--isa", isa, "--runs", "2"]) == 0
    assert isa in capsys.readouterr().out
    assert cost_model.load(isa, path).target == isa


@pytest.mark.parametrize("arguments", [[], ["cifar10-mobilenet", "--calibrate", "costs.json"]])
def test_bench_takes_a_model_or_a_file_to_write(arguments, capsys):
    assert main(["bench", *arguments]) == 1
    assert "MODEL or --calibrate" in capsys.readouterr().err
