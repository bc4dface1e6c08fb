"""Sessions: a model, planned for this machine, ready to run."""

from __future__ import annotations

import errno
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from . import _native
from .errors import InputError, MissingFileError


@dataclass(frozen=True)
class SessionOptions:
    """How to run a model.

    Parameters
    ----------
    threads
        At least 1; None = what the machine has, at most 4. More than this build can use is
        reduced, and `InferenceSession.notes` says so.
    isa
        Instruction set, one of `gossamer.isas`; None = the best of this machine.

    Raises
    ------
    InputError
        `threads` is no whole number of at least 1, or `isa` is no string.
    """

    threads: int | None = None
    isa: str | None = None

    def __post_init__(self) -> None:
        whole = isinstance(self.threads, int) and not isinstance(self.threads, bool)
        if self.threads is not None and not (whole and 1 <= self.threads < 2**31):
            raise InputError(
                f"threads: {self.threads!r} found, a whole number of at least 1, or None, expected"
            )
        if self.isa is not None and not isinstance(self.isa, str):
            raise InputError(
                f"isa: {self.isa!r} found, a name from gossamer.isas(), or None, expected"
            )


@dataclass(frozen=True)
class NodeArg:
    """An input or output of a model.

    Attributes
    ----------
    name
        Key for `InferenceSession.run`.
    shape
        Dimensions, images as ``[N, C, H, W]``; interleaved pixels, of models that were converted
        to take them, as ``[N, H, W, C]``.
    type
        As onnxruntime spells it.
    dtype
        As numpy spells it.
    """

    name: str
    shape: list[int]
    type: str = "tensor(float)"
    dtype: str = "float32"


@dataclass(frozen=True)
class SessionInfo:
    """What a plan costs.

    Attributes
    ----------
    arena_bytes
        The one allocation that holds every intermediate tensor and scratch.
    tensor_bytes
        What the same tensors and scratch would take without sharing memory.
    largest_live_bytes
        Lower bound of `arena_bytes`: the most that is alive during one layer.
    weight_bytes
        Weights and indices in the file, plus what planning expanded.
    macs
        Multiply-adds of one run, zeros left out.
    dense_macs
        Multiply-adds of one run with every weight present.
    threads
        Threads that run.
    """

    arena_bytes: int
    tensor_bytes: int
    largest_live_bytes: int
    weight_bytes: int
    macs: int
    dense_macs: int
    threads: int


@dataclass(frozen=True)
class LayerInfo:
    """One layer of a plan.

    Attributes
    ----------
    name, op
        From the model: ``"conv"``, ``"add"``, …
    shape
        Of the output.
    kernel, reason
        What runs it, and why.
    macs, dense_macs
        Multiply-adds of one run: zeros left out; with every weight present.
    weights, nonzeros
        Elements of the weight matrix, zeros included; those that are stored. Biases not counted.
    weight_bytes
        Weights, biases and indices in the file, plus what planning expanded.
    tensor_bytes
        Of the tensors that it reads and writes.
    """

    name: str
    op: str
    shape: list[int]
    kernel: str
    reason: str
    macs: int
    dense_macs: int
    weights: int
    nonzeros: int
    weight_bytes: int
    tensor_bytes: int


