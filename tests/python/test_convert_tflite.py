from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
import tiny_tflite
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_tflite import Op, Tensor, constant

import gossamer

litert = pytest.importorskip("ai_edge_litert.interpreter")
RANDOM = np.random.default_rng(5)
QUANTIZED = (
    "mobilenet_v1_0.75_192_quant",
    "mobilenet_v2_1.0_224_quant",
    "tf2_mobilenet_v2_1.0_224_ptq",
)


def convert(path: Path, content: bytes, **options) -> gossamer.InferenceSession:
    file = path / "model.tflite"
    file.write_bytes(content)
    return gossamer.InferenceSession(gossamer.convert(file, None, **options))


def reference(source: bytes | Path, x: np.ndarray) -> np.ndarray:
    """What LiteRT computes, dequantized."""
    content = source if isinstance(source, bytes) else source.read_bytes()
    interpreter = litert.Interpreter(model_content=content)
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(given["index"], x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], x)
    interpreter.invoke()
    y = interpreter.get_tensor(found["index"])
    scale, zero = found["quantization"]
    return (y.astype(np.float32) - zero) * scale if scale else y


def run(session: gossamer.InferenceSession, x: np.ndarray) -> np.ndarray:
    """What Gossamer computes from pixels [N, H, W, C], or from rows."""
    planes = np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x
    (y,) = session.run(None, {session.get_inputs()[0].name: planes})
    return y.transpose(0, 2, 3, 1) if y.ndim == 4 else y


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


WINDOW = {"Padding": 0, "StrideH": 2, "StrideW": 1, "FusedActivationFunction": 3}


def conv(name: str = "CONV_2D", **changes) -> Op:
    kind = "Conv2DOptions" if name == "CONV_2D" else "DepthwiseConv2DOptions"
    options = WINDOW | {"DilationHFactor": 1, "DilationWFactor": 2} | changes
    if name != "CONV_2D":
        options["DepthMultiplier"] = 2
    return Op(name, ["x", "w", "b"], "y", options, kind)


