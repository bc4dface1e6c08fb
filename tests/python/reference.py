"""The truth in numpy: what a ``.goss`` file holds, and what running it must give.

Written from runtime/FORMAT.md alone and as plainly as possible; shares no code with the package.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
import reference_i8

OPS = dict(enumerate([
    "conv", "fully_connected", "global_average_pool", "add", "clamp", "softmax", "flatten",
    "activation", "multiply", "conv_pixels", "max_pool", "average_pool", "concat",
    "leaky_relu", "slice", "shuffle", "reshape", "transpose", "take", "binary", "select", "reduce",
    "matmul", "layer_norm", "resize", "top_k", "non_max_suppression",
], 1))  # fmt: skip
OPS |= {40: "lookup", 41: "quantize", 42: "dequantize", 43: "quantize_pixels"}
DTYPES = {1: "f32", 2: "u8", 3: "i8", 4: "u7", 5: "f16"}
ACTIVATIONS = [
    "sigmoid", "silu", "hard_swish", "tanh", "elu", "softplus", "mish", "erf", "gelu", "gelu_tanh",
    "exp", "log", "sqrt", "abs", "reciprocal", "floor", "ceil", "round", "sign", "sin", "cos",
]  # fmt: skip
ROLES = ["intermediate", "input", "output", "weights"]


@dataclass
class Tensor:
    name: str
    role: str
    dims: tuple[int, ...]
    block_rows: int
    sparse: bool
    weights: np.ndarray | None  # f32 or i8, shape dims
    dtype: str
    scale: float  # u7
    zero_point: int
    scales: np.ndarray | None  # i8: of each row


@dataclass
class Node:
    name: str
    op: str
    inputs: list[int]
    output: int
    words: bytes

    def integers(self, count):
        return struct.unpack_from(f"<{count}I", self.words)

    def clamp(self):
        first = 36 if self.op.startswith("conv") else 0
        return struct.unpack_from("<2f", self.words, first)

    def activation(self):
        """Of a convolution: 0 none, 1 sigmoid, 2 SiLU."""
        return struct.unpack_from("<I", self.words, 44)[0] if len(self.words) > 44 else 0


@dataclass
class Model:
    tensors: list[Tensor]
    nodes: list[Node]
    metadata: dict[str, str]

    def named(self, name):
        return next(tensor for tensor in self.tensors if tensor.name == name)

    def ops(self):
        def residual(node):
            return " + residual" if node.op == "conv" and len(node.inputs) == 4 else ""

        def activation(node):
            kind = node.activation() if node.op.startswith("conv") else 0
            return f" + {ACTIVATIONS[kind - 1]}" if kind else ""

        return [node.op + residual(node) + activation(node) for node in self.nodes]


def sections(data):
    """Kind 1..6 -> the section's bytes."""
    found = {}
    for entry in range(struct.unpack_from("<I", data, 16)[0]):
        kind, _, offset, size = struct.unpack_from("<IIQQ", data, 64 + 32 * entry)
        found[kind] = data[offset : offset + size]
    return found


def unpack_dense(data, rows, columns, block_rows, number="<f4"):
    values = iter(np.frombuffer(data, number).tolist())
    matrix = np.zeros((rows, columns), np.float32)
    for first, size in block_row_ranges(rows, block_rows):
        for column in range(columns):
            for row in range(first, first + size):
                matrix[row, column] = next(values)
    assert next(values, None) is None
    return matrix


