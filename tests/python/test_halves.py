"""Weights in f16: half of the file, and the numbers that they were rounded to."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from models.onnx_graphs import GraphBuilder
from surgery import GossFile

import gossamer
from gossamer import zoo
from gossamer.cli import main
from gossamer.convert.goss_file import Dtype, Model, Node, Op, Role, Storage, Tensor, write_model
from gossamer.convert.lower import lower
from gossamer.convert.pack import PATTERNS, pack_weights
from gossamer.convert.read import read_graph

FINITE = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
FINITE = FINITE[np.isfinite(FINITE)]


def times(weights: np.ndarray, block_rows: int = 1, storage: Storage = Storage.DENSE) -> bytes:
    """A fully connected layer with weights in f16."""
    packed = pack_weights(weights, block_rows, storage, "f16")
    tensors = [
        Tensor("x", Role.INPUT, (1, weights.shape[1])),
        Tensor("w", Role.WEIGHTS, weights.shape, packed, Dtype.F16),
        Tensor("y", Role.OUTPUT),
    ]
    limits = (-np.inf, np.inf)
    bias = pack_weights(np.zeros(len(weights)), 1, Storage.DENSE)
    tensors.append(Tensor("b", Role.WEIGHTS, (len(weights),), bias))
    return write_model(Model(tensors, [Node("times", Op.FULLY_CONNECTED, (0, 1, 3), 2, limits)]))


def columns(content: bytes, count: int) -> np.ndarray:
    """Give the weights back, as products with ones."""
    session = gossamer.InferenceSession(content)
    return np.stack(
        [session.run(None, {"x": row})[0][0] for row in np.eye(count, dtype="f4")[:, None]], 1
    )


@pytest.mark.parametrize("block_rows", PATTERNS.values())
@pytest.mark.parametrize("storage", [Storage.DENSE, Storage.SPARSE])
def test_every_half_is_loaded_as_the_number_that_it_is(block_rows: int, storage: Storage) -> None:
    weights = FINITE.reshape(-1, 64)
    found = columns(times(weights, block_rows, storage), 64)
    np.testing.assert_array_equal(found, weights.astype(np.float32))


@pytest.mark.parametrize("half", [0x7C00, 0xFC00, 0x7E00, 0xFFFF])
def test_halves_that_are_not_finite_are_refused(half: int) -> None:
    file = GossFile(times(np.ones((3, 5), np.float32)))
    file.put(file.section("weights")[0] + 2 * 7, half, 2)
    with pytest.raises(gossamer.ModelError, match="weights 'w': stored value 7 is not finite"):
        gossamer.InferenceSession(file.repair().bytes)


@pytest.mark.parametrize("storage", [Storage.DENSE, Storage.SPARSE])
def test_too_few_or_too_many_bytes_are_refused(storage: Storage) -> None:
    content = times(np.ones((3, 5), np.float32), 1, storage)
    for change in (-2, 2, 30):
        file = GossFile(content)
        place = file.record("tensors", 1) + 56
        file.put(place, file.get(place, 8) + change, 8)
        with pytest.raises(gossamer.ModelError, match="weights 'w': .* expected"):
            gossamer.InferenceSession(file.repair().bytes)


def test_what_is_no_weight_cannot_be_f16() -> None:
    file = GossFile(times(np.ones((3, 5), np.float32)))
    file.put(file.record("tensors", 0) + 4, Dtype.F16)
    with pytest.raises(gossamer.UnsupportedError, match="'x': dtype 5"):
        gossamer.InferenceSession(file.repair().bytes)


@pytest.mark.parametrize("zeros", [{}, {"pattern": "4x1", "sparsity": 0.8}])
def test_a_network_takes_half_of_the_file_and_answers_alike(zeros: dict) -> None:
    model = onnx.load_from_string(zoo.build_onnx("mobilenet_v2", resolution=64, **zeros))
    whole, halved = (gossamer.convert(model, None, weights=how) for how in ("f32", "f16"))
    assert len(halved) < 0.57 * len(whole)
    x = np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32)
    sessions = [gossamer.InferenceSession(content) for content in (whole, halved)]
    name = sessions[0].get_inputs()[0].name
    expected, found = (session.run(None, {name: x})[0] for session in sessions)
    assert 0 < np.abs(found - expected).max() < 1e-2 * expected.max()
    stored = [[layer.kernel for layer in session.layers()] for session in sessions]
    assert stored[0] == stored[1]
    assert sum(layer.weight_bytes for layer in sessions[1].layers()) > len(whole) * 0.99


def test_a_file_with_halves_is_read_and_written_as_the_same_bytes() -> None:
    model = onnx.load_from_string(zoo.build_onnx("mobilenet_v1", width=0.25, resolution=32))
    content = gossamer.convert(model, None, weights="f16")
    session = gossamer.InferenceSession(content)
    assert lower(read_graph(content, "halves"), session.metadata) == content


def test_numbers_that_f16_holds_are_stored_so_unasked() -> None:
    g = GraphBuilder(17, x=[1, 64])
    model = g.model(g.node("Gemm", "x", g.constant(FINITE[:4096].reshape(64, 64).astype("f4"))))
    assert len(gossamer.convert(model, None)) < 4 * 4096


@pytest.mark.parametrize("number", [65520.0, 1e-6])
def test_weights_that_f16_is_too_narrow_for_stay(number: float, tmp_path, capsys) -> None:
    weights = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    weights[5] = number
    g = GraphBuilder(17, x=[1, 64])
    onnx.save(
        g.model(g.node("Gemm", "x", g.constant(weights), name="wide", transB=1)),
        tmp_path / "m.onnx",
    )
    paths = [str(tmp_path / name) for name in ("m.onnx", "whole.goss", "halved.goss")]
    assert main(["convert", *paths[:2]]) == 0
    assert main(["convert", paths[0], paths[2], "--weights", "f16"]) == 0
    assert "'wide': weights beyond what f16 holds" in capsys.readouterr().err
    assert (tmp_path / "whole.goss").read_bytes() == (tmp_path / "halved.goss").read_bytes()


def test_another_type_is_refused() -> None:
    with pytest.raises(gossamer.InputError, match="weights: 'f32' or 'f16' expected, found 'bf16'"):
        gossamer.convert("model.onnx", None, weights="bf16")
