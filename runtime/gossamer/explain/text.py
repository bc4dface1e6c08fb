"""An explanation as text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from ..table import aligned
from .report import Explanation, LayerReport

_WIDTH = 120  # of sentences, in characters; rows of the table are as wide as names are long
_NAME = 40  # of names
_RIGHT = (4, 6, 7, 8)  # zeros, times, share


def render(explanation: Explanation) -> str:
    """Give a report of several paragraphs: verdict, facts, layers, what was fused."""
    paragraphs = [
        _top(explanation),
        [f"{name:<12}  {fact}" for name, fact in facts(explanation)],
        _layers(explanation),
        [f"fused  {line}" for line in fused(explanation.layers)],
    ]
    return "\n\n".join("\n".join(lines) for lines in paragraphs if lines)


def facts(explanation: Explanation) -> Iterator[tuple[str, str]]:
    """Give what there is to say besides layers: names and texts."""
    estimate = ", an estimate" if explanation.caveat else ""
    yield "predicted", f"{milliseconds(explanation.predicted_seconds)}, one thread{estimate}"
    if measured := explanation.measured:
        threads = f"{measured.threads} thread{'s' if measured.threads > 1 else ''}"
        yield "measured", f"{milliseconds(measured.seconds)} here, {measured.isa}, {threads}"
    weights = f"{explanation.zeros:.1%} of {explanation.weights:,} weights"
    yield "zeros", weights if explanation.weights else "no weights whose zeros could be skipped"
    origin = "simulated by" if explanation.caveat else "measured on"
    yield "target", f"{explanation.target}; costs {origin} {explanation.costs}"
    moving = [layer for layer in explanation.layers if layer.moves_data]
    seconds = sum(layer.predicted_seconds or 0.0 for layer in moving)
    took = f"{milliseconds(seconds)} in {len(moving)} of {len(explanation.layers)} layers"
    kinds = "; ".join(_counted((layer.op, layer.name) for layer in moving))
    yield "moving data", f"{took}: {kinds}" if moving else "no layer does nothing else"
    turning = sum(layer.op == "transpose" for layer in explanation.layers)
    yield "transposes", f"{turning} left" if turning else "none left"
    if explanation.folded:
        gone = ", ".join(f"{count} {name}" for name, count in sorted(explanation.folded.items()))
        yield "folded away", f"{gone}: computed during conversion, or without effect"
    for note in explanation.notes:
        yield "note", note


def sentence(note: str) -> str:
    """Write a note that stands alone."""
    return f"{note[0].upper()}{note[1:]}."


def short_name(name: str) -> str:
    """Write a name in a column: exporters join the paths of all that became a node."""
    first = name.partition(";")[0]
    return first if len(first) <= _NAME else f"…{first[1 - _NAME :]}"


def milliseconds(seconds: float | None) -> str:
    """Write a time, or nothing."""
    return "" if seconds is None else f"{1000 * seconds:.3f} ms"


def zeros_fit(layer: LayerReport) -> str:
    """Say which blocks zeros fit, and how well larger ones would do."""
    of = layer.weights
    if not of or of.pattern is None:
        return ""
    larger = [f"{share:.0%} {name}" for name, share in of.zeros_in_blocks.items() if name != "1x1"]
    return f"{of.pattern} ({', '.join(larger)})" if larger else of.pattern


def pays_from(layer: LayerReport) -> str:
    """Say from how many zeros on each kind of blocks is faster than dense storage."""
    return ", ".join(
        f"{name} never" if share is None else f"{name} from {share:.0%}"
        for name, share in layer.weights.break_even.items()
    )


def storage(layer: LayerReport) -> str:
    """Say how weights are stored."""
    of = layer.weights
    return f"{of.storage} {of.block}" if of else ""


def shape(sizes: tuple[int, ...]) -> str:
    """Write a shape."""
    return "×".join(map(str, sizes))


def fused(layers: tuple[LayerReport, ...]) -> list[str]:
    """Say which operators of the source model run as one, how often, and where first."""
    return _counted(
        (" + ".join(node.operator for node in layer.source), layer.name)
        for layer in layers
        if len(layer.source) > 1
    )


def _counted(layers: Iterable[tuple[str, str]]) -> list[str]:
    """Say of kinds and names of layers how many there are of each kind, and where first."""
    kinds: dict[str, list[str]] = {}
    for kind, name in layers:
        kinds.setdefault(kind, []).append(name)
    return [
        f"{kind} ×{len(names)}, first '{short_name(names[0])}'" for kind, names in kinds.items()
    ]


def _top(explanation: Explanation) -> list[str]:
    verdict = explanation.verdict
    lines = [explanation.model, ""]
    if explanation.caveat:
        lines += [*_wrapped(sentence(explanation.caveat), ""), ""]
    lines += _wrapped(verdict.headline, "")
    for advice in verdict.advice:
        lines += _wrapped(f"- {advice}", "  ")
    return lines


def _layers(explanation: Explanation) -> list[str]:
    """Give a table whose rows have the reason below them."""
    heading, *rows = aligned(_rows(explanation), _RIGHT)
    lines = [heading]
    for row, layer in zip(rows, explanation.layers, strict=True):
        lines += [row, *_wrapped(f"    {layer.why}", "    ")]
    return lines


def _wrapped(sentence: str, indent: str) -> list[str]:
    return textwrap.wrap(sentence, _WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def _rows(explanation: Explanation) -> Iterator[tuple[str, ...]]:
    heading = ("layer", "operator", "output", "weights", "zeros", "stored", "predicted")
    yield (*heading, "measured" if explanation.measured else "", "share", "kernel")
    for layer in explanation.layers:
        of = layer.weights
        times = map(milliseconds, (layer.predicted_seconds, layer.measured_seconds))
        yield (
            *(short_name(layer.name), layer.op, shape(layer.shape)),
            *((shape(of.shape), f"{of.zeros:.0%}") if of else ("", "")),
            *(storage(layer), *times, f"{layer.share:.1%}", layer.kernel),
        )
