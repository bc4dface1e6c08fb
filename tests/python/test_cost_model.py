"""Costs of storing weights: the tables that ship, files of one's own, measuring."""

import json

import numpy as np
import pytest

import gossamer
from gossamer.cli import main
from gossamer.convert import calibration, cost_model
from gossamer.convert.cost_model import ConvCost, CostModel
from gossamer.convert.pack import Use, choose_storage

SHIPPED = sorted(json.loads(cost_model.SHIPPED.read_text()))
COSTS = CostModel("mine", "here", {n: ConvCost(n, n, n) for n in (1, 2, 4, 8)}, 1.0, 2.0)


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
    assert COSTS.dense_conv(rows=6, columns=10, block_rows=4) == 4 * 10 * 4 + 2 * 10 * 1
    # 7 blocks and 1 row of blocks at 4 each; 3 single weights and 2 rows at 1 each
    assert COSTS.sparse_conv(blocks=7, rows=6, singles=3, block_rows=4) == 8 * 4 + 5


def test_a_file_keeps_other_targets(tmp_path):
    path = tmp_path / "costs.json"
    cost_model.save(COSTS, path)
    other = CostModel("other", "there", COSTS.conv, 3.0, 4.0)
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
        broken(lambda t: t.update(fully_connected_weight=float("nan"))),
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
        assert f"{probe.block_rows}x1" in layer.kernel or "fully_connected" in layer.kernel
        assert ("sparse" in layer.reason) == (probe.density < 1)


def test_fitting_finds_the_costs_that_made_the_times():
    _, probes = calibration.network()
    pixels = calibration.SIDE**2
    seconds = {}
    for probe in probes:
        blocks = probe.nonzeros / probe.block_rows
        sparse = blocks * 70 + calibration.CHANNELS / probe.block_rows * 500
        picoseconds = probe.nonzeros * 40 if probe.density == 1 else sparse
        conv = probe.layer.startswith("conv")
        seconds[probe.layer] = picoseconds * (pixels if conv else 1) / 1e12
    found = calibration.fit("test", seconds, probes, "nowhere")
    for cost in found.conv.values():
        assert (cost.weight, cost.block, cost.row) == pytest.approx((40, 70, 500), rel=0.01)
    assert found.fully_connected_weight == pytest.approx(40)


@pytest.mark.parametrize("disturbed", [0, -1])
def test_a_disturbed_measurement_gives_no_negative_costs(disturbed):
    _, probes = calibration.network()
    seconds = {probe.layer: probe.nonzeros * 1e-9 for probe in probes}
    sparse = [p for p in probes if p.layer.startswith("conv") and p.density < 1]
    for rows in (1, 2, 4, 8):
        mine = sorted((p for p in sparse if p.block_rows == rows), key=lambda p: p.nonzeros)
        seconds[mine[disturbed].layer] *= 1000
    for cost in calibration.fit("test", seconds, probes, "nowhere").conv.values():
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