def unpack_sparse(data, rows, columns, block_rows, blocks, number="<f4"):
    ranges = block_row_ranges(rows, block_rows)
    counts = struct.unpack_from(f"<{len(ranges)}I", data)
    index_format, index_bytes = ("H", 2) if columns <= 65536 else ("I", 4)
    indices = iter(struct.unpack_from(f"<{blocks}{index_format}", data, 4 * len(ranges)))
    values_offset = -(-(4 * len(ranges) + index_bytes * blocks) // 64) * 64
    values = iter(np.frombuffer(data[values_offset:], number).tolist())
    matrix = np.zeros((rows, columns), np.float32)
    for (first, size), count in zip(ranges, counts, strict=True):
        listed = [next(indices) for _ in range(count)]
        assert listed == sorted(set(listed))
        for column in listed:
            for row in range(first, first + size):
                matrix[row, column] = next(values)
    assert next(indices, None) is None and next(values, None) is None
    return matrix


def unpack_i8(data, shape, block_rows, storage, blocks):
    """Weights and their scales."""
    scales = np.frombuffer(data, "<f4", shape[0])
    data = data[-(-4 * shape[0] // 64) * 64 :]
    rows, quads = -(-shape[0] // 4) * 4, -(-shape[1] // 4)
    positions = int(np.prod(shape[2:]))
    if storage == 2:
        taps = np.frombuffer(data, np.int8).reshape(positions, rows)
        assert not taps[:, shape[0] :].any()
        return np.array([[taps[:, row]] for row in range(shape[0])]).reshape(shape), scales
    columns, block_row_count = quads * positions, rows // block_rows
    listed = [range(columns)] * block_row_count
    if storage == 1:
        counts = struct.unpack_from(f"<{block_row_count}I", data)
        indices = iter(struct.unpack_from(f"<{blocks}H", data, 4 * block_row_count))
        listed = [[next(indices) for _ in range(count)] for count in counts]
        assert next(indices, None) is None
        data = data[-(-(4 * block_row_count + 2 * blocks) // 64) * 64 :]
    values = iter(np.frombuffer(data, np.int8).tolist())
    if storage == 3:
        values = iter(unpack_runs(data, rows * 4 * quads * positions))
    weights = np.zeros((rows, 4 * quads, positions), np.int8)
    for block_row, present in enumerate(listed):
        assert list(present) == sorted(set(present))
        for column in present:
            for row in range(block_row * block_rows, (block_row + 1) * block_rows):
                for channel in range(4):
                    quad, position = divmod(column, positions)
                    weights[row, 4 * quad + channel, position] = next(values)
    assert next(values, None) is None
    assert not weights[shape[0] :].any() and not weights[:, shape[1] :].any()
    return weights[: shape[0], : shape[1]].reshape(shape), scales


def unpack_runs(data, size):
    """All values of a matrix that lies in runs, bit by bit."""
    count, bits = struct.unpack_from("<2I", data)

    def bits_of(part):
        return iter([byte >> bit & 1 for byte in part for bit in range(8)])

    end = 8 + count + (count * bits + 7) // 8
    remainders, quotients = bits_of(data[8 + count : end]), bits_of(data[end:])
    values = []
    for value in struct.unpack_from(f"<{count}b", data, 8):
        quotient = 0
        while not next(quotients):
            quotient += 1
        remainder = sum(next(remainders) << bit for bit in range(bits))
        assert value != 0
        values += [0] * ((quotient << bits) + remainder) + [value]
    for rest in (list(remainders), list(quotients)):
        assert len(rest) < 8 and not any(rest)
    return values + [0] * (size - len(values))


def block_row_ranges(rows, block_rows):
    """(first row, rows) of each block row, then of each remaining row."""
    whole = rows // block_rows
    remaining = range(whole * block_rows, rows)
    return [(i * block_rows, block_rows) for i in range(whole)] + [(row, 1) for row in remaining]


def read_tensor(record, string, blob):
    name, dtype, role, rank = struct.unpack_from("<4I", record)
    dims = struct.unpack_from("<6I", record, 16)[:rank]
    block_rows, storage, offset, size, blocks = struct.unpack_from("<IIQQI", record, 40)
    weights = scales = None
    if DTYPES[dtype] == "i8":
        data = blob[offset : offset + size]
        weights, scales = unpack_i8(data, dims, block_rows, storage, blocks)
    elif ROLES[role] == "weights":
        shape = (dims[0], int(np.prod(dims[1:])), block_rows)
        data = blob[offset : offset + size]
        number = "<f2" if DTYPES[dtype] == "f16" else "<f4"
        if storage:
            matrix = unpack_sparse(data, *shape, blocks, number)
        else:
            matrix = unpack_dense(data, *shape, number)
        weights = matrix.reshape(dims)
    quantization = (DTYPES[dtype], *struct.unpack_from("<fI", record, 68), scales)
    storage = (block_rows, bool(storage), weights)
    return Tensor(string(name), ROLES[role], dims, *storage, *quantization)


def read_node(record, string, words):
    name, op, input_count, *rest = struct.unpack("<10I", record)
    inputs, (output, offset, count) = rest[:4], rest[4:]
    words = words[4 * offset : 4 * (offset + count)]
    return Node(string(name), OPS[op], inputs[:input_count], output, words)


def read(data):
    """The contents of a file that keeps the rules."""
    parts = sections(data)
    strings, tensors, nodes, words, metadata, blob = (parts[kind] for kind in range(1, 7))

    def string(offset):
        return strings[offset : strings.index(b"\0", offset)].decode()

    def records(section, size):
        return [section[i : i + size] for i in range(0, len(section), size)]

    return Model(
        [read_tensor(record, string, blob) for record in records(tensors, 80)],
        [read_node(record, string, words) for record in records(nodes, 40)],
        dict(tuple(map(string, struct.unpack("<2I", pair))) for pair in records(metadata, 8)),
    )


def conv(x, weights, bias, strides, pads, dilations, groups):
    top, left, bottom, right = pads
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    kernel = weights.shape[2:]
    out_y, out_x = (
        (x.shape[2 + axis] - (kernel[axis] - 1) * dilations[axis] - 1) // strides[axis] + 1
        for axis in (0, 1)
    )
    outputs, channels = weights.shape[0] // groups, weights.shape[1]
    y = np.zeros((x.shape[0], weights.shape[0], out_y, out_x))
    for group in range(groups):
        rows = slice(group * outputs, (group + 1) * outputs)
        planes = x[:, group * channels : (group + 1) * channels]
        for ky in range(kernel[0]):
            for kx in range(kernel[1]):
                first_y, first_x = ky * dilations[0], kx * dilations[1]
                window = planes[
                    :,
                    :,
                    first_y : first_y + (out_y - 1) * strides[0] + 1 : strides[0],
                    first_x : first_x + (out_x - 1) * strides[1] + 1 : strides[1],
                ]
                y[:, rows] += np.einsum("nchw,mc->nmhw", window, weights[rows, :, ky, kx])
    return y + bias.reshape(1, -1, 1, 1)


def windows(x, kernel, strides, pads, dilations, outside):
    """Every pixel of every window, (N, C, out_y, out_x, kernel_y * kernel_x)."""
    top, left, bottom, right = pads
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=outside)
    out_y, out_x = (
        (x.shape[2 + axis] - (kernel[axis] - 1) * dilations[axis] - 1) // strides[axis] + 1
        for axis in (0, 1)
    )
    picked = [
        x[
            :,
            :,
            ky * dilations[0] : ky * dilations[0] + (out_y - 1) * strides[0] + 1 : strides[0],
            kx * dilations[1] : kx * dilations[1] + (out_x - 1) * strides[1] + 1 : strides[1],
        ]
        for ky in range(kernel[0])
        for kx in range(kernel[1])
    ]
    return np.stack(picked, axis=-1)


def average_pool(x, kernel, strides, pads, dilations, counted):
    counts = [
        (place >= -counted[axis]) & (place < size + counted[axis + 2])
        for axis, size in enumerate(x.shape[2:])
        for place in [np.arange(-pads[axis], size + pads[axis + 2])]
    ]
    inside = np.outer(*counts).astype(float)[None, None]
    pixels = windows(inside, kernel, strides, (0, 0, 0, 0), dilations, 0).sum(axis=-1)
    return windows(x, kernel, strides, pads, dilations, 0).sum(axis=-1) / pixels


def softmax(x):
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def activate(x, kind):
    def erf(x):
        return np.vectorize(math.erf)(x)

    def softplus(x):
        return np.logaddexp(0, x)

    return (
        lambda: 1 / (1 + np.exp(-x)),
        lambda: x / (1 + np.exp(-x)),
        lambda: x * np.clip(x / 6 + 0.5, 0, 1),
        lambda: np.tanh(x),
        lambda: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        lambda: softplus(x),
        lambda: x * np.tanh(softplus(x)),
        lambda: erf(x),
        lambda: x * (1 + erf(x / np.sqrt(2))) / 2,
        lambda: x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2,
        lambda: np.exp(x),
        lambda: np.log(x),
        lambda: np.sqrt(x),
        lambda: np.abs(x),
        lambda: 1 / x,
        lambda: np.floor(x),
        lambda: np.ceil(x),
        lambda: np.round(x),
        lambda: np.sign(x),
        lambda: np.sin(x),
        lambda: np.cos(x),
    )[kind]()


BINARY = (
    np.add, np.subtract, np.multiply, np.divide, np.minimum, np.maximum,
    np.power, np.fmod, np.mod, np.less, np.less_equal, np.equal,
)  # fmt: skip
REDUCE = (np.sum, np.mean, np.prod, np.min, np.max, np.argmin, np.argmax)


def take(x, places, axis, fill):
    inside = (places >= 0) & (places < x.shape[axis]) & (places == np.floor(places))
    moved = np.moveaxis(x, axis, 0)[np.where(inside, places, 0).astype(int)]
    moved[~inside] = fill
    return np.moveaxis(moved, 0, axis)


def top_k(x, axis, count, smallest, places):
    order = np.argsort(x if smallest else -x, axis=axis, kind="stable")
    best = np.take(order, np.arange(count), axis)
    return best.astype(float) if places else np.take_along_axis(x, best, axis)


def overlap(a, b, centered):
    def sides(box):
        first, second = box[:2], box[2:]
        ends = (first - second / 2, first + second / 2) if centered else (first, second)
        return np.minimum(*ends), np.maximum(*ends)

    (low_a, high_a), (low_b, high_b) = sides(a), sides(b)
    shared = np.prod(np.maximum(np.minimum(high_a, high_b) - np.maximum(low_a, low_b), 0))
    both = np.prod(high_a - low_a) + np.prod(high_b - low_b) - shared
    return shared / both if shared else 0


def non_max_suppression(boxes, scores, most, limit, centered, score):
    rows = []
    for batch, label in np.ndindex(scores.shape[:2]):
        found = scores[batch, label]
        order = np.argsort(-found, kind="stable")
        kept = []
        for place in order if math.isnan(score) else order[found[order] > score]:
            here = boxes[batch, place]
            if all(overlap(here, boxes[batch, i], centered) <= limit for i in kept):
                kept.append(place)
        rows += [(batch, label, place) for place in kept[:most]]
    return np.array(rows, float).reshape(-1, 3)


def layer_norm(x, epsilon, scale=1, bias=0):
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + epsilon) * scale + bias


def compute(node, inputs):
    """One node, in f64."""
    x = inputs[0]
    if node.op == "conv":
        words = node.integers(9)
        y = conv(*inputs[:3], words[0:2], words[2:6], words[6:8], words[8])
        if len(inputs) == 4:
            assert inputs[3].shape == y.shape
            y += inputs[3]
        y = np.clip(y, *node.clamp())
        return activate(y, node.activation() - 1) if node.activation() else y
    if node.op == "conv_pixels":
        words, (mean, scale) = node.integers(9), inputs[3]
        planes = ((x - mean) * scale).transpose(0, 3, 1, 2)
        y = conv(planes, *inputs[1:3], words[0:2], words[2:6], words[6:8], words[8])
        y = np.clip(y, *node.clamp())
        return activate(y, node.activation() - 1) if node.activation() else y
    if node.op == "fully_connected":
        return np.clip(x @ inputs[1].T + inputs[2], *node.clamp())
    if node.op == "global_average_pool":
        return x.mean(axis=(2, 3), keepdims=bool(node.integers(1)[0]))
    if node.op == "add":
        assert x.shape == inputs[1].shape
        return np.clip(x + inputs[1], *node.clamp())
    if node.op == "clamp":
        return np.clip(x, *node.clamp())
    if node.op == "softmax":
        assert x.ndim == 2
        return softmax(x)
    if node.op == "activation":
        return activate(x, node.integers(1)[0])
    if node.op == "leaky_relu":
        return np.where(x > 0, x, x * struct.unpack("<f", node.words)[0])
    if node.op == "multiply":
        assert x.shape == inputs[1].shape or inputs[1].shape == (*x.shape[:2], 1, 1)
        return x * inputs[1]
    if node.op == "concat":
        return np.concatenate(inputs, axis=1)
    if node.op == "slice":
        first, count = node.integers(2)
        return x[:, first : first + count]
    if node.op == "shuffle":
        (groups,) = node.integers(1)
        parted = x.reshape(len(x), groups, -1, *x.shape[2:])
        return parted.swapaxes(1, 2).reshape(x.shape)
    if node.op in ("max_pool", "average_pool"):
        words = node.integers(len(node.words) // 4)
        geometry = (words[0:2], words[2:4], words[4:8], words[8:10])
        if node.op == "average_pool":
            return average_pool(x, *geometry, words[10:14])
        return windows(x, *geometry, -np.finfo(np.float32).max).max(axis=-1)
    if node.op == "reshape":
        rank, *dims = node.integers(7)
        return x.reshape(dims[:rank])
    if node.op == "transpose":
        return x.transpose(node.integers(x.ndim))
    if node.op == "take":
        axis, fill = struct.unpack("<If", node.words)
        return take(x, inputs[1], axis, fill)
    if node.op == "binary":
        return BINARY[node.integers(1)[0]](*inputs).astype(float)
    if node.op == "select":
        return np.where(x != 0, *inputs[1:])
    if node.op == "reduce":
        kind, mask, keep = node.integers(3)
        axes = tuple(axis for axis in range(6) if mask >> axis & 1)
        axes = axes[0] if len(axes) == 1 else axes
        return np.asarray(REDUCE[kind](x, axis=axes, keepdims=bool(keep)), float)
    if node.op == "matmul":
        return x @ inputs[1]
    if node.op == "layer_norm":
        return layer_norm(x, struct.unpack("<f", node.words)[0], *inputs[1:])
    if node.op == "resize":
        return inputs[1] @ x @ inputs[2].T
    if node.op == "top_k":
        return top_k(x, *node.integers(4))
    if node.op == "non_max_suppression":
        return non_max_suppression(x, inputs[1], *struct.unpack("<IfIf", node.words))
    assert node.op == "flatten"
    return x.reshape(x.shape[0], -1)


def run(data, feeds):
    """Run a file's bytes: input names -> arrays gives output names -> arrays (f64)."""
    model = read(data)
    values = {}
    for number, tensor in enumerate(model.tensors):
        if tensor.role == "weights":
            values[number] = tensor.weights.astype(np.float64)
        if tensor.role == "input":
            assert feeds[tensor.name].shape == tensor.dims
            values[number] = feeds[tensor.name].astype(np.float64)
    for node in model.nodes:
        inputs = [values[number] for number in node.inputs]
        tensors = [model.tensors[number] for number in [*node.inputs, node.output]]
        if any(tensor.dtype == "u7" for tensor in tensors):
            values[node.output] = reference_i8.compute(node, inputs, tensors[:-1], tensors[-1])
        else:
            values[node.output] = compute(node, inputs)
    return {t.name: values[i] for i, t in enumerate(model.tensors) if t.role == "output"}