# Each: what the tensors besides x and y are, the operators, and the shape of y.
MODELS = {
    "convolution": (
        {"w": constant(normal(5, 3, 3, 4)), "b": constant(normal(5))},
        [conv()],
        (1, 3, 7, 5),
    ),
    "without padding": (
        {"w": constant(normal(5, 3, 3, 4)), "b": constant(normal(5))},
        [conv(Padding=1, FusedActivationFunction=0)],
        (1, 2, 3, 5),
    ),
    "groups": (
        {"w": constant(normal(6, 1, 1, 2)), "b": constant(normal(6))},
        [conv(DilationWFactor=1, StrideH=1)],
        (1, 6, 7, 6),
    ),
    "depthwise": (
        {"w": constant(normal(1, 3, 3, 8)), "b": constant(normal(8))},
        [conv("DEPTHWISE_CONV_2D", StrideW=2, DilationWFactor=1, FusedActivationFunction=1)],
        (1, 3, 4, 8),
    ),
    "pixels in a row": (
        {
            "r": Tensor((1, 168)),
            "s": constant([-1, 168], "i4"),
            "w": constant(normal(3, 168)),
            "b": constant(normal(3)),
        },
        [
            Op("RESHAPE", ["x", "s"], "r"),
            Op("FULLY_CONNECTED", ["r", "w", "b"], "y", {}, "FullyConnectedOptions"),
        ],
        (1, 3),
    ),
    "mean": (
        {"axes": constant([1, 2], "i4")},
        [Op("MEAN", ["x", "axes"], "y", {"KeepDims": False}, "ReducerOptions")],
        (1, 4),
    ),
    "pad": (
        {"pads": constant([[0, 0], [1, 2], [0, 3], [0, 0]], "i4")},
        [Op("PAD", ["x", "pads"], "y")],
        (1, 9, 10, 4),
    ),
    "a constant for each channel": (
        {"c": constant(normal(4))},
        [Op("MUL", ["x", "c"], "y", {"FusedActivationFunction": 3}, "MulOptions")],
        (1, 6, 7, 4),
    ),
    "a difference": (
        {"c": constant(normal(1, 1, 1, 4))},
        [Op("SUB", ["c", "x"], "y", {"FusedActivationFunction": 0}, "SubOptions")],
        (1, 6, 7, 4),
    ),
    "half floats": (
        {"h": constant(normal(4), "f2"), "c": Tensor((4,))},
        [Op("DEQUANTIZE", ["h"], "c"), Op("ADD", ["x", "c"], "y", {}, "AddOptions")],
        (1, 6, 7, 4),
    ),
    "a sigmoid": ({}, [Op("LOGISTIC", ["x"], "y")], (1, 6, 7, 4)),
    "a power of a softmax": (
        {"s": Tensor((1, 6, 7, 4)), "c": constant([0.3, 2, 1, 0.5])},
        [Op("SOFTMAX", ["x"], "s", {"Beta": 1.0}, "SoftmaxOptions"), Op("POW", ["s", "c"], "y")],
        (1, 6, 7, 4),
    ),
    "a quotient over columns": (
        {"c": constant(np.abs(normal(7, 1)) + 1)},
        [Op("DIV", ["x", "c"], "y", {"FusedActivationFunction": 1}, "DivOptions")],
        (1, 6, 7, 4),
    ),
    "larger by columns": (
        {"c": constant(normal(1, 6, 1, 1))},
        [Op("MAXIMUM", ["x", "c"], "y", {}, "MaximumMinimumOptions")],
        (1, 6, 7, 4),
    ),
    "parametric relu": (
        {"c": constant(normal(1, 1, 4))},
        [Op("PRELU", ["x", "c"], "y")],
        (1, 6, 7, 4),
    ),
    "a sum of another rank": (
        {"m": Tensor((1, 7, 4)), "axes": constant([1], "i4")},
        [
            Op("REDUCE_MAX", ["x", "axes"], "m", {"KeepDims": False}, "ReducerOptions"),
            Op("ADD", ["x", "m"], "y", {}, "AddOptions"),
        ],
        (1, 6, 7, 4),
    ),
    "bilinear": (
        {"s": constant([11, 5], "i4")},
        [
            Op(
                "RESIZE_BILINEAR",
                ["x", "s"],
                "y",
                {"HalfPixelCenters": True},
                "ResizeBilinearOptions",
            )
        ],
        (1, 11, 5, 4),
    ),
    "bilinear by corners": (
        {"s": constant([12, 14], "i4")},
        [Op("RESIZE_BILINEAR", ["x", "s"], "y", {"AlignCorners": True}, "ResizeBilinearOptions")],
        (1, 12, 14, 4),
    ),
    "bilinear as of old": (
        {"s": constant([12, 9], "i4")},
        [Op("RESIZE_BILINEAR", ["x", "s"], "y", {"AlignCorners": False}, "ResizeBilinearOptions")],
        (1, 12, 9, 4),
    ),
    **{
        f"nearest {option}": (
            {"s": constant([13, 5], "i4")},
            [
                Op(
                    "RESIZE_NEAREST_NEIGHBOR",
                    ["x", "s"],
                    "y",
                    {option: True},
                    "ResizeNearestNeighborOptions",
                )
            ],
            (1, 13, 5, 4),
        )
        for option in ("AlignCorners", "HalfPixelCenters")
    },
    "transpose": (
        {"order": constant([0, 3, 2, 1], "i4")},
        [Op("TRANSPOSE", ["x", "order"], "y")],
        (1, 4, 7, 6),
    ),
    "strided slice": (
        {
            "b": constant([0, -1, 1, 0], "i4"),
            "e": constant([1, 0, 7, 3], "i4"),
            "s": constant([1, -2, 2, 1], "i4"),
        },
        [Op("STRIDED_SLICE", ["x", "b", "e", "s"], "y", {"BeginMask": 1}, "StridedSliceOptions")],
        (1, 3, 3, 3),
    ),
    "slice without an axis": (
        {
            "b": constant([0, 2, 0, 0], "i4"),
            "e": constant([1, 3, 7, 4], "i4"),
            "s": constant([1, 1, 1, 1], "i4"),
        },
        [
            Op(
                "STRIDED_SLICE",
                ["x", "b", "e", "s"],
                "y",
                {"ShrinkAxisMask": 2},
                "StridedSliceOptions",
            )
        ],
        (1, 7, 4),
    ),
    "split and concatenation": (
        {
            "axis": constant(2, "i4"),
            "n": constant([2, 4, 1], "i4"),
            "p": Tensor((1, 6, 2, 4)),
            "q": Tensor((1, 6, 4, 4)),
            "r": Tensor((1, 6, 1, 4)),
        },
        [
            Op("SPLIT_V", ["x", "n", "axis"], "p q r", {"NumSplits": 3}, "SplitVOptions"),
            Op("CONCATENATION", ["r", "p", "q"], "y", {"Axis": 2}, "ConcatenationOptions"),
        ],
        (1, 6, 7, 4),
    ),
    "pack": (
        {"m": Tensor((1, 7, 4)), "axes": constant([1], "i4")},
        [
            Op("SUM", ["x", "axes"], "m", {"KeepDims": False}, "ReducerOptions"),
            Op("PACK", ["m", "m"], "y", {"Axis": 2, "ValuesCount": 2}, "PackOptions"),
        ],
        (1, 7, 2, 4),
    ),
    "reshape to another image": (
        {"s": constant([1, 12, 7, 2], "i4")},
        [Op("RESHAPE", ["x", "s"], "y")],
        (1, 12, 7, 2),
    ),
    "mirror": (
        {"pads": constant([[0, 0], [2, 3], [1, 0], [0, 1]], "i4")},
        [Op("MIRROR_PAD", ["x", "pads"], "y", {"Mode": 0}, "MirrorPadOptions")],
        (1, 11, 8, 5),
    ),
    "attention": (
        {"s": constant([6, 7, 4], "i4"), "r": Tensor((6, 7, 4))},
        [
            Op("RESHAPE", ["x", "s"], "r"),
            Op("BATCH_MATMUL", ["r", "r"], "y", {"AdjY": True}, "BatchMatMulOptions"),
        ],
        (6, 7, 7),
    ),
    "largest of windows": (
        {},
        [
            Op(
                "MAX_POOL_2D",
                ["x"],
                "y",
                WINDOW | {"FilterHeight": 3, "FilterWidth": 2},
                "Pool2DOptions",
            )
        ],
        (1, 3, 7, 4),
    ),
    **{
        f"transposed convolution {padding}": (
            {
                "s": constant([1, *size, 5], "i4"),
                "w": constant(normal(5, 3, 3, 4)),
                "b": constant(normal(5)),
            },
            [
                Op(
                    "TRANSPOSE_CONV",
                    ["s", "w", "x", "b"],
                    "y",
                    {"Padding": padding, "StrideH": 2, "StrideW": 2},
                    "TransposeConvOptions",
                )
            ],
            (1, *size, 5),
        )
        for padding, size in ((0, (12, 14)), (1, (13, 15)))
    },
    "pixels from channels": (
        {},
        [Op("DEPTH_TO_SPACE", ["x"], "y", {"BlockSize": 2}, "DepthToSpaceOptions")],
        (1, 12, 14, 1),
    ),
    "the class of each pixel": (
        {"axis": constant(3, "i4")},
        [Op("ARG_MAX", ["x", "axis"], "y", {"OutputType": 2}, "ArgMaxOptions")],
        (1, 6, 7),
        "i4",
    ),
    "the place of the least of each column": (
        {"axis": constant([1], "i4")},
        [Op("ARG_MIN", ["x", "axis"], "y", {"OutputType": 4}, "ArgMinOptions")],
        (1, 7, 4),
        "i8",
    ),
    "the largest channels": (
        {"k": constant(3, "i4"), "i": Tensor((1, 6, 7, 3), dtype="i4")},
        [Op("TOPK_V2", ["x", "k"], "y i", {}, "TopKV2Options")],
        (1, 6, 7, 3),
    ),
    "the places of the largest channels": (
        {"k": constant(3, "i4"), "v": Tensor((1, 6, 7, 3))},
        [Op("TOPK_V2", ["x", "k"], "v y", {}, "TopKV2Options")],
        (1, 6, 7, 3),
        "i4",
    ),
    "rows of an image": (
        {"places": constant([[[0, 1, 2]], [[0, 5, 6]]], "i4")},
        [Op("GATHER_ND", ["x", "places"], "y", {}, "GatherNdOptions")],
        (2, 1, 4),
    ),
    "rows at computed places": (
        {
            "s": constant([6, 7, 4], "i4"),
            "r": Tensor((6, 7, 4)),
            "axis": constant(1, "i4"),
            "a": Tensor((1, 7, 4), dtype="i4"),
            "t": constant([1, 7, 2, 2], "i4"),
            "p": Tensor((1, 7, 2, 2), dtype="i4"),
        },
        [
            Op("RESHAPE", ["x", "s"], "r"),
            Op("ARG_MAX", ["x", "axis"], "a", {"OutputType": 2}, "ArgMaxOptions"),
            Op("RESHAPE", ["a", "t"], "p"),
            Op("GATHER_ND", ["r", "p"], "y", {}, "GatherNdOptions"),
        ],
        (1, 7, 2, 4),
    ),
    **{
        f"a number for each place along axis {axis}": (
            {
                "axis": constant(3, "i4"),
                "a": Tensor((1, 6, 7), dtype="i4"),
                "f": Tensor((1, 6, 7)),
                "one": constant(1),
                "g": Tensor((1, 6, 7)),
                "b": Tensor((1, 6, 7), dtype="i4"),
                "depth": constant(3, "i4"),
                "on": constant(2.5),
                "off": constant(-1),
            },
            [
                Op("ARG_MAX", ["x", "axis"], "a", {"OutputType": 2}, "ArgMaxOptions"),
                Op("CAST", ["a"], "f"),
                Op("SUB", ["f", "one"], "g", {}, "SubOptions"),  # -1 is no place
                Op("CAST", ["g"], "b"),
                Op("ONE_HOT", ["b", "depth", "on", "off"], "y", {"Axis": axis}, "OneHotOptions"),
            ],
            shape,
        )
        for axis, shape in ((-1, (1, 6, 7, 3)), (1, (1, 3, 6, 7)))
    },
    "a choice by what is larger": (
        {
            "edge": constant(normal(7, 4)),
            "zero": constant([0.0]),
            "t": Tensor((1, 6, 7, 4), dtype="?"),
            "u": Tensor((1, 6, 7, 4), dtype="?"),
            "v": Tensor((1, 6, 7, 4), dtype="?"),
        },
        [
            Op("GREATER_EQUAL", ["x", "edge"], "t"),
            Op("LESS", ["x", "zero"], "u"),
            Op("LOGICAL_OR", ["t", "u"], "v"),
            Op("SELECT_V2", ["v", "x", "edge"], "y"),
        ],
        (1, 6, 7, 4),
    ),
    "truth values": (
        {
            "a": Tensor((1, 6, 7, 4), dtype="?"),
            "b": Tensor((1, 6, 7, 4), dtype="?"),
            "zero": constant([0.0]),
            "mask": constant([True, False, True, True], "?"),
        },
        [
            Op("NOT_EQUAL", ["x", "zero"], "a"),
            Op("LOGICAL_NOT", ["a"], "b"),
            Op("LOGICAL_AND", ["a", "mask"], "y"),
        ],
        (1, 6, 7, 4),
        "?",
    ),
    "a whole number of steps, and what is left": (
        {"step": constant([0.3]), "n": Tensor((1, 6, 7, 4)), "r": Tensor((1, 6, 7, 4))},
        [
            Op("FLOOR_DIV", ["x", "step"], "n"),
            Op("FLOOR_MOD", ["x", "step"], "r"),
            Op("ADD", ["n", "r"], "y"),
        ],
        (1, 6, 7, 4),
    ),
    "numbers without fractions": (
        {"n": Tensor((1, 6, 7, 4), dtype="i4")},
        [Op("CAST", ["x"], "n"), Op("CAST", ["n"], "y")],
        (1, 6, 7, 4),
    ),
    "a logarithm of a softmax": ({}, [Op("LOG_SOFTMAX", ["x"], "y")], (1, 6, 7, 4)),
    "a length of 1": ({}, [Op("L2_NORMALIZATION", ["x"], "y")], (1, 6, 7, 4)),
}


