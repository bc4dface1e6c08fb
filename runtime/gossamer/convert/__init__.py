"""From other frameworks' files to ``.goss``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import onnx
    import torch

__all__ = ["convert"]

_log = logging.getLogger("gossamer.convert")


def convert(
    src: str | os.PathLike[str] | onnx.ModelProto | torch.nn.Module,
    dst: str | os.PathLike[str] | None,
    *,
    batch: int = 1,
    dims: Mapping[str, int] | None = None,
    metadata: Mapping[str, str] | None = None,
    target: str = "wasm_relaxed",
    costs: str | os.PathLike[str] | None = None,
    storage: Mapping[str, str] | None = None,
    pixels: str | None = None,
    example_inputs: torch.Tensor | Sequence[torch.Tensor] | None = None,
    dequantize: bool = False,
    weights: str = "f32",
) -> bytes:
    """Convert an ONNX, TensorFlow Lite or PyTorch model to a ``.goss`` file.

    Batch normalization is folded into the weights, activations into the layers before them, and
    weights that contain enough zeros are stored sparse: in the way that, by measured costs, runs
    fastest. The file runs everywhere, whatever it was chosen for. Nothing is pruned, and nothing
    rounded that is not quantized in `src`, unless `weights` says so.

    What is quantized there (QuantizeLinear and DequantizeLinear in ONNX, tensors of 8 bits in
    TensorFlow Lite) runs in int8. Weights keep their numbers and scales where these are symmetric
    and fit into -127..127; other output channels are rounded anew, which is logged. Activations
    keep their ranges, with 7 bits instead of 8. Inputs and outputs are real numbers.

    Whole numbers and truth values that a model reads or computes, such as places of largest scores,
    are f32, and so are inputs and outputs of them: exact up to 2^24. Of a tensor without axes the
    shape is [1].

    Parameters
    ----------
    src
        An ``.onnx`` file, with its external data beside it, or a loaded model; or a ``.tflite``
        file. Of the latter, images [N, H, W, C] become channel planes (N,C,H,W), and inputs and
        outputs the real numbers that they stand for, f32. Of pixels in u8, zero point and scale
        become the metadata "image_mean" and "image_scale". Or a PyTorch module, which is exported
        through `torch.onnx` as it answers in evaluation.
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
        Instruction set or core whose costs choose the storage: "wasm_relaxed", "wasm_simd",
        "avx2", "avx512", "generic", "cortex_a72", "cortex_a76", or one that `costs` has. Costs of
        the two cores are simulated, not measured, which is logged.
    costs
        A file that ``gossamer bench --calibrate`` wrote; None = the costs that ship.
    storage
        Overrides the choice: a node's name and "1x1", "2x1", "4x1", "8x1" or "dense".
    pixels
        "u8" or "f32": the model takes interleaved pixels of that dtype, 0 to 255, shape
        ``[N, H, W, C]``, and its first convolution normalises them as `metadata` says in
        "image_mean" and "image_scale". None: it takes what it takes in `src`.
    example_inputs
        What a PyTorch module is called with: a tensor, or one for each argument of its forward.
        Only their shapes and dtypes matter, and become the model's.
    dequantize
        Whether to compute with the real numbers that quantized ones stand for, in f32.
    weights
        "f16" rounds the weights of convolutions and fully connected layers to half precision, which
        takes half of the file; they are f32 again when it is loaded, so a run takes as long. A
        layer whose weights f16 is too narrow for stays as it is, which is logged. "f32" rounds
        nothing; what f16 holds as it is is stored so anyway.

    Returns
    -------
    bytes
        What was, or would have been, written.

    Raises
    ------
    ModelError
        `src` cannot be read, is no valid model, or has weights that are NaN or infinite.
    UnsupportedError
        The engine cannot run the model. Lists every operator it lacks. Or PyTorch cannot export it.
        Or `pixels` is asked for, and the input is not read by one convolution.
    InputError
        `batch`, `dims`, `metadata`, `target`, `storage`, `pixels`, `example_inputs` or `weights`
        does not fit, `costs` cannot be read, or `dst` cannot be written.
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

        from . import cost_model, halves, importing, int8, lower, passes, transposes, write
    except ImportError as error:
        raise MissingDependencyError(
            f"conversion needs the package '{error.name}'; run: pip install 'gossamer-nn[convert]'"
        ) from error
    texts, halved = write.check_metadata(metadata or {}), halves.are_asked(weights)
    with np.errstate(all="ignore"):  # what is not finite is reported with the layer that has it
        table = cost_model.load(target, costs)
        if table.caveat:
            _log.warning("%s", table.caveat)
        graph = importing.import_model(src, batch, dims, example_inputs, quantized=not dequantize)
        texts = graph.metadata | texts
        passes.optimize(graph)
        transposes.report_transposes(graph)
        if pixels is not None:
            passes.take_pixels(graph, *write.take_normalization(texts, pixels))
        if not dequantize:
            graph = int8.quantize_as_source(graph)
        if halved:
            halves.round_weights(graph)
        data = lower.lower(graph, texts, table, storage)
    if dst is not None:
        write.write_atomically(data, dst)
    return data
