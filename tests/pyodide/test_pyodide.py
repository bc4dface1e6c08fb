"""The Pyodide wheel, installed into npm's Pyodide for real."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SCRIPT = HERE.parent / "classify_pixels.py"
HASH_SCRIPT = HERE.parent / "hash_outputs.py"


@pytest.fixture(scope="module")
def wheel(wheels: dict[str, Path]) -> Path:
    if "pyodide" not in wheels:
        pytest.skip("dist/ has no Pyodide wheel: run `make wheels`")
    if not (HERE / "node_modules" / "pyodide").exists():
        pytest.skip("npm's pyodide is not installed: run `python3 tools/toolchain node`")
    return wheels["pyodide"]


def run_in_node(wheel: Path, script: Path, *files: str) -> dict:
    run = subprocess.run(
        ["node", HERE / "run_in_node.mjs", wheel, script, *files],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_wheel_has_the_platform_tag_and_no_cpython_extension(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-pyemscripten_2026_0_wasm32.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        library = archive.read("gossamer/libgossamer.so")
    assert [name for name in names if name.endswith(".so")] == ["gossamer/libgossamer.so"]
    assert library.startswith(b"\0asm")
    assert "gossamer/models/cifar10-mobilenet.goss" in names


def test_node_names_every_photo_as_native_python_does(
    wheel, photos, raw_photos, check_answers
) -> None:
    report = run_in_node(wheel, SCRIPT, *raw_photos)
    check_answers(report, photos)
    assert report["binding"] == "CtypesBinding"
    assert report["isa"] == "wasm_simd"
    assert not report["numpy"]
    assert {answer["type"] for answer in report["answers"]} == {"memoryview"}


def test_quantized_networks_give_this_machines_bytes(wheel, sample, sample_files) -> None:
    assert run_in_node(wheel, HASH_SCRIPT, *sample_files) == {"wasm_simd": sample.sha256}
