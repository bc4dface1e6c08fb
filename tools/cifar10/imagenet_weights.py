"""Weights of a MobileNet without batch normalisation, for a network that has it.

Needs ``torch numpy ai-edge-litert``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from network import normalized_convolutions
from torch import Tensor, nn

# Row i: what pixel i - 1 .. i + 1 of an image gives to the three pixels of the image enlarged to
# twice its side (bilinearly) that a 3 x 3 kernel with stride 2 sees at output i.
ENLARGEMENT = ((0.25, 0.0, 0.0), (0.75, 0.75, 0.25), (0.0, 0.25, 0.75))


def read_layers(path: Path) -> list[tuple[Tensor, Tensor]]:
    """Read the convolutions of a ``.tflite`` file, dequantized, in the order of execution.

    Returns
    -------
    list
        Weights float32 [outputs, inputs / groups, height, width] and biases [outputs].
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(str(path), experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    details = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}

    def real(index: int) -> Tensor:
        scale, zero = details[index]["quantization"]
        values = scale * (interpreter.get_tensor(index).astype(np.float64) - zero)
        return torch.from_numpy(values.astype(np.float32))

    order = {"CONV_2D": (0, 3, 1, 2), "DEPTHWISE_CONV_2D": (3, 0, 1, 2)}
    return [
        (real(node["inputs"][1]).permute(order[node["op_name"]]), real(node["inputs"][2]))
        for node in interpreter._get_ops_details()
        if node["op_name"] in order
    ]


@torch.no_grad()
def load_imagenet_weights(features: nn.Sequential, path: Path, images: Tensor) -> None:
    """Give a MobileNet's layers the weights of a file that was trained on ImageNet.

    The stem, which has stride 2 in the file and 1 here, answers as the file's would to the image
    enlarged to twice its side.

    Parameters
    ----------
    features
        Convolutions, each with batch normalisation behind it; width and order as in the file.
    images
        Normalised images float32 [n, 3, 32, 32], pixels from -1 to 1.
    """
    *layers, _ = read_layers(path)  # the last one names ImageNet's classes
    enlarge = torch.tensor(ENLARGEMENT)
    layers[0] = (enlarge @ layers[0][0] @ enlarge.T, layers[0][1])
    unfold(features, layers, images)


@torch.no_grad()
def unfold(
    features: nn.Sequential, layers: Iterable[tuple[Tensor, Tensor]], images: Tensor
) -> None:
    """Give a MobileNet's layers weights and biases with batch normalisation folded in.

    It is put back with the statistics of `images`, and a scale and shift that take them out again.
    """

    def put_back(norm: nn.BatchNorm2d, bias: Tensor, _: nn.Module, __: tuple, y: Tensor) -> None:
        variance, mean = torch.var_mean(y, (0, 2, 3))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean + bias)

    hooks = []
    pairs = normalized_convolutions(features)
    for (conv, norm), (weights, bias) in zip(pairs, layers, strict=True):
        conv.weight.copy_(weights)
        hooks.append(conv.register_forward_hook(partial(put_back, norm, bias)))
    features.eval()(images)
    for hook in hooks:
        hook.remove()
