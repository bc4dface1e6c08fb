"""What of a graph can run in int8."""

from __future__ import annotations

import math

from . import pack
from .ir import Graph, Node, Value
from .quantization import LARGEST

# Numbers move and stay what they are: what such a node computes is quantized as what it reads.
MOVING = ("max_pool", "slice", "shuffle", "flatten", "reshape")
LOOKUPS = ("activation", "clamp", "leaky_relu")
MATRICES = ("conv", "conv_pixels", "fully_connected")
ARITHMETIC = ("add", "multiply", "global_average_pool", "average_pool", "concat")
MOST_PRODUCTS = (2**31 - 1) // (LARGEST * LARGEST)  # that a sum of 32 bits holds


def prepare(graph: Graph) -> None:
    """Write a graph in the operators that int8 has, in place; it computes what it did."""
    split_activations(graph)
    scores_as_rows(graph)


def split_activations(graph: Graph) -> None:
    """Make the activation of a convolution a node again: in int8 it is a table behind it."""
    nodes = []
    for node in graph.nodes:
        nodes.append(node)
        kind = node.attributes.get("activation")
        if kind is None:
            continue
        before = Value(f"{node.output.name}.linear", node.output.shape)
        table = Node("activation", f"{node.name}.{kind}", kind, [before], node.output)
        table.attributes["kind"] = kind
        node.output = before
        node.attributes = {k: v for k, v in node.attributes.items() if k != "activation"}
        nodes.append(table)
    graph.nodes = nodes


def scores_as_rows(graph: Graph) -> None:
    """Make a pointwise convolution of a single pixel, which is flattened then, a matrix product.

    That is how some tools write the last layer, and only a matrix product can give real numbers:
    rounded to 128 of them, scores of many classes are alike.
    """
    readers, nodes, gone = readers_of(graph), [], set()
    for node in graph.nodes:
        flatten = readers.get(node.output, [])
        if node in gone or not (_looks_at_one_pixel(node) and len(flatten) == 1):
            nodes += [] if node in gone else [node]
            continue
        (flatten,), (x, weights, bias) = flatten, node.inputs
        flattens = flatten.op in ("flatten", "reshape")
        same = flatten.output.shape == node.output.shape[:2]
        if not (flattens and same) or node.output in graph.outputs.values():
            nodes.append(node)
            continue
        flat = Value(f"{x.name}.flat", x.shape[:2], bounds=x.bounds)
        matrix = Value(weights.name, weights.shape[:2], weights.data.reshape(weights.shape[:2]))
        if weights.scales is not None:
            matrix.scales = weights.scales.reshape(weights.scales.shape[:2])
        inputs = [flat, matrix, bias]
        bounds = {name: node.attributes[name] for name in ("min", "max")}
        nodes += [
            Node("flatten", f"{node.name}.flatten", "flatten", [x], flat),
            Node("fully_connected", node.name, node.origin, inputs, flatten.output, bounds),
        ]
        gone.add(flatten)
    graph.nodes = nodes


def _looks_at_one_pixel(node: Node) -> bool:
    return (
        node.op == "conv"
        and len(node.inputs) == 3
        and node.attributes["groups"] == 1
        and "activation" not in node.attributes
        and not any(node.attributes["pads"])
        and node.inputs[0].shape[2:] == node.output.shape[2:] == node.inputs[1].shape[2:] == (1, 1)
    )


def why_f32(node: Node) -> str | None:
    """Say why a node cannot run in int8; None where it can."""
    if node.op not in (*MOVING, *LOOKUPS, *MATRICES, *ARITHMETIC):
        return f"{node.op} runs in f32 only"
    if node.op not in MATRICES:
        return None
    weights = node.inputs[1]
    if weights.data is None or node.inputs[2].data is None:
        return "its weights are computed"
    groups, channels = node.attributes.get("groups", 1), len(weights.data)
    if groups > 1 and channels != groups:
        return f"{channels // groups} outputs for each of its channels"
    channels = -(-weights.shape[1] // pack.QUAD) * pack.QUAD
    products = channels * math.prod(weights.shape[2:])
    if products > MOST_PRODUCTS:
        return f"{products:,} products in a sum; at most {MOST_PRODUCTS:,} fit"
    return None


def candidates(graph: Graph) -> list[Node]:
    """Find the nodes to run in int8: all that can, but for what follows the last matrix.

    A few numbers, such as the scores of classes, gain nothing.
    """
    readers = readers_of(graph)
    tail: set[Node] = set()
    for node in reversed(graph.nodes):
        small = all(len(value.shape) <= 2 for value in (*node.inputs, node.output))
        if node.op not in MATRICES and small and tail.issuperset(readers.get(node.output, ())):
            tail.add(node)
    return [node for node in graph.nodes if node not in tail and why_f32(node) is None]


def readers_of(graph: Graph) -> dict[Value, list[Node]]:
    """Find the nodes that read each value."""
    readers: dict[Value, list[Node]] = {}
    for node in graph.nodes:
        for value in node.inputs:
            readers.setdefault(value, []).append(node)
    return readers
