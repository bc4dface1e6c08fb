"""What `tools/cifar10` does to a network between two phases of training."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: run `make test`, which installs it")

import gossamer.torch  # noqa: E402

KEPT = ("kept_in_place", "kept_rearranged")
RECIPE = Path(__file__).resolve().parents[2] / "tools" / "cifar10"


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, which imports its neighbours as a program's."""
    monkeypatch.syspath_prepend(RECIPE)
    spec = importlib.util.spec_from_file_location("network", RECIPE / "network.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "network", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def comparison(network: ModuleType) -> ModuleType:
    """The module that makes the rows; the others that it needs are its attributes."""
    pytest.importorskip("tqdm", reason="needs tqdm: run `make test`, which installs it")
    return importlib.import_module("comparison")


def random_network(network: ModuleType, kind: str) -> torch.nn.Module:
    """With batch normalisation that does something."""
    torch.manual_seed(0)
    model = network.MobileNetV1(0.25) if kind == "v1" else network.MobileNetV2()
    with torch.no_grad():
        for _, norm in network.normalized_convolutions(model):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.1, 10)
            norm.weight.uniform_(0.5, 2)
            norm.bias.normal_()
    return model.eval()


@pytest.mark.parametrize(("kind", "decades"), [("v1", 2), ("v2", 1)])
def test_filters_of_equal_length_compute_the_same(
    network: ModuleType, kind: str, decades: int
) -> None:
    model = random_network(network, kind).double()
    convolutions = [conv for conv, _ in network.normalized_convolutions(model)]
    with torch.no_grad():
        for conv in convolutions:
            conv.weight *= 10 ** torch.empty(len(conv.weight), 1, 1, 1).uniform_(-decades, decades)
            conv.weight[0] = 0  # a filter that lost all its weights
    image = torch.randn(4, 3, 32, 32).double()
    before = model(image)
    network.equalize_filters(model)
    torch.testing.assert_close(model(image), before)
    for conv in convolutions:
        lengths = conv.weight.flatten(1).norm(dim=1)
        torch.testing.assert_close(lengths[1:], torch.ones_like(lengths[1:]))
        assert lengths[0] == 0


@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_batch_normalisation_is_put_back(
    network: ModuleType, comparison: ModuleType, kind: str
) -> None:
    model, other = random_network(network, kind), random_network(network, kind)
    layers = []
    with torch.no_grad():
        for conv, norm in network.normalized_convolutions(model):
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            layers.append(
                (conv.weight * scale.view(-1, 1, 1, 1), norm.bias - scale * norm.running_mean)
            )
    images = torch.randn(8, 3, 32, 32)
    comparison.embedded.unfold(other.features, layers, images)
    torch.testing.assert_close(other(images), model(images), rtol=1e-3, atol=1e-3)
    seen = []
    conv, norm = network.normalized_convolutions(other)[-1]
    conv.register_forward_hook(lambda conv, x, y: seen.append(y))
    other(images)
    torch.testing.assert_close(norm.running_mean, seen[0].mean((0, 2, 3)), rtol=1e-3, atol=1e-3)


def lively(network: ModuleType, width: float) -> torch.nn.Module:
    """A MobileNet of which every channel is different."""
    torch.manual_seed(0)
    model = network.MobileNetV1(width)
    with torch.no_grad():
        for _, norm, _ in model.features:
            norm.weight.uniform_(0.5, 2)
            norm.bias.normal_()
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    return model


