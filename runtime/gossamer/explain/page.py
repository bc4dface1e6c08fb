"""An explanation as a page that needs nothing but itself: no script, nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from string import Template

from .report import Explanation, LayerReport, Status
from .text import (
    facts,
    fused,
    milliseconds,
    pays_from,
    sentence,
    shape,
    short_name,
    storage,
    zeros_fit,
)

_TEMPLATE = Path(__file__).with_name("page.html")
_TONES = {Status.DENSE: "", Status.PAYS: "good", Status.PAYS_LESS: "", Status.DOES_NOT_PAY: "bad"}
_KINDS = {
    "sparse": "sparse weights",
    "dense": "dense weights",
    "fixed": "weights that are always dense",
    "plain": "no weights",
}


def render(explanation: Explanation) -> str:
    """Give the page: verdict, a bar for each layer that opens to what is known of it, the rest."""
    verdict, layers = explanation.verdict, explanation.layers
    advice = "".join(f"<li>{_prose(line)}</li>" for line in verdict.advice)
    longest = max((time for layer in layers for time in _times(layer)), default=1.0)
    known = [*facts(explanation), *(("fused", line) for line in fused(layers))]
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        model=escape(explanation.model),
        target=escape(explanation.target),
        caveat=_caveat(explanation),
        tone=_TONES[verdict.status],
        headline=_prose(verdict.headline),
        advice=f"<ul>{advice}</ul>" if advice else "",
        tiles=_definitions(_tiles(explanation), wrap=True),
        legend="\n".join(_legend(explanation)),
        layers="\n".join(_layer(layer, longest) for layer in layers),
        facts=_definitions(known),
    )


def _caveat(explanation: Explanation) -> str:
    if not explanation.caveat:
        return ""
    return f'<p class="caveat" role="note">{_prose(sentence(explanation.caveat))}</p>'


def _prose(text: str) -> str:
    """Set commands, which stand between backticks, apart."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(text))


def _definitions(pairs: Iterable[tuple[str, str]], wrap: bool = False) -> str:
    lines = (f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs)
    return "\n".join(f"<div>{line}</div>" if wrap else line for line in lines)


def _tiles(explanation: Explanation) -> Iterator[tuple[str, str]]:
    yield "predicted", f"{1000 * explanation.predicted_seconds:.2f} ms"
    if explanation.measured:
        yield "measured here", f"{1000 * explanation.measured.seconds:.2f} ms"
    yield "zeros", f"{explanation.zeros:.1%}"
    saved = explanation.dense_seconds - explanation.predicted_seconds
    yield "zeros save", f"{1000 * saved:.2f} ms"


def _times(layer: LayerReport) -> list[float]:
    return [time for time in (layer.predicted_seconds, layer.measured_seconds) if time is not None]


def _kind(layer: LayerReport) -> str:
    if layer.weights is None:
        return "plain"
    return "fixed" if layer.weights.dense_seconds is None else layer.weights.storage


def _legend(explanation: Explanation) -> Iterator[str]:
    kinds = {_kind(layer) for layer in explanation.layers}
    marks = {name: text for name, text in _KINDS.items() if name in kinds}
    if any(layer.weights and layer.weights.alternative for layer in explanation.layers):
        marks["saving"] = "what the same zeros in larger blocks would save"
    if explanation.measured:
        marks["measured"] = "measured"
    for name, text in marks.items():
        yield f'<li><i class="{name}"></i>{text}</li>'


def _layer(layer: LayerReport, longest: float) -> str:
    time = f"{milliseconds(layer.predicted_seconds)} <small>{layer.share:.1%}</small>"
    if layer.predicted_seconds is None:
        time = "<small>unknown</small>"
    return (
        f'<details><summary><span class="name">{escape(short_name(layer.name))}</span>'
        f'{_bars(layer, longest)}<span class="time">{time}</span></summary>\n<div class="about">'
        f"<p>{_prose(layer.why)}</p><dl>{_definitions(_about(layer))}</dl></div></details>"
    )


def _bars(layer: LayerReport, longest: float) -> str:
    """Draw the predicted time, of it what blocks would save, and the measured time."""
    now = layer.predicted_seconds or 0.0
    other = layer.weights.alternative if layer.weights else None
    kept = other.seconds if other else now
    kind, bars = _kind(layer), ""
    for name, begin, end in ((kind, 0.0, kept), (f"{kind} saving", kept, now)):
        if end > begin:
            bars += _bar(name, begin / longest, (end - begin) / longest, y=2, height=10)
    if layer.measured_seconds is not None:
        bars += _bar("measured", 0.0, layer.measured_seconds / longest, y=14, height=3)
    return f'<svg role="img" aria-label="{escape(_spoken(layer))}">{bars}</svg>'


def _bar(name: str, begin: float, width: float, *, y: int, height: int) -> str:
    place = f'x="{begin:.2%}" width="{width:.2%}" y="{y}" height="{height}"'
    return f'<rect class="{name}" {place}></rect>'


def _spoken(layer: LayerReport) -> str:
    measured = milliseconds(layer.measured_seconds)
    spoken = f"predicted {milliseconds(layer.predicted_seconds) or 'unknown'}"
    return f"{spoken}, measured {measured}" if measured else spoken


def _about(layer: LayerReport) -> Iterator[tuple[str, str]]:
    yield "layer", layer.name
    yield "operator", layer.op
    yield "output", shape(layer.shape)
    yield "kernel", layer.kernel
    if of := layer.weights:
        yield "weights", f"{shape(of.shape)}, {of.zeros:.1%} zeros, {of.stored_bytes:,} bytes"
        yield "stored", storage(layer)
    if layer.weights and layer.weights.pattern:
        yield "zeros fit", zeros_fit(layer)
    if layer.weights and layer.weights.break_even:
        yield "zeros pay", pays_from(layer)
    if layer.measured_seconds is not None:
        yield "measured", milliseconds(layer.measured_seconds)
    if layer.source:
        nodes = (f"{node.operator} {node.name}" for node in layer.source)
        yield "from", " + ".join(nodes)
