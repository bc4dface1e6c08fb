from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
import tiny_models
from PIL import Image

import gossamer
from gossamer import InferenceSession, cli, evaluate

RGB = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


def picture(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), RGB[colour]).save(file, "PNG")
    return file.getvalue()


# Named by folder; of four pictures three show what their folder says.
FOLDERS = {
    "validation/red/0.png": picture("red"),
    "validation/red/1.png": picture("blue"),
    "validation/green/0.png": picture("green"),
    "validation/blue/0.png": picture("blue"),
}


def write(target: Path, files: dict[str, bytes]) -> Path:
    """A folder, or a tar file where the name says so."""
    if ".tar" in target.name:
        kind = "w:gz" if target.suffix == ".gz" else "w"
        with tarfile.open(target, kind) as tar:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        return target
    for name, content in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)
    return target


@pytest.mark.parametrize("name", ["data", "data.tar", "data.tar.gz"])
def test_folders_name_the_class(tmp_path: Path, colours: InferenceSession, name: str) -> None:
    data = write(tmp_path / name, FOLDERS)
    assert evaluate(colours, data) == (0.75, 1.0, 4)


@pytest.mark.parametrize("name", ["data", "data.tar"])
def test_numbers_name_the_class(tmp_path: Path, colours: InferenceSession, name: str) -> None:
    files = {
        "000_a_red_thing.png": picture("red"),
        "2_sky.png": picture("blue"),
        "001_x.png": picture("red"),
    }
    accuracy = evaluate(colours, write(tmp_path / name, files))
    assert accuracy.top1 == pytest.approx(2 / 3)
    assert accuracy.n == 3


def test_a_folder_of_one_class_is_data_too(tmp_path: Path, colours: InferenceSession) -> None:
    data = write(tmp_path / "data", FOLDERS)
    assert evaluate(colours, data / "validation" / "red") == (0.5, 1.0, 2)


def test_top5_looks_at_five_guesses(tmp_path: Path) -> None:
    session = InferenceSession(tiny_models.colours())
    data = write(tmp_path / "data", {"red/0.png": picture("blue")})
    assert evaluate(session, data) == (0.0, 1.0, 1)


def test_a_limit_takes_pictures_from_the_whole_listing(
    tmp_path: Path, colours: InferenceSession
) -> None:
    files = {f"{colour}/{i}.png": picture(colour) for colour in RGB for i in range(10)}
    seen = []
    accuracy = evaluate(
        colours,
        write(tmp_path / "data", files),
        limit=3,
        progress=lambda so_far, total: seen.append((so_far.n, total)),
    )
    assert accuracy == (1.0, 1.0, 3)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    # one picture of each colour: spread, not the first three
    wrong = write(tmp_path / "wrong", {f"red/{i}.png": picture(c) for i, c in enumerate(RGB)})
    assert evaluate(colours, wrong, limit=2).top1 == 0.5


def test_other_files_are_passed_over(tmp_path: Path, colours: InferenceSession) -> None:
    files = {**FOLDERS, "validation/README.txt": b"hello", "validation/red/._0.png": b"junk"}
    assert evaluate(colours, write(tmp_path / "data.tar", files)).n == 4


def test_an_unknown_class_is_reported_with_the_known_ones(
    tmp_path: Path, colours: InferenceSession
) -> None:
    data = write(tmp_path / "data.tar", {"test/pink/0.png": picture("red")})
    message = r"test/pink/0\.png: class 'pink' is not among .* \(red, green, blue\)"
    with pytest.raises(gossamer.InputError, match=message):
        evaluate(colours, data)


def test_a_number_that_is_no_class_is_reported(tmp_path: Path, colours: InferenceSession) -> None:
    data = write(tmp_path / "data", {"003_x.png": picture("red")})
    with pytest.raises(gossamer.InputError, match=r"003_x\.png: class 3, .* knows 0 to 2"):
        evaluate(colours, data)


def test_a_model_without_labels_says_how_to_add_them(tmp_path: Path) -> None:
    session = InferenceSession(tiny_models.colours(labels=""))
    with pytest.raises(gossamer.InputError, match="convert it with --labels"):
        evaluate(session, write(tmp_path / "data", FOLDERS))


def test_a_damaged_picture_ends_the_evaluation(tmp_path: Path, colours: InferenceSession) -> None:
    data = write(tmp_path / "data.tar", {**FOLDERS, "validation/red/2.png": b"junk"})
    with pytest.raises(gossamer.ImageError, match=r"validation/red/2\.png: not a picture"):
        evaluate(colours, data)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "no folder and no readable tar"), (b"hello" * 999, "no folder and no readable tar")],
)
def test_a_file_that_is_no_tar_is_reported(
    tmp_path: Path, colours: InferenceSession, content: bytes, message: str
) -> None:
    (tmp_path / "data.tar").write_bytes(content)
    with pytest.raises(gossamer.InputError, match=rf"data\.tar: {message}"):
        evaluate(colours, tmp_path / "data.tar")


@pytest.mark.parametrize("name", ["data.tar", "data.tar.gz"])
@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_a_damaged_tar_is_reported(
    tmp_path: Path, colours: InferenceSession, name: str, damage: str
) -> None:
    data = write(tmp_path / name, FOLDERS)
    content = bytearray(data.read_bytes())
    if damage == "truncated":
        del content[len(content) // 20 :]
    else:
        content[50:60] = b"\xaa" * 10
    data.write_bytes(content)
    with pytest.raises(gossamer.InputError, match=rf"{name}: no folder and no readable tar.*\Z"):
        evaluate(colours, data)


def test_data_without_pictures_is_reported(tmp_path: Path, colours: InferenceSession) -> None:
    data = write(tmp_path / "data", {"red/notes.txt": b"hello"})
    with pytest.raises(gossamer.InputError, match="no pictures"):
        evaluate(colours, data)


def test_missing_data_is_an_os_error(colours: InferenceSession) -> None:
    with pytest.raises(gossamer.MissingFileError, match="no such folder or tar file"):
        evaluate(colours, "nowhere")


def test_the_command_prints_shares_as_json(
    tmp_path: Path, colours_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "data", FOLDERS)
    assert cli.main(["evaluate", str(colours_file), "--data", str(data), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"top1": 0.75, "top5": 1.0, "n": 4}


def test_the_command_prints_percents_for_people(
    tmp_path: Path, colours_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "data", FOLDERS)
    assert cli.main(["evaluate", str(colours_file), "--data", str(data)]) == 0
    assert capsys.readouterr().out == "top-1 75.00%, top-5 100.00% of 4 pictures\n"


def test_the_command_reports_missing_data(
    colours_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", str(colours_file), "--data", "nowhere"]) == 1
    assert capsys.readouterr().err == "gossamer: error: nowhere: no such folder or tar file\n"
