from __future__ import annotations

import io
import math
import sys
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from PIL import Image

import gossamer
from gossamer import InferenceSession, classify, image_to_tensor

RANDOM = np.random.default_rng(5)
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def session_for(
    width: int, height: int, mean: str = "0 0 0", scale: str = "1 1 1", binding: str | None = None
) -> InferenceSession:
    content = tiny_models.colours((height, width), image_mean=mean, image_scale=scale)
    return InferenceSession(content, _binding=binding)


def prepare(pixels: object, width: int, height: int) -> np.ndarray:
    return image_to_tensor(pixels, session_for(width, height))


def solid(colour: tuple[int, ...], width: int = 8, height: int = 8) -> np.ndarray:
    return np.full((height, width, len(colour)), colour, np.uint8)


# ---- The reference: exact fractions, written to be read ------------------------------------------


def covered(index: int, length: int, pieces: int, piece: int) -> Fraction:
    """Length of pixel `index` that lies in one of `pieces` equal pieces of a line of `length`."""
    start = max(Fraction(index), Fraction(piece * length, pieces))
    end = min(Fraction(index + 1), Fraction((piece + 1) * length, pieces))
    return max(end - start, Fraction(0))


def over_white(pixel: list[int]) -> list[Fraction]:
    opacity = Fraction(pixel[3], 255) if len(pixel) == 4 else Fraction(1)
    return [value * opacity + 255 * (1 - opacity) for value in pixel[:3]]


