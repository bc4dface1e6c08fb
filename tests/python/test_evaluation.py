from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
import tiny_models
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import gossamer
from gossamer import Accuracy, InferenceSession, cli, evaluate
from gossamer.evaluation import difference_interval, share_interval

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


def shares(accuracy: Accuracy) -> tuple[float, float, int]:
    return accuracy.top1, accuracy.top5, accuracy.n


def test_an_answer_that_is_none_is_an_error(tmp_path: Path) -> None:
    overflows = InferenceSession(tiny_models.colours(softmax=False, image_scale="3e38 3e38 3e38"))
    data = write(tmp_path / "data", FOLDERS)
    with pytest.raises(gossamer.ModelError, match=r"0\.png: a number for each class .*found NaN"):
        evaluate(overflows, data)


def test_folders_that_are_called_like_pictures_are_looked_into(
    tmp_path: Path, colours: InferenceSession
) -> None:
    data = write(tmp_path / "data", {f"holidays.jpg/{name}": FOLDERS[name] for name in FOLDERS})
    (data / "gone.png").symlink_to(data / "nowhere.png")
    assert shares(evaluate(colours, data)) == (0.75, 1.0, 4)


@pytest.mark.parametrize("name", ["data", "data.tar", "data.tar.gz"])
def test_folders_name_the_class(tmp_path: Path, colours: InferenceSession, name: str) -> None:
    data = write(tmp_path / name, FOLDERS)
    assert shares(evaluate(colours, data)) == (0.75, 1.0, 4)


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


def test_numbers_are_counted_behind_a_class_for_the_background(tmp_path: Path) -> None:
    session = InferenceSession(tiny_models.colours(labels="background\ntench\ngoldfish"))
    files = {"000_tench.png": picture("green"), "001_goldfish.png": picture("green")}
    assert evaluate(session, write(tmp_path / "data", files)).top1 == 0.5
    alone = write(tmp_path / "alone", {"002_shark.png": picture("red")})
    with pytest.raises(gossamer.InputError, match="class 2, but the model knows 0 to 1"):
        evaluate(session, alone)


def test_a_folder_of_one_class_is_data_too(tmp_path: Path, colours: InferenceSession) -> None:
    data = write(tmp_path / "data", FOLDERS)
    assert shares(evaluate(colours, data / "validation" / "red")) == (0.5, 1.0, 2)


def test_top5_looks_at_five_guesses(tmp_path: Path) -> None:
    session = InferenceSession(tiny_models.colours())
    data = write(tmp_path / "data", {"red/0.png": picture("blue")})
    assert shares(evaluate(session, data)) == (0.0, 1.0, 1)


# ---- Classes, and beside another model ----------------------------------------------------------


def redder(**metadata: str) -> InferenceSession:
    """Takes green for red."""
    return InferenceSession(tiny_models.colours(image_mean="0 300 0", **metadata))


def test_each_class_has_its_share_and_its_most_frequent_wrong_answer(
    tmp_path: Path, colours: InferenceSession
) -> None:
    shown = ["red", "blue", "green", "blue"]
    files = {f"red/{number}.png": picture(colour) for number, colour in enumerate(shown)}
    files["blue/0.png"] = picture("blue")
    data = write(tmp_path / "data", files)
    red, blue = evaluate(colours, data).classes
    assert red == gossamer.ClassAccuracy("red", 4, 0.25, "blue", 2)
    assert blue == gossamer.ClassAccuracy("blue", 1, 1.0, None, 0)


def test_classes_without_labels_go_by_their_number(tmp_path: Path) -> None:
    session = InferenceSession(tiny_models.colours(labels=""))
    data = write(tmp_path / "data", {"002_x.png": picture("red")})
    assert evaluate(session, data).classes == (gossamer.ClassAccuracy("2", 1, 0.0, "0", 1),)


@pytest.mark.parametrize("name", ["data", "data.tar"])
def test_a_reference_answers_the_same_pictures(
    tmp_path: Path, colours: InferenceSession, name: str
) -> None:
    data = write(tmp_path / name, FOLDERS)
    compared = evaluate(colours, data, reference=redder()).comparison
    assert (compared.top1, compared.agreement, compared.difference) == (0.5, 0.75, 0.25)
    assert compared.interval == difference_interval(1, 0, 4)
    backwards = evaluate(redder(), data, reference=colours).comparison
    assert (backwards.top1, backwards.difference) == (0.75, -0.25)
    assert evaluate(colours, data).comparison is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("red\nblue\ngreen", "reference: class 1 is 'blue' there, and 'green' in the model"),
        ("red\ngreen\nBlue", "reference: class 2 is 'Blue' there, and 'blue' in the model"),
    ],
)
def test_a_reference_with_other_labels_is_refused(
    tmp_path: Path, colours: InferenceSession, labels: str, message: str
) -> None:
    data = write(tmp_path / "data", FOLDERS)
    with pytest.raises(gossamer.InputError, match=message):
        evaluate(colours, data, reference=redder(labels=labels))


