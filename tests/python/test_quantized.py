"""Quantized layers give the reference's bits, on every instruction set and with any threads."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import tiny_models
from models.quantized_graphs import QuantizedGraph, network

import gossamer
from gossamer import InferenceSession, SessionOptions, UnsupportedError
from gossamer.convert.goss_file import Dtype, Model, Node, Op, Role, Tensor, write_model
from gossamer.convert.lower import lower
from gossamer.convert.read import read_graph


def check(data: bytes, x: np.ndarray) -> InferenceSession:
    """Compare with the reference, to the bit, and return the last session."""
    expected = reference.run(data, {"image": x})
    for isa in gossamer.isas():
        for threads in (1, 3):
            session = InferenceSession(data, SessionOptions(threads, isa))
            found = session.run(None, {"image": x})
            for output, y in zip(session.get_outputs(), found, strict=True):
                wanted = expected[output.name].astype(np.float32)
                np.testing.assert_array_equal(y, wanted, err_msg=f"{isa}, {threads} threads")
    return session


@pytest.mark.parametrize("seed", range(8))
def test_networks_give_the_references_bits(seed: int) -> None:
    g = network(seed)
    check(g.file(g.output), g.feed())


@pytest.mark.parametrize("pattern", ["4x4", "1x4"])
@pytest.mark.parametrize("zeros", [0, 0.5, 1])
@pytest.mark.parametrize(("channels", "rows"), [(1, 1), (4, 8), (7, 5), (33, 30)])
def test_pointwise_convolutions(channels: int, rows: int, zeros: float, pattern: str) -> None:
    g = QuantizedGraph(channels, (2, channels, 5, 7))
    y = g.conv(g.x, rows, zeros=zeros, pattern=pattern)
    z = g.conv(y, rows, zeros=zeros, pattern=pattern, residual=y)
    session = check(g.file(y, z), g.feed())
    layers = session.layers()
    kernels = [f"pointwise_i8_{pattern}", f"pointwise_i8_{pattern} + add"]
    assert [layer.kernel for layer in layers if layer.op == "conv"] == kernels
    for layer, node in zip(layers, g.nodes, strict=True):
        if layer.op == "conv":
            assert layer.nonzeros >= np.count_nonzero(node.inputs[1].data)
            assert layer.weights == node.inputs[1].data.size
            skipped = f"sparse: {100 - 100 * layer.nonzeros / layer.weights:.1f} % zeros skipped"
            assert layer.reason in (
                f"{skipped} in blocks of {pattern}",
                f"dense: every {pattern} block is present",
            )


@pytest.mark.parametrize("pattern", ["4x4", "1x4"])
@pytest.mark.parametrize(
    ("kernel", "strides", "pads", "dilations"),
    [
        ((3, 3), (1, 1), (1, 1, 1, 1), (1, 1)),
        ((3, 3), (2, 2), (0, 0, 1, 1), (1, 1)),
        ((3, 2), (1, 3), (2, 0, 1, 5), (2, 1)),
        ((1, 1), (2, 2), (0, 0, 0, 0), (1, 1)),
        ((5, 5), (1, 1), (2, 2, 2, 2), (1, 1)),
    ],
)
def test_convolutions_of_any_geometry(kernel, strides, pads, dilations, pattern: str) -> None:
    g = QuantizedGraph(1, (1, 6, 9, 8))
    geometry = {"strides": strides, "pads": pads, "dilations": dilations}
    y = g.conv(g.x, 9, kernel, **geometry, zeros=0.4, pattern=pattern)
    z = g.conv(g.x, 6, kernel, **geometry, depthwise=True)
    check(g.file(y, z), g.feed())


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 15, 16, 17, 33])
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_convolutions_of_any_width(size: int, kernel: int, stride: int) -> None:
    g = QuantizedGraph(size, (1, 5, 3, size))
    pads = (kernel // 2,) * 4
    y = g.conv(g.x, 5, (kernel,) * 2, strides=(stride,) * 2, pads=pads, depthwise=True)
    check(g.file(y), g.feed())


@pytest.mark.parametrize("pattern", ["4x4", "1x4"])
@pytest.mark.parametrize("zeros", [0, 0.6])
@pytest.mark.parametrize(("channels", "rows"), [(3, 5), (64, 16), (301, 22)])
def test_fully_connected_layers(channels: int, rows: int, zeros: float, pattern: str) -> None:
    g = QuantizedGraph(channels, (3, channels))
    y = g.fully_connected(g.x, rows, zeros=zeros, pattern=pattern)
    z = g.fully_connected(y, rows, zeros=zeros, pattern=pattern, f32=True)
    check(g.file(y, z), g.feed())


@pytest.mark.parametrize("shape", [(2, 5, 3, 7), (2, 9), (1, 3, 5), (1, 4, 8, 8)])
def test_sums_products_and_tables(shape) -> None:
    g = QuantizedGraph(3, shape)
    table = g.lookup(g.x)
    outputs = [table, g.add(g.x, table), g.multiply(g.x, table)]
    if len(shape) == 4:
        factors = g.global_average_pool(g.x, keep_dims=True)
        outputs += [factors, g.multiply(table, factors)]
    check(g.file(*outputs), g.feed())


@pytest.mark.parametrize(
    ("kernel", "stride", "pad", "counted"), [(2, 2, 0, 0), (3, 1, 1, 0), (3, 2, 1, 1), (5, 3, 2, 1)]
)
def test_pooling(kernel: int, stride: int, pad: int, counted: int) -> None:
    g = QuantizedGraph(kernel, (2, 6, 9, 10))
    largest = g.pool(g.x, "max_pool", kernel, stride, pad, counted)
    mean = g.pool(g.x, "average_pool", kernel, stride, pad, counted)
    check(g.file(largest, mean), g.feed())


@pytest.mark.parametrize("channels", [(4, 8), (3, 5), (1, 2)])
@pytest.mark.parametrize("rest", [(3, 5), (), (6,)])
def test_channels_and_elements_change_places(channels, rest) -> None:
    g = QuantizedGraph(7, (2, channels[0], *rest))
    other = g.lookup(g.x)
    both = g.move("concat", [g.x, other, g.x], (2, 3 * channels[0], *rest))
    part = g.move("slice", [both], (2, 2, *rest), first=1, count=2)
    dealt = g.move("shuffle", [both], both.shape, groups=3)
    elements = int(np.prod(both.shape))
    flat = g.move("flatten", [both], (2, elements // 2))
    turned = g.move("reshape", [flat], (1, elements // 6, 3, 2), shape=(1, elements // 6, 3, 2))
    check(g.file(both, part, dealt, flat, turned), g.feed())


@pytest.mark.parametrize("dtype", [Dtype.U8, Dtype.F32])
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_pixels_are_quantized(dtype: Dtype, channels: int) -> None:
    random = np.random.default_rng(channels)
    normalization = np.stack(
        [random.uniform(90, 130, channels), random.uniform(0.01, 0.02, channels)]
    )
    tensors = [
        Tensor("image", Role.INPUT, (2, 5, 7, channels), dtype=dtype),
        tiny_models.weights("normalization", normalization),
        Tensor("pixels", Role.INTERMEDIATE, dtype=Dtype.U7, scale=0.03, zero_point=60),
        Tensor("planes", Role.OUTPUT),
    ]
    nodes = [
        Node("quantize", Op.QUANTIZE_PIXELS, (0, 1), 2),
        Node("dequantize", Op.DEQUANTIZE, (2,), 3),
    ]
    x = random.integers(0, 256, (2, 5, 7, channels))
    check(
        write_model(Model(tensors, nodes)), x.astype(np.uint8 if dtype is Dtype.U8 else np.float32)
    )


def test_all_zero_points_and_the_ends_of_the_range() -> None:
    for zero_point in (0, 1, 63, 126, 127):
        g = QuantizedGraph(zero_point, (1, 8, 4, 4), zero_point=zero_point)
        y = g.conv(g.x, 8, (3, 3), pads=(1, 1, 1, 1))
        x = np.where(g.random.random(g.image.shape) < 0.5, -1e30, 1e30).astype(np.float32)
        check(g.file(y), x)


@pytest.mark.parametrize(("low", "high"), [(-1e9, -1e8), (1e8, 1e9), (-np.inf, -1e9)])
def test_a_clamp_outside_of_the_range_gives_its_end(low: float, high: float) -> None:
    g = QuantizedGraph(2, (1, 4, 3, 3), zero_point=60)
    y = g.add(g.x, g.x)
    g.nodes[-1].attributes = {"min": low, "max": high}
    check(g.file(y), g.feed())


@pytest.mark.parametrize("seed", range(3))
def test_quantized_files_are_read_and_written_as_the_same_bytes(seed: int) -> None:
    g = network(seed)
    data = g.file(g.output)
    assert lower(read_graph(data, "model"), {}) == data


@pytest.mark.parametrize(
    ("op", "attributes"), [(Op.SOFTMAX, ()), (Op.CLAMP, (0.0, 6.0)), (Op.ACTIVATION, (0,))]
)
def test_operators_of_f32_refuse_quantized_tensors(op: Op, attributes) -> None:
    def file(y: Dtype) -> bytes:
        scale = 0.5 if y is Dtype.U7 else 0.0
        tensors = [
            Tensor("image", Role.INPUT, (1, 8)),
            Tensor("x", Role.INTERMEDIATE, dtype=Dtype.U7, scale=0.5),
            Tensor("y", Role.INTERMEDIATE, dtype=y, scale=scale),
            Tensor("z", Role.OUTPUT),
        ]
        last = Op.DEQUANTIZE if y is Dtype.U7 else Op.FLATTEN
        nodes = [
            Node("quantize", Op.QUANTIZE, (0,), 1),
            Node("middle", op, (1,), 2, attributes),
            Node("last", last, (2,), 3),
        ]
        return write_model(Model(tensors, nodes))

    with pytest.raises(UnsupportedError, match=r"'middle' .*: input 'x' is u7, f32 expected"):
        InferenceSession(file(Dtype.F32))
    with pytest.raises(UnsupportedError, match=r"'middle' .*: the output 'y' is u7, f32 expected"):
        InferenceSession(file(Dtype.U7))
