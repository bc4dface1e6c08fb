"""Which layers of a model are pruned, and the masks that they carry."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InputError, UnsupportedError
from ..prune.pattern import Pattern

MASK = "pruning_mask"  # the buffer of a layer: bool, like its weights, True where a weight stays
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)

Value = TypeVar("Value")


@dataclass(frozen=True)
class PrunedLayer:
    """A layer with a mask of the weights that stay."""

    name: str
    module: nn.Module
    pattern: Pattern

    @property
    def weight(self) -> nn.Parameter:
        """Shape (M, C, ...)."""
        return self.module.weight

    @property
    def mask(self) -> Tensor:
        """Bool, like `weight`."""
        return getattr(self.module, MASK)

    def lay_first_mask(self) -> None:
        """Register the mask: zeros that are there stay, unless all weights wait at zero."""
        weight = self.weight.detach()
        mask = weight != 0
        self.module.register_buffer(MASK, mask if mask.any() else torch.ones_like(mask))

    def saliency(self) -> np.ndarray:
        """Give the magnitude of each weight.

        Raises
        ------
        InputError
            A weight is NaN or infinite.
        """
        saliency = to_numpy(self.weight).__abs__()
        if not np.isfinite(saliency).all():
            bad = np.argwhere(~np.isfinite(saliency))
            raise InputError(
                f"layer '{self.name}': finite weights expected, found {len(bad)} NaN or infinite, "
                f"the first at {bad[0].tolist()}; training diverged: lower the learning rate"
            )
        return saliency


def to_numpy(tensor: Tensor) -> np.ndarray:
    """Copy a tensor of any device and float dtype to f32."""
    return tensor.detach().to("cpu", torch.float32, copy=True).numpy()


def plain_state_dict(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave the masks out of a `state_dict` that was taken while a model was being pruned.

    A plain model loads the result; the weights are as sparse as the masks were.
    """
    return {name: value for name, value in state.items() if name.split(".")[-1] != MASK}


def select_layers(
    model: nn.Module,
    pattern: str | Pattern | Mapping[str, str | Pattern],
    exclude: Collection[str],
    sparsities: Mapping[str, float],
    notes: list[str],
) -> list[PrunedLayer]:
    """Choose the layers to prune as `Pruner` describes it."""
    prunable = dict(_prunable(model))
    if isinstance(exclude, str):
        exclude = (exclude,)
    patterns = pattern if isinstance(pattern, Mapping) else dict.fromkeys(prunable, pattern)
    _check_names("exclude", exclude, dict(model.named_modules()))
    _check_names("pattern", patterns, prunable)
    _check_names("allocation", sparsities, prunable)
    asked = set(sparsities) | (set(pattern) if isinstance(pattern, Mapping) else set())
    left_out = {*_first_and_last(model)} - asked
    layers, owners = [], {}
    for name, module in prunable.items():
        chosen = value_for(name, patterns)
        if chosen is None or name in left_out or value_for(name, dict.fromkeys(exclude, True)):
            continue
        _check_weight(name, module)
        owner = owners.setdefault(id(module.weight), name)
        if owner != name:
            notes.append(f"'{name}': shares the weights of '{owner}', which are pruned once")
            continue
        blocks = chosen if isinstance(chosen, Pattern) else Pattern.parse(chosen)
        if not blocks.divides(module.weight.shape):
            rows, columns = module.weight.shape[:2]
            notes.append(
                f"'{name}': blocks of {blocks} do not divide {rows} x {columns}: "
                "those at the end are smaller"
            )
        layers.append(PrunedLayer(name, module, blocks))
    if not layers:
        raise InputError(
            "model: no layer to prune found. The first convolution and the last linear layer are "
            f"left out unless they are named; layers that can be named: {_listed(prunable)}"
        )
    return layers


def value_for(layer: str, values: Mapping[str, Value]) -> Value | None:
    """Find what a mapping has for a layer: under its name or the longest of a module around it."""
    while layer not in values:
        layer, dot, _ = layer.rpartition(".")
        if not dot:
            return None
    return values[layer]


def _prunable(model: nn.Module) -> Iterable[tuple[str, nn.Module]]:
    for name, module in model.named_modules():
        is_convolution = isinstance(module, CONVOLUTIONS) and module.groups == 1
        if is_convolution or isinstance(module, nn.Linear):
            yield name, module


def _first_and_last(model: nn.Module) -> Iterable[str]:
    """Name the first convolution and the last linear layer, in the order of definition."""
    modules = list(model.named_modules())
    yield from [name for name, module in modules if isinstance(module, CONVOLUTIONS)][:1]
    yield from [name for name, module in modules if isinstance(module, nn.Linear)][-1:]


def _check_names(argument: str, names: Iterable[str], layers: Mapping[str, nn.Module]) -> None:
    for name in names:
        if not any(value_for(layer, {name: True}) for layer in layers):
            raise InputError(f"{argument}: '{name}' names none of {_listed(layers)}")


def _check_weight(name: str, module: nn.Module) -> None:
    if hasattr(module, MASK):
        raise InputError(f"layer '{name}': is being pruned already; finish() that pruner first")
    weight = module._parameters.get("weight")
    if weight is None:
        raise UnsupportedError(
            f"layer '{name}': its weights are computed from other parameters; "
            "run torch.nn.utils.parametrize.remove_parametrizations or its like first"
        )
    if nn.parameter.is_lazy(weight):
        raise InputError(f"layer '{name}': its shape is not known yet; run the model once first")


def _listed(layers: Iterable[str]) -> str:
    return ", ".join(filter(None, layers)) or "none"
