"""What pruning did to each layer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LayerReport:
    """One pruned layer.

    Attributes
    ----------
    name
        Of the module.
    shape
        Of its weights.
    pattern
        Such as "4x1".
    zeros
        Share of its weights that are zero.
    kept_in_place, kept_rearranged
        Share of the saliency that the schedule's final masks keep, measured when masks were first
        laid: with the channels where they were, and rearranged. None: nothing was rearranged.
    """

    name: str
    shape: tuple[int, ...]
    pattern: str
    zeros: float
    kept_in_place: float | None = None
    kept_rearranged: float | None = None


@dataclass(frozen=True)
class Report:
    """All pruned layers; as text it is a table.

    Attributes
    ----------
    layers
        In the model's order.
    zeros
        Share of all their weights that are zero.
    """

    layers: tuple[LayerReport, ...]
    zeros: float

    def __str__(self) -> str:
        rows = [("layer", "shape", "pattern", "zeros", "saliency kept", "rearranged")]
        for layer in self.layers:
            shape = " x ".join(map(str, layer.shape))
            shares = (layer.zeros, layer.kept_in_place, layer.kept_rearranged)
            rows.append((layer.name, shape, layer.pattern, *map(_percent, shares)))
        rows.append(("all", "", "", _percent(self.zeros), "", ""))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(map(str.ljust, row[:3], widths[:3]))
            + "  "
            + "  ".join(map(str.rjust, row[3:], widths[3:]))
            for row in rows
        )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
