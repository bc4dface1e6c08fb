"""MobileNet-v1 and v2 as people write them in PyTorch, small enough for tests."""

from __future__ import annotations

import io

import onnx
import torch
from torch import nn

BATCH = {0: "batch"}


def conv_bn(inputs, outputs, kernel, stride=1, groups=1, activation=nn.ReLU):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        *([activation(inplace=True)] if activation else []),
    )


class MobileNetV1(nn.Module):
    """arXiv:1704.04861, shortened. `head` says how the image is reduced to one vector."""

    def __init__(self, head="flatten", classes=10, channels=8):
        super().__init__()
        layers = [conv_bn(3, channels, 3, 2)]
        for outputs, stride in ((16, 1), (24, 2), (24, 1), (32, 2)):
            layers.append(conv_bn(channels, channels, 3, stride, groups=channels))
            layers.append(conv_bn(channels, outputs, 1))
            channels = outputs
        self.features = nn.Sequential(*layers)
        self.pool = nn.AvgPool2d(4) if head == "average" else nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(channels, classes)
        self.head = head

    def reduce(self, x):
        if self.head == "mean":
            return x.mean([2, 3])
        if self.head == "mean of mean":
            return x.mean(dim=(-2, -1), keepdim=True).squeeze(3).squeeze(2)
        x = self.pool(x)
        if self.head == "view":
            return x.view(x.shape[0], -1)
        if self.head == "reshape":
            return x.reshape(-1, x.size(1))
        return torch.flatten(x, 1)

    def forward(self, image):
        return torch.softmax(self.classifier(self.dropout(self.reduce(self.features(image)))), 1)


class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        hidden = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        expand = [conv_bn(inputs, hidden, 1, activation=nn.ReLU6)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *expand,
            conv_bn(hidden, hidden, 3, stride, groups=hidden, activation=nn.ReLU6),
            conv_bn(hidden, outputs, 1, activation=None),
        )

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """arXiv:1801.04381, shortened; the layout is torchvision's."""

    def __init__(self, classes=10, channels=8):
        super().__init__()
        layers = [conv_bn(3, channels, 3, 2, activation=nn.ReLU6)]
        for expansion, outputs, stride in ((1, 8, 1), (4, 12, 2), (4, 12, 1), (4, 12, 1)):
            layers.append(InvertedResidual(channels, outputs, stride, expansion))
            channels = outputs
        layers.append(conv_bn(channels, 40, 1, activation=nn.ReLU6))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(40, classes))

    def forward(self, image):
        x = nn.functional.adaptive_avg_pool2d(self.features(image), (1, 1))
        return torch.softmax(self.classifier(torch.flatten(x, 1)), 1)


def trained(model, seed=0):
    """Give every parameter and statistic a value that training could have left; then evaluate."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor, low, high):
        with torch.no_grad():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            uniform(module.weight, 0.5, 2.0)
            uniform(module.bias, -0.5, 0.5)
            uniform(module.running_mean, -0.5, 0.5)
            uniform(module.running_var, 0.2, 3.0)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            bound = (6 / module.weight[0].numel()) ** 0.5
            uniform(module.weight, -bound, bound)
            if module.bias is not None:
                uniform(module.bias, -0.5, 0.5)
    return model.eval()


def prune(model, share):
    """Zero the smallest weights of every pointwise convolution."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1):
            with torch.no_grad():
                threshold = module.weight.abs().quantile(share)
                module.weight.mul_(module.weight.abs() > threshold)
    return model


def export_by_script(model, image, opset, fold_batch_norm=True):
    """The exporter of `dynamo=False`: batch normalization folded, or kept as in training mode."""
    mode = torch.onnx.TrainingMode
    file = io.BytesIO()
    torch.onnx.export(
        model,
        (image,),
        file,
        dynamo=False,
        opset_version=opset,
        input_names=["image"],
        output_names=["probabilities"],
        dynamic_axes={"image": BATCH, "probabilities": BATCH},
        training=mode.EVAL if fold_batch_norm else mode.PRESERVE,
        do_constant_folding=fold_batch_norm,
    )
    return onnx.load_model_from_string(file.getvalue())


def export_by_dynamo(model, image, opset, path=None, optimize=True):
    """The exporter of `dynamo=True`; with a path, weights lie in a file of their own."""
    program = torch.onnx.export(
        model,
        (image,),
        dynamo=True,
        opset_version=opset,
        input_names=["image"],
        output_names=["probabilities"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        optimize=optimize,
        verbose=False,
    )
    if path is None:
        return program.model_proto
    program.save(path, external_data=True)
    return path