class InferenceSession:
    """Load a model and plan it for this machine.

    Several threads may share a session: their runs follow one another. Sessions of their own run
    side by side.

    Parameters
    ----------
    path_or_bytes
        A ``.goss`` file's path (`str` or `os.PathLike`), or its content (`bytes` or any other
        buffer, which is copied).
    options
        None = the defaults.

    Raises
    ------
    MissingFileError, OSError
        The file is not there; it cannot be read.
    ModelError
        The file is truncated, altered, or not a ``.goss`` file.
    UnsupportedError
        The file needs a newer version, or an operator that this build lacks.
    InputError
        An option does not fit this machine.
    OutOfMemoryError
        The plan needs more memory than there is.
    EngineError
        The native library is missing or belongs to another version.

    Examples
    --------
    >>> import gossamer, numpy
    >>> session = gossamer.load_model("cifar10-mobilenet")
    >>> [(arg.name, arg.shape) for arg in session.get_inputs()]
    [('image', [1, 3, 32, 32])]
    >>> (probabilities,) = session.run(None, {"image": numpy.zeros((1, 3, 32, 32), "float32")})
    >>> probabilities.shape
    (1, 10)
    """

    def __init__(
        self,
        path_or_bytes: str | os.PathLike[str] | bytes | bytearray | memoryview,
        options: SessionOptions | None = None,
        *,
        _binding: str | None = None,
    ) -> None:
        options = options or SessionOptions()
        size, read, where = _source(path_or_bytes)
        self._native = _native.NativeSession(
            _native.engine(_binding),
            size,
            read,
            threads=options.threads or 0,
            isa=options.isa,
            where=where,
        )
        self._lock = threading.Lock()
        self._as_array = _array_maker()
        self._metadata = MappingProxyType(self._native.metadata())
        self._layers = [_layer(layer) for layer in self._native.layers()]

    def get_inputs(self) -> list[NodeArg]:
        """Return what `run` needs, in the model's order."""
        return [_node_arg(tensor) for tensor in self._native.inputs]

    def get_outputs(self) -> list[NodeArg]:
        """Return what `run` can give, in the model's order.

        Where numbers say how many rows an output has, as those of a non-maximum suppression do,
        its shape has the most that there can be, and what `run` gives may have fewer, or none.
        """
        return [_node_arg(tensor) for tensor in self._native.outputs]

    def run(self, output_names: Sequence[str] | None, inputs: Mapping[str, Any]) -> list[Any]:
        """Compute outputs from inputs.

        Parameters
        ----------
        output_names
            Which outputs to return, in this order; None = all, in the model's order.
        inputs
            For each input's name its values, of the input's dtype and shape. Arrays, or anything
            else with the buffer protocol; gaps and foreign strides are fine.

        Returns
        -------
        list
            One float32 array an output; without numpy a `memoryview` of format ``"f"`` and the
            output's shape. They belong to the caller.

        Raises
        ------
        InputError
            A name is unknown or missing, a shape or dtype differs, an input holds NaN, or the
            session is closed. Nothing was computed, and the session stays usable.
        """
        wanted = self._find_outputs(output_names)
        buffers = self._check_inputs(inputs)
        with self._lock:
            self._fill(buffers)
            self._native.run()
            results = [
                (bytearray(tensor.view), tensor.shape, self._native.rows(tensor))
                for tensor in wanted
            ]
        return [self._as_array(_native.shaped(data, shape)[:rows]) for data, shape, rows in results]

    def profile(self, inputs: Mapping[str, Any], runs: int = 20) -> list[list[float]]:
        """Measure every layer on its own.

        Parameters
        ----------
        inputs
            As `run` takes them.
        runs
            At least 1.

        Returns
        -------
        list of lists
            For each layer, in the order of `layers`, the seconds that each run took in it.

        Raises
        ------
        InputError
            As `run`.
        """
        buffers = self._check_inputs(inputs)
        seconds: list[list[float]] = [[] for _ in self._layers]
        with self._lock:
            self._fill(buffers)
            for _ in range(runs):
                for index, times in enumerate(seconds):
                    begin = time.perf_counter()
                    self._native.run_layer(index)
                    times.append(time.perf_counter() - begin)
        return seconds

    def layers(self) -> list[LayerInfo]:
        """Return the plan, in execution order."""
        return list(self._layers)

    @property
    def info(self) -> SessionInfo:
        """What the plan costs."""
        known = self._native.info
        return SessionInfo(**{field.name: known[field.name] for field in fields(SessionInfo)})

    @property
    def isa(self) -> str:
        """Instruction set that runs."""
        return self._native.info["isa"]

    @property
    def notes(self) -> list[str]:
        """What was reduced and why, a sentence each; empty when nothing was."""
        return self._native.info["notes"].splitlines()

    @property
    def metadata(self) -> Mapping[str, str]:
        """Key / value pairs of the model file, such as ``"labels"`` and ``"title"``."""
        return self._metadata

    def close(self) -> None:
        """Release the engine's memory now instead of with the last reference."""
        with self._lock:
            self._native.close()

    def __repr__(self) -> str:
        def arguments(tensors: Iterable[_native.Tensor]) -> str:
            return ", ".join(f"{tensor.name}{list(tensor.shape)}" for tensor in tensors)

        inputs, outputs = arguments(self._native.inputs), arguments(self._native.outputs)
        return f"<InferenceSession {inputs} -> {outputs}, {len(self._layers)} layers, {self.isa}>"

    def _fill(self, buffers: list[memoryview]) -> None:
        if not self._native.close.alive:
            raise InputError("the session is closed; create a new InferenceSession")
        for tensor, buffer in zip(self._native.inputs, buffers, strict=True):
            tensor.view[:] = _native.plain_bytes(buffer)

    def _find_outputs(self, names: Sequence[str] | None) -> list[_native.Tensor]:
        if names is None:
            return self._native.outputs
        if isinstance(names, str):
            raise InputError(f"output_names: a string found; a list expected: [{names!r}]")
        known = {tensor.name: tensor for tensor in self._native.outputs}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise InputError(f"no output {_quote(unknown)}; the model has {_quote(known)}")
        return [known[name] for name in names]

    def _check_inputs(self, inputs: Mapping[str, Any]) -> list[memoryview]:
        expected = [tensor.name for tensor in self._native.inputs]
        if not isinstance(inputs, Mapping):
            raise InputError(
                f"inputs: {type(inputs).__name__} found, a dict expected: "
                f"{{{expected[0]!r}: array}}"
            )
        unknown = [name for name in inputs if name not in expected]
        if unknown:
            raise InputError(f"no input {_quote(unknown)}; the model has {_quote(expected)}")
        missing = [name for name in expected if name not in inputs]
        if missing:
            raise InputError(
                f"input {_quote(missing)} is missing; the model has {_quote(expected)}"
            )
        return [_check_input(tensor, inputs[tensor.name]) for tensor in self._native.inputs]


