"""MobileNet-v1 and v2 for images of 32 x 32 pixels, and their file formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MethodType

import torch
import torch.nn.functional as F
from images import IMAGE_MEAN, IMAGE_SCALE, LABELS
from torch import Tensor, nn

import gossamer

# MobileNet-v1: output channels at width 1 of the stem and of the blocks, and which blocks have
# stride 2.
STEM, BLOCKS = 32, (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDED = (2, 4, 12)  # counted from 1
COARSE_STRIDED = (2, 4, 6, 12)  # in the first phase of training
FINE_STRIDED = (2, 6, 12)  # in the last one

# MobileNet-v2, in groups of blocks: how often channels are multiplied, output channels, blocks,
# stride of the first one.
RESIDUAL_GROUPS = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 1), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip
RESIDUAL_FEATURES = 1280  # channels that are classified


def convolve(conv: nn.Conv2d, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Map [n, inputs, h, w] to [n, outputs, h', w'], in bfloat16 the way that is fast on a CPU.

    PyTorch 2.13 takes three times as long for the gradients of a pointwise convolution there as for
    those of the same matrix product, and a hundred times as long for those of a strided depthwise
    one as in f32. No subclass and no other `forward`: what looks for PyTorch's own layers must find
    them.
    """
    computed = nn.Conv2d._conv_forward
    if torch.is_autocast_enabled("cpu"):
        if conv.kernel_size == (1, 1):
            pixels = images.permute(0, 2, 3, 1)
            return F.linear(pixels, weight.flatten(1), bias).permute(0, 3, 1, 2)
        if conv.stride != (1, 1):
            with torch.autocast("cpu", enabled=False):
                return computed(conv, images.float(), weight, bias)
    return computed(conv, images, weight, bias)


def conv_bn(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Stack a convolution without bias and batch normalisation."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    conv._conv_forward = MethodType(convolve, conv)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def conv_bn_relu6(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Stack a convolution without bias, batch normalisation and ReLU6."""
    return conv_bn(inputs, outputs, kernel, stride, groups).append(nn.ReLU6(inplace=True))


class MobileNetV1(nn.Module):
    """MobileNet-v1 (arXiv:1704.04861) for 32 x 32 images.

    `strided` names the blocks that halve the image; the stem does not.
    """

    title = "MobileNet-v1"

    def __init__(
        self, width: float, strided: Sequence[int] = STRIDED, classes: int = len(LABELS)
    ) -> None:
        super().__init__()
        channels = round(STEM * width)
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


def mobilenet_v1_of(state: Mapping[str, Tensor]) -> MobileNetV1:
    """Make the network that a state is of, of its width."""
    model = MobileNetV1(len(state["features.0.0.weight"]) / STEM)
    model.load_state_dict(state)
    return model.to(memory_format=torch.channels_last)


class InvertedResidual(nn.Module):
    """A block of MobileNet-v2, which adds its input where the shape stays."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        expanded = [conv_bn_relu6(inputs, hidden, 1)] if expansion > 1 else []
        self.layers = nn.Sequential(
            *expanded,
            conv_bn_relu6(hidden, hidden, 3, stride, groups=hidden),
            conv_bn(hidden, outputs, 1),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map [n, inputs, h, w] to [n, outputs, h / stride, w / stride]."""
        return x + self.layers(x) if self.adds else self.layers(x)


class MobileNetV2(nn.Module):
    """MobileNet-v2 (arXiv:1801.04381) of width 1 for 32 x 32 images."""

    title = "MobileNet-v2"

    def __init__(self, classes: int = len(LABELS)) -> None:
        super().__init__()
        channels = STEM
        layers: list[nn.Module] = [conv_bn_relu6(3, channels, 3)]
        for expansion, outputs, blocks, first_stride in RESIDUAL_GROUPS:
            for number in range(blocks):
                stride = 1 if number else first_stride
                layers.append(InvertedResidual(channels, outputs, stride, expansion))
                channels = outputs
        layers.append(conv_bn_relu6(channels, RESIDUAL_FEATURES, 1))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(RESIDUAL_FEATURES, classes)

    def forward(self, image: Tensor) -> Tensor:
        """Map normalised images [n, 3, 32, 32] to logits [n, classes]."""
        return self.classifier(self.pool(self.features(image)).flatten(1))


def normalized_convolutions(model: nn.Module) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Every convolution and the batch normalisation behind it, in the order of execution."""
    stacks = [module for module in model.modules() if isinstance(module, nn.Sequential)]
    return [(stack[0], stack[1]) for stack in stacks if isinstance(stack[0], nn.Conv2d)]


def pointwise_layers(model: nn.Module) -> dict[str, nn.Conv2d]:
    """Every 1 x 1 convolution by name, in the order of execution."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1)
    }


