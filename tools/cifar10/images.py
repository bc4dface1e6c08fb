"""CIFAR-10's images, decoded and augmented."""

from __future__ import annotations

import io
import math
import os
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm import tqdm

LABELS = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
# To -1 .. 1, as the network trained on ImageNet expects them.
IMAGE_MEAN = (127.5, 127.5, 127.5)
IMAGE_SCALE = tuple(round(1 / mean, 8) for mean in IMAGE_MEAN)
CROP_PADDING = 4


@dataclass(frozen=True)
class ImageSet:
    """Images ``uint8 [n, 3, 32, 32]`` and their class numbers ``int64 [n]``."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def decode_tar(tar_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Decode every ``<class>/<name>.jpg`` of a tar, in the order of the names."""
    class_of = {label: number for number, label in enumerate(LABELS)}
    samples: list[tuple[str, int, np.ndarray]] = []
    with tarfile.open(tar_path) as tar:
        for member in tqdm(tar, desc=f"decode {tar_path.name}", unit="file", mininterval=2):
            label = Path(member.name).parent.name
            if not member.isfile() or label not in class_of:
                continue
            image = Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")
            samples.append((member.name, class_of[label], np.asarray(image).transpose(2, 0, 1)))
    if not samples:
        sys.exit(f"{tar_path}: no <class>/<name>.jpg of the classes {', '.join(LABELS)}")
    samples.sort(key=lambda sample: sample[0])
    return np.stack([s[2] for s in samples]), np.array([s[1] for s in samples], dtype=np.int64)


def load_images(tar_path: Path, cache_dir: Path) -> ImageSet:
    """Read a tar of images through a decoded cache that is newer than the tar."""
    if not tar_path.is_file():
        sys.exit(f"{tar_path}: not found; give the archive with --train / --validation")
    cache = cache_dir / f"{tar_path.stem}.npz"
    if not cache.exists() or cache.stat().st_mtime < tar_path.stat().st_mtime:
        images, labels = decode_tar(tar_path)
        partial = cache.with_suffix(".partial.npz")
        np.savez(partial, images=images, labels=labels)
        os.replace(partial, cache)
    with np.load(cache) as arrays:
        return ImageSet(torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"]))


def normalize(images: Tensor) -> Tensor:
    """uint8 [n, 3, h, w] -> float32, (pixel - mean) * scale, channels last in memory."""
    mean = torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1)
    scale = torch.tensor(IMAGE_SCALE).view(1, 3, 1, 1)
    return ((images.float() - mean) * scale).contiguous(memory_format=torch.channels_last)


def some(images: ImageSet) -> Tensor:
    """Pick a few hundred images, normalised, to take statistics of."""
    return normalize(images.images[:: max(len(images) // 512, 1)])


def random_crop_flip(padded: Tensor, generator: torch.Generator) -> Tensor:
    """uint8 [n, 3, 40, 40] -> [n, 3, 32, 32]: a random window of each image, half mirrored."""
    count = len(padded)
    size = padded.shape[-1] - 2 * CROP_PADDING
    top, left = torch.randint(0, 2 * CROP_PADDING + 1, (2, count), generator=generator)
    windows = padded.unfold(2, size, 1).unfold(3, size, 1)
    images = windows[torch.arange(count), :, top, left]
    mirrored = torch.rand(count, generator=generator) < 0.5
    return torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)


def cutout(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Erase one random square of each normalised image; it may overlap the border."""
    if side == 0:
        return images
    count, _, height, width = images.shape
    center = torch.randint(0, height, (2, count, 1), generator=generator)
    rows = (torch.arange(height) - center[0]).abs() <= side // 2  # [n, height]
    columns = (torch.arange(width) - center[1]).abs() <= side // 2
    return images.masked_fill((rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1), 0.0)


def cutmix(images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Put the same box of another image into each one, and as much of its target.

    images [n, 3, h, w], targets float32 [n, classes]. The box covers a uniformly random share
    (CutMix, arXiv:1905.04899).
    """
    height, width = images.shape[-2:]
    side, y, x = torch.rand(3, generator=generator).tolist()
    reach_y, reach_x = (math.sqrt(side) * size / 2 for size in (height, width))
    top, bottom = (max(0, min(height, round(y * height + r))) for r in (-reach_y, reach_y))
    left, right = (max(0, min(width, round(x * width + r))) for r in (-reach_x, reach_x))
    share = (bottom - top) * (right - left) / (height * width)
    mixed = images.clone(memory_format=torch.preserve_format)
    mixed[..., top:bottom, left:right] = images.flip(0)[..., top:bottom, left:right]
    return mixed, targets * (1 - share) + targets.flip(0) * share


def resize(images: Tensor, side: int) -> Tensor:
    """Shrink images to ``side`` pixels by the mean of the area behind each pixel."""
    return images if images.shape[-1] == side else F.interpolate(images, size=side, mode="area")
