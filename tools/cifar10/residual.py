"""The dense MobileNet-v2 that `compare --network mobilenet-v2` prunes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import embedded
import torch
from imagenet_weights import load_imagenet_weights
from images import ImageSet, some
from network import MobileNetV2, equalize_filters
from training import Trainer, save_atomically

DENSE = embedded.DENSE_TWIN.with_name("cifar10-mobilenet-v2-dense.pt")
COARSE_SIDES = (24, 24, 24, 24, 32)  # of the images, each for an equal share of the first phase


def train(options: argparse.Namespace, sets: Sequence[ImageSet]) -> None:
    """Train from ImageNet's weights, with the embedded network as teacher, and keep the weights.

    First mostly on smaller images, which takes half the time.
    """
    images, _ = sets
    torch.manual_seed(options.seed)
    model = MobileNetV2().to(memory_format=torch.channels_last)
    load_imagenet_weights(model.features, options.imagenet, some(images))
    equalize_filters(model)
    coarse = {"epochs": options.coarse_epochs, "peak_rate": options.rate, "warmup": 0.1}
    fine = {"epochs": options.fine_epochs, "peak_rate": options.fine_rate, "warmup": 0.05}
    fit(options, sets, model, name="mobilenet-v2", seed=0, sides=COARSE_SIDES, **coarse)
    fit(options, sets, model, name="mobilenet-v2-fine", seed=1, **fine)
    save_atomically({"model": embedded.halved(model)}, DENSE)


def fit(
    options: argparse.Namespace, sets: Sequence[ImageSet], model: MobileNetV2, **own: Any
) -> None:
    """Run what is missing of a phase."""
    phase = embedded.phase_of(
        options,
        cutmix=options.cutmix,
        plain_epochs=options.plain_epochs,
        distillation=options.distillation,
        **own,
    )
    teacher = embedded.load_embedded(some(sets[0]))
    Trainer(phase, embedded.settings_of(options), model, len(sets[0]), teacher).fit(*sets)


def load() -> MobileNetV2:
    """Read the dense weights that are kept."""
    model = MobileNetV2().to(memory_format=torch.channels_last)
    model.load_state_dict(torch.load(DENSE, weights_only=True)["model"])
    return model.eval()
