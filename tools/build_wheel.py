"""Build the Pyodide wheel into dist/.

The wheel holds a WebAssembly side module that ``ctypes`` loads, and no CPython extension, so that one wheel serves every
Python of a Pyodide platform. ``pyodide build`` makes the same wheel where it can be installed (it needs the Emscripten
of that Pyodide); this script needs any Emscripten that ``tools/toolchain`` finds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLATFORM = "pyemscripten_2026_0_wasm32"  # Pyodide 314


def build(folder: Path) -> Path:
    """Build the wheel in `folder`; its platform tag is the host's until it is corrected."""
    toolchain = ROOT / "wasm" / "toolchain-emscripten.cmake"
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT]
        + ["-Cbuild-dir=build/wheel-pyodide", f"-Ccmake.args=--toolchain={toolchain}"]
        + ["-Ccmake.define.GOSSAMER_WASM=pyodide"],
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
    """Build, tag, and leave a note of the file's name for the page that installs it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--platform", default=PLATFORM, help="platform tag (default: %(default)s)")
    platform = parser.parse_args().platform
    dist = ROOT / "dist"
    dist.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            wheel = retag(build(Path(scratch)), platform)
        except subprocess.CalledProcessError as failure:
            print(f"build_pyodide_wheel: {failure.cmd[2]} failed, see above", file=sys.stderr)
            return 1
        for old in dist.glob("gossamer_nn-*-*emscripten*.whl"):
            old.unlink()
        final = dist / wheel.name
        final.write_bytes(wheel.read_bytes())
    (dist / "pyodide-wheel.json").write_text(json.dumps({"wheel": final.name}) + "\n")
    print(final.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
