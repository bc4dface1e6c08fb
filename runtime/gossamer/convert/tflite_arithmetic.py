"""TensorFlow Lite's arithmetic, on elements and over axes: from a node to the graph of `ir`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import arithmetic, moves
from .ir import Value
from .node_reader import Unsupported
from .tflite_node import DTYPES, TfliteNode, activated, filed, plane_axis, planed

_Operator = Callable[[TfliteNode], Value]


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


def _cast(node: TfliteNode) -> Value:
    wanted = DTYPES.get(node.result.type)
    if wanted is None:
        raise Unsupported(f"to {node.result.type}; {', '.join(DTYPES)} expected")
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
        axes = [plane_axis(node, axis, rank) for axis in node.sizes(1)]
        if rank != 4 or keep or set(axes) in ({2, 3}, {1, 2, 3}):
            return arithmetic.reduce(node, kind, x, axes, keep)
        axes = [node.axis(axis, rank) for axis in node.sizes(1)]
        return arithmetic.reduce(node, kind, filed(node, x), axes, keep)

    return operator


def _softmax(node: TfliteNode) -> Value:
    x = node.computed(0)
    if node.option("Beta", 1.0) != 1.0:
        raise Unsupported(f"beta {node.option('Beta', 1.0)}; 1 expected")
    return arithmetic.softmax(node, x, plane_axis(node, -1, len(x.shape)))


def _log_softmax(node: TfliteNode) -> Value:
    x = node.computed(0)
    axis = plane_axis(node, -1, len(x.shape))
    total = arithmetic.log_sum_exp(node, x, [axis], keep_dims=True)
    return arithmetic.binary(node, "sub", x, total)


def _l2_normalization(node: TfliteNode) -> Value:
    x = node.computed(0)
    axis = plane_axis(node, -1, len(x.shape))
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


OPERATORS: dict[str, _Operator] = {
    "ABS": _unary("abs"),
    "ADD": elementwise(arithmetic.add),
    "ARG_MAX": _arg("arg_max"),
    "ARG_MIN": _arg("arg_min"),
    "BATCH_MATMUL": _batch_matmul,
    "CAST": _cast,
    "CEIL": _unary("ceil"),
    "COS": _unary("cos"),
    "DIV": elementwise(arithmetic.divide),
    "ELU": _unary("elu"),
    "EQUAL": _compare("equal"),
    "EXP": _unary("exp"),
    "FLOOR": _unary("floor"),
    "FLOOR_DIV": elementwise(_floor_divide),
    "FLOOR_MOD": elementwise(_floor_remainder),
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
    "MUL": elementwise(arithmetic.multiply),
    "NEG": _negate,
    "NOT_EQUAL": _compare("equal", inverted=True),
    "POW": elementwise(arithmetic.power),
    "PRELU": elementwise(arithmetic.parametric_relu),
    "REDUCE_MAX": _reduce("max"),
    "REDUCE_MIN": _reduce("min"),
    "REDUCE_PROD": _reduce("product"),
    "ROUND": _unary("round"),
    "RSQRT": _rsqrt,
    "SELECT": elementwise(_select),
    "SELECT_V2": elementwise(_select),
    "SIGN": _unary("sign"),
    "SIN": _unary("sin"),
    "SOFTMAX": _softmax,
    "SQRT": _unary("sqrt"),
    "SQUARE": _square,
    "SQUARED_DIFFERENCE": elementwise(_squared_difference),
    "SUB": elementwise(arithmetic.subtract),
    "SUM": _reduce("sum"),
    "TANH": _unary("tanh"),
}
