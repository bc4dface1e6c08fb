from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TEXT_SUFFIXES = {
    ".c",
    ".h",
    ".py",
    ".mjs",
    ".js",
    ".css",
    ".html",
    ".md",
    ".cmake",
    ".toml",
    ".yml",
}


@pytest.fixture(scope="module")
def files(root: Path) -> list[Path]:
    """Every file of the repository that git would keep."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    if listing.returncode:
        pytest.skip("needs a git checkout")
    return [root / name for name in listing.stdout.split("\0") if name and (root / name).is_file()]


def complaints(root: Path, tool: str, *arguments: object) -> str:
    """What a tool of this environment complains about; empty when it is content."""
    command = [Path(sys.executable).with_name(tool), *arguments]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True)
    return "" if result.returncode == 0 else result.stdout + result.stderr


def test_python_keeps_the_rules(root: Path) -> None:
    assert complaints(root, "ruff", "check", "--quiet", "--output-format=concise", ".") == ""


def test_python_is_formatted(root: Path) -> None:
    assert complaints(root, "ruff", "format", "--check", "--quiet", ".") == ""


def test_c_is_formatted(root: Path, files: list[Path]) -> None:
    sources = [path for path in files if path.suffix in {".c", ".h"}]
    assert sources
    assert complaints(root, "clang-format", "--dry-run", "-Werror", *sources) == ""


def test_text_has_no_tabs_no_trailing_blanks_and_one_final_newline(files: list[Path]) -> None:
    found = []
    for path in files:
        if path.suffix not in TEXT_SUFFIXES:
            continue
        text = path.read_text(encoding="utf-8")
        found += [f"{path}: tab"] * ("\t" in text)
        found += [f"{path}: trailing blank"] * bool(re.search(r"[ \t]$", text, re.M))
        found += [f"{path}: end of file"] * (bool(text) and not re.search(r"\S\n\Z", text))
    assert found == []