def test_a_narrower_network_keeps_the_channels_that_are_read(network: ModuleType) -> None:
    model = lively(network, 0.5)
    with torch.no_grad():
        readers = [conv for conv, _, _ in model.features if conv.groups == 1][1:]
        for reader in [*readers, model.classifier]:  # half of what each could read, it does not
            unread = torch.randperm(reader.weight.shape[1])[: reader.weight.shape[1] // 2]
            reader.weight[:, unread] = 0
    image = torch.randn(4, 3, 32, 32)
    narrow = network.of_width(model, 0.25)
    assert narrow.classifier.in_features == model.classifier.in_features // 2
    torch.testing.assert_close(narrow.eval()(image), model.eval()(image), rtol=1e-4, atol=1e-4)


def test_a_wider_network_computes_the_same_and_its_copies_part(network: ModuleType) -> None:
    model = lively(network, 0.25)
    wide = network.of_width(model, 0.375)
    assert wide.classifier.in_features == model.classifier.in_features * 3 // 2
    image = torch.randn(4, 3, 32, 32)
    output = wide.eval()(image)
    torch.testing.assert_close(output, model.eval()(image), rtol=1e-4, atol=1e-4)
    output.square().sum().backward()
    shift = wide.features[-1][1].bias
    live = shift.grad != 0
    assert len(shift[live].unique()) < live.sum(), "copies"
    assert len(shift.grad[live].unique()) == live.sum(), "that learn different things"


@pytest.mark.parametrize(
    ("kernel", "stride", "groups"), [(1, 1, 1), (3, 1, 16), (3, 2, 16), (3, 1, 1)]
)
def test_convolutions_in_bfloat16_compute_about_the_same(
    network: ModuleType, kernel: int, stride: int, groups: int
) -> None:
    torch.manual_seed(0)
    conv = network.conv_bn_relu6(16, 16, kernel, stride, groups)[0]
    exact, rounded = [], []
    for results, enabled in ((exact, False), (rounded, True)):
        images = torch.randn(
            2, 16, 9, 9, generator=torch.Generator().manual_seed(1), requires_grad=True
        )
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            output = conv(images).float()
        conv.zero_grad()
        output.square().sum().backward()
        results += [output.detach(), images.grad, conv.weight.grad.clone()]
    for right, close in zip(exact, rounded, strict=True):
        torch.testing.assert_close(close, right, rtol=0.05, atol=0.05 * right.abs().max().item())


@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_channels_of_the_network_are_rearranged(network: ModuleType, kind: str) -> None:
    model = random_network(network, kind)
    pruner = gossamer.torch.Pruner(
        model,
        dict.fromkeys(network.pointwise_layers(model), "4x1"),
        gossamer.torch.CubicSchedule(0.8),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
    )
    model.train()(torch.zeros(2, 3, 32, 32))
    pruner.step()
    layers = pruner.finish().layers
    kept = [sum(getattr(layer, name) for layer in layers) for name in KEPT]
    assert not pruner.notes
    assert kept[1] > 1.02 * kept[0]


def test_the_embedded_network_in_pytorch_answers_as_it_does_here(comparison: ModuleType) -> None:
    images = torch.rand(8, 3, 32, 32) * 2 - 1
    found = comparison.embedded.load_embedded(images)(images).softmax(dim=1).detach().numpy()
    session = gossamer.load_model("cifar10-mobilenet")
    expected = np.concatenate([session.run(None, {"image": i[None].numpy()})[0] for i in images])
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_layers_before_the_last_two_take_the_rest_of_the_zeros(
    network: ModuleType, comparison: ModuleType, kind: str
) -> None:
    model = random_network(network, kind)
    early = comparison.early_sparsity(model, 0.8, 0.9)
    layers = list(comparison.pointwise_layers(model).values())
    sparsities = comparison.embedded.by_layer(early, 0.9, len(layers))
    zeros = sum(s * x.weight.numel() for s, x in zip(sparsities, layers, strict=True))
    assert zeros / sum(layer.weight.numel() for layer in layers) == pytest.approx(0.8, abs=1e-3)
    with pytest.raises(SystemExit, match="--late-sparsity 0.1"):
        comparison.early_sparsity(model, 0.9, 0.1)


def test_rows_that_start_from_another_width_say_so(
    network: ModuleType, comparison: ModuleType
) -> None:
    wide = network.of_width(network.MobileNetV1(0.25), 0.375)
    start = comparison.Start("dense-0-width-0.375-2", 2, (), wide.state_dict(), "MobileNetV1")
    model = start.model(comparison.FAMILIES["mobilenet-v1"], None)
    for found, expected in zip(model.parameters(), wide.parameters(), strict=True):
        torch.testing.assert_close(found, expected)
    options = argparse.Namespace(
        patterns=["4x1"], sparsities=[0.3], methods=["rearranged"], late_sparsity=None, epochs=1,
        start=start, widths=[],
    )  # fmt: skip
    (key,) = comparison.asked(options)
    assert key == ("4x1", 0.3, 0.3, "rearranged width 0.375", 3)
    assert comparison.Start(comparison.checkpoint_name(*key)).width == " width 0.375"


def test_a_row_of_another_network_is_no_start(comparison: ModuleType) -> None:
    start = comparison.Start("4x1-0.5-rearranged-2", 2, (0.5,), {"x": torch.ones(1)}, "Another")
    with pytest.raises(SystemExit, match="expected, found Another"):
        start.model(comparison.FAMILIES["mobilenet-v1"], None)
