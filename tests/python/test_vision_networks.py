"""Whole networks, as they are trained and exported, give onnxruntime's answers."""

import functools

import numpy as np
import onnxruntime
import pytest
from models import vision_networks

import gossamer

TOLERANCE = 1e-4  # of the output's range

NETWORKS = {
    "resnet_18": functools.partial(vision_networks.resnet, 18),
    "resnet_50": functools.partial(vision_networks.resnet, 50),
    "resnext": vision_networks.resnext,
    "squeezenet": vision_networks.squeezenet,
    "mobilenet_v3_small": vision_networks.mobilenet_v3,
    "mobilenet_v3_small_spelled_out": functools.partial(
        vision_networks.mobilenet_v3, spelled_out=True
    ),
    "mobilenet_v3_large": functools.partial(vision_networks.mobilenet_v3, "large"),
    "shufflenet_v2": vision_networks.shufflenet_v2,
}


@functools.cache
def converted(name):
    model = NETWORKS[name]()
    return model, gossamer.convert(model, None)


def kernels(name):
    return [layer.kernel for layer in gossamer.InferenceSession(converted(name)[1]).layers()]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_agree_with_onnxruntime(name, threads):
    model, data = converted(name)
    session = gossamer.InferenceSession(data, gossamer.SessionOptions(threads=threads))
    image = np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32)
    (found,) = session.run(None, {"image": image})
    peer = onnxruntime.InferenceSession(model.SerializeToString())
    (wanted,) = peer.run(None, {"image": image})
    assert np.abs(found - wanted).max() <= TOLERANCE * np.ptp(wanted)


def test_activations_are_one_layer_however_they_are_spelled():
    assert kernels("mobilenet_v3_small") == kernels("mobilenet_v3_small_spelled_out")
    swishes = [kernel for kernel in kernels("mobilenet_v3_small") if "hard_swish_f32" in kernel]
    assert len(swishes) == 19


def test_groups_are_skipped_as_zeros():
    layers = gossamer.InferenceSession(converted("resnext")[1]).layers()
    grouped = [layer for layer in layers if layer.macs < 0.1 * layer.dense_macs]
    assert len(grouped) == 3