@torch.no_grad()
def equalize_filters(model: nn.Module) -> None:
    """Give every filter length 1 and let batch normalisation undo it.

    What a network computes stays. How fast it learns does not: the gradient of normalised weights
    shrinks with their length and moves them by that much less again, so that the long filters
    which came with ImageNet's weights hardly change at all.
    """
    for conv, norm in normalized_convolutions(model):
        lengths = conv.weight.flatten(1).norm(dim=1).clamp_min(1e-6)
        deviation = (norm.running_var + norm.eps).sqrt()
        conv.weight /= lengths.view(-1, 1, 1, 1)
        norm.running_mean /= lengths
        norm.running_var /= lengths.square()
        norm.weight *= lengths * (norm.running_var + norm.eps).sqrt() / deviation


@torch.no_grad()
def of_width(model: MobileNetV1, width: float) -> MobileNetV1:
    """Keep the channels that later layers take most from: a network to train, of another width.

    That is the norm of what the next pointwise layer, or the classifier, multiplies a channel by,
    times the scale that batch normalisation gave it before. A wider network has these channels
    twice and computes the same; what reads them divides its weights among both, at random, so that
    they part when they are trained (Net2Net, arXiv:1511.05641).
    """
    new = MobileNetV1(width).to(memory_format=torch.channels_last)
    pointwise = [conv for conv, _, _ in model.features if conv.groups == 1][1:]
    readers = iter([*pointwise, model.classifier])
    random = torch.Generator().manual_seed(0)
    kept_inputs = torch.arange(3)
    for number, ((conv, norm, _), (own_conv, own_norm, _)) in enumerate(
        zip(model.features, new.features, strict=True)
    ):
        kept, weight = kept_inputs, conv.weight
        if conv.groups == 1:
            scale = model.features[min(number + 1, len(model.features) - 1)][1].weight.abs()
            taken = scale * next(readers).weight.flatten(1).norm(dim=0)
            order, count = taken.argsort(descending=True), own_conv.out_channels
            kept = order.repeat(-(-count // len(order)))[:count].sort().values
            weight = divided(weight, kept_inputs, random)
        own_conv.weight.copy_(weight[kept])
        for name, values in norm.state_dict().items():
            own_norm.state_dict()[name].copy_(values[kept] if values.dim() else values)
        kept_inputs = kept
    new.classifier.weight.copy_(divided(model.classifier.weight, kept_inputs, random))
    new.classifier.bias.copy_(model.classifier.bias)
    return new


def divided(weight: Tensor, kept: Tensor, random: torch.Generator) -> Tensor:
    """Choose a layer's inputs; the weights of those chosen more than once are divided among them.

    Parameters
    ----------
    weight
        [outputs, inputs, ...]
    kept
        Indices of inputs.
    """
    shares = torch.rand(len(weight), len(kept), generator=random)
    sums = torch.zeros(weight.shape[:2]).index_add_(1, kept, shares)
    return weight[:, kept] * (shares / sums[:, kept]).reshape(
        *shares.shape, *(weight.dim() - 2) * [1]
    )


def export_onnx(model: nn.Module, path: Path) -> None:
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


def write_model(model: nn.Module, path: Path, kind: str, weights: str = "f32") -> None:
    """Write a ``.goss`` file that says how to feed images and read labels, and its ONNX file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {
        "title": f"{model.title} for CIFAR-10, {kind}",
        "license": "Apache-2.0",
        "labels": "\n".join(LABELS),
        "image_mean": " ".join(map(str, IMAGE_MEAN)),
        "image_scale": " ".join(map(str, IMAGE_SCALE)),
    }
    export_onnx(model, path.with_suffix(".onnx"))
    gossamer.convert(path.with_suffix(".onnx"), path, metadata=metadata, weights=weights)
