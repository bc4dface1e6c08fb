"""What goes by places along axes, or finds them, as every format spells it: to `ir`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .arithmetic import binary, reduce, select
from .ir import Value
from .moves import MAX_PLACES, reshape_to, take, take_computed
from .node_reader import NodeReader, Unsupported


def from_front(node: NodeReader, places: Value, sizes: int | Sequence[int]) -> Value:
    """Emit computed places with those below 0 counted from the end of axes of these sizes."""
    below = binary(node, "less", places, node.own_constant("zero", 0.0))
    length = binary(node, "mul", below, node.own_constant("sizes", sizes))
    return binary(node, "add", places, length, "i64")


def gather_nd(node: NodeReader, x: Value, batch: int) -> Value:
    """Emit rows of x at the places of input 1, all axes that are indexed seen as one."""
    places = node.value(1)
    depth = places.shape[-1] if places.shape else 0
    if not 0 <= batch < len(places.shape) or places.shape[:batch] != x.shape[:batch]:
        node.fail(f"{batch} batch_dims that fit {list(x.shape)} and {list(places.shape)} expected")
    first = batch + depth
    if not batch < first <= len(x.shape):
        node.fail(f"places of 1 to {len(x.shape) - batch} axes expected, found {depth}")
    sizes = x.shape[batch:first]
    steps = np.append(np.cumprod(sizes[:0:-1])[::-1], 1)
    batches = np.arange(math.prod(x.shape[:batch])) * math.prod(sizes)
    batches = batches.reshape(*x.shape[:batch], *[1] * (len(places.shape) - 1 - batch))
    rows = _as_rows(node, x, first)
    if places.data is not None:
        found = node.constant(1)
        if found.dtype.kind not in "iu" or ((found < -np.array(sizes)) | (found >= sizes)).any():
            node.fail(f"places within {list(sizes)} expected")
        taken = take(node, rows, 0, ((found % sizes) @ steps + batches).ravel())
    else:
        found = from_front(node, node.whole(1), sizes)
        found = binary(node, "mul", found, node.own_constant("steps", steps))
        flat = reduce(node, "sum", found, [len(places.shape) - 1], keep_dims=False)
        flat = binary(node, "add", flat, node.own_constant("batches", batches))
        taken = take_computed(node, rows, 0, reshape_to(node, flat, (math.prod(flat.shape),)))
    return reshape_to(node, taken, (*places.shape[:-1], *x.shape[first:]))


def _as_rows(node: NodeReader, x: Value, axis: int) -> Value:
    """View x, which may be constant, as a matrix: all axes before one, and the rest."""
    shape = (math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))
    if x.data is None:
        return reshape_to(node, x, shape)
    return Value(x.name, shape, x.data.reshape(shape), dtype=x.dtype)


def check_depth(count: int) -> None:
    """Refuse a one-hot axis that is too long."""
    if not 1 <= count <= MAX_PLACES:
        raise Unsupported(f"depth {count}; 1 to 2^24 expected")


def one_hot(node: NodeReader, places: Value, count: int, axis: int, on: Value, off: Value) -> Value:
    """Emit a choice by whether each place is that of a new axis."""
    column = reshape_to(node, places, (*places.shape[:axis], 1, *places.shape[axis:]))
    ruler = np.arange(count).reshape(-1, *[1] * (len(places.shape) - axis))
    test = binary(node, "equal", column, node.own_constant("places", ruler), "bool")
    return select(node, test, on, off)


def top_k(
    node: NodeReader, x: Value, axis: int, count: int, smallest: bool, names: Sequence[str]
) -> list[Value]:
    """Emit the largest or smallest along an axis, sorted, and their places, each under its name."""
    if not 1 <= count <= x.shape[axis]:
        node.fail(f"1 to {x.shape[axis]} of axis {axis} expected, found {count}")
    if x.shape[axis] > MAX_PLACES:
        raise Unsupported(f"{x.shape[axis]} elements along axis {axis}; at most 2^24 expected")
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    how = {"axis": axis, "count": count, "smallest": smallest}
    found = [
        node.emit("top_k", [x], shape, dtype, **how, places=places)
        for places, dtype in ((False, x.dtype), (True, "i64"))
    ]
    for emitted, name in zip(node.emitted[-2:], names, strict=False):
        emitted.name = emitted.output.name = name or node.name
    return found
