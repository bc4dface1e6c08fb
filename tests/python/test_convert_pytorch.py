"""PyTorch modules convert to the answers that they give; errors say what to do."""

import numpy as np
import pytest

import gossamer

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
from torch import nn  # noqa: E402


class Small(nn.Module):
    """A convolution, with batch normalization and dropout that training would use."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU6(), nn.Dropout(0.5)
        )
        self.classifier = nn.Linear(8, 4)

    def forward(self, picture):
        """Classify."""
        return self.classifier(self.features(picture).mean((2, 3))).softmax(1)


@pytest.fixture
def module():
    torch.manual_seed(0)
    model = Small()
    model(torch.randn(16, 3, 9, 9))  # running statistics
    return model


def test_a_module_answers_as_in_evaluation_and_keeps_its_mode(module):
    module.features[1].eval()
    pictures = torch.randn(2, 3, 11, 7)

    data = gossamer.convert(module, None, example_inputs=pictures)

    session = gossamer.InferenceSession(data)
    (given,) = session.get_inputs()
    assert (given.name, tuple(given.shape)) == ("picture", (2, 3, 11, 7))
    assert module.training and not module.features[1].training and module.features[3].training
    (found,) = session.run(None, {"picture": pictures.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(found, module.eval()(pictures).numpy(), atol=1e-6)


class TwoInputs(nn.Module):
    """A sum."""

    def forward(self, left, right):
        """Add."""
        return torch.relu(left + right)


def test_a_module_of_several_inputs_takes_one_example_for_each(tmp_path):
    shape = (1, 5, 4, 4)
    path = tmp_path / "sum.goss"

    gossamer.convert(TwoInputs(), path, example_inputs=[torch.zeros(shape), torch.zeros(shape)])

    left, right = (np.random.default_rng(0).standard_normal((2, *shape))).astype(np.float32)
    (found,) = gossamer.InferenceSession(path).run(None, {"left": left, "right": right})
    np.testing.assert_array_equal(found, np.maximum(left + right, 0))


def test_zeros_of_a_pruned_module_are_stored_sparse(module):
    with torch.no_grad():
        weight = module.features[0].weight
        weight[:, 1:] = 0

    data = gossamer.convert(module, None, example_inputs=torch.zeros(1, 3, 8, 8))

    assert gossamer.InferenceSession(data).layers()[0].nonzeros == 8 * 9


@pytest.mark.parametrize("examples", [None, "a picture", [np.zeros((1, 3, 8, 8))]])
def test_examples_that_are_no_tensors_are_refused(module, examples):
    with pytest.raises(gossamer.InputError, match="example_inputs: a tensor"):
        gossamer.convert(module, None, example_inputs=examples)


def test_examples_of_a_file_are_refused(tmp_path):
    with pytest.raises(gossamer.InputError, match="only a PyTorch module"):
        gossamer.convert(tmp_path / "a.onnx", None, example_inputs=torch.zeros(1))


class Branching(nn.Module):
    """What it does depends on numbers, which no exported graph can say."""

    def forward(self, x):
        """Add or multiply."""
        return x + 1 if x.sum() > 0 else x * 2


def test_a_module_that_pytorch_cannot_export_is_named_with_the_reason():
    with pytest.raises(gossamer.UnsupportedError, match=r"(?s)Branching.*data-dependent.*forward"):
        gossamer.convert(Branching(), None, example_inputs=torch.zeros(2, 3))
