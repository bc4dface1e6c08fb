"""Deriving from a PyTorch model which channels must move together.

The model's forward pass is traced symbolically (torch.fx) and its shapes are propagated. Then each
operation says what it does with the channels of its inputs. What is not understood keeps the
channels that it touches in place.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import UnsupportedError
from ..prune.spaces import Segments, concatenated
from .channels import ChannelMap
from .layers import CONVOLUTIONS


class Layout(NamedTuple):
    """The axis of a value that channels lie on, and what it is made up of."""

    axis: int
    segments: Segments


def trace_channels(model: nn.Module, arguments: Sequence[object]) -> ChannelMap:
    """Find the spaces of channels of a model, and every parameter and buffer over them.

    Parameters
    ----------
    model
        As it is run in training.
    arguments
        Of `forward`, in order, defaults included; of tensors only the shapes count.

    Raises
    ------
    UnsupportedError
        torch.fx cannot trace the model, or a parameter takes no part in its forward pass, so that
        it is not known what else the model computes.
    """
    try:
        bare = copy.deepcopy(model).to("meta", torch.float32)
        graph = fx.Tracer().trace(bare)
        recorder = _Recorder(fx.GraphModule(bare.eval(), graph))  # any batch will do in evaluation
        recorder.run(*without_data(arguments))
    except Exception as error:  # whatever the model's own code raises when it meets a symbol
        reason = str(error).strip().partition("\n")[0]
        raise UnsupportedError(
            f"torch.fx cannot trace the model ({type(error).__name__}: {reason})"
        ) from error
    walk = _Walk(model, recorder.values)
    for node in recorder.values:
        walk.layouts[node] = walk.visit(node)
    walk.check_complete()
    return walk.channels


class _Recorder(fx.Interpreter):
    """Runs a graph without data and keeps the result of each node, in order."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.values: dict[fx.Node, object] = {}

    def run_node(self, n: fx.Node) -> object:
        self.values[n] = super().run_node(n)
        return self.values[n]


# Operations by name, as a function, a method or a module has it: lower case, no underscores.
# fmt: off
_ELEMENTWISE = {
    "abs", "add", "alphadropout", "bfloat16", "celu", "clamp", "clip", "clone", "contiguous",
    "detach", "div", "double", "dropout", "dropout1d", "dropout2d", "dropout3d", "elu", "exp",
    "featurealphadropout", "float", "gelu", "half", "hardsigmoid", "hardswish", "hardtanh", "iadd",
    "identity", "imul", "isub", "itruediv", "leakyrelu", "lerp", "log", "logsigmoid", "maximum",
    "minimum", "mish", "mul", "neg", "pow", "reciprocal", "relu", "relu6", "rsqrt", "rsub", "selu",
    "sigmoid", "silu", "softplus", "softsign", "sqrt", "square", "stochasticdepth", "sub", "tanh",
    "to", "truediv", "typeas", "where",
}
# fmt: on
_SPATIAL = {f"{kind}{d}d": d for kind in ("maxpool", "avgpool") for d in (1, 2, 3)}
_SPATIAL |= {f"adaptive{name}": d for name, d in _SPATIAL.items()}
_SPATIAL |= {
    f"{kind}pad{d}d": d
    for kind in ("zero", "constant", "reflection", "replication", "circular")
    for d in (1, 2, 3)
}
_RESHAPE = {"flatten", "view", "reshape", "squeeze", "unsqueeze"}
_REDUCE = {"mean", "sum", "amax", "amin"}
_CONCATENATE = {"cat", "concat", "concatenate"}
_RESIZE = {"interpolate", "upsample", "upsamplingnearest2d", "upsamplingbilinear2d"}


