"""What each way to prune a dense network costs in accuracy, and what it gains in time.

One row for each pattern, sparsity, with and without rearrangement, pruned at once (0 epochs, with
refitting to some training images) or trained; and one for each width of a dense network, fewer
channels being the other way to a faster one. Zeros are spread alike over all pointwise layers,
or with more of them in the last two, which hold half of the weights. Rows are kept in
``tools/results`` as soon as they are there; those that are there are not made again. Their
networks are kept as ``.goss`` files beside the checkpoints, for ``tools/validate_costs.py``.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import embedded
import numpy as np
import residual
import torch
from images import ImageSet, some
from network import (
    STRIDED,
    equalize_filters,
    mobilenet_v1_of,
    of_width,
    pointwise_layers,
    write_model,
)
from torch import nn
from training import Trainer

import gossamer
import gossamer.torch
from gossamer.convert import cost_model, prediction, read

RESULTS = Path(__file__).resolve().parent.parent / "results"
TARGET = "wasm_relaxed"
CALIBRATION = 1024  # images for pruning at once
METHODS = ("rearranged", "in place", "magnitude")
EMBEDDED = embedded.MODEL.stem
TEACHERS = (EMBEDDED, "dense")


@dataclass(frozen=True)
class Family:
    """A dense network that is kept, to be pruned in every way."""

    title: str
    dense: Callable[[], nn.Module]
    results: str  # name of the table


FAMILIES = {
    "mobilenet-v1": Family(
        "The dense twin of cifar10-mobilenet, of width 0.75",
        lambda: embedded.load_dense_twin().model,
        "cifar10",
    ),
    "mobilenet-v2": Family("MobileNet-v2 for CIFAR-10", residual.load, "cifar10_mobilenet_v2"),
}


@dataclass(frozen=True)
class Row:
    """One pruned network.

    `method` is "rearranged" or "in place", refitted or trained; or "magnitude": neither rearranged
    nor refitted nor trained; or "dense"; or a dense network's width, such as "width 0.5". What is
    pruned from that says so, too: "rearranged width 0.5". Or it is the name of the embedded
    network. Time is predicted for `TARGET`, one thread.
    """

    pattern: str
    sparsity: float  # of all pointwise layers together
    late_sparsity: float  # of the last two
    method: str
    epochs: int
    top1: float
    milliseconds: float
    file_bytes: int
    minutes: float  # that it took to make, if it was made here
    made: str
    training: str = ""  # options that matter, where it was trained

    @property
    def key(self) -> tuple:
        """What it is, without how it turned out."""
        return self.pattern, self.sparsity, self.late_sparsity, self.method, self.epochs


@dataclass(frozen=True)
class Start:
    """What training starts from: the dense one, the checkpoint of a row, the embedded network."""

    name: str = ""
    epochs: int = 0
    sparsities: tuple[float, ...] = ()  # of the pointwise layers
    state: dict | None = None  # of the model; None: the embedded network's
    network: str = ""  # class of the model

    @property
    def width(self) -> str:
        """What rows are called by that start from another width than the dense network's."""
        found = re.search(r"width-[0-9.]+", self.name)
        return f" {found[0].replace('-', ' ')}" if found else ""

    def model(self, family: Family, images: ImageSet) -> nn.Module:
        """Make the network, of the dense one's strides."""
        if self.epochs and not self.state:
            model = embedded.load_embedded(some(images), STRIDED)
            equalize_filters(model)
            return model
        model = family.dense()
        if self.state:
            if self.network != type(model).__name__:
                sys.exit(f"--start: {type(model).__name__} expected, found {self.network}")
            if self.width:
                return mobilenet_v1_of(self.state)
            model.load_state_dict(self.state)
        return model

    def __str__(self) -> str:
        if not self.epochs:
            return "the dense network"
        return f"{self.name}.pt" if self.state else EMBEDDED


