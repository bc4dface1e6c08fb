"""What became of a model, as data. `text` and `page` show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from ..convert.ir import SourceNode


class Status(str, Enum):
    """What zeros are worth."""

    DENSE = "dense"  # there are none
    PAYS = "pays"
    PAYS_LESS = "pays less than it could"  # in larger blocks the same zeros would save much more
    DOES_NOT_PAY = "does not pay"


@dataclass(frozen=True)
class Alternative:
    """The same share of zeros, in blocks of another pattern.

    Attributes
    ----------
    pattern
        Of the blocks: "2x1", "4x1" or "8x1"; in int8 "1x4" or "4x4".
    seconds
        Predicted.
    speedup
        How many times as fast as it is.
    """

    pattern: str
    seconds: float
    speedup: float


@dataclass(frozen=True)
class WeightsReport:
    """Weights of a layer, and what their zeros do.

    Attributes
    ----------
    shape
        Of the weights, (M, C, ...).
    dtype
        Of the weights: "f32" or "i8".
    zeros
        Share of them that is zero, 0 to 1.
    zeros_in_blocks
        By pattern: share of the zeros that lie in whole blocks of it, smaller blocks first. Empty
        without zeros, and of depthwise weights, which have one storage.
    pattern
        The largest blocks that zeros fit: "1x1" where they lie anywhere. None as above.
    storage
        "dense" or "sparse".
    block_rows, block_columns
        Of the blocks that are stored: output and input channels.
    stored_bytes
        Of the values that are stored, and of where their blocks lie.
    break_even
        By pattern: share of zeros from which sparse storage is faster than dense, for zeros that
        lie anywhere in blocks of it; None: never. Differences that measuring would not show do not
        count. Empty as above.
    dense_seconds
        Predicted, with every weight stored; None where it always is.
    alternative
        What would be faster, where anything is.
    converted_seconds
        Predicted, with the storage that `gossamer.convert` chooses for the target; None as above.
    """

    shape: tuple[int, ...]
    dtype: str
    zeros: float
    zeros_in_blocks: Mapping[str, float]
    pattern: str | None
    storage: str
    block_rows: int
    block_columns: int
    stored_bytes: int
    break_even: Mapping[str, float | None]
    dense_seconds: float | None
    alternative: Alternative | None
    converted_seconds: float | None

    @property
    def block(self) -> str:
        """The blocks that are stored: such as "4x1"."""
        return f"{self.block_rows}x{self.block_columns}"


@dataclass(frozen=True)
class LayerReport:
    """One layer.

    Attributes
    ----------
    name, op
        Of the layer: "conv", "add", ...
    shape
        Of the output.
    kernel
        What runs it.
    weights
        None where it has none.
    source
        Nodes of the source model whose work it does, its own first. Empty where the model is a
        ``.goss`` file, which does not say.
    moves_data
        Whether it only puts numbers elsewhere.
    predicted_seconds
        On the target, one thread; None: nothing is known of what the operator costs.
    share
        Of the predicted time of all layers, 0 to 1.
    measured_seconds
        Median, here; None: not measured.
    why
        A sentence: why it is stored and computed like that, and what would be faster.
    """

    name: str
    op: str
    shape: tuple[int, ...]
    kernel: str
    weights: WeightsReport | None
    source: tuple[SourceNode, ...]
    moves_data: bool
    predicted_seconds: float | None
    share: float
    measured_seconds: float | None
    why: str


@dataclass(frozen=True)
class Measurement:
    """A model on this machine.

    Attributes
    ----------
    seconds
        Median of whole runs.
    runs
        That were measured.
    isa, threads
        That ran.
    """

    seconds: float
    runs: int
    isa: str
    threads: int


@dataclass(frozen=True)
class Verdict:
    """What to know first.

    Attributes
    ----------
    status
        What zeros are worth.
    headline
        A sentence.
    advice
        What to do, a sentence each; empty where everything is fine.
    """

    status: Status
    headline: str
    advice: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """What became of a model. As text, a table; `html` gives a page.

    Attributes
    ----------
    model
        Its file or name.
    target
        Instruction set or core that times are predicted for, one thread.
    costs
        Where, when and with what the target's costs were measured, or what simulated them.
    caveat
        What to know before trusting times of a target whose costs are simulated; None: measured.
    verdict
        What to know first.
    predicted_seconds
        Of a run.
    dense_seconds
        Of a run, were every weight stored.
    run_seconds
        Of a run, besides its layers.
    measured
        None: not measured.
    weights
        Of the layers whose storage is chosen, each once.
    zeros
        Share of these that is zero.
    pruned_zeros
        The same of the layers that have zeros, more than rounding leaves; 0 where none has.
    layers
        In the order of execution.
    folded
        By operator: nodes of the source model of which nothing is left: computed during
        conversion, or without effect.
    notes
        What else there is to know, a sentence each.
    """

    model: str
    target: str
    costs: str
    caveat: str | None
    verdict: Verdict
    predicted_seconds: float
    dense_seconds: float
    run_seconds: float
    measured: Measurement | None
    weights: int
    zeros: float
    pruned_zeros: float
    layers: tuple[LayerReport, ...]
    folded: Mapping[str, int]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        from .text import render

        return render(self)

    def html(self) -> str:
        """Give a page that needs nothing but itself."""
        from .page import render

        return render(self)
