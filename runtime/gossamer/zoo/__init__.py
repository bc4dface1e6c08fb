"""Well-known networks with random weights, of any size and sparsity: for benchmarks and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError, MissingDependencyError, UnsupportedError

if TYPE_CHECKING:
    from ..convert.ir import Graph

__all__ = ["NAMES", "PATTERNS", "build", "build_onnx"]

NAMES = ("mobilenet_v1", "mobilenet_v2", "efficientnet_b0")
PATTERNS = ("1x1", "2x1", "4x1", "8x1", "4x4", "1x4")
DTYPES = ("f32", "int8")
CALIBRATION_INPUTS = 4


def build(
    name: str,
    width: float = 1.0,
    resolution: int = 224,
    pattern: str = "4x1",
    sparsity: float = 0.7,
    dtype: str = "f32",
    seed: int = 0,
    *,
    classes: int = 1000,
) -> bytes:
    """Make a network as a ``.goss`` file.

    The input is "image", float32 ``[1, 3, resolution, resolution]``, the output "probabilities",
    float32 ``[1, classes]``. The same arguments give the same bytes; of int8 networks, whose ranges
    come from running them, on machines of the same instruction set.

    Parameters
    ----------
    name
        "mobilenet_v1" (arXiv:1704.04861), "mobilenet_v2" (arXiv:1801.04381) or "efficientnet_b0"
        (arXiv:1905.11946).
    width
        Multiplies every layer's channels, which are then rounded to multiples of 8.
    resolution
        Of the image, in pixels, at least 1.
    pattern
        Weights of the pointwise layers that live or die together, as output x input channels: one
        of `PATTERNS`. They are stored like that, also without zeros, where their dtype can be: in
        f32 as columns of a block, and in int8 in blocks of 4 channels.
    sparsity
        Share of the blocks of every pointwise layer that are zero, 0 to below 1. Depthwise layers,
        the first and the last layer, and squeeze-excite stay dense.
    dtype
        "f32", or "int8": calibrated with random images.
    seed
        Of the random weights.
    classes
        Of the output, at least 1.

    Returns
    -------
    bytes
        Of the file; `gossamer.InferenceSession` takes them.

    Raises
    ------
    InputError
        An argument does not fit.
    MissingDependencyError
        numpy is not installed.
    """
    graph = _graph(name, width, resolution, pattern, sparsity, dtype, seed, classes)
    from ..convert import lower, passes

    passes.fuse(graph, passes.merge_activation)
    if dtype == "int8":
        graph = _in_int8(graph, seed)
    title = _title(name, width, resolution, pattern, sparsity, dtype)
    return lower.lower(graph, {"title": title})


def _in_int8(graph: Graph, seed: int) -> Graph:
    import numpy as np

    from ..quantize.post_training import Options, calibrate, quiet

    (image,), random = graph.inputs, np.random.default_rng(seed)
    inputs = [
        {image.name: random.normal(size=image.shape).astype(np.float32)}
        for _ in range(CALIBRATION_INPUTS)
    ]
    return calibrate(graph, inputs, Options(calibration="minmax", correct_bias=False), quiet).whole


def build_onnx(
    name: str,
    width: float = 1.0,
    resolution: int = 224,
    pattern: str = "4x1",
    sparsity: float = 0.7,
    dtype: str = "f32",
    seed: int = 0,
    *,
    classes: int = 1000,
) -> bytes:
    """Make the network that `build` makes of the same arguments as an ONNX model (opset 13).

    Returns
    -------
    bytes
        Of the ``.onnx`` file.

    Raises
    ------
    InputError
        As `build`.
    UnsupportedError
        `dtype` is not "f32".
    MissingDependencyError
        The package onnx is not installed.
    """
    if dtype == "int8":
        raise UnsupportedError("dtype: 'f32' expected of an ONNX model, found 'int8'")
    graph = _graph(name, width, resolution, pattern, sparsity, dtype, seed, classes)
    try:
        from . import onnx_file
    except ImportError as error:
        raise _missing(error) from error
    return onnx_file.write(graph, _title(name, width, resolution, pattern, sparsity, dtype))


def _graph(
    name: str, width: float, resolution: int, pattern: str, sparsity: float, dtype: str, seed: int,
    classes: int,
) -> Graph:  # fmt: skip
    if name not in NAMES:
        raise InputError(f"name: one of {', '.join(NAMES)} expected, found {name!r}")
    if pattern not in PATTERNS:
        raise InputError(f"pattern: one of {', '.join(PATTERNS)} expected, found {pattern!r}")
    if dtype not in DTYPES:
        raise InputError(f"dtype: {' or '.join(map(repr, DTYPES))} expected, found {dtype!r}")
    if not 0 <= sparsity < 1:
        raise InputError(f"sparsity: 0 to below 1 expected, found {sparsity!r}")
    if not 0 < width <= 16:
        raise InputError(f"width: above 0, at most 16 expected, found {width!r}")
    for what, value in (("resolution", resolution), ("classes", classes)):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65536:
            raise InputError(f"{what}: a whole number from 1 to 65536 expected, found {value!r}")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError(f"seed: a whole number of at least 0 expected, found {seed!r}")
    try:
        from .networks import NETWORKS, Builder
    except ImportError as error:
        raise _missing(error) from error
    rows, columns = map(int, pattern.split("x"))
    if dtype == "f32":
        storage = f"{rows}x1"
    else:
        storage = pattern if columns == 4 else None  # the cheapest for the zeros that are there
    builder = Builder(width, (rows, columns), storage, sparsity, seed)
    return NETWORKS[name](builder, resolution, classes)


def _missing(error: ImportError) -> MissingDependencyError:
    return MissingDependencyError(
        f"the zoo needs the package '{error.name}'; run: pip install 'gossamer-nn[convert]'"
    )


def _title(
    name: str, width: float, resolution: int, pattern: str, sparsity: float, dtype: str
) -> str:
    zeros = f"{sparsity:.0%} zeros in {pattern}" if sparsity else "dense"
    int8 = ", int8" if dtype == "int8" else ""
    return f"{name} {width:g}/{resolution}, random weights, {zeros}{int8}"
