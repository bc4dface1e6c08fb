"""What moves elements and computes nothing, as every format spells it: from a node to `ir`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .goss_file import MAX_INPUTS
from .ir import Value
from .node_reader import MAX_ELEMENTS, NodeReader, Unsupported

MAX_PLACES = 1 << 24


def reshape_to(node: NodeReader, x: Value, shape: Sequence[int]) -> Value:
    """Emit x in another shape; its elements keep their order."""
    if math.prod(shape) != math.prod(x.shape):
        node.fail(
            f"'{x.name}' {list(x.shape)} does not fit into {list(shape)}, "
            f"which may have been exported for another batch"
        )
    return x if tuple(shape) == x.shape else node.emit("reshape", [x], shape, dtype=x.dtype)


def keeps_order(shape: Sequence[int], axes: Sequence[int]) -> bool:
    """Whether elements stay where they are when axes change places: only those of size 1 move."""
    wide = [axis for axis in axes if shape[axis] > 1]
    return wide == sorted(wide)


def transpose(node: NodeReader, x: Value, axes: Sequence[int]) -> Value:
    """Emit x with its axes in another order."""
    if sorted(axes) != list(range(len(x.shape))):
        node.fail(f"an order of {len(x.shape)} axes expected, found {list(axes)}")
    shape = [x.shape[axis] for axis in axes]
    if keeps_order(x.shape, axes):
        return reshape_to(node, x, shape)
    return node.emit("transpose", [x], shape, dtype=x.dtype, axes=tuple(axes))


def take(
    node: NodeReader, x: Value, axis: int, places: Sequence[int] | np.ndarray, fill: float = 0.0
) -> Value:
    """Emit the elements along an axis that stand at some places; `fill` where a place is -1."""
    places = np.asarray(places, np.int64)
    size, count = x.shape[axis], len(places)
    if count == size and (places == np.arange(size)).all():
        return x
    if not count:
        raise Unsupported(f"nothing is left of axis {axis}; at least one element expected")
    if places.min() >= 0 and (np.diff(places) == 1).all():
        return run_of(node, x, axis, int(places[0]), count)
    if size > MAX_PLACES:
        raise Unsupported(f"{size} elements along axis {axis}; at most 2^24 expected")
    if math.isnan(fill):
        raise Unsupported("NaN around the tensor; a number expected")
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    table = node.own_constant("places", places)
    return node.emit("take", [x, table], shape, dtype=x.dtype, axis=axis, fill=float(fill))


def take_computed(node: NodeReader, x: Value, axis: int, places: Value) -> Value:
    """Emit the elements along an axis at computed places (L); 0 where a place is not in x."""
    if x.shape[axis] > MAX_PLACES:
        raise Unsupported(f"{x.shape[axis]} elements along axis {axis}; at most 2^24 expected")
    shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
    return node.emit("take", [x, places], shape, dtype=x.dtype, axis=axis, fill=0.0)


def run_of(node: NodeReader, x: Value, axis: int, first: int, count: int) -> Value:
    """Emit neighbours along an axis."""
    size = x.shape[axis]
    if count < 1 or not 0 <= first <= size - count:
        node.fail(
            f"{count} elements from {first} on do not lie in the {size} of '{x.name}', axis {axis}"
        )
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    if count == size:
        return x
    if axis == 1:
        return node.emit("slice", [x], shape, dtype=x.dtype, first=first, count=count)
    if len(x.shape) == 4 and axis > 1:  # planes have padding: a matrix would be a copy
        places = np.arange(first, first + count)
        table = node.own_constant("places", places)
        return node.emit("take", [x, table], shape, dtype=x.dtype, axis=axis, fill=0.0)
    step = math.prod(x.shape[axis + 1 :])
    rows = reshape_to(node, x, (math.prod(x.shape[:axis]), size * step))
    return reshape_to(node, run_of(node, rows, 1, first * step, count * step), shape)


def expand(node: NodeReader, x: Value, shape: Sequence[int]) -> Value:
    """Emit x repeated along axes of size 1, and new ones in front, up to a shape."""
    if math.prod(shape) > MAX_ELEMENTS:
        raise Unsupported(f"a result of shape {list(shape)}; less than 2^31 elements expected")
    y = reshape_to(node, x, (1,) * (len(shape) - len(x.shape)) + x.shape)
    for axis, size in enumerate(shape):
        if y.shape[axis] != size:
            y = take(node, y, axis, np.zeros(size, np.int64))
    return y


def pad(node: NodeReader, x: Value, pads: Sequence[int]) -> Value:
    """Emit zeros around an image: top, left, bottom, right."""
    if not any(pads):
        return x
    top, left, bottom, right = pads
    shape = (*x.shape[:2], x.shape[2] + top + bottom, x.shape[3] + left + right)
    return node.emit("pad", [x], shape, pads=(top, left, bottom, right))


def pad_axis(
    node: NodeReader, x: Value, axis: int, before: int, after: int, mode: str, fill: float
) -> Value:
    """Emit something before and after what lies along an axis; less than nothing cuts it off.

    `mode` is "constant", "edge", "reflect", "symmetric" or "wrap".
    """
    size = x.shape[axis]
    if size + before + after > MAX_ELEMENTS:
        raise Unsupported(f"{before} and {after} elements more; less than 2^31 expected")
    if size + before + after < 1:
        raise Unsupported(f"nothing is left of axis {axis}; at least one element expected")
    if max(before, after) > (size - 1 if mode == "reflect" else size) and mode in (
        "reflect", "symmetric", "wrap",
    ):  # fmt: skip
        raise Unsupported(f"{mode} by {before} and {after} of {size} elements; fewer expected")
    grown = (max(before, 0), max(after, 0))
    options = {"constant_values": -1} if mode == "constant" else {}
    places = np.pad(np.arange(size), grown, mode, **options)
    places = places[max(-before, 0) : len(places) - max(-after, 0)]
    return take(node, x, axis, places, fill)


def concat(node: NodeReader, axis: int) -> Value:
    """Emit all inputs one behind the other along an axis; some of them may be constant."""
    values = [node.value(position) for position in range(len(node.inputs))]
    first = values[0].shape
    axis = node.axis(axis, len(first))
    for value in values:
        if len(value.shape) != len(first) or any(
            size != other and number != axis
            for number, (size, other) in enumerate(zip(value.shape, first, strict=False))
        ):
            node.fail(f"'{value.name}' {list(value.shape)} does not fit {list(first)}, axis {axis}")
    values = [value for value in values if value.shape[axis]]
    computed = [value for value in values if value.data is None]
    if len({value.dtype for value in computed}) > 1:
        raise Unsupported("tensors of several types; one type expected")
    joined = _join(node, computed, axis)
    return joined if len(computed) == len(values) else _with_constants(node, joined, values, axis)


def _join(node: NodeReader, values: list[Value], axis: int) -> Value:
    if axis != 1 and len(values) > 1:
        before, behind = values[0].shape[:axis], values[0].shape[axis + 1 :]
        rows = [reshape_to(node, v, (math.prod(before), math.prod(v.shape[axis:]))) for v in values]
        size = sum(value.shape[axis] for value in values)
        return reshape_to(node, _join(node, rows, 1), (*before, size, *behind))
    while len(values) > 1:
        values = [
            _join_few(node, values[begin : begin + MAX_INPUTS])
            for begin in range(0, len(values), MAX_INPUTS)
        ]
    return values[0]


def _join_few(node: NodeReader, values: list[Value]) -> Value:
    if len(values) == 1:
        return values[0]
    (n, _, *rest), channels = values[0].shape, sum(value.shape[1] for value in values)
    return node.emit("concat", values, (n, channels, *rest), dtype=values[0].dtype)


def _with_constants(node: NodeReader, joined: Value, values: list[Value], axis: int) -> Value:
    """Leave zeros where constants belong, then add them: zero elsewhere."""
    places, numbers, next_place = [], [], 0
    for value in values:
        size = value.shape[axis]
        if value.data is None:
            places.append(np.arange(next_place, next_place + size))
            numbers.append(np.zeros(value.shape, np.float32))
            next_place += size
        else:
            places.append(np.full(size, -1))
            numbers.append(value.data.astype(np.float32))
    spread = take(node, joined, axis, np.concatenate(places))
    constant = node.own_constant("constants", np.concatenate(numbers, axis))
    return node.emit("binary", [spread, constant], spread.shape, joined.dtype, kind="add")


def split(
    node: NodeReader, x: Value, axis: int, sizes: Sequence[int], names: Sequence[str]
) -> list:
    """Emit parts of x that lie one behind the other along an axis, each under its own name."""
    if len(sizes) != len(names) or sum(sizes) != x.shape[axis]:
        what = f"axis {axis}" if axis != 1 else "channels"
        node.fail(f"{list(sizes)} of {x.shape[axis]} {what} for {len(names)} outputs do not fit")
    parts, first = [], 0
    for name, size in zip(names, sizes, strict=True):
        emitted = len(node.emitted)
        parts.append(run_of(node, x, axis, first, size) if size else _nothing(name, x, axis))
        if len(node.emitted) > emitted:
            parts[-1].name = node.emitted[-1].name = name or node.name
        first += size
    return parts


def _nothing(name: str, x: Value, axis: int) -> Value:
    """A constant without elements."""
    data = np.zeros((*x.shape[:axis], 0, *x.shape[axis + 1 :]), np.float32)
    return Value(name, data.shape, data)


def blocks_to_pixels(
    node: NodeReader, x: Value, block: Sequence[int], first: str = "channels"
) -> Value:
    """Emit an image (N,C*a*b,H,W) as (N,C,H*a,W*b) for a block of a rows and b columns.

    `first` says what comes first among the channels of x: those of the result, or its "pixels".
    """
    n, channels, height, width = x.shape
    down, across = block
    left = channels // (down * across)
    if first == "channels":
        shape, order = (n, left, down, across, height, width), (0, 1, 4, 2, 5, 3)
    else:
        shape, order = (n, down, across, left, height, width), (0, 3, 4, 1, 5, 2)
    turned = transpose(node, reshape_to(node, x, shape), order)
    return reshape_to(node, turned, (n, left, height * down, width * across))


def pixels_to_blocks(node: NodeReader, x: Value, block: int, first: str = "pixels") -> Value:
    """Emit an image (N,C,H*b,W*b) as (N,b*b*C,H,W).

    `first` says what comes first among the channels of the result: its "pixels", or "channels".
    """
    n, channels, height, width = x.shape
    parted = reshape_to(node, x, (n, channels, height // block, block, width // block, block))
    turned = transpose(
        node, parted, (0, 3, 5, 1, 2, 4) if first == "pixels" else (0, 1, 3, 5, 2, 4)
    )
    return reshape_to(node, turned, (n, channels * block**2, height // block, width // block))
