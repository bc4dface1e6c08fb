"""What pruning did, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

from ..table import aligned


@dataclass(frozen=True)
class LayerReport:
    """What became of a layer's weights.

    Attributes
    ----------
    name
        Of the node; of the first one, where several share the weights.
    shape
        Of the weights, (M, C, ...).
    pattern, sparsity
        What was asked for.
    zeros
        Share of the weights that is zero now.
    kept, kept_in_place
        Shares of the layer's saliency that stay, and that would have stayed without rearrangement.
    error_before, error
        Squared error of the layer's output over its variance, on the calibration inputs: as pruned,
        and as refitted. None without calibration. Refitted weights are scaled so that the output
        varies as much as before, so that the second may be the larger one where little was lost.
    storage
        What the converter chooses, and why.
    """

    name: str
    shape: tuple[int, ...]
    pattern: str
    sparsity: float
    zeros: float
    kept: float
    kept_in_place: float
    error_before: float | None
    error: float | None
    storage: str


@dataclass(frozen=True)
class PruneReport:
    """What `gossamer.prune` did. As text, a table.

    Attributes
    ----------
    layers
        That were pruned, in execution order.
    zeros
        Share of the weights that is zero now, of all layers that the budget was for.
    milliseconds_before, milliseconds
        Predicted time of a run on `target`, one thread.
    target
        Instruction set that the prediction and the storage are for.
    file_bytes
        Of the ``.goss`` file.
    notes
        What is special about it, a sentence each.
    """

    layers: tuple[LayerReport, ...]
    zeros: float
    milliseconds_before: float
    milliseconds: float
    target: str
    file_bytes: int
    notes: tuple[str, ...]

    def rows(self) -> list[tuple[str, ...]]:
        """Cells of the table, the heading first."""
        heading = ("layer", "weights", "pattern", "zeros", "saliency kept", "without rearrangement")
        rows = [(*heading, "output error", "as refitted", "storage")]
        for layer in self.layers:
            errors = (layer.error_before, layer.error)
            shares = (layer.zeros, layer.kept, layer.kept_in_place)
            rows.append(
                (
                    layer.name,
                    "×".join(map(str, layer.shape)),
                    layer.pattern,
                    *(f"{share:.1%}" for share in shares),
                    *("" if error is None else f"{error:.4f}" for error in errors),
                    layer.storage,
                )
            )
        return rows

    def __str__(self) -> str:
        lines = aligned(self.rows())
        speed = self.milliseconds_before / self.milliseconds
        lines += [
            "",
            f"{self.zeros:.1%} of the weights of all layers to choose from are zero; "
            f"{self.file_bytes:,} bytes",
            f"predicted for {self.target}, one thread: {self.milliseconds:.2f} ms, "
            f"{self.milliseconds_before:.2f} before, {speed:.2f} times as fast",
            *(f"note: {note}" for note in self.notes),
        ]
        return "\n".join(lines)