def isas() -> list[str]:
    """Return the instruction sets that this machine can run, best first."""
    return _native.engine().isas


def _source(
    path_or_bytes: object,
) -> tuple[int, Callable[[memoryview], int], str]:
    """Size of a model file, a function that reads it into memory, and its name for messages."""
    if isinstance(path_or_bytes, (str, os.PathLike)):
        return _file_source(Path(path_or_bytes))
    try:
        content = memoryview(path_or_bytes)  # type: ignore[arg-type]
    except TypeError:
        raise InputError(
            f"model: {type(path_or_bytes).__name__} found; a path, or the file's content as bytes, "
            f"expected"
        ) from None

    def copy(memory: memoryview) -> int:
        memory[:] = _native.plain_bytes(content) if content.nbytes else b""
        return content.nbytes

    return content.nbytes, copy, ""


def _file_source(path: Path) -> tuple[int, Callable[[memoryview], int], str]:
    if not path.exists():
        hint = "no such model file; embedded models: gossamer.load_model(name)"
        raise MissingFileError(errno.ENOENT, hint, str(path))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "a folder, a .goss file expected", str(path))

    def read(memory: memoryview) -> int:
        with path.open("rb") as file:
            return file.readinto(memory)

    return path.stat().st_size, read, f"{path}: "


def _array_maker() -> Callable[[memoryview], Any]:
    try:
        import numpy
    except ImportError:
        return lambda view: view
    return numpy.asarray


def _layer(known: Mapping[str, Any]) -> LayerInfo:
    named = {field.name: known[field.name] for field in fields(LayerInfo) if field.name != "shape"}
    return LayerInfo(shape=known["dims"], **named)


# By format: as onnxruntime and as numpy spell it.
_TYPES = {"f": ("tensor(float)", "float32"), "B": ("tensor(uint8)", "uint8")}


def _node_arg(tensor: _native.Tensor) -> NodeArg:
    return NodeArg(tensor.name, list(tensor.shape), *_TYPES[tensor.format])


def _quote(names: Iterable[object]) -> str:
    return ", ".join(repr(name) for name in names)


def _check_input(tensor: _native.Tensor, values: object) -> memoryview:
    """View an input's values, of the right dtype and shape, or say what is wrong with them."""
    _, dtype = _TYPES[tensor.format]
    try:
        view = memoryview(values)  # type: ignore[arg-type]
    except (TypeError, ValueError, BufferError):
        raise InputError(
            f"input '{tensor.name}': {type(values).__name__} found, an array expected: "
            f"numpy.asarray(x, dtype=numpy.{dtype})"
        ) from None
    if view.format.lstrip("@=<") != tensor.format:
        raise InputError(
            f"input '{tensor.name}': dtype {_dtype_name(values, view)} found, {dtype} expected; "
            f"convert it: x.astype(np.{dtype})"
        )
    if view.shape != tensor.shape:
        raise InputError(
            f"input '{tensor.name}': shape {list(view.shape)} found, {list(tensor.shape)} expected"
            f"{_shape_hint(view.shape, tensor.shape)}"
        )
    return view


def _dtype_name(values: object, view: memoryview) -> str:
    return str(getattr(values, "dtype", f"'{view.format}' (struct format)"))


def _shape_hint(found: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """Guess at the next step for the shapes that people pass."""
    if found == expected[1:] and expected[0] == 1:
        return "; add the batch dimension: x[None]"
    if len(found) == len(expected) == 4 and found == tuple(expected[i] for i in (0, 2, 3, 1)):
        return "; move the channels forward: x.transpose(0, 3, 1, 2)"
    if len(found) == len(expected) and found[1:] == expected[1:]:
        return f"; run image by image, or convert the model with batch={found[0]}"
    if found and len(found) == 1 and found[0] == math.prod(expected):
        return f'; give it its shape: memoryview(x).cast("B").cast("f", {list(expected)})'
    return ""
