#!/usr/bin/env python3
"""Train the embedded CIFAR-10 network: a dense MobileNet-v1, then its sparse twin.

The dense network starts from weights that were trained on ImageNet (tools/imagenet_weights.py).
It trains in two phases: the first has one more layer with stride 2, which makes an epoch take half
the time. The sparse twin starts from the dense checkpoint and loses the smallest weights of every
pointwise convolution along the cubic schedule of Zhu & Gupta (arXiv:1710.01878). A pruned
weight stays zero.

Run again with the same options after an interruption: training continues after the last
finished epoch and gives the same weights. Augmentation, order and schedule depend only on
the seed, the phase and the epoch. Validation images choose nothing: each phase's result is
its last epoch, never its best one.

Needs ``torch numpy pillow tqdm onnx onnxscript ai-edge-litert`` and, for the ``.goss`` file,
``gossamer``. ``MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=4294967296`` in the
environment makes an epoch a tenth shorter: glibc then keeps the memory of one step for the next.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import platform
import shlex
import sys
import tarfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from imagenet_weights import load_imagenet_weights
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
DENSE_TWIN = ROOT / "tools" / "checkpoints" / "cifar10-mobilenet-dense.pt"  # weights in f16
LABELS = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
# To -1 .. 1, as the network trained on ImageNet expects them.
IMAGE_MEAN = (127.5, 127.5, 127.5)
IMAGE_SCALE = tuple(round(1 / mean, 8) for mean in IMAGE_MEAN)
CROP_PADDING = 4
# Output channels at width 1 of the depthwise-separable blocks, and which of them have stride 2.
BLOCKS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDED = (2, 4, 12)  # counted from 1
COARSE_STRIDED = (2, 4, 6, 12)  # in the first phase


# --- data -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ImageSet:
    """Images ``uint8 [n, 3, 32, 32]`` and their class numbers ``int64 [n]``."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def decode_tar(tar_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Decode every ``<class>/<name>.jpg`` of a tar, in the order of the names."""
    class_of = {label: number for number, label in enumerate(LABELS)}
    samples: list[tuple[str, int, np.ndarray]] = []
    with tarfile.open(tar_path) as tar:
        for member in tqdm(tar, desc=f"decode {tar_path.name}", unit="file", mininterval=2):
            label = Path(member.name).parent.name
            if not member.isfile() or label not in class_of:
                continue
            image = Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")
            samples.append((member.name, class_of[label], np.asarray(image).transpose(2, 0, 1)))
    if not samples:
        sys.exit(f"{tar_path}: no <class>/<name>.jpg of the classes {', '.join(LABELS)}")
    samples.sort(key=lambda sample: sample[0])
    return np.stack([s[2] for s in samples]), np.array([s[1] for s in samples], dtype=np.int64)


def load_images(tar_path: Path, cache_dir: Path) -> ImageSet:
    """Read a tar of images through a decoded cache that is newer than the tar."""
    if not tar_path.is_file():
        sys.exit(f"{tar_path}: not found; give the archive with --train / --validation")
    cache = cache_dir / f"{tar_path.stem}.npz"
    if not cache.exists() or cache.stat().st_mtime < tar_path.stat().st_mtime:
        images, labels = decode_tar(tar_path)
        partial = cache.with_suffix(".partial.npz")
        np.savez(partial, images=images, labels=labels)
        os.replace(partial, cache)
    with np.load(cache) as arrays:
        return ImageSet(torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"]))


def normalize(images: Tensor) -> Tensor:
    """uint8 [n, 3, h, w] -> float32, (pixel - mean) * scale, channels last in memory."""
    mean = torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1)
    scale = torch.tensor(IMAGE_SCALE).view(1, 3, 1, 1)
    return ((images.float() - mean) * scale).contiguous(memory_format=torch.channels_last)


def random_crop_flip(padded: Tensor, generator: torch.Generator) -> Tensor:
    """uint8 [n, 3, 40, 40] -> [n, 3, 32, 32]: a random window of each image, half mirrored."""
    count = len(padded)
    size = padded.shape[-1] - 2 * CROP_PADDING
    top, left = torch.randint(0, 2 * CROP_PADDING + 1, (2, count), generator=generator)
    windows = padded.unfold(2, size, 1).unfold(3, size, 1)
    images = windows[torch.arange(count), :, top, left]
    mirrored = torch.rand(count, generator=generator) < 0.5
    return torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)


