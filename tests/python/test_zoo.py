"""The zoo's networks against onnxruntime, and what their arguments promise."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import reference

import gossamer
from gossamer import zoo

SMALL = {"width": 0.25, "resolution": 48, "classes": 11}


def expected(content: bytes, image: np.ndarray) -> np.ndarray:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})[0]


def assert_agrees(name: str, threads: int = 1, **arguments) -> gossamer.InferenceSession:
    resolution = arguments.get("resolution", 224)
    image = np.random.default_rng(1).normal(size=(1, 3, resolution, resolution)).astype(np.float32)
    session = gossamer.InferenceSession(
        zoo.build(name, **arguments), gossamer.SessionOptions(threads=threads)
    )
    wanted = expected(zoo.build_onnx(name, **arguments), image)
    (found,) = session.run(None, {"image": image})
    np.testing.assert_allclose(np.log(found), np.log(wanted), atol=1e-3)
    assert np.log(found).std() > 0.01, "random weights must not make every class equally likely"
    return session


@pytest.mark.parametrize("sparsity", [0, 0.5, 0.9])
@pytest.mark.parametrize("pattern", zoo.PATTERNS)
@pytest.mark.parametrize("name", zoo.NAMES)
def test_networks_agree_with_onnxruntime(name: str, pattern: str, sparsity: float) -> None:
    session = assert_agrees(name, pattern=pattern, sparsity=sparsity, **SMALL)
    kernels = [layer.kernel for layer in session.layers() if "pointwise" in layer.kernel]
    rows, _ = pattern.split("x")
    assert any(f"{rows}x1" in kernel for kernel in kernels), "f32 is stored in columns"


@pytest.mark.parametrize("resolution", [1, 7, 33])
@pytest.mark.parametrize("name", zoo.NAMES)
def test_odd_sizes_agree(name: str, resolution: int) -> None:
    assert_agrees(name, threads=3, resolution=resolution, width=0.3, classes=3)


@pytest.mark.parametrize("name", zoo.NAMES)
def test_full_size_agrees(name: str) -> None:
    assert_agrees(name, threads=2, sparsity=0.8)


@pytest.mark.parametrize("name", zoo.NAMES)
def test_importing_the_onnx_model_gives_the_same_network(name: str) -> None:
    onnx = pytest.importorskip("onnx")
    built = reference.read(zoo.build(name, **SMALL))
    model = onnx.load_from_string(zoo.build_onnx(name, **SMALL))
    imported = reference.read(gossamer.convert(model, None))
    assert imported.ops() == built.ops()


def test_pointwise_layers_have_the_zeros_asked_for() -> None:
    for pattern in zoo.PATTERNS:
        model = reference.read(zoo.build("mobilenet_v1", pattern=pattern, sparsity=0.7, **SMALL))
        shares = [
            1 - np.count_nonzero(tensor.weights) / tensor.weights.size
            for tensor in model.tensors
            if tensor.role == "weights" and tensor.dims[2:] == (1, 1) and tensor.dims[1] > 1
        ]
        assert len(shares) == 13
        few_blocks = 0.06 if pattern == "4x4" else 0.02
        np.testing.assert_allclose(shares, 0.7, atol=few_blocks)


def test_a_seed_decides_every_byte() -> None:
    build = zoo.build("efficientnet_b0", seed=5, **SMALL)
    assert build == zoo.build("efficientnet_b0", seed=5, **SMALL)
    assert build != zoo.build("efficientnet_b0", seed=6, **SMALL)
    onnx = zoo.build_onnx("efficientnet_b0", seed=5, **SMALL)
    assert onnx == zoo.build_onnx("efficientnet_b0", seed=5, **SMALL)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet"}, "name: one of mobilenet_v1, .* found 'resnet'"),
        ({"pattern": "3x1"}, "pattern: one of 1x1"),
        ({"dtype": "f16"}, "dtype: 'f32' or 'int8' expected, found 'f16'"),
        ({"sparsity": 1.0}, "sparsity: 0 to below 1"),
        ({"sparsity": float("nan")}, "sparsity: 0 to below 1"),
        ({"width": 0}, "width: above 0"),
        ({"resolution": 0}, "resolution: a whole number"),
        ({"resolution": 3.5}, "resolution: a whole number"),
        ({"classes": -1}, "classes: a whole number"),
        ({"seed": -1}, "seed: a whole number"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(gossamer.InputError, match=message):
        zoo.build(**{"name": "mobilenet_v1", **arguments})


def test_int8_networks_run_in_int8_and_leave_zero_blocks_out() -> None:
    data = zoo.build("mobilenet_v1", pattern="4x4", sparsity=0.7, dtype="int8", **SMALL)
    layers = gossamer.InferenceSession(data).layers()
    pointwise = [layer for layer in layers if layer.kernel == "pointwise_i8_4x4"]
    assert len(pointwise) == 13
    assert all(layer.reason.startswith("sparse") for layer in pointwise)


def test_an_onnx_model_in_int8_is_refused() -> None:
    with pytest.raises(gossamer.UnsupportedError, match="dtype: 'f32' expected of an ONNX model"):
        zoo.build_onnx("mobilenet_v1", dtype="int8")


def test_the_command_writes_both_formats(tmp_path) -> None:
    options = ["--width", "0.25", "--resolution", "32", "--pattern", "2x1", "--sparsity", "0.5"]
    command = [sys.executable, "-m", "gossamer", "zoo", "mobilenet_v2"]
    for suffix in (".goss", ".onnx"):
        path = tmp_path / f"net{suffix}"
        done = subprocess.run([*command, path, *options], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert path.stat().st_size > 100_000
    assert gossamer.InferenceSession(tmp_path / "net.goss").get_inputs()[0].shape == [1, 3, 32, 32]
    refused = subprocess.run([*command, tmp_path / "net.txt"], capture_output=True, text=True)
    assert refused.returncode == 1
    assert "ends in .goss or .onnx" in refused.stderr
