"""Accuracy of a classifier over a folder or tar of pictures."""

from __future__ import annotations

import errno
import io
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from .errors import InputError, MissingFileError
from .image import class_probabilities, labels, ranking
from .session import InferenceSession

PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


class Accuracy(NamedTuple):
    """Shares of pictures whose class is the first, or among the first five; number of pictures."""

    top1: float
    top5: float
    n: int


class Picture(NamedTuple):
    """A picture by its path below the data, and how to open it."""

    name: str
    open: Callable[[], BinaryIO]


def evaluate(
    session: InferenceSession,
    data: str | os.PathLike[str],
    *,
    limit: int | None = None,
    progress: Callable[[Accuracy, int], None] | None = None,
) -> Accuracy:
    """Classify every picture and count how often the model is right.

    Parameters
    ----------
    session
        A classifier of photos.
    data
        A folder or a tar file. A picture's class is the name of the folder it lies in, one of the
        model's labels; or, for a file named like ``012_robin.jpg``, the number. Files that are
        no pictures by their suffix are passed over.
    limit
        Take only so many pictures, spread evenly over the whole listing.
    progress
        Called after each picture with the accuracy so far and the number of pictures in all.

    Raises
    ------
    InputError
        `data` is no tar file and no folder, holds no pictures, or has one whose class the model
        does not know.
    ImageError
        A picture cannot be decoded: accuracy over the rest would be another figure.
    MissingFileError, OSError
        `data` is not there; it cannot be read.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit: {limit} found, at least 1 expected")
    names = labels(session)
    correct = correct5 = 0
    accuracy = Accuracy(0.0, 0.0, 0)
    with pictures_in(Path(data)) as pictures:
        chosen = spread(pictures, limit)
        if not chosen:
            raise InputError(f"{data}: no pictures ({', '.join(PICTURES)}) found")
        for n, picture in enumerate(chosen, start=1):
            with picture.open() as file:
                probabilities = class_probabilities(session, file)
            true_class = _class_of(picture.name, names, len(probabilities))
            best = ranking(probabilities)[:5]
            correct += best[0] == true_class
            correct5 += true_class in best
            accuracy = Accuracy(correct / n, correct5 / n, n)
            if progress:
                progress(accuracy, len(chosen))
    return accuracy


def spread(pictures: Sequence[Picture], limit: int | None) -> list[Picture]:
    """Take so many pictures, evenly spread over the listing."""
    count = min(limit or len(pictures), len(pictures))
    return [pictures[index * len(pictures) // count] for index in range(count)]


def _class_of(name: str, names: Sequence[str], classes: int) -> int:
    path = PurePosixPath(name)
    if path.parent.name in names:
        return names.index(path.parent.name)
    number = re.match(r"(\d+)_", path.name)
    if number is None:
        known = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
        raise InputError(
            f"{name}: class '{path.parent.name}' is not among the model's labels "
            f"({known or 'it has none; convert it with --labels'})"
        )
    if int(number[1]) >= classes:
        raise InputError(f"{name}: class {int(number[1])}, but the model knows 0 to {classes - 1}")
    return int(number[1])


@contextmanager
def pictures_in(data: Path) -> Iterator[list[Picture]]:
    """List the pictures in a folder, or in a tar file while it is open, in a fixed order."""
    if data.is_dir():
        root = data.resolve()
        paths = sorted(path for path in root.rglob("*") if _is_picture(path.name))
        yield [
            Picture(path.relative_to(root.parent).as_posix(), partial(path.open, "rb"))
            for path in paths
        ]
    elif not data.exists():
        raise MissingFileError(errno.ENOENT, "no such folder or tar file", str(data))
    else:
        try:
            with tarfile.open(data) as tar:
                yield [
                    Picture(member.name, partial(_extract, tar, member))
                    for member in tar.getmembers()
                    if member.isfile() and _is_picture(member.name)
                ]
        except (tarfile.TarError, EOFError, zlib.error) as error:
            reason = str(error).partition(":")[0]
            raise InputError(f"{data}: no folder and no readable tar file: {reason}") from None


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo) -> BinaryIO:
    file = tar.extractfile(member)
    assert file is not None, "only regular files are listed"
    picture = io.BytesIO(file.read())
    picture.name = member.name
    return picture


def _is_picture(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in PICTURES and not path.name.startswith(".")
