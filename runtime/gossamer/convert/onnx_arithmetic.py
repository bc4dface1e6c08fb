"""ONNX's arithmetic, element by element and over axes: from a node to the graph of `ir`."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .arithmetic import (
    activation,
    add,
    as_type,
    binary,
    clamp,
    compare,
    divide,
    elu,
    extreme,
    hard_sigmoid,
    invert,
    leaky_relu,
    log_sum_exp,
    multiply,
    negate,
    parametric_relu,
    power,
    product_of,
    reduce,
    relu,
    select,
    sigmoid,
    subtract,
    sum_of,
    unary,
    with_constant,
)
from .ir import Value
from .moves import take
from .node_reader import Unsupported
from .onnx_node import TYPES, OnnxNode, type_name

_Operator = Callable[[OnnxNode], Value]


def _activation(kind: str) -> _Operator:
    return lambda node: activation(node, kind)


def _clip(node: OnnxNode) -> Value:
    x = node.computed(0)
    if node.opset < 11:
        return clamp(node, x, node.number("min", -math.inf), node.number("max", math.inf))
    bounds = [node.value(at) if node.has(at) else None for at in (1, 2)]
    if all(bound is None or bound.data is not None for bound in bounds):
        return clamp(node, x, node.scalar(1, -math.inf), node.scalar(2, math.inf))
    for kind, at in (("max", 1), ("min", 2)):
        x = binary(node, kind, x, node.operand(at)) if node.has(at) else x
    return x


def _max(node: OnnxNode) -> Value:
    return extreme(node, "max")


def _min(node: OnnxNode) -> Value:
    return extreme(node, "min")


def _neg(node: OnnxNode) -> Value:
    return negate(node, node.computed(0))


def _sum(node: OnnxNode) -> Value:
    inputs, result = node.inputs, node.operand(0)
    for value in inputs[1:]:
        node.inputs = [result, value]
        result = add(node)
    return result


def _mean(node: OnnxNode) -> Value:
    count = len(node.inputs)
    return with_constant(node, _sum(node), np.float32(1 / count), scaled=True)


def _elu(node: OnnxNode) -> Value:
    return elu(node, node.number("alpha", 1.0))


def _selu(node: OnnxNode) -> Value:
    alpha, gamma = node.number("alpha", 1.6732632), node.number("gamma", 1.0507010)
    return elu(node, alpha, gamma)


def _celu(node: OnnxNode) -> Value:
    alpha = node.number("alpha", 1.0)
    if not alpha:
        node.fail("an alpha other than 0 expected")
    x = with_constant(node, node.computed(0), np.float64(1 / alpha), scaled=True)
    return with_constant(node, unary(node, "elu", x), np.float32(alpha), scaled=True)


def _gelu(node: OnnxNode) -> Value:
    kinds = {"none": "gelu", "tanh": "gelu_tanh"}
    approximate = node.text("approximate", "none")
    if approximate not in kinds:
        node.fail(f"approximate none or tanh expected, found {approximate!r}")
    return activation(node, kinds[approximate])


def _hard_sigmoid(node: OnnxNode) -> Value:
    return hard_sigmoid(node, node.number("alpha", 0.2), node.number("beta", 0.5))


def _leaky_relu(node: OnnxNode) -> Value:
    return leaky_relu(node, node.number("alpha", 0.01))


def _swish(node: OnnxNode) -> Value:
    x, alpha = node.computed(0), node.number("alpha", 1.0)
    scaled = with_constant(node, x, np.float32(alpha), scaled=True)
    return product_of(node, x, unary(node, "sigmoid", scaled))


def _softsign(node: OnnxNode) -> Value:
    x = node.computed(0)
    size = with_constant(node, unary(node, "abs", x), np.float32(1), scaled=False)
    return binary(node, "div", x, size)


def _thresholded_relu(node: OnnxNode) -> Value:
    x = node.computed(0)
    alpha = node.own_constant("alpha", node.number("alpha", 1.0))
    return product_of(node, x, binary(node, "less", alpha, x))


def _shrink(node: OnnxNode) -> Value:
    x, bias, edge = node.computed(0), node.number("bias", 0.0), node.number("lambd", 0.5)
    ends = [node.own_constant(name, at) for name, at in (("low", -edge), ("high", edge))]
    below, above = binary(node, "less", x, ends[0]), binary(node, "less", ends[1], x)
    moved = binary(node, "sub", below, above)
    moved = sum_of(node, x, with_constant(node, moved, np.float32(bias), scaled=True))
    return product_of(node, moved, sum_of(node, below, above))


def _tan(node: OnnxNode) -> Value:
    x = node.computed(0)
    return binary(node, "div", unary(node, "sin", x), unary(node, "cos", x))


def _mod(node: OnnxNode) -> Value:
    kind = "fmod" if node.integer("fmod", 0) else "mod"
    return binary(node, kind, node.operand(0), node.operand(1))


# ---- Truth values --------------------------------------------------------------------------------


def _compare(kind: str, *, swapped: bool = False) -> _Operator:
    return lambda node: compare(node, kind, swapped=swapped)


def _logical(kind: str) -> _Operator:
    return lambda node: binary(node, kind, node.truth(0), node.truth(1), "bool")


def _xor(node: OnnxNode) -> Value:
    return invert(node, binary(node, "equal", node.truth(0), node.truth(1), "bool"))


def _not(node: OnnxNode) -> Value:
    return invert(node, node.truth(0))


def _where(node: OnnxNode) -> Value:
    return select(node, node.truth(0), node.element(1), node.element(2))


def _cast(node: OnnxNode) -> Value:
    node.ignore("saturate", "round_mode")
    to, x = node.integer("to"), node.moved(0)
    return _as_type(node, x, to)


def _cast_like(node: OnnxNode) -> Value:
    node.ignore("saturate", "round_mode")
    other = node.value(1)
    if other.data is not None:
        from onnx.helper import np_dtype_to_tensor_dtype

        return _as_type(node, node.moved(0), np_dtype_to_tensor_dtype(other.data.dtype))
    types = {name: number for number, name in TYPES.items()}
    return _as_type(node, node.moved(0), types[other.dtype])


def _as_type(node: OnnxNode, x: Value, to: int) -> Value:
    wanted = TYPES.get(to)
    if wanted is None:
        raise Unsupported(f"to {type_name(to)}; FLOAT, BOOL, INT32 or INT64 expected")
    return as_type(node, x, wanted)


# ---- Over axes -----------------------------------------------------------------------------------


def _over(node: OnnxNode) -> tuple[tuple[int, ...] | None, bool]:
    """The axes of a reduction, None when nothing is reduced, and whether they stay as 1."""
    axes, rank = node.axes() or (), len(node.value(0).shape)
    keep_dims = bool(node.integer("keepdims", 1))
    if node.integer("noop_with_empty_axes", 0) and not axes:
        return None, keep_dims
    return tuple(axes or range(rank)), keep_dims


def _reduce(
    kind: str,
    before: Callable[[OnnxNode, Value], Value] | None = None,
    after: str | None = None,
) -> _Operator:
    """A reduction of some function of x, and a function of the result."""

    def operator(node: OnnxNode) -> Value:
        x = node.moved(0) if kind in ("min", "max") else node.computed(0)
        axes, keep_dims = _over(node)
        y = before(node, x) if before else x
        y = y if axes is None else reduce(node, kind, y, axes, keep_dims)
        return unary(node, after, y) if after else y

    return operator


def _square(node: OnnxNode, x: Value) -> Value:
    return product_of(node, x, x)


def _size(node: OnnxNode, x: Value) -> Value:
    return unary(node, "abs", x)


def _reduce_log_sum_exp(node: OnnxNode) -> Value:
    axes, keep_dims = _over(node)
    return (
        node.computed(0) if axes is None else log_sum_exp(node, node.computed(0), axes, keep_dims)
    )


def _arg(kind: str) -> _Operator:
    """The place of an extreme, as a whole number."""

    def operator(node: OnnxNode) -> Value:
        x, keep_dims = node.computed(0), bool(node.integer("keepdims", 1))
        axis = node.axis(node.integer("axis", 0), len(x.shape))
        if not node.integer("select_last_index", 0):
            return reduce(node, kind, x, [axis], keep_dims)
        count = x.shape[axis]
        place = reduce(node, kind, take(node, x, axis, range(count)[::-1]), [axis], keep_dims)
        last = node.own_constant("last", count - 1)
        return binary(node, "sub", last, place, "i64")

    return operator


def _global_max_pool(node: OnnxNode) -> Value:
    x = node.computed(0)
    return reduce(node, "max", x, range(2, len(x.shape)), keep_dims=True)


def _global_average_pool(node: OnnxNode) -> Value:
    x = node.computed(0)
    if len(x.shape) < 3:
        raise Unsupported(f"input 0 of rank {len(x.shape)}; at least 3 expected")
    return reduce(node, "mean", x, range(2, len(x.shape)), keep_dims=True)


OPERATORS: dict[str, _Operator] = {
    "Abs": _activation("abs"),
    "Add": add,
    "And": _logical("min"),
    "ArgMax": _arg("arg_max"),
    "ArgMin": _arg("arg_min"),
    "Cast": _cast,
    "CastLike": _cast_like,
    "Ceil": _activation("ceil"),
    "Celu": _celu,
    "Clip": _clip,
    "Cos": _activation("cos"),
    "Div": divide,
    "Elu": _elu,
    "Equal": _compare("equal"),
    "Erf": _activation("erf"),
    "Exp": _activation("exp"),
    "Floor": _activation("floor"),
    "Gelu": _gelu,
    "GlobalAveragePool": _global_average_pool,
    "GlobalMaxPool": _global_max_pool,
    "Greater": _compare("less", swapped=True),
    "GreaterOrEqual": _compare("less_or_equal", swapped=True),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _activation("hard_swish"),
    "LeakyRelu": _leaky_relu,
    "Less": _compare("less"),
    "LessOrEqual": _compare("less_or_equal"),
    "Log": _activation("log"),
    "Max": _max,
    "Mean": _mean,
    "Min": _min,
    "Mish": _activation("mish"),
    "Mod": _mod,
    "Mul": multiply,
    "Neg": _neg,
    "Not": _not,
    "Or": _logical("max"),
    "PRelu": parametric_relu,
    "Pow": power,
    "Reciprocal": _activation("reciprocal"),
    "ReduceL1": _reduce("sum", _size),
    "ReduceL2": _reduce("sum", _square, "sqrt"),
    "ReduceLogSum": _reduce("sum", after="log"),
    "ReduceLogSumExp": _reduce_log_sum_exp,
    "ReduceMax": _reduce("max"),
    "ReduceMean": _reduce("mean"),
    "ReduceMin": _reduce("min"),
    "ReduceProd": _reduce("product"),
    "ReduceSum": _reduce("sum"),
    "ReduceSumSquare": _reduce("sum", _square),
    "Relu": relu,
    "Round": _activation("round"),
    "Selu": _selu,
    "Shrink": _shrink,
    "Sigmoid": sigmoid,
    "Sign": _activation("sign"),
    "Sin": _activation("sin"),
    "Softplus": _activation("softplus"),
    "Softsign": _softsign,
    "Sqrt": _activation("sqrt"),
    "Sub": subtract,
    "Sum": _sum,
    "Swish": _swish,
    "Tan": _tan,
    "Tanh": _activation("tanh"),
    "ThresholdedRelu": _thresholded_relu,
    "Where": _where,
    "Xor": _xor,
}
