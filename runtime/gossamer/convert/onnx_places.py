"""ONNX's operators that go by places along axes, or find them: from a node to the graph of `ir`."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .arithmetic import truncate
from .ir import Value
from .moves import MAX_PLACES, reshape_to, run_of, take, take_computed
from .node_reader import Unsupported
from .onnx_node import OnnxNode
from .places import check_depth, from_front, gather_nd, one_hot, top_k


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
    found = from_front(node, places, x.shape[axis])
    taken = take_computed(node, x, axis, reshape_to(node, found, (math.prod(places.shape),)))
    return reshape_to(node, taken, (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))


def _within(places: np.ndarray, size: int) -> bool:
    return bool(places.min() >= -size and places.max() < size)


def _gather_nd(node: OnnxNode) -> Value:
    x = node.moved(0) if node.value(1).data is not None else node.element(0)
    return gather_nd(node, x, node.integer("batch_dims", 0))


def _one_hot(node: OnnxNode) -> Value:
    places, count = node.moved(0), int(node.scalar(1, 0))
    axis = node.axis(node.integer("axis", -1), len(places.shape) + 1)
    check_depth(count)
    if places.dtype == "f32":
        places = truncate(node, places)
    found, values = from_front(node, places, count), node.element(2)
    if values.shape != (2,):
        node.fail(f"two values expected, found {list(values.shape)}")
    if values.data is None:
        off, on = (run_of(node, values, 0, place, 1) for place in (0, 1))
    else:
        off, on = (
            Value(values.name, (1,), values.data[place : place + 1], dtype=values.dtype)
            for place in (0, 1)
        )
    return one_hot(node, found, count, axis, on, off)


def _top_k(node: OnnxNode) -> list[Value]:
    x = node.moved(0)
    count = node.integer("k") if node.opset < 10 else int(node.scalar(1, 0))
    axis = node.axis(node.integer("axis", -1), len(x.shape))
    smallest = not node.integer("largest", 1)
    node.ignore("sorted")  # they always are
    return top_k(node, x, axis, count, smallest, node.proto.output)


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
            "at least 1 expected"
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
