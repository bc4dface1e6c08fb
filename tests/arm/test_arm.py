"""The aarch64 wheel in a real arm64 Python, numpy and cffi, under qemu."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from models import odd_sizes

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SCRIPT = HERE.parent / "classify_pixels.py"
HASH_SCRIPT = HERE.parent / "hash_outputs.py"


@pytest.fixture(scope="module")
def python() -> str:
    """Launcher of the arm64 Python."""
    run = subprocess.run(
        ["python3", ROOT / "tools" / "toolchain", "--print", "aarch64-python"],
        capture_output=True,
        text=True,
    )
    launcher = run.stdout.strip()
    if run.returncode != 0 or not os.access(launcher, os.X_OK):
        pytest.skip("no arm64 Python: run `python3 tools/toolchain aarch64`")
    return launcher


@pytest.fixture(scope="module")
def installed(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, as pip would unpack it."""
    if "aarch64" not in wheels:
        pytest.skip("dist/ has no aarch64 wheel: run `make wheels`")
    folder = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(wheels["aarch64"]) as archive:
        archive.extractall(folder)
    return folder


def run(python: str, installed: Path, *arguments: str | Path, cpu: str = "max") -> str:
    result = subprocess.run(
        [python, *arguments],
        env=os.environ | {"PYTHONPATH": str(installed), "QEMU_CPU": cpu},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("binding", ["cffi", "ctypes"])
def test_session_runs_through_both_bindings(python: str, installed: Path, binding: str) -> None:
    code = (
        "import gossamer, numpy as np\n"
        f"path = {str(installed / 'gossamer/models/cifar10-mobilenet.goss')!r}\n"
        f"session = gossamer.InferenceSession(path, _binding={binding!r})\n"
        "(p,) = session.run(None, {'image': np.zeros((1, 3, 32, 32), np.float32)})\n"
        "print(session.isa, p.shape, round(float(p.sum()), 5))"
    )
    assert run(python, installed, "-c", code).strip() == "neon_dotprod (1, 10) 1.0"


RUN_CASES = """
import sys
import gossamer, numpy as np
for folder in sys.argv[1:]:
    session = gossamer.InferenceSession(f"{folder}/model.goss")
    assert session.isa == "neon_dotprod"
    names = [output.name for output in session.get_outputs()]
    outputs = session.run(names, {"x": np.load(f"{folder}/x.npy")})
    np.savez(f"{folder}/outputs.npz", **dict(zip(names, outputs)))
"""


def test_layers_of_odd_sizes_agree_with_onnxruntime(python, installed, tmp_path) -> None:
    cases = {tmp_path / case.name: case for case in odd_sizes.cases()}
    for folder, case in cases.items():
        folder.mkdir()
        (folder / "model.goss").write_bytes(case.data)
        np.save(folder / "x.npy", case.x)
    run(python, installed, "-c", RUN_CASES, *cases)
    for folder, case in cases.items():
        case.check(dict(np.load(folder / "outputs.npz")))


def test_arm_names_every_photo_as_this_machine_does(
    python, installed, photos, raw_photos, check_answers
) -> None:
    report = json.loads(run(python, installed, SCRIPT, *raw_photos))
    check_answers(report, photos)
    assert report["machine"] == "aarch64"
    assert report["binding"] == "CffiBinding"
    assert report["isa"] == "neon_dotprod"
    assert {answer["type"] for answer in report["answers"]} == {"ndarray"}


@pytest.mark.parametrize(
    ("cpu", "isas"),
    [("cortex-a53", {"neon", "generic"}), ("cortex-a76", {"neon_dotprod", "neon", "generic"})],
)
def test_quantized_networks_give_this_machines_bytes(
    python, installed, sample, sample_files, cpu: str, isas: set[str]
) -> None:
    hashes = json.loads(run(python, installed, HASH_SCRIPT, *sample_files, cpu=cpu))
    assert hashes == dict.fromkeys(isas, sample.sha256)
