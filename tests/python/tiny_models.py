"""Models small enough to know their answers by heart, as the bytes of ``.goss`` files."""

from __future__ import annotations

import numpy as np

from gossamer.convert.goss_file import (
    Dtype,
    Model,
    Node,
    Op,
    PackedWeights,
    Role,
    Storage,
    Tensor,
    write_model,
)
from gossamer.convert.pack import pack_i8_weights, pack_weights

NO_CLAMP = (-np.inf, np.inf)

COLOURS = ("red", "green", "blue")


def weights(name: str, values: np.ndarray, block_rows: int = 1, sparse: bool = False) -> Tensor:
    packed: PackedWeights = pack_weights(
        values.astype(np.float32), block_rows, Storage.SPARSE if sparse else Storage.DENSE
    )
    return Tensor(name, Role.WEIGHTS, values.shape, packed)


def colours(size: tuple[int, int] = (4, 4), *, softmax: bool = True, **metadata: str) -> bytes:
    """Tells a red photo from a green and a blue one: image [1, 3, *size] -> [1, 3]."""
    known = {
        "labels": "\n".join(COLOURS),
        "image_mean": "0 0 0",
        "image_scale": "0.1 0.1 0.1",
        "title": "Colours",
    }
    tensors = [
        Tensor("image", Role.INPUT, (1, 3, *size)),
        Tensor("averages", Role.INTERMEDIATE),
        weights("identity", np.eye(3)),
        weights("zero", np.zeros(3)),
        Tensor("scores", Role.INTERMEDIATE if softmax else Role.OUTPUT),
    ]
    nodes = [
        Node("pool", Op.GLOBAL_AVERAGE_POOL, (0,), 1, (0,)),
        Node("classify", Op.FULLY_CONNECTED, (1, 2, 3), 4, NO_CLAMP),
    ]
    if softmax:
        tensors.append(Tensor("probabilities", Role.OUTPUT))
        nodes.append(Node("softmax", Op.SOFTMAX, (4,), 5))
    known.update(metadata)
    return write_model(Model(tensors, nodes, {key: value for key, value in known.items() if value}))


def sums() -> bytes:
    """Two inputs a, b [2, 3]; two outputs: total = a + b, and positive = max(a + b, 0)."""
    tensors = [
        Tensor("a", Role.INPUT, (2, 3)),
        Tensor("b", Role.INPUT, (2, 3)),
        Tensor("total", Role.OUTPUT),
        Tensor("positive", Role.OUTPUT),
    ]
    nodes = [
        Node("add", Op.ADD, (0, 1), 2, NO_CLAMP),
        Node("relu", Op.CLAMP, (2,), 3, (0.0, np.inf)),
    ]
    return write_model(Model(tensors, nodes, {"title": "Sums — ∑"}))


def every_operator() -> bytes:
    """One node of each operator, weights of each kind: image [1, 3, 8, 8] -> [1, 4]."""
    random = np.random.default_rng(7)
    sparse = random.normal(size=(8, 8, 1, 1))
    sparse[:4, ::2] = 0
    sparse[4:, 1::2] = 0
    tensors = [
        Tensor("image", Role.INPUT, (1, 3, 8, 8)),
        weights("stem.weight", random.normal(size=(8, 3, 3, 3)), block_rows=4),
        weights("stem.bias", random.normal(size=8)),
        Tensor("stem", Role.INTERMEDIATE),
        weights("depthwise.weight", random.normal(size=(8, 1, 3, 3))),
        weights("depthwise.bias", random.normal(size=8)),
        Tensor("depthwise", Role.INTERMEDIATE),
        weights("pointwise.weight", sparse, block_rows=4, sparse=True),
        weights("pointwise.bias", random.normal(size=8)),
        Tensor("pointwise", Role.INTERMEDIATE),
        Tensor("residual", Role.INTERMEDIATE),
        Tensor("clamped", Role.INTERMEDIATE),
        Tensor("pooled", Role.INTERMEDIATE),
        Tensor("flat", Role.INTERMEDIATE),
        weights("head.weight", random.normal(size=(4, 8))),
        weights("head.bias", random.normal(size=4)),
        Tensor("scores", Role.INTERMEDIATE),
        Tensor("probabilities", Role.OUTPUT),
    ]
    index = {tensor.name: number for number, tensor in enumerate(tensors)}

    def node(name: str, op: Op, inputs: str, *attributes: int | float) -> Node:
        return Node(
            name, op, tuple(index[name] for name in inputs.split()), index[name], attributes
        )

    nodes = [
        node("stem", Op.CONV, "image stem.weight stem.bias", 2, 2, 1, 1, 1, 1, 1, 1, 1, 0.0, 6.0),
        node(
            "depthwise",
            Op.CONV,
            "stem depthwise.weight depthwise.bias",
            *(1, 1, 1, 1, 1, 1, 1, 1, 8, 0.0, 6.0),
        ),
        node(
            "pointwise",
            Op.CONV,
            "depthwise pointwise.weight pointwise.bias",
            *(1, 1, 0, 0, 0, 0, 1, 1, 1, *NO_CLAMP),
        ),
        node("residual", Op.ADD, "stem pointwise", *NO_CLAMP),
        node("clamped", Op.CLAMP, "residual", 0.0, 6.0),
        node("pooled", Op.GLOBAL_AVERAGE_POOL, "clamped", 1),
        node("flat", Op.FLATTEN, "pooled"),
        node("scores", Op.FULLY_CONNECTED, "flat head.weight head.bias", *NO_CLAMP),
        node("probabilities", Op.SOFTMAX, "scores"),
    ]
    return write_model(Model(tensors, nodes, {"title": "Every operator", "license": "Apache-2.0"}))


