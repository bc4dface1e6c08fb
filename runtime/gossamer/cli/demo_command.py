"""``gossamer demo``: serve the demo page."""

from __future__ import annotations

import argparse

from ..serve import PAGE, Server, find_root
from .options import Commands


def add_to(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser("demo", help="serve the demo page until Ctrl-C")
    parser.set_defaults(command=_run)
    parser.add_argument("--port", type=int, default=8000, help="default: 8000; 0 = any free one")
    parser.add_argument("--host", default="127.0.0.1", help="default: this machine only")


def _run(options: argparse.Namespace) -> int:
    root = find_root()
    with Server(root, host=options.host, port=options.port) as server:
        print(f"Gossamer demo: {server.url}{PAGE}  (Ctrl-C stops)", flush=True)
        try:
            server.wait()
        except KeyboardInterrupt:
            print()
    return 0
