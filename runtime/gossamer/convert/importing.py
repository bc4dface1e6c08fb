"""Which importer reads a model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .ir import Graph

if TYPE_CHECKING:
    import onnx


def import_model(
    src: str | os.PathLike[str] | onnx.ModelProto, batch: int, dims: Mapping[str, int] | None = None
) -> Graph:
    """Read a model into a graph: a ``.tflite`` file by its suffix, everything else as ONNX.

    Takes and raises what `onnx.import_model` and `tflite.import_model` do; `dims` is ONNX's.
    """
    if isinstance(src, str | os.PathLike) and Path(src).suffix == ".tflite":
        from . import tflite

        if dims:
            raise InputError(f"{src}: dims: TensorFlow Lite has no names of dimensions; use batch")
        return tflite.import_model(src, batch)
    from . import onnx

    return onnx.import_model(src, batch, dims)
