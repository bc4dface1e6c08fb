"""The virtual environment in `.venv`: Gossamer with its extras and the test tools."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from task import ROOT, CommandFailed, Failure, Stamp, answer, require, run, say

TASK = "venv"
FOLDER = ROOT / ".venv"
# Building without isolation keeps CMake's build folder valid and needs no network.
BUILD_TOOLS = ("pip>=23", "scikit-build-core>=1.0", "ninja", "build", "wheel")
PACKAGE = ".[convert,image,test]"
SOURCES = ("arm", "runtime")


def install() -> None:
    """Install the package and what it depends on, if its sources or their description changed."""
    require(TASK, "cc", "cmake")
    stamp = Stamp(FOLDER, sys.version, Path(__file__), *_inputs())
    if stamp.fresh():
        return
    python = FOLDER / "bin" / "python"
    if not answer(python, "-m", "pip", "--version"):  # not there, or its base Python is gone
        say(TASK, f"creating {FOLDER}")
        try:
            run(TASK, (sys.executable, "-m", "venv", "--clear", FOLDER))
        except CommandFailed as failure:
            raise Failure(
                f"venv: `{sys.executable} -m venv` failed: {failure.reason('error')}; "
                "on Debian, `apt-get install python3-venv` gives Python its venv module."
            ) from None
    pip = (python, "-m", "pip", "install", "--progress-bar", "off", "--disable-pip-version-check")
    say(TASK, "installing Gossamer, its extras and the test tools into .venv (pip)")
    try:
        run(TASK, (*pip, "--upgrade", *BUILD_TOOLS))
        run(TASK, (*pip, "--no-build-isolation", PACKAGE), environment={"PATH": _path()})
    except CommandFailed as failure:
        raise Failure(
            f"venv: pip could not install {PACKAGE}: {failure.reason('error:')}; "
            "check the network and `pip config list`, then run the command again."
        ) from None
    stamp.write()


def _inputs() -> Iterator[Path]:
    """Everything that decides what is installed."""
    yield from (ROOT / "pyproject.toml", ROOT / "CMakeLists.txt")
    for folder in SOURCES:
        yield from sorted(
            path
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        )


def _path() -> str:
    """PATH with the environment's own programs (ninja) first."""
    return os.pathsep.join((str(FOLDER / "bin"), os.environ["PATH"]))
