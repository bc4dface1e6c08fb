"""``gossamer evaluate``: measure accuracy."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence

from ..embedded import open_model
from ..evaluation import Accuracy, ClassAccuracy, Interval, evaluate
from .options import MODEL_HELP, Commands, count
from .printing import print_fact, print_json, print_table


def add_to(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "evaluate",
        help="measure accuracy",
        description="Print the shares, 0 to 1, of pictures whose class is the model's first guess "
        "(top1) or among its first five (top5), each with the interval that holds the true share "
        "with 95 % confidence, and the number of pictures (n).",
    )
    parser.set_defaults(command=_run)
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument(
        "--data",
        metavar="TAR|DIR",
        required=True,
        help="pictures in folders named like the model's labels, or files NNN_….jpg (class NNN)",
    )
    parser.add_argument(
        "--reference",
        metavar="MODEL",
        help="another model of the same classes: how often both agree, and the difference of top1",
    )
    parser.add_argument(
        "--per-class",
        action="store_true",
        help="print each class's pictures, top1, and most frequent wrong answer",
    )
    parser.add_argument(
        "--limit", metavar="N", type=count, help="take N pictures, evenly spread over the data"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _run(options: argparse.Namespace) -> int:
    show = sys.stderr.isatty()
    accuracy = evaluate(
        open_model(options.model),
        options.data,
        reference=open_model(options.reference) if options.reference else None,
        limit=options.limit,
        progress=_show_progress if show else None,
    )
    if show:
        print(file=sys.stderr)
    if options.json:
        document = dataclasses.asdict(accuracy)
        if not options.per_class:
            del document["classes"]
        print_json(document)
        return 0
    if options.per_class:
        print_table(_class_rows(accuracy.classes), right_aligned=range(1, 3))
        print()
    print(f"{accuracy.n} pictures; in brackets: 95 % confidence")
    print_fact("top-1", f"{accuracy.top1:.2%} {_percents(accuracy.top1_interval)}")
    print_fact("top-5", f"{accuracy.top5:.2%} {_percents(accuracy.top5_interval)}")
    if compared := accuracy.comparison:
        print_fact("reference", f"top-1 {compared.top1:.2%}")
        print_fact("agreement", f"the same first answer for {compared.agreement:.2%}")
        difference = f"{100 * compared.difference:+.2f} points of top-1"
        low, high = (f"{100 * end:+.2f}" for end in compared.interval)
        print_fact("difference", f"{difference} [{low}, {high}]")
    return 0


def _percents(interval: Interval) -> str:
    return f"[{interval.low:.2%}, {interval.high:.2%}]"


def _class_rows(classes: Sequence[ClassAccuracy]) -> Iterator[Sequence[str]]:
    yield "class", "pictures", "top-1", "most frequent wrong answer"
    for of in classes:
        wrong = "" if of.mistaken_for is None else f"{of.mistaken_for} ({of.mistakes})"
        yield of.label, str(of.n), f"{of.top1:.2%}", wrong


def _show_progress(so_far: Accuracy, total: int) -> None:
    if so_far.n % 10 == 0 or so_far.n == total:
        line = f"\r{so_far.n}/{total} pictures, top-1 {so_far.top1:.2%}"
        print(line, end="", file=sys.stderr, flush=True)