class _Walk:
    """Visits the nodes in order; `layouts` has None where no channel may move."""

    def __init__(self, model: nn.Module, values: dict[fx.Node, object]) -> None:
        self.model = model
        self.modules = dict(model.named_modules())
        self.values = values
        self.layouts: dict[fx.Node, Layout | None] = {}
        self.channels = ChannelMap()
        self.reached: set[Tensor] = set()  # parameters that take part
        self.opaque: set[Tensor] = set()  # those of them that must stay as they are

    def visit(self, node: fx.Node) -> Layout | None:
        if node.op == "placeholder":
            return None
        if node.op == "get_attr":
            owner, _, name = node.target.rpartition(".")
            value = getattr(self.model.get_submodule(owner), name, None)  # None: a constant
            self._refuse_parameters([value] if isinstance(value, Tensor) else [])
            return None
        if not _holds_tensor(self.values[node]):
            return None  # a size or the like: no data
        rule = self._rule(node)
        layout = rule(node) if rule else None
        if layout is None:
            self._fix_inputs(node)
        return layout

    def check_complete(self) -> None:
        for tensor in self.opaque:
            self.channels.fix(tensor)
        idle = [n for n, p in self.model.named_parameters() if p not in self.reached]
        if idle:
            raise UnsupportedError(f"'{idle[0]}' takes no part in the traced forward pass")

    def _rule(self, node: fx.Node) -> Callable[[fx.Node], Layout | None] | None:
        """How a node treats channels; None: not understood."""
        if node.op == "call_module":
            module = self.modules[node.target]
            parameters = list(module.parameters())
            self.reached.update(parameters)
            if (rule := self._layer_rule(module)) and len(node.args) == 1 and not node.kwargs:
                return lambda node: rule(node, module)
            self._refuse_parameters(parameters)
            name = type(module).__name__
            if _computes_otherwise(module) or parameters:
                return None
        elif node.op == "call_method":
            name = node.target
        elif node.op == "call_function" and _is_torch(node.target):
            name = node.target.__name__
        else:
            return None
        return self._rules_by_name(name.lower().replace("_", ""))

    def _rules_by_name(self, name: str) -> Callable[[fx.Node], Layout | None] | None:
        if name in _SPATIAL:
            return lambda node: self._spatial(node, _SPATIAL[name])
        for names, rule in (
            (_ELEMENTWISE, self._elementwise),
            (_RESHAPE, self._reshape),
            (_REDUCE, self._reduce),
            (_CONCATENATE, self._concatenate),
            (_RESIZE, self._resize),
            ({"pad"}, self._pad),
            ({"expand", "expandas"}, self._expand),
            ({"permute"}, self._permute),
            ({"getitem"}, self._index),
        ):
            if name in names:
                return rule
        return None

    def _layer_rule(self, module: nn.Module) -> Callable[[fx.Node, nn.Module], Layout] | None:
        if _computes_otherwise(module):
            return None
        if not {"weight", "bias"} <= module._parameters.keys():  # one is computed from others
            return None
        if isinstance(module, CONVOLUTIONS) and module.groups == 1:
            return self._convolution
        if isinstance(module, CONVOLUTIONS) and module.groups == module.in_channels:
            return self._depthwise
        if isinstance(module, nn.Linear):
            return self._linear
        if isinstance(module, _BatchNorm):
            return self._batch_norm
        return None

    # Layers: they have parameters, whose axes they lay over spaces.

    def _convolution(self, node: fx.Node, module: nn.Module) -> Layout:
        columns = self._input(node, 1, module.weight.dim(), module.in_channels)
        rows = self.channels.spaces.new(module.out_channels)
        self.channels.lay(module.weight, 1, columns)
        return Layout(1, self._rows(module, rows))

    def _depthwise(self, node: fx.Node, module: nn.Module) -> Layout:
        planes = self._input(node, 1, module.weight.dim(), module.in_channels)
        multiplier = module.out_channels // module.in_channels
        rows = tuple(s._replace(repeat=s.repeat * multiplier) for s in planes)
        return Layout(1, self._rows(module, rows))

    def _linear(self, node: fx.Node, module: nn.Linear) -> Layout:
        dimensions = len(self._shape(node))
        columns = self._input(node, dimensions - 1, dimensions, module.in_features)
        rows = self.channels.spaces.new(module.out_features)
        self.channels.lay(module.weight, 1, columns)
        return Layout(dimensions - 1, self._rows(module, rows))

    def _batch_norm(self, node: fx.Node, module: nn.Module) -> Layout:
        planes = self._input(node, 1, len(self._shape(node)), module.num_features)
        self.channels.lay(module.running_mean, 0, planes)
        self.channels.lay(module.running_var, 0, planes)
        return Layout(1, self._rows(module, planes))

    def _rows(self, module: nn.Module, rows: Segments) -> Segments:
        self.channels.lay(module.weight, 0, rows)
        self.channels.lay(module.bias, 0, rows)
        return self.channels.segments(module.weight, 0) if module.weight is not None else rows

    def _input(self, node: fx.Node, axis: int, dimensions: int, size: int) -> Segments:
        """What a layer's input is made up of, if its channels lie where the layer expects them."""
        layout = self.layouts[node.args[0]]
        if layout and layout.axis == axis and len(self._shape(node.args[0])) == dimensions:
            return layout.segments
        self._fix_inputs(node)
        return self.channels.spaces.new(size, fixed=True)

    # Operations without parameters; None where a case is not understood.

    def _elementwise(self, node: fx.Node) -> Layout | None:
        shape = self._shape(node)
        known = []  # layouts, with the axis as in the result
        for value in node.all_input_nodes:
            if layout := self.layouts[value]:
                axis = layout.axis + len(shape) - len(self._shape(value))
                known.append(Layout(axis, layout.segments))
        if len({layout.axis for layout in known}) != 1:
            return None
        axis = known[0].axis
        if axis < 0 or any(self._size(v, axis, shape) not in (1, shape[axis]) for v in
                           node.all_input_nodes):  # fmt: skip
            return None
        whole = []
        for value in node.all_input_nodes:
            if self._size(value, axis, shape) == 1 != shape[axis]:
                continue  # the same for all channels
            if self.layouts[value] is None:
                return None
            whole.append(self.layouts[value].segments)
        for segments in whole[1:]:
            self.channels.spaces.unify(whole[0], segments)
        return Layout(axis, whole[0]) if whole else None

    def _spatial(self, node: fx.Node, dimensions: int) -> Layout | None:
        layout = self._single(node)
        shapes = self._shape(node.args[0]), self._shape(node)
        if layout and layout.axis == 1 and all(len(s) == dimensions + 2 for s in shapes):
            return layout if shapes[0][1] == shapes[1][1] else None
        return None

    def _resize(self, node: fx.Node) -> Layout | None:
        return self._spatial(node, len(self._shape(node)) - 2)

    def _pad(self, node: fx.Node) -> Layout | None:
        layout = self._single(node)
        if layout and len(node.args) > 1 and isinstance(node.args[1], tuple | list):
            behind = len(self._shape(node)) - 1 - layout.axis
            return layout if len(node.args[1]) // 2 <= behind else None
        return None

    def _reshape(self, node: fx.Node) -> Layout | None:
        """What lies before the channels stays; they take in some of the axes behind them."""
        layout = self._single(node)
        if layout is None:
            return None
        old, new, axis = self._shape(node.args[0]), self._shape(node), layout.axis
        if len(new) <= axis or old[:axis] != new[:axis] or new[axis] % old[axis]:
            return None
        repeat = new[axis] // old[axis]
        if repeat not in (math.prod(old[axis + 1 : end]) for end in range(axis + 1, len(old) + 1)):
            return None
        segments = (s._replace(repeat=s.repeat * repeat) for s in layout.segments)
        return Layout(axis, tuple(segments))

    def _reduce(self, node: fx.Node) -> Layout | None:
        layout = self._single(node)
        axes = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
        axes = [axes] if isinstance(axes, int) else axes
        if layout is None or not axes or not all(isinstance(axis, int) for axis in axes):
            return None
        dimensions = len(self._shape(node.args[0]))
        axes = [axis % dimensions for axis in axes]
        if layout.axis in axes:
            return None
        kept = len(self._shape(node)) == dimensions
        return Layout(
            layout.axis - sum(not kept and a < layout.axis for a in axes), layout.segments
        )

    def _concatenate(self, node: fx.Node) -> Layout | None:
        parts = node.args[0] if node.args else node.kwargs.get("tensors")
        axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
        if not isinstance(axis, int) or not isinstance(parts, tuple | list):
            return None
        axis %= len(self._shape(node))
        if any(self.layouts[p] and self.layouts[p].axis != axis for p in parts):
            return self._elementwise(node)
        if not any(self.layouts[part] for part in parts):
            return None
        spaces = self.channels.spaces
        return Layout(axis, concatenated(
            self.layouts[part].segments if self.layouts[part]
            else spaces.new(self._shape(part)[axis], fixed=True)
            for part in parts
        ))  # fmt: skip

    def _expand(self, node: fx.Node) -> Layout | None:
        layout = self.layouts[node.args[0]]
        if layout is None:
            return None
        old, new = self._shape(node.args[0]), self._shape(node)
        axis = layout.axis + len(new) - len(old)
        return Layout(axis, layout.segments) if old[layout.axis] == new[axis] else None

    def _permute(self, node: fx.Node) -> Layout | None:
        layout = self._single(node)
        axes = node.kwargs.get("dims", node.args[1:])
        axes = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        if layout is None or not all(isinstance(axis, int) for axis in axes):
            return None
        axes = [axis % len(axes) for axis in axes]
        return Layout(axes.index(layout.axis), layout.segments)

    def _index(self, node: fx.Node) -> Layout | None:
        """Understood is what adds axes only, such as [:, :, None, None]."""
        index = node.args[1] if isinstance(node.args[1], tuple) else (node.args[1],)
        plain = all(item is None or item == slice(None) for item in index)
        return self._reshape(node) if plain else None

    # Looking things up.

    def _single(self, node: fx.Node) -> Layout | None:
        """The layout of the first argument, if it is the only one with data."""
        data = [v for v in node.all_input_nodes if isinstance(self.values[v], Tensor)]
        if data and data == [node.args[0]] and isinstance(self.values[node], Tensor):
            return self.layouts[data[0]]
        return None

    def _shape(self, node: fx.Node) -> torch.Size:
        value = self.values[node]
        return value.shape if isinstance(value, Tensor) else torch.Size()

    def _size(self, value: fx.Node, axis: int, shape: torch.Size) -> int:
        """Size of an operand along an axis of the result, to which it is broadcast."""
        axis -= len(shape) - len(self._shape(value))
        return self._shape(value)[axis] if axis >= 0 else 1

    def _fix_inputs(self, node: fx.Node) -> None:
        for value in node.all_input_nodes:
            if layout := self.layouts[value]:
                self.channels.spaces.fix(layout.segments)

    def _refuse_parameters(self, tensors: Sequence[Tensor]) -> None:
        self.reached.update(tensors)
        self.opaque.update(tensors)


def without_data(value: object) -> object:
    """Leave nothing of the tensors in a value but their shapes; floats become f32."""
    if isinstance(value, Tensor):
        dtype = torch.float32 if value.is_floating_point() else value.dtype
        return torch.empty_like(value, dtype=dtype, device="meta")
    if isinstance(value, tuple | list):
        return type(value)(map(without_data, value))
    if isinstance(value, dict):
        return {key: without_data(item) for key, item in value.items()}
    return value


def _computes_otherwise(module: nn.Module) -> bool:
    """Whether a module has hooks or a forward of its own, unlike others of its class."""
    return bool(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module))


def _is_torch(function: Callable) -> bool:
    module = getattr(function, "__module__", None) or ""
    return module.split(".")[0] in ("torch", "torchvision", "_operator")


def _holds_tensor(value: object) -> bool:
    if isinstance(value, Tensor):
        return True
    items = value.values() if isinstance(value, dict) else value
    return isinstance(value, tuple | list | dict) and any(map(_holds_tensor, items))
