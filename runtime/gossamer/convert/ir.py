"""The graph between an importer and the file: operators of the engine and a few that passes remove.

===================  ========================================  ===================================
op                   inputs                                    attributes
===================  ========================================  ===================================
conv                 x (N,C,H,W), weights (M,C/groups,kh,kw),  strides, pads (top, left, bottom,
                     bias (M); a pointwise one also what it    right), dilations, groups, min, max;
                     adds before the clamp (N,M,H,W)           some: activation behind the clamp,
                                                               as kind below
fully_connected      x (N,C), weights (M,C), bias (M)          min, max
global_average_pool  x (N,C,H,W)                               keep_dims
add                  a, b of one shape                         min, max
clamp                x                                         min, max
softmax              x (N,C)
flatten              x (N,...)
activation           x                                         kind: of `lower.ACTIVATIONS`
multiply             a, b of one shape; or a (N,C,H,W),
                     b (N,C,1,1)
conv_pixels          pixels (N,H,W,C), weights, bias,          as conv
                     normalization (2,C)
max_pool             x (N,C,H,W)                               kernel; strides, pads, dilations as
                                                               conv; what is outside is left out
average_pool         x (N,C,H,W)                               as max_pool; counted: how far around
                                                               the image zeros count, as pads
concat               2 to 4 (N,C,...) that differ in C only
leaky_relu           x                                         slope, of what is negative
slice                x (N,C,...)                               first, count: which channels
shuffle              x (N,C,...)                               groups: channel i of group g becomes
                                                               channel i * groups + g
reshape              x                                         shape; before `passes.optimize` only
                                                               the output's says to what
transpose            x                                         axes: of x, in the output's order
take                 x, places (L), whole numbers; each        axis; fill, where a place is -1, or
                     constant or not                           computed and not in x
binary               a, b that broadcast, constant or not      kind: of `lower.BINARIES`
select               test, a, b that broadcast: a where test
                     is not 0, else b
reduce               x                                         kind: of `lower.REDUCTIONS`; axes,
                                                               keep_dims
matmul               a (B,M,K), b (B,K,N); either B may be 1,
                     either may be constant
layer_norm           x (N,C); or also scale (C), bias (C)      epsilon
resize               x (N,C,H,W), rows (H',H), columns (W',W)
top_k                x                                         axis, count; smallest: or else the
                                                               largest; places: or else numbers
non_max_suppression  boxes (B,n,4), scores (B,classes,n);      most: boxes of a class; overlap:
                     each constant or not; gives rows of       more is too much; centered: center
                     batch, class and box, as many as the      and size, or else two corners; some:
                     numbers say                               score, of which more is needed
lookup               x u7                                      table: uint8 array (128), what 0,
                                                               ..., 127 become
quantize             x f32, gives u7
dequantize           x u7, gives f32
quantize_pixels      pixels (N,H,W,C), normalization (2,C);
                     gives u7 (N,C,H,W)
scale_shift          x (N,C,...)                               scale, shift: f64 arrays (C)
pad                  x (N,C,H,W), zeros around the image       pads, as conv
===================  ========================================  ===================================

The last two do not exist in the file.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..errors import UnsupportedError


@dataclass(eq=False)
class Value:
    """A tensor: computed, an input, or a constant.

    `shape` is None when it is unknown, which happens only behind something unsupported.
    `dtype` is "f32", for some inputs "u8"; "bool" or "i64" where numbers in f32 stand for others:
    truth values are 0 and 1, whole numbers exact up to 2^24. A computed value of dtype "u7" holds
    whole numbers q from 0 to 127 that stand for ``scale * (q - zero_point)``; quantized weights
    have dtype "i8", `data` from -127 to 127 and `scales` (M), one for each output channel.
    `pattern` asks for the storage of a matrix, one of `pack.PATTERNS`, or of `pack.I8_PATTERNS`;
    None takes the cheapest.

    Of f32 values, `bounds` and `scales` say how the source model quantizes them: to 8 bits between
    two numbers, and weights to whole multiples of scales, of a shape that broadcasts with them.

    Where `rows_vary`, numbers say how many rows there are: `shape` has the most. Only outputs of
    the graph may be so.
    """

    name: str
    shape: tuple[int, ...] | None
    data: np.ndarray | None = None
    pattern: str | None = None
    dtype: str = "f32"
    scale: float = 0.0
    zero_point: int = 0
    scales: np.ndarray | None = None
    bounds: tuple[float, float] | None = None
    rows_vary: bool = False


@dataclass(frozen=True)
class SourceNode:
    """A node of the source model: its operator and name."""

    operator: str
    name: str


@dataclass(eq=False)
class Node:
    """One operation. `origin` is its operator in the source model, for messages.

    `absorbed` are other nodes of the source model whose work it does, too.
    """

    op: str
    name: str
    origin: str
    inputs: list[Value]
    output: Value
    attributes: dict[str, Any] = field(default_factory=dict)
    absorbed: list[SourceNode] = field(default_factory=list)

    @property
    def source_node(self) -> SourceNode:
        """What it was in the source model."""
        return SourceNode(self.origin, self.name)

    def absorb(self, other: Node) -> None:
        """Remember that this node does another's work from now on."""
        for source in (other.source_node, *other.absorbed):
            if source not in (self.source_node, *self.absorbed):
                self.absorbed.append(source)


class Problem(NamedTuple):
    """Something that the engine cannot do: an operator (or "input", "output"), its name, why."""

    what: str
    name: str
    reason: str


@dataclass(eq=False)
class Graph:
    """Nodes stand in execution order; `outputs` maps the model's output names to values.

    With `problems` the graph is incomplete: nothing computes what an unsupported node would have.
    `metadata` is what the source model says under the keys that `convert` takes, `source_nodes`
    what it consists of.
    """

    source: str
    inputs: list[Value]
    outputs: dict[str, Value]
    nodes: list[Node]
    problems: list[Problem] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    source_nodes: list[SourceNode] = field(default_factory=list)

    def use_counts(self) -> Counter[Value]:
        """How many node inputs and graph outputs read each value."""
        uses = Counter(value for node in self.nodes for value in node.inputs)
        uses.update(self.outputs.values())
        return uses

    def producers(self) -> dict[Value, Node]:
        """The node that computes each computed value."""
        return {node.output: node for node in self.nodes}

    def producer(self, value: Value, through: Collection[str]) -> Node | None:
        """The node that computes a value, behind which are only operators to look through."""
        producers = self.producers()
        node = producers.get(value)
        while node and node.op in through:
            node = producers.get(node.inputs[0])
        return node

    def add_problem(self, node: Node, reason: str) -> None:
        """Record that the engine cannot do what a node does."""
        self.problems.append(Problem(node.origin, node.name, reason))

    def raise_if_unsupported(self) -> None:
        """Report every problem in one error.

        Raises
        ------
        UnsupportedError
            Lists each kind of problem, how often it occurs, and the first node's name.
        """
        if not self.problems:
            return
        kinds: dict[tuple[str, str], list[str]] = {}
        for problem in self.problems:
            kinds.setdefault((problem.what, problem.reason), []).append(problem.name)
        lines = [
            f"  {what} ×{len(names)}, first '{names[0]}': {reason}"
            for (what, reason), names in kinds.items()
        ]
        raise UnsupportedError(
            f"{self.source}: the engine cannot run this model, because of\n"
            + "\n".join(lines)
            + "\nReplace these in the model and export it again."
        )


def no_clamp() -> dict[str, float]:
    """Attributes of a node that does not clamp its result."""
    return {"min": -math.inf, "max": math.inf}
