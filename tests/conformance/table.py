"""From outcomes to the committed table."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import onnx

from .operators import OPERATORS
from .suite import AS_IS, CONSTANTS, Outcome

PATH = Path(__file__).with_name("table.md")

TYPE = re.compile(r"input: (\w+); tensors of FLOAT, BOOL, INT32 or INT64 expected")

HEAD = """\
# ONNX's backend tests

What `gossamer.convert` and a session make of the tests of onnx {version}: of its node tests, which
are about one operator each, and of the models from exporters that come as files.

- **as it is**: all inputs of the graph are computed tensors, weights and axes too.
- **constants**: the inputs after the first as initializers; of cases with several inputs.
- passed: shapes, dtypes, and numbers within the case's own tolerances, here and in WebAssembly.
  Truth values, int32 and int64 go in and come out as f32, and must be exactly right; what has no
  axes is one number.
- refused: by an error that names the operator, the attribute or the dtype that the engine lacks.
- a wrong answer, a crash or an error that names nothing fails the test; there are none.

Functions count in two or three ways, as nodes and as the graphs that they stand for. Cases of
models older than operator set 7 were brought there by `onnx.version_converter`.

`.venv/bin/python tests/conformance` writes this file.

**{passed} of {count} tests pass, {share}**, of those that are about what networks for vision are
made of (`operators.py` lists {listed} operators) and have tensors of f32, truth values, int32 and
int64 only. A test passes here that does so in one of its forms.

"""


def write(outcomes: Sequence[Outcome]) -> str:
    """Say for each operator how many cases passed, and why the others were refused."""
    rows: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        rows[outcome.case.operator].append(outcome)
    ran = {name for name, found in rows.items() if any(o.verdict == "passed" for o in found)}
    lines = [
        "| | as it is: passed | of | constants: passed | of | refused because of |",
        "|---|---|---|---|---|---|",
        _row("**all**", outcomes, ""),
        *(_row(name, rows[name], _reasons(rows[name])) for name in sorted(ran)),
    ]
    refused = sorted(set(rows) - ran)
    more = [
        "",
        "Of these no case passed:",
        "",
        "| | as it is | constants | refused because of |",
        "|---|---|---|---|",
    ]
    for name in refused:
        counts = " | ".join(str(_count(rows[name], form)) for form in (AS_IS, CONSTANTS))
        more.append(f"| {name} | {counts} | {_reasons(rows[name])} |")
    return _head(outcomes) + "\n".join([*lines, *more]) + "\n"


def _head(outcomes: Sequence[Outcome]) -> str:
    passed, count = listed(outcomes)
    return HEAD.format(
        version=onnx.__version__,
        passed=passed,
        count=count,
        share=f"{passed / count:.1%}",
        listed=len(OPERATORS),
    )


def listed(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    """Count the tests of `OPERATORS` that are of f32: those that pass in a form, and all."""
    tests: dict[str, set[str]] = defaultdict(set)
    for outcome in outcomes:
        if outcome.case.operator in OPERATORS and outcome.case.is_of_f32():
            tests[outcome.case.name].add(outcome.verdict)
    return sum("passed" in verdicts for verdicts in tests.values()), len(tests)


def version(text: str) -> str:
    """The version of onnx that a table was made with."""
    return re.search(r"the tests of onnx (\S+):", text)[1]


def _row(name: str, outcomes: Sequence[Outcome], reasons: str) -> str:
    counts = (
        f"{_count(outcomes, form, 'passed')} | {_count(outcomes, form)}"
        for form in (AS_IS, CONSTANTS)
    )
    return f"| {name} | {' | '.join(counts)} | {reasons} |"


def _count(outcomes: Sequence[Outcome], form: str, *verdicts: str) -> int:
    return sum(o.case.form == form and (not verdicts or o.verdict in verdicts) for o in outcomes)


def _reasons(outcomes: Sequence[Outcome]) -> str:
    """Each cause with the number of cases that it is the first one of, frequent ones first."""
    causes = Counter(_cause(o.reason) for o in outcomes if o.verdict != "passed")
    types = {cause: found[1] for cause in causes if (found := TYPE.fullmatch(cause))}
    if types:  # one cause
        named = f"input: {', '.join(types.values())}; other types expected"
        causes[named] = sum(causes.pop(cause) for cause in types)
    return "; ".join(f"{cause} ({count})" for cause, count in causes.most_common())


def _cause(message: str) -> str:
    """The first line of an error that names a cause, without the case's names and sizes."""
    lines = re.findall(r"^  (.*?) ×\d+, first '[^']*': (.*)$", message, re.MULTILINE)
    what, why = lines[0] if lines else message.removeprefix("model: ").partition("; ")[::2]
    why = re.sub(r"\[[^][]*\]", "[…]", why)
    return f"{what}: {why}".replace("|", r"\|")
