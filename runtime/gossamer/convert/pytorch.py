"""Import of PyTorch modules: exported to ONNX in memory, and read from there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import onnxscript  # noqa: F401  torch.onnx wants it, and imports it only when it exports
import torch

from ..errors import InputError, UnsupportedError
from . import onnx
from .ir import Graph


def _tensors(example_inputs: object) -> tuple[torch.Tensor, ...]:
    """Check what the module is to be traced with."""
    given = (example_inputs,) if isinstance(example_inputs, torch.Tensor) else example_inputs
    if not isinstance(given, Sequence) or not all(isinstance(x, torch.Tensor) for x in given):
        raise InputError(
            "example_inputs: a tensor, or one for each argument of the module's forward, "
            f"expected, found {type(example_inputs).__name__}; their values do not matter, "
            "their shapes do"
        )
    return tuple(given)


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Let a module answer as in use, and restore each part's mode."""
    trained = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in trained:
            part.training = True


def import_model(module: torch.nn.Module, example_inputs: object) -> Graph:
    """Read a PyTorch module into a graph.

    Parameters
    ----------
    module
        Exported as in evaluation; it is left as it was.
    example_inputs
        A tensor, or a sequence of them, that the module's forward takes. Their shapes become the
        model's, batch included.

    Returns
    -------
    Graph
        With what the engine cannot run recorded in it, not raised. Inputs are named as the
        arguments of the module's forward.

    Raises
    ------
    InputError
        `example_inputs` are missing, or something else than tensors.
    UnsupportedError
        PyTorch cannot export the module; says why.
    """
    tensors = _tensors(example_inputs)
    try:
        with _evaluating(module):
            program = torch.onnx.export(module, tensors, dynamo=True, verbose=False)
    except torch.onnx.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        raise UnsupportedError(
            f"{type(module).__name__}: torch.onnx.export of PyTorch {torch.__version__} fails: "
            f"{reason}; change the module's forward, or export it to a file in another way"
        ) from error
    graph = onnx.import_model(program.model_proto, batch=1)
    graph.source = type(module).__name__
    return graph
