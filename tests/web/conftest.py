"""A served checkout and a headless Chromium, shared by all tests of pages and modules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gossamer.serve import ENGINES, MODULES, Server

ROOT = Path(__file__).resolve().parents[2]
MODEL = "runtime/gossamer/models/cifar10-mobilenet.goss"


@pytest.fixture(scope="session")
def engines() -> Path:
    """The folder of the WebAssembly modules."""
    folder = ROOT / "web" / "dist"
    missing = [name for name in (*ENGINES, *MODULES) if not (folder / name).exists()]
    if missing:
        pytest.skip(f"web/dist lacks {' and '.join(missing)}: run `make wasm`")
    return folder


@pytest.fixture(scope="session")
def url(engines: Path) -> Iterator[str]:
    """Of the served repository."""
    with Server(ROOT) as server:
        yield server.url


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    from headless import BrowserMissingError, launch

    with playwright.sync_playwright() as driver:
        try:
            chromium = launch(driver)
        except BrowserMissingError as error:
            pytest.skip(str(error))
        yield chromium
        chromium.close()


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    context = browser.new_context()
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the page of `page` wrote to the console, and errors that it did not catch."""
    return []


@pytest.fixture
def page(context: Any, complaints: list[str]) -> Any:
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page


@pytest.fixture
def module(page: Any, url: str) -> Any:
    """A page where JavaScript runs with the module's exports: ``module(body, **arguments)``.

    In `body`, `gossamer` is the module, `MODEL` the embedded model's URL, `open(options)` makes a
    session of it, and `failure(promise)` gives what the promise's error says: ``{code, message}``.
    """
    page.goto(f"{url}web/demo/icon.svg")

    def run(body: str, **arguments: Any) -> Any:
        prelude = """
            const gossamer = await import("/web/dist/gossamer.mjs");
            const { InferenceSession, GossamerError } = gossamer;
            const open = (options) => InferenceSession.create(MODEL, options);
            const failure = async (promise) => {
              try { await promise; } catch (error) {
                if (!(error instanceof GossamerError)) throw error;
                return { code: error.code, message: error.message };
              }
              throw new Error("nothing was thrown");
            };
        """
        names = "".join(f"const {name} = given.{name};" for name in ["MODEL", *arguments])
        script = f"async (given) => {{ {names} {prelude} {body} }}"
        return page.evaluate(script, {"MODEL": f"{url}{MODEL}", **arguments})

    run.page = page
    return run
