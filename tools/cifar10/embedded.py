"""The embedded network: two dense phases and two sparse ones, the model file and its card."""

from __future__ import annotations

import argparse
import math
import platform
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from imagenet_weights import load_imagenet_weights, unfold
from images import CROP_PADDING, IMAGE_MEAN, IMAGE_SCALE, LABELS, ImageSet, some
from network import (
    BLOCKS,
    COARSE_STRIDED,
    FINE_STRIDED,
    STEM,
    STRIDED,
    MobileNetV1,
    equalize_filters,
    mobilenet_v1_of,
    pointwise_layers,
    write_model,
)
from torch import Tensor, nn
from training import Phase, Settings, Trainer, top1

from gossamer.convert.read import read_graph

ROOT = Path(__file__).resolve().parent.parent.parent
DENSE_TWIN = ROOT / "tools" / "checkpoints" / "cifar10-mobilenet-dense.pt"
MODEL = ROOT / "runtime" / "gossamer" / "models" / "cifar10-mobilenet.goss"
CARD = Path(__file__).with_name("card.md")
LATE_LAYERS = 2  # hold half of the weights
SPARSITY, LATE_SPARSITY = 0.85, 0.95  # of the network that ships
SPARSE_EPOCHS, FIXED_EPOCHS = 38, 30  # of its last two phases


@dataclass(frozen=True)
class Trained:
    """A trained network, and the minutes that each of its phases took."""

    model: MobileNetV1
    minutes: tuple[float, ...]


@dataclass(frozen=True)
class Result:
    """What the card and the last lines of the log report."""

    dense_top1: float
    sparse_top1: float
    images: int
    zeros: dict[str, tuple[tuple[int, int], float]]  # layer: (outputs, inputs), share of zeros
    minutes: tuple[float, ...]  # of each phase


# --- phases ---------------------------------------------------------------------------------


def settings_of(options: argparse.Namespace) -> Settings:
    """Pick what all phases share."""
    return Settings(
        width=options.width,
        batch_size=options.batch_size,
        weight_decay=options.weight_decay,
        prune_every=options.prune_every,
        validate_every=options.validate_every,
        out=options.out,
        bf16=options.bf16,
    )


def new_model(options: argparse.Namespace, strided: Sequence[int] = STRIDED) -> MobileNetV1:
    """Initialise a network, the same for the same seed."""
    torch.manual_seed(options.seed)
    return MobileNetV1(options.width, strided).to(memory_format=torch.channels_last)


def continued(
    options: argparse.Namespace, before: MobileNetV1, strided: Sequence[int] = STRIDED
) -> MobileNetV1:
    """Copy the network that an earlier phase ended with."""
    model = new_model(options, strided)
    model.load_state_dict(before.state_dict())
    return model


def phase_of(options: argparse.Namespace, *, seed: int, **own: Any) -> Phase:
    """Describe a phase by what all of them share, and what is its own; `seed` counts phases."""
    return Phase(
        seed=options.seed + seed,
        label_smoothing=options.label_smoothing,
        cutout=options.cutout,
        **own,
    )


def coarse_trainer(options: argparse.Namespace, train: ImageSet) -> Trainer:
    """Set up the first phase, which starts from ImageNet's weights."""
    phase = phase_of(
        options,
        name="coarse",
        epochs=options.coarse_epochs,
        peak_rate=options.rate,
        warmup=0.1,
        seed=0,
    )
    model = new_model(options, COARSE_STRIDED)
    load_imagenet_weights(model.features, options.imagenet, some(train))
    return Trainer(phase, settings_of(options), model, len(train))


def dense_trainer(options: argparse.Namespace, coarse: MobileNetV1, images: int) -> Trainer:
    """Set up the second phase, from whose end the sparse network starts."""
    phase = phase_of(
        options,
        name="dense",
        epochs=options.dense_epochs,
        peak_rate=options.rate,
        warmup=0.1,
        seed=1,
        cutmix=options.cutmix,
        sides=tuple(options.dense_sides),
    )
    return Trainer(phase, settings_of(options), continued(options, coarse), images)


