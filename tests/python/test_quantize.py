"""Post-training quantization, with the engine: what it loses, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from models.onnx_graphs import GraphBuilder

import gossamer
from gossamer import cli, zoo
from gossamer.convert import int8_choice, read
from gossamer.quantize.ranges import Histogram, choose
from gossamer.quantize.report import QuantizeReport

SIZE = {"width": 0.25, "resolution": 32, "classes": 10}
FAST = {"sensitivity": False, "correct_bias": False}


def images(count: int, seed: int = 0) -> list[np.ndarray]:
    """Inputs whose neighbouring pixels are alike, as those of photos are."""
    random = np.random.default_rng(seed)
    coarse = random.normal(size=(count, 1, 3, 8, 8)).repeat(4, 3).repeat(4, 4)
    return list((coarse + 0.3 * random.normal(size=coarse.shape)).astype(np.float32))


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("quantize") / "f32.goss"
    path.write_bytes(zoo.build("mobilenet_v2", pattern="4x4", sparsity=0.5, **SIZE))
    return path


def quantized(path: Path, **options) -> tuple[bytes, QuantizeReport]:
    target = path.with_name("int8.goss")
    report = gossamer.quantize(path, target, **{"data": images(4), **FAST, **options})
    return target.read_bytes(), report


def scores(content: bytes, inputs: list[np.ndarray]) -> np.ndarray:
    session = gossamer.InferenceSession(content)
    return np.log(np.concatenate([session.run(None, {"image": image})[0] for image in inputs]))


@pytest.mark.parametrize("calibration", ["mse", "percentile", "minmax"])
def test_an_int8_network_answers_nearly_as_the_f32_one(pruned: Path, calibration: str) -> None:
    content, report = quantized(pruned, calibration=calibration)
    others = images(8, seed=1)
    found, wanted = scores(content, others), scores(pruned.read_bytes(), others)
    assert np.mean((found - wanted) ** 2) < 0.15 * np.var(wanted)
    assert report.signal_to_noise > 13 and 0 <= report.agreement <= 1
    assert report.file_bytes == len(content)


def test_zeros_stay_zeros_and_blocks_stay_blocks(pruned: Path) -> None:
    content, _ = quantized(pruned)
    before = {node.name: node for node in read.read_graph(pruned.read_bytes(), "f32").nodes}
    for node in read.read_graph(content, "int8").nodes:
        if node.op in int8_choice.MATRICES:
            zeros = before[node.name].inputs[1].data == 0
            assert (node.inputs[1].data[zeros.reshape(node.inputs[1].shape)] == 0).all()
    kernels = {layer.name: layer for layer in gossamer.InferenceSession(content).layers()}
    sparse = [
        layer for layer in kernels.values() if layer.weights and layer.nonzeros < layer.weights
    ]
    assert len(sparse) >= 30


def test_bias_correction_brings_the_means_back(pruned: Path) -> None:
    others = images(8)
    wanted = scores(pruned.read_bytes(), others).mean(axis=0)

    def shift(**options) -> float:
        found = scores(quantized(pruned, data=images(8), **options)[0], others).mean(axis=0)
        return float(np.abs(found - wanted).mean())

    assert shift(correct_bias=True) < shift(correct_bias=False)


def test_a_layer_stays_f32_on_request_and_conversions_show(pruned: Path) -> None:
    names = [node.name for node in read.read_graph(pruned.read_bytes(), "f32").nodes]
    content, report = quantized(pruned, keep_f32=[names[5]])
    layers = gossamer.InferenceSession(content).layers()
    place = [layer.name for layer in layers].index(names[5])
    assert [layer.op for layer in layers[place - 1 : place + 2]] == [
        "dequantize",
        "conv",
        "quantize",
    ]
    said = {layer.name: layer for layer in report.layers}
    assert (said[names[5]].dtype, said[names[5]].reason) == ("f32", "was asked for")
    assert said[names[-1]].reason == "softmax runs in f32 only"
    assert {said[name].dtype for name in names} == {"int8", "f32"}


def test_equalization_is_said() -> None:
    g = GraphBuilder(x=(1, 3, 32, 32))
    x = g.conv(g.node("Relu", g.conv("x", 8, 3)), 8, 8)
    report = gossamer.quantize(g.model(x), None, data=images(2), equalize=True, **FAST)
    assert report.notes == ("pairs of layers whose channels were equalized: 1",)


def test_sensitivity_is_measured_for_each_layer(pruned: Path) -> None:
    steps = []
    options = {"sensitivity": True, "correct_bias": True, "data": images(2)}
    _, report = quantized(pruned, **options, progress=lambda *step: steps.append(step))
    measured = [layer.signal_to_noise for layer in report.layers if layer.dtype == "int8"]
    assert all(noise is None or noise > 10 for noise in measured)
    alone = float(np.median([noise for noise in measured if noise is not None]))
    assert alone > report.signal_to_noise, "all layers together lose more"
    assert {"observing ranges", "counting activations", "correcting biases"} < {s[0] for s in steps}
    assert steps[-1][1] == steps[-1][2]


def test_pixels_are_quantized_in_front(tmp_path: Path) -> None:
    source = tmp_path / "net.onnx"
    source.write_bytes(zoo.build_onnx("mobilenet_v1", sparsity=0.0, **SIZE))
    metadata = {"image_mean": "127.5 127.5 127.5", "image_scale": "0.02 0.02 0.02"}
    random = np.random.default_rng(0)
    pixels = [random.integers(0, 256, (1, 32, 32, 3)).astype(np.uint8) for _ in range(4)]
    path = tmp_path / "int8.goss"
    gossamer.quantize(source, path, data=pixels, pixels="u8", metadata=metadata, **FAST)
    whole = gossamer.InferenceSession(path)
    real = gossamer.InferenceSession(gossamer.convert(source, None, pixels="u8", metadata=metadata))
    assert whole.layers()[0].op == "quantize_pixels"
    for image in pixels:
        found, wanted = (np.log(s.run(None, {"image": image})[0]) for s in (whole, real))
        assert np.abs(found - wanted).mean() < 0.25 * wanted.std()


def test_gates_and_tables_run_in_int8(tmp_path: Path) -> None:
    source = tmp_path / "net.goss"
    source.write_bytes(zoo.build("efficientnet_b0", sparsity=0.0, **SIZE))
    content, report = quantized(source, data=images(2))
    assert [layer.op for layer in report.layers if layer.dtype == "f32"] == ["softmax"]
    ops = {layer.op for layer in gossamer.InferenceSession(content).layers()}
    assert {"lookup", "multiply"} < ops
    found, wanted = scores(content, images(4)), scores(source.read_bytes(), images(4))
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": []}, "at least one picture or array"),
        ({"data": [np.zeros((1, 3, 8, 8), np.float32)]}, r"arrays of shape \[1, 3, 32, 32\]"),
        ({"calibration": "entropy"}, "calibration: percentile, minmax, mse expected"),
        ({"percentile": 50}, "percentile: above 50"),
        ({"limit": 0}, "limit: at least 1"),
        ({"keep_f32": ["nowhere"]}, "'nowhere' is no node of"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(pruned: Path, options, message: str) -> None:
    with pytest.raises(gossamer.InputError, match=message):
        gossamer.quantize(pruned, None, **{"data": images(1), **options})


def test_what_is_int8_already_is_refused(pruned: Path) -> None:
    content, _ = quantized(pruned)
    path = pruned.with_name("again.goss")
    path.write_bytes(content)
    for again in (
        lambda: gossamer.quantize(path, None, data=images(1)),
        lambda: gossamer.prune(path, None, sparsity=0.5),
    ):
        with pytest.raises(gossamer.UnsupportedError, match="is int8; the f32 network expected"):
            again()


def test_a_network_without_layers_to_quantize_is_refused() -> None:
    g = GraphBuilder(x=(1, 3, 8, 8))
    with pytest.raises(gossamer.InputError, match="nothing to quantize"):
        gossamer.quantize(g.model(g.node("Relu", "x")), None, data=[np.ones((1, 3, 8, 8), "f4")])


def test_numbers_that_are_not_finite_are_refused(pruned: Path) -> None:
    with pytest.raises(gossamer.InputError):
        gossamer.quantize(pruned, None, data=[np.full((1, 3, 32, 32), np.nan, np.float32)])


def test_the_command_does_what_the_function_does(pruned: Path, capsys) -> None:
    from PIL import Image

    folder = pruned.parent / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(random.integers(0, 256, (32, 32, 3)).astype(np.uint8)).save(
            folder / f"{number}_picture.png"
        )
    target = pruned.with_name("command.goss")
    scale = ["--metadata", "image_mean=128 128 128", "--metadata", "image_scale=0.02 0.02 0.02"]
    arguments = ["quantize", str(pruned), str(target), "--data", str(folder), *scale]
    arguments += ["--no-correct-bias"]
    assert cli.main([*arguments, "--no-sensitivity", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["file_bytes"] == target.stat().st_size
    assert report["calibration"] == "mse, 3 inputs"
    assert cli.main([*arguments, "--no-sensitivity", "--keep-f32", "conv_0"]) == 0
    out = capsys.readouterr().out
    assert "was asked for" in out and "signal to noise" in out


@pytest.mark.parametrize("dtype", ["f32", "int8"])
@pytest.mark.parametrize("pattern", ["4x4", "1x4"])
def test_the_zoo_has_blocks_of_quads(pattern: str, dtype: str) -> None:
    options = {"pattern": pattern, "sparsity": 0.7, "dtype": dtype, **SIZE}
    content = zoo.build("mobilenet_v1", **options)
    assert content == zoo.build("mobilenet_v1", **options)
    layers = gossamer.InferenceSession(content).layers()
    pointwise = [layer for layer in layers if layer.nonzeros < layer.weights]
    assert len(pointwise) == 13
    if dtype == "int8":
        assert all(pattern in layer.kernel for layer in pointwise)


def test_ranges_cover_what_each_calibration_promises() -> None:
    random = np.random.default_rng(0)
    x = np.append(random.normal(size=99_999), 30.0)
    histogram = Histogram(float(x.min()), float(x.max()))
    histogram.add(x.astype(np.float32))
    whole, most, best = (choose(histogram, c, 99.9) for c in ("minmax", "percentile", "mse"))
    assert whole.high == pytest.approx(30, abs=0.3)
    assert np.quantile(x, 0.999) - 0.05 <= most.high <= np.quantile(x, 0.999) + 0.1
    error = [((q.dequantize(q.quantize(x)) - x) ** 2).mean() for q in (whole, most, best)]
    assert error[2] <= min(error)
