"""Bias correction (arXiv:1906.04721, section 4.2): layers keep their mean in spite of rounding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..convert.int8_choice import MATRICES
from ..convert.ir import Graph, Node, Value
from .observation import Inputs, Watched

MOST_INPUTS = 32  # that each layer is run with, one behind the other


def correct(
    real: Graph, whole: Graph, inputs: Inputs, progress: Callable[[int, int], None]
) -> None:
    """Change biases of an int8 network so that its layers have the means of the f32 network's.

    Parameters
    ----------
    real, whole
        The network in f32 and in int8, with nodes of the same names. The biases of `whole` are its
        own, and change in place.
    inputs
        What to run.
    progress
        Called after each layer with how many are done, and how many there are.
    """
    inputs = inputs[:: -(-len(inputs) // MOST_INPUTS)]
    before = {node.name: node for node in real.nodes}
    layers = [node for node in whole.nodes if node.op in MATRICES and node.inputs[1].dtype == "i8"]
    wanted = _mean_outputs(real, [before[node.name] for node in layers], inputs)
    for done, (node, expected) in enumerate(zip(layers, wanted, strict=True), start=1):
        (found,) = _mean_outputs(whole, [node], inputs)
        bias = node.inputs[2]
        bias.data = (bias.data + expected - found).astype(np.float32)
        progress(done, len(layers))


def _mean_outputs(graph: Graph, layers: Sequence[Node], inputs: Inputs) -> list[np.ndarray]:
    """Give the mean of each layer's output channels, without bias and bounds, (M)."""
    watched = Watched(graph, list({node.inputs[0]: None for node in layers}))
    sums = [0.0] * len(layers)
    for feeds in inputs:
        seen = watched.run(feeds)
        for number, node in enumerate(layers):
            sums[number] = sums[number] + _mean_read(node, seen)
    return [_products(node, total / len(inputs)) for node, total in zip(layers, sums, strict=True)]


def _mean_read(node: Node, seen: Mapping[Value, np.ndarray]) -> np.ndarray:
    """Mean over pixels of what each weight of a row is multiplied with, (C, kh, kw) or (C)."""
    x = seen[node.inputs[0]]
    if node.op == "fully_connected":
        return x.mean(axis=0, dtype=np.float64)
    if node.op == "conv_pixels":
        mean, scale = node.inputs[3].data
        x = ((x.astype(np.float32) - mean) * scale).transpose(0, 3, 1, 2)
    geometry, kernel = node.attributes, node.inputs[1].shape[2:]
    top, left, bottom, right = geometry["pads"]
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    means = np.empty((x.shape[1], *kernel))
    for place in np.ndindex(*kernel):
        rows, columns = (
            slice(tap * dilation, tap * dilation + (size - 1) * stride + 1, stride)
            for tap, dilation, size, stride in zip(
                *(place, geometry["dilations"], node.output.shape[2:], geometry["strides"]),
                strict=True,
            )
        )
        means[(slice(None), *place)] = padded[:, :, rows, columns].mean(
            axis=(0, 2, 3), dtype=np.float64
        )
    return means


def _products(node: Node, means: np.ndarray) -> np.ndarray:
    """Multiply a layer's weights, as it has them, with means of what it reads."""
    weights = node.inputs[1]
    data = weights.data.astype(np.float64).reshape(len(weights.data), -1)
    if weights.dtype == "i8":
        data = data * weights.scales[:, np.newaxis].astype(np.float64)
    if node.attributes.get("groups", 1) > 1:
        return (data * means.reshape(data.shape)).sum(axis=1)
    return data @ means.ravel()
