"""What the npm package holds."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path, PurePosixPath

import pytest
from bundle import bundle

import gossamer
from gossamer.serve import ENGINES, MODULES

WEB = Path(__file__).resolve().parents[2] / "web"


@pytest.fixture(scope="module")
def files(engines) -> set[str]:
    if shutil.which("npm") is None:
        pytest.skip("needs npm")
    command = ["npm", "pack", "--dry-run", "--json", "--offline"]
    packed = subprocess.run(command, cwd=WEB, capture_output=True, text=True, check=True)
    (package,) = json.loads(packed.stdout)
    return {file["path"] for file in package["files"]}


def test_package_holds_modules_and_engines_and_no_pages(files) -> None:
    built = {f"dist/{name}" for name in (*ENGINES, *MODULES)}
    assert {"gossamer.mjs", "README.md"} | built <= files
    folders = {path.partition("/")[0] for path in files if "/" in path}
    assert folders == {"src", "dist"}


def test_everything_that_a_module_names_is_packed(files) -> None:
    named = {
        str(PurePosixPath(path).parent / address)
        for path in files
        if path.endswith(".mjs")
        for address in re.findall(
            r'(?:from |import\(|new URL\()"(\.[^"]+)"', (WEB / path).read_text()
        )
    }
    packed = {str((WEB / path).resolve()) for path in files}
    assert len(named) > 5
    assert {str((WEB / path).resolve()) for path in named} <= packed


def test_exports_exist(files) -> None:
    package = json.loads((WEB / "package.json").read_text())
    main, *others = package["exports"].values()
    assert {path.removeprefix("./") for path in (*main.values(), *others)} <= files


@pytest.mark.parametrize(
    ("source", "exports"),
    [
        ("gossamer.mjs", ["{ GossamerError, decodeImage, InferenceSession };"]),
        ("src/worker.mjs", []),
    ],
)
def test_built_modules_are_one_file_each_made_of_todays(engines, source: str, exports) -> None:
    built = engines / Path(source).name
    assert built.name in MODULES
    text = built.read_text()
    assert text == bundle(WEB / source)
    assert re.findall(r"^export (.*)", text, re.MULTILINE) == exports
    assert not re.search(r"^import\b|import\(", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import * as other from './other.mjs';", "import \\* as other"),
        ("export default 1;", "export default 1"),
        ('import { b } from "./other.mjs";\nconst shared = 1;', "shared is declared in other.mjs"),
    ],
)
def test_what_cannot_be_joined_is_refused(tmp_path, text: str, words: str) -> None:
    (tmp_path / "other.mjs").write_text("const shared = 2;\nexport const b = 1;\n")
    (tmp_path / "entry.mjs").write_text(text + "\n")
    with pytest.raises(ValueError, match=words):
        bundle(tmp_path / "entry.mjs")


def test_a_module_may_pass_on_names_and_have_its_own_code(tmp_path) -> None:
    (tmp_path / "other.mjs").write_text("export const b = 1;\n")
    (tmp_path / "entry.mjs").write_text('export { b } from "./other.mjs";\nconst own = 2;\n')
    lines = bundle(tmp_path / "entry.mjs").split("\n")
    assert [line for line in lines[1:] if line] == [
        "const b = 1;",
        "const own = 2;",
        "export { b };",
    ]


def test_npm_and_python_have_one_version() -> None:
    assert json.loads((WEB / "package.json").read_text())["version"] == gossamer.__version__
