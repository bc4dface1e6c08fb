"""Build a wheel for one target into dist/.

No wheel holds a CPython extension, only a shared library that cffi or ctypes loads: one wheel
serves every Python of a platform, and cross-compiling one takes no foreign Python. `pyodide build`
makes the same Pyodide wheel where it can be installed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Target:
    """How a wheel is built: CMake toolchain file and definitions, platform tag of the result."""

    toolchain: str | None = None
    definitions: tuple[str, ...] = ()
    platform: str | None = None


TARGETS = {
    "native": Target(definitions=("GOSSAMER_BUNDLE_WEB=ON",)),
    "aarch64": Target("arm/toolchain-aarch64.cmake", platform="linux_aarch64"),
    "pyodide": Target(  # the platform of Pyodide 314
        "wasm/toolchain-emscripten.cmake", ("GOSSAMER_WASM=pyodide",), "pyemscripten_2026_0_wasm32"
    ),
}


def build(name: str, target: Target, folder: Path) -> Path:
    """Build the wheel in `folder`; its platform tag is the host's."""
    settings = [f"-Cbuild-dir=build/wheel-{name}"]
    if target.toolchain:
        settings.append(f"-Ccmake.args=--toolchain={ROOT / target.toolchain}")
    settings += [f"-Ccmake.define.{definition}" for definition in target.definitions]
    subprocess.run(
        [
            *(sys.executable, "-m", "build", "--wheel", "--no-isolation"),
            "--outdir",
            folder,
            *settings,
            ROOT,
        ],
        check=True,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def retag(wheel: Path, platform: str) -> Path:
    """Give the wheel the platform tag that its content has."""
    subprocess.run(
        [sys.executable, "-m", "wheel", "tags", "--remove", "--platform-tag", platform, wheel],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (tagged,) = wheel.parent.glob("*.whl")
    return tagged


def main() -> int:
    """Build the wheels of the named targets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="+", choices=TARGETS)
    dist = ROOT / "dist"
    dist.mkdir(exist_ok=True)
    wheels = json.loads(index.read_text()) if (index := dist / "wheels.json").exists() else {}
    for name in parser.parse_args().target:
        target = TARGETS[name]
        with tempfile.TemporaryDirectory() as scratch:
            try:
                wheel = build(name, target, Path(scratch))
                wheel = retag(wheel, target.platform) if target.platform else wheel
            except subprocess.CalledProcessError as failure:
                print(f"build_wheel: {name}: {failure.cmd[2]} failed, see above", file=sys.stderr)
                return 1
            (dist / wheel.name).write_bytes(wheel.read_bytes())
        wheels[name] = wheel.name
        index.write_text(
            json.dumps(wheels, indent=2) + "\n"
        )  # the Pyodide page looks its wheel up here
        print(f"dist/{wheel.name}: {(dist / wheel.name).stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
