from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import gossamer
from gossamer.serve import ENGINES, MODULES, PAGE, Server, find_root


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    root = tmp_path_factory.mktemp("root")
    (root / "web" / "demo").mkdir(parents=True)
    for name in ("index.html", "a.mjs", "a.wasm", "a.goss", "a.css", "a.png", "a.unknown", ".key"):
        (root / "web" / "demo" / name).write_bytes(b"content")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_bytes(b"secret")
    (root.parent / "outside.txt").write_bytes(b"secret")
    with Server(root) as server:
        yield server


def fetch(server: Server, path: str) -> http.client.HTTPResponse:
    return urllib.request.urlopen(server.url + path, timeout=10)


def test_every_answer_isolates_the_page_and_is_never_cached(server: Server) -> None:
    headers = fetch(server, "web/demo/index.html").headers
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "text/html; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.wasm", "application/wasm"),
        ("a.goss", "application/octet-stream"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.unknown", "application/octet-stream"),
    ],
)
def test_types_are_what_browsers_insist_on(server: Server, name: str, expected: str) -> None:
    assert fetch(server, f"web/demo/{name}").headers["Content-Type"] == expected


@pytest.mark.parametrize(
    "path",
    [
        "nothing.html",
        "",
        "web/",
        ".git/config",
        "web/demo/.key",
        "../outside.txt",
        "web/%2e%2e/%2e%2e/outside.txt",
        "runtime/gossamer/models/nothing.goss",
        "runtime/gossamer/models/",
    ],
)
def test_missing_hidden_and_outside_files_are_not_found(server: Server, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetch(server, path)


def page_in(folder: Path) -> Path:
    """A folder with a demo page and engines."""
    (folder / PAGE).mkdir(parents=True)
    (folder / PAGE / "index.html").touch()
    (folder / "web" / "dist").mkdir()
    for name in (*ENGINES, *MODULES):
        (folder / "web" / "dist" / name).touch()
    return folder


def test_a_checkout_serves_itself_and_an_installation_what_came_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout, bundle = page_in(tmp_path / "checkout"), page_in(tmp_path / "bundle")
    monkeypatch.setattr("gossamer.serve.BUNDLE", bundle)
    monkeypatch.chdir(checkout)
    assert find_root() == checkout
    monkeypatch.chdir(tmp_path)
    assert find_root() == bundle


def test_models_come_from_the_package_where_the_root_has_none(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.goss").write_bytes(b"model")
    monkeypatch.setattr("gossamer.serve.MODELS", tmp_path)
    assert fetch(server, "runtime/gossamer/models/mine.goss").read() == b"model"


def test_a_port_in_use_is_reported_with_a_way_out(server: Server, tmp_path: Path) -> None:
    port = int(server.url.rstrip("/").rpartition(":")[2])
    with pytest.raises(gossamer.InputError, match=f"port {port} .* is in use; .* --port"):
        Server(tmp_path, port=port)


@pytest.mark.parametrize("port", [-1, 70000])
def test_an_impossible_port_is_reported(tmp_path: Path, port: int) -> None:
    with pytest.raises(gossamer.InputError, match=f"port {port}: 0 to 65535 expected"):
        Server(tmp_path, port=port)


def test_a_foreign_host_is_reported(tmp_path: Path) -> None:
    with pytest.raises(gossamer.InputError, match="cannot listen on port 0 of 192.0.2.1: "):
        Server(tmp_path, host="192.0.2.1")


def test_a_stopped_server_gives_its_port_back(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        port = int(server.url.rstrip("/").rpartition(":")[2])
    with Server(tmp_path, port=port):
        pass
