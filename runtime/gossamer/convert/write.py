"""What `convert` checks and writes besides the model."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from ..errors import InputError


def check_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Copy metadata whose keys and values are texts that a file can hold.

    Raises
    ------
    InputError
        Names the entry.
    """
    for key, value in metadata.items():
        for text in (key, value):
            if not isinstance(text, str):
                raise InputError(f"metadata {key!r}: a text expected, found {text!r}")
            if "\0" in text or not _is_unicode(text):
                raise InputError(f"metadata {key!r}: not a text without NUL characters: {text!r}")
    return dict(metadata)


def _is_unicode(text: str) -> bool:
    """Whether the text has an encoding: it may hold half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def write_atomically(data: bytes, path: str | os.PathLike[str]) -> None:
    """Write a file that is either complete or not there.

    Raises
    ------
    InputError
        The place cannot be written; what was there before still is.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        try:
            partial.write_bytes(data)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written: {error.strerror}; choose a file in a folder that can"
        ) from error
