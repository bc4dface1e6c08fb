"""The native engine as Python objects. Nothing outside this module and `_bindings` sees a pointer.

`Engine` is the loaded library; `NativeSession` owns one model with everything that running needs.
Every status that the library returns becomes an exception in one place, `Engine.check`.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any, NamedTuple

from ._bindings import CffiBinding, CtypesBinding
from ._declarations import HEADER
from .errors import (
    EngineError,
    GossamerError,
    InputError,
    ModelError,
    OutOfMemoryError,
    UnsupportedError,
)

ABI_VERSION = 3
ERROR_BYTES = 256
LIBRARY = HEADER.with_name("libgossamer.dylib" if sys.platform == "darwin" else "libgossamer.so")

BINDINGS: dict[str, type[CffiBinding] | type[CtypesBinding]] = {
    "cffi": CffiBinding,
    "ctypes": CtypesBinding,
}

STATUS_ERRORS: dict[str, type[GossamerError]] = {
    "GOSS_INVALID_ARGUMENT": InputError,
    "GOSS_MODEL_CORRUPT": ModelError,
    "GOSS_UNSUPPORTED": UnsupportedError,
    "GOSS_OUT_OF_MEMORY": OutOfMemoryError,
    "GOSS_WORKER_FAILED": EngineError,
}


class Memory(NamedTuple):
    """Memory of the engine, aligned to 64 bytes: its address, and its bytes, writable."""

    pointer: Any
    view: memoryview


class Tensor(NamedTuple):
    """An input or output of a session, and the memory that runs read or write.

    `format` is that of `struct`: "f" for f32, "B" for u8.
    """

    name: str
    shape: tuple[int, ...]
    format: str
    view: memoryview


class Engine:
    """The native library, loaded and checked.

    Raises
    ------
    EngineError
        The library or its header is missing, cannot be loaded, or belongs to another version.
    """

    def __init__(self, binding: str) -> None:
        if not LIBRARY.exists() or not HEADER.exists():
            raise EngineError(
                f"{LIBRARY} or {HEADER.name} is missing: this copy of gossamer was not built; "
                f"install it with `pip install .` or `pip install gossamer-nn`"
            )
        try:
            self.binding = BINDINGS[binding](LIBRARY, HEADER.read_text(encoding="utf-8"))
        except OSError as error:
            raise EngineError(
                f"{LIBRARY} cannot be loaded on this machine: {error}; reinstall gossamer-nn"
            ) from error
        self._check_version()
        statuses = self.binding.declarations.enums["goss_status"]
        self._errors = {statuses[name]: error for name, error in STATUS_ERRORS.items()}

    def _check_version(self) -> None:
        found = self.binding.call("goss_abi_version")
        if found != ABI_VERSION:
            raise EngineError(
                f"{LIBRARY} has binary interface {found}, this package expects {ABI_VERSION}; "
                f"reinstall gossamer-nn"
            )
        size = self.binding.size("goss_error")
        if size != ERROR_BYTES:
            raise EngineError(
                f"goss_error takes {size} bytes as declared by {HEADER}, {ERROR_BYTES} expected; "
                f"reinstall gossamer-nn"
            )

    @property
    def version(self) -> str:
        """Version of the library, "major.minor.patch"."""
        return self.binding.text(self.binding.call("goss_version"))

    @property
    def isas(self) -> list[str]:
        """Instruction sets that this machine can run, best first."""
        count = self.binding.call("goss_isa_count")
        return [
            self.binding.text(self.binding.call("goss_isa_name", index)) for index in range(count)
        ]

    def multiply_adds(self, isa: str | None, rounds: int) -> int:
        """Do multiply-adds in registers and return how many."""
        name = self.binding.c_string(isa or self.isas[0])
        done = self.binding.new("uint64_t")
        self.check("goss_multiply_adds", name, rounds, done)
        return self.binding.value(done)

    def check(self, function: str, *arguments: Any, where: str = "") -> None:
        """Call a function that returns a status and takes a ``goss_error`` last; raise its error.

        Parameters
        ----------
        function
            Name of the C function.
        *arguments
            All but the last.
        where
            Put in front of the message: the file that is being read.
        """
        error = self.binding.new("goss_error")
        status = self.binding.call(function, *arguments, error)
        if status != 0:
            raise self._errors[status](where + self.binding.text(error.message))

    def allocate(self, owner: ExitStack, size: int) -> Memory:
        """Allocate `size` bytes that live until `owner` closes."""
        pointer = self.binding.call("goss_alloc", max(size, 1))
        if not pointer:
            raise OutOfMemoryError(f"no memory: {size} bytes could not be allocated")
        owner.callback(self.binding.call, "goss_free", pointer)
        return Memory(pointer, self.binding.view(pointer, size))

    def fields(self, struct: str, storage: Any) -> dict[str, Any]:
        """Copy a struct into a dict; ``dims`` is cut to ``rank``."""
        fields: dict[str, Any] = {}
        for variable in self.binding.declarations.structs[struct]:
            value = getattr(storage, variable.name)
            if variable.type == "const char *":
                value = self.binding.text(value)
            elif variable.length:
                value = [int(value[index]) for index in range(storage.rank)]
            fields[variable.name] = value
        return fields

    def image_to_tensor(
        self,
        pixels: memoryview,
        mean: memoryview,
        scale: memoryview,
        width: int,
        height: int,
        where: str,
    ) -> bytearray:
        """Crop, average and normalise a photo.

        Parameters
        ----------
        pixels
            u8, shape ``[height, width, 3 | 4]``.
        mean, scale
            f32, 3 values each.
        width, height
            Of the result.
        where
            Put in front of messages: the picture's file.

        Returns
        -------
        bytearray
            f32, ``[3, height, width]``.
        """
        rows, columns, channels = pixels.shape
        with ExitStack() as owner:
            memories = [self.allocate(owner, view.nbytes) for view in (pixels, mean, scale)]
            for memory, view in zip(memories, (pixels, mean, scale), strict=True):
                memory.view[:] = plain_bytes(view)
            source, means, scales = (memory.pointer for memory in memories)
            tensor = self.allocate(owner, 3 * height * width * 4)
            self.check(
                "goss_image_to_tensor",
                *(source, columns, rows, channels),
                *(means, scales, tensor.pointer, width, height),
                where=where,
            )
            return bytearray(tensor.view)

    def image_to_pixels(self, pixels: memoryview, width: int, height: int, where: str) -> bytearray:
        """Crop and average a photo; as `image_to_tensor`, but u8 ``[height, width, 3]``."""
        rows, columns, channels = pixels.shape
        with ExitStack() as owner:
            source = self.allocate(owner, pixels.nbytes)
            source.view[:] = plain_bytes(pixels)
            image = self.allocate(owner, height * width * 3)
            photo = (source.pointer, columns, rows, channels)
            self.check("goss_image_to_pixels", *photo, image.pointer, width, height, where=where)
            return bytearray(image.view)


@functools.cache
def engine(binding: str | None = None) -> Engine:
    """Load the native library once: through cffi, or ctypes where cffi is not installed."""
    return Engine(binding or ("cffi" if find_spec("cffi") else "ctypes"))


class NativeSession:
    """A planned model and all that it owns, released in the reverse of the order it was made.

    Parameters
    ----------
    engine
        The library.
    size
        Of the model file, in bytes.
    read
        Fills the memory it is given with the model file and returns how many bytes it has.
    threads
        0 = the default.
    isa
        None = the best of this machine.
    where
        Put in front of messages about the file.
    """

    def __init__(
        self,
        engine: Engine,
        size: int,
        read: Callable[[memoryview], int],
        *,
        threads: int,
        isa: str | None,
        where: str,
    ) -> None:
        self.engine = engine
        with ExitStack() as owner:
            file = engine.allocate(owner, size)
            size = read(file.view)
            self._model = self._load(owner, file, size, where)
            self._session = self._create(owner, threads, isa, where)
            self.info = self._fields("goss_session_describe", "goss_session_info")
            self.inputs = self._bind(owner, "input", self.info["inputs"])
            self.outputs = self._bind(owner, "output", self.info["outputs"])
            self.close = weakref.finalize(self, owner.pop_all().close)

    def _load(self, owner: ExitStack, file: Memory, size: int, where: str) -> Any:
        handle = self.engine.binding.new("goss_model *")
        self.engine.check("goss_model_load", file.pointer, size, handle, where=where)
        model = self.engine.binding.value(handle)
        owner.callback(self.engine.binding.call, "goss_model_destroy", model)
        return model

    def _create(self, owner: ExitStack, threads: int, isa: str | None, where: str) -> Any:
        binding = self.engine.binding
        options, handle = binding.new("goss_options"), binding.new("goss_session *")
        options.threads = threads
        if isa is not None:
            name = binding.c_string(isa)
            options.isa = name
        self.engine.check("goss_session_create", self._model, options, handle, where=where)
        session = binding.value(handle)
        owner.callback(binding.call, "goss_session_destroy", session)
        return session

    def _bind(self, owner: ExitStack, kind: str, count: int) -> list[Tensor]:
        tensors, dtypes = [], self.engine.binding.declarations.enums["goss_dtype"]
        for index in range(count):
            fields = self._fields(f"goss_session_{kind}", "goss_tensor_info", index)
            memory = self.engine.allocate(owner, fields["bytes"])
            self.engine.check(
                f"goss_session_bind_{kind}", self._session, index, memory.pointer, fields["bytes"]
            )
            format_ = "B" if fields["dtype"] == dtypes["GOSS_DTYPE_U8"] else "f"
            tensors.append(Tensor(fields["name"], tuple(fields["dims"]), format_, memory.view))
        return tensors

    def _fields(self, function: str, struct: str, *arguments: Any) -> dict[str, Any]:
        storage = self.engine.binding.new(struct)
        self.engine.check(function, self._session, *arguments, storage)
        return self.engine.fields(struct, storage)

    def layers(self) -> list[dict[str, Any]]:
        """Fields of ``goss_layer_info``, layer by layer."""
        return [
            self._fields("goss_session_layer", "goss_layer_info", index)
            for index in range(self.info["layers"])
        ]

    def metadata(self) -> dict[str, str]:
        """Key / value pairs of the model file."""
        binding = self.engine.binding
        pairs = {}
        for index in range(binding.call("goss_model_metadata_count", self._model)):
            key, value = binding.new("const char *"), binding.new("const char *")
            self.engine.check("goss_model_metadata", self._model, index, key, value)
            pairs[binding.text(binding.value(key))] = binding.text(binding.value(value))
        return pairs

    def rows(self, output: Tensor) -> int:
        """How many rows an output has; of some, each run tells anew."""
        index = self.outputs.index(output)
        return self._fields("goss_session_output", "goss_tensor_info", index)["dims"][0]

    def run(self) -> None:
        """Compute the outputs' memory from the inputs' memory."""
        self.engine.check("goss_session_run", self._session)

    def run_layer(self, index: int) -> None:
        """Run one layer; `index` counts from 0 and one by one."""
        self.engine.check("goss_session_run_layers", self._session, index, 1)


def plain_bytes(view: memoryview) -> memoryview | bytes:
    """Bytes of a buffer in row-major order; copied only where it has gaps or another order."""
    return view.cast("B") if view.c_contiguous else view.tobytes()


def shaped(data: bytearray, shape: Sequence[int], format_: str = "f") -> memoryview:
    """View bytes as an array of `shape`, f32 or of another format."""
    return memoryview(data).cast(format_, list(shape))
