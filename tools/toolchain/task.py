"""What set-up tasks share: failing with one sentence, running programs, knowing what is done."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("GOSSAMER_CACHE") or Path.home() / ".cache" / "gossamer").resolve()

# How to get a program that set-up itself does not install.
PROGRAMS = {
    "cc": "a C compiler (on Debian: apt-get install gcc libc6-dev)",
    "cmake": "CMake (on Debian: apt-get install cmake)",
    "node": "Node.js 18 or newer (on Debian: apt-get install nodejs)",
    "npm": "npm (on Debian: apt-get install npm)",
}


class Failure(Exception):
    """Set-up cannot go on; the message is one sentence for the user and ends in what to do next."""


class CommandFailed(Exception):
    """A program ended with an error; whoever ran it knows what that means for the user."""

    def __init__(self, lines: list[str], log: Path) -> None:
        super().__init__(lines[-1] if lines else "no output")
        self.lines = lines
        self.log = log

    def reason(self, *prefixes: str) -> str:
        """The first line that begins with a prefix, else the last one, and where the rest is."""
        marked = [line for line in self.lines if line.lower().startswith(prefixes)]
        lines = marked or self.lines[-1:] or ["it printed nothing"]
        return f"{lines[0]} (log: {self.log})"


def say(task: str, text: str) -> None:
    """Print one line about what happens now."""
    print(f"{task}: {text}", flush=True)


class Progress:
    """A line that rewrites itself on a terminal, and comes at most every 15 s in a log."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._live = sys.stdout.isatty()
        self._next = time.monotonic() + (0 if self._live else 15)

    def show(self, text: str) -> None:
        """Show how far the task is."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (0.1 if self._live else 15)
        if self._live:
            line = f"{self._task}: {text}"[: shutil.get_terminal_size().columns - 1]
            print(f"\r\033[K{line}", end="", flush=True)
        else:
            say(self._task, text)

    def close(self) -> None:
        """Leave the terminal with an empty line."""
        if self._live:
            print("\r\033[K", end="", flush=True)


def run(
    task: str,
    command: Iterable[str | Path],
    *,
    cwd: Path = ROOT,
    environment: Mapping[str, str] | None = None,
    describe: Callable[[str], str | None] = lambda line: line,
) -> str:
    """Run a program, show its last line as progress, keep everything in a log.

    Parameters
    ----------
    task
        What the program works for; names the log.
    command, cwd, environment
        As for a subprocess; ``environment`` is added to this process's.
    describe
        Turns a line of output into a progress text, or None for a line that says nothing.

    Returns
    -------
    str
        All of the program's output.

    Raises
    ------
    CommandFailed
        The program cannot be started or its exit status is not zero.
    """
    log = CACHE / "logs" / f"{task}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    progress = Progress(task)
    try:
        process = subprocess.Popen(
            [os.fspath(part) for part in command],
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise CommandFailed([f"{error.filename}: {error.strerror}"], log) from error
    with process, log.open("w") as record:
        assert process.stdout is not None
        for raw in process.stdout:
            record.write(raw)
            if line := raw.strip():
                lines.append(line)
                if text := describe(line):
                    progress.show(text)
    progress.close()
    if process.returncode:
        raise CommandFailed(lines, log)
    return "\n".join(lines)


def answer(*command: str | Path) -> str:
    """What a program prints; nothing when it is not there or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def require(task: str, *programs: str) -> None:
    """Check that programs which the user has to bring are there."""
    missing = [PROGRAMS[program] for program in programs if not shutil.which(program)]
    if missing:
        raise Failure(f"{task} needs {' and '.join(missing)}; then run the command again.")


class Stamp:
    """Remembers the inputs that a task was last done with."""

    def __init__(self, folder: Path, *inputs: str | Path) -> None:
        digest = hashlib.sha256()
        for item in inputs:
            digest.update(f"{item}\0".encode())
            if isinstance(item, Path):
                digest.update(item.read_bytes())
        self._path = folder / ".gossamer-stamp"
        self._digest = digest.hexdigest()

    def fresh(self) -> bool:
        """Whether the task was done with the same inputs."""
        return self._path.is_file() and self._path.read_text() == self._digest

    def write(self) -> None:
        """The task is done."""
        self._path.write_text(self._digest)


@contextlib.contextmanager
def alone(task: str) -> Iterator[None]:
    """Hold the task's lock: two runs at once would write into the same folders."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{task}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(task, "waiting for another run of this set-up")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
