"""A ``.tflite`` file as plain objects. Nothing in it is trusted: all of it is read here, once.

The flatbuffer's classes come from the package `tflite`. They check nothing: what they make of a
broken file, and offsets that lead out of it, end in one error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tflite

from ..errors import ModelError

IDENTIFIER = b"TFL3"
MAX_RANK = 6
NONE = -1  # a tensor number: an optional input that is left out


def _names(constants: type) -> dict[int, str]:
    return {value: name for name, value in vars(constants).items() if isinstance(value, int)}


OPERATORS, TYPES = _names(tflite.BuiltinOperator), _names(tflite.TensorType)
ACTIVATIONS = _names(tflite.ActivationFunctionType)
DTYPES = {
    "FLOAT32": np.float32, "FLOAT16": np.float16, "INT32": np.int32, "UINT8": np.uint8,
    "INT64": np.int64, "INT16": np.int16, "INT8": np.int8, "BOOL": np.bool_,
}  # fmt: skip

_WINDOW = ("Padding", "StrideH", "StrideW", "FusedActivationFunction")
_DILATION = ("DilationHFactor", "DilationWFactor")
# What is read of each operator's options.
_OPTIONS: dict[str, tuple[type, tuple[str, ...]]] = {
    "ADD": (tflite.AddOptions, ("FusedActivationFunction",)),
    "AVERAGE_POOL_2D": (tflite.Pool2DOptions, (*_WINDOW, "FilterHeight", "FilterWidth")),
    "CONV_2D": (tflite.Conv2DOptions, (*_WINDOW, *_DILATION)),
    "DEPTHWISE_CONV_2D": (tflite.DepthwiseConv2DOptions, (*_WINDOW, *_DILATION)),
    "FULLY_CONNECTED": (
        tflite.FullyConnectedOptions,
        ("FusedActivationFunction", "WeightsFormat", "KeepNumDims"),
    ),
    "BATCH_MATMUL": (tflite.BatchMatMulOptions, ("AdjX", "AdjY")),
    "CONCATENATION": (tflite.ConcatenationOptions, ("Axis", "FusedActivationFunction")),
    "DEPTH_TO_SPACE": (tflite.DepthToSpaceOptions, ("BlockSize",)),
    "DIV": (tflite.DivOptions, ("FusedActivationFunction",)),
    "GATHER": (tflite.GatherOptions, ("Axis", "BatchDims")),
    "GELU": (tflite.GeluOptions, ("Approximate",)),
    "LEAKY_RELU": (tflite.LeakyReluOptions, ("Alpha",)),
    "MAX_POOL_2D": (tflite.Pool2DOptions, (*_WINDOW, "FilterHeight", "FilterWidth")),
    "MEAN": (tflite.ReducerOptions, ("KeepDims",)),
    "MIRROR_PAD": (tflite.MirrorPadOptions, ("Mode",)),
    "MUL": (tflite.MulOptions, ("FusedActivationFunction",)),
    "ONE_HOT": (tflite.OneHotOptions, ("Axis",)),
    "PACK": (tflite.PackOptions, ("Axis",)),
    "REDUCE_MAX": (tflite.ReducerOptions, ("KeepDims",)),
    "REDUCE_MIN": (tflite.ReducerOptions, ("KeepDims",)),
    "REDUCE_PROD": (tflite.ReducerOptions, ("KeepDims",)),
    "RESIZE_BILINEAR": (tflite.ResizeBilinearOptions, ("AlignCorners", "HalfPixelCenters")),
    "RESIZE_NEAREST_NEIGHBOR": (
        tflite.ResizeNearestNeighborOptions,
        ("AlignCorners", "HalfPixelCenters"),
    ),
    "SOFTMAX": (tflite.SoftmaxOptions, ("Beta",)),
    "SPACE_TO_DEPTH": (tflite.SpaceToDepthOptions, ("BlockSize",)),
    "STRIDED_SLICE": (
        tflite.StridedSliceOptions,
        ("BeginMask", "EndMask", "EllipsisMask", "NewAxisMask", "ShrinkAxisMask", "Offset"),
    ),
    "SUM": (tflite.ReducerOptions, ("KeepDims",)),
    "TRANSPOSE_CONV": (
        tflite.TransposeConvOptions,
        ("Padding", "StrideH", "StrideW", "FusedActivationFunction"),
    ),
    "UNPACK": (tflite.UnpackOptions, ("Axis",)),
    "SUB": (tflite.SubOptions, ("FusedActivationFunction",)),
}


@dataclass(frozen=True)
class Tensor:
    """A tensor.

    `dims` has -1 where the model leaves a size open; `shape` has 1 there. `data` is what a constant
    holds, as it is stored; None of a computed one. Without quantization `scale` is empty.
    """

    name: str
    shape: tuple[int, ...]
    dims: tuple[int, ...]
    type: str
    data: np.ndarray | None
    scale: np.ndarray
    zero: np.ndarray
    axis: int

    def bounds(self) -> tuple[float, float] | None:
        """Smallest and largest number that quantization can hold; None without one scale."""
        if self.scale.size != 1 or DTYPES.get(self.type, np.float32) in (np.float32, np.float16):
            return None
        limits = np.iinfo(DTYPES[self.type])
        low, high = (float((n - self.zero[0]) * self.scale[0]) for n in (limits.min, limits.max))
        return low, high

    def along_axis(self, numbers: np.ndarray) -> np.ndarray:
        """Give scales or zero points a shape that broadcasts with the tensor."""
        shape = [1] * len(self.shape)
        if numbers.size > 1:
            shape[self.axis] = numbers.size
        return numbers.reshape(shape)

    def real(self) -> np.ndarray | None:
        """What a constant stands for: dequantized, or as it is."""
        if self.data is None or not self.scale.size or self.data.dtype.kind == "f":
            return self.data
        steps = self.data.astype(np.float64) - self.along_axis(self.zero)
        return (steps * self.along_axis(self.scale.astype(np.float64))).astype(np.float32)

    @property
    def has_8_bits(self) -> bool:
        """Whether it is quantized to 8 bits."""
        numbers = self.type in ("INT8", "UINT8")
        return numbers and bool(self.scale.size) and bool((self.scale > 0).all())


@dataclass(frozen=True)
class Operator:
    """A node: numbers of tensors, and options by their names in the schema."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """The first subgraph: tensors, operators in execution order, numbers of inputs and outputs."""

    tensors: list[Tensor]
    operators: list[Operator]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_model(path: Path) -> Model:
    """Read a file.

    Raises
    ------
    ModelError
        It cannot be read, is no TensorFlow Lite model, or is broken; names what is.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}; check the path") from error
    if data[4:8] != IDENTIFIER:
        raise ModelError(
            f"{path}: a TensorFlow Lite model with the identifier TFL3 expected, found "
            f"{data[4:8]!r}; fetch it again"
        )
    return _Reader(str(path), data).read()


