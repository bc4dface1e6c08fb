"""A node of a TensorFlow Lite model, as the functions of `tflite_operators` read it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import arithmetic, moves
from .ir import Value
from .node_reader import NodeReader, Unsupported
from .tflite_file import ACTIVATIONS, Operator, Tensor

CLAMPS = {
    "NONE": (-math.inf, math.inf),
    "RELU": (0.0, math.inf),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}
# By the file's type of what is not quantized, the dtype here.
DTYPES = {"FLOAT32": "f32", "BOOL": "bool", "INT32": "i64", "INT64": "i64"}
# By the file's axes of an image, the axes here.
PLANE_AXES = {0: 0, 1: 2, 2: 3, 3: 1}
# What may read a flattened image.
FOLLOW_FLATTENING = {"FULLY_CONNECTED", "QUANTIZE", "DEQUANTIZE"}


class TfliteNode(NodeReader):
    """Inputs and options of one operator. Computed inputs are channel planes, constants are not.

    `flattened` holds, by the value, the shape of an image whose planes stand in a row where the
    file has pixels: fully connected layers make up for it in their weights.
    """

    def __init__(
        self,
        source: str,
        outputs: list[Tensor],
        operator: Operator,
        inputs: list[Value | None],
        flattened: dict[Value, tuple[int, ...]],
    ) -> None:
        super().__init__(source, outputs[0].name, operator.name, inputs, outputs[0].name)
        self.options, self.result, self.flattened = operator.options, outputs[0], flattened
        self.names = [output.name for output in outputs]
        if operator.name not in FOLLOW_FLATTENING:
            self.inputs = [self.pixels_in_a_row(value) for value in inputs]

    def option(self, name: str, default: Any) -> Any:
        """Read one of the options; a node without them has the schema's defaults."""
        return self.options.get(name, default)

    def pixels_in_a_row(self, value: Value | None) -> Value | None:
        """Give a flattened image the file's order."""
        if value not in self.flattened:
            return value
        image = moves.reshape_to(self, value, self.flattened[value])
        return moves.reshape_to(self, filed(self, image), value.shape)

    def align(self) -> None:
        """Turn constants like the images that they are combined with."""
        rank = max((len(v.shape) for v in self.inputs if v and v.data is None), default=0)
        if any(v and v.data is None and len(v.shape) != rank for v in self.inputs):
            raise Unsupported("computed tensors of several ranks; one rank expected")
        for position, value in enumerate(self.inputs):
            if rank == 4 and value and value.data is not None:
                data = value.data.reshape((1,) * (4 - value.data.ndim) + value.data.shape)
                data = np.ascontiguousarray(data.transpose(0, 3, 1, 2))
                self.inputs[position] = Value(value.name, data.shape, data)


def activated(node: TfliteNode, value: Value) -> Value:
    """Append the activation that is fused to an operator.

    Where a quantized result cannot be negative, converters drop the ReLU: its range does the same.
    """
    number = node.option("FusedActivationFunction", 0)
    name = ACTIVATIONS.get(number, f"activation {number}")
    if name not in CLAMPS:
        raise Unsupported(f"fused activation {name}; {', '.join(CLAMPS)} expected")
    low, high = CLAMPS[name]
    if (bounds := node.result.bounds()) and bounds[0] == 0:
        low, high = max(low, 0.0), min(high, bounds[1])
    if math.isinf(low) and math.isinf(high):
        return value
    return arithmetic.clamp(node, value, low, high)


def filed(node: NodeReader, x: Value | None) -> Value | None:
    """Emit an image in the file's order of axes; what is constant has it."""
    if x is None or x.data is not None or len(x.shape) != 4:
        return x
    return moves.transpose(node, x, (0, 2, 3, 1))


def planed(node: NodeReader, x: Value) -> Value:
    """Emit what is in the file's order of axes as channel planes, if it is an image."""
    return moves.transpose(node, x, (0, 3, 1, 2)) if len(x.shape) == 4 else x


def plane_axis(node: NodeReader, axis: int, rank: int) -> int:
    """Give the axis here of one of the file's."""
    axis = node.axis(axis, rank)
    return PLANE_AXES[axis] if rank == 4 else axis
