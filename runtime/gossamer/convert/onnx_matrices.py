"""ONNX's products of matrices: from a node to the graph of `ir`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from .arithmetic import broadcast, matmul, reduce, sum_of, with_constant
from .ir import Value
from .moves import reshape_to, transpose
from .node_reader import Unsupported
from .onnx_node import OnnxNode
from .operators import fully_connected, matrix_times

MAX_TRIANGLE = 4096  # elements along an axis that are added up as a product of matrices


def _gemm(node: OnnxNode) -> Value:
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    transposed = node.integer("transA", 0), node.integer("transB", 0)
    y = _product(node, alpha, *transposed)
    if not node.has(2) or beta == 0:
        return y
    c = node.operand(2)
    if broadcast(node, y.shape, c.shape) != y.shape:
        node.fail(f"'{c.name}' that fits {list(y.shape)} expected, found {list(c.shape)}")
    if c.data is not None:
        return with_constant(node, y, beta * node.weights(2).data.astype(np.float64), scaled=False)
    if beta != 1:
        c = with_constant(node, c, np.float32(beta), scaled=True)
    return sum_of(node, y, c)


def _product(node: OnnxNode, alpha: float, trans_a: int, trans_b: int) -> Value:
    a, b = (node.operand(position) for position in (0, 1))
    for value in (a, b):
        if len(value.shape) != 2:
            node.fail(f"matrices expected, found '{value.name}' of shape {list(value.shape)}")
    a, b = (_turned(node, value, turn) for value, turn in ((a, trans_a), (b, trans_b)))
    if a.shape[1] != b.shape[0]:
        node.fail(f"matrices that fit expected, found {list(a.shape)} and {list(b.shape)}")
    if b.data is not None:
        matrix, scales = b.data.T, None if b.scales is None else b.scales.T
        if alpha != 1:
            matrix, scales = matrix * np.float64(alpha), None
        return fully_connected(node, a, matrix, b.name, np.zeros(len(matrix)), scales)
    if a.data is not None:
        return matrix_times(node, a.data * np.float64(alpha) if alpha != 1 else a.data, a.name, b)
    y = matmul(node, a, b)
    return y if alpha == 1 else with_constant(node, y, np.float32(alpha), scaled=True)


def _turned(node: OnnxNode, x: Value, turn: int) -> Value:
    if not turn:
        return x
    if x.data is None:
        return transpose(node, x, (1, 0))
    scales = None if x.scales is None else x.scales.T
    return Value(x.name, x.shape[::-1], x.data.T, scales=scales)


def _mat_mul(node: OnnxNode) -> Value:
    a, b = node.operand(0), node.operand(1)
    if not node.value(0).shape or not node.value(1).shape:
        node.fail(f"matrices expected, found shapes {list(a.shape)} and {list(b.shape)}")
    rows = a.shape if len(a.shape) > 1 else (1, *a.shape)
    columns = b.shape if len(b.shape) > 1 else (*b.shape, 1)
    if rows[-1] != columns[-2]:
        node.fail(f"matrices that fit expected, found {list(a.shape)} and {list(b.shape)}")
    if b.data is not None and math.prod(columns[:-2]) == 1:
        matrix = b.data.reshape(columns[-2:])
        x = reshape_to(node, a, (math.prod(rows[:-1]), rows[-1]))
        scales = b.scales.T if b.scales is not None and b.scales.ndim == 2 else None
        y = fully_connected(node, x, matrix.T, b.name, np.zeros(matrix.shape[1]), scales)
    elif a.data is not None and math.prod(rows[:-2]) == 1:
        y = matrix_times(node, a.data.reshape(rows[-2:]), a.name, reshape_to(node, b, columns))
    else:
        y = matmul(node, _as_matrices(node, a, rows), _as_matrices(node, b, columns))
    batch = broadcast(node, rows[:-2], columns[:-2])
    row, column = rows[-2:-1] * (len(a.shape) > 1), columns[-1:] * (len(b.shape) > 1)
    return reshape_to(node, y, (*batch, *row, *column))


def _as_matrices(node: OnnxNode, x: Value, shape: Sequence[int]) -> Value:
    if x.data is None:
        return reshape_to(node, x, shape)
    return Value(x.name, tuple(shape), x.data.reshape(shape))


def _cum_sum(node: OnnxNode) -> Value:
    """Emit sums of all elements up to each one: a product with a triangle of ones."""
    x = node.computed(0)
    axis = node.axis(int(node.scalar(1, 0)), len(x.shape))
    exclusive, backwards = node.integer("exclusive", 0), node.integer("reverse", 0)
    count = x.shape[axis]
    if count > MAX_TRIANGLE:
        raise Unsupported(f"{count} elements along axis {axis}; at most {MAX_TRIANGLE} expected")
    ones = np.tri(count, k=-1 if exclusive else 0)
    behind = math.prod(x.shape[axis + 1 :])
    rows = reshape_to(node, x, (math.prod(x.shape[:axis]), count, behind))
    triangle = ones[::-1, ::-1] if backwards else ones
    return reshape_to(node, matrix_times(node, triangle, f"{node.name}.ones", rows), x.shape)


def _einsum(node: OnnxNode) -> Value:
    """Emit a sum of products over the letters that the result lacks."""
    text = node.text("equation", "").replace(" ", "")
    left, arrow, result = text.partition("->")
    terms = left.split(",")
    values = [node.operand(position) for position in range(len(node.inputs))]
    letters = "".join(terms)
    if not arrow:
        result = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    plain = all(len(set(term)) == len(term) and term.isalpha() for term in terms)
    if not plain or len(terms) not in (1, 2) or not set(result) <= set(letters):
        raise Unsupported(f"{text}; one or two tensors, each letter once in each, expected")
    for term, value in zip(terms, values, strict=True):
        if len(term) != len(value.shape):
            node.fail(f"{text}: '{term}' does not fit {list(value.shape)}")
    if any(value.data is not None for value in values):
        raise Unsupported(f"{text} with a constant; computed tensors expected")
    pairs = [
        _sum_over(node, value, term, terms, result)
        for value, term in zip(values, terms, strict=True)
    ]
    value, term = pairs[0] if len(pairs) == 1 else _contract(node, *pairs, result)
    return transpose(node, value, [term.index(letter) for letter in result])


def _sum_over(
    node: OnnxNode, x: Value, term: str, terms: Sequence[str], result: str
) -> tuple[Value, str]:
    """Sum over letters that stand nowhere else."""
    gone = [c for c in term if c not in result and sum(c in other for other in terms) == 1]
    if not gone:
        return x, term
    y = reduce(node, "sum", x, [term.index(c) for c in gone], keep_dims=False)
    return y, "".join(c for c in term if c not in gone)


def _contract(
    node: OnnxNode, left: tuple[Value, str], right: tuple[Value, str], result: str
) -> tuple[Value, str]:
    """Multiply two tensors as batches of matrices."""
    (a, first), (b, second) = left, right
    shared = [c for c in first if c in second]
    batch, inner = [c for c in shared if c in result], [c for c in shared if c not in result]
    rows, columns = [c for c in first if c not in shared], [c for c in second if c not in shared]
    sizes = dict(zip(second, b.shape, strict=True))
    for letter, size in zip(first, a.shape, strict=True):
        if sizes.setdefault(letter, size) != size:
            node.fail(f"'{letter}' is {size} and {sizes[letter]}")

    def grouped(x: Value, term: str, *groups: Sequence[str]) -> Value:
        order = [term.index(c) for group in groups for c in group]
        shape = [math.prod(sizes[c] for c in group) for group in groups]
        return reshape_to(node, transpose(node, x, order), shape)

    y = matmul(
        node, grouped(a, first, batch, rows, inner), grouped(b, second, batch, inner, columns)
    )
    letters = [*batch, *rows, *columns]
    return reshape_to(node, y, [sizes[c] for c in letters]), "".join(letters)


OPERATORS: dict[str, Callable[[OnnxNode], Value]] = {
    "CumSum": _cum_sum,
    "Einsum": _einsum,
    "Gemm": _gemm,
    "MatMul": _mat_mul,
}
