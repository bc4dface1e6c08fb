"""Regions between transposes that compute in another order of axes, so that transposes meet.

What works element by element gives the same numbers in any order of axes. Frameworks whose images
are [N, H, W, C] leave transposes around such parts. A part turns as a whole, and only where fewer
transposes are left: so their number never rises, and the search ends.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .ir import Graph, Node, Value
from .moves import keeps_order

_ELEMENTWISE = {"clamp", "activation", "leaky_relu", "add", "multiply", "binary", "select"}
_Order = tuple[int, ...]


def push_transposes(graph: Graph) -> None:
    """Turn what lies between transposes wherever that leaves fewer of them."""
    while any(_turn_if_fewer(part) for part in _parts(_Edges(graph))):
        pass


class _Edges:
    """What computes and what reads each value, and where each node stands."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.producers = graph, graph.producers()
        self.positions = {node: number for number, node in enumerate(graph.nodes)}
        self.readers: dict[Value, list[Node]] = {}
        for node in graph.nodes:
            for value in dict.fromkeys(node.inputs):
                self.readers.setdefault(value, []).append(node)


def _parts(edges: _Edges) -> Iterator[_Part]:
    """Parts behind and in front of transposes, in the order that would let these go."""
    for node in [node for node in edges.positions if node.op == "transpose"]:
        axes = node.attributes["axes"]
        around = [(reader, axes) for reader in edges.readers.get(node.output, [])]
        if before := edges.producers.get(node.inputs[0]):
            around.append((before, _inverse(axes)))
        for start, order in around:
            if _turns(start, order):
                yield from (_Part(edges, start, order, alone) for alone in (False, True))


class _Part:
    """Nodes that may compute in another order: axis i of what they compute would be order[i].

    `alone` is the start only, else all that it is connected with.
    """

    def __init__(self, edges: _Edges, start: Node, order: _Order, alone: bool) -> None:
        self.graph, self.positions = edges.graph, edges.positions
        self.producers, self.readers = edges.producers, edges.readers
        self.order, self.back = order, _inverse(order)
        self.nodes, waiting = {start}, [] if alone else [start]
        while waiting:
            for node in self.neighbours(waiting.pop()):
                if node not in self.nodes and _turns(node, order):
                    self.nodes.add(node)
                    waiting.append(node)
        self.inside = {node.output for node in self.nodes if not _ends(node)}

    def neighbours(self, node: Node) -> Iterator[Node]:
        """What computes a node's inputs, and what reads these or its output."""
        if not _ends(node):
            yield from self.readers.get(node.output, [])
        for value in node.inputs:
            before = self.producers.get(value)
            if before and (before.op == "transpose" or (before in self.nodes)):
                yield from self.readers[value]
            if before and not _ends(before):
                yield before

    def entries(self) -> list[Value]:
        """What the part reads and does not compute itself."""
        values = {value: None for node in self.ordered() for value in _turned_inputs(node)}
        return [value for value in values if value not in self.inside]

    def ordered(self) -> list[Node]:
        """The nodes in the order of execution."""
        return sorted(self.nodes, key=self.positions.__getitem__)

    def exits(self) -> list[tuple[Value, list[Node], bool]]:
        """What else reads what: transposes, and whether something needs the old order."""
        found, outputs = [], set(self.graph.outputs.values())
        for node in self.ordered():
            value = node.output
            if value in self.inside:
                others = [each for each in self.readers.get(value, []) if each not in self.nodes]
                turning = [each for each in others if each.op == "transpose"]
                found.append((value, turning, len(turning) < len(others) or value in outputs))
        return found

    def source(self, value: Value) -> tuple[Value, _Order]:
        """From what, and in what order, a value that the part reads would come."""
        before = self.producers.get(value)
        if before and before.op == "transpose":
            axes = before.attributes["axes"]
            return before.inputs[0], tuple(axes[axis] for axis in self.back)
        return value, self.back

    def unneeded(self, value: Value) -> bool:
        """Whether a value comes from a transpose that only this part reads."""
        before = self.producers.get(value)
        alone = all(reader in self.nodes for reader in self.readers[value])
        return bool(before and before.op == "transpose" and alone) and (
            value not in self.graph.outputs.values()
        )

    def saved(self) -> int:
        """How many transposes fewer there would be."""
        saved = 0
        for value in self.entries():
            saved += self.unneeded(value) - _moves(*self.source(value))
        for value, turning, needed in self.exits():
            new = _turned(value, self.back)
            saved -= needed and _moves(new, self.order)
            for node in turning:
                saved += 1 - _moves(new, self.behind(node))
        return saved

    def behind(self, node: Node) -> _Order:
        """The order in which a transpose would read what is turned."""
        return tuple(self.order[axis] for axis in node.attributes["axes"])

    def keeps_ranges(self) -> bool:
        """Whether no range of a quantized model is lost with a transpose."""
        entering = ((value, self.source(value)[0]) for value in self.entries())
        leaving = ((node.output, value) for value, nodes, _ in self.exits() for node in nodes)
        return all(a.bounds in (None, b.bounds) for a, b in (*entering, *leaving))


