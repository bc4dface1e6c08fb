"""Headless Chromium, for the checks and tests of the pages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, Playwright

TOOLCHAIN = Path(__file__).resolve().with_name("toolchain")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A camera that shows a moving test picture. Permission is still asked for.
    "--use-fake-device-for-media-stream",
]


class BrowserMissingError(Exception):
    """There is no Chromium; the message says what to do."""


def launch(playwright: Playwright) -> Browser:
    """Start the Chromium or Chrome of this machine.

    Raises
    ------
    BrowserMissingError
        There is none.
    """
    command = [sys.executable, str(TOOLCHAIN), "--print", "chromium"]
    found = subprocess.run(command, capture_output=True, text=True)
    if found.returncode != 0:
        raise BrowserMissingError(found.stderr.strip())
    return playwright.chromium.launch(executable_path=found.stdout.strip(), args=FLAGS)
