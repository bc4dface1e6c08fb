"""What became of a model, layer by layer: what it costs, and what its zeros are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import MissingDependencyError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import onnx
    import torch

    from .report import Explanation

__all__ = ["explain"]


def explain(
    model: str | os.PathLike[str] | bytes | onnx.ModelProto | torch.nn.Module,
    *,
    target: str = "wasm_relaxed",
    costs: str | os.PathLike[str] | None = None,
    measure: bool | None = None,
    threads: int = 1,
    batch: int = 1,
    dims: Mapping[str, int] | None = None,
    example_inputs: torch.Tensor | Sequence[torch.Tensor] | None = None,
) -> Explanation:
    """Say what became of every layer of a model, what it costs, and why.

    Every layer comes with its zeros, the blocks that they fit, the storage that they got and from
    how many zeros on another one would be faster, what the same zeros would save in other blocks,
    and its predicted time. The verdict says what the zeros are worth in all, and what to do.

    Parameters
    ----------
    model
        An ``.onnx`` or ``.tflite`` file, a loaded ONNX model or a PyTorch module, which is
        converted first, in memory; a ``.goss`` file or its content, whose storage stays as it is;
        or an embedded model's name.
    target
        Instruction set to predict for: "wasm_relaxed", "wasm_simd", "avx2", "generic", or one that
        `costs` has; "host" is the best one of this machine. Or a core, "cortex_a72" (Raspberry Pi
        4) or "cortex_a76" (5): estimates, by costs that are simulated, as `caveat` says.
    costs
        A file that ``gossamer bench --calibrate`` wrote; None = the costs that ship.
    measure
        Whether to run the model, too; None = where `target` is an instruction set of this machine.
    threads
        To measure with, at least 1. Predictions are for one.
    batch, dims, example_inputs
        As `gossamer.convert` takes them.

    Returns
    -------
    Explanation
        As text a report; its method `html` gives a page; `dataclasses.asdict` what JSON can hold.

    Raises
    ------
    InputError
        There is no such model; `target` has no costs, or is to be measured and is not this
        machine's; another argument does not fit.
    UnsupportedError
        The engine cannot run the model.
    ModelError, MissingDependencyError
        As `gossamer.convert`.

    Examples
    --------
    >>> explanation = gossamer.explain("cifar10-mobilenet")
    >>> explanation.verdict.status.value
    'pays less than it could'
    """
    try:
        from . import analysis
    except ImportError as error:
        raise MissingDependencyError(
            f"explaining needs the package '{error.name}'; run: pip install 'gossamer-nn[convert]'"
        ) from error
    return analysis.run(
        model,
        target=target,
        costs=costs,
        measure=measure,
        threads=threads,
        batch=batch,
        dims=dims,
        example_inputs=example_inputs,
    )
