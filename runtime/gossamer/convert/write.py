"""What `convert` checks and writes besides the model."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import numpy as np

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


def take_normalization(texts: dict[str, str], dtype: str) -> tuple[str, np.ndarray, np.ndarray]:
    """Remove mean and scale from the metadata: the model itself normalises pixels of `dtype`.

    Raises
    ------
    InputError
        One of the two is missing or no list of finite numbers, they differ in length, or `dtype`
        is neither "u8" nor "f32".
    """
    if dtype not in ("u8", "f32"):
        raise InputError(f"pixels: 'u8' or 'f32' expected, found {dtype!r}")
    mean, scale = (_numbers(texts, key) for key in ("image_mean", "image_scale"))
    if len(mean) != len(scale):
        raise InputError(
            f"metadata 'image_mean' and 'image_scale': as many numbers expected, found {len(mean)} "
            f"and {len(scale)}"
        )
    return dtype, mean, scale


def _numbers(texts: dict[str, str], key: str) -> np.ndarray:
    text = texts.pop(key, "")
    try:
        numbers = np.array(text.split(), dtype=np.float32)
    except ValueError:
        numbers = np.array([np.nan])
    if not len(numbers) or not np.isfinite(numbers).all():
        raise InputError(
            f"metadata {key!r}: one number a channel, separated by spaces, expected to normalise "
            f"pixels, found {text!r}"
        )
    return numbers


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
