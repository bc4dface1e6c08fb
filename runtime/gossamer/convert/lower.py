"""From a graph that consists of the engine's operators to the bytes of a ``.goss`` file."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import InputError, ModelError
from . import cost_model, goss_file, ir, pack, prediction
from .cost_model import CostModel
from .goss_file import Dtype, Op, Role
from .pack import Use

_log = logging.getLogger("gossamer.convert")


def _clamp_words(attributes: Mapping[str, Any]) -> tuple[float, float]:
    return float(attributes["min"]), float(attributes["max"])


# In the order of their numbers.
ACTIVATIONS = (
    *("sigmoid", "silu", "hard_swish", "tanh", "elu"),
    *("softplus", "mish", "erf", "gelu", "gelu_tanh"),
    *("exp", "log", "sqrt", "abs", "reciprocal", "floor", "ceil", "round", "sign", "sin", "cos"),
)
BINARIES = (
    *("add", "sub", "mul", "div", "min", "max"),
    *("pow", "fmod", "mod", "less", "less_or_equal", "equal"),
)
REDUCTIONS = ("sum", "mean", "product", "min", "max", "arg_min", "arg_max")


def _conv_words(attributes: Mapping[str, Any]) -> tuple[int | float, ...]:
    geometry = (*attributes["strides"], *attributes["pads"], *attributes["dilations"])
    words = (*map(int, geometry), int(attributes["groups"]), *_clamp_words(attributes))
    activation = attributes.get("activation")
    return (*words, 1 + ACTIVATIONS.index(activation)) if activation else words


def _shape_words(attributes: Mapping[str, Any]) -> tuple[int, ...]:
    shape = attributes["shape"]
    return (len(shape), *shape, *[0] * (goss_file.MAX_RANK - len(shape)))


def _window_words(attributes: Mapping[str, Any]) -> tuple[int, ...]:
    names = ("kernel", "strides", "pads", "dilations")
    return tuple(int(word) for name in names for word in attributes[name])


def _average_words(attributes: Mapping[str, Any]) -> tuple[int, ...]:
    return (*_window_words(attributes), *map(int, attributes["counted"]))


def _order_words(attributes: Mapping[str, Any]) -> tuple[int, ...]:
    axes = attributes["axes"]
    return (*axes, *[0] * (goss_file.MAX_RANK - len(axes)))


def _reduce_words(attributes: Mapping[str, Any]) -> tuple[int, ...]:
    kind, mask = attributes["kind"], sum(1 << axis for axis in attributes["axes"])
    return REDUCTIONS.index(kind), mask, int(attributes["keep_dims"])


def _top_k_words(attributes: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(attributes[name]) for name in ("axis", "count", "smallest", "places"))


def _suppression_words(attributes: Mapping[str, Any]) -> tuple[int | float, ...]:
    words = (int(attributes["most"]), float(attributes["overlap"]), int(attributes["centered"]))
    return (*words, float(attributes.get("score", math.nan)))


def _table_words(attributes: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(np.asarray(attributes["table"], np.uint8).view("<u4").tolist())


# Code of each operator, and its attribute words: section 8 of FORMAT.md.
_Words = Callable[[Mapping[str, Any]], tuple[int | float, ...]]
_OPERATORS: dict[str, tuple[Op, _Words]] = {
    "conv": (Op.CONV, _conv_words),
    "fully_connected": (Op.FULLY_CONNECTED, _clamp_words),
    "global_average_pool": (Op.GLOBAL_AVERAGE_POOL, lambda a: (int(a["keep_dims"]),)),
    "add": (Op.ADD, _clamp_words),
    "clamp": (Op.CLAMP, _clamp_words),
    "softmax": (Op.SOFTMAX, lambda a: ()),
    "flatten": (Op.FLATTEN, lambda a: ()),
    "activation": (Op.ACTIVATION, lambda a: (ACTIVATIONS.index(a["kind"]),)),
    "multiply": (Op.MULTIPLY, lambda a: ()),
    "conv_pixels": (Op.CONV_PIXELS, _conv_words),
    "max_pool": (Op.MAX_POOL, _window_words),
    "average_pool": (Op.AVERAGE_POOL, _average_words),
    "concat": (Op.CONCAT, lambda a: ()),
    "leaky_relu": (Op.LEAKY_RELU, lambda a: (float(a["slope"]),)),
    "slice": (Op.SLICE, lambda a: (int(a["first"]), int(a["count"]))),
    "shuffle": (Op.SHUFFLE, lambda a: (int(a["groups"]),)),
    "reshape": (Op.RESHAPE, _shape_words),
    "transpose": (Op.TRANSPOSE, _order_words),
    "take": (Op.TAKE, lambda a: (int(a["axis"]), float(a["fill"]))),
    "binary": (Op.BINARY, lambda a: (BINARIES.index(a["kind"]),)),
    "select": (Op.SELECT, lambda a: ()),
    "reduce": (Op.REDUCE, _reduce_words),
    "matmul": (Op.MATMUL, lambda a: ()),
    "layer_norm": (Op.LAYER_NORM, lambda a: (float(a["epsilon"]),)),
    "resize": (Op.RESIZE, lambda a: ()),
    "top_k": (Op.TOP_K, _top_k_words),
    "non_max_suppression": (Op.NON_MAX_SUPPRESSION, _suppression_words),
    "lookup": (Op.LOOKUP, _table_words),
    "quantize": (Op.QUANTIZE, lambda a: ()),
    "dequantize": (Op.DEQUANTIZE, lambda a: ()),
    "quantize_pixels": (Op.QUANTIZE_PIXELS, lambda a: ()),
}


INFINITE = ("binary", "select")  # constants of these may be infinite


class _Lowering:
    """Numbers tensors: inputs and outputs in the model's order, then the others as nodes need them.

    Weights that several nodes share are stored once.
    """

    def __init__(self, graph: ir.Graph, costs: CostModel, storage: Mapping[str, str]) -> None:
        self.source, self.costs, self.storage = graph.source, costs, storage
        self.tensors: list[goss_file.Tensor] = []
        self.numbers: dict[object, int] = {}
        for value in graph.inputs:
            dtype = Dtype.U8 if value.dtype == "u8" else Dtype.F32
            shape = value.shape or (1,)
            self.add(value, goss_file.Tensor(value.name, Role.INPUT, shape, dtype=dtype))
        for name, value in graph.outputs.items():
            self.add(value, goss_file.Tensor(name, Role.OUTPUT))
        self.nodes = [self.lower_node(node) for node in graph.nodes]

    def add(self, key: object, tensor: goss_file.Tensor) -> int:
        self.numbers[key] = len(self.tensors)
        self.tensors.append(tensor)
        return self.numbers[key]

    def lower_node(self, node: ir.Node) -> goss_file.Node:
        inputs = tuple(
            self.numbers[value] if value.data is None else self.weights_number(node, position)
            for position, value in enumerate(node.inputs)
        )
        if node.output not in self.numbers:
            self.add(node.output, _intermediate(node.output))
        op, words = _OPERATORS[node.op]
        output = self.numbers[node.output]
        return goss_file.Node(node.name, op, inputs, output, words(node.attributes))

    def weights_number(self, node: ir.Node, position: int) -> int:
        value, use = node.inputs[position], pack.use_of_input(node, position)
        asked = self.storage.get(node.name, value.pattern)
        self.check_finite(node, value)
        if (value, use, asked) in self.numbers:
            return self.numbers[value, use, asked]
        choice = storage_of(node, self.costs, asked, position)
        how, dtype = (choice.block_rows, choice.storage), value.dtype
        if dtype == "i8":
            in_file = pack.i8_storage_in_file(value.data, *how)
            packed = pack.pack_i8_weights(value.data, value.scales, choice.block_rows, in_file)
        else:
            halves = use not in (Use.BIAS, Use.TABLE) and pack.fits_half(value.data)
            dtype = "f16" if halves else "f32"
            packed = pack.pack_weights(value.data, *how, dtype)
        if use not in (Use.BIAS, Use.TABLE):
            _log.info("%s: %s", node.name, choice.reason)
        shape = value.data.shape or (1,)
        tensor = goss_file.Tensor(value.name, Role.WEIGHTS, shape, packed, Dtype[dtype.upper()])
        return self.add((value, use, asked), tensor)

    def check_finite(self, node: ir.Node, value: ir.Value) -> None:
        bad = np.argwhere(np.isnan(value.data) if node.op in INFINITE else ~np.isfinite(value.data))
        if len(bad):
            raise ModelError(
                f"{self.source}: node '{node.name}' ({node.origin}): weights '{value.name}': "
                f"finite numbers expected, found {len(bad)} NaN or infinite, the first at "
                f"{bad[0].tolist()}; train or export the model again"
            )


def storage_of(
    node: ir.Node, costs: CostModel, asked: str | None = None, position: int = 1
) -> pack.Choice:
    """Choose the storage of a node's weights, or of another constant that it reads.

    Parameters
    ----------
    node
        With shapes.
    costs
        What to choose by.
    asked
        As `pack.choose_storage` takes it.
    position
        Of the constant among the node's inputs.
    """
    value, use = node.inputs[position], pack.use_of_input(node, position)
    choose = pack.choose_i8_storage if value.dtype == "i8" else pack.choose_storage
    return choose(value.data, use, costs, asked, prediction.area(node, costs))


def _intermediate(value: ir.Value) -> goss_file.Tensor:
    if value.dtype != "u7":  # truth values and places are numbers in f32, too
        return goss_file.Tensor(value.name, Role.INTERMEDIATE)
    how = {"scale": float(value.scale), "zero_point": int(value.zero_point)}
    return goss_file.Tensor(value.name, Role.INTERMEDIATE, dtype=Dtype.U7, **how)


def _check_storage(graph: ir.Graph, storage: Mapping[str, str]) -> None:
    having = {node.name: node for node in graph.nodes if pack.has_matrix(node)}
    for name, asked in storage.items():
        if name not in having:
            raise InputError(
                f"{graph.source}: storage asked for '{name}'; nodes that have a choice: "
                f"{', '.join(having) or 'none'}"
            )
        i8 = having[name].inputs[1].dtype == "i8"
        kinds = (*(pack.I8_PATTERNS if i8 else pack.PATTERNS), pack.DENSE)
        if asked not in kinds:
            raise InputError(f"storage of '{name}': {', '.join(kinds)} expected, found {asked!r}")


def lower(
    graph: ir.Graph,
    metadata: Mapping[str, str],
    costs: CostModel | None = None,
    storage: Mapping[str, str] | None = None,
) -> bytes:
    """Choose a storage for each weight and write the file.

    Why each storage was chosen is logged at level INFO to the logger "gossamer.convert".

    Parameters
    ----------
    graph
        As `passes.optimize` leaves it.
    metadata
        Texts to keep with the model.
    costs
        What to choose storage by; None = those of `cost_model.DEFAULT_TARGET`.
    storage
        Node's name: the storage that it gets, one of `pack.PATTERNS`, of `pack.I8_PATTERNS` where
        its weights are i8, or `pack.DENSE`.

    Returns
    -------
    bytes
        The ``.goss`` file.

    Raises
    ------
    ModelError
        A weight is NaN or infinite.
    InputError
        `storage` names a node without a choice of storage, or a storage that does not exist.
    """
    storage = storage or {}
    _check_storage(graph, storage)
    lowering = _Lowering(graph, costs or cost_model.load(cost_model.DEFAULT_TARGET), storage)
    return goss_file.write_model(goss_file.Model(lowering.tensors, lowering.nodes, metadata))
