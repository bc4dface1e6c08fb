"""How fast a model runs here, layer by layer, and how near it comes to what the machine can do."""

from __future__ import annotations

import array
import math
import statistics
import time
from dataclasses import dataclass

from . import _native
from .errors import InputError
from .session import InferenceSession, NodeArg

WARM_UP = 5
PEAK_ROUNDS, PEAK_REPEATS = 1 << 16, 20


@dataclass(frozen=True)
class LayerBenchmark:
    """One layer.

    Attributes
    ----------
    name, kernel
        Of the layer, and what runs it.
    seconds
        Median.
    macs_per_second
        Multiply-adds a second, zeros left out.
    peak_share
        `macs_per_second` over what the threads could do, 0 to 1.
    moved_bytes
        Tensors read and written and weights, each once.
    """

    name: str
    kernel: str
    seconds: float
    macs_per_second: float
    peak_share: float
    moved_bytes: int


@dataclass(frozen=True)
class Benchmark:
    """A model on this machine.

    Attributes
    ----------
    seconds
        Of each run of the whole model.
    peak_macs_per_second
        f32 multiply-adds a second of one thread, measured in registers.
    threads
        That ran.
    isa
        Instruction set that ran.
    layers
        In the order of execution. Their medians come from runs of their own, in which every layer
        is measured, so that their sum differs from the whole.
    """

    seconds: list[float]
    peak_macs_per_second: float
    threads: int
    isa: str
    layers: list[LayerBenchmark]

    @property
    def median_seconds(self) -> float:
        """Median of the whole model."""
        return statistics.median(self.seconds)


def peak_macs_per_second(isa: str | None = None) -> float:
    """Measure how many f32 multiply-adds a second one thread can do, operands in registers.

    Parameters
    ----------
    isa
        One of `isas`; None = the best.

    Returns
    -------
    float
        The best of several short measurements: other programs can only make them slower.

    Raises
    ------
    InputError
        This machine lacks the instruction set.
    """
    engine = _native.engine()
    engine.multiply_adds(isa, PEAK_ROUNDS)
    best = math.inf
    for _ in range(PEAK_REPEATS):
        begin = time.perf_counter()
        done = engine.multiply_adds(isa, PEAK_ROUNDS)
        best = min(best, (time.perf_counter() - begin) / done)
    return 1 / best


def benchmark(session: InferenceSession, runs: int = 50) -> Benchmark:
    """Measure a model with inputs that are the same everywhere: 0.5, pixels of bytes 128.

    Parameters
    ----------
    session
        Of the model; its options say with which threads and instruction set.
    runs
        Measured runs, at least 1, after some that warm up.

    Raises
    ------
    InputError
        `runs` is below 1.
    """
    if runs < 1:
        raise InputError(f"runs: a whole number of at least 1 expected, found {runs!r}")
    inputs = {argument.name: _halves(argument) for argument in session.get_inputs()}
    for _ in range(WARM_UP):
        session.run(None, inputs)
    seconds = [_timed(session, inputs) for _ in range(runs)]
    peak = peak_macs_per_second(session.isa)
    threads = session.info.threads
    profile = map(statistics.median, session.profile(inputs, runs))
    layers = [
        LayerBenchmark(
            name=layer.name,
            kernel=layer.kernel,
            seconds=median,
            macs_per_second=layer.macs / median,
            peak_share=layer.macs / median / (peak * threads),
            moved_bytes=layer.tensor_bytes + layer.weight_bytes,
        )
        for layer, median in zip(session.layers(), profile, strict=True)
    ]
    return Benchmark(seconds, peak, threads, session.isa, layers)


def _halves(argument: NodeArg) -> memoryview:
    code, half = ("B", 128) if argument.dtype == "uint8" else ("f", 0.5)
    values = array.array(code, [half]) * math.prod(argument.shape)
    return memoryview(values).cast("B").cast(code, argument.shape)


def _timed(session: InferenceSession, inputs: dict[str, memoryview]) -> float:
    begin = time.perf_counter()
    session.run(None, inputs)
    return time.perf_counter() - begin
