from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from PIL import Image

from gossamer import cli
from gossamer.serve import ENGINES, MODULES

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, str]:
    """A photo of each colour, and files that are none."""
    for name, colour in COLOURS.items():
        Image.new("RGB", (8, 8), colour).save(tmp_path / f"{name}.png")
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "folder.png").mkdir()
    Image.effect_noise((64, 64), 50).save(tmp_path / "half.png")
    whole = (tmp_path / "half.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    return {path.stem: str(path) for path in tmp_path.glob("*.png")}


@pytest.fixture
def gossamer(capsys: pytest.CaptureFixture[str]):
    """Run the command in this process; its exit status, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run


def complaint(result: tuple[int, str, str]) -> str:
    """The one line that a failed command says."""
    code, _, stderr = result
    assert code == 1
    (line,) = stderr.splitlines()
    assert line.startswith("gossamer: error: ")
    return line.removeprefix("gossamer: error: ")


# ---- The command itself -------------------------------------------------------------------------


def test_the_installed_command_and_the_module_are_the_same() -> None:
    command = Path(sys.executable).with_name("gossamer")
    for start in ([command], [sys.executable, "-m", "gossamer"]):
        result = subprocess.run([*start, "--version"], capture_output=True, text=True, check=True)
        assert result.stdout.startswith("gossamer 0.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["run", "model"], "IMAGE"),
        (["run", "model", "image", "--top", "0"], "'0' found, a whole number of at least 1"),
        (["run", "model", "image", "--top", "many"], "'many' found"),
        (["evaluate", "model"], "--data"),
        (["convert", "a", "b", "--metadata", "title"], "'title' found, KEY=VALUE expected"),
        (["convert", "a", "b", "--batch", "-1"], "--batch"),
    ],
)
def test_wrong_usage_is_explained_with_status_2(
    gossamer, arguments: list[str], message: str
) -> None:
    code, _, stderr = gossamer(*arguments)
    assert code == 2
    assert message in stderr


def test_a_closed_pipe_ends_the_command_without_a_traceback(colours_file: Path) -> None:
    command = f"'{sys.executable}' -m gossamer inspect '{colours_file}' | true"
    result = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert result.stderr == ""


# ---- MODEL --------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["run", "{}", "x.png"], ["inspect", "{}"]])
def test_an_unknown_model_is_reported_with_what_there_is(gossamer, command: list[str]) -> None:
    message = complaint(gossamer(*[part.format("no.goss") for part in command]))
    assert message.startswith("no.goss: no such file, and no embedded model of that name")


def test_a_file_that_is_no_model_is_reported(gossamer, pictures: dict[str, str]) -> None:
    message = complaint(gossamer("inspect", pictures["red"]))
    assert message.startswith(f"{pictures['red']}: not a .goss file")
    assert "a folder" in complaint(gossamer("inspect", pictures["folder"]))


# ---- run ----------------------------------------------------------------------------------------


def test_run_prints_a_table_a_photo(gossamer, colours_file: Path, pictures: dict[str, str]) -> None:
    code, stdout, _ = gossamer("run", colours_file, pictures["red"], pictures["blue"], "--top", 2)
    lines = stdout.splitlines()
    assert code == 0
    assert [line.split()[-1] for line in lines[:2]] == [pictures["red"], "red"]
    assert [line.split()[-1] for line in lines[3:5]] == [pictures["blue"], "blue"]
    assert len(lines) == 6
    assert "100.00%" in lines[1]


def test_run_prints_json(gossamer, colours_file: Path, pictures: dict[str, str]) -> None:
    _, stdout, _ = gossamer("run", colours_file, pictures["green"], "--json")
    (result,) = json.loads(stdout)
    assert result["image"] == pictures["green"]
    assert [guess["label"] for guess in result["top"]] == ["green", "red", "blue"]
    assert result["top"][0]["probability"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("empty", "the file is empty"),
        ("text", "not a picture"),
        ("half", "cannot be decoded"),
        ("folder", "Is a directory"),
    ],
)
def test_run_goes_on_after_a_bad_photo_and_says_which(
    gossamer, colours_file: Path, pictures: dict[str, str], bad: str, message: str
) -> None:
    result = gossamer("run", colours_file, pictures[bad], pictures["blue"])
    assert complaint(result).startswith(f"{pictures[bad]}: {message}")
    assert "blue" in result[1]


def test_run_reports_a_missing_photo(gossamer, colours_file: Path) -> None:
    assert complaint(gossamer("run", colours_file, "no.png")) == "no.png: no such picture"


def test_run_reports_a_model_that_takes_no_photos(
    gossamer, tmp_path: Path, pictures: dict[str, str]
) -> None:
    (tmp_path / "sums.goss").write_bytes(tiny_models.sums())
    message = complaint(gossamer("run", tmp_path / "sums.goss", pictures["red"]))
    assert message.startswith("no model for photos: it takes 'a'")


# ---- inspect ------------------------------------------------------------------------------------


def test_inspect_shows_layers_and_memory(gossamer, tmp_path: Path) -> None:
    (tmp_path / "all.goss").write_bytes(tiny_models.every_operator())
    code, stdout, _ = gossamer("inspect", tmp_path / "all.goss")
    assert code == 0
    assert "input          image float32 1×3×8×8" in stdout
    (pointwise,) = (line for line in stdout.splitlines() if line.startswith("pointwise "))
    assert {"conv", "1×8×4×4", "512"} <= set(pointwise.split())
    assert "multiply-adds  5,152 of 5,664" in stdout
    assert "arena " in stdout


def test_inspect_prints_json(gossamer, tmp_path: Path) -> None:
    (tmp_path / "all.goss").write_bytes(tiny_models.every_operator())
    _, stdout, _ = gossamer("inspect", tmp_path / "all.goss", "--json")
    description = json.loads(stdout)
    assert [layer["op"] for layer in description["layers"]][:2] == ["conv", "conv"]
    assert description["inputs"] == [
        {"name": "image", "shape": [1, 3, 8, 8], "type": "tensor(float)", "dtype": "float32"}
    ]
    assert description["info"]["macs"] == sum(layer["macs"] for layer in description["layers"])
    assert description["metadata"]["title"] == "Every operator"


# ---- convert ------------------------------------------------------------------------------------


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    onnx = pytest.importorskip("onnx")
    weights = onnx.numpy_helper.from_array(np.eye(3, dtype=np.float32), "weights")
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("GlobalAveragePool", ["image"], ["pooled"], "pool"),
            onnx.helper.make_node("Flatten", ["pooled"], ["flat"], "flatten"),
            onnx.helper.make_node("MatMul", ["flat", "weights"], ["scores"], "classify"),
            onnx.helper.make_node("Softmax", ["scores"], ["probabilities"], "softmax"),
        ],
        "colours",
        [onnx.helper.make_tensor_value_info("image", 1, ["batch", 3, 4, 4])],
        [onnx.helper.make_tensor_value_info("probabilities", 1, ["batch", 3])],
        [weights],
    )
    path = tmp_path / "colours.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]), path)
    return path


def test_a_converted_model_classifies(
    gossamer, tmp_path: Path, onnx_file: Path, pictures: dict[str, str]
) -> None:
    labels, target = tmp_path / "labels.txt", tmp_path / "converted.goss"
    labels.write_text("red\ngreen\nblue\n")
    code, stdout, _ = gossamer(
        *("convert", onnx_file, target, "--labels", labels, "--metadata", "image_mean=0 0 0"),
        *("--metadata", "image_scale=0.1 0.1 0.1"),
    )
    assert (code, stdout) == (0, f"{target}: {target.stat().st_size:,} bytes\n")
    _, stdout, _ = gossamer("run", target, pictures["blue"], "--json")
    assert json.loads(stdout)[0]["top"][0]["label"] == "blue"


def test_convert_reports_a_missing_file_and_writes_nothing(gossamer, tmp_path: Path) -> None:
    assert "no.onnx" in complaint(gossamer("convert", "no.onnx", tmp_path / "x.goss"))
    assert not (tmp_path / "x.goss").exists()


@pytest.mark.parametrize("content", [b"", b"red\n\nblue\n", b"\xff\xfe\x00"])
def test_convert_reports_labels_that_are_none(
    gossamer, tmp_path: Path, onnx_file: Path, content: bytes
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_bytes(content)
    message = complaint(gossamer("convert", onnx_file, tmp_path / "x.goss", "--labels", labels))
    assert message.endswith("one class name a line expected")


def test_convert_refuses_a_key_that_stands_twice(gossamer, onnx_file: Path, tmp_path: Path) -> None:
    twice = ("--metadata", "title=a", "--metadata", "title=b")
    message = complaint(gossamer("convert", onnx_file, tmp_path / "x.goss", *twice))
    assert "'title' stands twice" in message


# ---- demo ---------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The least that a checkout of the repository has to hold for the demo."""
    (tmp_path / "web" / "demo").mkdir(parents=True)
    (tmp_path / "web" / "demo" / "index.html").write_text("<!doctype html><title>Demo</title>")
    (tmp_path / "web" / "dist").mkdir()
    for name in (*ENGINES, *MODULES):
        (tmp_path / "web" / "dist" / name).write_bytes(b"\0asm\1\0\0\0")
    return tmp_path


def test_demo_serves_until_ctrl_c(checkout: Path) -> None:
    command = [sys.executable, "-m", "gossamer", "demo", "--port", "0"]
    process = subprocess.Popen(
        command,
        cwd=checkout,
        stdout=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background has told them to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        announcement = process.stdout.readline()
        url = next(word for word in announcement.split() if word.startswith("http://127.0.0.1:"))
        with urllib.request.urlopen(url) as page:
            assert b"<title>Demo</title>" in page.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.communicate()


def test_demo_says_what_is_missing_in_a_checkout(
    gossamer, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout)
    os.remove("web/dist/gossamer-simd.wasm")
    message = complaint(gossamer("demo"))
    assert message.endswith("gossamer-simd.wasm missing; build with `make wasm`")


def test_demo_says_what_is_missing_in_an_installation(
    gossamer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gossamer.serve.BUNDLE", tmp_path / "nowhere")
    assert "came without the demo page" in complaint(gossamer("demo"))
