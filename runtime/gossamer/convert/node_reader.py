"""A node of a model, as the functions of `operators` read it, whichever format it comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from ..errors import ModelError
from .goss_file import MAX_RANK
from .ir import Node, Value

MAX_ELEMENTS = 2**31 - 1


class Unsupported(Exception):
    """A variant of an operator that the engine lacks; the text says which."""


@dataclass
class NodeReader:
    """Inputs of one node, and the graph's nodes that it turns into.

    `origin` is its operator, `output` what its first result is called. Images are channel planes.
    """

    source: str
    name: str
    origin: str
    inputs: list[Value | None]
    output: str
    emitted: list[Node] = field(default_factory=list, init=False)

    def fail(self, text: str) -> NoReturn:
        """Refuse a node that contradicts itself or its inputs."""
        raise ModelError(
            f"{self.source}: node '{self.name}' ({self.origin}): {text}; export the model again"
        )

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
        if value.dtype != "f32":
            raise Unsupported(f"input {position} of type {value.dtype}; float32 expected")
        if ranks and len(value.shape) not in ranks:
            expected = " or ".join(map(str, ranks))
            found = len(value.shape)
            raise Unsupported(f"input {position} of rank {found}; rank {expected} expected")
        return value

    def moved(self, position: int) -> Value:
        """Take an input that is not constant, of any type: for what only moves elements."""
        value = self.value(position)
        return self.computed(position) if value.data is not None else value

    def operand(self, position: int, *, whole: bool = False, infinite: bool = False) -> Value:
        """Take an input of f32 that is computed, or a constant as the engine reads it.

        `whole` numbers may be constants of a type of their own; a constant may be `infinite`.
        """
        value = self.value(position)
        if value.data is None:
            return self.computed(position)
        if whole and value.data.dtype.kind in "iu":
            return self.element(position)
        data = self.weights(position).data
        if np.isnan(data).any() or not (infinite or np.isfinite(data).all()):
            raise Unsupported(f"input {position} with numbers that are not finite; others expected")
        return value

    def element(self, position: int) -> Value:
        """Take an input of any type, a constant as the numbers of f32 that stand for it.

        For what compares and moves. Constants may be infinite.
        """
        value = self.value(position)
        kind = "" if value.data is None else value.data.dtype.kind
        if not kind:
            return value
        if kind not in "biu" or not value.data.size:
            return self.operand(position, infinite=True)
        data = value.data.astype(np.float32)
        if (data.astype(np.float64) != value.data).any():
            raise Unsupported(f"input {position} with whole numbers beyond 2^24; others expected")
        return Value(value.name, data.shape, data, dtype="bool" if kind == "b" else "i64")

    def common_type(self, *values: Value) -> str:
        """Give the type that all values have."""
        kinds = sorted({value.dtype for value in values})
        if len(kinds) > 1:
            self.fail(f"inputs of one type expected, found {' and '.join(kinds)}")
        return kinds[0]

    def whole(self, position: int) -> Value:
        """Take a computed input of whole numbers."""
        value = self.moved(position)
        if value.dtype != "i64":
            self.fail(f"input {position} of type {value.dtype}; whole numbers expected")
        return value

    def truth(self, position: int) -> Value:
        """Take an input of truth values, as the numbers 0 and 1."""
        value = self.value(position)
        found = value.dtype if value.data is None else str(value.data.dtype)
        if found != "bool":
            self.fail(f"input {position} of type {found}; truth values expected")
        if value.data is None:
            return value
        return self.element(position)

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

    def axis(self, axis: int, rank: int) -> int:
        """Count an axis from the front."""
        if not -rank <= axis < rank:
            self.fail(f"an axis from {-rank} to {rank - 1} expected, found {axis}")
        return axis % rank

    # Results

    def emit(
        self,
        op: str,
        inputs: list[Value],
        shape: Sequence[int],
        dtype: str = "f32",
        **attributes: Any,
    ) -> Value:
        """Add a node of the graph and return what it computes."""
        if math.prod(shape) > MAX_ELEMENTS:
            raise Unsupported(f"a result of shape {list(shape)}; less than 2^31 elements expected")
        if len(shape) > MAX_RANK and op not in ("reshape", "transpose"):
            raise Unsupported(f"a result of shape {list(shape)}; rank 1 to {MAX_RANK} expected")
        output = Value(self.output, tuple(shape), dtype=dtype)
        node = Node(op, self.name, self.origin, inputs, output, attributes)
        self.emitted.append(node)
        return output

    def own_constant(self, suffix: str, data: np.ndarray | float) -> Value:
        """Make a constant that the model does not have."""
        data = np.asarray(data, dtype=np.float32, order="C")
        return Value(f"{self.name}.{suffix}", data.shape, data)
