"""Writer of the ``.goss`` model file, version 2.

``runtime/FORMAT.md`` describes the file; "section n" below is a section of that page. The engine's
``runtime/src/model.c`` is the reader.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from ..errors import ModelError

MAGIC = b"GOSS"
VERSION = 2
ALIGNMENT = 64
TAIL_BYTES = 64
MAX_INPUTS = 4
MAX_RANK = 6
UNUSED_INPUT = 0xFFFFFFFF

HEADER = struct.Struct("<4sIQII40x")
SECTION_ENTRY = struct.Struct("<IIQQ8x")
TENSOR_RECORD = struct.Struct("<4I6I2IQQIfI4x")
NODE_RECORD = struct.Struct("<3I4I3I")
METADATA_RECORD = struct.Struct("<2I")


class Section(IntEnum):
    """Kinds of sections, in file order (section 2)."""

    STRINGS = 1
    TENSORS = 2
    NODES = 3
    ATTRIBUTES = 4
    METADATA = 5
    WEIGHTS = 6


class Role(IntEnum):
    """What a tensor is in the graph (section 4)."""

    INTERMEDIATE = 0
    INPUT = 1
    OUTPUT = 2
    WEIGHTS = 3


class Dtype(IntEnum):
    """What a tensor's elements are (section 4)."""

    F32 = 1
    U8 = 2
    I8 = 3
    U7 = 4
    F16 = 5


class Storage(IntEnum):
    """How a weight matrix is stored (sections 10 and 11)."""

    DENSE = 0
    SPARSE = 1
    DEPTHWISE = 2
    RUNS = 3


class Op(IntEnum):
    """Operator codes (section 8)."""

    CONV = 1
    FULLY_CONNECTED = 2
    GLOBAL_AVERAGE_POOL = 3
    ADD = 4
    CLAMP = 5
    SOFTMAX = 6
    FLATTEN = 7
    ACTIVATION = 8
    MULTIPLY = 9
    CONV_PIXELS = 10
    MAX_POOL = 11
    AVERAGE_POOL = 12
    CONCAT = 13
    LEAKY_RELU = 14
    SLICE = 15
    SHUFFLE = 16
    RESHAPE = 17
    TRANSPOSE = 18
    TAKE = 19
    BINARY = 20
    SELECT = 21
    REDUCE = 22
    MATMUL = 23
    LAYER_NORM = 24
    RESIZE = 25
    TOP_K = 26
    NON_MAX_SUPPRESSION = 27
    LOOKUP = 40
    QUANTIZE = 41
    DEQUANTIZE = 42
    QUANTIZE_PIXELS = 43


@dataclass(frozen=True)
class PackedWeights:
    """A weight matrix in the bytes of section 10 or 11; `pack` makes them.

    `blocks` counts the stored blocks of sparse storage and is 0 for dense storage.
    """

    block_rows: int
    storage: Storage
    blocks: int
    data: bytes


@dataclass(frozen=True)
class Tensor:
    """One tensor. `dims` is empty unless the role is INPUT or WEIGHTS.

    `scale` and `zero_point` say what the numbers of dtype U7 stand for.
    """

    name: str
    role: Role
    dims: tuple[int, ...] = ()
    weights: PackedWeights | None = None
    dtype: Dtype = Dtype.F32
    scale: float = 0.0
    zero_point: int = 0


@dataclass(frozen=True)
class Node:
    """One operation. `inputs` and `output` are tensor numbers.

    An attribute that is an ``int`` is written as u32, a ``float`` as f32.
    """

    name: str
    op: Op
    inputs: tuple[int, ...]
    output: int
    attributes: tuple[int | float, ...] = ()


@dataclass(frozen=True)
class Model:
    """All that a file holds. Nodes stand in execution order."""

    tensors: Sequence[Tensor]
    nodes: Sequence[Node]
    metadata: Mapping[str, str] = field(default_factory=dict)


