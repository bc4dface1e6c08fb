"""Two ways to call the native library, cffi and ctypes, behind one small interface.

Both read the same header text. Both release the interpreter's lock while C runs.

===============  =====================================================================
``call``         calls a function; the result as an int, a pointer or None
``new``          zeroed storage for one value of a C type, passed where C wants ``type *``
``value``        what a function has written into such storage, for pointer types
``text``         a ``const char *`` or ``char[]`` as str
``c_string``     a str as ``const char *``; the caller keeps it alive
``view``         memory as a writable memoryview of bytes
``size``         size of a type in bytes
===============  =====================================================================
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ._declarations import Declarations, Variable, cdef, parse


class CffiBinding:
    """cffi in ABI mode: no compiler, no CPython ABI."""

    def __init__(self, library: Path, header: str) -> None:
        import cffi

        self._ffi = cffi.FFI()
        self._ffi.cdef(cdef(header))
        self._library = self._ffi.dlopen(str(library))
        self.declarations = parse(cdef(header))

    def call(self, function: str, *arguments: Any) -> Any:
        return getattr(self._library, function)(*arguments)

    def new(self, type_: str) -> Any:
        return self._ffi.new(f"{type_} *")

    def value(self, storage: Any) -> Any:
        return storage[0]

    def text(self, pointer: Any) -> str:
        return self._ffi.string(pointer).decode("utf-8", "replace")

    def c_string(self, text: str) -> Any:
        return self._ffi.new("char[]", text.encode())

    def view(self, pointer: Any, size: int) -> memoryview:
        return memoryview(self._ffi.buffer(pointer, size))

    def size(self, type_: str) -> int:
        return self._ffi.sizeof(type_)


class CtypesBinding:
    """ctypes, from the standard library: what Pyodide has."""

    def __init__(self, library: Path, header: str) -> None:
        import ctypes

        self._ctypes = ctypes
        self._library = ctypes.CDLL(str(library))
        self.declarations = parse(cdef(header))
        self._types = {
            "char": ctypes.c_char,
            "int32_t": ctypes.c_int32,
            "size_t": ctypes.c_size_t,
            "uint32_t": ctypes.c_uint32,
            "uint64_t": ctypes.c_uint64,
            "void": None,
            "const char *": ctypes.c_char_p,
            "uint64_t *": ctypes.POINTER(ctypes.c_uint64),
            "const char **": ctypes.POINTER(ctypes.c_char_p),
        }
        self._declare(self.declarations)

    def _declare(self, declarations: Declarations) -> None:
        for name in declarations.enums:
            self._types[name] = self._ctypes.c_int
        for name, variables in declarations.structs.items():
            layout = [(v.name, self._field_type(v)) for v in variables]
            self._types[name] = type(name, (self._ctypes.Structure,), {"_fields_": layout})
        for name, function in declarations.functions.items():
            prototype = getattr(self._library, name)
            prototype.argtypes = [self._type(v.type) for v in function.parameters]
            prototype.restype = self._type(function.result)

    def _field_type(self, variable: Variable) -> Any:
        type_ = self._type(variable.type)
        return type_ * variable.length if variable.length else type_

    def _type(self, spelling: str) -> Any:
        """Map a C type; handles and plain data are addresses."""
        if spelling in self._types:
            return self._types[spelling]
        target = spelling.removeprefix("const ").removesuffix("*").strip()
        if target in self.declarations.structs:
            return self._ctypes.POINTER(self._types[target])
        if target.endswith("*"):
            return self._ctypes.POINTER(self._ctypes.c_void_p)
        return self._ctypes.c_void_p

    def call(self, function: str, *arguments: Any) -> Any:
        return getattr(self._library, function)(*arguments)

    def new(self, type_: str) -> Any:
        return self._type(type_)()

    def value(self, storage: Any) -> Any:
        return storage.value

    def text(self, pointer: bytes) -> str:
        return pointer.decode("utf-8", "replace")

    def c_string(self, text: str) -> bytes:
        return text.encode()

    def view(self, pointer: int, size: int) -> memoryview:
        return memoryview((self._ctypes.c_ubyte * size).from_address(pointer)).cast("B")

    def size(self, type_: str) -> int:
        return self._ctypes.sizeof(self._type(type_))
