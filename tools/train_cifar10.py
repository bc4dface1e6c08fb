#!/usr/bin/env python3
"""Train the embedded CIFAR-10 network: a dense MobileNet-v1, then its sparse twin.

The sparse twin starts from the dense checkpoint and loses the smallest weights of every
pointwise convolution along the cubic schedule of Zhu & Gupta (arXiv:1710.01878) while the
dense network teaches it. A pruned weight stays zero.

Run again with the same options after an interruption: training continues after the last
finished epoch and gives the same weights. Augmentation, order and schedule depend only on
the seed, the phase and the epoch. Validation images choose nothing: each phase's result is
its last epoch, never its best one.

Needs ``torch numpy pillow tqdm onnx onnxscript`` and, for the ``.goss`` file, ``gossamer``.
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
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
LABELS = "airplane automobile bird cat deer dog frog horse ship truck".split()
IMAGE_MEAN = (125.3, 123.0, 113.9)
IMAGE_STD = (63.0, 62.1, 66.7)
IMAGE_SCALE = tuple(round(1 / std, 8) for std in IMAGE_STD)
CROP_PADDING = 4
# Output channels at width 1 and stride of the depthwise-separable blocks.
BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 1), (1024, 1),
)  # fmt: skip


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
    """uint8 [n, 3, 40, 40] -> [n, 3, 32, 32]: a random window of each image, half of them mirrored."""
    count = len(padded)
    size = padded.shape[-1] - 2 * CROP_PADDING
    top, left = torch.randint(0, 2 * CROP_PADDING + 1, (2, count), generator=generator)
    windows = padded.unfold(2, size, 1).unfold(3, size, 1)
    images = windows[torch.arange(count), :, top, left]
    mirrored = torch.rand(count, generator=generator) < 0.5
    return torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)


def cutout(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Set one random square of each normalised image to zero, the mean colour; it may overlap the border."""
    if side == 0:
        return images
    count, _, height, width = images.shape
    center = torch.randint(0, height, (2, count, 1), generator=generator)
    rows = (torch.arange(height) - center[0]).abs() <= side // 2  # [n, height]
    columns = (torch.arange(width) - center[1]).abs() <= side // 2
    return images.masked_fill((rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1), 0.0)


def batches(
    padded: Tensor, labels: Tensor, batch_size: int, side: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of augmented batches in random order; the incomplete last batch is left out."""
    order = torch.randperm(len(labels), generator=generator)
    for chosen in order.split(batch_size):
        if len(chosen) == batch_size:
            images = normalize(random_crop_flip(padded[chosen], generator))
            yield cutout(images, side, generator), labels[chosen]


# --- network --------------------------------------------------------------------------------


def conv_bn_relu(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution without bias, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class MobileNetV1(nn.Module):
    """MobileNet-v1 (arXiv:1704.04861) for 32 x 32 images.

    The stem and the last stage keep their resolution, so the network ends at 4 x 4 pixels.
    Returns logits ``[n, classes]``.
    """

    def __init__(self, width: float, classes: int = len(LABELS)) -> None:
        super().__init__()
        channels = round(32 * width)
        layers = [conv_bn_relu(3, channels, 3)]
        for full_outputs, stride in BLOCKS:
            outputs = round(full_outputs * width)
            layers.append(conv_bn_relu(channels, channels, 3, stride, groups=channels))
            layers.append(conv_bn_relu(channels, outputs, 1))
            channels = outputs
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, image: Tensor) -> Tensor:
        return self.classifier(self.pool(self.features(image)).flatten(1))


def pointwise_layers(model: nn.Module) -> dict[str, nn.Conv2d]:
    """Every 1 x 1 convolution by name, in the order of execution."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1)
    }


def zero_share(weight: Tensor) -> float:
    """The share of exact zeros."""
    return (weight == 0).double().mean().item()


# --- pruning --------------------------------------------------------------------------------


def cubic_sparsity(progress: float, begin: float, end: float, final: float) -> float:
    """Sparsity at a point of training, all points as shares of the phase (arXiv:1710.01878, eq. 1)."""
    ramp = min(max((progress - begin) / (end - begin), 0.0), 1.0)
    return final * (1 - (1 - ramp) ** 3)