def cutout(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Erase one random square of each normalised image; it may overlap the border."""
    if side == 0:
        return images
    count, _, height, width = images.shape
    center = torch.randint(0, height, (2, count, 1), generator=generator)
    rows = (torch.arange(height) - center[0]).abs() <= side // 2  # [n, height]
    columns = (torch.arange(width) - center[1]).abs() <= side // 2
    return images.masked_fill((rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1), 0.0)


def cutmix(images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Put the same box of another image into each one, and as much of its target.

    images [n, 3, h, w], targets float32 [n, classes]. The box covers a uniformly random share
    (CutMix, arXiv:1905.04899).
    """
    height, width = images.shape[-2:]
    side, y, x = torch.rand(3, generator=generator).tolist()
    reach_y, reach_x = (math.sqrt(side) * size / 2 for size in (height, width))
    top, bottom = (max(0, min(height, round(y * height + r))) for r in (-reach_y, reach_y))
    left, right = (max(0, min(width, round(x * width + r))) for r in (-reach_x, reach_x))
    share = (bottom - top) * (right - left) / (height * width)
    mixed = images.clone(memory_format=torch.preserve_format)
    mixed[..., top:bottom, left:right] = images.flip(0)[..., top:bottom, left:right]
    return mixed, targets * (1 - share) + targets.flip(0) * share


def cutmix_or_cutout(
    images: Tensor, targets: Tensor, phase: Phase, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Do to a batch what its phase asks for."""
    if phase.cutmix and torch.rand((), generator=generator).item() < phase.cutmix:
        return cutmix(images, targets, generator)
    return cutout(images, phase.cutout, generator), targets


def resize(images: Tensor, side: int) -> Tensor:
    """Shrink images to ``side`` pixels by the mean of the area behind each pixel."""
    return images if images.shape[-1] == side else F.interpolate(images, size=side, mode="area")


def batches(
    padded: Tensor,
    labels: Tensor,
    batch_size: int,
    phase: Phase,
    epoch: int,
    generator: torch.Generator,
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of augmented batches in random order; the incomplete last batch is left out.

    Targets are float32 [n, classes].
    """
    order = torch.randperm(len(labels), generator=generator)
    for chosen in order.split(batch_size):
        if len(chosen) == batch_size:
            images = normalize(random_crop_flip(padded[chosen], generator))
            targets = F.one_hot(labels[chosen], len(LABELS)).float()
            if not phase.is_plain(epoch):
                images, targets = cutmix_or_cutout(images, targets, phase, generator)
            yield images, targets


# --- network --------------------------------------------------------------------------------


def conv_bn_relu6(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Stack a convolution without bias, batch normalisation and ReLU6."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class MobileNetV1(nn.Module):
    """MobileNet-v1 (arXiv:1704.04861) for 32 x 32 images.

    `strided` names the blocks that halve the image; the stem does not.
    """

    def __init__(
        self, width: float, strided: Sequence[int] = STRIDED, classes: int = len(LABELS)
    ) -> None:
        super().__init__()
        channels = round(32 * width)
        layers = [conv_bn_relu6(3, channels, 3)]
        for number, full_outputs in enumerate(BLOCKS, 1):
            outputs, stride = round(full_outputs * width), 2 if number in strided else 1
            layers.append(conv_bn_relu6(channels, channels, 3, stride, groups=channels))
            layers.append(conv_bn_relu6(channels, outputs, 1))
            channels = outputs
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, image: Tensor) -> Tensor:
        """Map normalised images [n, 3, 32, 32] to logits [n, classes]."""
        return self.classifier(self.pool(self.features(image)).flatten(1))


def pointwise_layers(model: nn.Module) -> dict[str, nn.Conv2d]:
    """Every 1 x 1 convolution by name, in the order of execution."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1)
    }


@torch.no_grad()
def zero_share(weight: Tensor) -> float:
    """Measure the share of exact zeros."""
    return (weight == 0).double().mean().item()


# --- pruning --------------------------------------------------------------------------------


def cubic_ramp(progress: float, end: float) -> float:
    """Share of the final zeros at a point of the phase (arXiv:1710.01878, eq. 1)."""
    return 1 - (1 - min(progress / end, 1.0)) ** 3


class MagnitudePruner:
    """Keeps the smallest weights of every pointwise layer at zero.

    Masks only lose entries: a weight once pruned is zero, hence among the smallest for good.
    They are read back from the weights, so a checkpoint holds them.
    """

    def __init__(self, model: nn.Module, sparsities: Sequence[float]) -> None:
        self.sparsities = sparsities  # final ones, of each layer
        self.weights = [layer.weight for layer in pointwise_layers(model).values()]
        self.masks = [(weight != 0).to(weight.dtype) for weight in self.weights]

    @torch.no_grad()
    def prune(self, share: float) -> None:
        """Extend each mask until at least this share of its final zeros is there."""
        for weight, mask, sparsity in zip(self.weights, self.masks, self.sparsities, strict=True):
            zeros = math.ceil(share * sparsity * weight.numel() - 1e-9)
            smallest = (weight * mask).abs().flatten().argsort(stable=True)[:zeros]
            mask.view(-1)[smallest] = 0

    @torch.no_grad()
    def apply(self) -> None:
        """Set the pruned weights to zero after an optimizer step."""
        for weight, mask in zip(self.weights, self.masks, strict=True):
            weight.mul_(mask)


# --- training -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Phase:
    """What distinguishes dense from sparse training."""

    name: str
    epochs: int
    peak_rate: float
    warmup: float  # share of the phase
    seed: int
    label_smoothing: float = 0.0
    cutout: int = 0  # side in pixels
    cutmix: float = 0.0  # share of batches; the others have cutout
    plain_epochs: int = 0  # the last ones, without cutout and CutMix
    sides: tuple[int, ...] = (32,)  # of the images, in pixels; each for an equal share of epochs
    sparsity: float = 0.0  # of the pointwise layers but the last two; 0: nothing is pruned
    late_sparsity: float = 0.0  # of the last two
    ramp_end: float = 0.0  # share of the phase after which the final sparsity stands

    def is_plain(self, epoch: int) -> bool:
        """Whether an epoch, counted from 0, has neither cutout nor CutMix."""
        return epoch >= self.epochs - self.plain_epochs

    def side(self, epoch: int) -> int:
        """Give the side of the images in an epoch, counted from 0."""
        return self.sides[epoch * len(self.sides) // self.epochs]

    def sparsities(self, layers: int) -> list[float]:
        """Give the final sparsity of each pointwise layer."""
        return [self.sparsity] * (layers - 2) + [self.late_sparsity] * 2


def learning_rate(progress: float, phase: Phase) -> float:
    """Linear warm-up, then a cosine to zero."""
    if progress < phase.warmup:
        return phase.peak_rate * (0.05 + 0.95 * progress / phase.warmup)
    return (
        phase.peak_rate
        * 0.5
        * (1 + math.cos(math.pi * (progress - phase.warmup) / (1 - phase.warmup)))
    )


def make_optimizer(model: MobileNetV1, weight_decay: float) -> torch.optim.SGD:
    """Nesterov SGD that decays the weights of convolutions and classifier."""
    decayed = [p for p in model.parameters() if p.dim() > 1]
    free = [p for p in model.parameters() if p.dim() == 1]
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=0.0, momentum=0.9, nesterov=True)


@torch.no_grad()
def top1(model: nn.Module, data: ImageSet) -> float:
    """Share of images whose largest output is their class."""
    model.eval()
    hits = 0
    for images, labels in zip(data.images.split(500), data.labels.split(500), strict=True):
        hits += (model(normalize(images)).argmax(1) == labels).sum().item()
    return hits / len(data)


def save_atomically(state: dict, path: Path) -> None:
    """Write a checkpoint so that an interruption leaves the old or the new one."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


class Trainer:
    """One phase: epochs, checkpoints, log lines."""

    def __init__(
        self,
        phase: Phase,
        model: MobileNetV1,
        options: argparse.Namespace,
    ) -> None:
        self.phase, self.model, self.options = phase, model, options
        self.optimizer = make_optimizer(model, options.weight_decay)
        self.checkpoint = options.out / f"{phase.name}.pt"
        self.epoch, self.seconds = 0, 0.0
        if self.checkpoint.exists():
            self.resume()
        self.pruner = None
        if phase.sparsity:
            self.pruner = MagnitudePruner(model, phase.sparsities(len(BLOCKS)))

    def settings(self) -> dict:
        """List what a checkpoint must agree with to be continued."""
        keys = ("width", "batch_size", "weight_decay")
        return vars(self.phase) | {key: getattr(self.options, key) for key in keys}

    def resume(self) -> None:
        """Continue from the checkpoint, which must come from the same settings."""
        state = torch.load(self.checkpoint, weights_only=True)
        if state["settings"] != self.settings():
            sys.exit(
                f"{self.checkpoint}: trained with {state['settings']}, asked for {self.settings()};"
                " use the same options or another --out"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.seconds = state["epoch"], state["seconds"]

    @property
    def finished(self) -> bool:
        """Whether every epoch is done."""
        return self.epoch >= self.phase.epochs

    def save(self) -> None:
        """Write the checkpoint."""
        state = {"epoch": self.epoch, "seconds": self.seconds, "settings": self.settings()}
        state |= {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        save_atomically(state, self.checkpoint)

    def step(self, images: Tensor, targets: Tensor, progress: float) -> float:
        """One optimizer step; returns the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(progress, self.phase)
        logits = self.model(resize(images, self.phase.side(self.epoch)))
        loss = F.cross_entropy(logits, targets, label_smoothing=self.phase.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        if self.pruner:
            self.pruner.apply()
        return loss.item()

    def run_epoch(self, padded: Tensor, labels: Tensor) -> float:
        """Train over the set once; returns the mean loss."""
        phase, steps = self.phase, len(labels) // self.options.batch_size
        generator = torch.Generator().manual_seed(phase.seed * 100_003 + self.epoch)
        self.model.train()
        total, begin = 0.0, time.monotonic()
        epoch_batches = batches(
            padded, labels, self.options.batch_size, phase, self.epoch, generator
        )
        title = f"{phase.name} {self.epoch + 1}/{phase.epochs}"
        for index, (images, wanted) in enumerate(
            tqdm(epoch_batches, title, steps, leave=False, mininterval=5)
        ):
            progress = (self.epoch + index / steps) / phase.epochs
            if self.pruner and index % self.options.prune_every == 0:
                self.pruner.prune(cubic_ramp(progress, phase.ramp_end))
            total += self.step(images, wanted, progress)
        self.epoch += 1
        self.seconds += time.monotonic() - begin
        return total / steps

    def fit(self, train: ImageSet, validation: ImageSet) -> None:
        """Run the epochs that are missing."""
        padded = F.pad(train.images.float(), (CROP_PADDING,) * 4, mode="reflect").to(torch.uint8)
        while not self.finished:
            loss = self.run_epoch(padded, train.labels)
            line = f"{self.phase.name} epoch {self.epoch}/{self.phase.epochs} loss {loss:.4f}"
            line += f" time {self.seconds:.0f} s"
            if self.pruner:
                line += f" zeros {np.mean([zero_share(w) for w in self.pruner.weights]):.4f}"
            if self.epoch % self.options.validate_every == 0 or self.epoch == self.phase.epochs:
                line += f" top-1 {top1(self.model, validation):.4f}"
            self.save()
            print(line, flush=True)


def new_model(options: argparse.Namespace, strided: Sequence[int] = STRIDED) -> MobileNetV1:
    """Initialise a network, the same for the same seed."""
    torch.manual_seed(options.seed)
    return MobileNetV1(options.width, strided).to(memory_format=torch.channels_last)


def continued(options: argparse.Namespace, before: MobileNetV1) -> MobileNetV1:
    """Copy the network that an earlier phase ended with."""
    model = new_model(options)
    model.load_state_dict(before.state_dict())
    return model


def coarse_trainer(options: argparse.Namespace, train: ImageSet | None) -> Trainer:
    """Set up the first phase, which starts from ImageNet's weights."""
    phase = Phase(
        name="coarse",
        epochs=options.coarse_epochs,
        peak_rate=options.rate,
        warmup=0.1,
        seed=options.seed,
        label_smoothing=options.label_smoothing,
        cutout=options.cutout,
    )
    model = new_model(options, COARSE_STRIDED)
    if train is not None:
        some = normalize(train.images[:: len(train) // 512])
        load_imagenet_weights(model.features, options.imagenet, some)
    return Trainer(phase, model, options)


def dense_trainer(options: argparse.Namespace, coarse: Trainer) -> Trainer:
    """Set up the second phase, from whose end the sparse network starts."""
    phase = Phase(
        name="dense",
        epochs=options.dense_epochs,
        peak_rate=options.rate,
        warmup=0.1,
        seed=options.seed + 1,
        label_smoothing=options.label_smoothing,
        cutout=options.cutout,
        cutmix=options.cutmix,
        sides=tuple(options.dense_sides),
    )
    return Trainer(phase, continued(options, coarse.model), options)


def sparse_trainer(options: argparse.Namespace, dense: MobileNetV1) -> Trainer:
    """Set up the sparse phase, which starts from the dense weights."""
    phase = Phase(
        name="sparse",
        epochs=options.sparse_epochs,
        peak_rate=options.rate,
        warmup=0.05,
        seed=options.seed + 2,
        label_smoothing=options.label_smoothing,
        cutout=options.cutout,
        cutmix=options.cutmix,
        plain_epochs=options.plain_epochs,
        sides=tuple(options.sparse_sides),
        sparsity=options.sparsity,
        late_sparsity=options.late_sparsity,
        ramp_end=options.ramp_end,
    )
    return Trainer(phase, continued(options, dense), options)


def finish(trainer: Trainer, train: ImageSet | None, validation: ImageSet) -> None:
    """Train what is missing; without a training set nothing may be missing."""
    if trainer.finished:
        return
    if train is None:
        sys.exit(
            f"{trainer.checkpoint}: {trainer.epoch} of {trainer.phase.epochs} epochs are done;"
            " run without --export to train the rest"
        )
    trainer.fit(train, validation)


@dataclass(frozen=True)
class Dense:
    """The trained dense network, and the minutes that each of its phases took."""

    model: MobileNetV1
    minutes: tuple[float, ...]


def train_dense(options: argparse.Namespace, train: ImageSet | None, validation: ImageSet) -> Dense:
    """Run what is missing of the first two phases."""
    coarse = coarse_trainer(options, train)
    finish(coarse, train, validation)
    dense = dense_trainer(options, coarse)
    finish(dense, train, validation)
    return Dense(dense.model, (coarse.seconds / 60, dense.seconds / 60))


def save_dense_twin(dense: Dense) -> None:
    """Keep the dense weights, which take an hour to train, for comparisons and other prunings."""
    state = dense.model.state_dict().items()
    half = {key: v.half() if v.is_floating_point() else v for key, v in state}
    DENSE_TWIN.parent.mkdir(exist_ok=True)
    torch.save({"minutes": dense.minutes, "model": half}, DENSE_TWIN)


def load_dense_twin(width: float) -> Dense:
    """Read the dense weights that are kept."""
    kept = torch.load(DENSE_TWIN, weights_only=True)
    model = MobileNetV1(width).to(memory_format=torch.channels_last)
    model.load_state_dict(kept["model"])
    return Dense(model, kept["minutes"])


# --- result ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What the card and the last lines of the log report."""

    dense_top1: float
    sparse_top1: float
    images: int
    zeros: dict[str, tuple[tuple[int, int], float]]  # layer: (outputs, inputs), share of zeros
    minutes: tuple[float, ...]  # of each phase


def measure(dense: Dense, sparse: Trainer, validation: ImageSet) -> Result:
    """Evaluate the dense and the sparse network and count the zeros."""
    zeros = {
        f"block {number}": (
            (layer.out_channels, layer.in_channels),
            zero_share(layer.weight),
        )
        for number, layer in enumerate(pointwise_layers(sparse.model).values(), 1)
    }
    return Result(
        dense_top1=top1(dense.model, validation),
        sparse_top1=top1(sparse.model, validation),
        images=len(validation),
        zeros=zeros,
        minutes=(*dense.minutes, sparse.seconds / 60),
    )


def print_result(result: Result) -> None:
    """Print zeros and accuracy."""
    for name, ((outputs, inputs), share) in result.zeros.items():
        print(f"{name}: {outputs} x {inputs}, {share:.2%} zeros")
    accuracy = f"dense top-1 {result.dense_top1:.2%}, sparse top-1 {result.sparse_top1:.2%}"
    print(f"{accuracy}, n = {result.images}")


def export_onnx(model: MobileNetV1, path: Path) -> None:
    """Write the network, with a softmax behind it, for one normalised image."""
    classifier = (
        nn.Sequential(model, nn.Softmax(dim=1)).to(memory_format=torch.contiguous_format).eval()
    )
    torch.onnx.export(
        classifier,
        (torch.zeros(1, 3, 32, 32),),
        path,
        input_names=["image"],
        output_names=["probabilities"],
        external_data=False,
        verbose=False,
    )


def write_model(onnx_path: Path, goss_path: Path, kind: str) -> None:
    """Convert to ``.goss`` with what a user needs to feed images and read labels."""
    try:
        import gossamer
    except ImportError as error:
        sys.exit(
            f"{onnx_path} is written; for {goss_path.name} install gossamer-nn[convert]"
            f" and use --export: {error}"
        )
    goss_path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {
        "title": f"MobileNet-v1 for CIFAR-10, {kind}",
        "license": "Apache-2.0",
        "labels": "\n".join(LABELS),
        "image_mean": " ".join(map(str, IMAGE_MEAN)),
        "image_scale": " ".join(map(str, IMAGE_SCALE)),
    }
    gossamer.convert(onnx_path, goss_path, metadata=metadata)


def write_dense_twin(width: float, path: Path) -> None:
    """Convert the dense weights that are kept to ``.goss``, with the ONNX file beside it."""
    export_onnx(load_dense_twin(width).model, path.with_suffix(".onnx"))
    write_model(path.with_suffix(".onnx"), path, "dense")


def training_command(options: argparse.Namespace) -> str:
    """Spell the command that trains this network: every option that is not its default."""
    elsewhere = {
        *("train", "validation", "imagenet", "out", "models"),
        *("threads", "export", "dense_twin", "validate_every"),
    }
    defaults = vars(parse_arguments([]))
    changed = [(k, v) for k, v in vars(options).items() if k not in elsewhere and v != defaults[k]]
    words = ["python", "tools/train_cifar10.py"]
    for key, value in changed:
        words += [f"--{key.replace('_', '-')}", *np.atleast_1d(value).astype(str)]
    return shlex.join(words)


def machine() -> str:
    """Name the processor, the threads and the PyTorch of this machine."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor()
    return f"{processor}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}"


CARD = """# cifar10-mobilenet

MobileNet-v1 (arXiv:1704.04861), width {width:g}, for 32 × 32 images and CIFAR-10's ten classes.
{sparsity:.0%} of the weights of every pointwise convolution are zero, {late_sparsity:.0%} in the
last two, anywhere (pattern 1x1).

| | |
|---|---|
| File | `cifar10-mobilenet.goss`, {file_bytes:,} bytes |
| Input | `image`, float32 `[1, 3, 32, 32]`, RGB; `(pixel - mean) * scale` |
| Mean, scale | {mean}; {scale} (per channel, pixels from 0 to 255) |
| Output | `probabilities`, float32 `[1, 10]`: {labels} |
| Date | {day} |
| License | Apache-2.0 |

## Accuracy
| | top-1 |
|---|---|
| dense twin | {dense:.2%} |
| **sparse (this file)** | **{sparse:.2%}** |

On the {images:,} validation images; one standard error is {error:.2%}. Each figure is that of
the last epoch: the validation images chose no epoch. Both networks were evaluated with PyTorch;
the file, and the dense twin from its weights in a checkout, are evaluated with

```sh
gossamer evaluate cifar10-mobilenet --data cifar10-validation.tar
python tools/train_cifar10.py --dense-twin build/dense.goss
gossamer evaluate build/dense.goss --data cifar10-validation.tar
```

## Data
CIFAR-10 (Krizhevsky, *Learning multiple layers of features from tiny images*, 2009): 50,000
training images of 32 × 32 pixels and {images:,} validation images, as JPEG files named
`<class>/<name>.jpg`. The network knows ten classes and answers with one of them whatever the
picture shows. It is a demonstration: nothing of consequence should depend on it.

## Architecture
A 3 × 3 stem with stride 1, then 13 blocks of a depthwise 3 × 3 and a pointwise convolution, each
with batch normalisation and ReLU6; global average pooling, a fully connected layer, softmax. The
stride is 2 in blocks {strides}, so planes shrink from 32 × 32 to 4 × 4.

## Recipe
Training starts from a MobileNet-v1 of the same width that was trained on ImageNet: `{imagenet}`
of TensorFlow (Apache-2.0), dequantized. Its stem sees the image enlarged to 64 × 64 with stride 2;
since bilinear enlargement is linear, a 3 × 3 kernel with stride 1 on the 32 × 32 image does the
same, and the stem starts as that. All weights are then trained with SGD (Nesterov, batch
{batch_size}, weight decay {weight_decay:g}); in each phase the learning rate rises to {rate:g} and
falls along a cosine to zero. Random crops with {padding} reflected pixels, mirroring, label
smoothing {label_smoothing:g}, and {cutout} × {cutout} cutout or, for {cutmix:.0%} of the batches
behind the first phase, CutMix (arXiv:1905.04899). Where sides are given, images are shrunk by area
to each of them for an equal share of the epochs.

1. Coarse: {coarse_epochs} epochs with stride 2 in blocks {coarse_strides}.
2. Dense: {dense_epochs} epochs; sides {dense_sides}.
3. Sparse: {sparse_epochs} epochs; sides {sparse_sides}; the last {plain_epochs} without cutout and
   CutMix. Gradual magnitude pruning (arXiv:1710.01878) of each pointwise layer along a cubic ramp
   over the first {ramp_end:.0%}, every {prune_every} steps. A pruned weight stays zero.

```sh
{command}
```

{minutes} minutes on a shared machine ({machine}).
Seed {seed}; an interrupted run continues after its last epoch and gives the same weights.

## Zeros
| pointwise layer | outputs × inputs | zeros |
|---|---|---|
{zeros}
"""


def listed(numbers: Iterable[int]) -> str:
    """Join numbers for a sentence."""
    return ", ".join(map(str, numbers))


def write_card(
    path: Path, model_path: Path, result: Result, options: argparse.Namespace, day: date
) -> None:
    """Describe the model file for its users."""
    rows = (
        f"| {name} | {outputs} × {inputs} | {share:.2%} |"
        for name, ((outputs, inputs), share) in result.zeros.items()
    )
    sides = {key: listed(vars(options)[key]) for key in ("dense_sides", "sparse_sides")}
    text = CARD.format(
        **vars(options) | {"imagenet": options.imagenet.name} | sides,
        strides=listed(STRIDED),
        coarse_strides=listed(COARSE_STRIDED),
        file_bytes=model_path.stat().st_size,
        mean=" ".join(map(str, IMAGE_MEAN)),
        scale=" ".join(map(str, IMAGE_SCALE)),
        labels=", ".join(LABELS),
        day=day.isoformat(),
        dense=result.dense_top1,
        sparse=result.sparse_top1,
        images=result.images,
        error=math.sqrt(result.sparse_top1 * (1 - result.sparse_top1) / result.images),
        padding=CROP_PADDING,
        command=training_command(options),
        minutes=" + ".join(f"{minutes:.0f}" for minutes in result.minutes),
        machine=machine(),
        zeros="\n".join(rows),
    )
    path.write_text(text, encoding="utf-8")


def export(sparse: Trainer, result: Result, options: argparse.Namespace) -> None:
    """Write the sparse ``.goss`` file, its ONNX file and its card."""
    onnx_path = options.out / "cifar10-mobilenet.onnx"
    export_onnx(sparse.model, onnx_path)
    model_path = options.models / "cifar10-mobilenet.goss"
    write_model(onnx_path, model_path, "sparse")
    day = date.fromtimestamp(sparse.checkpoint.stat().st_mtime)
    write_card(model_path.with_suffix(".md"), model_path, result, options, day)
    print(f"{model_path}: {model_path.stat().st_size:,} bytes")


# --- command line ---------------------------------------------------------------------------


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    data = ROOT.parent / "shared" / "data"
    add("--train", type=Path, default=data / "cifar10-train.tar", help="tar of <class>/<name>.jpg")
    add(
        "--validation",
        type=Path,
        default=data / "cifar10-validation.tar",
        help="tar of <class>/<name>.jpg",
    )
    add(
        "--imagenet",
        type=Path,
        default=ROOT.parent / "shared" / "models" / "mobilenet_v1_0.75_192_quant.tflite",
        help="MobileNet-v1 trained on ImageNet, of the same width",
    )
    add(
        "--out",
        type=Path,
        default=ROOT / "build" / "train",
        help="checkpoints, decoded images, ONNX files",
    )
    add(
        "--models",
        type=Path,
        default=ROOT / "runtime" / "gossamer" / "models",
        help="the .goss file and its card",
    )
    add(
        "--export",
        action="store_true",
        help="do not train: evaluate and export the finished checkpoints",
    )
    add("--dense-twin", type=Path, metavar="GOSS", help="do not train: write the dense twin")
    add(
        "--from-dense-twin",
        action="store_true",
        help="train the sparse phase only, from the dense weights in tools/checkpoints",
    )
    add("--width", type=float, default=0.75, help="multiplier of the channels")
    add("--coarse-epochs", type=int, default=12)
    add("--dense-epochs", type=int, default=12)
    add("--sparse-epochs", type=int, default=15)
    add("--rate", type=float, default=0.02, help="peak learning rate of every phase")
    pixels = "sides of the images in pixels, each for an equal share of the epochs"
    add("--dense-sides", type=int, nargs="+", default=[24, 24, 32], help=pixels)
    add("--sparse-sides", type=int, nargs="+", default=[28, 32, 32], help=pixels)
    add("--batch-size", type=int, default=64)
    add("--weight-decay", type=float, default=2e-4)
    add("--label-smoothing", type=float, default=0.1)
    add("--cutout", type=int, default=8, help="side of the erased square in pixels")
    add("--plain-epochs", type=int, default=4, help="at the end, without cutout and CutMix")
    add("--cutmix", type=float, default=0.3, help="share of batches, behind the first phase")
    add("--sparsity", type=float, default=0.85, help="share of zeros in a pointwise layer")
    add("--late-sparsity", type=float, default=0.95, help="the same in the last two of them")
    add("--ramp-end", type=float, default=0.5, help="share of the sparse phase spent pruning")
    add("--prune-every", type=int, default=100, help="steps between two prunings")
    add(
        "--validate-every",
        type=int,
        default=4,
        help="epochs between two looks at the validation set",
    )
    add("--threads", type=int, default=os.cpu_count(), help="threads of PyTorch")
    add("--seed", type=int, default=1)
    return parser.parse_args(arguments)


def main() -> None:
    """Train what is missing, print the result, export."""
    options = parse_arguments()
    if options.dense_twin:
        write_dense_twin(options.width, options.dense_twin)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    train = None if options.export else load_images(options.train, options.out)
    validation = load_images(options.validation, options.out)
    if options.from_dense_twin:
        dense = load_dense_twin(options.width)
    else:
        dense = train_dense(options, train, validation)
        save_dense_twin(dense)
    sparse = sparse_trainer(options, dense.model)
    finish(sparse, train, validation)
    result = measure(dense, sparse, validation)
    print_result(result)
    export(sparse, result, options)


if __name__ == "__main__":
    main()
