"""Models that take interleaved pixels give the answers of their twins that take planes."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import tiny_models
from models.onnx_graphs import GraphBuilder, mobilenet
from PIL import Image

import gossamer
from gossamer import InferenceSession, InputError, ModelError, UnsupportedError
from gossamer.convert.goss_file import Dtype, Model, Node, Op, Role, Tensor, write_model

MEAN, SCALE = (125.3, 123.0, 113.9), (0.015873, 0.0161, 0.01499)
METADATA = {"image_mean": " ".join(map(str, MEAN)), "image_scale": " ".join(map(str, SCALE))}
DTYPES = {"u8": np.uint8, "f32": np.float32}


def conv_model(shape, outputs=8, kernel=(3, 3), **attributes):
    graph = GraphBuilder(13, image=shape)
    weights = graph.weights(outputs, shape[1], *kernel)
    return graph.model(graph.node("Conv", "image", weights, graph.weights(outputs), **attributes))


def random_pixels(shape, dtype):
    n, channels, height, width = shape
    return np.random.default_rng(3).integers(0, 256, (n, height, width, channels)).astype(dtype)


def planes(pixels, mean=MEAN, scale=SCALE):
    """As numpy normalises: in f32, [N, C, H, W]."""
    normalized = (pixels.astype(np.float32) - np.float32(mean)) * np.float32(scale)
    return np.ascontiguousarray(normalized.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(2, 2), (7, 7), (13, 17), (32, 32), (40, 9)])
@pytest.mark.parametrize(
    "attributes",
    [
        {"pads": [1, 1, 1, 1]},
        {"pads": [0, 0, 1, 1], "strides": [2, 2]},
        {"pads": [2, 1, 3, 2], "strides": [1, 2], "dilations": [1, 2]},
        {"pads": [3, 3, 3, 3], "strides": [3, 3]},
    ],
)
def test_pixels_give_what_planes_give_to_the_bit(dtype, size, attributes) -> None:
    shape = (2, 3, *size)
    src = conv_model(shape, **attributes)
    pixels = random_pixels(shape, DTYPES[dtype])
    data = gossamer.convert(src, None, metadata=METADATA, pixels=dtype)
    for isa in gossamer.isas():
        session = InferenceSession(data, gossamer.SessionOptions(isa=isa))
        twin = InferenceSession(gossamer.convert(src, None), gossamer.SessionOptions(isa=isa))
        (found,) = session.run(None, {"image": pixels})
        np.testing.assert_array_equal(found, twin.run(None, {"image": planes(pixels)})[0])
    truth = reference.run(data, {"image": pixels})
    np.testing.assert_allclose(found, *truth.values(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 4, 5])
@pytest.mark.parametrize("threads", [1, 2])
def test_other_numbers_of_channels(channels, threads) -> None:
    shape = (1, channels, 12, 19)
    src = conv_model(shape, pads=[1, 1, 1, 1], strides=[2, 2])
    mean, scale = MEAN[:1] * channels, range(1, channels + 1)
    numbers = {"image_mean": mean, "image_scale": scale}
    metadata = {key: " ".join(map(str, values)) for key, values in numbers.items()}
    data = gossamer.convert(src, None, metadata=metadata, pixels="u8")
    pixels = random_pixels(shape, np.uint8)
    session = InferenceSession(data, gossamer.SessionOptions(threads=threads))
    (found,) = session.run(None, {"image": pixels})
    wanted = reference.run(data, {"image": pixels}).popitem()[1]
    np.testing.assert_allclose(found, wanted, atol=1e-2, rtol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_whole_network_takes_photos(dtype) -> None:
    src = mobilenet(13, "flatten")
    twin = InferenceSession(gossamer.convert(src, None, metadata=METADATA))
    session = InferenceSession(gossamer.convert(src, None, metadata=METADATA, pixels=dtype))
    (arg,), (twin_arg,) = session.get_inputs(), twin.get_inputs()
    n, channels, height, width = twin_arg.shape
    assert arg.shape == [n, height, width, channels]
    assert (arg.dtype, arg.type) == {
        "u8": ("uint8", "tensor(uint8)"), "f32": ("float32", "tensor(float)")
    }[dtype]  # fmt: skip
    assert "image_mean" not in session.metadata
    assert session.layers()[0].op == "conv_pixels"
    assert session.layers()[0].kernel.startswith("packed pixels")
    photo = Image.fromarray(random_pixels((1, 3, 50, 60), np.uint8)[0])
    prepared = gossamer.image_to_tensor(photo, session)
    assert prepared.dtype == DTYPES[dtype]
    np.testing.assert_array_equal(planes(prepared), gossamer.image_to_tensor(photo, twin))
    assert gossamer.classify(session, photo) == gossamer.classify(twin, photo)


def test_sparse_weights_read_pixels_too() -> None:
    src = conv_model((1, 3, 9, 9), outputs=16)
    data = gossamer.convert(
        src, None, metadata=METADATA, pixels="u8", storage={src.graph.node[0].name: "4x1"}
    )
    pixels = random_pixels((1, 3, 9, 9), np.uint8)
    (found,) = InferenceSession(data).run(None, {"image": pixels})
    (wanted,) = InferenceSession(gossamer.convert(src, None)).run(None, {"image": planes(pixels)})
    np.testing.assert_allclose(found, wanted, atol=1e-5)


# ---- What is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "pixels", "message"),
    [
        ({}, "u8", "'image_mean': one number a channel"),
        ({"image_mean": "1 2 3"}, "u8", "'image_scale': one number a channel"),
        ({**METADATA, "image_scale": "1 nan 1"}, "u8", "found '1 nan 1'"),
        ({**METADATA, "image_scale": "one"}, "u8", "found 'one'"),
        ({**METADATA, "image_scale": "1 1"}, "u8", "as many numbers expected, found 3 and 2"),
        (METADATA, "i8", "'u8' or 'f32' expected, found 'i8'"),
    ],
)
def test_normalization_must_be_given(metadata, pixels, message) -> None:
    with pytest.raises(InputError, match=message):
        gossamer.convert(conv_model((1, 3, 4, 4)), None, metadata=metadata, pixels=pixels)


def two_readers():
    graph = GraphBuilder(13, image=(1, 3, 4, 4))
    conv = graph.node("Conv", "image", graph.weights(3, 3, 1, 1))
    return graph.model(conv, graph.node("Relu", "image"))


@pytest.mark.parametrize(
    ("src", "found"),
    [
        (conv_model((1, 4, 4, 4)), "input of 3 channels .* 1 inputs, read by conv"),
        (two_readers(), "1 inputs, read by conv '.*', clamp"),
    ],
)
def test_one_convolution_must_read_the_input(src, found) -> None:
    with pytest.raises(UnsupportedError, match=found):
        gossamer.convert(src, None, metadata=METADATA, pixels="u8")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((1, 4, 4, 3), np.float32), "dtype float32 found, uint8 expected"),
        (np.zeros((1, 3, 4, 4), np.uint8), r"shape \[1, 3, 4, 4\] found, \[1, 4, 4, 3\] expected"),
    ],
)
def test_other_arrays_are_refused(values, message) -> None:
    data = gossamer.convert(conv_model((1, 3, 4, 4)), None, metadata=METADATA, pixels="u8")
    with pytest.raises(InputError, match=message):
        InferenceSession(data).run(None, {"image": values})


def pixel_file(dtype=Dtype.U8, op=Op.CONV_PIXELS, normalization=(2, 3), groups=1, rank=4):
    """A file by hand: 1 x 1 convolution of 4 x 4 pixels."""
    tensors = [
        Tensor("image", Role.INPUT, (1, 4, 4, 3)[:rank], dtype=dtype),
        tiny_models.weights("weight", np.ones((2, 3 if groups == 1 else 1, 1, 1))),
        tiny_models.weights("bias", np.zeros(2)),
        tiny_models.weights("normalization", np.ones(normalization)),
        Tensor("planes", Role.OUTPUT),
    ]
    words = (1, 1, 0, 0, 0, 0, 1, 1, groups, *tiny_models.NO_CLAMP)
    inputs = (0, 1, 2, 3) if op is Op.CONV_PIXELS else (0, 1, 2)
    return write_model(Model(tensors, [Node("first", op, inputs, 4, words)]))


def test_a_file_by_hand_runs() -> None:
    pixels = random_pixels((1, 3, 4, 4), np.uint8)
    (found,) = InferenceSession(pixel_file()).run(None, {"image": pixels})
    wanted = (pixels.astype(np.float32) - 1).sum(axis=3)
    np.testing.assert_array_equal(found, np.stack([wanted, wanted], axis=1))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"op": Op.CONV}, UnsupportedError, r"'image' is u8, f32 expected"),
        ({"normalization": (3, 3)}, ModelError, "normalization of 3 x 3 values; 2 x 3"),
        ({"normalization": (2, 4)}, ModelError, "normalization of 2 x 4 values; 2 x 3"),
        ({"normalization": (6,)}, ModelError, "input 3 has rank 1, 2 expected"),
        ({"groups": 3}, ModelError, "output channels is 2, a multiple of the groups expected"),
        ({"rank": 3}, ModelError, r"rank of the input is 3, 4 \(NHWC\) expected"),
    ],
)
def test_broken_files_are_refused(options, error, message) -> None:
    with pytest.raises(error, match=message):
        InferenceSession(pixel_file(**options))
