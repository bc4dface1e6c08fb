"""Benchmarks: what they count, and that measuring changes no result."""

from __future__ import annotations

import json

import numpy as np
import pytest

import gossamer
from gossamer import _native, cli, zoo

SMALL = {"width": 0.25, "resolution": 32, "classes": 5}


@pytest.fixture(scope="module")
def model() -> bytes:
    return zoo.build("mobilenet_v2", **SMALL)


@pytest.mark.parametrize("isa", [None, *gossamer.isas()])
def test_peak_is_a_rate(isa: str | None) -> None:
    assert 1e8 < gossamer.peak_macs_per_second(isa) < 1e13


@pytest.mark.parametrize("binding", _native.BINDINGS)
def test_each_binding_counts_multiply_adds(binding: str) -> None:
    engine = _native.engine(binding)
    assert engine.multiply_adds(None, 100) == 10 * engine.multiply_adds(None, 10) > 0


def test_unknown_isa_has_no_peak() -> None:
    with pytest.raises(gossamer.InputError, match="'mmx' does not exist here"):
        gossamer.peak_macs_per_second("mmx")


@pytest.mark.parametrize("threads", [1, 2])
def test_profiling_computes_what_running_does(model: bytes, threads: int) -> None:
    session = gossamer.InferenceSession(model, gossamer.SessionOptions(threads=threads))
    image = {"image": np.random.default_rng(0).normal(size=(1, 3, 32, 32)).astype("f4")}
    other = {"image": np.zeros((1, 3, 32, 32), "f4")}
    (before,) = session.run(None, image)
    seconds = session.profile(other, runs=3)
    assert [len(times) for times in seconds] == [3] * len(session.layers())
    assert all(time > 0 for times in seconds for time in times)
    (after,) = session.run(None, image)
    np.testing.assert_array_equal(before, after)


def test_layers_run_in_order_only(model: bytes) -> None:
    native = gossamer.InferenceSession(model)._native
    native.run_layer(0)
    native.run_layer(1)
    with pytest.raises(gossamer.InputError, match="layer 5 asked for, .* turn of layer 2"):
        native.run_layer(5)
    native.run_layer(2)
    native.run_layer(0)
    with pytest.raises(gossamer.InputError, match="turn of layer 1"):
        native.run_layer(3)


def test_layer_by_layer_is_the_same_to_the_bit(model: bytes) -> None:
    native = gossamer.InferenceSession(model)._native
    for tensor in native.inputs:
        tensor.view[:] = bytes(len(tensor.view))
    native.run()
    whole = bytes(native.outputs[0].view)
    native.outputs[0].view[:] = bytes(len(whole))
    for index in range(native.info["layers"]):
        native.run_layer(index)
    assert bytes(native.outputs[0].view) == whole


def test_moved_bytes_count_tensors_and_weights(model: bytes) -> None:
    layer = gossamer.InferenceSession(model).layers()[0]
    assert layer.tensor_bytes == 4 * (3 * 32 * 32 + 8 * 16 * 16)


def test_benchmark_adds_up(model: bytes) -> None:
    session = gossamer.InferenceSession(model, gossamer.SessionOptions(threads=1))
    measured = gossamer.benchmark(session, runs=4)
    assert len(measured.seconds) == 4
    assert measured.median_seconds > 0
    assert (measured.isa, measured.threads) == (session.isa, 1)
    for layer, known in zip(measured.layers, session.layers(), strict=True):
        assert (layer.name, layer.kernel) == (known.name, known.kernel)
        assert layer.macs_per_second * layer.seconds == pytest.approx(known.macs)
        assert layer.moved_bytes == known.tensor_bytes + known.weight_bytes
    with pytest.raises(gossamer.InputError, match="runs"):
        gossamer.benchmark(session, runs=0)


def test_the_command_prints_a_table_and_json(model: bytes, tmp_path, capsys) -> None:
    path = tmp_path / "net.goss"
    path.write_bytes(model)
    assert cli.main(["bench", str(path), "--runs", "2", "--threads", "1"]) == 0
    table = capsys.readouterr().out
    assert "pointwise_f32_4x1" in table
    assert "GMAC/s a thread" in table
    assert cli.main(["bench", str(path), "--runs", "2", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert len(measured["seconds"]) == 2
    assert measured["layers"][0]["kernel"]
