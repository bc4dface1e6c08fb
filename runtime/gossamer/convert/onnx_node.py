"""A node of an ONNX model, as the functions of `onnx_operators` read it."""

from __future__ import annotations

from typing import Any

import onnx.helper
from onnx import AttributeProto, NodeProto, TensorProto

from .ir import Value
from .node_reader import NodeReader

MISSING = object()
# What computed tensors are; all of these lie in f32 in the engine, see `ir.Value`.
TYPES = {
    TensorProto.FLOAT: "f32",
    TensorProto.BOOL: "bool",
    TensorProto.INT32: "i64",
    TensorProto.INT64: "i64",
}


def type_name(number: int) -> str:
    """ONNX's name of an element type."""
    names = TensorProto.DataType
    return names.Name(number) if number in names.values() else f"type {number}"


def node_name(proto: NodeProto) -> str:
    """Give a node's name, or that of its first result where it has none."""
    return proto.name or next(filter(None, proto.output), "")


class OnnxNode(NodeReader):
    """Inputs and attributes of one ONNX node.

    An attribute leaves `attributes` when it is read: what stays there was not understood.
    """

    def __init__(
        self, source: str, proto: NodeProto, inputs: list[Value | None], opset: int
    ) -> None:
        output = next(filter(None, proto.output), "")
        super().__init__(source, node_name(proto), proto.op_type, inputs, output)
        self.proto, self.opset = proto, opset
        self.attributes = {attribute.name: attribute for attribute in proto.attribute}

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

    def numbers(self, name: str) -> list[float]:
        """Read FLOATS."""
        return list(self.attribute(name, AttributeProto.FLOATS))

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

    def axes(self) -> tuple[int, ...] | None:
        """Take axes from input 1 or, of older opsets, an attribute; None when there are none."""
        return self.sizes(1) if self.has(1) else self.integers("axes", None)
