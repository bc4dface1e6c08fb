from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import tiny_models


@pytest.fixture(scope="module")
def packages(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source package, and the wheel that is built from nothing but it."""
    target = tmp_path_factory.mktemp("dist")
    tools = Path(sys.executable).parent
    build = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", target, root],
        env={**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    (source,), (wheel,) = target.glob("*.tar.gz"), target.glob("*.whl")
    return source, wheel


def test_the_source_package_holds_sources_only(packages: tuple[Path, Path]) -> None:
    with tarfile.open(packages[0]) as tar:
        names = [Path(*Path(name).parts[1:]) for name in tar.getnames()]
    assert {name.parts[0] for name in names} <= {
        *("CMakeLists.txt", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"),
        *("arm", "runtime", "wasm", "web"),
    }
    junk = {".pyc", ".so", ".dylib", ".o", ".pt", ".onnx"}
    assert [name for name in names if name.suffix in junk or "node_modules" in name.parts] == []


def test_the_wheel_serves_every_python_of_a_platform(packages: tuple[Path, Path]) -> None:
    assert "-py3-none-" in packages[1].name


def test_the_wheel_holds_engine_header_types_and_models(
    root: Path, packages: tuple[Path, Path]
) -> None:
    names = zipfile.ZipFile(packages[1]).namelist()
    library = "libgossamer.dylib" if sys.platform == "darwin" else "libgossamer.so"
    expected = {
        f"gossamer/{name}" for name in (library, "gossamer.h", "py.typed", "explain/page.html")
    }
    models = root / "runtime" / "gossamer" / "models"
    expected |= {f"gossamer/models/{path.name}" for path in models.glob("*")}
    assert expected <= set(names)
    assert [name for name in names if name.startswith(("tests", "tools")) or ".pyc" in name] == []


def test_the_unpacked_wheel_runs_a_model(packages: tuple[Path, Path], tmp_path: Path) -> None:
    zipfile.ZipFile(packages[1]).extractall(tmp_path)
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import gossamer, numpy
assert gossamer.__file__.startswith({str(tmp_path)!r})
session = gossamer.InferenceSession(sys.stdin.buffer.read())
ones = numpy.ones((2, 3), "float32")
print(session.run(["total"], {{"a": ones, "b": ones}})[0].sum())
"""
    result = subprocess.run(
        [sys.executable, "-I", "-c", program],
        input=tiny_models.sums(),
        capture_output=True,
        check=True,
    )
    assert result.stdout.decode().strip() == "12.0"