def by_layer(early: float, late: float, layers: int = len(BLOCKS)) -> tuple[float, ...]:
    """Give each pointwise layer its sparsity."""
    return (early,) * (layers - LATE_LAYERS) + (late,) * LATE_LAYERS


def sparse_phase(options: argparse.Namespace, **own: Any) -> Phase:
    """Describe a phase with zeros by what both of them share, and what is its own."""
    return phase_of(
        options,
        peak_rate=options.sparse_rate,
        warmup=0.05,
        sparsities=by_layer(options.sparsity, options.late_sparsity),
        pattern=options.pattern,
        **own,
    )


def pruning_phase(options: argparse.Namespace) -> Phase:
    """Describe the third phase, in which most weights go."""
    return sparse_phase(
        options,
        name="sparse",
        epochs=options.sparse_epochs,
        seed=2,
        plain_epochs=options.plain_epochs,
        sides=tuple(options.sparse_sides),
        rearrange=options.pattern != "1x1",
        ramp_end=options.ramp_end,
    )


def fixed_phase(options: argparse.Namespace) -> Phase:
    """Describe the last phase, in which zeros stay where they are."""
    return sparse_phase(
        options,
        name="fixed",
        epochs=options.fixed_epochs,
        seed=3,
        cutmix=options.fixed_cutmix,
        sides=tuple(options.fixed_sides),
    )


def sparse_trainer(
    options: argparse.Namespace, phase: Phase, before: MobileNetV1, images: int
) -> Trainer:
    """Set up a phase with zeros: planes are larger there, and filters begin with equal length."""
    model = continued(options, before, FINE_STRIDED)
    equalize_filters(model)
    return Trainer(phase, settings_of(options), model, images)


def train_dense(options: argparse.Namespace, train: ImageSet, validation: ImageSet) -> Trained:
    """Run what is missing of the first two phases."""
    coarse = coarse_trainer(options, train)
    coarse.fit(train, validation)
    dense = dense_trainer(options, coarse.model, len(train))
    dense.fit(train, validation)
    return Trained(dense.model, (coarse.seconds / 60, dense.seconds / 60))


def train_sparse(
    options: argparse.Namespace, dense: Trained, train: ImageSet, validation: ImageSet
) -> Trained:
    """Run what is missing of the last two phases."""
    pruning = sparse_trainer(options, pruning_phase(options), dense.model, len(train))
    pruning.fit(train, validation)
    fixed = sparse_trainer(options, fixed_phase(options), pruning.model, len(train))
    fixed.fit(train, validation)
    return Trained(fixed.model, (pruning.seconds / 60, fixed.seconds / 60))


def save_dense_twin(dense: Trained) -> None:
    """Keep the dense weights, which take an hour to train, for comparisons and other prunings."""
    DENSE_TWIN.parent.mkdir(exist_ok=True)
    torch.save({"minutes": dense.minutes, "model": halved(dense.model)}, DENSE_TWIN)


def halved(model: nn.Module) -> dict[str, Tensor]:
    """Give the state of a network in half precision."""
    state = model.state_dict().items()
    return {key: v.half() if v.is_floating_point() else v for key, v in state}


def load_dense_twin() -> Trained:
    """Read the dense weights that are kept."""
    kept = torch.load(DENSE_TWIN, weights_only=True)
    return Trained(mobilenet_v1_of(kept["model"]).eval(), kept["minutes"])


@torch.no_grad()
def load_embedded(images: Tensor, strided: Sequence[int] = FINE_STRIDED) -> MobileNetV1:
    """Read the network that ships, with batch normalisation again (`unfold`).

    With other strides it computes something else, to be trained further.
    """
    nodes = read_graph(MODEL.read_bytes(), MODEL.name).nodes
    layers = [
        [torch.from_numpy(np.array(value.data)) for value in node.inputs[1:]]
        for node in nodes
        if len(node.inputs) == 3
    ]
    *folded, (weight, bias) = layers
    model = MobileNetV1(len(folded[0][0]) / STEM, strided).to(memory_format=torch.channels_last)
    unfold(model.features, folded, images)
    model.classifier.weight.copy_(weight.reshape(model.classifier.weight.shape))
    model.classifier.bias.copy_(bias)
    return model.eval()