def model(name: str, **x) -> bytes:
    tensors, ops, shape, *dtype = MODELS[name]
    tensors = {"x": Tensor((1, 6, 7, 4), **x), **tensors, "y": Tensor(shape, None, *dtype)}
    return tiny_tflite.build(tensors, ops, ["x"], ["y"])


@pytest.mark.parametrize("name", MODELS)
def test_operators_agree_with_litert(name, tmp_path):
    x = normal(1, 6, 7, 4)
    expected = reference(model(name), x)
    np.testing.assert_allclose(run(convert(tmp_path, model(name)), x), expected, atol=1e-5)


def test_weights_quantized_channel_by_channel_are_dequantized(tmp_path):
    stored = RANDOM.integers(-127, 128, (5, 1, 1, 4)).astype("i1")
    scale = [0.5, 0.25, 0.125, 1.0, 2.0]
    tensors = {
        "x": Tensor((1, 2, 2, 4)),
        "w": constant(stored, "i1", scale=scale, zero=[0] * 5),
        "f": Tensor((5, 1, 1, 4)),
        "b": constant(np.zeros(5)),
        "y": Tensor((1, 2, 2, 5)),
    }
    options = {"Padding": 0, "StrideH": 1, "StrideW": 1}
    ops = [
        Op("DEQUANTIZE", ["w"], "f"),
        Op("CONV_2D", ["x", "f", "b"], "y", options, "Conv2DOptions"),
    ]
    x = normal(1, 2, 2, 4)
    real = stored[:, 0, 0].astype(np.float32) * np.array(scale, np.float32)[:, None]
    session = convert(tmp_path, tiny_tflite.build(tensors, ops, ["x"], ["y"]))
    np.testing.assert_allclose(run(session, x), x @ real.T, rtol=1e-5)


