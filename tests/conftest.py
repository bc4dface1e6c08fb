"""What tests of several targets share: the bundled photos, and what this machine says of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

# How long an example takes says nothing: machines are shared.
hypothesis.settings.register_profile("gossamer", deadline=None)
hypothesis.settings.load_profile("gossamer")

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "web" / "demo" / "samples"


@dataclass(frozen=True)
class Photo:
    """A bundled photo: its file, its class, and the probabilities that native Python gives."""

    path: Path
    label: str
    probabilities: list[float]


@pytest.fixture(scope="session")
def photos() -> list[Photo]:
    gossamer = pytest.importorskip("gossamer")
    session = gossamer.load_model("cifar10-mobilenet")
    found = []
    for sample in json.loads((SAMPLES / "samples.json").read_text()):
        path = SAMPLES / sample["file"]
        tensor = gossamer.image_to_tensor(path, session)
        (probabilities,) = session.run(None, {"image": tensor})
        found.append(Photo(path, sample["label"], probabilities[0].tolist()))
    return found


@pytest.fixture(scope="session")
def raw_photos(photos: list[Photo], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The photos for `tests/classify_pixels.py`: decoded here, ``file:width:height``."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("raw")
    arguments = []
    for photo in photos:
        picture = Image.open(photo.path).convert("RGB")
        raw = folder / f"{photo.path.stem}.rgb"
        raw.write_bytes(picture.tobytes())
        arguments.append(f"{raw}:{picture.width}:{picture.height}")
    return arguments


def assert_same_answers(report: dict, photos: list[Photo]) -> None:
    """A target must name every photo as this machine does, with probabilities within 1e-5."""
    assert len(report["answers"]) == len(photos) > 0
    for answer, photo in zip(report["answers"], photos, strict=True):
        assert answer["label"] == photo.label, photo.path.name
        assert answer["probabilities"] == pytest.approx(photo.probabilities, abs=1e-5)


@pytest.fixture(scope="session")
def check_answers():
    return assert_same_answers


@pytest.fixture(scope="session")
def wheels() -> dict[str, Path]:
    """Wheels in ``dist/`` by target; skips where they were not built."""
    index = ROOT / "dist" / "wheels.json"
    if not index.exists():
        pytest.skip("dist/ has no wheels: run `make wheels`")
    return {name: ROOT / "dist" / file for name, file in json.loads(index.read_text()).items()}


@pytest.fixture(scope="session")
def sample():
    """A quantized network, whose every byte must be the same on all targets."""
    pytest.importorskip("gossamer")
    from models.quantized_graphs import sample

    return sample()


@pytest.fixture
def sample_files(sample, tmp_path: Path) -> list[str]:
    """The same as files for `tests/hash_outputs.py`."""
    files = {"model.goss": sample.data, "image": sample.x.tobytes()}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return [str(tmp_path / name) for name in files]
