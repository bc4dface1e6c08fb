"""From other frameworks' files to ``.goss``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import onnx

__all__ = ["convert"]


def convert(
    src: str | os.PathLike[str] | onnx.ModelProto,
    dst: str | os.PathLike[str] | None,
    *,
    batch: int = 1,
    dims: Mapping[str, int] | None = None,
    metadata: Mapping[str, str] | None = None,
    target: str = "wasm_relaxed",
    costs: str | os.PathLike[str] | None = None,
    storage: Mapping[str, str] | None = None,
    pixels: str | None = None,
) -> bytes:
    """Convert an ONNX or TensorFlow Lite model to a ``.goss`` file.

    Batch normalization is folded into the weights, activations into the layers before them, and
    weights that contain enough zeros are stored sparse: in the way that, by measured costs, runs
    fastest. The file runs everywhere, whatever it was chosen for. Nothing is rounded or pruned.
    Whole numbers and truth values that a model computes, such as places of largest scores, are
    f32, and so are outputs of them: exact below 2^24.

    Parameters
    ----------
    src
        An ``.onnx`` file, with its external data beside it, or a loaded model; or a ``.tflite``
        file. Of the latter, images [N, H, W, C] become channel planes (N,C,H,W), and quantized
        numbers the real ones that they stand for: inputs, weights and outputs are f32. Of pixels
        in u8, zero point and scale become the metadata "image_mean" and "image_scale".
    dst
        Where to write the file. It appears complete or not at all. None writes nothing.
    batch
        Replaces a first input dimension that the model leaves open, at least 1.
    dims
        Sizes, at least 1, of input dimensions that the model names and leaves open.
    metadata
        Texts to keep with the model; the keys in use are "labels" (one a line), "image_mean" and
        "image_scale" (three numbers, separated by spaces), "title" and "license".
    target
        Instruction set whose costs choose the storage: "wasm_relaxed", "wasm_simd", "avx2",
        "avx512", "generic", or one that `costs` has.
    costs
        A file that ``gossamer bench --calibrate`` wrote; None = the costs that ship.
    storage
        Overrides the choice: a node's name and "1x1", "2x1", "4x1", "8x1" or "dense".
    pixels
        "u8" or "f32": the model takes interleaved pixels of that dtype, 0 to 255, shape
        ``[N, H, W, C]``, and its first convolution normalises them as `metadata` says in
        "image_mean" and "image_scale". None: it takes what it takes in `src`.

    Returns
    -------
    bytes
        What was, or would have been, written.

    Raises
    ------
    ModelError
        `src` cannot be read, is no valid model, or has weights that are NaN or infinite.
    UnsupportedError
        The engine cannot run the model. Lists every operator it lacks. Or `pixels` is asked for,
        and the input is not read by one convolution.
    InputError
        `batch`, `dims`, `metadata`, `target`, `storage` or `pixels` does not fit, `costs` cannot be
        read, or `dst` cannot be written.
    MissingDependencyError
        A package that conversion needs is not installed.

    Examples
    --------
    >>> gossamer.convert("mobilenet.onnx", "mobilenet.goss")  # doctest: +SKIP
    """
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise InputError(f"batch: a whole number of at least 1 expected, found {batch!r}")
    for name, size in (dims or {}).items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise InputError(
                f"dims '{name}': a whole number of at least 1 expected, found {size!r}"
            )
    try:
        import numpy as np

        from . import cost_model, importing, lower, passes, write
    except ImportError as error:
        raise MissingDependencyError(
            f"conversion needs the package '{error.name}'; run: pip install 'gossamer-nn[convert]'"
        ) from error
    texts = write.check_metadata(metadata or {})
    with np.errstate(all="ignore"):  # what is not finite is reported with the layer that has it
        table = cost_model.load(target, costs)
        graph = importing.import_model(src, batch, dims)
        texts = graph.metadata | texts
        passes.optimize(graph)
        if pixels is not None:
            passes.take_pixels(graph, *write.take_normalization(texts, pixels))
        data = lower.lower(graph, texts, table, storage)
    if dst is not None:
        write.write_atomically(data, dst)
    return data
