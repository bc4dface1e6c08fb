"""TensorFlow Lite's operators on tensors of any rank: from a node to the graph of `ir`.

What goes by axes takes those of channel planes. What changes the rank of an image sees it in the
file's order of axes, behind a transpose that passes merge with others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from . import arithmetic, interpolation, moves, operators
from .ir import Value
from .node_reader import Unsupported
from .tflite_node import PLANE_AXES, TfliteNode, activated, filed, planed

_Operator = Callable[[TfliteNode], Value | list[Value]]


def _axis(node: TfliteNode, axis: int, rank: int) -> int:
    """An axis of the file, among those here."""
    axis = node.axis(axis, rank)
    return PLANE_AXES[axis] if rank == 4 else axis


def elementwise(function: Callable[[TfliteNode], Value]) -> _Operator:
    """An operator on tensors that broadcast, and the activation that is fused to it."""

    def operator(node: TfliteNode) -> Value:
        ranks = {len(value.shape) for value in node.inputs if value and value.data is None}
        highest = max(len(value.shape) for value in node.inputs if value)
        if len(ranks) == 1 and highest in ranks:
            node.align()
            return activated(node, function(node))
        node.inputs = [filed(node, value) for value in node.inputs]
        return planed(node, activated(node, function(node)))

    return operator


def _unary(kind: str) -> _Operator:
    return lambda node: arithmetic.activation(node, kind)


def _rsqrt(node: TfliteNode) -> Value:
    return arithmetic.unary(node, "reciprocal", arithmetic.activation(node, "sqrt"))


def _square(node: TfliteNode) -> Value:
    return arithmetic.product_of(node, node.computed(0), node.computed(0))


def _squared_difference(node: TfliteNode) -> Value:
    distance = arithmetic.subtract(node)
    return arithmetic.product_of(node, distance, distance)


def _floor_divide(node: TfliteNode) -> Value:
    quotient = arithmetic.binary(node, "div", node.operand(0), node.operand(1))
    return arithmetic.unary(node, "floor", quotient)


def _floor_remainder(node: TfliteNode) -> Value:
    return arithmetic.binary(node, "mod", node.operand(0), node.operand(1))


def _negate(node: TfliteNode) -> Value:
    return arithmetic.negate(node, node.computed(0))


def _leaky_relu(node: TfliteNode) -> Value:
    return arithmetic.leaky_relu(node, node.option("Alpha", 0.0))


def _gelu(node: TfliteNode) -> Value:
    return arithmetic.activation(node, "gelu_tanh" if node.option("Approximate", False) else "gelu")


# ---- Truth values and whole numbers --------------------------------------------------------------


def _compare(kind: str, *, swapped: bool = False, inverted: bool = False) -> _Operator:
    return elementwise(
        lambda node: arithmetic.compare(node, kind, swapped=swapped, inverted=inverted)
    )


def _logical(kind: str) -> _Operator:
    return elementwise(
        lambda node: arithmetic.binary(node, kind, node.truth(0), node.truth(1), "bool")
    )


def _logical_not(node: TfliteNode) -> Value:
    return arithmetic.invert(node, node.truth(0))


def _select(node: TfliteNode) -> Value:
    test = node.truth(0)
    if node.origin == "SELECT" and test.shape != node.value(1).shape:
        raise Unsupported(f"a choice between rows of {list(node.value(1).shape)}; use SELECT_V2")
    return arithmetic.select(node, test, node.operand(1), node.operand(2))


_DTYPES = {"FLOAT32": "f32", "BOOL": "bool", "INT32": "i64", "INT64": "i64"}


def _cast(node: TfliteNode) -> Value:
    wanted = _DTYPES.get(node.result.type)
    if wanted is None:
        raise Unsupported(f"to {node.result.type}; {', '.join(_DTYPES)} expected")
    return arithmetic.as_type(node, node.moved(0), wanted)


def _arg(kind: str) -> _Operator:
    def operator(node: TfliteNode) -> Value:
        x = node.computed(0)
        rank = len(x.shape)
        axis = node.axis(int(node.scalar(1, 0)), rank)
        if rank == 4 and axis == 3:  # what is left of the planes has the file's order
            return arithmetic.reduce(node, kind, x, [1], keep_dims=False)
        return planed(node, arithmetic.reduce(node, kind, filed(node, x), [axis], keep_dims=False))

    return operator


# ---- Over axes -----------------------------------------------------------------------------------


def _reduce(kind: str) -> _Operator:
    def operator(node: TfliteNode) -> Value:
        x, keep = node.computed(0), bool(node.option("KeepDims", False))
        rank = len(x.shape)
        axes = [_axis(node, axis, rank) for axis in node.sizes(1)]
        if rank != 4 or keep or set(axes) in ({2, 3}, {1, 2, 3}):
            return arithmetic.reduce(node, kind, x, axes, keep)
        axes = [node.axis(axis, rank) for axis in node.sizes(1)]
        return arithmetic.reduce(node, kind, filed(node, x), axes, keep)

    return operator


def _softmax(node: TfliteNode) -> Value:
    x = node.computed(0)
    if node.option("Beta", 1.0) != 1.0:
        raise Unsupported(f"beta {node.option('Beta', 1.0)}; 1 expected")
    return arithmetic.softmax(node, x, _axis(node, -1, len(x.shape)))


def _log_softmax(node: TfliteNode) -> Value:
    x = node.computed(0)
    axis = _axis(node, -1, len(x.shape))
    total = arithmetic.log_sum_exp(node, x, [axis], keep_dims=True)
    return arithmetic.binary(node, "sub", x, total)


def _l2_normalization(node: TfliteNode) -> Value:
    x = node.computed(0)
    axis = _axis(node, -1, len(x.shape))
    square = arithmetic.product_of(node, x, x)
    total = arithmetic.reduce(node, "sum", square, [axis], keep_dims=True)
    least = arithmetic.clamp(node, total, 1e-6, float("inf"))
    return arithmetic.binary(node, "div", x, arithmetic.unary(node, "sqrt", least))


def _batch_matmul(node: TfliteNode) -> Value:
    values = []
    for position, turned in ((0, "AdjX"), (1, "AdjY")):
        value = filed(node, node.operand(position))
        if node.option(turned, False):
            value = _swapped(node, value)
        values.append(value)
    return planed(node, arithmetic.matmul(node, *values))


def _swapped(node: TfliteNode, x: Value) -> Value:
    order = [*range(len(x.shape) - 2), len(x.shape) - 1, len(x.shape) - 2]
    if x.data is None:
        return moves.transpose(node, x, order)
    data = np.ascontiguousarray(x.data.transpose(order))
    return Value(x.name, data.shape, data)


# ---- Moves ---------------------------------------------------------------------------------------


def _concatenation(node: TfliteNode) -> Value:
    node.align()
    rank = len(next(value for value in node.inputs if value and value.data is None).shape)
    return activated(node, moves.concat(node, _axis(node, node.option("Axis", 0), rank)))


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
        axis = _axis(node, number, len(x.shape))
        x = moves.pad_axis(node, x, axis, before, after, mode, fill)
    return x


def _slice(node: TfliteNode) -> Value:
    x, first, counts = node.computed(0), node.sizes(1), node.sizes(2)
    rank = len(x.shape)
    if len(first) != rank or len(counts) != rank:
        node.fail(f"{rank} places and counts expected, found {list(first)} and {list(counts)}")
    for number, (begin, count) in enumerate(zip(first, counts, strict=True)):
        axis = _axis(node, number, rank)
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
        axis, bit = _axis(node, number, rank), 1 << number
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
    axis, names = _axis(node, int(axis), len(x.shape)), node.names
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
    x, places = filed(node, node.computed(0)), np.asarray(node.constant(1))
    axis = node.axis(node.option("Axis", 0), len(x.shape))
    if places.dtype.kind not in "iu" or places.min() < 0 or places.max() >= x.shape[axis]:
        node.fail(f"places of 0 to {x.shape[axis] - 1} expected")
    taken = moves.take(node, x, axis, places.ravel())
    shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
    return planed(node, moves.reshape_to(node, taken, shape))


def _tile(node: TfliteNode) -> Value:
    x, counts = node.computed(0), node.sizes(1)
    if len(counts) != len(x.shape) or min(counts) < 1 or max(counts) > moves.MAX_PLACES:
        node.fail(f"a count of at least 1 for each axis expected, found {list(counts)}")
    for number, count in enumerate(counts):
        axis = _axis(node, number, len(x.shape))
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
    places = interpolation.positions(mode, size, result, result / size)
    if not nearest:
        return interpolation.linear(places, size, 1.0)
    if half:  # the pixel that a centre lies in
        return interpolation.nearest(places + 0.5, size, "floor")
    return interpolation.nearest(places, size, "round_prefer_ceil" if corners else "floor")


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
    "ABS": _unary("abs"),
    "ADD": elementwise(arithmetic.add),
    "ARG_MAX": _arg("arg_max"),
    "ARG_MIN": _arg("arg_min"),
    "BATCH_MATMUL": _batch_matmul,
    "CAST": _cast,
    "CEIL": _unary("ceil"),
    "CONCATENATION": _concatenation,
    "COS": _unary("cos"),
    "DEPTH_TO_SPACE": _depth_to_space,
    "DIV": elementwise(arithmetic.divide),
    "ELU": _unary("elu"),
    "EQUAL": _compare("equal"),
    "EXP": _unary("exp"),
    "FLOOR": _unary("floor"),
    "FLOOR_DIV": elementwise(_floor_divide),
    "FLOOR_MOD": elementwise(_floor_remainder),
    "GATHER": _gather,
    "GELU": _gelu,
    "GREATER": _compare("less", swapped=True),
    "GREATER_EQUAL": _compare("less_or_equal", swapped=True),
    "HARD_SWISH": _unary("hard_swish"),
    "L2_NORMALIZATION": _l2_normalization,
    "LEAKY_RELU": _leaky_relu,
    "LESS": _compare("less"),
    "LESS_EQUAL": _compare("less_or_equal"),
    "LOG": _unary("log"),
    "LOGICAL_AND": _logical("min"),
    "LOGICAL_NOT": _logical_not,
    "LOGICAL_OR": _logical("max"),
    "LOGISTIC": arithmetic.sigmoid,
    "LOG_SOFTMAX": _log_softmax,
    "MAXIMUM": elementwise(lambda node: arithmetic.extreme(node, "max")),
    "MEAN": _reduce("mean"),
    "MINIMUM": elementwise(lambda node: arithmetic.extreme(node, "min")),
    "MIRROR_PAD": _pad,
    "MUL": elementwise(arithmetic.multiply),
    "NEG": _negate,
    "NOT_EQUAL": _compare("equal", inverted=True),
    "PACK": _pack,
    "PAD": _pad,
    "PADV2": _pad,
    "POW": elementwise(arithmetic.power),
    "PRELU": elementwise(arithmetic.parametric_relu),
    "REDUCE_MAX": _reduce("max"),
    "REDUCE_MIN": _reduce("min"),
    "REDUCE_PROD": _reduce("product"),
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "ROUND": _unary("round"),
    "RSQRT": _rsqrt,
    "SELECT": elementwise(_select),
    "SELECT_V2": elementwise(_select),
    "SIGN": _unary("sign"),
    "SIN": _unary("sin"),
    "SLICE": _slice,
    "SOFTMAX": _softmax,
    "SPACE_TO_DEPTH": _space_to_depth,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "SQRT": _unary("sqrt"),
    "SQUARE": _square,
    "SQUARED_DIFFERENCE": elementwise(_squared_difference),
    "STRIDED_SLICE": _strided_slice,
    "SUB": elementwise(arithmetic.subtract),
    "SUM": _reduce("sum"),
    "TANH": _unary("tanh"),
    "TILE": _tile,
    "TRANSPOSE": _transpose,
    "TRANSPOSE_CONV": _transpose_conv,
    "UNPACK": _unpack,
}
