"""What to know first about a model: what its zeros are worth, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .blocks import PRUNED
from .report import Status, Verdict

# Share of zeros below which a model is a dense one: rounding to 8 bits leaves some.
FEW = 0.05
NOTHING = 0.01  # a difference of shares that is not worth a word
MOST = 0.95  # zeros that are suggested, at most
SAVES = 1.03  # times as fast: less says nothing
MUCH_MORE = 1.15


class Times(NamedTuple):
    """Predicted seconds of a run.

    `now`; `dense`, with every weight stored; `converted`, with the storage that is chosen for the
    target; `as_blocks`, by pattern, with as many zeros in blocks in each layer; `halved`, with half
    of the weights zero in blocks of `blocks.PRUNED`, but for those of the first and the last layer.
    `dtype` is "i8" where any of these layers is in int8.
    """

    now: float
    dense: float
    converted: float
    as_blocks: Mapping[str, float]
    halved: float
    dtype: str = "f32"

    @property
    def pruned(self) -> str:
        """The pattern to prune with."""
        return PRUNED[self.dtype]

    def prune(self, pattern: str, sparsity: float) -> str:
        """Say how to prune."""
        return (
            f"`gossamer prune MODEL PRUNED --pattern {pattern} --sparsity {sparsity:.2g} "
            "--data PICTURES`" + (", then quantize that" if self.dtype == "i8" else "")
        )


def judge(zeros: float, pruned: float, times: Times, target: str) -> Verdict:
    """Say what zeros are worth.

    Parameters
    ----------
    zeros
        Share of the weights whose storage is chosen.
    pruned
        The same of the layers that have zeros.
    times
        Of a run.
    target
        Instruction set.
    """
    if zeros < FEW and times.dense / times.now < SAVES:
        return _dense(zeros, times, target)
    pattern = min(times.as_blocks, key=times.as_blocks.get, default=None)
    gain = times.now / times.as_blocks[pattern] if pattern else 1.0
    saved = times.dense - times.now
    what = f"{zeros:.0%} of the weights are zero"
    if pruned - zeros >= NOTHING:
        what += f" ({pruned:.0%} in the layers that have any)"
    advice = _convert_again(times, target)
    if times.dense / times.now < SAVES:
        headline = (
            f"The zeros do not pay: {what}, and that saves {_ms(max(saved, 0))} of the "
            f"{_ms(times.dense)} that all weights would take."
        )
        if gain >= SAVES:
            advice.append(_prune_again(pruned, pattern, times, gain))
        elif not advice:
            advice.append(_too_few(times))
        return Verdict(Status.DOES_NOT_PAY, headline, tuple(advice))
    headline = (
        f"{what}, and that saves {_ms(saved)} of {_ms(times.dense)}: "
        f"{times.dense / times.now:.2f} times as fast as with all weights."
    )
    if gain >= MUCH_MORE:
        advice.append(_prune_again(pruned, pattern, times, gain))
        headline = f"The zeros pay less than they could: {headline}"
        return Verdict(Status.PAYS_LESS, headline, tuple(advice))
    return Verdict(Status.PAYS, f"The zeros pay: {headline}", tuple(advice))


def _dense(zeros: float, times: Times, target: str) -> Verdict:
    few = f"hardly any zeros to skip ({zeros:.1%})" if zeros else "no zeros to skip"
    headline = f"A dense model: a run takes {_ms(times.now)}, and there are {few}."
    advice = [*_convert_again(times, target), *([_half(times)] if _half_pays(times) else [])]
    return Verdict(Status.DENSE, headline, tuple(advice))


def _half_pays(times: Times) -> bool:
    return times.now / times.halved >= SAVES


def _half(times: Times) -> str:
    return (
        f"With half of the weights zero in {times.pruned} blocks, in all layers but the first and "
        f"the last, it would take {_ms(times.halved)}, {times.now / times.halved:.2f} times as "
        f"fast: {times.prune(times.pruned, 0.5)}."
    )


def _too_few(times: Times) -> str:
    if _half_pays(times):
        return f"They are too few. {_half(times)}"
    return "Its time goes elsewhere: with half of the weights zero it would hardly be faster."


def _convert_again(times: Times, target: str) -> list[str]:
    gain = times.now / times.converted
    if gain < SAVES:
        return []
    return [
        f"The file's storage was chosen for something else: converted again, with --target "
        f"{target}, a run would take {_ms(times.converted)}, {gain:.2f} times as fast."
    ]


def _prune_again(pruned: float, pattern: str, times: Times, gain: float) -> str:
    return (
        f"As many zeros in {pattern} blocks would take {_ms(times.as_blocks[pattern])}, "
        f"{gain:.2f} times as fast as now: prune the network as it was before with "
        f"{times.prune(pattern, min(pruned, MOST))}. Blocks cost more accuracy than single "
        "weights: compare with `gossamer evaluate`."
    )


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.2f} ms"
