"""Models that are quantized already: what is int8 there is int8 here."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_tflite
from models.onnx_graphs import GraphBuilder
from onnx import numpy_helper

import gossamer
from gossamer import cli
from gossamer.convert import importing, int8, passes
from gossamer.convert.ir import Graph
from gossamer.convert.quantization import Quantization

SHAPE = (1, 3, 12, 12)


def images(count: int, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(size=SHAPE).astype(np.float32) for _ in range(count)]


def network() -> onnx.ModelProto:
    """A small MobileNet: strides, depthwise, a residual, a classifier."""
    g = GraphBuilder(x=SHAPE)
    g.random = np.random.default_rng(0)
    x = g.node("Relu", g.conv("x", 8, 3, kernel=3, strides=[2, 2]))
    y = g.node("Clip", g.conv(x, 8, 1, kernel=3, group=8), g.constant(0.0), g.constant(6.0))
    x = g.node("Add", x, g.conv(y, 8, 8))
    x = g.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = g.node("Flatten", g.node("GlobalAveragePool", x))
    x = g.node("Gemm", x, g.weights(5, 8), g.weights(5), transB=1)
    return g.model(g.node("Softmax", x))


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As onnxruntime's `quantize_static` writes it."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    folder = tmp_path_factory.mktemp("qdq")
    onnx.save(network(), folder / "f32.onnx")

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.items = iter([{"x": image} for image in images(8)])

        def get_next(self):
            return next(self.items, None)

    quantization.quantize_static(
        folder / "f32.onnx", folder / "qdq.onnx", Reader(), per_channel=True,
        weight_type=quantization.QuantType.QInt8,
    )  # fmt: skip
    return folder / "qdq.onnx"


def imported(path: Path) -> Graph:
    graph = importing.import_model(path, 1, quantized=True)
    passes.optimize(graph)
    return int8.quantize_as_source(graph)


def kinds(graph: Graph) -> list[tuple[str, str]]:
    return [(node.op, node.output.dtype) for node in graph.nodes]


def test_what_onnxruntime_quantized_runs_in_int8(quantized: Path) -> None:
    graph = imported(quantized)
    assert kinds(graph) == [
        ("quantize", "u7"),
        ("conv", "u7"),
        ("conv", "u7"),
        ("conv", "u7"),
        ("max_pool", "u7"),
        ("global_average_pool", "u7"),
        ("flatten", "u7"),
        ("fully_connected", "f32"),
        ("softmax", "f32"),
    ]


def test_weights_keep_their_numbers_and_scales(quantized: Path) -> None:
    stored = {
        proto.name: numpy_helper.to_array(proto) for proto in onnx.load(quantized).graph.initializer
    }
    convs = [node for node in imported(quantized).nodes if node.op == "conv"]
    for node in convs:
        found = node.inputs[1]
        (name,) = (
            name
            for name, data in stored.items()
            if data.dtype == np.int8 and data.shape == found.data.shape
            and np.array_equal(data, found.data)
        )  # fmt: skip
        np.testing.assert_array_equal(found.scales, stored[name.replace("quantized", "scale")])


def test_activations_keep_their_ranges(quantized: Path) -> None:
    graph = importing.import_model(quantized, 1, quantized=True)
    passes.optimize(graph)
    bounds = {node.name: node.output.bounds for node in graph.nodes}
    for node in int8.quantize_as_source(graph).nodes:
        if node.output.dtype == "u7" and bounds.get(node.name):
            found = Quantization(node.output.scale, node.output.zero_point)
            low, high = bounds[node.name]
            assert abs(found.low - low) <= found.scale and abs(found.high - high) <= found.scale


def test_dequantized_it_computes_with_the_numbers_that_are_meant(quantized: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = gossamer.InferenceSession(gossamer.convert(quantized, None, dequantize=True))
    assert all("i8" not in layer.kernel for layer in session.layers())
    theirs = onnxruntime.InferenceSession(quantized, providers=["CPUExecutionProvider"])
    for image in images(4, seed=1):
        (found,), (wanted,) = (s.run(None, {"x": image}) for s in (session, theirs))
        np.testing.assert_allclose(found, wanted, atol=0.03)


def test_it_answers_as_onnxruntime_does(quantized: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = gossamer.InferenceSession(gossamer.convert(quantized, None))
    theirs = onnxruntime.InferenceSession(quantized, providers=["CPUExecutionProvider"])
    for image in images(4, seed=1):
        (found,), (wanted,) = (s.run(None, {"x": image}) for s in (session, theirs))
        np.testing.assert_allclose(found, wanted, atol=0.06)


def pytorch_style(*, clip: tuple[int, int] | None = None) -> onnx.ModelProto:
    """Quantized between layers, weights in one go; 7 bits are a Clip between the two."""
    g = GraphBuilder(x=SHAPE)

    def rounded(x: str, scale: float, zero: int) -> str:
        parameters = g.constant(scale), g.constant(zero, np.uint8)
        x = g.node("QuantizeLinear", x, *parameters)
        if clip:
            x = g.node("Clip", x, *(g.constant(end, np.uint8) for end in clip))
        return g.node("DequantizeLinear", x, *parameters)

    numbers = g.random.integers(-127, 128, (4, 3, 1, 1))
    weights = g.node(
        "DequantizeLinear", g.constant(numbers, np.int8), g.constant(0.01), g.constant(0, np.int8)
    )
    x = g.node("Conv", rounded("x", 0.05, 100), weights, g.weights(4))
    return g.model(rounded(x, 0.25 if clip else 0.125, 0))


def graph_of(model: onnx.ModelProto) -> Graph:
    graph = importing.import_model(model, 1, quantized=True)
    passes.optimize(graph)
    return int8.quantize_as_source(graph)


@pytest.mark.parametrize("clip", [None, (0, 127)])
def test_a_relu_that_the_range_made_needless_is_still_one(clip: tuple[int, int] | None) -> None:
    for quantize in (True, False):
        graph = importing.import_model(pytorch_style(clip=clip), 1, quantized=quantize)
        passes.optimize(graph)
        (conv,) = (node for node in graph.nodes if node.op == "conv")
        assert conv.attributes["min"] == 0
        assert conv.attributes["max"] == pytest.approx(127 * 0.25 if clip else 255 * 0.125)


def test_seven_bits_that_are_a_clip_stay_what_they_are() -> None:
    graph = graph_of(pytorch_style(clip=(0, 127)))
    x, y = (node.output for node in graph.nodes if node.output.dtype == "u7")
    assert (x.scale, x.zero_point) == (pytest.approx(0.05), 100)
    assert (y.scale, y.zero_point) == (0.25, 0)


def test_a_layer_whose_result_is_not_quantized_stays_f32() -> None:
    g = GraphBuilder(x=SHAPE)
    parameters = g.constant(0.05), g.constant(100, np.uint8)
    x = g.node("DequantizeLinear", g.node("QuantizeLinear", "x", *parameters), *parameters)
    graph = graph_of(g.model(g.node("Sigmoid", g.conv(x, 4, 3))))
    assert [node.op for node in graph.nodes] == ["conv"]
    assert graph.nodes[0].attributes["activation"] == "sigmoid"


def test_activations_of_16_bits_stay_f32() -> None:
    g = GraphBuilder(opset=21, x=SHAPE)
    parameters = g.constant(0.001), g.constant(0, np.int16)

    def rounded(x: str) -> str:
        return g.node("DequantizeLinear", g.node("QuantizeLinear", x, *parameters), *parameters)

    graph = graph_of(g.model(rounded(g.conv(rounded("x"), 4, 3))))
    assert {node.output.dtype for node in graph.nodes} == {"f32"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("relu between", "quantized numbers are read"),
        ("other scale", "scale 0.1 and zero point 100 where QuantizeLinear has 0.05 and 100"),
        ("output", "quantized; real numbers expected"),
        ("channels", "3 scales of a computed tensor"),
    ],
)
def test_rounding_that_is_not_plain_is_refused(change: str, message: str) -> None:
    g = GraphBuilder(x=SHAPE)
    scale = g.constant([0.05] * 3) if change == "channels" else g.constant(0.05)
    zero = g.constant([100] * 3 if change == "channels" else 100, np.uint8)
    x = g.node("QuantizeLinear", "x", scale, zero, axis=1)
    if change == "relu between":
        x = g.node("MaxPool", x, kernel_shape=[2, 2])
    if change == "other scale":
        scale = g.constant(0.1)
    if change != "output":
        x = g.node("DequantizeLinear", x, scale, zero, axis=1)
    with pytest.raises(gossamer.UnsupportedError, match=message):
        gossamer.convert(g.model(x), None)


def test_the_command_says_what_becomes_int8(quantized: Path, tmp_path: Path, capsys) -> None:
    arguments = ["convert", str(quantized), str(tmp_path / "model.goss")]
    assert cli.main(arguments) == 0
    assert "activations have 7 bits" in capsys.readouterr().err
    assert cli.main([*arguments, "--dequantize"]) == 0
    assert capsys.readouterr().err == ""


# ---- TensorFlow Lite ----------------------------------------------------------------------------


def tflite_conv(tmp_path: Path, numbers: np.ndarray, dtype: str, zero: int) -> Path:
    """A convolution 1x1 of 4 channels to 2, all of it quantized."""
    tensors = {
        "x": tiny_tflite.Tensor((1, 3, 3, 4), dtype="i1", scale=(0.1,), zero=(-28,)),
        "w": tiny_tflite.constant(numbers, dtype, scale=(0.5,), zero=(zero,)),
        "b": tiny_tflite.constant([10, -10], "i4", scale=(0.05,), zero=(0,)),
        "y": tiny_tflite.Tensor((1, 3, 3, 2), dtype="i1", scale=(0.2,), zero=(-128,)),
    }
    options = {"Padding": 1, "StrideW": 1, "StrideH": 1}
    op = tiny_tflite.Op("CONV_2D", ["x", "w", "b"], "y", options, "Conv2DOptions")
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite.build(tensors, [op], ["x"], ["y"]))
    return path


def test_tflite_layers_run_in_int8_with_their_numbers(tmp_path: Path) -> None:
    numbers = np.arange(-4, 4).reshape(2, 1, 1, 4)
    graph = imported(tflite_conv(tmp_path, numbers, "i1", 0))
    assert kinds(graph) == [("quantize", "u7"), ("conv", "u7"), ("dequantize", "f32")]
    weights = graph.nodes[1].inputs[1]
    np.testing.assert_array_equal(weights.data.ravel(), numbers.ravel())
    assert weights.scales.tolist() == [0.5, 0.5]
    assert graph.nodes[1].attributes["min"] == 0, "its range begins at zero"
    np.testing.assert_array_equal(graph.nodes[1].inputs[2].data, np.float32([0.5, -0.5]))


def test_weights_with_a_zero_point_are_kept_where_they_fit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    numbers = np.array([[0, 100, 200, 227], [255, 100, 100, 100]]).reshape(2, 1, 1, 4)
    with caplog.at_level(logging.INFO, "gossamer.convert"):
        graph = imported(tflite_conv(tmp_path, numbers, "u1", 100))
    weights = graph.nodes[1].inputs[1]
    assert weights.data[0].ravel().tolist() == [-100, 0, 100, 127]
    assert weights.data[1].ravel().tolist() == [127, 0, 0, 0]
    assert weights.scales.tolist() == [0.5, pytest.approx(155 * 0.5 / 127)]
    assert "1 output channels have weights beyond -127..127" in caplog.text
    assert "7 bits" in caplog.text