def reference(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Centered square, exact area average, rounded half up; [1, 3, height, width]."""
    side = min(pixels.shape[:2])
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    square = [
        [over_white(pixel) for pixel in row]
        for row in pixels[top : top + side, left : left + side].tolist()
    ]
    rows = [[covered(i, side, height, y) for i in range(side)] for y in range(height)]
    columns = [[covered(i, side, width, x) for i in range(side)] for x in range(width)]
    area = Fraction(side * side, width * height)
    result = np.empty((1, 3, height, width), np.float32)
    for y in range(height):
        for x in range(width):
            weights = [
                (rows[y][i] * columns[x][j], square[i][j])
                for i in range(side)
                for j in range(side)
                if rows[y][i] and columns[x][j]
            ]
            for c in range(3):
                average = sum((weight * pixel[c] for weight, pixel in weights), Fraction(0)) / area
                result[0, c, y, x] = math.floor(average + Fraction(1, 2))
    return result


def test_the_reference_is_right_on_an_example_by_hand() -> None:
    pixels = np.array([[[0] * 3, [10] * 3, [20] * 3]] * 3, np.uint8)
    np.testing.assert_array_equal(reference(pixels, 1, 1)[0, :, 0, 0], [10, 10, 10])
    # two columns: (0 + 10/2) / 1.5 = 3.33 and (10/2 + 20) / 1.5 = 16.67
    np.testing.assert_array_equal(reference(pixels, 2, 1)[0, 0], [[3, 17]])
    assert over_white([0, 255, 100, 0]) == [255, 255, 255]


# ---- Arithmetic ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pixel_width", "pixel_height", "width", "height"),
    [
        (4, 4, 4, 4),  # nothing to average
        (8, 8, 4, 4),  # whole pixels
        (7, 7, 4, 4),  # parts of pixels
        (13, 13, 5, 3),
        (12, 7, 4, 4),  # crop left and right; an odd number of columns remains
        (7, 12, 4, 4),  # crop top and bottom
        (3, 3, 8, 8),  # upscaling
        (5, 2, 7, 7),
        (1, 1, 4, 4),
        (9, 1, 2, 2),
        (1, 9, 1, 1),
        (40, 30, 1, 1),
        (31, 33, 32, 32),
    ],
)
@pytest.mark.parametrize("channels", [3, 4])
def test_pixels_are_averaged_to_the_bit(
    binding: str, pixel_width: int, pixel_height: int, width: int, height: int, channels: int
) -> None:
    pixels = RANDOM.integers(0, 256, (pixel_height, pixel_width, channels)).astype(np.uint8)
    tensor = image_to_tensor(pixels, session_for(width, height, binding=binding))
    np.testing.assert_array_equal(tensor, reference(pixels, width, height))


def test_halves_are_rounded_up() -> None:
    pixels = np.array([[[0] * 3, [1] * 3], [[0] * 3, [1] * 3]], np.uint8)
    np.testing.assert_array_equal(prepare(pixels, 1, 1), np.ones((1, 3, 1, 1)))


def test_values_are_shifted_by_mean_and_then_scaled(binding: str) -> None:
    session = session_for(
        1, 1, mean="123.675 116.28 103.53", scale="0.017 0.0175 0.0174", binding=binding
    )
    tensor = image_to_tensor(solid((1, 128, 255)), session)
    mean = np.array([123.675, 116.28, 103.53], np.float32)
    scale = np.array([0.017, 0.0175, 0.0174], np.float32)
    expected = (np.array([1, 128, 255], np.float32) - mean) * scale
    np.testing.assert_array_equal(tensor.ravel(), expected)


def test_transparent_pixels_show_white() -> None:
    half_transparent_black = solid((0, 0, 0, 128))
    np.testing.assert_array_equal(prepare(half_transparent_black, 1, 1).ravel(), [127] * 3)
    np.testing.assert_array_equal(prepare(solid((9, 9, 9, 0)), 1, 1).ravel(), [255] * 3)


def test_the_largest_picture_that_is_allowed_is_prepared() -> None:
    pixels = np.broadcast_to(np.uint8(200), (1, 32768, 3))
    np.testing.assert_array_equal(prepare(pixels, 1, 1).ravel(), [200] * 3)
    too_wide = np.broadcast_to(np.uint8(200), (1, 32769, 3))
    with pytest.raises(gossamer.InputError, match="32769x1 pixels.*sides of 1 to 32768"):
        prepare(too_wide, 1, 1)


def test_a_picture_that_is_too_wide_is_named(tmp_path: Path) -> None:
    path = tmp_path / "panorama.png"
    Image.new("1", (32769, 2)).save(path)
    with pytest.raises(gossamer.InputError, match=r"panorama\.png: image of 32769x2 pixels"):
        prepare(path, 4, 4)


@pytest.mark.parametrize(
    "arrange",
    [np.asfortranarray, lambda a: np.repeat(a, 2, 1)[:, ::2], lambda a: a[::-1].copy()[::-1]],
    ids=["fortran", "gaps", "backwards"],
)
def test_any_arrangement_of_pixels_gives_the_same(arrange: object) -> None:
    pixels = RANDOM.integers(0, 256, (6, 9, 3)).astype(np.uint8)
    np.testing.assert_array_equal(prepare(arrange(pixels), 4, 4), prepare(pixels, 4, 4))


def test_bytes_with_a_shape_are_pixels_without_numpy_and_pillow(
    binding: str, without_numpy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    session = session_for(1, 1, binding=binding)
    pixels = memoryview(bytes([10, 20, 30, 255] * 6)).cast("B", [2, 3, 4])
    tensor = image_to_tensor(pixels, session)
    assert isinstance(tensor, memoryview)
    assert (tensor.shape, tensor.tolist()) == ((1, 3, 1, 1), [[[[10.0]], [[20.0]], [[30.0]]]])
    assert classify(session, pixels, top=1)[0].label == "blue"


# ---- Files --------------------------------------------------------------------------------------


def saved(picture: object, kind: str, **options: object) -> io.BytesIO:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    file.seek(0)
    return file


def average(picture: object) -> list[int]:
    return prepare(picture, 1, 1).ravel().astype(int).tolist()


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGB", (10, 20, 30), [10, 20, 30]),
        ("RGBA", (0, 0, 0, 128), [127, 127, 127]),
        ("L", 77, [77, 77, 77]),
        ("LA", (0, 0), [255, 255, 255]),
        ("1", 1, [255, 255, 255]),
        ("CMYK", (0, 255, 255, 0), [255, 0, 0]),
        ("I;16", 77 * 257, [77, 77, 77]),
        ("I", 77 * 257 + 200, [78, 78, 78]),
        ("YCbCr", (128, 128, 128), [128, 128, 128]),
    ],
)
def test_every_colour_mode_becomes_rgb(mode: str, colour: object, expected: list[int]) -> None:
    assert average(Image.new(mode, (4, 4), colour)) == expected


def test_a_palette_with_a_transparent_entry_is_laid_over_white() -> None:
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    assert average(saved(picture, "PNG")) == [255, 0, 0]
    assert average(saved(picture, "PNG", transparency=0)) == [255, 255, 255]


def test_sixteen_bit_greys_keep_their_range_in_a_file() -> None:
    ramp = np.array([[0, 65535], [0, 65535]], np.uint16)
    assert average(saved(Image.fromarray(ramp), "PNG")) == [128] * 3


def test_a_photo_is_turned_as_its_exif_says() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[:, :2] = RED  # left half; the camera was held so that this is the top
    exif = Image.Exif()
    exif[0x0112] = 6
    tensor = prepare(saved(Image.fromarray(pixels), "PNG", exif=exif), 1, 2)
    np.testing.assert_array_equal(tensor[0, 0].ravel(), [255, 0])


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_an_open_file_and_a_picture_give_the_same(tmp_path: Path, kind: type) -> None:
    pixels = RANDOM.integers(0, 256, (9, 7, 3)).astype(np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    expected = prepare(pixels, 4, 4)
    np.testing.assert_array_equal(prepare(kind(path), 4, 4), expected)
    np.testing.assert_array_equal(prepare(Image.open(path), 4, 4), expected)
    with path.open("rb") as file:
        np.testing.assert_array_equal(prepare(file, 4, 4), expected)


def png() -> bytes:
    noise = RANDOM.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    return saved(Image.fromarray(noise), "PNG").getvalue()


def jpeg() -> bytes:
    noise = RANDOM.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    return saved(Image.fromarray(noise), "JPEG").getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"photo: the file is empty \(0 bytes\)"),
        (b"hello, world", "photo: not a picture"),
        (png()[:3000], "photo: cannot be decoded: .*truncated"),
        (jpeg()[:1000], "photo: cannot be decoded: .*truncated"),
        (png()[:20], "photo: not a picture|photo: cannot be decoded"),
        (tiny_models.colours(), "photo: not a picture"),
    ],
    ids=["empty", "text", "half a PNG", "half a JPEG", "a PNG's first bytes", "a model"],
)
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "photo"
    path.write_bytes(content)
    with pytest.raises(gossamer.ImageError, match=message):
        prepare(path, 4, 4)


def test_a_damaged_png_never_escapes_as_anything_but_an_image_error() -> None:
    content, session = png(), session_for(4, 4)
    for position in range(0, len(content), 97):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        try:
            image_to_tensor(io.BytesIO(damaged), session)
        except gossamer.ImageError as error:
            assert "the picture: " in str(error)


def test_a_picture_of_absurd_size_is_refused_before_it_is_decoded() -> None:
    header = bytearray(saved(Image.new("1", (1, 1)), "PNG").getvalue())
    header[16:24] = (60000).to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    with pytest.raises(gossamer.ImageError, match="too large to decode safely"):
        prepare(io.BytesIO(header), 4, 4)


def test_floating_point_pictures_are_refused() -> None:
    with pytest.raises(gossamer.ImageError, match="floating-point pixels; 8 or 16 bits"):
        prepare(Image.new("F", (4, 4)), 4, 4)
    with pytest.raises(gossamer.ImageError, match=r"values 0\.\.70000; 8 or 16 bits"):
        prepare(Image.fromarray(np.array([[0, 70000]], np.int32)), 4, 4)


def test_a_missing_file_is_an_os_error_too() -> None:
    with pytest.raises(gossamer.MissingFileError, match="no such picture") as caught:
        prepare("nowhere.jpg", 4, 4)
    assert isinstance(caught.value, FileNotFoundError)


def test_reading_files_without_pillow_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(png())
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(
        gossamer.MissingDependencyError, match=r"pip install 'gossamer-nn\[image\]'"
    ):
        prepare(path, 4, 4)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), "dtype float32, shape .* uint8"),
        (np.zeros((4, 4), np.uint8), r"shape \[4, 4\] found"),
        (np.zeros((3, 5, 5), np.uint8), r"shape \[3, 5, 5\] found; .*height, width, 3 \| 4"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"shape \[1, 4, 4, 3\] found"),
        (np.zeros((0, 4, 3), np.uint8), "has no pixels"),
        (b"\x00" * 48, r"dtype 'B', shape \[48\] found"),
        (None, "image: NoneType found; a path"),
        ([[1, 2, 3]], "image: list found"),
    ],
)
def test_wrong_pixels_are_explained(pixels: object, message: str) -> None:
    with pytest.raises(gossamer.InputError, match=message):
        prepare(pixels, 4, 4)


# ---- Models that take photos, and others ---------------------------------------------------------


def test_a_model_without_photos_says_what_it_takes() -> None:
    with pytest.raises(
        gossamer.InputError, match=r"it takes 'a' \[2, 3\], 'b' \[2, 3\]; one input"
    ):
        image_to_tensor(solid(RED), InferenceSession(tiny_models.sums()))


def test_a_model_that_does_not_say_how_photos_are_scaled_is_not_guessed_at() -> None:
    session = InferenceSession(tiny_models.colours(image_mean=""))
    with pytest.raises(gossamer.InputError, match="lacks 'image_mean'; convert it with --metadata"):
        image_to_tensor(solid(RED), session)


@pytest.mark.parametrize("text", ["1 2", "1 2 3 4", "a b c", "nan 0 0", "inf 0 0", "1,2,3"])
def test_scaling_that_is_no_three_numbers_is_refused(text: str) -> None:
    session = InferenceSession(tiny_models.colours(image_scale=text))
    with pytest.raises(gossamer.ModelError, match=f"'image_scale': '{text}' found, three numbers"):
        image_to_tensor(solid(RED), session)


@pytest.mark.parametrize(("colour", "label"), [(RED, "red"), (GREEN, "green"), (BLUE, "blue")])
def test_a_photo_gets_the_right_label(colours: InferenceSession, colour: tuple, label: str) -> None:
    predictions = classify(colours, solid(colour))
    assert predictions[0].label == label
    assert predictions[0].probability > 0.99
    assert len(predictions) == 3
    assert sum(p.probability for p in predictions) == pytest.approx(1, abs=1e-6)


def test_equally_likely_classes_keep_the_models_order(colours: InferenceSession) -> None:
    assert [p.label for p in classify(colours, solid((9, 9, 9)), top=2)] == ["red", "green"]


def test_scores_without_softmax_become_probabilities(colours: InferenceSession) -> None:
    scores = InferenceSession(tiny_models.colours(softmax=False))
    photo = solid((10, 40, 30))
    for found, expected in zip(classify(scores, photo), classify(colours, photo), strict=True):
        assert found.label == expected.label
        assert found.probability == pytest.approx(expected.probability, abs=1e-6)


def test_a_model_without_labels_counts_its_classes() -> None:
    session = InferenceSession(tiny_models.colours(labels=""))
    assert classify(session, solid(BLUE), top=1)[0].label == "2"


def test_labels_must_fit_the_classes() -> None:
    session = InferenceSession(tiny_models.colours(labels="red\ngreen"))
    with pytest.raises(gossamer.ModelError, match="2 labels for 3 classes"):
        classify(session, solid(RED))


def test_top_must_be_positive(colours: InferenceSession) -> None:
    with pytest.raises(gossamer.InputError, match="top: 0 found, at least 1"):
        classify(colours, solid(RED), top=0)
