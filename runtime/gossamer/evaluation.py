"""Accuracy of a classifier over a folder or tar of pictures."""

from __future__ import annotations

import errno
import io
import math
import os
import re
import tarfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from .errors import InputError, MissingFileError
from .image import class_count, class_probabilities, labels, ranking
from .session import InferenceSession

PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


class Interval(NamedTuple):
    """What holds the true figure with 95 % confidence, were the pictures drawn by chance."""

    low: float
    high: float


@dataclass(frozen=True)
class ClassAccuracy:
    """How a model does on the pictures of one class.

    Attributes
    ----------
    label
        Of the class; its number where the model has no labels.
    n
        Number of pictures.
    top1
        Share of them whose class is the first answer.
    mistaken_for
        The most frequent wrong answer; None where there is none.
    mistakes
        How often it was given.
    """

    label: str
    n: int
    top1: float
    mistaken_for: str | None
    mistakes: int


@dataclass(frozen=True)
class Comparison:
    """How a model does beside another one, on the same pictures.

    Attributes
    ----------
    top1
        Of the other one.
    agreement
        Share of pictures for which both give the same first answer.
    difference, interval
        The model's top-1 minus the other's. That both saw the same pictures makes the interval far
        narrower than those of the two figures.
    """

    top1: float
    agreement: float
    difference: float
    interval: Interval


@dataclass(frozen=True)
class Accuracy:
    """How often a model is right.

    Attributes
    ----------
    top1, top5
        Shares of pictures whose class is the first answer, or among the first five.
    n
        Number of pictures.
    top1_interval, top5_interval
        Of the two shares (Wilson 1927).
    classes
        Of which there are pictures, in the model's order.
    comparison
        With a reference, where there is one.
    """

    top1: float
    top5: float
    n: int
    top1_interval: Interval
    top5_interval: Interval
    classes: tuple[ClassAccuracy, ...] = ()
    comparison: Comparison | None = None


class Picture(NamedTuple):
    """A picture by its path below the data, and how to open it."""

    name: str
    open: Callable[[], BinaryIO]


