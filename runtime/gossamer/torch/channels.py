"""Which channels of a PyTorch model move together, and moving them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ..prune.spaces import Segments, Spaces
from .layers import MASK


class ChannelMap:
    """Which axes of a model's parameters and buffers run over which spaces of channels."""

    def __init__(self) -> None:
        self.spaces = Spaces()
        self._axes: dict[Tensor, dict[int, Segments]] = {}  # tensors compare by identity

    def lay(self, tensor: Tensor | None, axis: int, segments: Segments) -> None:
        """Say what an axis runs over; a tensor that is used twice must move alike in both."""
        if tensor is not None:
            known = self._axes.setdefault(tensor, {}).setdefault(axis, segments)
            self.spaces.unify(known, segments)

    def fix(self, tensor: Tensor) -> None:
        """Let a tensor stay as it is."""
        for segments in self._axes.get(tensor, {}).values():
            self.spaces.fix(segments)

    def segments(self, tensor: Tensor, axis: int) -> Segments | None:
        """Give what an axis runs over; None: nothing that can move."""
        return self._axes.get(tensor, {}).get(axis)

    @torch.no_grad()
    def move(
        self,
        model: nn.Module,
        orders: Sequence[np.ndarray | None],
        optimizer: torch.optim.Optimizer | None = None,
    ) -> None:
        """Move channels; the model computes what it did.

        Parameters
        ----------
        model
            That this map was traced from. Its parameters with their gradients, its buffers and
            masks change in place.
        orders
            Of each space the old number of the channel that becomes number i; for a space that
            moves with another, the entry of its `Spaces.root` is taken.
        optimizer
            Whose state changes too, wherever it has the shape of a parameter.
        """
        masks = {m.weight: getattr(m, MASK) for m in model.modules() if hasattr(m, MASK)}
        for tensor, axes in self._axes.items():
            state = optimizer.state.get(tensor, {}).values() if optimizer else ()
            companions = (tensor, tensor.grad, masks.get(tensor), *state)
            for axis, segments in axes.items():
                index = torch.from_numpy(self.spaces.places(segments, orders)).to(tensor.device)
                for companion in companions:
                    if isinstance(companion, Tensor) and companion.shape == tensor.shape:
                        companion.copy_(companion.index_select(axis, index.to(companion.device)))
