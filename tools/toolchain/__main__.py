"""Sets up what building and testing Gossamer needs, and says where it is.

`python3 tools/toolchain NAME...` installs what is missing and is quick when nothing is. It uses the
standard library only, because it runs before anything is installed.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 (nothing has checked it yet)
    sys.exit("toolchain: Python 3.10 or newer is needed; run it with one, then again.")

import argparse

import aarch64
import benchmark
import browser
import emscripten
import fuzzer
import node
import python_environment
from task import Failure, alone

STEPS = {
    "venv": python_environment.install,
    "emscripten": emscripten.install,
    "aarch64": aarch64.install,
    "chromium": browser.install,
    "node": node.install,
    "fuzzer": fuzzer.install,
    "bench": benchmark.install,
}
PROGRAMS = {
    "emcc": emscripten.locate,
    "aarch64-python": aarch64.locate,
    "chromium": browser.locate,
    "tensorflow": benchmark.tensorflow_python,
}


def main() -> int:
    """Run the command line."""
    names = ", ".join(STEPS)
    summary = __doc__.splitlines()[0]
    parser = argparse.ArgumentParser(prog="python3 tools/toolchain", description=summary)
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"what to set up: {names}")
    parser.add_argument("--print", choices=PROGRAMS, help="print the path of what is set up")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in STEPS]:
        parser.error(f"unknown NAME {unknown[0]!r}: choose from {names}")
    if not arguments.names and not arguments.print:
        parser.error("name something to set up, or a program to --print")
    try:
        for name in arguments.names:
            with alone(name):
                STEPS[name]()
        if arguments.print:
            print(PROGRAMS[arguments.print]())
    except Failure as failure:
        print(f"toolchain: {failure}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"toolchain: {error}; fix that and run the command again.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("toolchain: stopped; the next run goes on from here.", file=sys.stderr)
        return 130
    return 0


sys.exit(main())
