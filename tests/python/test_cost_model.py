"""Costs of storing weights: the tables that ship, files of one's own, measuring."""

import json

import numpy as np
import pytest

import gossamer
from gossamer.cli import main
from gossamer.convert import calibration, cost_model
from gossamer.convert.cost_model import KINDS, BlockCost, CostModel, MatrixCost
from gossamer.convert.pack import Use, choose_storage

SHIPPED = sorted(json.loads(cost_model.SHIPPED.read_text()))
CONV = MatrixCost({n: BlockCost(n, n, n) for n in (1, 2, 4, 8)})
COSTS = CostModel("mine", "here", CONV, MatrixCost({n: BlockCost(1, 2, 3) for n in (1, 2, 4, 8)}))


def test_every_browser_and_desktop_instruction_set_ships():
    assert {"avx2", "avx512", "generic", "wasm_relaxed", "wasm_simd"} <= set(SHIPPED)
    assert cost_model.DEFAULT_TARGET in SHIPPED


@pytest.mark.parametrize("target", SHIPPED)
def test_zeros_pay_on_every_target(target):
    costs = cost_model.load(target)
    random = np.random.default_rng(0)
    weights = random.normal(size=(256, 256)) * np.repeat(random.random((64, 256)) >= 0.3, 4, axis=0)
    assert choose_storage(weights, Use.CONV, costs).reason.startswith("sparse")
    assert choose_storage(np.ones((256, 256)), Use.CONV, costs).reason.startswith("dense")


def test_costs_of_rows_that_blocks_do_not_divide():
    assert CONV.dense(rows=6, columns=10, block_rows=4) == 4 * 10 * 4 + 2 * 10 * 1
    # 7 blocks and 1 row of blocks at 4 each; 3 single weights and 2 rows at 1 each
    assert CONV.sparse(blocks=7, rows=6, singles=3, block_rows=4) == 8 * 4 + 5


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


def test_the_measured_network_has_the_layers_that_it_says():
    data, probes = calibration.network()
    layers = {layer.name: layer for layer in gossamer.InferenceSession(data).layers()}
    for probe in probes:
        layer = layers[probe.layer]
        assert layer.nonzeros == probe.nonzeros
        assert layer.op == probe.kind
        assert layer.kernel.endswith(f"_f32_{probe.block_rows}x1")
        assert ("sparse" in layer.reason) == (probe.density < 1)


def test_fitting_finds_the_costs_that_made_the_times():
    _, probes = calibration.network()
    pixels = calibration.SIDE**2
    made = {"conv": (40, 70, 500), "fully_connected": (90, 200, 300)}
    seconds = {}
    for probe in probes:
        weight, block, row = made[probe.kind]
        sparse = (probe.nonzeros * block + probe.rows * row) / probe.block_rows
        picoseconds = probe.nonzeros * weight if probe.density == 1 else sparse
        seconds[probe.layer] = picoseconds * (pixels if probe.kind == "conv" else 1) / 1e12
    found = calibration.fit("test", seconds, probes, "nowhere")
    for kind in KINDS:
        for cost in getattr(found, kind).blocks.values():
            assert (cost.weight, cost.block, cost.row) == pytest.approx(made[kind], rel=0.01)


@pytest.mark.parametrize("disturbed", [0, -1])
def test_a_disturbed_measurement_gives_no_negative_costs(disturbed):
    _, probes = calibration.network()
    seconds = {probe.layer: probe.nonzeros * 1e-9 for probe in probes}
    sparse = [p for p in probes if p.kind == "conv" and p.density < 1]
    for rows in (1, 2, 4, 8):
        mine = sorted((p for p in sparse if p.block_rows == rows), key=lambda p: p.nonzeros)
        seconds[mine[disturbed].layer] *= 1000
    for cost in calibration.fit("test", seconds, probes, "nowhere").conv.blocks.values():
        assert cost.block > 0
        assert cost.row >= 0


def test_calibrating_here_writes_costs_that_conversion_takes(tmp_path, capsys):
    path, isa = tmp_path / "costs.json", gossamer.isas()[-1]
    assert main(["bench", "--calibrate", str(path), "--isa", isa, "--runs", "2"]) == 0
    assert isa in capsys.readouterr().out
    assert cost_model.load(isa, path).target == isa


@pytest.mark.parametrize("arguments", [[], ["cifar10-mobilenet", "--calibrate", "costs.json"]])
def test_bench_takes_a_model_or_a_file_to_write(arguments, capsys):
    assert main(["bench", *arguments]) == 1
    assert "MODEL or --calibrate" in capsys.readouterr().err
