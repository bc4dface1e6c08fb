"""Laying masks on schedule while a model trains."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InputError, UnsupportedError
from ..prune.pattern import Pattern, element_saliency, keep_mask, share
from ..prune.plan import below_one_threshold
from ..prune.rearrangement import rearrange
from ..prune.spaces import Layer, Segments, pose
from .channels import ChannelMap
from .layers import MASK, PrunedLayer, select_layers, to_numpy, value_for
from .report import LayerReport, Report
from .schedule import CubicSchedule
from .tracing import trace_channels, without_data

_log = logging.getLogger("gossamer.torch")


class Pruner:
    """Prunes the layers of a model while it trains.

    Pruned are convolutions with groups = 1, pointwise or k x k, except the first one, and linear
    layers except the last one, in the order of definition. A layer that `pattern` or `allocation`
    names exactly is pruned also if it is the first or the last.

    Weights that are zero when the pruner is made stay zero, unless they regrow; a layer of which
    all weights are zero counts as not trained yet and loses weights as any other. Frozen layers
    are pruned too. Parameters that several layers share are pruned once.

    Each layer carries its mask as the buffer ``pruning_mask`` (bool, True where a weight stays),
    which ``state_dict()`` of the model holds. To resume, make the same model and pruner, then
    load the state dicts of model, optimizer and pruner. A plain model loads
    `plain_state_dict(state)`.

    With DistributedDataParallel make the pruner before or after wrapping, with either model, and
    call `step` on every rank: masks follow from weights and averaged gradients alone, which are
    equal on all ranks.

    Parameters
    ----------
    model
        Changed in place; a wrapper of data parallelism or of torch.compile is looked into.
    pattern
        Blocks of output x input channels that live or die together, such as "4x1"; or for each
        layer, or module with layers inside, its name and pattern: then no others are pruned.
        Where a pattern does not divide a layer, the blocks at the end are smaller; `notes` says
        so.
    schedule
        When masks are laid anew, and how many zeros there are then.
    exclude
        Names of layers, or of modules with layers inside, to leave dense.
    allocation
        "uniform": every layer has the schedule's sparsity. "global": one threshold for the mean
        magnitude of a block holds for all layers, each of which keeps at least its best block.
        Or names as for `pattern` with their final sparsities, 0 to below 1, which grow as the
        schedule's; other layers have the schedule's.
    optimizer
        Whose state moves along when channels are rearranged.
    rearrange
        Before the first masks, put output channels that need the same inputs next to each other,
        so that they share blocks. The model computes what it did; copies that were made before,
        such as averages of its weights, keep the old order. This needs the optimizer, a forward
        pass before, and a model that torch.fx traces; otherwise channels stay where they are and
        `notes` says why.
    regrowth
        Share of the kept weights, 0 to below 1, that at the schedule's begin is exchanged for
        pruned ones with large gradients (RigL, arXiv:1911.11134); it falls to 0 along a cosine
        until the schedule's end. Regrown weights start at zero. At steps that lay masks, pruned
        weights have gradients too.

    Attributes
    ----------
    notes
        What was decided that one might not expect, a sentence each; also logged as warnings to
        the logger "gossamer.torch".
    steps
        How often `step` was called.

    Raises
    ------
    InputError
        No layer can be pruned, a name fits no layer, a number or a pattern is none, a layer is
        being pruned already, or the optimizer is another model's.
    UnsupportedError
        A layer's weights are computed from other parameters.

    Examples
    --------
    >>> pruner = gossamer.torch.Pruner(  # doctest: +SKIP
    ...     model, "4x1", gossamer.torch.CubicSchedule(0.8, end=5000), optimizer=optimizer
    ... )
    """

    def __init__(
        self,
        model: nn.Module,
        pattern: str | Pattern | Mapping[str, str | Pattern],
        schedule: CubicSchedule,
        *,
        exclude: Collection[str] = (),
        allocation: str | Mapping[str, float] = "uniform",
        optimizer: torch.optim.Optimizer | None = None,
        rearrange: bool = True,
        regrowth: float = 0.0,
    ) -> None:
        sparsities = _check_allocation(allocation)
        if not 0 <= regrowth < 1:
            raise InputError(f"regrowth: 0 to below 1 expected, found {regrowth!r}")
        self.notes: list[str] = []
        self.steps = 0
        self.schedule = schedule
        self._model = _unwrap(model)
        self._allocation = allocation
        self._regrowth = regrowth
        self._optimizer = optimizer
        self._layers = select_layers(self._model, pattern, exclude, sparsities, self.notes)
        if optimizer is not None:
            _check_optimizer(optimizer, self._model)
        self._kept: dict[str, tuple[float, float]] = {}  # by layer: in place, rearranged
        self._finished = False
        for layer in self._layers:
            layer.lay_first_mask()
        self._handles = [
            layer.weight.register_hook(self._gradient_hook(layer))
            for layer in self._layers
            if layer.weight.requires_grad
        ]
        self._rearranges = rearrange and any(p.pattern != Pattern() for p in self._layers)
        if self._rearranges and optimizer is None:
            self._rearranges = False
            self.notes.append(
                "channels are not rearranged: pass the optimizer, whose state must move along"
            )
        self._first = _FirstInputs()
        if self._rearranges:
            hook = self._model.register_forward_pre_hook(self._first, with_kwargs=True)
            self._handles.append(hook)
        for note in self.notes:
            _log.warning(note)

    @torch.no_grad()
    def step(self) -> None:
        """Keep pruned weights at zero and, on schedule, lay the masks anew.

        Call it after each ``optimizer.step()``; with regrowth, before gradients are cleared.

        Raises
        ------
        InputError
            The pruner is finished, a weight is NaN or infinite, or regrowth finds no gradients.
        """
        self._check_open()
        self._apply_masks()
        if self.schedule.refreshes(self.steps):
            if self._rearranges:
                self._rearranges = False
                self._rearrange()
            self._lay_masks()
            self._apply_masks()
        self.steps += 1

    @torch.no_grad()
    def finish(self) -> Report:
        """Set pruned weights to zero, and make the model a plain one without masks and hooks."""
        self._check_open()
        self._apply_masks()
        if self.steps <= self.schedule.end:
            self._note(f"finished at step {self.steps}; the schedule ends at {self.schedule.end}")
        for handle in self._handles:
            handle.remove()
        for layer in self._layers:
            delattr(layer.module, MASK)
        self._finished = True
        return self.report()

    def report(self) -> Report:
        """Say what each layer lost so far."""
        zeros = [(layer.weight == 0).double().mean().item() for layer in self._layers]
        layers = tuple(
            LayerReport(
                layer.name,
                tuple(layer.weight.shape),
                str(layer.pattern),
                share,
                *self._kept.get(layer.name, ()),
            )
            for layer, share in zip(self._layers, zeros, strict=True)
        )
        weights = [layer.weight.numel() for layer in self._layers]
        return Report(layers, float(np.average(zeros, weights=weights)))

    def state_dict(self) -> dict[str, object]:
        """Give what resuming needs besides the model's state, which holds the masks."""
        return {"steps": self.steps, "rearranges": self._rearranges, "kept": dict(self._kept)}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on where another pruner was; load the model's state too.

        Raises
        ------
        InputError
            `state` comes from something else than `state_dict`.
        """
        if set(state) != {"steps", "rearranges", "kept"}:
            raise InputError(f"state: as from Pruner.state_dict() expected, found {sorted(state)}")
        self.steps = state["steps"]
        self._rearranges = self._rearranges and state["rearranges"]
        self._kept = dict(state["kept"])

    def _apply_masks(self) -> None:
        for layer in self._layers:
            layer.weight.masked_fill_(~layer.mask, 0)

    def _gradient_hook(self, layer: PrunedLayer):
        """Pruned weights get no gradient, so that momentum dies; except where one may regrow."""

        def mask_gradient(gradient: Tensor) -> Tensor:
            if self._regrowth and self.schedule.refreshes(self.steps):
                return gradient
            return gradient.masked_fill(~layer.mask, 0)

        return mask_gradient

    def _lay_masks(self) -> None:
        saliencies = [layer.saliency() for layer in self._layers]
        sparsities = self._sparsities(saliencies, self.schedule.at(self.steps))
        for layer, saliency, sparsity in zip(self._layers, saliencies, sparsities, strict=True):
            keep = self._regrown(layer, saliency, sparsity) if self._regrowth else None
            if keep is None:
                keep = keep_mask(saliency, layer.pattern, sparsity) & layer.mask.cpu().numpy()
            layer.mask.copy_(torch.from_numpy(np.array(keep)))

    def _regrown(
        self, layer: PrunedLayer, saliency: np.ndarray, sparsity: float
    ) -> np.ndarray | None:
        """Keep the most salient blocks, and of the others those with the largest gradients.

        None: the gradients overflowed, as they sometimes do in mixed precision.
        """
        if layer.weight.grad is None:
            raise InputError(
                f"layer '{layer.name}': regrowth needs its gradients; call step() before "
                "zero_grad(), and exclude frozen layers"
            )
        gradient = np.abs(to_numpy(layer.weight.grad))
        if not np.isfinite(gradient).all():
            return None
        exchanged = (
            self._regrowth * (1 + math.cos(math.pi * self.schedule.progress(self.steps))) / 2
        )
        survivors = keep_mask(saliency, layer.pattern, sparsity + exchanged * (1 - sparsity))
        return keep_mask(np.where(survivors, np.inf, gradient), layer.pattern, sparsity)

    def _sparsities(self, saliencies: Sequence[np.ndarray], sparsity: float) -> list[float]:
        """Spread the network's sparsity over the layers."""
        if self._allocation == "uniform":
            return [sparsity] * len(self._layers)
        if self._allocation == "global":
            patterns = [layer.pattern for layer in self._layers]
            return below_one_threshold(saliencies, patterns, sparsity)
        final = [value_for(layer.name, self._allocation) for layer in self._layers]
        share = sparsity / self.schedule.sparsity
        return [sparsity if own is None else own * share for own in final]

    def _rearrange(self) -> None:
        """Move channels so that the final masks keep more; say so if they cannot move."""
        if self._first.inputs is None:
            self._note("channels are not rearranged: the model has not run before the first masks")
            return
        try:
            channels = trace_channels(self._model, self._first.inputs)
        except UnsupportedError as error:
            self._note(f"channels are not rearranged: {error}")
            return
        unknown = [
            layer.name
            for layer in self._layers
            if layer.pattern != Pattern() and None in _axes(channels, layer)
        ]
        if unknown:
            self._note(
                "channels are not rearranged at layers with a forward or hooks of their own: "
                f"{', '.join(unknown)}"
            )
        before, sparsities = self._shares_kept()
        channels.move(self._model, _orders(channels, self._layers, sparsities), self._optimizer)
        after, _ = self._shares_kept()
        names = (layer.name for layer in self._layers)
        self._kept = dict(zip(names, zip(before, after, strict=True), strict=True))

    def _shares_kept(self) -> tuple[list[float], list[float]]:
        """By layer: the share of saliency that the final masks would keep now; their sparsity."""
        saliencies = [layer.saliency() for layer in self._layers]
        sparsities = self._sparsities(saliencies, self.schedule.sparsity)
        kept = [
            share(saliency, keep_mask(saliency, layer.pattern, sparsity))
            for layer, saliency, sparsity in zip(self._layers, saliencies, sparsities, strict=True)
        ]
        return kept, sparsities

    def _check_open(self) -> None:
        if self._finished:
            raise InputError("the pruner is finished; make another one to prune further")

    def _note(self, note: str) -> None:
        self.notes.append(note)
        _log.warning(note)


