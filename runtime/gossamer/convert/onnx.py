"""Import of ONNX models into the graph of `ir`.

What depends on constants and shapes only is computed on the way: `Shape`, `Gather`, `Concat` and
the like leave no node behind. Every shape is known: whoever converts says how large dimensions are
that a model leaves open.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import numpy as np
import onnx
import onnx.checker
import onnx.reference
import onnx.shape_inference
from google.protobuf.message import DecodeError
from onnx import AttributeProto, NodeProto, TensorProto, numpy_helper

from ..errors import InputError, ModelError, UnsupportedError
from .goss_file import MAX_RANK
from .ir import Graph, Node, Problem, SourceNode, Value
from .node_reader import MAX_ELEMENTS, Unsupported
from .onnx_constants import (
    MAX_FOLDED_ELEMENTS,
    MAX_INFERENCE_ELEMENTS,
    evaluate,
    is_small,
    reads_constants,
)
from .onnx_node import TYPES, OnnxNode, node_name, type_name
from .onnx_operators import OPERATORS
from .onnx_quantization import READ_QUANTIZED, ROUNDING, Quantized

OLDEST_OPSET = 7  # before it, arithmetic broadcasts by other rules

# What they give has a size that depends on numbers, not on shapes.
UNKNOWN_SIZE = {
    "Compress", "ConstantOfShape", "NonZero", "Range", "Unique",
}  # fmt: skip
EXPECTED = "tensors of FLOAT, BOOL, INT32 or INT64"


def _read_proto(path: Path) -> onnx.ModelProto:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}; check the path") from error
    if data[:4] == b"GOSS":
        raise ModelError(f"{path}: an ONNX file expected, found a .goss file; use it as it is")
    try:
        return onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ModelError(
            f"{path}: an ONNX file expected, found {len(data)} bytes that are none or are "
            f"incomplete; export or fetch it again"
        ) from error


def import_model(
    src: str | os.PathLike[str] | onnx.ModelProto, batch: int, dims: Mapping[str, int] | None = None
) -> Graph:
    """Read an ONNX model into a graph.

    Parameters
    ----------
    src
        A file, or a loaded model, which is not modified.
    batch
        Replaces a first input dimension that the model leaves open.
    dims
        Sizes of named input dimensions that the model leaves open.

    Returns
    -------
    Graph
        With what the engine cannot run recorded in it, not raised.

    Raises
    ------
    ModelError
        The file cannot be read or contradicts itself.
    InputError
        `src` is neither a path nor a model, or no input has a dimension that `dims` names.
    """
    dims = dims or {}
    if isinstance(src, onnx.ModelProto):
        return _Importer(src, "model", None, batch, dims).run()
    if not isinstance(src, str | os.PathLike):
        raise InputError(f"src: a path or an onnx.ModelProto expected, found {type(src).__name__}")
    path = Path(src)
    return _Importer(_read_proto(path), str(path), path.parent, batch, dims).run()


def _has_huge_lists(graph: onnx.GraphProto) -> bool:
    """Whether a tensor of one axis has more elements than any shape or list of indices."""
    shapes = (info.type.tensor_type.shape.dim for info in graph.value_info)
    return any(len(dims) == 1 and dims[0].dim_value > MAX_INFERENCE_ELEMENTS for dims in shapes)


class _Importer:
    """Reads one model, node after node, and remembers what each name stands for."""

    def __init__(
        self,
        model: onnx.ModelProto,
        source: str,
        folder: Path | None,
        batch: int,
        dims: Mapping[str, int],
    ) -> None:
        self.model, self.source, self.folder = model, source, folder
        self.batch, self.dims = batch, dims
        self.graph = model.graph
        self.initializers: dict[str, TensorProto] = {}
        self.values: dict[str, Value] = {}
        self.nodes: list[Node] = []
        self.problems: list[Problem] = []
        self.inferred: dict[str, tuple[int, ...]] | None = None

    def run(self) -> Graph:
        self.check_model()
        self.check_dims()
        self.opset = self.read_opset()
        self.read_initializers()
        inputs = self.read_inputs()
        nodes = self.needed_nodes()
        self.read_names = {name for proto in nodes for name in proto.input}
        self.read_names.update(info.name for info in self.graph.output)
        for proto in nodes:
            self.read_node(proto)
        graph = Graph(self.source, inputs, self.read_outputs(), self.nodes, self.problems)
        graph.source_nodes = [SourceNode(proto.op_type, node_name(proto)) for proto in nodes]
        return graph

    def fail(self, text: str) -> NoReturn:
        raise ModelError(f"{self.source}: {text}")

    def check_model(self) -> None:
        if not self.model.ir_version or not self.model.HasField("graph"):
            self.fail("an ONNX model expected, found none; export or fetch it again")
        if not self.graph.node or not self.graph.output:
            self.fail(
                f"a graph with nodes and outputs expected, found {len(self.graph.node)} nodes and "
                f"{len(self.graph.output)} outputs; export the model again"
            )

        for name in self.names():
            if isinstance(name, bytes):  # protobuf leaves what is not UTF-8 as it is
                self.fail(f"names in UTF-8 expected, found {name}; export or fetch the model again")

    def names(self) -> Iterator[str | bytes]:
        graph = self.graph
        for node in graph.node:
            yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for named in (*graph.initializer, *graph.input, *graph.output):
            yield named.name

    def read_opset(self) -> int:
        versions = [
            entry.version for entry in self.model.opset_import if entry.domain in ("", "ai.onnx")
        ]
        newest = onnx.defs.onnx_opset_version()
        if not versions and all(node.domain not in ("", "ai.onnx") for node in self.graph.node):
            return newest
        if not versions:
            self.fail(
                "an import of ONNX's operator set expected, found none; export the model again"
            )
        if not OLDEST_OPSET <= versions[0] <= newest:
            raise UnsupportedError(
                f"{self.source}: operator set {versions[0]}; {OLDEST_OPSET} to {newest} expected; "
                f"export with opset_version={newest} or install a newer onnx"
            )
        return versions[0]

    # Constants, inputs and outputs

    def read_initializers(self) -> None:
        for proto in self.graph.initializer:
            if proto.name in self.initializers:
                self.fail(
                    f"tensor '{proto.name}': one initializer expected, found two; export again"
                )
            self.initializers[proto.name] = proto
        for sparse in self.graph.sparse_initializer:
            name = sparse.values.name
            self.problems.append(Problem("sparse initializer", name, "plain initializers expected"))
            self.values[name] = Value(name, None)

    def array(self, proto: TensorProto) -> np.ndarray:
        """The numbers of a constant, from the model or from a file beside it."""
        if onnx.external_data_helper.uses_external_data(proto) and self.folder is None:
            self.fail(
                f"tensor '{proto.name}' lies in another file; convert the path or use onnx.load"
            )
        try:
            return numpy_helper.to_array(proto, base_dir=str(self.folder or ""))
        except (onnx.checker.ValidationError, OSError) as error:
            location = {entry.key: entry.value for entry in proto.external_data}.get("location", "")
            raise ModelError(
                f"{self.source}: tensor '{proto.name}': its data in '{location}' cannot be read; "
                f"put that file beside the model"
            ) from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelError(
                f"{self.source}: tensor '{proto.name}' of shape {list(proto.dims)} and type "
                f"{type_name(proto.data_type)}: its data does not fit; export the model again"
            ) from error

    def lookup(self, name: str, reader: str) -> Value:
        """What a name stands for; initializers are read when the first node needs them."""
        if name not in self.values and name in self.initializers:
            data = self.array(self.initializers[name])
            self.values[name] = Value(name, data.shape, data)
        if name not in self.values:
            self.fail(
                f"{reader} reads tensor '{name}', which nothing before it computes: "
                f"a cycle, or a part is missing; export the model again"
            )
        return self.values[name]

    def read_inputs(self) -> list[Value]:
        inputs = []
        for info in self.graph.input:
            if info.name in self.initializers:
                continue
            if info.name in self.values:
                self.fail(
                    f"input '{info.name}': one of that name expected, found two; export again"
                )
            dtype = TYPES.get(info.type.tensor_type.elem_type, "f32")
            self.values[info.name] = Value(info.name, self.input_shape(info), dtype=dtype)
            inputs.append(self.values[info.name])
        return inputs

    def input_shape(self, info: onnx.ValueInfoProto) -> tuple[int, ...] | None:
        """An input's shape; None, and a recorded problem, when the engine cannot take it."""
        kind, tensor = info.type.WhichOneof("value"), info.type.tensor_type
        dims = tensor.shape.dim
        found = [d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in dims]
        if any(isinstance(size, int) and size < 0 for size in found):
            self.fail(
                f"input '{info.name}': sizes of at least 1 expected, found {found}; export again"
            )
        shape = [self.dims.get(size, size) if isinstance(size, str) else size for size in found]
        if shape and isinstance(shape[0], str):
            shape[0] = self.batch
        reason = None
        if kind not in (None, "tensor_type"):
            reason = f"{kind.removesuffix('_type')}; {EXPECTED} expected"
        elif tensor.elem_type not in TYPES:
            reason = f"{type_name(tensor.elem_type)}; {EXPECTED} expected"
        elif not tensor.HasField("shape"):
            reason = "no shape; one of known rank expected"
        elif len(shape) > MAX_RANK:
            reason = f"shape {found}; rank 0 to {MAX_RANK} expected"
        elif not all(isinstance(size, int) for size in shape):
            reason = f"shape {found}; sizes of all dimensions behind the batch expected, as dims"
        elif 0 in shape:
            reason = f"shape {found}; sizes of at least 1 expected"
        elif math.prod(shape) > MAX_ELEMENTS:
            reason = f"shape {found}; fewer than 2^31 elements expected"
        elif shape and self.batch not in (1, shape[0]):
            reason = f"shape {found}; batch {self.batch} was asked for, export with a dynamic batch"
        if reason:
            self.problems.append(Problem("input", info.name, reason))
            return None
        return tuple(shape)

    def check_dims(self) -> None:
        """Refuse a size for a dimension that no input has."""
        known = {
            dim.dim_param
            for info in self.graph.input
            for dim in info.type.tensor_type.shape.dim
            if dim.dim_param
        }
        for name in self.dims:
            if name not in known:
                raise InputError(
                    f"{self.source}: dims: '{name}' is no dimension of an input; those that the "
                    f"model leaves open: {', '.join(sorted(known)) or 'none with a name'}"
                )

    def read_outputs(self) -> dict[str, Value]:
        outputs: dict[str, Value] = {}
        for info in self.graph.output:
            if info.name in outputs:
                self.fail(
                    f"output '{info.name}': one of that name expected, found two; export again"
                )
            value = self.lookup(info.name, f"output '{info.name}'")
            if value.rows_vary and value in outputs.values():
                reason = f"another name of '{value.name}', of which only a run tells the number of "
                self.problems.append(Problem("output", info.name, f"{reason}rows; one expected"))
            outputs[info.name] = value
            if value.data is not None:
                outputs[info.name] = self.constant_output(info.name, value)
            if isinstance(value, Quantized):
                problem = Problem("output", info.name, "quantized; real numbers expected")
                self.problems.append(problem)
        return outputs

    def constant_output(self, name: str, value: Value) -> Value:
        """An output that depends on no input, as numbers in f32."""
        data, reason = value.data, None
        if data.dtype.kind not in "biu" and data.dtype != np.float32:
            reason = f"constant of type {data.dtype}; float32, truth values or integers expected"
        elif not data.size or data.ndim > MAX_RANK or data.size > MAX_FOLDED_ELEMENTS:
            reason = f"constant of shape {list(data.shape)}; 1 to 2^24 elements expected"
        elif all(info.name in self.initializers for info in self.graph.input):
            reason = "constant, and the model has no inputs; a computed tensor expected"
        elif (data.astype(np.float32).astype(np.float64) != data).any():
            reason = "constant with NaN or whole numbers beyond 2^24; others expected"
        if reason:
            self.problems.append(Problem("output", name, reason))
            return Value(name, None)
        return Value(name, data.shape, data.astype(np.float32))

    # Nodes

    def needed_nodes(self) -> list[NodeProto]:
        """The nodes that outputs depend on; the others need not be supported."""
        needed = {info.name for info in self.graph.output}
        nodes = []
        for proto in reversed(self.graph.node):
            if needed.intersection(filter(None, proto.output)):
                needed.update(proto.input)
                nodes.append(proto)
        return nodes[::-1]

    def read_node(self, proto: NodeProto) -> None:
        inputs = [
            self.lookup(name, f"node '{proto.name}' ({proto.op_type})") if name else None
            for name in proto.input
        ]
        node = OnnxNode(self.source, proto, inputs, self.opset)
        for name in filter(None, proto.output):
            if name in self.values or name in self.initializers:
                node.fail(f"writes tensor '{name}', which exists already")
        for name, value in zip(proto.output, self.results(node), strict=False):
            self.values[name] = value

    def results(self, node: OnnxNode) -> list[Value]:
        """What a node computes: a constant, a value of the graph, or a value behind a problem."""
        proto = node.proto
        if not self.is_known(proto):
            return self.unsupported(node, "no such operator in the engine")
        self.check_input_count(node)
        varying = [value.name for value in node.inputs if value is not None and value.rows_vary]
        if varying and proto.op_type != "Identity":
            return self.read_of_varying(node, varying[0])
        if reads_constants(node) and proto.op_type not in ROUNDING:
            return self.fold(node)
        if any(isinstance(value, Quantized) for value in node.inputs):
            if proto.op_type not in READ_QUANTIZED:
                return self.unsupported(
                    node, "quantized numbers are read; DequantizeLinear in between expected"
                )
            return self.operate(node, READ_QUANTIZED[proto.op_type])
        if proto.op_type in UNKNOWN_SIZE:
            return self.unsupported(
                node, "computed numbers say how large the result is; constants expected"
            )
        if proto.op_type not in OPERATORS:
            return self.unsupported(node, "no such operator in the engine")
        return self.operate(node, OPERATORS[proto.op_type])

    def operate(
        self, node: OnnxNode, operator: Callable[[OnnxNode], Value | list[Value]]
    ) -> list[Value]:
        """What an operator that the engine has computes."""
        proto = node.proto
        if any(value is not None and value.shape is None for value in node.inputs):
            return self.unknown(node)
        try:
            found = operator(node)
            values = found if isinstance(found, list) else [found]
            if node.attributes:
                raise Unsupported(f"attribute '{next(iter(node.attributes))}'")
            for name in proto.output[len(values) :]:
                if name in self.read_names:
                    raise Unsupported(f"output '{name}'; only the first expected")
        except Unsupported as reason:
            return self.unsupported(node, str(reason))
        self.nodes += node.emitted
        return values

    def is_known(self, proto: NodeProto) -> bool:
        return proto.domain in ("", "ai.onnx") and onnx.defs.has(proto.op_type, self.opset, "")

    def check_input_count(self, node: OnnxNode) -> None:
        schema = onnx.defs.get_schema(node.proto.op_type, self.opset)
        low, high, found = schema.min_input, schema.max_input, len(node.inputs)
        if not low <= found <= high:
            node.fail(f"{low} to {high} inputs expected, found {found}")

    def unsupported(self, node: OnnxNode, reason: str) -> list[Value]:
        """Record a node that cannot run. Import goes on behind it, to find all of them."""
        proto = node.proto
        operator = f"{proto.domain}::{proto.op_type}" if proto.domain else proto.op_type
        self.problems.append(Problem(operator, node.name, reason))
        return self.unknown(node)

    def read_of_varying(self, node: OnnxNode, name: str) -> list[Value]:
        """Refuse what reads a tensor of which only a run tells the number of rows.

        But for what makes real numbers of whole ones: here both are f32.
        """
        if node.proto.op_type == "Cast" and TYPES.get(node.integer("to")) in ("i64", "f32"):
            return node.inputs
        return self.unsupported(
            node,
            f"only a run tells how many rows '{name}' has; end the model in front of this node, "
            f"with '{name}' as an output",
        )

    def unknown(self, node: OnnxNode) -> list[Value]:
        """Results that no node of the graph computes, with their shapes where onnx infers them."""
        if self.inferred is None:
            self.inferred = self.infer_shapes()
        return [Value(name, self.inferred.get(name)) for name in node.proto.output]

    def infer_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of computed f32 tensors by onnx's own rules."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        for info in model.graph.input:
            dims = info.type.tensor_type.shape.dim
            for axis, dim in enumerate(dims):
                if dim.dim_param in self.dims:
                    dim.dim_value = self.dims[dim.dim_param]
                elif axis == 0 and not dim.HasField("dim_value"):
                    dim.dim_value = self.batch
        try:
            graph = onnx.shape_inference.infer_shapes(model).graph
            if not _has_huge_lists(graph):  # their numbers are followed one by one
                graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        except Exception:  # onnx says nowhere what it raises; without shapes import goes on
            return {}
        shapes = {}
        for info in (*graph.value_info, *graph.output):
            dims = info.type.tensor_type.shape.dim
            is_float = info.type.tensor_type.elem_type == TensorProto.FLOAT
            ranked = info.type.tensor_type.HasField("shape")
            if is_float and ranked and all(dim.dim_value > 0 for dim in dims):
                shapes[info.name] = tuple(dim.dim_value for dim in dims)
        return shapes

    # Constants

    def fold(self, node: OnnxNode) -> list[Value]:
        """Compute a node of constants."""
        if node.proto.op_type == "Constant" and "value" in node.attributes:
            arrays = [self.array(node.attribute("value", AttributeProto.TENSOR))]
        elif not is_small(node):
            return self.unsupported(
                node, "results of known shape and at most 2^24 elements expected"
            )
        else:
            arrays = evaluate(node)
        named = dict(zip(filter(None, node.proto.output), arrays, strict=False))
        return [
            Value(name, named[name].shape, named[name]) if name in named else Value(name, None)
            for name in node.proto.output
        ]
