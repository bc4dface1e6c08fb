"""What the benchmark compares with: the other engines' npm packages, and TensorFlow for .tflite."""

from __future__ import annotations

import sys
from pathlib import Path

from task import CACHE, ROOT, CommandFailed, Failure, Stamp, require, run, say

TASK = "bench"
FOLDER = ROOT / "tools" / "bench"
TENSORFLOW = CACHE / "tensorflow"
REQUIREMENT = "tensorflow-cpu>=2.20"


def install() -> None:
    """Install the packages of ``tools/bench/package-lock.json``, and TensorFlow on its own."""
    _install_packages()
    _install_tensorflow()


def tensorflow_python() -> Path:
    """Of the environment that `install` made."""
    return TENSORFLOW / "bin" / "python"


def _install_packages() -> None:
    require(TASK, "node", "npm")
    stamp = Stamp(FOLDER / "node_modules", FOLDER / "package.json", FOLDER / "package-lock.json")
    if stamp.fresh():
        return
    say(TASK, "installing the engines to compare with (npm)")
    try:
        run(TASK, ("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"), cwd=FOLDER)
    except CommandFailed as failure:
        raise Failure(
            "bench: npm could not install what tools/bench/package.json names: "
            f"{failure.reason('npm error', 'npm err!')}; check the network, then run it again."
        ) from None
    stamp.write()


def _install_tensorflow() -> None:
    stamp = Stamp(TENSORFLOW, Path(__file__))
    if stamp.fresh():
        return
    say(TASK, "installing TensorFlow, which makes .tflite files, into an environment of its own")
    try:
        run(TASK, (sys.executable, "-m", "venv", "--clear", str(TENSORFLOW)))
        run(TASK, (str(tensorflow_python()), "-m", "pip", "install", "-q", REQUIREMENT))
    except CommandFailed as failure:
        raise Failure(
            f"bench: pip could not install {REQUIREMENT}: {failure.reason('error')}; check the "
            "network, then run it again."
        ) from None
    stamp.write()