class _FirstInputs:
    """A hook that keeps the shapes of the first forward pass's arguments; can be pickled."""

    inputs: list[object] | None = None

    def __call__(self, model: nn.Module, positional: tuple, named: dict) -> None:
        if self.inputs is None:
            bound = inspect.signature(model.forward).bind(*positional, **named)
            bound.apply_defaults()
            self.inputs = without_data(list(bound.arguments.values()))


def _axes(channels: ChannelMap, layer: PrunedLayer) -> list[Segments | None]:
    """Say what a layer's outputs and inputs run over; None where that is not known."""
    return [channels.segments(layer.weight, axis) for axis in (0, 1)]


def _orders(
    channels: ChannelMap, layers: Sequence[PrunedLayer], sparsities: Sequence[float]
) -> list[np.ndarray]:
    """Ask for an order of each space of channels."""
    asked = []
    for layer, sparsity in zip(layers, sparsities, strict=True):
        axes = _axes(channels, layer)
        if None not in axes:
            saliency = element_saliency(layer.saliency())
            asked.append(Layer(layer.name, *axes, saliency, layer.pattern, sparsity))
    return rearrange(*pose(channels.spaces, asked))


def _check_allocation(allocation: str | Mapping[str, float]) -> Mapping[str, float]:
    """Give the sparsities by name."""
    if isinstance(allocation, Mapping):
        for name, sparsity in allocation.items():
            if not 0 <= sparsity < 1:
                raise InputError(
                    f"allocation: sparsity of '{name}': 0 to below 1 expected, found {sparsity!r}"
                )
        return allocation
    if allocation not in ("uniform", "global"):
        raise InputError(
            f"allocation: 'uniform', 'global' or sparsities by name expected, found {allocation!r}"
        )
    return {}


def _unwrap(model: nn.Module) -> nn.Module:
    model = getattr(model, "_orig_mod", model)  # of torch.compile
    parallel = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    return _unwrap(model.module) if isinstance(model, parallel) else model


def _check_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module) -> None:
    steps = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if steps.isdisjoint(map(id, model.parameters())):
        raise InputError(
            "optimizer: the one that trains the model expected, found one of other parameters"
        )
