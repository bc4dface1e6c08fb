"""Photos in, labels out.

A photo becomes an input tensor in the engine (``goss_image_to_tensor``), so that every language
computes the same bits. Python only decodes files, and only that needs Pillow.
"""

from __future__ import annotations

import array
import errno
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from . import _native
from .errors import (
    ImageError,
    InputError,
    MissingDependencyError,
    MissingFileError,
    ModelError,
    OutOfMemoryError,
)
from .session import InferenceSession, NodeArg

if TYPE_CHECKING:
    from PIL.Image import Image


class Prediction(NamedTuple):
    """A class and how likely it is, 0..1."""

    label: str
    probability: float


def image_to_tensor(image: Any, session: InferenceSession) -> Any:
    """Prepare a photo for a model: the largest centered square, area-averaged to the input's size.

    The model says how values are scaled, in its metadata ``image_mean`` and ``image_scale``.
    Colour profiles are ignored; transparent pictures are laid over white.

    Parameters
    ----------
    image
        A path, an open binary file or a Pillow image (these need Pillow, and are turned as their
        EXIF orientation says), or pixels: a u8 array or buffer of shape ``[height, width, 3 | 4]``,
        RGB or RGBA. Bytes without a shape get one with
        ``memoryview(data).cast("B", [height, width, 4])``.
    session
        A model with one image input: ``[1, 3, height, width]``, or pixels
        ``[1, height, width, 3]``, which the model scales itself.

    Returns
    -------
    array
        Of the input's dtype and shape; without numpy a `memoryview` of that shape.

    Raises
    ------
    ImageError
        The file is empty, no picture, truncated, or of an unusual kind.
    InputError
        Pixels of another dtype or shape, a side of more than 32768 pixels, or a model that does
        not take images.
    MissingDependencyError
        Pillow is needed and not installed.
    MissingFileError, OSError
        The file is not there; it cannot be read.

    Examples
    --------
    >>> session = gossamer.load_model("cifar10-mobilenet")
    >>> (probabilities,) = session.run(None, {"image": image_to_tensor("cat.jpg", session)})
    """
    target = _image_input(session)
    where = f"{image}: " if isinstance(image, (str, os.PathLike)) else ""
    engine = session._native.engine
    if _takes_pixels(session):
        _, height, width, _ = target.shape
        data = engine.image_to_pixels(_pixels(image), width, height, where)
        if target.dtype == "uint8":
            return session._as_array(_native.shaped(data, target.shape, "B"))
        data = bytearray(array.array("f", list(data)).tobytes())
    else:
        _, _, height, width = target.shape
        mean, scale = (_channels(session.metadata, key) for key in ("image_mean", "image_scale"))
        data = engine.image_to_tensor(_pixels(image), mean, scale, width, height, where)
    return session._as_array(_native.shaped(data, target.shape))


def classify(session: InferenceSession, image: Any, top: int = 5) -> list[Prediction]:
    """Name what a photo shows.

    Parameters
    ----------
    session
        A classifier: one image input, and an output ``[1, classes]``. Where the model does not
        end in a softmax, the probabilities are the softmax of that output.
    image
        As `image_to_tensor` takes it.
    top
        How many classes to return, at least 1.

    Returns
    -------
    list of Prediction
        The likeliest first. A model without labels gets numbers as labels.

    Raises
    ------
    InputError, ImageError, MissingDependencyError, OSError
        As `image_to_tensor`.
    ModelError
        The model has another number of labels than of classes, or answers NaN.
    """
    if top < 1:
        raise InputError(f"top: {top} found, at least 1 expected")
    probabilities = class_probabilities(session, image)
    names = labels(session) or [str(index) for index in range(len(probabilities))]
    return [Prediction(names[i], probabilities[i]) for i in ranking(probabilities)[:top]]


def class_probabilities(session: InferenceSession, image: Any) -> list[float]:
    """Run a classifier on a photo; one probability a class, in the model's order."""
    tensor, output = image_to_tensor(image, session), _class_output(session).name
    (values,) = session.run([output], {_image_input(session).name: tensor})
    scores = memoryview(values).cast("B").cast("f").tolist()
    if any(map(math.isnan, scores)):
        raise ModelError(
            f"{_name(image)}: a number for each class expected in the model's output '{output}', "
            "found NaN; its numbers overflow on the way: train or export it again"
        )
    return scores if session.layers()[-1].op == "softmax" else _softmax(scores)


def ranking(scores: Sequence[float]) -> list[int]:
    """Indices by falling score; equal scores keep their order."""
    return sorted(range(len(scores)), key=lambda index: -scores[index])


def labels(session: InferenceSession) -> list[str]:
    """Return the model's class names in output order; empty when it has none.

    Raises
    ------
    ModelError
        There is another number of labels than of classes.
    """
    names = session.metadata.get("labels", "").splitlines()
    classes = class_count(session)
    if names and len(names) != classes:
        raise ModelError(
            f"the model's metadata holds {len(names)} labels for {classes} classes; "
            f"convert it again with one label a line"
        )
    return names


def class_count(session: InferenceSession) -> int:
    """Return how many classes the model tells apart."""
    return _class_output(session).shape[1]


