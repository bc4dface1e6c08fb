"""How commands answer: results go to stdout, everything else to stderr."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..table import aligned


def print_json(value: Any) -> None:
    """Print a document."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_fact(name: str, fact: str) -> None:
    """Print a line of a description."""
    print(f"{name:<13}  {fact}")


def print_table(rows: Iterator[Sequence[str]], right_aligned: range) -> None:
    """Print rows, the first of which heads the columns."""
    print("\n".join(aligned(rows, right_aligned)))


def complain(error: Exception) -> None:
    """Print the one line that an error is."""
    message = str(error)
    if isinstance(error, OSError) and error.filename is not None:
        message = f"{error.filename}: {error.strerror}"
    print(f"gossamer: error: {message}", file=sys.stderr)


def show_step(what: str, done: int, total: int) -> None:
    """Show progress in place."""
    print(f"\r\x1b[K{what}: {done}/{total}", end="", file=sys.stderr, flush=True)


@contextmanager
def saying(*loggers: str) -> Iterator[None]:
    """Show on stderr what parts of the package log."""
    handler = logging.StreamHandler(sys.stderr)
    levels = {log: log.level for log in map(logging.getLogger, loggers)}
    for log in levels:
        log.addHandler(handler)
        log.setLevel(logging.INFO)
    try:
        yield
    finally:
        for log, level in levels.items():
            log.removeHandler(handler)
            log.setLevel(level)
