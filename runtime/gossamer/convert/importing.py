"""Which importer reads a model."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, MissingDependencyError
from .ir import Graph

if TYPE_CHECKING:
    import onnx
    import torch


def is_module(src: object) -> bool:
    """Whether this is a PyTorch module. Who has one has imported PyTorch; this does not."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(src, torch.nn.Module)


def check_example_inputs(src: object, example_inputs: object) -> None:
    """Refuse them where there is no PyTorch module to call with them.

    Raises
    ------
    InputError
        `src` is something else.
    """
    if example_inputs is not None and not is_module(src):
        raise InputError(
            f"example_inputs: only a PyTorch module takes them, found {type(src).__name__} as src; "
            "use batch and dims"
        )


def import_model(
    src: str | os.PathLike[str] | onnx.ModelProto | torch.nn.Module,
    batch: int,
    dims: Mapping[str, int] | None = None,
    example_inputs: object = None,
    *,
    quantized: bool = False,
) -> Graph:
    """Read a model into a graph: a module, a ``.tflite`` file by its suffix, all else as ONNX.

    Takes and raises what `import_model` of `pytorch`, `tflite` and `onnx` does; `batch` and `dims`
    are of files, `dims` of ONNX only. Values keep what a model says of their quantization only
    where `quantized` asks for that. MissingDependencyError names a package that is not installed.
    """
    check_example_inputs(src, example_inputs)
    extras = "convert,torch" if is_module(src) else "convert"
    try:
        if is_module(src):
            from . import pytorch as importer
        elif isinstance(src, str | os.PathLike) and Path(src).suffix == ".tflite":
            from . import tflite as importer
        else:
            from . import onnx as importer
    except ImportError as error:
        raise MissingDependencyError(
            f"conversion needs the package '{error.name}'; run: pip install 'gossamer-nn[{extras}]'"
        ) from error
    more = (example_inputs,) if is_module(src) else (batch, dims)
    graph = importer.import_model(src, *more)
    if not quantized:
        for node in graph.nodes:
            for value in (*node.inputs, node.output):
                value.bounds = value.scales = None
    return graph
