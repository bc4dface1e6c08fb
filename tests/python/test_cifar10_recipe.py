"""What `tools/cifar10` does to a network between two phases of training."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: run `make test`, which installs it")

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


def test_filters_of_equal_length_compute_the_same(network: ModuleType) -> None:
    torch.manual_seed(0)
    model = network.MobileNetV1(0.25).double()
    with torch.no_grad():
        for conv, norm, _ in model.features:
            conv.weight *= 10 ** torch.empty(len(conv.weight), 1, 1, 1).uniform_(-2, 2)
            conv.weight[0] = 0  # a filter that lost all its weights
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.1, 10)
            norm.weight.uniform_(0.5, 2)
            norm.bias.normal_()
    image = torch.randn(4, 3, 32, 32).double()
    before = model.eval()(image)
    network.equalize_filters(model)
    torch.testing.assert_close(model(image), before)
    for conv, _, _ in model.features:
        lengths = conv.weight.flatten(1).norm(dim=1)
        torch.testing.assert_close(lengths[1:], torch.ones_like(lengths[1:]))
        assert lengths[0] == 0
