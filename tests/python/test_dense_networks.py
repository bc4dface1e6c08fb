"""Networks beyond classifiers of convolutions give onnxruntime's answers."""

import functools

import numpy as np
import onnxruntime
import pytest
from models import dense_networks

import gossamer

TOLERANCE = 1e-4  # of the output's range

NETWORKS = {
    **{
        f"unet_{way}": functools.partial(dense_networks.unet, way) for way in dense_networks.WAYS_UP
    },
    "ssd_head": dense_networks.ssd_head,
    "ssd": dense_networks.ssd,
    "yolo": dense_networks.yolo,
    "keyword_spotter": dense_networks.keyword_spotter,
    "efficientnet_lite0": dense_networks.efficientnet_lite0,
}


def assert_agrees(model, threads=1, batch=1):
    """Compare every output with onnxruntime's; return the session."""
    session = gossamer.InferenceSession(
        gossamer.convert(model, None, batch=batch), gossamer.SessionOptions(threads=threads)
    )
    random = np.random.default_rng(0)
    feeds = {
        value.name: random.normal(size=value.shape).astype(np.float32)
        for value in session.get_inputs()
    }
    peer = onnxruntime.InferenceSession(model.SerializeToString())
    for found, wanted in zip(session.run(None, feeds), peer.run(None, feeds), strict=True):
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() <= TOLERANCE * np.ptp(wanted)
    return session


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_agree_with_onnxruntime(name, threads):
    assert_agrees(NETWORKS[name](), threads)


@pytest.fixture(scope="module")
def transformers():
    pytest.importorskip("torch", reason="torch exports the models")
    from models import transformers

    return transformers


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("attention", ["Attention", "TorchAttention"])
@pytest.mark.parametrize("exporter", ["script 14", "script 17", "dynamo 18", "dynamo 20"])
def test_vision_transformers_agree_with_onnxruntime(transformers, attention, exporter):
    import torch
    from models import torch_models

    torch.manual_seed(0)
    layer = getattr(transformers, attention)
    model = transformers.VisionTransformer(attention=layer).eval()
    image, (how, opset) = torch.zeros(2, 3, 32, 32), exporter.split()
    export = {"script": torch_models.export_by_script, "dynamo": torch_models.export_by_dynamo}[how]
    session = assert_agrees(export(model, image, int(opset)), batch=2)
    found = [layer.op for layer in session.layers()]
    assert found.count("matmul") == 4
    assert found.count("layer_norm") == 5
