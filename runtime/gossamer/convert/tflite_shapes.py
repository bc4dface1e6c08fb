"""What moves, cuts, pads or resizes tensors in TensorFlow Lite: from a node to the graph of `ir`.

What goes by axes takes those of channel planes. What changes the rank of an image sees it in the
file's order of axes, behind a transpose that passes merge with others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from . import interpolation, moves, operators, places
from .ir import Value
from .node_reader import Unsupported
from .tflite_node import TfliteNode, activated, filed, plane_axis, planed

_Operator = Callable[[TfliteNode], Value | list[Value]]


def _concatenation(node: TfliteNode) -> Value:
    node.align()
    rank = len(next(value for value in node.inputs if value and value.data is None).shape)
    return activated(node, moves.concat(node, plane_axis(node, node.option("Axis", 0), rank)))


def _transpose(node: TfliteNode) -> Value:
    order = node.sizes(1)
    return planed(node, moves.transpose(node, filed(node, node.computed(0)), order))


def _pad(node: TfliteNode) -> Value:
    x, pads = node.computed(0), np.asarray(node.constant(1))
    if pads.shape != (len(x.shape), 2) or pads.dtype.kind != "i" or pads.min() < 0:
        node.fail(f"{len(x.shape)} pairs of pads, not below 0, expected, found {pads.tolist()}")
    modes = {0: "reflect", 1: "symmetric"}
    mode, fill = "constant", 0.0
    if node.origin == "MIRROR_PAD":
        mode = modes[node.option("Mode", 0)]
    elif node.origin == "PADV2":
        fill = float(node.scalar(2, 0.0))
    if len(x.shape) == 4 and mode == "constant" and fill == 0 and not pads[[0, 3]].any():
        (top, bottom), (left, right) = pads[1:3].tolist()
        return moves.pad(node, x, (top, left, bottom, right))
    for number, (before, after) in enumerate(pads.tolist()):
        axis = plane_axis(node, number, len(x.shape))
        x = moves.pad_axis(node, x, axis, before, after, mode, fill)
    return x


def _slice(node: TfliteNode) -> Value:
    x, first, counts = node.computed(0), node.sizes(1), node.sizes(2)
    rank = len(x.shape)
    if len(first) != rank or len(counts) != rank:
        node.fail(f"{rank} places and counts expected, found {list(first)} and {list(counts)}")
    for number, (begin, count) in enumerate(zip(first, counts, strict=True)):
        axis = plane_axis(node, number, rank)
        count = x.shape[axis] - begin if count == -1 else count
        x = moves.run_of(node, x, axis, begin, count)
    return x


def _strided_slice(node: TfliteNode) -> Value:
    x = node.computed(0)
    rank, bounds = len(x.shape), [node.sizes(position) for position in (1, 2, 3)]
    for name in ("EllipsisMask", "NewAxisMask", "Offset"):
        if node.option(name, 0):
            raise Unsupported(f"{name}; none expected")
    if any(len(each) > rank for each in bounds) or len({len(each) for each in bounds}) > 1:
        node.fail(f"as many begins, ends and strides as axes of {list(x.shape)} expected")
    dropped = []
    for number, (begin, end, step) in enumerate(zip(*bounds, strict=True)):
        axis, bit = plane_axis(node, number, rank), 1 << number
        size = x.shape[axis]
        if node.option("ShrinkAxisMask", 0) & bit:
            dropped.append(number)
            x = moves.take(node, x, axis, range(size)[begin : begin + 1 or None])
            continue
        if step == 0:
            node.fail("strides other than 0 expected")
        begin = None if node.option("BeginMask", 0) & bit else begin
        end = None if node.option("EndMask", 0) & bit else end
        x = moves.take(node, x, axis, range(size)[begin:end:step])
    if not dropped:
        return x
    x = filed(node, x)
    left = [size for number, size in enumerate(x.shape) if number not in dropped]
    return planed(node, moves.reshape_to(node, x, left))


def _split(node: TfliteNode) -> list[Value]:
    if node.origin == "SPLIT":
        x, axis, sizes = node.computed(1), node.scalar(0, 0), None
    else:
        x, axis, sizes = node.computed(0), node.scalar(2, 0), list(node.sizes(1))
    axis, names = plane_axis(node, int(axis), len(x.shape)), node.names
    size = x.shape[axis]
    if sizes is None:
        sizes = [size // len(names)] * len(names)
    elif sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = size - sum(sizes) - 1
    return moves.split(node, x, axis, sizes, names)


def _pack(node: TfliteNode) -> Value:
    values = [filed(node, node.value(position)) for position in range(len(node.inputs))]
    rank = len(values[0].shape)
    axis = node.axis(node.option("Axis", 0), rank + 1)
    node.inputs = [_with_axis(node, value, axis) for value in values]
    return planed(node, moves.concat(node, axis))


def _with_axis(node: TfliteNode, value: Value, axis: int) -> Value:
    shape = (*value.shape[:axis], 1, *value.shape[axis:])
    if value.data is None:
        return moves.reshape_to(node, value, shape)
    return Value(value.name, shape, value.data.reshape(shape))


def _unpack(node: TfliteNode) -> list[Value]:
    x = filed(node, node.computed(0))
    axis = node.axis(node.option("Axis", 0), len(x.shape))
    left, parts = (*x.shape[:axis], *x.shape[axis + 1 :]), []
    for number in range(x.shape[axis]):
        part = moves.run_of(node, x, axis, number, 1)
        parts.append(planed(node, moves.reshape_to(node, part, left)))
    return parts


def _gather(node: TfliteNode) -> Value:
    if node.option("BatchDims", 0):
        raise Unsupported("BatchDims; none expected")
    x, found = filed(node, node.computed(0)), np.asarray(node.constant(1))
    axis = node.axis(node.option("Axis", 0), len(x.shape))
    if found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= x.shape[axis]:
        node.fail(f"places of 0 to {x.shape[axis] - 1} expected")
    taken = moves.take(node, x, axis, found.ravel())
    shape = (*x.shape[:axis], *found.shape, *x.shape[axis + 1 :])
    return planed(node, moves.reshape_to(node, taken, shape))


def _gather_nd(node: TfliteNode) -> Value:
    x = filed(node, node.computed(0))
    node.inputs[1] = filed(node, node.value(1))
    return planed(node, places.gather_nd(node, x, 0))


def _one_hot(node: TfliteNode) -> Value:
    found, count = filed(node, node.whole(0)), int(node.scalar(1, 0))
    axis = node.axis(node.option("Axis", 0), len(found.shape) + 1)
    places.check_depth(count)
    on, off = (_number(node, position) for position in (2, 3))
    return planed(node, places.one_hot(node, found, count, axis, on, off))


def _number(node: TfliteNode, position: int) -> Value:
    node.scalar(position, 0.0)  # refuses what is computed, or more than one
    value = node.element(position)
    return Value(value.name, (1,), value.data.reshape(1), dtype=value.dtype)


def _top_k(node: TfliteNode) -> list[Value]:
    x, count = node.moved(0), int(node.scalar(1, 0))
    axis = plane_axis(node, -1, len(x.shape))
    return places.top_k(node, x, axis, count, False, node.names)


def _tile(node: TfliteNode) -> Value:
    x, counts = node.computed(0), node.sizes(1)
    if len(counts) != len(x.shape) or min(counts) < 1 or max(counts) > moves.MAX_PLACES:
        node.fail(f"a count of at least 1 for each axis expected, found {list(counts)}")
    for number, count in enumerate(counts):
        axis = plane_axis(node, number, len(x.shape))
        x = moves.take(node, x, axis, np.tile(np.arange(x.shape[axis]), count))
    return x


def _depth_to_space(node: TfliteNode) -> Value:
    x, block = node.computed(0, 4), node.option("BlockSize", 0)
    if block < 1 or x.shape[1] % block**2:
        node.fail(f"a block that divides {x.shape[1]} channels expected, found {block}")
    return moves.blocks_to_pixels(node, x, (block, block), "pixels")


def _space_to_depth(node: TfliteNode) -> Value:
    x, block = node.computed(0, 4), node.option("BlockSize", 0)
    if block < 1 or any(size % block for size in x.shape[2:]):
        node.fail(f"a block that divides {list(x.shape[2:])} expected, found {block}")
    return moves.pixels_to_blocks(node, x, block)


# ---- Sizes of images -----------------------------------------------------------------------------


def _resize(node: TfliteNode) -> Value:
    x, sizes = node.computed(0, 4), node.sizes(1)
    if len(sizes) != 2 or min(sizes) < 1:
        node.fail(f"two sizes of at least 1 expected, found {list(sizes)}")
    corners, half = node.option("AlignCorners", False), node.option("HalfPixelCenters", False)
    matrices = []
    for size, result in zip(x.shape[2:], sizes, strict=True):
        if size * result > moves.MAX_PLACES:
            raise Unsupported(f"{size} to {result} pixels along an axis; fewer expected")
        matrices.append(_matrix(node, size, result, corners and result > 1, half))
    return operators.resize(node, x, *matrices)


def _matrix(node: TfliteNode, size: int, result: int, corners: bool, half: bool) -> np.ndarray:
    nearest = node.origin == "RESIZE_NEAREST_NEIGHBOR"
    mode = "align_corners" if corners else "half_pixel" if half else "asymmetric"
    centres = interpolation.positions(mode, size, result, result / size)
    if not nearest:
        return interpolation.linear(centres, size, 1.0)
    if half:  # the pixel that a centre lies in
        return interpolation.nearest(centres + 0.5, size, "floor")
    return interpolation.nearest(centres, size, "round_prefer_ceil" if corners else "floor")


def _transpose_conv(node: TfliteNode) -> Value:
    size, stored, x = node.sizes(0), node.weights(1, 4), node.computed(2, 4)
    strides = node.option("StrideH", 1), node.option("StrideW", 1)
    if len(size) != 4 or min(size) < 1 or min(strides) < 1:
        node.fail(f"a shape and strides of at least 1 expected, found {list(size)}, {strides}")
    data = np.ascontiguousarray(stored.data.transpose(3, 0, 1, 2))
    weights = Value(stored.name, data.shape, data)
    pads = [0, 0]
    if node.option("Padding", 0) == 0:  # SAME
        pads = _same(x.shape[2:], data.shape[2:], strides, size[1:3])
    if node.has(3):
        node.channels(3, data.shape[1])
    bias = node.value(3) if node.has(3) else None
    node.inputs = [x]
    y = operators.conv_transpose(node, weights, bias, 1, strides, (1, 1), (*pads, 0, 0), size[1:3])
    return activated(node, y)


def _same(
    size: Sequence[int], kernel: Sequence[int], strides: Sequence[int], result: Sequence[int]
) -> list[int]:
    """What is cut off above and left so that the forward convolution would have padded so."""
    sides = zip(size, kernel, strides, result, strict=True)
    return [max((n - 1) * step + taps - whole, 0) // 2 for n, taps, step, whole in sides]


OPERATORS: dict[str, _Operator] = {
    "CONCATENATION": _concatenation,
    "DEPTH_TO_SPACE": _depth_to_space,
    "GATHER": _gather,
    "GATHER_ND": _gather_nd,
    "MIRROR_PAD": _pad,
    "ONE_HOT": _one_hot,
    "PACK": _pack,
    "PAD": _pad,
    "PADV2": _pad,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "SLICE": _slice,
    "SPACE_TO_DEPTH": _space_to_depth,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "STRIDED_SLICE": _strided_slice,
    "TILE": _tile,
    "TOPK_V2": _top_k,
    "TRANSPOSE": _transpose,
    "TRANSPOSE_CONV": _transpose_conv,
    "UNPACK": _unpack,
}