def evaluate(
    session: InferenceSession,
    data: str | os.PathLike[str],
    *,
    reference: InferenceSession | None = None,
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
        model's labels; or, for a file named like ``012_robin.jpg``, the number, counted behind a
        first label "background" where the model has it. Files that are
        no pictures by their suffix are passed over.
    reference
        Another classifier of the same classes, to compare with: such as the network before pruning.
    limit
        Take only so many pictures, spread evenly over the whole listing.
    progress
        Called after each picture with the accuracy so far, without classes and comparison, and the
        number of pictures in all.

    Raises
    ------
    InputError
        `data` is no tar file and no folder, holds no pictures, or has one whose class the model
        does not know; the reference has other classes.
    ImageError
        A picture cannot be decoded: accuracy over the rest would be another figure.
    ModelError
        The model answers NaN.
    MissingFileError, OSError
        `data` is not there; it cannot be read.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit: {limit} found, at least 1 expected")
    names = labels(session)
    if reference is not None:
        _check_classes(session, reference)
    answers: Counter[_Answer] = Counter()
    correct = correct5 = 0
    with pictures_in(Path(data)) as pictures:
        chosen = spread(pictures, limit)
        if not chosen:
            raise InputError(f"{data}: no pictures ({', '.join(PICTURES)}) found")
        for n, picture in enumerate(chosen, start=1):
            other = None
            with picture.open() as file:
                probabilities = class_probabilities(session, file)
                if reference is not None:
                    file.seek(0)
                    other = ranking(class_probabilities(reference, file))[0]
            true_class = class_of(picture.name, names, len(probabilities))
            best = ranking(probabilities)[:5]
            answers[_Answer(true_class, best[0], other)] += 1
            correct += best[0] == true_class
            correct5 += true_class in best
            accuracy = _accuracy(correct, correct5, n)
            if progress:
                progress(accuracy, len(chosen))
    return replace(
        accuracy,
        classes=_by_class(answers, names),
        comparison=None if reference is None else _compare(answers),
    )


def _accuracy(correct: int, correct5: int, n: int) -> Accuracy:
    intervals = share_interval(correct, n), share_interval(correct5, n)
    return Accuracy(correct / n, correct5 / n, n, *intervals)


class _Answer(NamedTuple):
    """The number of a picture's class, and those of what the model and the reference call it."""

    true: int
    given: int
    reference: int | None


def share_interval(hits: int, n: int) -> Interval:
    """Wilson's score interval of a share, of which `n` tries showed `hits`."""
    share, weight = hits / n, _Z**2 / n
    middle = (share + weight / 2) / (1 + weight)
    reach = math.sqrt(weight * (share * (1 - share) + weight / 4)) / (1 + weight)
    low, high = min(middle - reach, share), max(middle + reach, share)  # whatever rounding says
    return Interval(max(low, 0.0), min(high, 1.0))


def difference_interval(gained: int, lost: int, n: int) -> Interval:
    """Interval of the difference of two shares of the same `n` tries.

    Parameters
    ----------
    gained, lost
        Tries that were a hit in the first only, and in the second only.
    n
        Number of tries.

    Notes
    -----
    Bonett & Price 2012: Wald's interval with one more try of either kind. It holds what it says
    also for few tries, and where the two never differed.
    """
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    reach = _Z * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    return Interval(max(up - down - reach, -1.0), min(up - down + reach, 1.0))


_Z = 1.959964  # 95 % of a normal distribution lie within so many standard deviations


def _by_class(answers: Counter[_Answer], names: Sequence[str]) -> tuple[ClassAccuracy, ...]:
    of_class: dict[int, Counter[int]] = {}
    for answer, count in answers.items():
        of_class.setdefault(answer.true, Counter())[answer.given] += count

    def label(number: int) -> str:
        return names[number] if names else str(number)

    classes = []
    for true, given in sorted(of_class.items()):
        n, correct = given.total(), given.pop(true, 0)
        wrong, mistakes = min(given.items(), key=lambda g: (-g[1], g[0]), default=(None, 0))
        mistaken_for = None if wrong is None else label(wrong)
        classes.append(ClassAccuracy(label(true), n, correct / n, mistaken_for, mistakes))
    return tuple(classes)


def _compare(answers: Counter[_Answer]) -> Comparison:
    def count(holds: Callable[[_Answer], bool]) -> int:
        return sum(number for answer, number in answers.items() if holds(answer))

    n = answers.total()
    gained = count(lambda a: a.given == a.true != a.reference)
    lost = count(lambda a: a.given != a.true == a.reference)
    return Comparison(
        top1=count(lambda a: a.reference == a.true) / n,
        agreement=count(lambda a: a.reference == a.given) / n,
        difference=(gained - lost) / n,
        interval=difference_interval(gained, lost, n),
    )


def _check_classes(session: InferenceSession, reference: InferenceSession) -> None:
    ours, theirs = class_count(session), class_count(reference)
    if ours != theirs:
        raise InputError(f"reference: it knows {theirs} classes, the model {ours}")
    pairs = enumerate(zip(labels(session), labels(reference), strict=False))
    for number, (our, their) in pairs:
        if our != their:
            raise InputError(
                f"reference: class {number} is '{their}' there, and '{our}' in the model; models "
                "with the same labels in the same order expected"
            )


def spread(pictures: Sequence[Picture], limit: int | None) -> list[Picture]:
    """Take so many pictures, evenly spread over the listing."""
    count = min(limit or len(pictures), len(pictures))
    return [pictures[index * len(pictures) // count] for index in range(count)]


def class_of(name: str, names: Sequence[str], classes: int) -> int:
    """Find a picture's class by its path, as `evaluate` says.

    Raises
    ------
    InputError
        The model does not know it.
    """
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
    background = int(names[:1] == ["background"])  # ImageNet's models of 1001 classes
    known = classes - background
    if int(number[1]) >= known:
        raise InputError(f"{name}: class {int(number[1])}, but the model knows 0 to {known - 1}")
    return int(number[1]) + background


@contextmanager
def pictures_in(data: Path) -> Iterator[list[Picture]]:
    """List the pictures in a folder, or in a tar file while it is open, in a fixed order."""
    if data.is_dir():
        root = data.resolve()
        paths = sorted(p for p in root.rglob("*") if _is_picture(p.name) and p.is_file())
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
