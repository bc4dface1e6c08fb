"""From the bytes of a ``.goss`` file back to the graph that `lower` writes: its inverse."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..session import InferenceSession
from . import goss_file
from .goss_file import Dtype, Op, Role, Section, Storage
from .ir import Graph, Node, Value
from .lower import ACTIVATIONS, BINARIES, REDUCTIONS
from .pack import QUAD


def read_graph(data: bytes, source: str) -> Graph:
    """Read a model file.

    Weights ask for the storage that they have in the file; set `Value.pattern` to None to have it
    chosen anew.

    Parameters
    ----------
    data
        The file.
    source
        Its name, for messages.

    Raises
    ------
    ModelError
        The file is damaged, or of another version.
    UnsupportedError
        The engine cannot run it.
    """
    layers = InferenceSession(data).layers()  # checks everything, and infers the shapes
    sections = _sections(data)
    strings = sections[Section.STRINGS]

    def text(reference: int) -> str:
        return strings[reference : strings.index(b"\0", reference)].decode()

    values, inputs, outputs = [], [], {}
    for record in goss_file.TENSOR_RECORD.iter_unpack(sections[Section.TENSORS]):
        name, dtype, role, rank, *rest, scale, zero_point = record
        shape = tuple(rest[:rank]) or None
        halves = dtype == Dtype.F16  # a way to store f32, which `lower` chooses anew
        value = Value(text(name), shape, dtype="f32" if halves else Dtype(dtype).name.lower())
        value.scale, value.zero_point = scale, zero_point
        if role == Role.WEIGHTS and dtype == Dtype.I8:
            value.data, value.scales, value.pattern = _i8_weights(
                shape, rest[6:], sections[Section.WEIGHTS]
            )
        elif role == Role.WEIGHTS:
            value.data, value.pattern = _weights(
                shape, rest[6:], sections[Section.WEIGHTS], "<f2" if halves else "<f4"
            )
        elif role == Role.INPUT:
            inputs.append(value)
        elif role == Role.OUTPUT:
            outputs[value.name] = value
        values.append(value)
    nodes = []
    records = goss_file.NODE_RECORD.iter_unpack(sections[Section.NODES])
    for record, layer in zip(records, layers, strict=True):
        name, code, count, *numbers, output, offset, words = record
        op = Op(code).name.lower()
        values[output].shape = tuple(layer.shape)
        values[output].rows_vary = op == "non_max_suppression"
        attributes = sections[Section.ATTRIBUTES][4 * offset : 4 * (offset + words)]
        read = [values[number] for number in numbers[:count]]
        nodes.append(Node(op, text(name), op, read, values[output], _ATTRIBUTES[op](attributes)))
        if op == "transpose":
            rank = len(values[output].shape)
            nodes[-1].attributes["axes"] = nodes[-1].attributes["axes"][:rank]
    return Graph(source, inputs, outputs, nodes)


def _sections(data: bytes) -> dict[Section, bytes]:
    entry, first = goss_file.SECTION_ENTRY, goss_file.HEADER.size
    table = data[first : first + len(Section) * entry.size]
    return {
        Section(kind): data[offset : offset + size]
        for kind, _, offset, size in entry.iter_unpack(table)
    }


# ---- Attributes: section 8 of FORMAT.md ----------------------------------------------------------


def _clamp(words: bytes) -> dict[str, float]:
    low, high = struct.unpack("<2f", words)
    return {"min": low, "max": high}


def _conv(words: bytes) -> dict[str, Any]:
    numbers = struct.unpack_from("<9I", words)
    geometry = {"strides": numbers[:2], "pads": numbers[2:6], "dilations": numbers[6:8]}
    kind = _number(words[44:])  # absent: 0, none
    activation = {"activation": ACTIVATIONS[kind - 1]} if kind else {}
    return {**geometry, "groups": numbers[8], **_clamp(words[36:44]), **activation}


def _shape(words: bytes) -> tuple[int, ...]:
    rank, *dims = struct.unpack("<7I", words)
    return tuple(dims[:rank])


def _window(words: bytes) -> dict[str, Any]:
    numbers = struct.unpack_from("<10I", words)
    geometry = {"kernel": numbers[:2], "strides": numbers[2:4], "pads": numbers[4:8]}
    return {**geometry, "dilations": numbers[8:]}


def _average(words: bytes) -> dict[str, Any]:
    return {**_window(words), "counted": struct.unpack_from("<4I", words, 40)}


def _number(words: bytes) -> int:
    return int.from_bytes(words, "little")


def _reduction(words: bytes) -> dict[str, Any]:
    kind, mask, keep_dims = struct.unpack("<3I", words)
    axes = tuple(axis for axis in range(goss_file.MAX_RANK) if mask >> axis & 1)
    return {"kind": REDUCTIONS[kind], "axes": axes, "keep_dims": bool(keep_dims)}


def _top_k(words: bytes) -> dict[str, Any]:
    axis, count, smallest, places = struct.unpack("<4I", words)
    return {"axis": axis, "count": count, "smallest": bool(smallest), "places": bool(places)}


def _suppression(words: bytes) -> dict[str, Any]:
    most, overlap, centered, score = struct.unpack("<IfIf", words)
    known = {"most": most, "overlap": overlap, "centered": bool(centered)}
    return known if math.isnan(score) else {**known, "score": score}


_ATTRIBUTES: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "conv": _conv,
    "conv_pixels": _conv,
    "fully_connected": _clamp,
    "add": _clamp,
    "clamp": _clamp,
    "global_average_pool": lambda words: {"keep_dims": bool(_number(words))},
    "activation": lambda words: {"kind": ACTIVATIONS[_number(words)]},
    "softmax": lambda words: {},
    "flatten": lambda words: {},
    "multiply": lambda words: {},
    "max_pool": _window,
    "average_pool": _average,
    "concat": lambda words: {},
    "leaky_relu": lambda words: {"slope": struct.unpack("<f", words)[0]},
    "slice": lambda words: dict(zip(("first", "count"), struct.unpack("<2I", words), strict=True)),
    "shuffle": lambda words: {"groups": _number(words)},
    "reshape": lambda words: {"shape": _shape(words)},
    "transpose": lambda words: {"axes": struct.unpack("<6I", words)},
    "take": lambda words: dict(zip(("axis", "fill"), struct.unpack("<If", words), strict=True)),
    "binary": lambda words: {"kind": BINARIES[_number(words)]},
    "select": lambda words: {},
    "reduce": _reduction,
    "matmul": lambda words: {},
    "layer_norm": lambda words: {"epsilon": struct.unpack("<f", words)[0]},
    "resize": lambda words: {},
    "top_k": _top_k,
    "non_max_suppression": _suppression,
    "lookup": lambda words: {"table": np.frombuffer(words, np.uint8)},
    "quantize": lambda words: {},
    "dequantize": lambda words: {},
    "quantize_pixels": lambda words: {},
}

# ---- Weights: sections 10 and 11 -----------------------------------------------------------------


def _weights(
    shape: tuple[int, ...], fields: list[int], section: bytes, element: str
) -> tuple[np.ndarray, str]:
    block_rows, storage, offset, size, blocks = fields
    data = section[offset : offset + size]
    matrix = np.zeros((shape[0], int(np.prod(shape[1:], dtype=np.int64))), np.float32)
    whole = len(matrix) // block_rows * block_rows
    parts = [(matrix[:whole], block_rows), (matrix[whole:], 1)]
    if storage == Storage.DENSE:
        values = np.frombuffer(data, element)
        for part, rows in parts:
            packed, values = values[: part.size], values[part.size :]
            blocks_of = packed.reshape(len(part) // rows, matrix.shape[1], rows)
            part[:] = blocks_of.swapaxes(1, 2).reshape(part.shape)
        return matrix.reshape(shape), f"{block_rows}x1"
    for part, rows, block_row, columns, values in _sparse(
        data, parts, matrix.shape[1], blocks, element
    ):
        lines = part.reshape(-1, rows, matrix.shape[1])
        lines[block_row, :, columns] = values.reshape(-1, rows)
    return matrix.reshape(shape), f"{block_rows}x1"


def _index(
    data: bytes, block_rows: int, columns: int, blocks: int
) -> tuple[np.ndarray, np.ndarray, bytes]:
    """Counts and columns of sparse storage, and the bytes of its values."""
    counts = np.frombuffer(data, "<u4", block_rows)
    column = np.frombuffer(data, goss_file.column_type(columns), blocks, offset=counts.nbytes)
    return counts, column, data[goss_file.align(counts.nbytes + column.nbytes) :]


def _sparse(
    data: bytes, parts: list[tuple[np.ndarray, int]], columns: int, blocks: int, element: str
) -> Iterator[tuple[np.ndarray, int, np.ndarray, np.ndarray, np.ndarray]]:
    """Give each part with the block rows, columns and values of its blocks."""
    block_rows = [len(part) // rows for part, rows in parts]
    counts, column, values = _index(data, sum(block_rows), columns, blocks)
    values = np.frombuffer(values, element)
    for (part, rows), lines in zip(parts, block_rows, strict=True):
        mine, counts = counts[:lines], counts[lines:]
        row, stored = np.repeat(np.arange(lines), mine), int(mine.sum())
        yield part, rows, row, column[:stored], values[: stored * rows]
        column, values = column[stored:], values[stored * rows :]


def _i8_weights(
    shape: tuple[int, ...], fields: list[int], section: bytes
) -> tuple[np.ndarray, np.ndarray, str | None]:
    """Weights, their scales and their pattern; depthwise weights have none."""
    block_rows, storage, offset, size, blocks = fields
    data = section[offset : offset + size]
    scales = np.frombuffer(data, "<f4", shape[0])
    data = data[goss_file.align(scales.nbytes) :]
    positions = int(np.prod(shape[2:], dtype=np.int64))
    if storage == Storage.DEPTHWISE:
        taps = np.frombuffer(data, np.int8).reshape(positions, -1)[:, : shape[0]]
        return taps.T.reshape(shape), scales, None
    rows, quads = -(-shape[0] // QUAD) * QUAD, -(-shape[1] // QUAD)
    matrix = np.zeros((rows // block_rows, quads * positions, block_rows, QUAD), np.int8)
    present = np.ones(matrix.shape[:2], bool)
    if storage == Storage.RUNS:
        data = _runs(data, matrix.size)
    elif storage == Storage.SPARSE:
        counts, column, data = _index(data, *matrix.shape[:2], blocks)
        present[:] = False
        present[np.repeat(np.arange(len(counts)), counts), column] = True
    matrix[present] = np.frombuffer(data, np.int8).reshape(-1, block_rows, QUAD)
    by_row = matrix.swapaxes(1, 2).reshape(rows, quads, positions, QUAD).swapaxes(2, 3)
    weights = by_row.reshape(rows, quads * QUAD, *shape[2:])[: shape[0], : shape[1]]
    return weights, scales, f"{block_rows}x{QUAD}"


def _runs(data: bytes, size: int) -> bytes:
    """Lay weights that are stored in runs among their zeros."""
    count, bits = np.frombuffer(data, "<u4", 2).tolist()
    values = np.frombuffer(data, np.int8, count, offset=8)
    end = 8 + count + -(-count * bits // 8)
    low = np.frombuffer(data[8 + count : end], np.uint8)
    remainders = np.unpackbits(low, count=count * bits, bitorder="little").reshape(count, bits)
    ones = np.flatnonzero(np.unpackbits(np.frombuffer(data[end:], np.uint8), bitorder="little"))
    quotients = np.diff(ones, prepend=-1) - 1
    zeros = (quotients << bits) + remainders @ (1 << np.arange(bits))
    laid = np.zeros(size, np.int8)
    laid[np.cumsum(zeros + 1) - 1] = values
    return laid.tobytes()
