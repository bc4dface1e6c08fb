#!/usr/bin/env python3
"""Train the network whose answers the embedded CIFAR-10 network learns from, and keep its answers.

A MobileNet-v2 (arXiv:1801.04381) that was trained on ImageNet is fine-tuned on CIFAR-10's images
enlarged to three times their side. What remains is a file of its logits for each training image,
the mean of those for the image and its mirror image: `tools/train_cifar10.py` distills them.

Run again after an interruption, training continues after the last finished epoch.

Needs ``torch numpy pillow tqdm ai-edge-litert``.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from cifar10_data import (
    CROP_PADDING,
    LABELS,
    ImageSet,
    load_images,
    normalize,
    random_crop_flip,
    save_atomically,
)
from imagenet_weights import load_imagenet_weights, read_layers
from torch import Tensor, nn
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
SIDE = 96  # of the enlarged images, in pixels
BATCH_SIZE = 64
# Expansion, outputs, blocks, stride of the first of them (table 2 of the paper).
STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip


class SamePaddedConv(nn.Conv2d):
    """A convolution padded as TensorFlow does: of two rows, the second is the odd one."""

    def forward(self, x: Tensor) -> Tensor:
        """Map [n, c, h, w] to [n, outputs, ceil(h / stride), ceil(w / stride)]."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        total = [max((math.ceil(n / stride) - 1) * stride + kernel - n, 0) for n in x.shape[2:]]
        (top, bottom), (left, right) = ((n // 2, n - n // 2) for n in total)
        return super().forward(F.pad(x, (left, right, top, bottom)) if any(total) else x)


def conv_bn(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True
) -> nn.Sequential:
    """Stack a convolution, batch normalisation and perhaps ReLU6."""
    layers = [
        SamePaddedConv(inputs, outputs, kernel, stride, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU6(inplace=True)] if relu else []))


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, projection; a sum around them where shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        expand = [conv_bn(inputs, hidden, 1)] if expansion > 1 else []
        depthwise = conv_bn(hidden, hidden, 3, stride, groups=hidden)
        self.layers = nn.Sequential(*expand, depthwise, conv_bn(hidden, outputs, 1, relu=False))

    def forward(self, x: Tensor) -> Tensor:
        """Map [n, inputs, h, w] to [n, outputs, h / stride, w / stride]."""
        return x + self.layers(x) if self.residual else self.layers(x)


class MobileNetV2(nn.Module):
    """MobileNet-v2 at width 1, which enlarges its images first."""

    def __init__(self, classes: int = len(LABELS)) -> None:
        super().__init__()
        channels = 32
        layers: list[nn.Module] = [conv_bn(3, channels, 3, 2)]
        for expansion, outputs, blocks, stride in STAGES:
            for index in range(blocks):
                layers.append(
                    InvertedResidual(channels, outputs, 1 if index else stride, expansion)
                )
                channels = outputs
        layers.append(conv_bn(channels, 1280, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images [n, 3, 32, 32] to logits [n, classes]."""
        enlarged = F.interpolate(images, size=SIDE, mode="bilinear", align_corners=False)
        return self.classifier(self.features(enlarged).mean((2, 3)))


@torch.no_grad()
def mirrored_logits(model: nn.Module, images: Tensor) -> Tensor:
    """Mean of the logits [n, classes] for images uint8 [n, 3, 32, 32] and their mirror images."""
    model.eval()
    parts = []
    for part in tqdm(images.split(250), "answers", leave=False, mininterval=5):
        pixels = normalize(part)
        parts.append((model(pixels) + model(pixels.flip(3))) / 2)
    return torch.cat(parts)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of rows whose largest entry is their class."""
    return (logits.argmax(1) == labels).double().mean().item()


def run_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, train: ImageSet, epoch: int, options
) -> float:
    """Train over the set once; returns the mean loss."""
    generator = torch.Generator().manual_seed(options.seed * 100_003 + epoch)
    padded = F.pad(train.images.float(), (CROP_PADDING,) * 4, mode="reflect").to(torch.uint8)
    parts = torch.randperm(len(train), generator=generator).split(BATCH_SIZE)
    steps, total = len(train) // BATCH_SIZE, 0.0
    model.train()
    progress_bar = tqdm(parts[:steps], f"teacher {epoch + 1}/{options.epochs}", mininterval=5)
    for index, chosen in enumerate(progress_bar):
        progress = (epoch + index / steps) / options.epochs
        rate = options.rate * min(1, progress / 0.1) * (1 + math.cos(math.pi * progress)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        logits = model(normalize(random_crop_flip(padded[chosen], generator)))
        loss = F.cross_entropy(logits, train.labels[chosen], label_smoothing=0.05)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / steps


def main() -> None:
    """Train what is missing, print the accuracy, write the answers."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    shared = ROOT.parent / "shared"
    add = parser.add_argument
    add("--train", type=Path, default=shared / "data" / "cifar10-train.tar")
    add("--validation", type=Path, default=shared / "data" / "cifar10-validation.tar")
    add(
        "--imagenet",
        type=Path,
        default=shared / "models" / "tf2_mobilenet_v2_1.0_224_ptq.tflite",
        help="MobileNet-v2 trained on ImageNet",
    )
    add("--out", type=Path, default=ROOT / "build" / "train")
    add("--epochs", type=int, default=3)
    add("--rate", type=float, default=2e-4, help="peak learning rate")
    add("--seed", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    train = load_images(options.train, options.out)
    validation = load_images(options.validation, options.out)

    torch.manual_seed(options.seed)
    model = MobileNetV2().to(memory_format=torch.channels_last)
    some = normalize(train.images[:: len(train) // 256])
    load_imagenet_weights(model, read_layers(options.imagenet), some)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=0.01)
    checkpoint, done = options.out / "teacher.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        done = state["epoch"]
    for epoch in range(done, options.epochs):
        begin = time.monotonic()
        loss = run_epoch(model, optimizer, train, epoch, options)
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        save_atomically(state | {"epoch": epoch + 1}, checkpoint)
        print(
            f"teacher epoch {epoch + 1}: loss {loss:.4f}, {time.monotonic() - begin:.0f} s",
            flush=True,
        )

    for name, images in (("validation", validation), ("training", train)):
        answers = mirrored_logits(model, images.images)
        print(f"teacher top-1 {accuracy(answers, images.labels):.4f}, {name} images", flush=True)
    save_atomically({"logits": answers.half()}, options.out / "teacher-logits.pt")


if __name__ == "__main__":
    main()
