"""Which importer reads a model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MissingDependencyError
from .ir import Graph

if TYPE_CHECKING:
    import onnx


def import_model(
    src: str | os.PathLike[str] | onnx.ModelProto,
    batch: int,
    dims: Mapping[str, int] | None = None,
    *,
    quantized: bool = False,
) -> Graph:
    """Read a model into a graph: a ``.tflite`` file by its suffix, everything else as ONNX.

    Takes and raises what `onnx.import_model` and `tflite.import_model` do; `dims` is ONNX's.
    Values keep what a model says of their quantization only where `quantized` asks for that.
    MissingDependencyError names a package that is not installed.
    """
    try:
        if isinstance(src, str | os.PathLike) and Path(src).suffix == ".tflite":
            from . import tflite as importer
        else:
            from . import onnx as importer
    except ImportError as error:
        raise MissingDependencyError(
            f"conversion needs the package '{error.name}'; run: pip install 'gossamer-nn[convert]'"
        ) from error
    graph = importer.import_model(src, batch, dims)
    if not quantized:
        for node in graph.nodes:
            for value in (*node.inputs, node.output):
                value.bounds = value.scales = None
    return graph
