"""Weights of networks that were trained on ImageNet, as where other training starts.

Needs ``torch numpy ai-edge-litert``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
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
        values = interpreter.get_tensor(index)
        parameters = details[index]["quantization_parameters"]
        shape = [1] * values.ndim  # of the scales: one, or one for each slice of a dimension
        shape[parameters["quantized_dimension"]] = -1
        scales, zeros = (parameters[key].reshape(shape) for key in ("scales", "zero_points"))
        return torch.from_numpy((scales * (values.astype(np.float64) - zeros)).astype(np.float32))

    order = {"CONV_2D": (0, 3, 1, 2), "DEPTHWISE_CONV_2D": (3, 0, 1, 2)}
    return [
        (real(node["inputs"][1]).permute(order[node["op_name"]]), real(node["inputs"][2]))
        for node in interpreter._get_ops_details()
        if node["op_name"] in order
    ]


@torch.no_grad()
def load_imagenet_weights(model: nn.Module, layers: list[tuple[Tensor, Tensor]], images: Tensor):
    """Give a network's layers other weights; fresh batch normalisation undoes itself.

    Batch normalisation, which the files have folded away, is put back with the statistics of
    `images`, and a scale and shift that take them out again. The model is left in evaluation mode.

    Parameters
    ----------
    model
        Its convolutions lie in ``nn.Sequential(convolution, batch normalisation, ...)``.
    layers
        Weights and biases of those, in the order of execution; more at the end are ignored.
    images
        Normalised images float32 [n, 3, h, w].
    """
    remaining = iter(layers)

    def fill(block: nn.Sequential, inputs: tuple[Tensor]) -> None:
        (conv, norm, *_), (weights, bias) = block, next(remaining)
        conv.weight.copy_(weights)
        variance, mean = torch.var_mean(conv(inputs[0]), (0, 2, 3))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean + bias)

    blocks = [
        module
        for module in model.modules()
        if isinstance(module, nn.Sequential) and isinstance(module[0], nn.Conv2d)
    ]
    hooks = [block.register_forward_pre_hook(fill) for block in blocks]
    model.eval()(images)
    for hook in hooks:
        hook.remove()


def enlarging_stem(layers: list[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """Let a stem with stride 1 answer as the one with stride 2 would to the image enlarged twice.

    Bilinear enlargement is linear, so a 3 x 3 kernel on the small image does the same.
    """
    (weights, bias), *others = layers
    enlarge = torch.tensor(ENLARGEMENT)
    return [(enlarge @ weights @ enlarge.T, bias), *others]
