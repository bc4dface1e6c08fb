"""The WebAssembly compiler: `$EMSDK`, a recent `emcc` on PATH, or Debian 13's Emscripten.

Debian 12 has the LLVM that Emscripten 3.1.69 needs, but an Emscripten too old for relaxed SIMD.
Debian 13's Emscripten is Python and data; its binaryen is native code that needs a newer C library,
so that comes along, and its own loader starts binaryen.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from debian import install as install_packages
from debian import unpack
from task import CACHE, CommandFailed, Failure, Stamp, answer, require, run, say

TASK = "emscripten"
OLDEST = (3, 1, 58)  # the first with the final relaxed SIMD instructions in its headers and tools
PREFIX = CACHE / "emscripten"
LLVM = Path("/usr/lib/llvm-19/bin")
HOST_PACKAGES = ("clang-19", "lld-19", "llvm-19", "node-acorn")
PACKAGES = ("emscripten", "binaryen", "libc6", "libgcc-s1", "libstdc++6")
EMSDK_HINT = "install emsdk (https://emscripten.org) and set EMSDK to its folder"

BINARYEN = """#!/bin/sh
exec "{usr}/lib64/ld-linux-x86-64.so.2" --library-path "{usr}/lib/x86_64-linux-gnu" \\
  "{usr}/bin/{name}" "$@"
"""
CONFIG = """LLVM_ROOT = {llvm!r}
BINARYEN_ROOT = {binaryen!r}
NODE_JS = {node!r}
FROZEN_CACHE = True
"""


def install() -> None:
    """Make sure that `locate` finds a compiler that works."""
    require(TASK, "node")
    if _users_own() is not None:
        return
    stamp = Stamp(PREFIX, *PACKAGES, BINARYEN, CONFIG, str(shutil.which("node")))
    if stamp.fresh() and (LLVM / "clang").exists():
        return
    if (os.uname().sysname, os.uname().machine) != ("Linux", "x86_64"):
        raise Failure(
            f"emscripten: no emcc {_dotted(OLDEST)} or newer was found, and Debian's packages are "
            f"for x86-64 Linux, not {os.uname().sysname} {os.uname().machine}; {EMSDK_HINT}."
        )
    install_packages(TASK, HOST_PACKAGES, EMSDK_HINT)
    unpack(TASK, PACKAGES, "trixie", "amd64", PREFIX)
    _configure()
    _verify(PREFIX / "usr/share/emscripten/emcc")
    stamp.write()
    say(TASK, f"ready: {locate()}")


def locate() -> Path:
    """Return the `emcc` to use; its CMake modules lie beside it in ``cmake/Modules``.

    Raises
    ------
    Failure
        There is none yet, or `$EMSDK` holds one that is too old.
    """
    emcc = _users_own() or PREFIX / "usr/share/emscripten/emcc"
    if not emcc.exists():
        raise Failure(f"emscripten is not set up; run `python3 tools/toolchain {TASK}`.")
    return emcc


def _users_own() -> Path | None:
    """The user's emcc: `$EMSDK` has to be right, one on PATH may be too old."""
    if emsdk := os.environ.get("EMSDK"):
        emcc = Path(emsdk) / "upstream/emscripten/emcc"
        version = _version(emcc)
        if version < OLDEST:
            raise Failure(
                f"emscripten: {emcc} (from $EMSDK) is {_dotted(version) or 'missing'}, and "
                f"{_dotted(OLDEST)} or newer is needed; run `emsdk install latest` and "
                "`emsdk activate latest`, or unset EMSDK."
            )
        return emcc
    path = shutil.which("emcc")
    if path is None or _version(Path(path)) < OLDEST:
        return None
    emcc = Path(answer("em-config", "EMSCRIPTEN_ROOT").strip()) / "emcc"
    return emcc if emcc.exists() else None


def _version(emcc: Path) -> tuple[int, ...]:
    """The compiler's version; empty when there is none to ask."""
    found = re.search(r"\b(\d+)\.(\d+)\.(\d+)", answer(emcc, "--version"))
    return tuple(map(int, found.groups())) if found else ()


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _configure() -> None:
    """Tie the unpacked parts together."""
    root = PREFIX / "usr/share/emscripten"
    binaryen = PREFIX / "binaryen"
    (binaryen / "bin").mkdir(parents=True)
    for program in (PREFIX / "usr/bin").glob("wasm*"):
        launcher = binaryen / "bin" / program.name
        launcher.write_text(BINARYEN.format(usr=PREFIX / "usr", name=program.name))
        launcher.chmod(0o755)
    config = CONFIG.format(llvm=str(LLVM), binaryen=str(binaryen), node=shutil.which("node"))
    (root / ".emscripten").write_text(config)
    # Node looks for ES modules (acorn, for JavaScript output) only in folders of this name.
    (root / "node_modules").symlink_to("/usr/share/nodejs")


PROGRAM = """
#include <stdio.h>
#include <wasm_simd128.h>
__attribute__((export_name("twelve"), visibility("default"))) float twelve(float x) {
  v128_t vx = wasm_f32x4_splat(x), five = wasm_f32x4_splat(5.0f), two = wasm_f32x4_splat(2.0f);
  return wasm_f32x4_extract_lane(wasm_f32x4_relaxed_madd(vx, five, two), 0);
}
#ifdef MAIN
int main(void) { printf("%g\\n", twelve(2.0f)); }
#endif
"""
LOAD = """
require("v8").setFlagsFromString("--experimental-wasm-relaxed-simd");
const bytes = require("fs").readFileSync("alone.wasm");
WebAssembly.instantiate(bytes, {}).then(({instance}) => console.log(instance.exports.twelve(2)));
"""


def _verify(emcc: Path) -> None:
    """Build each kind of module that Gossamer needs, and run those that run by themselves."""
    say(TASK, "compiling a test program")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "program.c").write_text(PROGRAM)
        build = (emcc, "program.c", "-O3", "-msimd128", "-mrelaxed-simd")
        try:
            run(TASK, (*build, "-DMAIN", "-o", "main.js"), cwd=folder)
            run(TASK, (*build, "-sSIDE_MODULE=2", "-o", "side.so"), cwd=folder)
            run(TASK, (*build, "--no-entry", "-sSTANDALONE_WASM", "-o", "alone.wasm"), cwd=folder)
            result = run(TASK, ("node", "-e", LOAD), cwd=folder)
        except CommandFailed as failure:
            reason = failure.reason("emcc: error")
            raise Failure(
                f"emscripten: the compiler fails on a test program: {reason}; {EMSDK_HINT}."
            ) from None
        if result.splitlines()[-1:] != ["12"]:
            raise Failure(f"emscripten: a test program says {result!r}, not 12; {EMSDK_HINT}.")
