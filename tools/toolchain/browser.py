"""The browser that the page tests drive: a Chromium or Chrome that is there, else Debian's."""

from __future__ import annotations

import shutil
from pathlib import Path

from debian import install as install_packages
from task import Failure

TASK = "chromium"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def install() -> None:
    """Make sure that there is a browser."""
    if _find() is None:
        install_packages(TASK, ("chromium",), "install Chromium or Chrome and put it on PATH")


def locate() -> Path:
    """Return the browser's path.

    Raises
    ------
    Failure
        There is none.
    """
    path = _find()
    if path is None:
        raise Failure(f"no Chromium or Chrome was found; run `python3 tools/toolchain {TASK}`.")
    return path


def _find() -> Path | None:
    return next((Path(path) for name in NAMES if (path := shutil.which(name))), None)