def test_a_reference_with_other_classes_is_refused(
    tmp_path: Path, colours: InferenceSession
) -> None:
    data = write(tmp_path / "data", FOLDERS)
    with pytest.raises(gossamer.InputError, match="reference: it knows 10 classes, the model 3"):
        evaluate(colours, data, reference=gossamer.load_model("cifar10-mobilenet"))


def test_a_reference_without_labels_goes_by_numbers(
    tmp_path: Path, colours: InferenceSession
) -> None:
    data = write(tmp_path / "data", FOLDERS)
    assert evaluate(colours, data, reference=redder(labels="")).comparison.top1 == 0.5


# ---- Confidence ---------------------------------------------------------------------------------

counts = st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_the_interval_of_a_share_is_wilsons(hits_and_n: tuple[int, int]) -> None:
    """Its ends are the shares of which what was seen lies just within 1.96 standard deviations."""
    hits, n = hits_and_n
    low, high = share_interval(hits, n)
    assert 0 <= low <= hits / n <= high <= 1
    for end in (low, high):
        if 1e-9 < end < 1 - 1e-9:
            assert (hits / n - end) ** 2 == pytest.approx(1.959964**2 * end * (1 - end) / n)
    mirrored = share_interval(n - hits, n)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)


@given(counts)
def test_more_pictures_narrow_the_interval(hits_and_n: tuple[int, int]) -> None:
    hits, n = hits_and_n
    low, high = share_interval(hits, n)
    narrower = share_interval(4 * hits, 4 * n)
    assert narrower.high - narrower.low < high - low


@given(counts, st.floats(0, 1))
def test_the_interval_of_a_difference_holds_it_and_turns_with_it(
    changed_and_n: tuple[int, int], share: float
) -> None:
    changed, n = changed_and_n
    gained = round(share * changed)
    lost = changed - gained
    low, high = difference_interval(gained, lost, n)
    assert -1 <= low <= (gained - lost) / n <= high <= 1
    assert difference_interval(lost, gained, n) == pytest.approx((-high, -low))


def test_pairs_tell_more_than_two_shares() -> None:
    """Of 1000 pictures 20 went wrong and none right: less, though both intervals overlap."""
    before, after = share_interval(900, 1000), share_interval(880, 1000)
    assert after.high > before.low
    assert difference_interval(0, 20, 1000).high < 0


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
    assert shares(accuracy) == (1.0, 1.0, 3)
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
    printed = json.loads(capsys.readouterr().out)
    assert printed == {
        "top1": 0.75,
        "top5": 1.0,
        "n": 4,
        "top1_interval": pytest.approx([0.3006, 0.9544], abs=1e-4),
        "top5_interval": pytest.approx([0.5101, 1.0], abs=1e-4),
        "comparison": None,
    }


def test_the_command_prints_percents_for_people(
    tmp_path: Path, colours_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "data", FOLDERS)
    assert cli.main(["evaluate", str(colours_file), "--data", str(data)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "4 pictures; in brackets: 95 % confidence",
        "top-1          75.00% [30.06%, 95.44%]",
        "top-5          100.00% [51.01%, 100.00%]",
    ]


def test_the_command_compares_and_lists_classes(
    tmp_path: Path, colours_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "data", FOLDERS)
    model = str(colours_file)
    arguments = ["evaluate", model, "--data", str(data), "--reference", model, "--per-class"]
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out.splitlines() == [
        "class  pictures    top-1  most frequent wrong answer",
        "red           2   50.00%  blue (1)",
        "green         1  100.00%",
        "blue          1  100.00%",
        "",
        "4 pictures; in brackets: 95 % confidence",
        "top-1          75.00% [30.06%, 95.44%]",
        "top-5          100.00% [51.01%, 100.00%]",
        "reference      top-1 75.00%",
        "agreement      the same first answer for 100.00%",
        "difference     +0.00 points of top-1 [-46.20, +46.20]",
    ]
    assert cli.main([*arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["comparison"]["agreement"] == 1.0
    assert [of["label"] for of in printed["classes"]] == ["red", "green", "blue"]


def test_the_command_reports_missing_data(
    colours_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", str(colours_file), "--data", "nowhere"]) == 1
    assert capsys.readouterr().err == "gossamer: error: nowhere: no such folder or tar file\n"
