"""How long a network will take, one thread, by the costs of an instruction set.

Every operator's time is a sum of counts, which follow from shapes and stored blocks as the engine's
kernels go through them, times costs of `cost_model`. `calibration` solves the same sums for the
costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from . import pack
from .cost_model import PIXEL, Area, CostModel, OperatorCosts, StoredMatrix
from .ir import Graph, Node, Value

# Of a layer's planes and weights, what is near when it is needed. More comes from further away.
NEAR_BYTES = 1 << 20
# conv_packed.c: so many pixels are computed at a time where rows are not whole vectors.
STRIP_PIXELS = 256


@dataclass(frozen=True)
class Prediction:
    """Seconds of a network.

    Attributes
    ----------
    nodes
        Of each node.
    run
        Of each run, besides its nodes.
    """

    nodes: Mapping[Node, float]
    run: float

    @property
    def seconds(self) -> float:
        """Of the network."""
        return self.run + sum(self.nodes.values())


def predict(graph: Graph, costs: CostModel, storage: Mapping[str, str] | None = None) -> Prediction:
    """Predict the time of each node.

    Parameters
    ----------
    graph
        As `passes.optimize` leaves it.
    costs
        Of the instruction set that will run it.
    storage
        As `lower.lower` takes it.

    Raises
    ------
    InputError
        The costs are of an older version.
    """
    asked = storage or {}
    seconds = {node: node_seconds(node, costs, asked=asked.get(node.name)) for node in graph.nodes}
    return Prediction(seconds, run_seconds(graph, costs))


def run_seconds(graph: Graph, costs: CostModel) -> float:
    """Predict what a run takes besides its nodes: inputs are checked and copied."""
    operators = costs.need_operators()
    vectors = sum(_planes(value.shape, operators)[1] for value in graph.inputs)
    return (operators.run + vectors * operators.steps["input"].vector) * 1e-12


def node_seconds(
    node: Node, costs: CostModel, matrix: StoredMatrix | None = None, asked: str | None = None
) -> float:
    """Predict the time of a node.

    Parameters
    ----------
    node
        With the shapes of its inputs and output.
    costs
        Of the instruction set that will run it.
    matrix
        How its weights are stored; None = as the converter chooses.
    asked
        A storage that overrides the choice, as `pack.choose_storage` takes it.

    Raises
    ------
    InputError
        The costs are of an older version.
    """
    operators = costs.need_operators()
    cost = operators.layer
    if pack.has_matrix(node):
        matrix = matrix or chosen_matrix(node, costs, asked=asked)
        cost += _matrix(node, costs, matrix)
    elif node.op == "matmul":
        cost += _matmul(node, costs)
    else:
        cost += _OPERATORS[node.op](node, operators)
    if "activation" in node.attributes:  # of a convolution
        cost += _elementwise(node.attributes["activation"])(node, operators)
    return cost * 1e-12


def has_cost(node: Node) -> bool:
    """Whether anything is known about what a node's operator costs."""
    return pack.has_matrix(node) or node.op in (*_OPERATORS, "matmul")


def chosen_matrix(
    node: Node, costs: CostModel, pruned: np.ndarray | None = None, asked: str | None = None
) -> StoredMatrix:
    """Describe a node's weights in the storage that the converter chooses.

    Parameters
    ----------
    node, costs, asked
        As `node_seconds` takes them.
    pruned
        Weights in the place of the node's own, of which only matters where they are zero.
    """
    value, use = node.inputs[1], pack.use_of_input(node, 1)
    if pruned is None:
        pruned, asked = value.data, asked or value.pattern
    if value.dtype == "i8":
        choice = pack.choose_i8_storage(pruned, use, costs, asked, area(node, costs))
        return pack.stored_i8_matrix(pruned, choice.block_rows, choice.storage)
    choice = pack.choose_storage(pruned, use, costs, asked, area(node, costs))
    return pack.stored_matrix(pack.as_matrix(pruned), choice.block_rows, choice.storage)