class MagnitudePruner:
    """Keeps the smallest weights of every pointwise layer at zero.

    Masks only lose entries: a weight once pruned is zero, hence among the smallest for good.
    They are read back from the weights, so a checkpoint holds them.
    """

    def __init__(self, model: nn.Module) -> None:
        self.weights = [layer.weight for layer in pointwise_layers(model).values()]
        self.masks = [(weight != 0).to(weight.dtype) for weight in self.weights]

    @torch.no_grad()
    def prune(self, sparsity: float) -> None:
        """Extend each mask until at least ``sparsity`` of its layer is zero."""
        for weight, mask in zip(self.weights, self.masks, strict=True):
            zeros = math.ceil(sparsity * weight.numel() - 1e-9)
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
    distillation: float  # weight of the teacher's soft labels, 0 without a teacher
    sparsity: float  # 0: nothing is pruned
    ramp_end: float  # share of the phase after which the final sparsity stands


def learning_rate(progress: float, phase: Phase) -> float:
    """Linear warm-up, then a cosine to zero."""
    if progress < phase.warmup:
        return phase.peak_rate * (0.05 + 0.95 * progress / phase.warmup)
    return phase.peak_rate * 0.5 * (1 + math.cos(math.pi * (progress - phase.warmup) / (1 - phase.warmup)))


def make_optimizer(model: nn.Module, weight_decay: float) -> torch.optim.SGD:
    """Nesterov SGD; depthwise kernels, batch normalisation and biases do not decay."""
    decayed, free = [], []
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            depthwise = isinstance(module, nn.Conv2d) and module.groups > 1
            decays = name == "weight" and not depthwise and not isinstance(module, nn.BatchNorm2d)
            (decayed if decays else free).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=0.0, momentum=0.9, nesterov=True)