# --- result ---------------------------------------------------------------------------------


def zero_share(array: torch.Tensor) -> float:
    """Measure the share of exact zeros."""
    return (array == 0).double().mean().item()


def measure(dense: Trained, sparse: Trained, validation: ImageSet) -> Result:
    """Evaluate the dense and the sparse network and count the zeros."""
    zeros = {
        f"block {number}": ((layer.out_channels, layer.in_channels), zero_share(layer.weight))
        for number, layer in enumerate(pointwise_layers(sparse.model).values(), 1)
    }
    return Result(
        dense_top1=top1(dense.model, validation),
        sparse_top1=top1(sparse.model, validation),
        images=len(validation),
        zeros=zeros,
        minutes=dense.minutes + sparse.minutes,
    )


def print_result(result: Result) -> None:
    """Print zeros and accuracy."""
    for name, ((outputs, inputs), share) in result.zeros.items():
        print(f"{name}: {outputs} x {inputs}, {share:.2%} zeros")
    accuracy = f"dense top-1 {result.dense_top1:.2%}, sparse top-1 {result.sparse_top1:.2%}"
    print(f"{accuracy}, n = {result.images}")


def machine() -> str:
    """Name the processor, the threads and the PyTorch of this machine."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor()
    return f"{processor}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}"


def training_command(options: argparse.Namespace, default: Callable[[str], object]) -> str:
    """Spell the command that trains this network: every option that is not its default."""
    elsewhere = {"command", "train", "validation", "imagenet", "out", "models", "threads"}
    words = ["python", "tools/cifar10", "train"]
    for key, value in vars(options).items():
        if key not in elsewhere | {"validate_every"} and value != default(key):
            words.append(f"--{key.replace('_', '-')}")
            words += [] if value is True else np.atleast_1d(value).astype(str).tolist()
    return shlex.join(words)


def listed(values: Sequence[object]) -> str:
    """Join values for a sentence."""
    return ", ".join(map(str, values))


def write_card(path: Path, result: Result, options: argparse.Namespace, command: str) -> None:
    """Describe the model file beside it for its users."""
    rows = (
        f"| {name} | {outputs} × {inputs} | {share:.2%} |"
        for name, ((outputs, inputs), share) in result.zeros.items()
    )
    sides = {
        f"{phase}_sides": listed(vars(options)[f"{phase}_sides"])
        for phase in ("dense", "sparse", "fixed")
    }
    text = CARD.read_text(encoding="utf-8").format(
        **vars(options) | {"imagenet": options.imagenet.name, "command": command} | sides,
        strides=listed(FINE_STRIDED),
        dense_strides=listed(STRIDED),
        coarse_strides=listed(COARSE_STRIDED),
        file_bytes=path.stat().st_size,
        mean=" ".join(map(str, IMAGE_MEAN)),
        scale=" ".join(map(str, IMAGE_SCALE)),
        labels=listed(LABELS),
        day=date.today().isoformat(),
        dense=result.dense_top1,
        sparse=result.sparse_top1,
        images=result.images,
        error=math.sqrt(result.sparse_top1 * (1 - result.sparse_top1) / result.images),
        padding=CROP_PADDING,
        minutes=" + ".join(f"{minutes:.0f}" for minutes in result.minutes),
        machine=machine(),
        zeros="\n".join(rows),
    )
    path.with_suffix(".md").write_text(text, encoding="utf-8")


def train(options: argparse.Namespace, default: Callable[[str], object], sets: Sequence[ImageSet]):
    """Train what is missing, print the result, write the model file and its card."""
    images, validation = sets
    if options.from_dense_twin:
        dense = load_dense_twin()
    else:
        dense = train_dense(options, images, validation)
        save_dense_twin(dense)
    sparse = train_sparse(options, dense, images, validation)
    result = measure(dense, sparse, validation)
    print_result(result)
    path = options.models / MODEL.name
    write_model(sparse.model, path, "sparse", weights="f16")
    write_card(path, result, options, training_command(options, default))
    print(f"{path}: {path.stat().st_size:,} bytes")
