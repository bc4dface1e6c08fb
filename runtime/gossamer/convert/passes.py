"""Passes from what frameworks export to what the engine runs. Each changes the graph in place."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..errors import UnsupportedError
from .gates import fuse_gates
from .goss_file import MAX_RANK
from .ir import Graph, Node, Value, no_clamp
from .layouts import as_arithmetic, push_transposes
from .normalizations import fuse_normalizations
from .transposes import merge_transposes, simplify_transposes

_Merge = Callable[[Node, Node], bool]


def optimize(graph: Graph) -> None:
    """Fold and fuse until only operators of the engine are left.

    Raises
    ------
    UnsupportedError
        Something is left that the engine cannot run; lists all of it.
    """
    remove_unused(graph)
    fold_padding(graph)
    fuse(graph, merge_reshape_into_pool)
    sink_reshapes(graph)
    merge_reshapes(graph)
    fuse_normalizations(graph)
    remove_unused(graph)
    sink_reshapes(graph)
    merge_reshapes(graph)
    fuse_gates(graph)
    merge_transposes(graph)
    remove_unused(graph)
    push_transposes(graph)
    merge_reshapes(graph)
    scale_before_clamps(graph)
    fuse(graph, merge_scale_shift)
    fuse(graph, drop_identity)
    replace_scale_shift(graph)
    merge_reshapes(graph)
    fuse_residuals(graph)
    fuse(graph, merge_clamp)
    fuse(graph, merge_activation)
    fuse_shuffles(graph)
    merge_transposes(graph)
    remove_unused(graph)
    merge_reshapes(graph)
    simplify_transposes(graph)
    merge_reshapes(graph)
    fuse(graph, merge_reshape_into_pool)
    replace_reshape(graph)
    give_outputs_their_own_node(graph)
    graph.raise_if_unsupported()


def remove_unused(graph: Graph) -> None:
    """Drop nodes that no output depends on, such as those of which only the shape was read."""
    if graph.problems:
        return  # what depends on an unsupported node may look unused; it is to be checked too
    needed = set(graph.outputs.values())
    kept = []
    for node in reversed(graph.nodes):
        if node.output in needed:
            needed.update(node.inputs)
            kept.append(node)
    graph.nodes = kept[::-1]


def fuse(graph: Graph, merge: _Merge) -> None:
    """Merge nodes into the node before them.

    `merge(first, second)` is asked for each node whose first input nothing else reads. It changes
    `first` to do the work of both and returns True, or changes nothing and returns False.
    """
    uses, producers = graph.use_counts(), graph.producers()
    kept = []
    for node in graph.nodes:
        first = producers.get(node.inputs[0]) if node.inputs else None
        if first and uses[node.inputs[0]] == 1 and merge(first, node):
            first.output = node.output
            first.absorb(node)
            producers[node.output] = first
        else:
            kept.append(node)
    graph.nodes = kept


def sink_reshapes(graph: Graph) -> None:
    """Move reshapes behind what works element by element: one that follows may undo them."""
    uses, producers = graph.use_counts(), graph.producers()
    nodes, dropped = [], set()
    for node in graph.nodes:
        nodes.append(node)
        reshapes = [producers.get(value) for value in node.inputs]
        if not _works_behind(node, reshapes) or any(uses[r.output] > 1 for r in reshapes):
            continue
        before = Value(node.output.name, reshapes[0].inputs[0].shape, bounds=node.output.bounds)
        after = Node("reshape", node.name, node.origin, [before], node.output)
        for reshape in reshapes:
            after.absorb(reshape)
        node.inputs, node.output = [reshape.inputs[0] for reshape in reshapes], before
        producers.update({before: node, after.output: after})
        nodes.append(after)
        dropped.update(reshapes)
    graph.nodes = [node for node in nodes if node not in dropped]


def _works_behind(node: Node, reshapes: list[Node | None]) -> bool:
    """Whether a node gives the same before as behind the reshapes that compute its inputs."""
    if not all(reshape and reshape.op == "reshape" for reshape in reshapes):
        return False
    shapes = {reshape.inputs[0].shape for reshape in reshapes}
    if len(shapes) != 1 or len({value.shape for value in node.inputs}) != 1:
        return False
    if node.op == "scale_shift":  # goes by channels
        (shape,) = shapes
        return len(shape) > 1 and shape[:2] == node.output.shape[:2]
    return node.op in ("clamp", "activation", "add", "multiply")


def merge_reshapes(graph: Graph) -> None:
    """Leave the last of several reshapes, and none that changes nothing."""
    producers, same = graph.producers(), {}
    for node in graph.nodes:
        node.inputs = [same.get(value, value) for value in node.inputs]
        if node.op != "reshape":
            continue
        before = producers.get(node.inputs[0])
        if before and before.op == "reshape":  # itself no longer behind another
            node.inputs = list(before.inputs)
        if node.inputs[0].shape == node.output.shape:
            same[node.output] = node.inputs[0]
    graph.outputs = {name: same.get(value, value) for name, value in graph.outputs.items()}
    uses = graph.use_counts()
    graph.nodes = [node for node in graph.nodes if node.op != "reshape" or uses[node.output]]


def fold_padding(graph: Graph) -> None:
    """Let convolutions and averages do the zero padding in front of them.

    Elsewhere a convolution that copies does it.
    """
    producers, folded = graph.producers(), set()
    for node in graph.nodes:
        able = node.op in ("conv", "average_pool")
        pad = producers.get(node.inputs[0]) if able else None
        if pad and pad.op == "pad":
            for name in {"pads", "counted"} & set(node.attributes):
                pads = zip(node.attributes[name], pad.attributes["pads"], strict=True)
                node.attributes[name] = tuple(own + other for own, other in pads)
            node.inputs[0] = pad.inputs[0]
            node.absorb(pad)
            folded.add(pad)
    uses = graph.use_counts()
    graph.nodes = [node for node in graph.nodes if node not in folded or uses[node.output]]
    for node in graph.nodes:
        if node.op == "pad":
            ones, zeros = np.ones(node.output.shape[1]), np.zeros(node.output.shape[1])
            pads = node.attributes["pads"]
            _make_depthwise(node, ones, zeros)
            node.attributes["pads"] = pads


def merge_scale_shift(first: Node, second: Node) -> bool:
    """Fold y = scale * (W x + b) + shift into W' x + b': batch normalization, later biases."""
    if second.op != "scale_shift":
        return False
    scale, shift = second.attributes["scale"], second.attributes["shift"]
    if first.op == "scale_shift":
        first.attributes["shift"] = first.attributes["shift"] * scale + shift
        first.attributes["scale"] = first.attributes["scale"] * scale
        return True
    if first.op == "layer_norm":
        return _merge_into_norm(first, scale, shift)
    if first.op not in ("conv", "fully_connected") or _clamps(first):
        return False
    x, weights, bias = first.inputs
    rows = scale.reshape(-1, *[1] * (weights.data.ndim - 1))
    scaled = _constant(weights.name, weights.data * rows)
    if weights.scales is not None and scale.all():
        scaled.scales = weights.scales * np.abs(rows)
    first.inputs = [x, scaled, _constant(bias.name, bias.data * scale + shift)]
    return True


def _merge_into_norm(norm: Node, scale: np.ndarray, shift: np.ndarray) -> bool:
    channels = norm.output.shape[1]
    if len(scale) not in (1, channels):
        return False
    x, *constants = norm.inputs
    before, after = (each.data for each in constants) if constants else (np.ones(channels), 0.0)
    norm.inputs = [
        x,
        _constant(f"{norm.name}.scale", before * scale),
        _constant(f"{norm.name}.bias", after * scale + np.broadcast_to(shift, channels)),
    ]
    return True


def scale_before_clamps(graph: Graph) -> None:
    """Let a scale that follows a clamp come first, so that the layer before can take it over."""
    uses, producers = graph.use_counts(), graph.producers()
    for node in graph.nodes:
        clamp = producers.get(node.inputs[0]) if node.op == "scale_shift" else None
        if not clamp or clamp.op != "clamp" or uses[clamp.output] > 1:
            continue
        layer, attributes = producers.get(clamp.inputs[0]), node.attributes
        scale, shift = attributes["scale"][0], attributes["shift"][0]
        alike = (attributes["scale"] == scale).all() and (attributes["shift"] == shift).all()
        if layer and layer.op in ("conv", "fully_connected", "scale_shift") and alike and scale > 0:
            bounds = {name: bound * scale + shift for name, bound in clamp.attributes.items()}
            clamp.op, clamp.attributes, clamp.output.bounds = "scale_shift", attributes, None
            node.op, node.attributes = "clamp", bounds


def drop_identity(first: Node, second: Node) -> bool:
    """Leave out what is left of factors that cancel out."""
    if second.op != "scale_shift":
        return False
    scale, shift = second.attributes["scale"], second.attributes["shift"]
    return bool(np.allclose(scale, 1, rtol=0, atol=1e-6) and not shift.any())


def replace_scale_shift(graph: Graph) -> None:
    """Write what no layer took over as operators; on images a depthwise convolution does both."""
    nodes = []
    for node in graph.nodes:
        if node.op != "scale_shift":
            nodes.append(node)
            continue
        scale, shift = node.attributes["scale"], node.attributes["shift"]
        if len(node.output.shape) == 4 and (scale != 1).any() and shift.any():
            channels = node.output.shape[1]
            _make_depthwise(node, *(np.broadcast_to(each, channels) for each in (scale, shift)))
            nodes.append(node)
        else:
            nodes += as_arithmetic(node)
    graph.nodes = nodes


def _make_depthwise(node: Node, scale: np.ndarray, shift: np.ndarray) -> None:
    node.op, node.attributes = "conv", conv_attributes(groups=len(scale))
    weights = _constant(f"{node.name}.scale", scale.reshape(-1, 1, 1, 1))
    node.inputs = [node.inputs[0], weights, _constant(f"{node.name}.shift", shift)]


def fuse_residuals(graph: Graph) -> None:
    """Let the later of two summands, where it is a pointwise convolution, add the earlier one."""
    position = dict.fromkeys(graph.inputs, -1)
    position.update((node.output, number) for number, node in enumerate(graph.nodes))
    uses, producers = graph.use_counts(), graph.producers()
    kept = []
    for node in graph.nodes:
        summands = sorted(node.inputs, key=lambda value: position.get(value, -1))
        conv = producers.get(summands[-1]) if node.op == "add" else None
        takes = conv and uses[summands[-1]] == 1 and _takes_residual(conv)
        if takes and summands[0].data is None:
            conv.inputs.append(summands[0])
            conv.attributes.update({bound: node.attributes[bound] for bound in ("min", "max")})
            conv.output = node.output
            conv.absorb(node)
            producers[node.output] = conv
            position[node.output] = position[summands[-1]]
        else:
            kept.append(node)
    graph.nodes = kept


def merge_clamp(first: Node, second: Node) -> bool:
    """Clamp where the result is computed: ReLU, ReLU6, Clip."""
    if second.op != "clamp":
        return False
    low, high = second.attributes["min"], second.attributes["max"]
    if first.op == "softmax":  # the range of a quantized model's probabilities
        return low <= 0 and high > 0.99
    if first.op not in ("conv", "fully_connected", "add", "clamp"):
        return False
    for bound in ("min", "max"):
        first.attributes[bound] = min(max(first.attributes[bound], low), high)
    return True


def fuse_shuffles(graph: Graph) -> None:
    """Turn channels in groups whose axes change places into one shuffle."""
    uses, producers = graph.use_counts(), graph.producers()
    gone: set[Value] = set()
    for node in graph.nodes:
        turned = producers.get(node.inputs[0]) if node.op == "reshape" else None
        parted = producers.get(turned.inputs[0]) if turned and turned.op == "transpose" else None
        if not parted or parted.op != "reshape" or uses[turned.output] > 1:
            continue
        (n, channels, *size), shape = parted.inputs[0].shape, parted.output.shape
        groups = shape[1] if len(shape) > 1 else 0
        whole = node.output.shape == (n, channels, *size)
        axes = (0, 2, 1, *range(3, len(shape)))
        if (
            whole
            and shape == (n, groups, channels // max(groups, 1), *size)
            and (turned.attributes["axes"] == axes)
        ):
            node.op, node.inputs, node.attributes = "shuffle", parted.inputs, {"groups": groups}
            node.absorb(parted)
            node.absorb(turned)
            gone.add(turned.output)
            if uses[parted.output] == 1:
                gone.add(parted.output)
    graph.nodes = [node for node in graph.nodes if node.output not in gone]


def merge_activation(first: Node, second: Node) -> bool:
    """Let a convolution do the activation behind it, while its result lies in a cache."""
    if second.op != "activation" or first.op != "conv" or "activation" in first.attributes:
        return False
    if first.output.bounds:  # in int8 it is a table
        return False
    first.attributes["activation"] = second.attributes["kind"]
    return True


def merge_reshape_into_pool(first: Node, second: Node) -> bool:
    """Let pooling drop or keep the dimensions of size 1."""
    if first.op != "global_average_pool" or second.op != "reshape":
        return False
    (n, c), shape = first.output.shape[:2], second.output.shape
    if shape not in ((n, c), (n, c, 1, 1)):
        return False
    first.attributes["keep_dims"] = len(shape) == 4
    return True


def replace_reshape(graph: Graph) -> None:
    """Turn reshapes to (N, everything else) into flatten, and say in the others to what."""
    for node in graph.nodes:
        if node.op != "reshape":
            continue
        before, after = node.inputs[0].shape, node.output.shape
        if len(after) == 2 and before[:1] == after[:1]:
            node.op = "flatten"
        elif len(after) <= MAX_RANK:
            node.attributes["shape"] = after or (1,)
        else:
            graph.add_problem(node, f"{list(before)} to {list(after)}; rank 1 to 6 expected")


def give_outputs_their_own_node(graph: Graph) -> None:
    """Copy where an output is also an input, is constant or has two names.

    The file wants a writer for each.
    """
    seen = set(graph.inputs)
    for name, value in graph.outputs.items():
        copy = Value(name, value.shape)
        if value.data is not None:
            inputs, how = [value, _constant(f"{name}.one", np.ones(1))], {"kind": "mul"}
            graph.nodes.append(Node("binary", name, "Constant", inputs, copy, how))
            graph.outputs[name] = copy
        elif value in seen:
            graph.nodes.append(Node("clamp", name, "Identity", [value], copy, no_clamp()))
            graph.outputs[name] = copy
        seen.add(value)


def take_pixels(graph: Graph, dtype: str, mean: np.ndarray, scale: np.ndarray) -> None:
    """Let the first convolution read interleaved pixels and normalise them.

    Zeros around the image stay zeros: they are not normalised. Run it after `optimize`.

    Raises
    ------
    UnsupportedError
        Something else reads the input, or there are several inputs.
    """
    readers = [node for node in graph.nodes if set(graph.inputs) & set(node.inputs)]
    able = len(graph.inputs) == len(readers) == 1 and _reads_pixels(readers[0], len(mean))
    if not able:
        found = ", ".join(f"{node.op} '{node.name}'" for node in readers)
        raise UnsupportedError(
            f"{graph.source}: pixels: one input of {len(mean)} channels that one convolution "
            f"without groups reads expected; {len(graph.inputs)} inputs, read by {found}, found"
        )
    (conv,), (image,) = readers, graph.inputs
    n, c, height, width = image.shape
    pixels = Value(image.name, (n, height, width, c), dtype=dtype)
    conv.op, graph.inputs = "conv_pixels", [pixels]
    normalization = _constant(f"{image.name}.normalization", np.stack([mean, scale]))
    conv.inputs = [pixels, *conv.inputs[1:], normalization]


def _reads_pixels(node: Node, channels: int) -> bool:
    return (
        node.op == "conv"
        and len(node.inputs) == 3
        and node.attributes["groups"] == 1
        and node.inputs[0].shape[1] == channels
    )


def conv_attributes(groups: int) -> dict:
    """Attributes of a convolution that steps by one pixel, without padding or clamp."""
    geometry = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1)}
    return {**geometry, "groups": groups, **no_clamp()}


def _takes_residual(node: Node) -> bool:
    if node.op != "conv" or len(node.inputs) != 3 or _clamps(node):
        return False
    return (
        node.inputs[1].shape[2:] == (1, 1)
        and node.attributes["strides"] == (1, 1)
        and node.attributes["pads"] == (0, 0, 0, 0)
        and node.attributes["groups"] == 1
    )


def _constant(name: str, data: np.ndarray) -> Value:
    data = data.astype(np.float32)
    return Value(name, data.shape, data)


def _clamps(node: Node) -> bool:
    return node.attributes["min"] > -math.inf or node.attributes["max"] < math.inf
