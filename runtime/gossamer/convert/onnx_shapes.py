"""ONNX's operators that move elements: from a node to the graph of `ir`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from .ir import Value
from .moves import (
    blocks_to_pixels,
    concat,
    expand,
    pad,
    pad_axis,
    pixels_to_blocks,
    reshape_to,
    split,
    take,
    transpose,
)
from .node_reader import MAX_ELEMENTS, Unsupported
from .onnx_node import OnnxNode

_PADDINGS = ("constant", "edge", "reflect", "wrap")


def _reshape(node: OnnxNode) -> Value:
    x, shape = node.moved(0), list(node.sizes(1))
    if not node.integer("allowzero", 0):
        if any(size == 0 and axis >= len(x.shape) for axis, size in enumerate(shape)):
            node.fail(f"shape {shape} copies a dimension that {list(x.shape)} lacks")
        shape = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    if shape.count(-1) == 1:
        rest = math.prod(size for size in shape if size != -1)
        shape[shape.index(-1)] = math.prod(x.shape) // rest if rest else 0
    if any(size < 1 for size in shape):
        node.fail(f"shape {shape}: sizes of at least 1, and one -1, expected")
    return reshape_to(node, x, shape)


def _flatten(node: OnnxNode) -> Value:
    x, axis = node.moved(0), node.integer("axis", 1)
    axis = axis if axis == len(x.shape) else node.axis(axis, len(x.shape))
    return reshape_to(node, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def _squeeze(node: OnnxNode) -> Value:
    x = node.moved(0)
    axes = node.axes()
    if axes is None:
        axes = [axis for axis, size in enumerate(x.shape) if size == 1]
    dropped = {node.axis(axis, len(x.shape)) for axis in axes}
    return reshape_to(node, x, [size for axis, size in enumerate(x.shape) if axis not in dropped])


def _unsqueeze(node: OnnxNode) -> Value:
    x = node.moved(0)
    axes = node.axes()
    if axes is None:
        node.fail("axes expected, found none")
    shape = list(x.shape)
    for axis in sorted(node.axis(axis, len(x.shape) + len(axes)) for axis in axes):
        shape.insert(axis, 1)
    return reshape_to(node, x, shape)


def _pad(node: OnnxNode) -> Value:
    mode = node.text("mode", "constant")
    pads = node.integers("pads") if node.opset < 11 else node.sizes(1)
    fill = node.number("value", 0.0) if node.opset < 11 else float(node.scalar(2, 0.0))
    x = node.moved(0)
    rank = len(x.shape)
    axes = node.sizes(3) if node.has(3) else range(rank)
    axes = [node.axis(axis, rank) for axis in axes]
    if len(pads) != 2 * len(axes) or len(set(axes)) != len(axes):
        node.fail(f"{2 * len(axes)} pads for axes {axes} expected, found {list(pads)}")
    if mode not in _PADDINGS:
        node.fail(f"mode {', '.join(_PADDINGS)} expected, found {mode!r}")
    before, after = (dict(zip(axes, half, strict=True)) for half in _halves(pads))
    padded = {axis for axis in axes if before[axis] or after[axis]}
    if x.dtype != "f32" and np.float32(fill) != fill:
        raise Unsupported(f"{fill:.0f} around the tensor; whole numbers up to 2^24 expected")
    zeros = mode == "constant" and fill == 0 and min(pads, default=0) >= 0 and x.dtype == "f32"
    if rank == 4 and zeros and padded <= {2, 3}:  # convolutions take these over
        sides = (before.get(2, 0), before.get(3, 0), after.get(2, 0), after.get(3, 0))
        return pad(node, x, sides)
    for axis in sorted(padded):
        x = pad_axis(node, x, axis, before[axis], after[axis], mode, fill)
    return x


def _halves(numbers: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    return numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :]


def _concat(node: OnnxNode) -> Value:
    return concat(node, node.integer("axis"))


def _split(node: OnnxNode) -> list[Value]:
    x, names = node.moved(0), list(node.proto.output)
    node.ignore("num_outputs")
    sizes = node.integers("split", None) if node.opset < 13 else None
    if node.opset >= 13 and node.has(1):
        sizes = node.sizes(1)
    axis = node.axis(node.integer("axis", 0), len(x.shape))
    if sizes is None:
        size = -(-x.shape[axis] // len(names))
        sizes = [size] * (len(names) - 1) + [x.shape[axis] - size * (len(names) - 1)]
    return split(node, x, axis, sizes, names)


def _slice(node: OnnxNode) -> Value:
    x = node.moved(0)
    if node.opset < 10:
        starts, ends = node.integers("starts"), node.integers("ends")
        axes, steps = node.integers("axes", None), None
    else:
        starts, ends = node.sizes(1), node.sizes(2)
        axes, steps = (node.sizes(place) if node.has(place) else None for place in (3, 4))
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps):
        node.fail(f"as many starts as ends, axes and steps expected, found {len(starts)}")
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = node.axis(axis, len(x.shape))
        if step == 0:
            node.fail("steps other than 0 expected")
        x = take(node, x, axis, range(x.shape[axis])[start:end:step])
    return x


def _transpose(node: OnnxNode) -> Value:
    x = node.moved(0)
    return transpose(node, x, node.integers("perm", tuple(range(len(x.shape)))[::-1]))


def _expand(node: OnnxNode) -> Value:
    x = node.moved(0)
    shape = node.sizes(1)
    if any(size < 1 for size in shape):
        raise Unsupported(f"shape {list(shape)}; sizes of at least 1 expected")
    try:
        whole = np.broadcast_shapes(x.shape, shape)
    except ValueError:
        node.fail(f"'{x.name}' {list(x.shape)} does not expand to {list(shape)}")
    return expand(node, x, whole)


def _tile(node: OnnxNode) -> Value:
    x, counts = node.moved(0), node.sizes(1)
    if len(counts) != len(x.shape) or min(counts, default=1) < 1:
        node.fail(
            f"a count of at least 1 for each axis of {list(x.shape)} expected, found {counts}"
        )
    if math.prod(x.shape) * math.prod(counts) > MAX_ELEMENTS:
        raise Unsupported(f"{list(counts)} times {list(x.shape)}; less than 2^31 elements expected")
    for axis, count in enumerate(counts):
        x = take(node, x, axis, np.tile(np.arange(x.shape[axis]), count))
    return x


def _block(node: OnnxNode, x: Value, sizes: Sequence[int]) -> int:
    block = node.integer("blocksize")
    if len(x.shape) != 4 or block < 1 or any(size % block for size in sizes):
        node.fail(f"an image that blocks of {block} fit expected, found {list(x.shape)}")
    return block


def _depth_to_space(node: OnnxNode) -> Value:
    x = node.moved(0)
    block = _block(node, x, ())
    if x.shape[1] % block**2:
        node.fail(f"{block} * {block} channels, or a multiple, expected, found {x.shape[1]}")
    first = {"DCR": "pixels", "CRD": "channels"}.get(mode := node.text("mode", "DCR"))
    if first is None:
        node.fail(f"mode DCR or CRD expected, found {mode!r}")
    return blocks_to_pixels(node, x, (block, block), first)


def _space_to_depth(node: OnnxNode) -> Value:
    x = node.moved(0)
    first = {"DCR": "pixels", "CRD": "channels"}.get(mode := node.text("mode", "DCR"))
    if first is None:
        node.fail(f"mode DCR or CRD expected, found {mode!r}")
    return pixels_to_blocks(node, x, _block(node, x, x.shape[2:]), first)


def _identity(node: OnnxNode) -> Value:
    return node.value(0)


def _dropout(node: OnnxNode) -> list[Value]:
    """Give x, and what stays of it: everything."""
    node.ignore("ratio", "seed")
    if node.scalar(2, 0.0) and node.scalar(1, 0.5):
        raise Unsupported("training mode; call model.eval() before the export")
    x = node.value(0)
    return [x, Value(f"{node.name}.mask", x.shape, np.broadcast_to(True, x.shape))]


# Operators with several outputs give a list.
OPERATORS: dict[str, Callable[[OnnxNode], Value | list[Value]]] = {
    "Concat": _concat,
    "DepthToSpace": _depth_to_space,
    "Dropout": _dropout,
    "Expand": _expand,
    "Flatten": _flatten,
    "Identity": _identity,
    "Pad": _pad,
    "Reshape": _reshape,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
