"""64-bit ARM: Debian's cross compiler and emulator, and a real ARM Python with numpy and cffi.

The Python is the one of Debian 12, which Raspberry Pi OS ships. It is unpacked into a folder of our
own: the host's package system never hears of a second architecture.
"""

from __future__ import annotations

from pathlib import Path

from debian import install as install_packages
from debian import unpack
from task import CACHE, CommandFailed, Failure, Stamp, run, say

TASK = "aarch64"
PREFIX = CACHE / "aarch64"
HOST_PACKAGES = ("gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross", "qemu-user")
# The interpreter, numpy and cffi with every library that they load.
PACKAGES = (
    *("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib"),
    *("python3-cffi", "python3-cffi-backend", "python3-pycparser", "python3-ply", "python3-numpy"),
    *("libc6", "libgcc-s1", "libstdc++6", "libgfortran5", "libblas3", "liblapack3", "libffi8"),
    *("zlib1g", "libbz2-1.0", "liblzma5", "libexpat1", "libssl3", "libcrypt1"),
)
LAUNCHER = """#!/bin/sh
root={root}
lib=usr/lib/aarch64-linux-gnu
exec qemu-aarch64 -L "$root" \\
  -E LD_LIBRARY_PATH="$root/lib/aarch64-linux-gnu:$root/$lib:$root/$lib/blas:$root/$lib/lapack" \\
  -E PYTHONHOME="$root/usr" \\
  -E PYTHONPATH="$root/usr/lib/python3/dist-packages${{PYTHONPATH:+:$PYTHONPATH}}" \\
  "$root/usr/bin/python3.11" "$@"
"""
CHECK = """
import platform, cffi, numpy
ffi = cffi.FFI()
ffi.cdef("int abs(int);")
assert ffi.dlopen(None).abs(-3) == 3 and (numpy.eye(3) @ numpy.arange(3.0)).tolist() == [0, 1, 2]
print(platform.machine())
"""


def install() -> None:
    """Make sure that the cross compiler, the emulator and the ARM Python are there."""
    otherwise = "use Debian or Ubuntu, or a container of it"
    install_packages(TASK, HOST_PACKAGES, otherwise)
    stamp = Stamp(PREFIX, *PACKAGES, LAUNCHER)
    if stamp.fresh():
        return
    unpack(TASK, PACKAGES, "bookworm", "arm64", PREFIX)
    launcher = PREFIX / "aarch64-python"
    launcher.write_text(LAUNCHER.format(root=PREFIX))
    launcher.chmod(0o755)
    try:
        machine = run(TASK, (launcher, "-c", CHECK))
    except CommandFailed as failure:
        reason = failure.reason("importerror")
        raise Failure(f"aarch64: the ARM Python does not work under qemu: {reason}.") from None
    if machine != "aarch64":
        raise Failure(f"aarch64: the ARM Python answers {machine!r} when asked for its machine.")
    stamp.write()
    say(TASK, f"ready: {locate()}")


def locate() -> Path:
    """Return the command that runs the ARM Python.

    Raises
    ------
    Failure
        It is not set up.
    """
    launcher = PREFIX / "aarch64-python"
    if not launcher.exists():
        raise Failure(f"the ARM Python is not set up; run `python3 tools/toolchain {TASK}`.")
    return launcher
