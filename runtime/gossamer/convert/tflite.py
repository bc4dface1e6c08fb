"""Import of TensorFlow Lite models into the graph of `ir`.

Images become channel planes: a tensor [N, H, W, C] of the file is (N,C,H,W) here, and weights are
turned once, so no transposition remains. Quantized models become f32 models that compute with the
numbers which theirs stand for: inputs and outputs are real numbers. Values keep in mind how they
were quantized.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

from ..errors import InputError, ModelError
from .ir import Graph, Node, Problem, SourceNode, Value
from .node_reader import MAX_ELEMENTS, Unsupported
from .tflite_file import NONE, Operator, Tensor, read_model
from .tflite_node import DTYPES, TfliteNode
from .tflite_operators import OPERATORS

REAL = ("FLOAT32", "UINT8", "INT8", "INT16")  # the latter where they are quantized


def import_model(
    src: str | os.PathLike[str], batch: int, dims: Mapping[str, int] | None = None
) -> Graph:
    """Read a ``.tflite`` file into a graph.

    Parameters
    ----------
    src
        The file.
    batch
        Replaces a first input dimension that the model leaves open.
    dims
        None: dimensions have no names here.

    Returns
    -------
    Graph
        With what the engine cannot run recorded in it, not raised.

    Raises
    ------
    ModelError
        The file cannot be read or contradicts itself.
    InputError
        `dims` names something.
    """
    if dims:
        raise InputError(f"{src}: dims: TensorFlow Lite has no names of dimensions; use batch")
    return _Importer(Path(src), batch).run()


class _Importer:
    """Reads one model, operator after operator, and remembers what each tensor stands for."""

    def __init__(self, path: Path, batch: int) -> None:
        self.source, self.batch = str(path), batch
        self.model = read_model(path)
        self.values: dict[int, Value] = {}
        self.nodes: list[Node] = []
        self.problems: list[Problem] = []
        self.flattened: dict[Value, tuple[int, ...]] = {}

    def run(self) -> Graph:
        inputs = [self.input(number) for number in self.model.inputs]
        operators = self.needed_operators()
        self.read_numbers = {n for operator in operators for n in operator.inputs}
        self.read_numbers.update(self.model.outputs)
        for operator in operators:
            self.read_operator(operator)
        outputs: dict[str, Value] = {}
        for number in self.model.outputs:
            name = self.tensor(number).name
            if name in outputs:
                raise ModelError(f"{self.source}: output '{name}': one of that name expected")
            outputs[name] = self.lookup(number, f"output '{name}'")
            if outputs[name].data is not None:
                self.problem("output", name, "constant; a computed tensor expected")
            if outputs[name] in self.flattened:
                outputs[name] = self.pixels_in_a_row(outputs[name], number)
        if not inputs or not outputs:
            raise ModelError(
                f"{self.source}: inputs and outputs expected, found {len(inputs)} and "
                f"{len(outputs)}; convert the model again"
            )
        graph = Graph(self.source, inputs, outputs, self.nodes, self.problems)
        graph.metadata.update(self.normalization())
        graph.source_nodes = [
            SourceNode(operator.name, self.tensor(operator.outputs[0]).name)
            for operator in operators
        ]
        return graph

    def pixels_in_a_row(self, value: Value, number: int) -> Value:
        """An output that is a flattened image, in the file's order."""
        node = TfliteNode(
            self.source, [self.tensor(number)], Operator("RESHAPE", (), ()), [value], self.flattened
        )
        self.nodes.extend(node.emitted)
        return node.value(0)

    def normalization(self) -> dict[str, str]:
        """How pixels of u8 become the real numbers that the only input takes."""
        tensors = [self.tensor(number) for number in self.model.inputs]
        known = len(tensors) == 1 and tensors[0].type == "UINT8" and is_real(tensors[0])
        if not known or len(tensors[0].shape) != 4:
            return {}
        (mean,), (scale,), channels = tensors[0].zero, tensors[0].scale, tensors[0].shape[3]
        return {
            "image_mean": " ".join([f"{mean:.9g}"] * channels),
            "image_scale": " ".join([f"{scale:.9g}"] * channels),
        }

    def problem(self, what: str, name: str, reason: str) -> None:
        self.problems.append(Problem(what, name, reason))

    def tensor(self, number: int) -> Tensor:
        if number == NONE:
            raise ModelError(f"{self.source}: a tensor expected, found none; convert it again")
        return self.model.tensors[number]

    def needed_operators(self) -> list[Operator]:
        """The operators that outputs depend on; the others need not be supported."""
        needed, found = set(self.model.outputs), []
        for operator in reversed(self.model.operators):
            if needed.intersection(operator.outputs):
                needed.update(operator.inputs)
                found.append(operator)
        return found[::-1]

    def input(self, number: int) -> Value:
        tensor = self.tensor(number)
        shape, reason = list(tensor.shape), None
        if tensor.dims[:1] == (-1,):
            shape[0] = self.batch
        if not is_real(tensor):
            reason = f"{tensor.type}; FLOAT32, or quantized, expected"
        elif not shape or 0 in shape or math.prod(shape) > MAX_ELEMENTS:
            reason = f"shape {list(tensor.dims)}; sizes of at least 1 expected"
        elif -1 in tensor.dims[1:]:
            reason = f"shape {list(tensor.dims)}; only the batch may be open"
        elif self.batch not in (1, shape[0]):
            reason = f"shape {shape}; batch {self.batch} was asked for, convert with an open batch"
        if reason:
            self.problem("input", tensor.name, reason)
        if number in self.values:
            raise ModelError(f"{self.source}: input '{tensor.name}': found twice; convert it again")
        self.values[number] = Value(tensor.name, None if reason else planes(tuple(shape)))
        self.values[number].bounds = tensor.bounds() if tensor.has_8_bits else None
        return self.values[number]

    def lookup(self, number: int, reader: str) -> Value:
        """What a tensor stands for. Constants stay in the file's order of axes."""
        tensor = self.tensor(number)
        if number not in self.values:
            data = tensor.real()
            if data is None:
                raise ModelError(
                    f"{self.source}: {reader} reads tensor '{tensor.name}', which nothing before "
                    "it computes: a cycle, or a part is missing; convert the model again"
                )
            scales = tensor.along_axis(tensor.scale) if tensor.has_8_bits else None
            self.values[number] = Value(tensor.name, data.shape, data, scales=scales)
        return self.values[number]

    def read_operator(self, operator: Operator) -> None:
        output = self.tensor(operator.outputs[0])
        reader = f"node '{output.name}' ({operator.name})"
        inputs = [None if n == NONE else self.lookup(n, reader) for n in operator.inputs]
        for number in operator.outputs:
            if number in self.values:
                name = self.tensor(number).name
                raise ModelError(f"{self.source}: {reader} writes '{name}', which exists already")
        results = self.results(operator, inputs)
        self.values.update(zip(operator.outputs, results, strict=False))
        for number in operator.outputs[len(results) :]:
            if number in self.read_numbers:
                self.problem(operator.name, output.name, "another output; only the first expected")
            self.values[number] = Value(self.tensor(number).name, None)

    def results(self, operator: Operator, inputs: list[Value | None]) -> list[Value]:
        outputs = [self.tensor(number) for number in operator.outputs]
        output = outputs[0]
        unknown = [Value(tensor.name, None) for tensor in outputs]
        if operator.name not in OPERATORS:
            self.problem(operator.name, output.name, "no such operator in the engine")
            return unknown
        if any(value is not None and value.shape is None for value in inputs):
            return unknown
        try:
            node = TfliteNode(self.source, outputs, operator, inputs, self.flattened)
            found = OPERATORS[operator.name](node)
            values = found if isinstance(found, list) else [found]
            for value, each in zip(values, outputs, strict=False):
                check_type(value, each)
        except Unsupported as reason:
            self.problem(operator.name, output.name, str(reason))
            return unknown
        self.nodes.extend(node.emitted)
        if node.emitted and not isinstance(found, list):
            found.name = output.name
        for value, tensor in zip(values, outputs, strict=False):
            if node.emitted:
                value.bounds = tensor.bounds() if tensor.has_8_bits else None
            self.check_size(node, value, tensor)
        return values

    def check_size(self, node: TfliteNode, value: Value, output: Tensor) -> None:
        """Compare a result's size, but for the batch, with the one in the file."""
        expected = planes(output.shape)
        if math.prod(value.shape[1:]) != math.prod(expected[1:]):
            node.fail(f"a result {list(expected)} expected, found {list(value.shape)}")


def is_real(tensor: Tensor) -> bool:
    """Whether a tensor holds real numbers, quantized or not."""
    return tensor.type == "FLOAT32" or (tensor.type in REAL and tensor.scale.size == 1)


def check_type(value: Value, tensor: Tensor) -> None:
    """Refuse a result of another type than the file's."""
    dtype = "f32" if is_real(tensor) else DTYPES.get(tensor.type)
    if dtype is None or (value.data is None and value.dtype != dtype):
        raise Unsupported(f"a {tensor.type} result; FLOAT32, or quantized, expected")


def planes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a computed tensor here: (N,C,H,W) for [N, H, W, C]."""
    return (shape[0], shape[3], shape[1], shape[2]) if len(shape) == 4 else shape