def area(node: Node, costs: CostModel) -> Area:
    """Say what a run multiplies a node's weights with."""
    if not pack.has_matrix(node):
        return PIXEL
    if pack.has_many_rows(node):
        return costs.area({node.output.shape[0]: 1})
    if node.op == "fully_connected":
        return Area(node.output.shape[0])
    images, _, height, width = node.output.shape
    if _is_pointwise(node):
        return costs.area({height * width: images})
    if costs.operators and width % costs.operators.lanes == 0:
        return costs.area({width: height * images})
    _, columns = _packed_size(node)
    strip = min(max(STRIP_PIXELS // columns, 1), height)
    strips, rest = divmod(height, strip)
    runs = {strip * columns: strips * images}
    return costs.area(runs | ({rest * columns: images} if rest else {}))


# ---- Operators, in picoseconds -------------------------------------------------------------------


def _matrix(node: Node, costs: CostModel, matrix: StoredMatrix) -> float:
    if pack.has_many_rows(node):
        sides = (_planes(value.shape, costs.need_operators())[1] for value in _sides(node))
        turned = sum(sides) * costs.need_operators().steps["pack"].vector
        return costs.conv.picoseconds(matrix, area(node, costs)) + turned
    i8 = node.inputs[1].dtype == "i8"
    of = costs.of_i8(node.op) if i8 else getattr(costs, _KINDS.get(node.op, node.op))
    if node.op == "fully_connected":  # measured with weights that come from memory
        return of.picoseconds(matrix, area(node, costs))
    operators = costs.need_operators()
    cost = of.picoseconds(matrix, area(node, costs))
    moved = matrix.bytes + _bytes(node.inputs[0]) + _bytes(node.output)
    cost += max(0, moved - NEAR_BYTES) * operators.far_byte
    if not _is_pointwise(node):
        cost += _pack(node, operators)
    if len(node.inputs) > 3 and node.op == "conv":  # a residual
        cost += _elementwise("add")(node, operators)
    return cost


def _sides(node: Node) -> tuple[Value, Value]:
    return node.inputs[0], node.output


_KINDS = {"conv_pixels": "conv"}  # what costs as another operator does


def _bytes(value: Value) -> int:
    return math.prod(value.shape) * (1 if value.dtype == "u7" else 4)


def _is_pointwise(node: Node) -> bool:
    geometry = node.attributes
    return (
        node.op == "conv"
        and node.inputs[1].shape[2:] == (1, 1)
        and tuple(geometry["strides"]) == (1, 1)
        and not any(geometry["pads"])
    )


def _packed_size(node: Node) -> tuple[int, int]:
    """Rows and columns of each phase of a packed plane, as ``ops/pack.c`` plans them."""
    geometry, kernel = node.attributes, node.inputs[1].shape[2:]
    rows, columns = (
        size + (taps - 1) * dilation // stride
        for size, taps, dilation, stride in zip(
            node.output.shape[2:], kernel, geometry["dilations"], geometry["strides"], strict=True
        )
    )
    return rows, columns


def _phases(node: Node) -> int:
    """Remainders modulo the strides that kernel positions have: a packed plane each."""
    geometry, kernel = node.attributes, node.inputs[1].shape[2:]
    phases = 1
    for taps, dilation, stride in zip(
        kernel, geometry["dilations"], geometry["strides"], strict=True
    ):
        phases *= min((taps - 1) * dilation + 1, stride) if dilation % stride else 1
    return phases


def _pack(node: Node, operators: OperatorCosts) -> float:
    """Pack what a convolution reads, and unpack what it wrote with surplus columns.

    Interleaved pixels take no longer than planes do.
    """
    pixels, quads = node.op == "conv_pixels", node.inputs[0].dtype == "u7"
    images, channels = (node.inputs[0].shape[axis] for axis in (0, 3 if pixels else 1))
    planes = images * (-(-channels // pack.QUAD) if quads else channels)
    rows, columns = _packed_size(node)
    vectors = planes * _phases(node) * rows * operators.vectors(columns)
    _, outputs, out_y, out_x = node.output.shape
    if node.attributes["groups"] == 1 and out_x % operators.lanes:
        vectors += images * outputs * out_y * operators.vectors(out_x)
    return vectors * operators.steps["pack"].vector


def _depthwise_i8(node: Node, operators: OperatorCosts) -> float:
    """Go through quads of channels, four taps at a time."""
    images, channels, height, width = node.output.shape
    quads = images * -(-channels // pack.QUAD)
    groups = -(-math.prod(node.inputs[1].shape[2:]) // pack.QUAD)
    vectors = quads * height * operators.vectors(width) * groups
    return _steps(operators, "depthwise_i8", quads, vectors) + _pack(node, operators)


def _depthwise(node: Node, operators: OperatorCosts) -> float:
    if node.inputs[0].dtype == "u7":
        return _depthwise_i8(node, operators)
    geometry, (kernel, kernel_x) = node.attributes, node.inputs[1].shape[2:]
    images, channels, height, width = node.output.shape
    planes, (stride, stride_x) = images * channels, geometry["strides"]
    top, left, _, right = geometry["pads"]
    square = kernel == kernel_x and stride == stride_x and tuple(geometry["dilations"]) == (1, 1)
    name = f"depthwise_{kernel}x{kernel}_stride_{stride}"
    if square and name in operators.steps and max(top, left, right) < kernel:
        # depthwise_square_f32.c: down strips of columns, some steps ahead of the first row
        wide = 2 if kernel == 5 and operators.lanes == 4 else 1
        strip = -(-operators.vectors(width) // wide) * wide
        steps = height + (kernel + stride - 1) // stride - 1
        return _steps(operators, name, planes, planes * strip * steps)
    products = planes * height * operators.vectors(width) * kernel * kernel_x
    return products * operators.steps["depthwise_packed"].vector + _pack(node, operators)


def _pool(node: Node, operators: OperatorCosts) -> float:
    """Join a window's rows, then its columns; at large strides number by number."""
    kernel, stride = node.attributes["kernel"], node.attributes["strides"][1]
    images, channels, height, width = node.output.shape
    planes, columns = images * channels, operators.vectors(node.inputs[0].shape[3])
    joined = kernel[1] * (operators.vectors(width) if stride <= 2 else width)
    return _steps(operators, "pool", planes, planes * height * (kernel[0] * columns + joined))


def _elementwise(name: str) -> Callable[[Node, OperatorCosts], float]:
    """Give the cost of a buffer that is gone through as one."""

    def cost(node: Node, operators: OperatorCosts) -> float:
        _, vectors = _planes(node.output.shape, operators)
        step, times = _LIKE.get(name, (name, 1))
        return vectors * operators.steps[step].vector * times

    return cost


def _by_planes(name: str) -> Callable[[Node, OperatorCosts], float]:
    def cost(node: Node, operators: OperatorCosts) -> float:
        return _steps(operators, name, *_planes(node.inputs[0].shape, operators))

    return cost


def _copies(node: Node, operators: OperatorCosts) -> float:
    """Copy the output as flattening does, with as many pieces as inputs."""
    _, vectors = _planes(node.output.shape, operators)
    return _steps(operators, "flatten", node.output.shape[0] * len(node.inputs), vectors)


def _multiply(node: Node, operators: OperatorCosts) -> float:
    a, b = node.inputs
    kind = _elementwise("multiply") if a.shape == b.shape else _by_planes("scale")
    return kind(node, operators)


def _reshape(node: Node, operators: OperatorCosts) -> float:
    """Give the cost of a flatten whose planes are those of whichever side has more."""
    sides = (_planes(value.shape, operators) for value in _sides(node))
    return _steps(operators, "flatten", *map(max, zip(*sides, strict=True)))


def _activation(node: Node, operators: OperatorCosts) -> float:
    return _elementwise(node.attributes["kind"])(node, operators)


def _moves(node: Node, operators: OperatorCosts) -> float:
    """Give the cost of copies of all rows, whichever side has more; taken one by one, of vectors.

    An estimate: not measured.
    """
    rows = max(math.prod(value.shape[:-1]) for value in _sides(node))
    return _steps(operators, "flatten", rows, _planes(node.output.shape, operators)[1])


def _binary(node: Node, operators: OperatorCosts) -> float:
    """Give the cost of a product, for what has a kernel; else of numbers one by one.

    An estimate: not measured.
    """
    kernels = ("add", "sub", "mul", "div", "min", "max")
    times = 1 if node.attributes.get("kind") in kernels else 4 * operators.lanes
    return _elementwise("multiply")(node, operators) * times


def _top_k(node: Node, operators: OperatorCosts) -> float:
    """Give the cost of the last input's numbers one by one. An estimate: not measured."""
    _, vectors = _planes(node.inputs[-1].shape, operators)
    return vectors * operators.steps["multiply"].vector * 4 * operators.lanes


def _matmul(node: Node, costs: CostModel) -> float:
    """Give the cost of a dense pointwise convolution of each batch, whose weights are packed."""
    batch, rows, columns = node.output.shape
    inner = node.inputs[0].shape[-1]
    pixels = costs.area({columns: batch})
    packed = batch * rows * inner * costs.need_operators().steps["pack"].vector
    return costs.conv.picoseconds(StoredMatrix(rows, inner, 4), pixels) + packed


def _resize(node: Node, operators: OperatorCosts) -> float:
    """Give the cost of rows that are joined vector by vector, then of columns one by one.

    An estimate: not measured.
    """
    x, rows, columns = node.inputs
    taps = (
        np.count_nonzero(value.data) if value.data is not None else 0 for value in (rows, columns)
    )
    row_taps, column_taps = taps
    images, channels, height, _ = node.output.shape
    steps = row_taps * operators.vectors(x.shape[3]) + height * column_taps
    return _steps(operators, "pool", images * channels, images * channels * steps)


def _planes(shape: tuple[int, ...], operators: OperatorCosts) -> tuple[int, int]:
    """Planes of a tensor, and its vectors: what is no image is a plane for each first index."""
    count = math.prod(shape[: 2 if len(shape) == 4 else 1])
    return count, count * operators.vectors(math.prod(shape) // count)


def _steps(operators: OperatorCosts, name: str, planes: int, vectors: int) -> float:
    step = operators.steps[name]
    return planes * step.plane + vectors * step.vector


# Steps that are not measured: a measured one, and how often it is counted.
_LIKE = {
    "exp": ("sigmoid", 1), "log": ("softplus", 2), "sqrt": ("hard_swish", 2),
    "abs": ("clamp", 1), "reciprocal": ("hard_swish", 2), "floor": ("clamp", 1),
    "ceil": ("clamp", 1), "round": ("clamp", 1), "sign": ("clamp", 2),
    "sin": ("softplus", 4), "cos": ("softplus", 4),
}  # fmt: skip

# Those without a matrix.
_OPERATORS: dict[str, Callable[[Node, OperatorCosts], float]] = {
    "conv": _depthwise,
    "global_average_pool": _by_planes("global_average_pool"),
    "max_pool": _pool,
    "average_pool": _pool,
    "concat": _copies,
    "leaky_relu": _elementwise("leaky_relu"),
    "slice": _copies,
    "shuffle": _by_planes("flatten"),
    "add": _elementwise("add"),
    "clamp": _elementwise("clamp"),
    "softmax": _by_planes("softmax"),
    "flatten": _by_planes("flatten"),
    "reshape": _reshape,
    "activation": _activation,
    "multiply": _multiply,
    "transpose": _moves,
    "take": _moves,
    "binary": _binary,
    "select": _binary,
    "reduce": _by_planes("global_average_pool"),
    "layer_norm": _by_planes("softmax"),
    "resize": _resize,
    "top_k": _top_k,
    "non_max_suppression": _top_k,  # goes through all scores, then compares few boxes
    "quantize": _elementwise("quantize"),
    # Not measured: taken to cost what a clamp of as many numbers does.
    "lookup": _elementwise("clamp"),
    "dequantize": _elementwise("clamp"),
    "quantize_pixels": _elementwise("clamp"),
}
