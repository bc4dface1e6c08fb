"""The page of `gossamer explain --html`, opened as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_models

import gossamer


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx")
    path = tmp_path_factory.mktemp("explain") / "page.html"
    path.write_text(gossamer.explain("cifar10-mobilenet", target="host").html(), encoding="utf-8")
    return path


@pytest.fixture
def requests(page: Any) -> list[str]:
    """What the page asks for."""
    found: list[str] = []
    page.on("request", lambda request: found.append(request.url))
    return found


def test_layers_have_bars_and_open_to_what_is_known_of_them(
    page: Any, written: Path, complaints: list[str], requests: list[str]
) -> None:
    page.goto(written.as_uri())
    layers = len(gossamer.load_model("cifar10-mobilenet").layers())
    assert page.locator("details").count() == layers
    bars = page.locator("details svg rect:not(.measured)")
    widths = [bar.bounding_box()["width"] for bar in bars.all()]
    assert max(widths) > 50 * min(widths)
    assert page.locator("rect.measured").count() == layers
    kernel = page.locator("details").nth(2).get_by_text("pointwise_f32_1x1")
    assert not kernel.is_visible()
    page.locator("summary").nth(2).click()
    assert kernel.is_visible()
    assert page.inner_text(".verdict p").startswith("The zeros pay")
    assert [url for url in requests if not url.startswith("data:")] == [written.as_uri()]
    assert complaints == []


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_screen(page: Any, written: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(written.as_uri())
    page.locator("summary").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_colours_follow_the_system(page: Any, written: Path) -> None:
    page.goto(written.as_uri())
    brightness = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness[scheme] = sum(map(int, colour.removeprefix("rgb(").rstrip(")").split(",")))
    assert brightness["light"] > 600 > 150 > brightness["dark"]


def test_a_model_without_weights_has_a_page(page: Any, complaints: list[str]) -> None:
    page.set_content(gossamer.explain(tiny_models.sums()).html())
    assert page.locator("details").count() == 2
    assert complaints == []