def test_an_open_batch_takes_the_size_that_is_asked_for(tmp_path):
    x = normal(3, 6, 7, 4)
    content = model("mean", open_batch=True)
    session = convert(tmp_path, content, batch=3)
    np.testing.assert_allclose(run(session, x), x.mean(axis=(1, 2)), atol=1e-6)
    with pytest.raises(gossamer.UnsupportedError, match="batch 3 was asked for"):
        convert(tmp_path, model("mean"), batch=3)


def test_a_quantized_result_that_cannot_be_negative_is_not(data):
    path = data.parent / "models" / "vww_96_int8.tflite"
    session = gossamer.InferenceSession(gossamer.convert(path, None, dequantize=True))
    stored = RANDOM.integers(-128, 128, (1, 96, 96, 3)).astype(np.int8)
    given = litert.Interpreter(str(path)).get_input_details()[0]
    scale, zero = given["quantization"]
    real = ((stored.astype(np.float32) - zero) * scale).astype(np.float32)
    assert np.abs(run(session, real) - reference(path, stored)).max() < 0.01


def test_pixels_of_a_quantized_model_say_how_they_are_scaled(tmp_path):
    content = model("mean", dtype="u1", scale=[0.5], zero=[3])
    metadata = convert(tmp_path, content).metadata
    assert metadata["image_mean"] == "3 3 3 3"
    assert metadata["image_scale"] == "0.5 0.5 0.5 0.5"
    assert "image_mean" not in convert(tmp_path, model("mean")).metadata