def load_start(text: str) -> Start:
    """Read the checkpoint of a row."""
    if text == EMBEDDED:
        late, epochs = embedded.LATE_SPARSITY, embedded.SPARSE_EPOCHS + embedded.FIXED_EPOCHS
        sparsities = embedded.by_layer(embedded.SPARSITY, late)
        return Start(f"1x1-in-place-{EMBEDDED}", epochs, sparsities)
    checkpoint = torch.load(text, weights_only=True)
    phase = checkpoint["settings"]
    if checkpoint["epoch"] < phase["epochs"]:
        raise argparse.ArgumentTypeError(f"{text}: a row that was trained to its end expected")
    return Start(
        phase["name"],
        phase["epochs_before"] + phase["epochs"],
        tuple(phase["sparsities"]),
        gossamer.torch.plain_state_dict(checkpoint["model"]),
        phase.get("network", "an unknown network"),
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the comparison."""
    add = parser.add_argument
    add("--network", choices=FAMILIES, default="mobilenet-v1")
    add("--patterns", nargs="*", default=["1x1", "4x1"])
    add("--sparsities", nargs="+", type=float, default=[0.3, 0.5, 0.7, 0.8, 0.9, 0.95])
    late = "of the last two layers, where it is not that of all; the others take the rest"
    add("--late-sparsity", type=float, help=late)
    add("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    add("--widths", nargs="*", type=float, default=[], help="also of dense networks, to train")
    add("--epochs", type=int, default=0, help="of training; 0 prunes at once")
    begin = (
        "checkpoint to train on from: of a row of the same pattern and method or of a width, or "
        f"{EMBEDDED}"
    )
    add("--start", type=load_start, default=Start(), metavar="FILE", help=begin)
    pixels = "sides of the images in pixels, each for an equal share of the epochs"
    add("--sides", type=int, nargs="+", default=[32], help=pixels)
    add("--teacher", choices=TEACHERS, default=EMBEDDED, help="network to learn from besides")
    add("--distillation", type=float, default=0.5, help="weight of the teacher's answers")
    parser.set_defaults(cutmix=0.5, plain_epochs=0)


def asked(options: argparse.Namespace) -> Iterator[tuple[str, float, float, str, int]]:
    """Yield the keys of the rows to make, leaving out what is the same as another."""
    epochs = options.epochs + options.start.epochs
    for pattern in options.patterns:
        for sparsity in options.sparsities:
            for method in options.methods:
                alone = pattern == "1x1" and method == "rearranged"
                if not alone and not (epochs and method == "magnitude"):
                    late = sparsity if options.late_sparsity is None else options.late_sparsity
                    yield pattern, sparsity, late, method + options.start.width, epochs
    for width in options.widths:
        yield "", 0.0, 0.0, f"width {width:g}", epochs


def prune_at_once(key: tuple, dense: Path, pruned: Path, train: Path) -> None:
    """Prune without training."""
    pattern, sparsity, _, method, _ = key
    gossamer.prune(
        dense,
        pruned,
        sparsity=sparsity,
        pattern=pattern,
        allocation="uniform",
        data=None if method == "magnitude" else train,
        limit=CALIBRATION,
        rearrange=method == "rearranged",
    )


def checkpoint_name(
    pattern: str, sparsity: float, late_sparsity: float, method: str, epochs: int
) -> str:
    """Name the checkpoint of a row."""
    late = [] if late_sparsity == sparsity else [f"late-{late_sparsity:g}"]
    return "-".join([pattern or "dense", f"{sparsity:g}", *late, *method.split(), str(epochs)])


def early_sparsity(model: nn.Module, sparsity: float, late_sparsity: float) -> float:
    """Give the sparsity of all layers but the last two that makes that of all together."""
    if late_sparsity == sparsity:
        return sparsity
    sizes = [layer.weight.numel() for layer in pointwise_layers(model).values()]
    late = sum(sizes[-embedded.LATE_LAYERS :])
    early = (sparsity * sum(sizes) - late_sparsity * late) / (sum(sizes) - late)
    if not 0 <= early < 1:
        sys.exit(f"--late-sparsity {late_sparsity:g}: cannot make {sparsity:.0%} of all weights")
    return round(early, 4)


def prune_in_training(
    key: tuple, pruned: Path, options: argparse.Namespace, sets: Sequence[ImageSet]
) -> None:
    """Prune along the schedule of the embedded network; or train one that has lost channels."""
    pattern, sparsity, late_sparsity, method, _ = key
    start, family = options.start, FAMILIES[options.network]
    model = start.model(family, sets[0])
    sparsities = ()
    if sparsity:
        early = early_sparsity(model, sparsity, late_sparsity)
        sparsities = embedded.by_layer(early, late_sparsity, len(pointwise_layers(model)))
    else:
        model = of_width(model, float(method.split()[-1]))
    kind = start.name.startswith(f"{pattern}-") and "-".join(method.split()) in start.name
    fewer = all(old <= new + 1e-3 for old, new in zip(start.sparsities, sparsities, strict=False))
    if start.sparsities and not (kind and fewer):
        sys.exit(
            f"--start: {pattern}, {method} expected, with at most {sparsities} zeros; "
            f"{start.name} found, with {start.sparsities}"
        )
    phase = embedded.phase_of(
        options,
        name=checkpoint_name(*key),
        epochs=options.epochs,
        epochs_before=start.epochs,
        peak_rate=options.rate,
        warmup=0.05,
        seed=2 + start.epochs,
        cutmix=options.cutmix,
        plain_epochs=options.plain_epochs,
        sparsities=sparsities,
        initial_sparsity=max(start.sparsities, default=0.0),
        pattern=pattern,
        rearrange=method.startswith("rearranged") and not start.sparsities,
        ramp_end=options.ramp_end,
        sides=tuple(options.sides),
        distillation=options.distillation,
    )
    teacher = family.dense()
    if options.teacher == EMBEDDED:
        teacher = embedded.load_embedded(some(sets[0]))
    trainer = Trainer(phase, embedded.settings_of(options), model, len(sets[0]), teacher)
    trainer.fit(*sets)
    write_model(trainer.model, pruned, f"{sparsity:.0%} zeros in {pattern}" if sparsity else method)


def embedded_key() -> tuple:
    """Give the key of the network that ships, which has a recipe of its own."""
    start = load_start(EMBEDDED)
    layers = pointwise_layers(embedded.load_dense_twin().model).values()
    sizes = [layer.weight.numel() for layer in layers]
    sparsity = round(float(np.average(start.sparsities, weights=sizes)), 2)
    return "1x1", sparsity, embedded.LATE_SPARSITY, EMBEDDED, start.epochs


def measured(path: Path, key: tuple, options: argparse.Namespace, minutes: float) -> Row:
    """Evaluate a model file."""
    accuracy = gossamer.evaluate(gossamer.InferenceSession(path), options.validation)
    predicted = prediction.predict(
        read.read_graph(path.read_bytes(), path.name), cost_model.load(TARGET)
    )
    return Row(
        *key,
        top1=accuracy.top1,
        milliseconds=1000 * predicted.seconds,
        file_bytes=path.stat().st_size,
        minutes=round(minutes, 1),
        made=date.today().isoformat(),
        training=trained_with(options) if key[-1] and EMBEDDED not in key else "",
    )


def trained_with(options: argparse.Namespace) -> str:
    """Write down the options of a training that the row's other columns do not tell."""
    words = f"--rate {options.rate:g} --sides {' '.join(map(str, options.sides))}"
    words += f" --cutmix {options.cutmix:g} --teacher {options.teacher}"
    words += f" --distillation {options.distillation:g}"
    words += f" --plain-epochs {options.plain_epochs}" * (options.plain_epochs > 0)
    words += f" --start {options.start}" * (options.start.epochs > 0)
    return words + " --bf16" * options.bf16


def compare(options: argparse.Namespace, sets: Sequence[ImageSet]) -> None:
    """Make the rows that are missing, and write the table."""
    if (options.start.epochs or options.widths or options.late_sparsity) and not options.epochs:
        sys.exit("--epochs: at least 1 expected with --start, --widths or --late-sparsity")
    family = FAMILIES[options.network]
    if options.network != "mobilenet-v1" and (options.widths or options.start.name == EMBEDDED):
        sys.exit(f"--widths, --start {EMBEDDED}: not there for {options.network}")
    RESULTS.mkdir(exist_ok=True)
    kept = RESULTS / f"{family.results}.json"
    rows = [Row(**row) for row in json.loads(kept.read_text())] if kept.exists() else []
    dense = options.out / "dense.goss"
    write_model(family.dense(), dense, "dense")
    keys = [("", 0.0, 0.0, "dense", 0), *asked(options)]
    if options.network == "mobilenet-v1":
        keys.append(embedded_key())
    for key in keys:
        if key in [row.key for row in rows]:
            continue
        begin, pruned = time.monotonic(), options.out / f"{checkpoint_name(*key)}.goss"
        if "dense" in key:
            pruned = dense
        elif EMBEDDED in key:
            pruned = embedded.MODEL
        elif key[-1]:
            prune_in_training(key, pruned, options, sets)
        else:
            prune_at_once(key, dense, pruned, options.train)
        minutes = 0.0 if EMBEDDED in key else (time.monotonic() - begin) / 60
        rows.append(measured(pruned, key, options, minutes))
        print(rows[-1], flush=True)
        kept.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    text = table(rows, family, options.network)
    kept.with_suffix(".md").write_text(text, encoding="utf-8")
    if any(row.method.startswith("width") for row in rows):
        plot(rows, kept.with_suffix(".png"))


def table(rows: Sequence[Row], family: Family, network: str) -> str:
    """Write all rows as Markdown, the most accurate of each sparsity first."""
    dense = next(row for row in rows if row.method == "dense")
    lines = [
        f"# {family.title}, pruned",
        "",
        f"Top-1 on the 5,000 validation images; dense: {dense.top1:.2%}, "
        f"{dense.milliseconds:.2f} ms. Times are predicted for {TARGET}, one thread.",
        "Zeros are the share of every pointwise layer, or (late) a larger one of the last two, "
        "and a smaller one of the others. Epochs are counted from the dense network, which those "
        "of other widths also start from. Without "
        f"epochs, pruning is at once: refitted to {CALIBRATION:,} training images, or by magnitude "
        "alone.",
        f"Made by `python tools/cifar10 compare --network {network}`, with `--patterns`, "
        "`--sparsities`, `--methods` and `--epochs` as in the rows; with `--start`, minutes are "
        "those since that row.",
        "",
        "| zeros | pattern | method | epochs | top-1 | points lost | faster | bytes | minutes "
        "| trained with |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: (row.sparsity, -row.top1)):
        if row is not dense:
            lines.append(
                f"| {zeros(row)} | {row.pattern} | {row.method} | {row.epochs} "
                f"| {row.top1:.2%} | {100 * (dense.top1 - row.top1):.2f} "
                f"| {dense.milliseconds / row.milliseconds:.2f} | {row.file_bytes:,} "
                f"| {row.minutes or ''} | {row.training} |"
            )
    return "\n".join(lines) + "\n"


def zeros(row: Row) -> str:
    """Say how many zeros a network has, and where."""
    late = f" (late: {row.late_sparsity:.0%})" if row.late_sparsity != row.sparsity else ""
    return f"{row.sparsity:.0%}{late}"


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draw accuracy over time: of networks that had the embedded one as teacher, and of that."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    taught = [row for row in rows if f"--teacher {EMBEDDED}" in row.training]
    rearranged = [row for row in taught if row.pattern == "4x1"]
    kinds = {
        "dense, by width": ("-s", [row for row in taught if not row.pattern]),
        "zeros in 4x1": ("-o", [row for row in rearranged if row.method == "rearranged"]),
        "zeros in 1x1": ("-^", [row for row in taught if row.pattern == "1x1"]),
        "zeros in 4x1, of width": ("v", [row for row in rearranged if "width" in row.method]),
        "embedded network": ("*", [row for row in rows if row.method == EMBEDDED]),
    }
    for kind, (style, points) in kinds.items():
        points = longest_trained(points)
        places = [(row.milliseconds, 100 * row.top1) for row in points]
        (line,) = axes.plot(*np.reshape(places, (-1, 2)).T, style, label=kind)
        for row, place in zip(points, places, strict=True):
            width = re.findall(r"width ([0-9.]+)", row.method)
            name = " of ".join([zeros(row), *width] if row.sparsity else width)
            beside = (4, 5) if row.sparsity and width else (4, -11)
            axes.annotate(
                name, place, beside, textcoords="offset points", size=8, color=line.get_color()
            )
    axes.set(
        xlabel=f"predicted milliseconds, {TARGET}, one thread",
        ylabel="top-1 on 5,000 validation images, per cent",
        title="MobileNet-v1 for CIFAR-10",
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=110)


def longest_trained(rows: Sequence[Row]) -> list[Row]:
    """Of rows with the same name, the one with the most epochs; by time."""
    longest: dict[tuple, Row] = {}
    for row in sorted(rows, key=lambda row: row.epochs):
        longest[row.sparsity, row.method] = row
    return sorted(longest.values(), key=lambda row: row.milliseconds)