def align(size: int) -> int:
    """Round up to the next multiple of 64."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def column_type(columns: int) -> str:
    """NumPy type of a block's column in sparse storage, in rows of so many columns."""
    return "<u2" if columns <= 65536 else "<u4"


class _Strings:
    """The strings of section 3; each text is stored once."""

    def __init__(self) -> None:
        self.data = bytearray(b"\0")
        self.offsets = {"": 0}

    def reference(self, text: str) -> int:
        if text not in self.offsets:
            if "\0" in text:
                raise ModelError(f"the name {text!r} holds a NUL character; rename it")
            self.offsets[text] = len(self.data)
            self.data += text.encode() + b"\0"
        return self.offsets[text]


def _tensor_records(tensors: Iterable[Tensor], strings: _Strings, weights: bytearray) -> bytes:
    """Section 4; appends what the records point to to the bytes of the weights."""
    records = bytearray()
    for tensor in tensors:
        dims = tensor.dims + (0,) * (MAX_RANK - len(tensor.dims))
        name = strings.reference(tensor.name)
        head = (name, tensor.dtype, tensor.role, len(tensor.dims), *dims)
        packed = tensor.weights
        if packed is None:
            quantization = (tensor.scale, tensor.zero_point)
            records += TENSOR_RECORD.pack(*head, 0, 0, 0, 0, 0, *quantization)
            continue
        weights += bytes(align(len(weights)) - len(weights))
        place = (len(weights), len(packed.data), packed.blocks)
        records += TENSOR_RECORD.pack(*head, packed.block_rows, packed.storage, *place, 0, 0)
        weights += packed.data
    return bytes(records)


def _node_records(nodes: Iterable[Node], strings: _Strings, attributes: bytearray) -> bytes:
    """Section 5; appends the nodes' words to section 6's bytes."""
    records = bytearray()
    for node in nodes:
        inputs = node.inputs + (UNUSED_INPUT,) * (MAX_INPUTS - len(node.inputs))
        place = (len(attributes) // 4, len(node.attributes))
        head = (strings.reference(node.name), node.op, len(node.inputs))
        records += NODE_RECORD.pack(*head, *inputs, node.output, *place)
        for word in node.attributes:
            attributes += struct.pack("<f" if isinstance(word, float) else "<I", word)
    return bytes(records)


def _assemble(sections: Sequence[bytes]) -> bytes:
    """Header, section table, aligned sections, tail (sections 1 and 2)."""
    table = bytearray()
    body = bytearray()
    start = HEADER.size + len(sections) * SECTION_ENTRY.size
    for kind, data in zip(Section, sections, strict=True):
        body += bytes(align(start + len(body)) - start - len(body))
        table += SECTION_ENTRY.pack(kind, zlib.crc32(data), start + len(body), len(data))
        body += data
    end = start + len(body)
    body += bytes(align(end) - end + TAIL_BYTES)

    file_bytes = start + len(body)
    header = HEADER.pack(MAGIC, VERSION, file_bytes, len(sections), 0)
    crc = zlib.crc32(table, zlib.crc32(header[24:], zlib.crc32(header[:20])))
    header = HEADER.pack(MAGIC, VERSION, file_bytes, len(sections), crc)
    return header + bytes(table) + bytes(body)


def write_model(model: Model) -> bytes:
    """Serialize a model.

    Parameters
    ----------
    model
        Must keep the rules of FORMAT.md; the engine checks them when it loads the file.

    Returns
    -------
    bytes
        The whole file.

    Raises
    ------
    ModelError
        A name holds a NUL character.
    """
    strings, weights, attributes = _Strings(), bytearray(), bytearray()
    tensors = _tensor_records(model.tensors, strings, weights)
    nodes = _node_records(model.nodes, strings, attributes)
    metadata = b"".join(
        METADATA_RECORD.pack(strings.reference(key), strings.reference(value))
        for key, value in model.metadata.items()
    )
    parts = (strings.data, tensors, nodes, attributes, metadata, weights)
    return _assemble([bytes(part) for part in parts])