def batch_loss(logits: Tensor, labels: Tensor, taught: Tensor | None, phase: Phase, smoothing: float) -> Tensor:
    """Cross entropy, mixed with the distance to the teacher's probabilities at temperature 2."""
    loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    if taught is None:
        return loss
    temperature = 2.0
    distance = F.kl_div(
        F.log_softmax(logits / temperature, 1), F.softmax(taught / temperature, 1), reduction="batchmean"
    )
    return (1 - phase.distillation) * loss + phase.distillation * temperature**2 * distance


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
        self, phase: Phase, model: MobileNetV1, teacher: MobileNetV1 | None, options: argparse.Namespace
    ) -> None:
        self.phase, self.model, self.teacher, self.options = phase, model, teacher, options
        self.optimizer = make_optimizer(model, options.weight_decay)
        self.checkpoint = options.out / f"{phase.name}.pt"
        self.epoch, self.seconds = 0, 0.0
        if self.checkpoint.exists():
            self.resume()
        self.pruner = MagnitudePruner(model) if phase.sparsity else None

    def settings(self) -> dict:
        """What a checkpoint must agree with to be continued."""
        keys = ("width", "batch_size", "weight_decay", "label_smoothing", "cutout")
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

    def save(self) -> None:
        state = {"epoch": self.epoch, "seconds": self.seconds, "settings": self.settings()}
        state |= {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        save_atomically(state, self.checkpoint)

    def step(self, images: Tensor, labels: Tensor, progress: float) -> float:
        """One optimizer step; returns the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(progress, self.phase)
        taught = None
        if self.teacher is not None:
            with torch.no_grad():
                taught = self.teacher(images)
        loss = batch_loss(self.model(images), labels, taught, self.phase, self.options.label_smoothing)
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
        epoch_batches = batches(padded, labels, self.options.batch_size, self.options.cutout, generator)
        title = f"{phase.name} {self.epoch + 1}/{phase.epochs}"
        for index, (images, wanted) in enumerate(tqdm(epoch_batches, title, steps, leave=False, mininterval=5)):
            progress = (self.epoch + index / steps) / phase.epochs
            if self.pruner and index % self.options.prune_every == 0:
                self.pruner.prune(cubic_sparsity(progress, 0.0, phase.ramp_end, phase.sparsity))
            total += self.step(images, wanted, progress)
        self.epoch += 1
        self.seconds += time.monotonic() - begin
        return total / steps

    def fit(self, train: ImageSet, validation: ImageSet) -> None:
        """Run the epochs that are missing."""
        padded = F.pad(train.images.float(), (CROP_PADDING,) * 4, mode="reflect").to(torch.uint8)
        while self.epoch < self.phase.epochs:
            loss = self.run_epoch(padded, train.labels)
            line = f"{self.phase.name} epoch {self.epoch}/{self.phase.epochs} loss {loss:.4f}"
            line += f" time {self.seconds:.0f} s"
            if self.pruner:
                line += f" zeros {np.mean([zero_share(w.detach()) for w in self.pruner.weights]):.4f}"
            if self.epoch % self.options.validate_every == 0 or self.epoch == self.phase.epochs:
                line += f" top-1 {top1(self.model, validation):.4f}"
            self.save()
            print(line, flush=True)


def new_model(options: argparse.Namespace) -> MobileNetV1:
    """A freshly initialised network; the same for the same seed."""
    torch.manual_seed(options.seed)
    return MobileNetV1(options.width).to(memory_format=torch.channels_last)


def train_dense(options: argparse.Namespace, train: ImageSet, validation: ImageSet) -> Trainer:
    """The dense phase."""
    phase = Phase("dense", options.dense_epochs, options.dense_rate, 0.15, options.seed, 0.0, 0.0, 0.0)
    trainer = Trainer(phase, new_model(options), None, options)
    trainer.fit(train, validation)
    return trainer


def train_sparse(options: argparse.Namespace, dense: Trainer, train: ImageSet, validation: ImageSet) -> Trainer:
    """The sparse phase: starts from the dense weights, taught by the dense network."""
    phase = Phase(
        "sparse", options.sparse_epochs, options.sparse_rate, 0.05, options.seed + 1,
        options.distillation, options.sparsity, options.ramp_end,
    )  # fmt: skip
    model = new_model(options)
    model.load_state_dict(dense.model.state_dict())
    teacher = dense.model.eval() if options.distillation else None
    trainer = Trainer(phase, model, teacher, options)
    trainer.fit(train, validation)
    return trainer


# --- command line ---------------------------------------------------------------------------


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    data = ROOT.parent / "shared" / "data"
    add("--train", type=Path, default=data / "cifar10-train.tar", help="tar of <class>/<name>.jpg")
    add("--validation", type=Path, default=data / "cifar10-validation.tar", help="tar of <class>/<name>.jpg")
    add("--out", type=Path, default=ROOT / "build" / "train", help="checkpoints, decoded images, ONNX files")
    add("--width", type=float, default=0.5, help="multiplier of the channels")
    add("--dense-epochs", type=int, default=24)
    add("--sparse-epochs", type=int, default=24)
    add("--dense-rate", type=float, default=0.15, help="peak learning rate of the dense phase")
    add("--sparse-rate", type=float, default=0.1, help="peak learning rate of the sparse phase")
    add("--batch-size", type=int, default=128)
    add("--weight-decay", type=float, default=5e-4)
    add("--label-smoothing", type=float, default=0.05)
    add("--cutout", type=int, default=8, help="side of the erased square in pixels, 0 for none")
    add("--sparsity", type=float, default=0.8, help="share of zeros in every pointwise layer")
    add("--ramp-end", type=float, default=0.5, help="share of the sparse phase spent pruning")
    add("--prune-every", type=int, default=100, help="steps between two prunings")
    add("--distillation", type=float, default=0.5, help="weight of the dense network's soft labels")
    add("--validate-every", type=int, default=4, help="epochs between two looks at the validation set")
    add("--threads", type=int, default=os.cpu_count(), help="threads of PyTorch")
    add("--seed", type=int, default=1)
    return parser.parse_args(arguments)


def main() -> None:
    """Train what is missing."""
    options = parse_arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    train = load_images(options.train, options.out)
    validation = load_images(options.validation, options.out)
    dense = train_dense(options, train, validation)
    train_sparse(options, dense, train, validation)


if __name__ == "__main__":
    main()
