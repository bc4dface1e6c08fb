"""Builds small ``.tflite`` files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import flatbuffers
import numpy as np
import tflite

TYPES = {
    "f4": "FLOAT32",
    "f2": "FLOAT16",
    "i1": "INT8",
    "u1": "UINT8",
    "i4": "INT32",
    "i8": "INT64",
    "?": "BOOL",
}


@dataclass
class Tensor:
    shape: Sequence[int]
    data: np.ndarray | None = None
    dtype: str = "f4"
    scale: Sequence[float] = ()
    zero: Sequence[int] = (0,)
    axis: int = 0
    open_batch: bool = False


@dataclass
class Op:
    name: str
    inputs: Sequence[str]
    output: str  # or several, with spaces between them
    options: Mapping[str, int | float | bool] = field(default_factory=dict)
    options_type: str = ""


def constant(data, dtype="f4", **quantization) -> Tensor:
    data = np.asarray(data, dtype)
    return Tensor(data.shape, data, dtype, **quantization)


def build(tensors: Mapping[str, Tensor], ops: Sequence[Op], inputs, outputs) -> bytes:
    """Write a model of one graph; tensors are named, operators refer to them by name."""
    b = flatbuffers.Builder(1 << 12)
    numbers = {name: number for number, name in enumerate(tensors)}
    buffers = [_buffer(b, None)] + [_buffer(b, tensor.data) for tensor in tensors.values()]
    tables = [_tensor(b, name, tensor, numbers[name] + 1) for name, tensor in tensors.items()]
    codes = sorted({op.name for op in ops})
    operators = [_operator(b, op, codes.index(op.name), numbers) for op in ops]
    code_tables = [_operator_code(b, name) for name in codes]
    graph = [
        ("Tensors", _vector(b, tables)),
        ("Operators", _vector(b, operators)),
        ("Inputs", _ints(b, [numbers[name] for name in inputs])),
        ("Outputs", _ints(b, [numbers[name] for name in outputs])),
    ]
    fields = [
        ("Buffers", _vector(b, buffers)),
        ("OperatorCodes", _vector(b, code_tables)),
        ("Subgraphs", _vector(b, [_table(b, "SubGraph", graph)])),
        ("Version", 3),
    ]
    b.Finish(_table(b, "Model", fields), b"TFL3")
    return bytes(b.Output())


def _table(b, name: str, fields) -> int:
    getattr(tflite, f"{name}Start")(b)
    for field_name, value in fields:
        getattr(tflite, f"{name}Add{field_name}")(b, value)
    return getattr(tflite, f"{name}End")(b)


def _vector(b, offsets: Sequence[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()


def _ints(b, numbers: Sequence[int], dtype=np.int32) -> int:
    return b.CreateNumpyVector(np.asarray(numbers, dtype))


def _buffer(b, data: np.ndarray | None) -> int:
    if data is None:
        return _table(b, "Buffer", [])
    return _table(b, "Buffer", [("Data", _ints(b, np.frombuffer(data.tobytes(), "u1"), np.uint8))])


def _tensor(b, name: str, tensor: Tensor, buffer: int) -> int:
    fields = [("Name", b.CreateString(name)), ("Shape", _ints(b, tensor.shape))]
    if tensor.open_batch:
        fields.append(("ShapeSignature", _ints(b, [-1, *tensor.shape[1:]])))
    if tensor.scale:
        scale = _ints(b, tensor.scale, np.float32)
        zero = _ints(b, tensor.zero, np.int64)
        quantization = [("Scale", scale), ("ZeroPoint", zero), ("QuantizedDimension", tensor.axis)]
        fields.append(("Quantization", _table(b, "QuantizationParameters", quantization)))
    kind = getattr(tflite.TensorType, TYPES[tensor.dtype])
    return _table(b, "Tensor", [*fields, ("Buffer", buffer), ("Type", kind)])


def _operator_code(b, name: str) -> int:
    code = getattr(tflite.BuiltinOperator, name)
    fields = [("DeprecatedBuiltinCode", min(code, 127)), ("BuiltinCode", code), ("Version", 1)]
    return _table(b, "OperatorCode", fields)


def _operator(b, op: Op, code: int, numbers: Mapping[str, int]) -> int:
    inputs = _ints(b, [numbers.get(name, -1) for name in op.inputs])
    outputs = [numbers[name] for name in op.output.split()]
    fields = [("Inputs", inputs), ("Outputs", _ints(b, outputs))]
    if op.options_type:
        options = _table(b, op.options_type, op.options.items())
        kind = getattr(tflite.BuiltinOptions, op.options_type)
        fields += [("BuiltinOptions", options), ("BuiltinOptionsType", kind)]
    return _table(b, "Operator", [*fields, ("OpcodeIndex", code)])
