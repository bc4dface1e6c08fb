"""A node of an ONNX model, as the functions of `onnx_operators` read it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import onnx.helper
from onnx import AttributeProto, NodeProto, TensorProto

from ..errors import ModelError
from .ir import Node, Value

MAX_ELEMENTS = 2**31 - 1
MISSING = object()


class Unsupported(Exception):
    """A variant of an operator that the engine lacks; the text says which."""


def type_name(number: int) -> str:
    """ONNX's name of an element type."""
    names = TensorProto.DataType
    return names.Name(number) if number in names.values() else f"type {number}"


@dataclass
class NodeReader:
    """Inputs and attributes of one node, and the graph's nodes that it turns into.

    An attribute leaves `attributes` when it is read: what stays there was not understood.
    """

    source: str
    proto: NodeProto
    inputs: list[Value | None]
    opset: int
    emitted: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.attributes = {attribute.name: attribute for attribute in self.proto.attribute}
        self.name = self.proto.name or next(filter(None, self.proto.output), "")

    def fail(self, text: str) -> NoReturn:
        """Refuse a node that contradicts itself or its inputs."""
        raise ModelError(
            f"{self.source}: node '{self.name}' ({self.proto.op_type}): {text}; "
            f"export the model again"
        )

    # Attributes: without a default, a node must have them

    def attribute(self, name: str, kind: int, default: Any = MISSING) -> Any:
        """Read an attribute of one of onnx's kinds."""
        proto = self.attributes.pop(name, None)
        if proto is None:
            if default is MISSING:
                self.fail(f"attribute '{name}' expected, found none")
            return default
        if proto.type != kind:
            expected, found = AttributeProto.AttributeType.Name(kind), proto.type
            self.fail(f"attribute '{name}' of type {expected} expected, found type {found}")
        return onnx.helper.get_attribute_value(proto)

    def integer(self, name: str, default: Any = MISSING) -> int:
        """Read an INT."""
        return self.attribute(name, AttributeProto.INT, default)

    def number(self, name: str, default: Any = MISSING) -> float:
        """Read a FLOAT."""
        return self.attribute(name, AttributeProto.FLOAT, default)

    def integers(self, name: str, default: Any = MISSING) -> Any:
        """Read INTS, as a tuple."""
        found = self.attribute(name, AttributeProto.INTS, default)
        return tuple(found) if isinstance(found, list) else found

    def text(self, name: str, default: str) -> str:
        """Read a STRING."""
        found = self.attribute(name, AttributeProto.STRING, default.encode())
        return found.decode(errors="replace")

    def ignore(self, *names: str) -> None:
        """Accept attributes that change nothing here."""
        for name in names:
            self.attributes.pop(name, None)

    # Inputs

    def has(self, position: int) -> bool:
        """Tell whether an optional input is there."""
        return position < len(self.inputs) and self.inputs[position] is not None

    def value(self, position: int) -> Value:
        """Take any input."""
        if not self.has(position):
            self.fail(f"input {position} expected, found none")
        return self.inputs[position]

    def computed(self, position: int, *ranks: int) -> Value:
        """Take an input that is not constant, and of one of the ranks if any are given."""
        value = self.value(position)
        if value.data is not None:
            raise Unsupported(f"input {position} is constant; a computed tensor expected")
        if ranks and len(value.shape) not in ranks:
            expected = " or ".join(map(str, ranks))
            found = len(value.shape)
            raise Unsupported(f"input {position} of rank {found}; rank {expected} expected")
        return value

    def constant(self, position: int) -> np.ndarray:
        """Take the numbers of a constant input."""
        value = self.value(position)
        if value.data is None:
            raise Unsupported(f"input {position} is computed; a constant expected")
        return value.data

    def weights(self, position: int, *ranks: int) -> Value:
        """Take a constant f32 input, of one of the ranks if any are given."""
        data = self.constant(position)
        if data.dtype != np.float32:
            raise Unsupported(f"input {position} of type {data.dtype}; float32 expected")
        if ranks and data.ndim not in ranks:
            expected = " or ".join(map(str, ranks))
            raise Unsupported(f"input {position} of rank {data.ndim}; rank {expected} expected")
        if data.size == 0:
            self.fail(f"numbers in '{self.inputs[position].name}' expected, found none")
        return self.inputs[position]

    def channels(self, position: int, count: int) -> np.ndarray:
        """Take the numbers (count) of a constant input, in f64."""
        value = self.weights(position)
        if value.data.shape != (count,):
            found = list(value.data.shape)
            self.fail(f"'{value.name}' of shape [{count}] expected, found {found}")
        return value.data.astype(np.float64)

    def sizes(self, position: int) -> tuple[int, ...]:
        """Take the whole numbers of a constant input."""
        data = self.constant(position)
        if data.dtype.kind not in "iu":
            self.fail(f"input {position}: whole numbers expected, found {data.dtype}")
        return tuple(data.ravel().tolist())

    def scalar(self, position: int, default: float) -> float:
        """Take the one number of an optional constant input."""
        if not self.has(position):
            return default
        data = self.constant(position)
        if data.size != 1:
            self.fail(f"input {position}: one number expected, found shape {list(data.shape)}")
        return data.item()

    def axes(self) -> tuple[int, ...] | None:
        """Take axes from input 1 or, of older opsets, an attribute; None when there are none."""
        return self.sizes(1) if self.has(1) else self.integers("axes", None)

    def axis(self, axis: int, rank: int) -> int:
        """Count an axis from the front."""
        if not -rank <= axis < rank:
            self.fail(f"an axis from {-rank} to {rank - 1} expected, found {axis}")
        return axis % rank

    # Results

    def emit(self, op: str, inputs: list[Value], shape: Sequence[int], **attributes: Any) -> Value:
        """Add a node of the graph and return what it computes."""
        if math.prod(shape) > MAX_ELEMENTS:
            raise Unsupported(f"a result of shape {list(shape)}; less than 2^31 elements expected")
        output = Value(self.proto.output[0], tuple(shape))
        node = Node(op, self.name, self.proto.op_type, inputs, output, attributes)
        self.emitted.append(node)
        return output

    def own_constant(self, suffix: str, data: np.ndarray) -> Value:
        """Make a constant that the model does not have."""
        data = np.ascontiguousarray(data, dtype=np.float32)
        return Value(f"{self.name}.{suffix}", data.shape, data)
