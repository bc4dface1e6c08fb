"""``gossamer run``: classify pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from ..embedded import open_model
from ..errors import GossamerError
from ..image import classify
from .options import MODEL_HELP, Commands, count
from .printing import complain, print_json


def add_to(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser("run", help="classify pictures")
    parser.set_defaults(command=_run)
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="a JPEG, PNG, WebP, … file")
    parser.add_argument("--top", type=count, default=5, help="classes a picture (default: 5)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _run(options: argparse.Namespace) -> int:
    session = open_model(options.model)
    results, failures = [], 0
    for image in options.images:
        try:
            predictions = classify(session, image, options.top)
        except (GossamerError, OSError) as error:
            failures += 1
            complain(error)
            continue
        results.append({"image": image, "top": [p._asdict() for p in predictions]})
        if not options.json:
            _print_predictions(image, predictions)
    if options.json:
        print_json(results)
    return 1 if failures else 0


def _print_predictions(image: str, predictions: Sequence[Any]) -> None:
    print(image)
    for label, probability in predictions:
        print(f"  {probability:7.2%}  {label}")
