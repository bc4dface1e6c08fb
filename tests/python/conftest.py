from __future__ import annotations

import sys
from pathlib import Path

import pytest
import tiny_models

import gossamer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def data() -> Path:
    """Photos that are too large for the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the data sets in {folder}")
    return folder


@pytest.fixture(params=["cffi", "ctypes"])
def binding(request: pytest.FixtureRequest) -> str:
    """Each way to call the native library."""
    return request.param


@pytest.fixture
def without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a Pyodide without packages; for sessions made from here on."""
    monkeypatch.setitem(sys.modules, "numpy", None)


@pytest.fixture(scope="session")
def colours_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "colours.goss"
    path.write_bytes(tiny_models.colours())
    return path


@pytest.fixture(scope="session")
def colours() -> gossamer.InferenceSession:
    return gossamer.InferenceSession(tiny_models.colours())


@pytest.fixture
def sums(binding: str) -> gossamer.InferenceSession:
    return gossamer.InferenceSession(tiny_models.sums(), _binding=binding)
