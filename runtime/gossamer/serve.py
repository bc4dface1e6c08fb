"""A web server for the demo page, on this machine only unless told otherwise."""

from __future__ import annotations

import errno
import sys
import threading
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from .embedded import MODELS
from .errors import InputError

BUNDLE = Path(__file__).with_name("_web")
PAGE = "web/demo/"
ENGINES = (
    "gossamer-simd.wasm",
    "gossamer-relaxed.wasm",
    "gossamer-simd-threads.wasm",
    "gossamer-relaxed-threads.wasm",
)
MODULES = ("gossamer.mjs", "worker.mjs")  # the public one, and that in which engines run

# Where the page looks for models: where they lie in a checkout.
_MODELS_FOLDER = Path("runtime/gossamer/models")

_HEADERS = {
    # Cross-origin isolation: what browsers ask for before they share memory between threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}

# Not mimetypes': those depend on the machine's files.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".goss": "application/octet-stream",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".whl": "application/zip",
    ".zip": "application/zip",
    "": "application/octet-stream",
}


def find_root() -> Path:
    """Return the folder that holds the page: this checkout, else what came with the package.

    Raises
    ------
    InputError
        Neither is there, or the engines are not built; the message says what to do.
    """
    here = Path.cwd()
    if (here / PAGE / "index.html").exists():
        dist = here / "web" / "dist"
        missing = [name for name in (*ENGINES, *MODULES) if not (dist / name).exists()]
        if missing:
            raise InputError(f"{dist}: {' and '.join(missing)} missing; build with `make wasm`")
        return here
    if not (BUNDLE / PAGE / "index.html").exists():
        raise InputError(
            "this installation came without the demo page: its wheel was built without the "
            "WebAssembly engines; run `make demo` in a checkout of the repository"
        )
    return BUNDLE


class Server:
    """Serve a folder over HTTP in a background thread; a context manager.

    Parameters
    ----------
    root
        Folder with ``web/``. Models that it does not hold come from the package.
    host, port
        Where to listen; port 0 takes any free one.

    Attributes
    ----------
    url
        Of the root, with a slash at its end; the demo page is ``url + PAGE``.

    Raises
    ------
    InputError
        The port is in use or may not be used, or the host is not one of this machine's.

    Examples
    --------
    >>> with Server(find_root()) as server:
    ...     print(server.url + PAGE)
    """

    def __init__(self, root: Path, *, host: str = "127.0.0.1", port: int = 0) -> None:
        try:
            self._http = _HttpServer((host, port), partial(_Handler, directory=str(root)))
        except (OSError, OverflowError) as error:
            raise InputError(_why_not(error, host, port)) from None
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self.url = f"http://{host}:{self._http.server_port}/"

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def wait(self) -> None:
        """Block until the server stops."""
        self._thread.join()


def _why_not(error: Exception, host: str, port: int) -> str:
    if isinstance(error, OverflowError):
        return f"port {port}: 0 to 65535 expected"
    if getattr(error, "errno", None) == errno.EADDRINUSE:
        return f"port {port} of {host} is in use; choose another with --port, or 0 for any free one"
    return f"cannot listen on port {port} of {host}: {error}"


class _HttpServer(ThreadingHTTPServer):
    """A server that is not surprised when a browser hangs up in the middle of a file."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(SimpleHTTPRequestHandler):
    """Files below the root, with the headers that the page needs; nothing hidden, no listings."""

    extensions_map = _TYPES
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or a body would wait 40 ms for the headers to be acknowledged

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def translate_path(self, path: str) -> str:
        translated = super().translate_path(path)
        relative = Path(translated).relative_to(self.directory)
        if any(part.startswith(".") for part in relative.parts):
            return str(Path(self.directory) / "hidden files are not served")
        if relative.parent == _MODELS_FOLDER and not Path(translated).exists():
            return str(MODELS / relative.name)
        return translated

    def list_directory(self, path: Any) -> None:
        self.send_error(HTTPStatus.NOT_FOUND, "No page here; the demo is at /" + PAGE)

    def log_message(self, format: str, *args: Any) -> None:
        pass
