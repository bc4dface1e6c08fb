"""One phase of training, with or without pruning: epochs, checkpoints, log lines."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from images import (
    CROP_PADDING,
    LABELS,
    ImageSet,
    cutmix,
    cutout,
    normalize,
    random_crop_flip,
    resize,
)
from network import pointwise_layers
from torch import Tensor, nn
from tqdm import tqdm

import gossamer.torch


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
    sparsities: tuple[float, ...] = ()  # final ones of the pointwise layers; none: stays dense
    pattern: str = "1x1"
    rearrange: bool = False
    initial_sparsity: float = 0.0  # that the network has at the start
    epochs_before: int = 0  # of pruning, that it had by then
    ramp_end: float = 0.0  # share of the phase after which the final sparsity stands
    distillation: float = 0.0  # weight of a teacher's answers against that of the labels

    def is_plain(self, epoch: int) -> bool:
        """Whether an epoch, counted from 0, has neither cutout nor CutMix."""
        return epoch >= self.epochs - self.plain_epochs

    def side(self, epoch: int) -> int:
        """Give the side of the images in an epoch, counted from 0."""
        return self.sides[epoch * len(self.sides) // self.epochs]


def learning_rate(progress: float, phase: Phase) -> float:
    """Linear warm-up, then a cosine to zero."""
    if progress < phase.warmup:
        return phase.peak_rate * (0.05 + 0.95 * progress / phase.warmup)
    return (
        phase.peak_rate
        * 0.5
        * (1 + math.cos(math.pi * (progress - phase.warmup) / (1 - phase.warmup)))
    )


def make_optimizer(model: nn.Module, weight_decay: float) -> torch.optim.SGD:
    """Nesterov SGD that decays the weights of convolutions and classifier."""
    decayed = [p for p in model.parameters() if p.dim() > 1]
    free = [p for p in model.parameters() if p.dim() == 1]
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=0.0, momentum=0.9, nesterov=True)


def cutmix_or_cutout(
    images: Tensor, targets: Tensor, phase: Phase, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Do to a batch what its phase asks for."""
    if phase.cutmix and torch.rand((), generator=generator).item() < phase.cutmix:
        return cutmix(images, targets, generator)
    return cutout(images, phase.cutout, generator), targets


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


@dataclass(frozen=True)
class Settings:
    """What all phases share."""

    width: float
    batch_size: int
    weight_decay: float
    prune_every: int  # steps between two changes of the masks
    validate_every: int  # epochs between two looks at the validation images
    out: Path  # of the checkpoints
    bf16: bool  # compute in bfloat16, with the elementwise parts compiled to one


class Trainer:
    """One phase: epochs, checkpoints, log lines.

    Parameters
    ----------
    phase, settings
        What to do. A checkpoint of the same phase and settings in `settings.out` is continued.
    model
        To start from; trained in place.
    images
        Number of training images, which says how many steps an epoch has.
    teacher
        Whose answers count where the phase has distillation.
    """

    def __init__(
        self,
        phase: Phase,
        settings: Settings,
        model: nn.Module,
        images: int,
        teacher: nn.Module | None = None,
    ) -> None:
        self.phase, self.settings, self.model = phase, settings, model
        self.teacher = teacher.eval() if teacher else None
        self.compiled = torch.compile(model, dynamic=False) if settings.bf16 else model
        self.steps = images // settings.batch_size  # of an epoch
        self.optimizer = make_optimizer(model, settings.weight_decay)
        self.pruner = self._pruner() if phase.sparsities else None
        self.checkpoint = settings.out / f"{phase.name}.pt"
        self.epoch, self.seconds = 0, 0.0
        if self.checkpoint.exists():
            self._resume()

    def _pruner(self) -> gossamer.torch.Pruner:
        phase, layers = self.phase, pointwise_layers(self.model)
        schedule = gossamer.torch.CubicSchedule(
            max(phase.sparsities),
            end=round(phase.ramp_end * phase.epochs * self.steps),
            every=self.settings.prune_every,
            initial=phase.initial_sparsity,
        )
        return gossamer.torch.Pruner(
            self.model,
            dict.fromkeys(layers, phase.pattern),
            schedule,
            allocation=dict(zip(layers, phase.sparsities, strict=True)),
            optimizer=self.optimizer,
            rearrange=phase.rearrange,
        )

    def _fingerprint(self) -> dict:
        """List what a checkpoint must agree with to be continued."""
        shared = {
            key: getattr(self.settings, key)
            for key in ("width", "batch_size", "weight_decay", "bf16")
        }
        return asdict(self.phase) | shared | {"network": type(self.model).__name__}

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True)
        if state["settings"] != self._fingerprint():
            sys.exit(
                f"{self.checkpoint}: trained with {state['settings']}, asked for "
                f"{self._fingerprint()}; use the same options or another --out"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.pruner:
            self.pruner.load_state_dict(state["pruner"])
        self.epoch, self.seconds = state["epoch"], state["seconds"]

    def _save(self) -> None:
        state = {
            "epoch": self.epoch,
            "seconds": self.seconds,
            "settings": self._fingerprint(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "pruner": self.pruner and self.pruner.state_dict(),
        }
        save_atomically(state, self.checkpoint)

    def _loss(self, images: Tensor, targets: Tensor) -> Tensor:
        """Loss against the labels, or against them and the teacher, who sees images unshrunk."""
        phase = self.phase
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bf16):
            logits = self.compiled(resize(images, phase.side(self.epoch))).float()
            if not phase.distillation:
                return F.cross_entropy(logits, targets, label_smoothing=phase.label_smoothing)
            with torch.no_grad():
                answers = self.teacher(images).float()
        return gossamer.torch.distillation_loss(logits, answers, targets, weight=phase.distillation)

    def _step(self, images: Tensor, targets: Tensor, progress: float) -> float:
        """One optimizer step; returns the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(progress, self.phase)
        loss = self._loss(images, targets)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        if self.pruner:
            self.pruner.step()
        return loss.item()

    def _run_epoch(self, padded: Tensor, labels: Tensor) -> float:
        """Train over the set once; returns the mean loss."""
        phase = self.phase
        generator = torch.Generator().manual_seed(phase.seed * 100_003 + self.epoch)
        self.model.train()
        total, begin = 0.0, time.monotonic()
        epoch_batches = batches(
            padded, labels, self.settings.batch_size, phase, self.epoch, generator
        )
        title = f"{phase.name} {self.epoch + 1}/{phase.epochs}"
        for index, (images, wanted) in enumerate(
            tqdm(epoch_batches, title, self.steps, leave=False, mininterval=5)
        ):
            progress = (self.epoch + index / self.steps) / phase.epochs
            total += self._step(images, wanted, progress)
        self.epoch += 1
        self.seconds += time.monotonic() - begin
        return total / self.steps

    def fit(self, train: ImageSet, validation: ImageSet) -> None:
        """Run the epochs that are missing, and leave a model without masks."""
        padded = F.pad(train.images.float(), (CROP_PADDING,) * 4, mode="reflect").to(torch.uint8)
        while self.epoch < self.phase.epochs:
            loss = self._run_epoch(padded, train.labels)
            line = f"{self.phase.name} epoch {self.epoch}/{self.phase.epochs} loss {loss:.4f}"
            line += f" time {self.seconds:.0f} s"
            if self.pruner:
                line += f" zeros {self.pruner.report().zeros:.4f}"
            if self.epoch % self.settings.validate_every == 0 or self.epoch == self.phase.epochs:
                line += f" top-1 {top1(self.model, validation):.4f}"
            self._save()
            print(line, flush=True)
        if self.pruner:
            print(self.pruner.finish())
