"""The command ``gossamer``."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

from .. import __version__
from ..embedded import model_names
from ..errors import GossamerError
from . import (
    bench_command,
    convert_command,
    demo_command,
    evaluate_command,
    explain_command,
    inspect_command,
    prune_command,
    quantize_command,
    run_command,
    zoo_command,
)
from .printing import complain

__all__ = ["main"]

_COMMANDS = (
    run_command,
    evaluate_command,
    inspect_command,
    explain_command,
    convert_command,
    prune_command,
    quantize_command,
    zoo_command,
    bench_command,
    demo_command,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments
        Without the program's name; None = the process's.

    Returns
    -------
    int
        0; 1 where something failed, after one line on stderr.

    Raises
    ------
    SystemExit
        2: the arguments make no sense, and stderr says why; 0: ``--help``, ``--version``.
    """
    warnings.filterwarnings("ignore", module="PIL")
    options = _parser().parse_args(arguments)
    try:
        code = options.command(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # `gossamer inspect … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (GossamerError, OSError) as error:
        complain(error)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gossamer",
        description="Inference of pruned neural networks on CPUs.",
        epilog=f"Embedded models: {', '.join(model_names()) or 'none'}.",
    )
    parser.add_argument("--version", action="version", version=f"gossamer {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.add_to(commands)
    return parser