@pytest.mark.parametrize("name", ["cifar10_resnet8_float", "vww_96_float"])
def test_float_models_agree_with_litert(name, data):
    path = data.parent / "models" / f"{name}.tflite"
    session = gossamer.InferenceSession(gossamer.convert(path, None))
    _, channels, height, width = session.get_inputs()[0].shape
    x = RANDOM.random((1, height, width, channels), dtype=np.float32)
    assert np.abs(run(session, x) - reference(path, x)).max() <= 1e-4


@pytest.mark.parametrize("name", QUANTIZED)
def test_quantized_models_see_in_photos_what_litert_sees(name, data):
    path = data.parent / "models" / f"{name}.tflite"
    session = gossamer.InferenceSession(gossamer.convert(path, None))
    side = session.get_inputs()[0].shape[2]
    given = litert.Interpreter(str(path)).get_input_details()[0]
    scale, zero = given["quantization"]
    agreed, count = 0, 30
    with tarfile.open(data / "imagenet-500.tar") as tar:
        members = [member for member in tar if member.name.endswith(".jpg")]
        for member in members[:: len(members) // count][:count]:
            photo = Image.open(tar.extractfile(member)).convert("RGB").resize((side, side))
            x = np.asarray(photo, np.uint8)[np.newaxis]
            real = ((x.astype(np.float32) - zero) * scale).astype(np.float32)
            agreed += run(session, real).argmax() == reference(path, x).argmax()
    assert agreed >= 0.9 * count


def test_all_that_is_unsupported_is_in_one_error(tmp_path):
    shape = (1, 6, 7, 4)
    tensors = {name: Tensor(shape) for name in "xabcy"}
    ops = [
        Op("CUMSUM", ["x"], "a"),
        Op("CUMSUM", ["a"], "b"),
        Op("SOFTMAX", ["x"], "c", {"Beta": 2.0}, "SoftmaxOptions"),
        Op("ADD", ["b", "c"], "y", {}, "AddOptions"),
    ]
    with pytest.raises(gossamer.UnsupportedError) as error:
        convert(tmp_path, tiny_tflite.build(tensors, ops, ["x"], ["y"]))
    assert "CUMSUM ×2, first 'a': no such operator" in str(error.value)
    assert "SOFTMAX ×1, first 'c'" in str(error.value)


def test_a_flattened_image_has_the_order_of_the_file(tmp_path):
    tensors = {"x": Tensor((1, 2, 2, 3)), "s": constant([1, 12], "i4")}
    tensors |= {"r": Tensor((1, 12)), "y": Tensor((1, 12))}
    ops = [Op("RESHAPE", ["x", "s"], "r"), Op("ABS", ["r"], "y")]
    x = normal(1, 2, 2, 3)
    session = convert(tmp_path, tiny_tflite.build(tensors, ops, ["x"], ["y"]))
    np.testing.assert_array_equal(run(session, x), np.abs(x.reshape(1, 12)))
    session = convert(tmp_path, tiny_tflite.build(tensors, ops[:1], ["x"], ["r"]))
    np.testing.assert_array_equal(run(session, x), x.reshape(1, 12))


BROKEN = {
    "no identifier": (lambda b: b[:4] + b"NONE" + b[8:], "TFL3"),
    "cut": (lambda b: b[: len(b) // 2], "broken or incomplete"),
    "empty": (lambda b: b"", "TFL3"),
    "an ONNX file": (lambda b: b"\x08\x07\x12\x07pytorch", "TFL3"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_are_no_models_are_refused(name, tmp_path):
    spoil, message = BROKEN[name]
    with pytest.raises(gossamer.ModelError, match=f"model.tflite.*{message}"):
        convert(tmp_path, spoil(model("convolution")))


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (Tensor((5, 3, 3, 4), normal(5, 3, 3, 3)), "'w': 720 bytes for .* found 540"),
        (constant(normal(5, 3, 3, 3)), "does not fit 4 channels"),
        (constant(np.zeros((5, 3, 3, 4)), "i1", scale=[1, 2, 3]), "'w': scales for axis 0"),
        (Tensor((5, 3, 3, 4)), "reads tensor 'w', which nothing before it computes"),
        (constant(np.full((5, 3, 3, 4), np.nan)), "finite"),
    ],
)
def test_weights_that_contradict_the_model_are_refused(tensor, message, tmp_path):
    tensors = {"x": Tensor((1, 6, 7, 4)), "w": tensor, "b": constant(normal(5))}
    tensors["y"] = Tensor((1, 3, 7, 5))
    with pytest.raises(gossamer.ModelError, match=message):
        convert(tmp_path, tiny_tflite.build(tensors, [conv()], ["x"], ["y"]))


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_file_converts_or_is_refused_by_name(at, value, cut, tmp_path):
    content = bytearray(model("pixels in a row"))
    place = int(at * len(content))
    content[place] = value
    try:
        convert(tmp_path, bytes(content[:place] if cut else content))
    except gossamer.GossamerError as error:
        assert "model.tflite" in str(error)


def test_a_model_can_be_pruned(data, tmp_path):
    path = data.parent / "models" / "vww_96_float.tflite"
    report = gossamer.prune(path, tmp_path / "pruned.goss", sparsity=0.5)
    assert report.zeros == pytest.approx(0.5, abs=0.02)
    gossamer.InferenceSession(tmp_path / "pruned.goss")
