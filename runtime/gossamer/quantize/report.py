"""What quantization did, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LayerReport:
    """What became of a node.

    Attributes
    ----------
    name, op
        Of the node.
    dtype
        "int8" or "f32".
    reason
        Why it runs in f32; empty where it does not.
    shape
        Of its weights, (M, C, ...); empty where it has none.
    zeros
        Share of its weights that is zero; None where it has none.
    storage
        What the converter chooses for its weights, and why; empty where it has none.
    scale, zero_point
        Of what it computes; None where that is f32.
    signal_to_noise
        Of the network's output when this node alone runs in int8, in decibels; None where it was
        not measured, or nothing changed.
    """

    name: str
    op: str
    dtype: str
    reason: str
    shape: tuple[int, ...]
    zeros: float | None
    storage: str
    scale: float | None
    zero_point: int | None
    signal_to_noise: float | None


@dataclass(frozen=True)
class QuantizeReport:
    """What `gossamer.quantize` did. As text, a table.

    Attributes
    ----------
    layers
        All nodes of the source, in execution order.
    calibration
        How ranges were chosen, and from how many inputs.
    signal_to_noise
        Of the network's output, in decibels; None where nothing changed.
    agreement
        Share of the calibration inputs with the same largest output as in f32.
    file_bytes_before, file_bytes
        Of the ``.goss`` files in f32 and in int8.
    notes
        What is special about it, a sentence each.
    """

    layers: tuple[LayerReport, ...]
    calibration: str
    signal_to_noise: float | None
    agreement: float
    file_bytes_before: int
    file_bytes: int
    notes: tuple[str, ...]

    def rows(self) -> list[tuple[str, ...]]:
        """Cells of the table, the heading first."""
        heading = ("layer", "operator", "runs in", "weights", "zeros", "scale", "zero point")
        rows = [(*heading, "alone, dB", "storage, or why f32")]
        for layer in self.layers:
            rows.append(
                (
                    *(layer.name, layer.op, layer.dtype, "×".join(map(str, layer.shape))),
                    "" if layer.zeros is None else f"{layer.zeros:.1%}",
                    "" if layer.scale is None else f"{layer.scale:.6g}",
                    "" if layer.zero_point is None else str(layer.zero_point),
                    "" if layer.signal_to_noise is None else f"{layer.signal_to_noise:.1f}",
                    layer.reason or layer.storage,
                )
            )
        return rows

    def __str__(self) -> str:
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        noise = (
            "no difference"
            if self.signal_to_noise is None
            else f"signal to noise {self.signal_to_noise:.1f} dB"
        )
        lines += [
            "",
            f"ranges: {self.calibration}",
            f"output: {noise}; the same largest one for {self.agreement:.1%} of these inputs",
            f"{self.file_bytes:,} bytes, {self.file_bytes_before:,} in f32",
            *(f"note: {note}" for note in self.notes),
        ]
        return "\n".join(lines)
