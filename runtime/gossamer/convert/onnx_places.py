"""ONNX's operators that go by places along axes, or find them: from a node to the graph of `ir`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from .arithmetic import binary, reduce, select, truncate
from .ir import Value
from .moves import MAX_PLACES, reshape_to, run_of, take, take_computed
from .node_reader import Unsupported
from .onnx_node import OnnxNode


def _gather(node: OnnxNode) -> Value:
    if node.value(1).data is None:
        return _gather_computed(node)
    x, places = node.moved(0), np.asarray(node.constant(1))
    axis = node.axis(node.integer("axis", 0), len(x.shape))
    size = x.shape[axis]
    if places.dtype.kind not in "iu" or (places.size and not _within(places, size)):
        node.fail(
            f"places from {-size} to {size - 1} expected, found {places.ravel().tolist()[:8]}"
        )
    taken = take(node, x, axis, np.where(places < 0, places + size, places).ravel())
    return reshape_to(node, taken, (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))


def _gather_computed(node: OnnxNode) -> Value:
    x, places = node.element(0), node.whole(1)
    axis = node.axis(node.integer("axis", 0), len(x.shape))
    found = _from_front(node, places, x.shape[axis])
    taken = take_computed(node, x, axis, reshape_to(node, found, (math.prod(places.shape),)))
    return reshape_to(node, taken, (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))


def _from_front(node: OnnxNode, places: Value, sizes: int | Sequence[int]) -> Value:
    """Emit computed places with those below 0 counted from the end of axes of these sizes."""
    below = binary(node, "less", places, node.own_constant("zero", 0.0))
    length = binary(node, "mul", below, node.own_constant("sizes", sizes))
    return binary(node, "add", places, length, "i64")


def _within(places: np.ndarray, size: int) -> bool:
    return bool(places.min() >= -size and places.max() < size)


def _gather_nd(node: OnnxNode) -> Value:
    """Emit rows of x, all axes that are indexed seen as one."""
    places, batch = node.value(1), node.integer("batch_dims", 0)
    x = node.moved(0) if places.data is not None else node.element(0)
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
        found = _from_front(node, node.whole(1), sizes)
        found = binary(node, "mul", found, node.own_constant("steps", steps))
        flat = reduce(node, "sum", found, [len(places.shape) - 1], keep_dims=False)
        flat = binary(node, "add", flat, node.own_constant("batches", batches))
        taken = take_computed(node, rows, 0, reshape_to(node, flat, (math.prod(flat.shape),)))
    return reshape_to(node, taken, (*places.shape[:-1], *x.shape[first:]))


def _as_rows(node: OnnxNode, x: Value, axis: int) -> Value:
    """View x, which may be constant, as a matrix: all axes before one, and the rest."""
    shape = (math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))
    if x.data is None:
        return reshape_to(node, x, shape)
    return Value(x.name, shape, x.data.reshape(shape), dtype=x.dtype)


def _one_hot(node: OnnxNode) -> Value:
    """Emit a choice by whether each place is that of the axis."""
    places, count = node.moved(0), int(node.scalar(1, 0))
    axis = node.axis(node.integer("axis", -1), len(places.shape) + 1)
    if not 1 <= count <= MAX_PLACES:
        raise Unsupported(f"depth {count}; 1 to 2^24 expected")
    if places.dtype == "f32":
        places = truncate(node, places)
    found = _from_front(node, places, count)
    column = reshape_to(node, found, (*places.shape[:axis], 1, *places.shape[axis:]))
    ruler = np.arange(count).reshape(-1, *[1] * (len(places.shape) - axis))
    test = binary(node, "equal", column, node.own_constant("places", ruler), "bool")
    values = node.element(2)
    if values.shape != (2,):
        node.fail(f"two values expected, found {list(values.shape)}")
    if values.data is None:
        off, on = (run_of(node, values, 0, place, 1) for place in (0, 1))
    else:
        off, on = (
            Value(values.name, (1,), values.data[place : place + 1], dtype=values.dtype)
            for place in (0, 1)
        )
    return select(node, test, on, off)


def _top_k(node: OnnxNode) -> list[Value]:
    x = node.moved(0)
    count = node.integer("k") if node.opset < 10 else int(node.scalar(1, 0))
    axis = node.axis(node.integer("axis", -1), len(x.shape))
    smallest = not node.integer("largest", 1)
    node.ignore("sorted")  # they always are
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
    for emitted, name in zip(node.emitted[-2:], node.proto.output, strict=False):
        emitted.name = emitted.output.name = name or node.name
    return found


def _non_max_suppression(node: OnnxNode) -> Value:
    boxes, scores = node.operand(0), node.operand(1)
    shapes = list(boxes.shape), list(scores.shape)
    fits = [len(shape) for shape in shapes] == [3, 3] and boxes.shape[2] == 4
    if not fits or (boxes.shape[0], boxes.shape[1]) != (scores.shape[0], scores.shape[2]):
        node.fail(
            f"boxes [batch, n, 4] and scores [batch, classes, n] expected, found {shapes[0]} and "
            f"{shapes[1]}"
        )
    if max(scores.shape) >= MAX_PLACES:
        raise Unsupported(f"scores of shape {shapes[1]}; sizes below 2^24 expected")
    most, overlap = int(node.scalar(2, 0)), float(node.scalar(3, 0.0))
    if most < 1:
        raise Unsupported(
            f"max_output_boxes_per_class {most} (0 where it is not given), which leaves no boxes; "
            f"at least 1 expected"
        )
    if not 0 <= overlap <= 1:
        node.fail(f"iou_threshold from 0 to 1 expected, found {overlap}")
    how = {"most": min(most, scores.shape[2]), "overlap": overlap}
    how["centered"] = bool(node.integer("center_point_box", 0))
    if node.has(4):
        how["score"] = node.scalar(4, 0.0)
        if math.isnan(how["score"]):
            node.fail("a score_threshold that is a number expected, found NaN")
    rows = scores.shape[0] * scores.shape[1] * how["most"]
    found = node.emit("non_max_suppression", [boxes, scores], (rows, 3), "i64", **how)
    found.rows_vary = True
    return found


# Operators with several outputs give a list.
OPERATORS: dict[str, Callable[[OnnxNode], Value | list[Value]]] = {
    "Gather": _gather,
    "GatherND": _gather_nd,
    "NonMaxSuppression": _non_max_suppression,
    "OneHot": _one_hot,
    "TopK": _top_k,
}