def _image_input(session: InferenceSession) -> NodeArg:
    inputs = session.get_inputs()
    channels = 3 if _takes_pixels(session) else 1  # where the shape has them
    if len(inputs) == 1 and len(inputs[0].shape) == 4:
        shape = inputs[0].shape
        if shape[0] == 1 and shape[channels] == 3:
            return inputs[0]
    found = ", ".join(f"'{arg.name}' {arg.shape}" for arg in inputs)
    raise InputError(
        f"no model for photos: it takes {found}; one input [1, 3, H, W], or pixels [1, H, W, 3], "
        f"expected"
    )


def _takes_pixels(session: InferenceSession) -> bool:
    """Whether the input is interleaved pixels, which the model scales itself."""
    return any(layer.op == "conv_pixels" for layer in session.layers())


def _class_output(session: InferenceSession) -> NodeArg:
    outputs = session.get_outputs()
    if len(outputs) != 1 or len(outputs[0].shape) != 2 or outputs[0].shape[0] != 1:
        found = ", ".join(f"'{arg.name}' {arg.shape}" for arg in outputs)
        raise InputError(f"no classifier: it gives {found}; one output [1, classes] expected")
    return outputs[0]


def _channels(metadata: Mapping[str, str], key: str) -> memoryview:
    """Three numbers from the metadata as f32."""
    if key not in metadata:
        raise InputError(
            f"the model does not say how photos are scaled: its metadata lacks {key!r}; "
            f'convert it with --metadata image_mean="127.5 127.5 127.5" '
            f'--metadata image_scale="0.00784 0.00784 0.00784" or what it was trained with'
        )
    try:
        numbers = [float(number) for number in metadata[key].split()]
    except ValueError:
        numbers = []
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)):
        raise ModelError(f"metadata {key!r}: {metadata[key]!r} found, three numbers expected")
    return memoryview(array.array("f", numbers))


def _softmax(scores: Sequence[float]) -> list[float]:
    largest = max(scores)
    powers = [math.exp(score - largest) for score in scores]
    total = math.fsum(powers)
    return [power / total for power in powers]


# ---- Pixels -------------------------------------------------------------------------------------


def _pixels(image: Any) -> memoryview:
    """Pixels of any kind of image: u8, ``[height, width, 3 | 4]``."""
    if isinstance(image, (str, os.PathLike)):
        if not os.path.exists(image):
            raise MissingFileError(errno.ENOENT, "no such picture", str(image))
        with open(image, "rb") as file:
            return _decode(file, _name(image))
    if hasattr(image, "read"):
        return _decode(image, _name(image))
    if hasattr(image, "getexif"):
        with _image_errors("the picture"):
            return _rgb(image)
    try:
        view = memoryview(image)
    except TypeError:
        raise InputError(
            f"image: {type(image).__name__} found; a path, an open file, a Pillow image or "
            f"u8 pixels [height, width, 3 | 4] expected"
        ) from None
    if view.format.lstrip("@=<") != "B" or view.ndim != 3 or view.shape[2] not in (3, 4):
        raise InputError(
            f"image: dtype {getattr(image, 'dtype', repr(view.format))}, shape {list(view.shape)} "
            f"found; pixels 0..255 of dtype uint8, shape [height, width, 3 | 4] expected"
        )
    if view.nbytes == 0:
        raise InputError(f"image: shape {list(view.shape)} has no pixels")
    return view


def _name(image: Any) -> str:
    """What messages call an image."""
    if isinstance(image, (str, os.PathLike)):
        return str(Path(image))
    return str(getattr(image, "name", "the picture"))


def _decode(file: BinaryIO, name: str) -> memoryview:
    try:
        from PIL import Image
    except ImportError:
        raise MissingDependencyError(
            "reading picture files needs Pillow: pip install 'gossamer-nn[image]'"
        ) from None
    if not file.read(1):
        raise ImageError(f"{name}: the file is empty (0 bytes); a picture expected")
    file.seek(0)
    with _image_errors(name), Image.open(file) as picture:
        return _rgb(picture)


@contextmanager
def _image_errors(name: str) -> Iterator[None]:
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except UnidentifiedImageError:
        raise ImageError(
            f"{name}: not a picture, or of a kind that Pillow cannot read; JPEG, PNG or WebP work"
        ) from None
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: too large to decode safely: {error}") from None
    except MemoryError:
        raise OutOfMemoryError(f"{name}: not enough memory to decode it") from None
    except Exception as error:  # the decoders of some forty formats raise what they like
        raise ImageError(f"{name}: cannot be decoded: {error}") from error


def _rgb(picture: Image) -> memoryview:
    """Decode, turn upright and bring to RGB or RGBA."""
    from PIL import ImageOps

    picture = _eight_bits(ImageOps.exif_transpose(picture))
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    data = picture.convert(mode).tobytes()
    return memoryview(data).cast("B", [picture.height, picture.width, len(mode)])


def _eight_bits(picture: Image) -> Image:
    """Map 16-bit greys, which Pillow would clip, to 0..255."""
    if picture.mode == "F":
        raise ValueError("floating-point pixels; 8 or 16 bits a channel expected")
    if not picture.mode.startswith("I"):
        return picture
    grey = picture.convert("I")
    darkest, lightest = grey.getextrema()
    if darkest < 0 or lightest > 65535:
        raise ValueError(f"values {darkest}..{lightest}; 8 or 16 bits a channel expected")
    return grey.point(lambda value: value * (1 / 257) + 0.5).convert("L")