def _turn_if_fewer(part: _Part) -> bool:
    """Turn a part if that leaves fewer transposes."""
    if part.saved() < 1 or not part.keeps_ranges():
        return False
    exits, new, nodes = part.exits(), {}, []
    needed = {value for value, _, old in exits if old}
    for node in part.graph.nodes:
        if node not in part.nodes:
            nodes.append(node)
            continue
        for value in _turned_inputs(node):
            if value not in new:
                source, order = part.source(value)
                new[value] = source
                if order != tuple(range(len(order))):
                    new[value] = _turned(value, part.back)
                    nodes.append(_transpose(node, source, new[value], order))
        old = node.output
        if old in part.inside:
            new[old] = node.output = _turned(old, part.back)
        nodes += _turn(node, part.order, new)
        if old in needed:
            nodes.append(_transpose(node, new[old], old, part.order))
    for value, turning, _ in exits:
        for node in turning:
            node.inputs, node.attributes = [new[value]], {"axes": part.behind(node)}
    part.graph.nodes = nodes
    _tidy(part.graph)
    return True


def _tidy(graph: Graph) -> None:
    """Drop transposes that nothing reads; those that move nothing become reshapes."""
    uses = graph.use_counts()
    graph.nodes = [node for node in graph.nodes if node.op != "transpose" or uses[node.output]]
    for node in graph.nodes:
        if node.op == "transpose" and not _moves(node.inputs[0], node.attributes["axes"]):
            node.op, node.attributes = "reshape", {}


def _transpose(node: Node, x: Value, output: Value, axes: _Order) -> Node:
    return Node("transpose", node.name, node.origin, [x], output, {"axes": axes})


def _inverse(order: _Order) -> _Order:
    return tuple(int(axis) for axis in np.argsort(order))


def _moves(x: Value, axes: _Order) -> bool:
    """Whether a transpose is more than another shape."""
    return not keeps_order(x.shape, axes)


def _turned(value: Value, axes: _Order) -> Value:
    shape = tuple(value.shape[axis] for axis in axes)
    return Value(value.name, shape, dtype=value.dtype, bounds=value.bounds)


def _turned_inputs(node: Node) -> list[Value]:
    """The inputs whose order of axes is the node's; of takes that is the first only."""
    inputs = node.inputs[:1] if node.op == "take" else node.inputs
    return [value for value in inputs if value.data is None]


# ---- Single nodes --------------------------------------------------------------------------------


def _ends(node: Node) -> bool:
    """Whether a node's output has fewer axes than what it reads."""
    return node.op == "reduce" and not node.attributes["keep_dims"]


