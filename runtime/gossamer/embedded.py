"""The models that ship with the package."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import InputError
from .session import InferenceSession, SessionOptions

MODELS = Path(__file__).with_name("models")


def model_names() -> list[str]:
    """Return the names that `load_model` takes, in alphabetical order."""
    return sorted(path.stem for path in MODELS.glob("*.goss"))


def load_model(name: str, options: SessionOptions | None = None) -> InferenceSession:
    """Open a model that ships with the package.

    Parameters
    ----------
    name
        One of `model_names`.
    options
        None = the defaults.

    Raises
    ------
    InputError
        There is no such model; the message lists those that there are.
    """
    if name not in model_names():
        raise InputError(
            f"no embedded model {name!r}; there is: {', '.join(model_names()) or 'none'}. "
            f"Open a file with gossamer.InferenceSession(path)"
        )
    return InferenceSession(MODELS / f"{name}.goss", options)


def open_model(name_or_path: str, options: SessionOptions | None = None) -> InferenceSession:
    """Open a file, or the embedded model of that name where no such file exists.

    Raises
    ------
    InputError
        It is neither.
    """
    return InferenceSession(find_model(name_or_path), options)


def find_model(name_or_path: str) -> Path:
    """Give the path of a file, or of the embedded model of that name where no such file exists.

    Raises
    ------
    InputError
        It is neither.
    """
    if os.path.exists(name_or_path):
        return Path(name_or_path)
    if name_or_path in model_names():
        return MODELS / f"{name_or_path}.goss"
    raise InputError(
        f"{name_or_path}: no such file, and no embedded model of that name "
        f"(there is: {', '.join(model_names()) or 'none'})"
    )