class _Reader:
    def __init__(self, source: str, data: bytes) -> None:
        self.source, self.data = source, data

    def guarded(self, what: str, read: Callable[[], Any]) -> Any:
        """Read something; whatever goes wrong with it is the file's fault."""
        try:
            return read()
        except ModelError:
            raise
        except Exception as error:  # bytes that are no flatbuffer raise what they like
            raise ModelError(
                f"{self.source}: {what} cannot be read: the file is broken or incomplete "
                f"({type(error).__name__}); fetch it again"
            ) from error

    def fail(self, what: str, text: str) -> None:
        raise ModelError(f"{self.source}: {what}: {text}; fetch the file, or convert it, again")

    def count(self, what: str, number: int) -> range:
        """Refuse more things than the file has bytes: each takes some."""
        if not 0 <= number <= len(self.data) // 4:
            self.fail(what, f"at most {len(self.data) // 4} expected, found {number}")
        return range(number)

    def read(self) -> Model:
        self.model = self.guarded("the model", lambda: tflite.Model.GetRootAs(self.data, 0))
        graphs = self.guarded("the list of graphs", self.model.SubgraphsLength)
        if graphs != 1:
            self.fail("the model", f"one graph expected, found {graphs}")
        graph = self.guarded("the graph", lambda: self.model.Subgraphs(0))
        tensors = self.guarded("the list of tensors", lambda: self.tensors(graph))
        operators = self.guarded("the list of operators", lambda: self.operators(graph, tensors))
        ends = self.guarded(
            "the graph's inputs and outputs",
            lambda: [
                self.numbers("the graph", vector, len(tensors))
                for vector in (graph.InputsAsNumpy(), graph.OutputsAsNumpy())
            ],
        )
        return Model(tensors, operators, *ends)

    def numbers(self, what: str, vector: Any, tensors: int) -> tuple[int, ...]:
        """Numbers of tensors."""
        found = tuple(np.atleast_1d(vector).tolist()) if isinstance(vector, np.ndarray) else ()
        if any(not NONE <= number < tensors for number in found):
            self.fail(what, f"tensors 0 to {tensors - 1} expected, found {list(found)}")
        return found

    # Tensors

    def tensors(self, graph: Any) -> list[Tensor]:
        numbers = self.count("tensors", graph.TensorsLength())
        return [self.guarded(f"tensor {i}", lambda i=i: self.tensor(graph, i)) for i in numbers]

    def tensor(self, graph: Any, number: int) -> Tensor:
        table = graph.Tensors(number)
        name = (table.Name() or b"").decode(errors="replace") or f"tensor {number}"
        what = f"tensor '{name}'"
        if "\0" in name:
            self.fail(f"tensor {number}", f"a name without NUL expected, found {name[:40]!r}")
        shape, dims = _sizes(table.ShapeAsNumpy()), _sizes(table.ShapeSignatureAsNumpy())
        dims = dims or shape
        if len(shape) > MAX_RANK or len(dims) != len(shape) or min(shape, default=1) < 0:
            self.fail(what, f"up to {MAX_RANK} sizes expected, found {list(shape)}, {list(dims)}")
        kind = TYPES.get(table.Type(), f"type {table.Type()}")
        scale, zero, axis = self.quantization(what, table.Quantization(), shape)
        data = self.constant(what, table, shape, kind)
        return Tensor(name, shape, dims, kind, data, scale, zero, axis)

    def quantization(
        self, what: str, table: Any, shape: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Scales, zero points (as many), and the axis along which there are several."""
        if table is None or not table.ScaleLength():
            return np.zeros(0), np.zeros(0), 0
        scale, zero = np.atleast_1d(table.ScaleAsNumpy()), np.zeros(1)
        if table.ZeroPointLength():
            zero = np.atleast_1d(table.ZeroPointAsNumpy()).astype(np.float64)
        zero, axis = np.resize(zero, scale.size) if zero.size == 1 else zero, 0
        if scale.size > 1:
            axis = table.QuantizedDimension()
            if not 0 <= axis < len(shape) or shape[axis] != scale.size:
                self.fail(what, f"scales for axis {axis} of {list(shape)}, found {scale.size}")
        if zero.size != scale.size or not np.isfinite(scale).all():
            self.fail(what, f"{scale.size} finite scales and zero points, found {zero.size}")
        return scale, zero, axis

    def constant(
        self, what: str, table: Any, shape: tuple[int, ...], kind: str
    ) -> np.ndarray | None:
        index = table.Buffer()
        if not 0 <= index < self.model.BuffersLength():
            self.fail(what, f"a buffer expected, found number {index}")
        buffer = self.model.Buffers(index)
        if buffer is None or not buffer.DataLength():
            return None
        if kind not in DTYPES:
            return np.frombuffer(buffer.DataAsNumpy(), np.uint8)  # refused where it is read
        raw = np.ascontiguousarray(buffer.DataAsNumpy())
        expected = math.prod(shape) * np.dtype(DTYPES[kind]).itemsize
        if raw.nbytes != expected:
            self.fail(what, f"{expected} bytes for {list(shape)} expected, found {raw.nbytes}")
        return raw.view(DTYPES[kind]).reshape(shape)

    # Operators

    def operators(self, graph: Any, tensors: list[Tensor]) -> list[Operator]:
        return [
            self.guarded(f"operator {i}", lambda i=i: self.operator(graph.Operators(i), i, tensors))
            for i in self.count("operators", graph.OperatorsLength())
        ]

    def operator(self, table: Any, number: int, tensors: list[Tensor]) -> Operator:
        code = self.model.OperatorCodes(table.OpcodeIndex())
        # Numbers above 127 have a field of their own.
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = OPERATORS.get(builtin, f"operator {builtin}")
        if name == "CUSTOM":
            name = f"custom {(code.CustomCode() or b'').decode(errors='replace')}"
        what = f"operator {number} ({name})"
        inputs, outputs = (
            self.numbers(what, vector, len(tensors))
            for vector in (table.InputsAsNumpy(), table.OutputsAsNumpy())
        )
        if not outputs or NONE in outputs:
            self.fail(what, "outputs expected, found none")
        return Operator(name, inputs, outputs, _options(name, table.BuiltinOptions()))


def _sizes(vector: Any) -> tuple[int, ...]:
    return tuple(np.atleast_1d(vector).tolist()) if isinstance(vector, np.ndarray) else ()


def _options(name: str, table: Any) -> dict[str, Any]:
    """Read the options of an operator that has some; without them the defaults hold."""
    if name not in _OPTIONS or table is None:
        return {}
    kind, fields = _OPTIONS[name]
    options = kind()
    options.Init(table.Bytes, table.Pos)
    return {field: getattr(options, field)() for field in fields}