def _turns(node: Node, order: _Order) -> bool:
    """Whether a node can compute in another order."""
    rank, attributes = len(order), node.attributes
    shapes = [value.shape for value in _turned_inputs(node)]
    if not shapes or any(shape is None or len(shape) != rank for shape in shapes):
        return False
    if any(value.data is not None and value.data.ndim > rank for value in node.inputs):
        return False
    if _ends(node):  # what is left must stand in the order that it has
        left = [order[axis] for axis in range(rank) if axis not in attributes["axes"]]
        return left == sorted(left)
    if node.output.shape is None or len(node.output.shape) != rank:
        return False
    if node.op == "scale_shift":
        return rank > 1
    return node.op in _ELEMENTWISE or node.op in ("take", "reduce")


def _turn(node: Node, order: _Order, new: dict[Value, Value]) -> list[Node]:
    """Let a node, whose output is turned already, compute in another order."""
    attributes = node.attributes = dict(node.attributes)
    if node.op == "take":
        node.inputs = [new[node.inputs[0]], node.inputs[1]]
        attributes["axis"] = order[attributes["axis"]]
        return [node]
    back = _inverse(order)
    node.inputs = [
        new[value] if value.data is None else _turned_constant(value, back) for value in node.inputs
    ]
    if node.op == "reduce":
        attributes["axes"] = tuple(sorted(order[axis] for axis in attributes["axes"]))
    elif node.op == "scale_shift" and order[1] != 1:
        return _scale_and_shift(node, order[1])
    elif node.op == "multiply" and len({value.shape for value in node.inputs}) > 1:
        node.op, node.attributes = "binary", {"kind": "mul"}
    elif node.op == "binary":
        _see_as_channels(node)
    return [node]


def _scale_and_shift(node: Node, axis: int) -> list[Node]:
    """Let numbers that were those of channels be those of another axis."""
    scale, shift = (node.attributes[name] for name in ("scale", "shift"))
    if (scale == scale[0]).all() and (shift == shift[0]).all():
        count = node.output.shape[1]
        node.attributes = {"scale": np.full(count, scale[0]), "shift": np.full(count, shift[0])}
        return [node]
    return as_arithmetic(node, axis)


def as_arithmetic(node: Node, axis: int = 1) -> list[Node]:
    """Write a scale_shift as products or sums with constants, one number a place of an axis."""
    scale, shift = node.attributes["scale"], node.attributes["shift"]
    steps = [("mul", scale)] if (scale != 1).any() else []
    steps += [("add", shift)] if shift.any() or not steps else []
    (x,), nodes = node.inputs, []
    for kind, numbers in steps:
        same = (numbers == numbers[0]).all()
        behind = [1] * (len(x.shape) - 1 - axis)
        column = (numbers[:1] if same else numbers.reshape(-1, *behind)).astype(np.float32)
        constant = Value(f"{node.name}.{kind}", column.shape, column)
        last = len(nodes) + 1 == len(steps)
        output = node.output if last else Value(f"{node.name}.scaled", x.shape)
        nodes.append(Node("binary", node.name, node.origin, [x, constant], output, {"kind": kind}))
        x = output
    return nodes


def _turned_constant(value: Value, axes: _Order) -> Value:
    data = value.data.reshape((1,) * (len(axes) - value.data.ndim) + value.data.shape)
    data = np.ascontiguousarray(data.transpose(axes))
    return Value(value.name, data.shape, data, dtype=value.dtype)


def _see_as_channels(node: Node) -> None:
    """Let a constant with one number for each channel be what the layer before can take over."""
    kind, channels = node.attributes["kind"], node.output.shape[1]
    computed = [value for value in node.inputs if value.data is None]
    constants = [value.data for value in node.inputs if value.data is not None]
    if kind not in ("add", "mul") or len(constants) != 1 or node.output.dtype != "f32":
        return
    (data,) = constants
    each = data.shape[:1] == (1,) and data.size == data.shape[1]
    if not each or computed[0].shape != node.output.shape or not np.isfinite(data).all():
        return
    numbers = np.broadcast_to(data.astype(np.float64).ravel(), channels).copy()
    scale = numbers if kind == "mul" else np.ones(channels)
    shift = np.zeros(channels) if kind == "mul" else numbers
    node.op, node.inputs = "scale_shift", computed
    node.attributes = {"scale": scale, "shift": shift}
