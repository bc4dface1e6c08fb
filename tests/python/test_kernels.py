"""The C tests of `tests/kernels` and `tests/c`, built and run on every target."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# Programs of the environment that runs pytest, cmake and ninja among them, come first.
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def run(*command: str | Path, root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=root,
        env=os.environ | {"PATH": PATH},
        capture_output=True,
        text=True,
        timeout=600,
    )


def check(*command: str | Path, root: Path) -> None:
    result = run(*command, root=root)
    line = " ".join(map(str, command))
    assert result.returncode == 0, f"{line}\n{result.stdout[-8000:]}{result.stderr[-4000:]}"


def require_programs(*names: str) -> None:
    missing = [name for name in names if not shutil.which(name, path=PATH)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: run `make test`, which installs what is missing")


def require_toolchain(preset: str, root: Path) -> None:
    require_programs("cmake", "ctest", "ninja")
    if preset == "aarch64":
        require_programs("aarch64-linux-gnu-gcc", "qemu-aarch64")
    if preset.startswith("wasm"):
        require_programs("node")
        emcc = run(sys.executable, "tools/toolchain", "--print", "emcc", root=root)
        if emcc.returncode != 0:
            pytest.skip(f"no WebAssembly compiler: {emcc.stderr.strip()}")


def build(preset: str, root: Path) -> Path:
    """Build the preset, quick when nothing changed, and say where."""
    require_toolchain(preset, root)
    folder = root / "build" / preset
    if not (folder / "build.ninja").exists():
        check("cmake", "--preset", preset, root=root)
    check("cmake", "--build", "--preset", preset, "--parallel", "2", root=root)
    return folder


@pytest.mark.parametrize("preset", ["native", "asan", "aarch64", "wasm-simd", "wasm-relaxed"])
def test_kernels_and_c_api_do_what_their_headers_say(preset: str, root: Path):
    build(preset, root)
    check("ctest", "--preset", preset, "--no-tests=error", root=root)


def test_kernel_tests_refuse_a_family_that_does_not_exist(root: Path):
    program = build("native", root) / "tests" / "kernels" / "kernel_tests"
    result = run(program, "pointwize_f32", root=root)
    assert result.returncode == 1
    assert "no family is called 'pointwize_f32'" in result.stderr


def test_kernel_tests_repeat_a_run_by_its_seed(root: Path):
    program = build("native", root) / "tests" / "kernels" / "kernel_tests"
    first, second = (run(program, "--seed", "20", "pointwise_f32", root=root) for _ in range(2))
    assert first.returncode == 0
    assert first.stdout.startswith("seed 20\n")
    assert first.stdout == second.stdout