def windows() -> bytes:
    """Pooling, channels that move and activations: image [2, 4, 7, 9] -> [2, 6, 4, 5]."""
    names = ("largest", "average", "both", "part", "dealt", "leaky", "curved")
    tensors = [Tensor("image", Role.INPUT, (2, 4, 7, 9))]
    tensors += [Tensor(name, Role.INTERMEDIATE) for name in names[:-1]]
    tensors.append(Tensor(names[-1], Role.OUTPUT))
    window = (3, 3, 2, 2, 1, 1, 1, 1, 1, 1)
    nodes = [
        Node("largest", Op.MAX_POOL, (0,), 1, window),
        Node("average", Op.AVERAGE_POOL, (0,), 2, (*window, 0, 1, 0, 1)),
        Node("both", Op.CONCAT, (1, 2), 3),
        Node("part", Op.SLICE, (3,), 4, (1, 6)),
        Node("dealt", Op.SHUFFLE, (4,), 5, (3,)),
        Node("leaky", Op.LEAKY_RELU, (5,), 6, (0.25,)),
        Node("curved", Op.ACTIVATION, (6,), 7, (2,)),
    ]
    return write_model(Model(tensors, nodes, {}))


def i8_weights(name: str, values: np.ndarray, scales: np.ndarray, how: Storage) -> Tensor:
    packed = pack_i8_weights(values, scales, 1 if how is Storage.DEPTHWISE else 4, how)
    return Tensor(name, Role.WEIGHTS, values.shape, packed, Dtype.I8)


def quantized(sparse: Storage = Storage.SPARSE) -> bytes:
    """A dense, a depthwise and a sparse convolution in i8: image [1, 3, 6, 6] -> [1, 5, 6, 6]."""
    random = np.random.default_rng(11)

    def i8(name: str, shape: tuple[int, ...], how: Storage) -> Tensor:
        values = random.integers(-127, 128, shape, np.int8)
        if how is sparse:
            values[:4, 4:] = 0
        return i8_weights(name, values, 0.01 + random.random(shape[0]) / 100, how)

    def u7(name: str, scale: float, zero_point: int) -> Tensor:
        return Tensor(name, Role.INTERMEDIATE, (), None, Dtype.U7, scale, zero_point)

    tensors = [
        Tensor("image", Role.INPUT, (1, 3, 6, 6)),
        u7("quantized", 0.02, 64),
        i8("stem.weight", (5, 3, 3, 3), Storage.DENSE),
        weights("stem.bias", random.normal(size=5)),
        u7("stem", 0.05, 0),
        i8("depthwise.weight", (5, 1, 3, 3), Storage.DEPTHWISE),
        weights("depthwise.bias", random.normal(size=5)),
        u7("depthwise", 0.1, 0),
        i8("pointwise.weight", (5, 5, 1, 1), sparse),
        weights("pointwise.bias", random.normal(size=5)),
        u7("pointwise", 0.2, 70),
        Tensor("planes", Role.OUTPUT),
    ]
    same = (1, 1, 1, 1, 1, 1, 1, 1)
    nodes = [
        Node("quantize", Op.QUANTIZE, (0,), 1),
        Node("stem", Op.CONV, (1, 2, 3), 4, (*same, 1, 0.0, np.inf)),
        Node("depthwise", Op.CONV, (4, 5, 6), 7, (*same, 5, 0.0, 6.0)),
        Node("pointwise", Op.CONV, (7, 8, 9), 10, (1, 1, 0, 0, 0, 0, 1, 1, 1, *NO_CLAMP)),
        Node("dequantize", Op.DEQUANTIZE, (10,), 11),
    ]
    return write_model(Model(tensors, nodes, {}))


def runs() -> bytes:
    """The same, with the places of sparse weights told as runs of zeros."""
    return quantized(Storage.RUNS)


def heavy() -> bytes:
    """About half a billion multiply-adds: image [1, 64, 128, 128] -> [1, 64, 128, 128]."""
    tensors = [
        Tensor("image", Role.INPUT, (1, 64, 128, 128)),
        weights("weight", np.full((64, 64, 3, 3), 0.01), block_rows=4),
        weights("bias", np.zeros(64)),
        Tensor("planes", Role.OUTPUT),
    ]
    attributes = (1, 1, 1, 1, 1, 1, 1, 1, 1, *NO_CLAMP)
    return write_model(Model(tensors, [Node("conv", Op.CONV, (0, 1, 2), 3, attributes)]))
