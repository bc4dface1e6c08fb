"""The page where a person types Python, with the real Pyodide and the real wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

import gossamer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def console(page, url, wheels):
    """The page, ready to run Python."""
    if "pyodide" not in wheels:
        pytest.skip("dist/ has no Pyodide wheel: run `make wheels`")
    if not (ROOT / "tests" / "pyodide" / "node_modules" / "pyodide").exists():
        pytest.skip("npm's pyodide is not installed: run `python3 tools/toolchain node`")
    page.set_default_timeout(60_000)
    page.goto(f"{url}web/pyodide/")
    page.wait_for_selector("html:not([data-state=loading])")
    assert page.inner_text("#error") == ""
    return page


def run(page, code: str | None = None) -> str:
    """What Python prints."""
    if code is not None:
        page.fill("#code", code)
    page.click("#run")
    page.wait_for_selector("html[data-state=ready]")
    return page.inner_text("#output")


def test_the_given_code_names_the_photo_as_native_python_does(console, photos, complaints) -> None:
    session = gossamer.load_model("cifar10-mobilenet")
    for photo in photos[:2]:
        console.select_option("#samples", photo.path.name)
        console.wait_for_function(
            "name => document.querySelector('#photo').dataset.file === name", arg=photo.path.name
        )
        best = gossamer.classify(session, photo.path, top=1)[0]
        label, percent = run(console).split()[:2]
        assert (label, percent) == (best.label, f"{best.probability:.1%}")
    assert complaints == []


def test_probabilities_in_the_page_equal_native_ones(console, photos) -> None:
    output = run(
        console,
        "import gossamer\n"
        "session = gossamer.load_model('cifar10-mobilenet')\n"
        "image = gossamer.image_to_tensor(photo, session)\n"
        "print(session.run(None, {'image': image})[0].tolist()[0])\n",
    )
    values = [float(number) for number in output.strip("[] \n").split(",")]
    assert values == pytest.approx(photos[0].probabilities, abs=1e-5)


def test_errors_are_printed_and_python_goes_on(console) -> None:
    assert "ZeroDivisionError" in run(console, "print(1 / 0)")
    assert console.inner_text("#status") == "Python raised an error."
    assert run(console, "print(6 * 7)").strip() == "42"


def test_endless_code_can_be_stopped(console) -> None:
    console.fill("#code", "while True:\n    pass")
    console.click("#run")
    console.wait_for_selector("html[data-state=running]")
    console.click("#run")
    console.wait_for_selector("html[data-state=ready]")
    assert run(console, "print(6 * 7)").strip() == "42"


@pytest.mark.parametrize(
    ("pattern", "words"),
    [("**/pyodide.mjs", "npm ci"), ("**/wheels.json", "make wheels")],
)
def test_missing_parts_are_named_with_what_to_do(page, url, pattern, words) -> None:
    page.route(pattern, lambda route: route.fulfill(status=404))
    if pattern == "**/wheels.json":
        page.route("**/pyodide.mjs", lambda route: route.fulfill(status=200, body=""))
    page.goto(f"{url}web/pyodide/")
    page.wait_for_selector("html[data-state=failed]")
    assert words in page.inner_text("#error")
    assert page.is_disabled("#run")
