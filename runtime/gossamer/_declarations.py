"""Reads ``gossamer.h``, the one source of declarations, for cffi and for ctypes.

The header keeps plain declarations between two marks. cffi takes that text as it is, ctypes takes
the parsed form; both drop comments and ``GOSS_API`` first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

HEADER = Path(__file__).with_name("gossamer.h")

_BEGIN, _END = "/* cdef: begin", "/* cdef: end"
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_ENUM = re.compile(r"(?:typedef\s+)?enum\s*\w*\s*{(?P<body>[^}]*)}\s*(?P<name>\w*)\s*;")
_STRUCT = re.compile(r"typedef\s+struct\s+\w+\s*{(?P<body>[^}]*)}\s*(?P<name>\w+)\s*;")
_OPAQUE = re.compile(r"typedef\s+struct\s+\w+\s+(?P<name>\w+)\s*;")
_FUNCTION = re.compile(r"(?P<result>[\w\s*]+?)(?P<name>\w+)\s*\((?P<parameters>[^)]*)\)\s*;")
_VARIABLE = re.compile(r"(?P<type>[\w\s]+?[\s*]+)(?P<name>\w+)\s*(?:\[(?P<length>\d+)\])?")


@dataclass(frozen=True)
class Variable:
    """A field or a parameter: its C type, spelled like ``const char *``, and its array length."""

    type: str
    name: str
    length: int | None = None


@dataclass(frozen=True)
class Function:
    """A prototype: the C type of its result, and its parameters in order."""

    result: str
    parameters: tuple[Variable, ...]


@dataclass(frozen=True)
class Declarations:
    """Everything that the header declares, by name."""

    enums: dict[str, dict[str, int]]
    structs: dict[str, tuple[Variable, ...]]
    opaque: tuple[str, ...]
    functions: dict[str, Function]


def cdef(header: str) -> str:
    """Return the declarations between the marks, without comments and ``GOSS_API``."""
    marked = header[header.index(_BEGIN) : header.index(_END)]
    return re.sub(r"\bGOSS_API\b", "", _COMMENT.sub("", marked)).strip()


def parse(declarations: str) -> Declarations:
    """Read what `cdef` returned.

    Raises
    ------
    ValueError
        A line is no enum, struct, opaque handle or prototype of the forms that the header uses.
    """
    enums: dict[str, dict[str, int]] = {}
    structs: dict[str, tuple[Variable, ...]] = {}
    functions: dict[str, Function] = {}

    def take_enum(match: re.Match[str]) -> str:
        entries = (entry.split("=") for entry in match["body"].split(",") if entry.strip())
        enums[match["name"]] = {name.strip(): int(value) for name, value in entries}
        return ""

    def take_struct(match: re.Match[str]) -> str:
        structs[match["name"]] = _variables(match["body"], ";")
        return ""

    def take_function(match: re.Match[str]) -> str:
        parameters = "" if match["parameters"].strip() == "void" else match["parameters"]
        functions[match["name"]] = Function(_spell(match["result"]), _variables(parameters, ","))
        return ""

    rest = _ENUM.sub(take_enum, declarations)
    rest = _STRUCT.sub(take_struct, rest)
    opaque = tuple(match["name"] for match in _OPAQUE.finditer(rest))
    rest = _FUNCTION.sub(take_function, _OPAQUE.sub("", rest)).strip()
    if rest:
        raise ValueError(f"gossamer.h: cannot read {rest.splitlines()[0]!r}")
    return Declarations(enums, structs, opaque, functions)


def _variables(text: str, separator: str) -> tuple[Variable, ...]:
    return tuple(_variable(part.strip()) for part in text.split(separator) if part.strip())


def _variable(text: str) -> Variable:
    match = _VARIABLE.fullmatch(text)
    if match is None:
        raise ValueError(f"gossamer.h: cannot read {text!r}")
    length = int(match["length"]) if match["length"] else None
    return Variable(_spell(match["type"]), match["name"], length)


def _spell(type_: str) -> str:
    """One spelling a type: ``const char *``, ``goss_model **``, ``uint32_t``."""
    return re.sub(r"\s*(\*+)$", r" \1", re.sub(r"\s+", " ", type_).strip())
