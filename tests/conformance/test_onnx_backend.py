"""ONNX's own backend tests: what passes, what is refused, natively and in WebAssembly."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from conformance import suite, table

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def outcomes() -> list[suite.Outcome]:
    return suite.run()


@pytest.fixture(scope="module")
def passed(outcomes) -> list[suite.Outcome]:
    return [outcome for outcome in outcomes if outcome.verdict == "passed"]


def test_every_case_passes_or_is_refused_by_name(outcomes) -> None:
    assert len(outcomes) > 1000
    wrong = [str(outcome) for outcome in outcomes if outcome.verdict == "wrong"]
    assert not wrong, "\n".join(wrong)


def test_nine_of_ten_tests_of_the_listed_operators_pass(outcomes) -> None:
    passed, count = table.listed(outcomes)
    assert count > 600
    assert passed >= 0.9 * count


def test_the_table_is_what_the_run_gives(outcomes) -> None:
    committed = table.PATH.read_text(encoding="utf-8")
    if table.version(committed) != onnx.__version__:
        pytest.skip(f"the table is of onnx {table.version(committed)}: run tests/conformance")
    assert table.write(outcomes) == committed, "run .venv/bin/python tests/conformance"


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
@pytest.mark.parametrize("build", ["gossamer-simd", "gossamer-relaxed"])
def test_what_passes_natively_passes_in_webassembly(passed, build: str, tmp_path: Path) -> None:
    module = ROOT / "web" / "dist" / f"{build}.wasm"
    if not module.exists():
        pytest.skip(f"web/dist lacks {module.name}: run `make wasm`")
    folders = [tmp_path / str(number) for number in range(len(passed))]
    for folder, outcome in zip(folders, passed, strict=True):
        folder.mkdir()
        (folder / "model.goss").write_bytes(outcome.data)
        for number, value in enumerate(outcome.case.feeds().values()):
            (folder / f"{number}.in").write_bytes(np.ascontiguousarray(value).tobytes())
    listing = [
        {"folder": str(folder), "inputs": list(outcome.case.inputs)}
        for folder, outcome in zip(folders, passed, strict=True)
    ]
    (tmp_path / "cases.json").write_text(json.dumps(listing))
    script = Path(__file__).with_name("run_cases.mjs")
    run = subprocess.run(
        ["node", script, module, tmp_path], capture_output=True, text=True, timeout=600
    )
    assert run.returncode == 0, run.stderr
    for folder, outcome, shapes in zip(folders, passed, json.loads(run.stdout), strict=True):
        assert isinstance(shapes, list), (str(outcome), shapes)
        outcome.case.check(
            [
                np.fromfile(folder / f"{number}.out", np.float32).reshape(shape)
                for number, shape in enumerate(shapes)
            ]
        )
