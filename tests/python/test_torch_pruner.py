"""Pruning while a PyTorch model trains."""

import copy
import io
import logging
import subprocess
import sys
from types import MethodType

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from models import torch_models
from torch import nn

import gossamer
from gossamer.prune.pattern import Pattern, keep_mask
from gossamer.torch import CubicSchedule, Pruner, distillation_loss, plain_state_dict

CLASSES = 4


def batch(seed, count=32):
    """Images of four kinds: which quarter is bright."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    images = torch.randn(count, 3, 8, 8, generator=generator)
    for image, label in zip(images, labels.tolist(), strict=True):
        row, column = divmod(label, 2)
        image[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 1.0
    return images, labels


class Tiny(nn.Module):
    """The residual network of the tests: stem, blocks with a gate, classifier."""

    def __init__(self, channels=16):
        super().__init__()
        self.stem = torch_models.conv_bn(3, channels, 3)
        self.wide = torch_models.conv_bn(channels, 2 * channels, 1)
        self.deep = torch_models.conv_bn(2 * channels, 2 * channels, 3, groups=2 * channels)
        self.narrow = torch_models.conv_bn(2 * channels, channels, 1, activation=None)
        self.square = torch_models.conv_bn(channels, channels, 3, stride=2)
        self.hidden = nn.Linear(channels * 16, 24)
        self.classifier = nn.Linear(24, CLASSES)

    def forward(self, image):
        x = self.stem(image)
        x = self.square(x + self.narrow(self.deep(self.wide(x))))
        return self.classifier(F.relu(self.hidden(torch.flatten(x, 1))))


PRUNED = ["wide.0", "narrow.0", "square.0", "hidden"]


def tiny(seed=0):
    torch.manual_seed(seed)
    return Tiny()


def momentum(model, rate=0.05):
    return torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=1e-4)


def train(model, optimizer, pruner=None, steps=1, begin=0):
    model.train()
    for seed in range(begin, begin + steps):
        images, labels = batch(seed)
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
        if pruner:
            pruner.step()


@torch.no_grad()
def accuracy(model):
    images, labels = batch(10_000, 400)
    return (model.eval()(images).argmax(1) == labels).double().mean().item()


def weights(model, names=PRUNED):
    return {name: model.get_submodule(name).weight for name in names}


def zeros(weight):
    return (weight == 0).double().mean().item()


def blocks(weight, pattern="4x1"):
    """Share of zeros in each block; all must be 0 or 1."""
    pattern = Pattern.parse(pattern)
    weight = weight.detach().numpy()
    kernels = (weight.reshape(*weight.shape[:2], -1) == 0).mean(axis=2)
    return pattern.block_means(kernels)


def assert_whole_blocks(weight, pattern="4x1"):
    assert set(np.unique(blocks(weight, pattern))) <= {0, 1}


# ---- A training ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dense():
    """A trained network and its optimizer's state."""
    model = tiny()
    optimizer = momentum(model)
    train(model, optimizer, steps=40)
    assert accuracy(model) > 0.95
    return model, optimizer.state_dict()


@pytest.fixture
def trained(dense):
    model = copy.deepcopy(dense[0])
    optimizer = momentum(model)
    optimizer.load_state_dict(copy.deepcopy(dense[1]))
    return model, optimizer


@pytest.fixture(scope="module")
def pruned(dense):
    """The network pruned to 80 % in 4x1, plain again, with the pruner."""
    model = copy.deepcopy(dense[0])
    optimizer = momentum(model, 0.02)
    pruner = Pruner(model, "4x1", CubicSchedule(0.8, end=40, every=5), optimizer=optimizer)
    train(model, optimizer, pruner, steps=60)
    pruner.finish()
    return model, pruner


def test_three_lines_prune_a_network_that_still_answers_right(pruned):
    model, pruner = pruned
    assert [layer.name for layer in pruner.report().layers] == PRUNED
    for name, weight in weights(model).items():
        assert abs(zeros(weight) - 0.8) < 0.02, name
        assert_whole_blocks(weight)
    for name, module in model.named_modules():
        if name not in PRUNED and isinstance(module, nn.Conv2d | nn.Linear):
            assert zeros(module.weight) == 0
    assert accuracy(model) > 0.95


def test_a_finished_model_is_a_plain_one(pruned):
    model, pruner = pruned
    Tiny().load_state_dict(model.state_dict())
    assert not model._forward_pre_hooks
    assert not any(parameter._backward_hooks for parameter in model.parameters())
    for call in (pruner.step, pruner.finish):
        with pytest.raises(gossamer.InputError, match="finished; make another one"):
            call()


def test_a_finished_model_can_be_pruned_further(pruned):
    model = copy.deepcopy(pruned[0])
    optimizer = momentum(model)
    before = {name: weight == 0 for name, weight in weights(model).items()}
    pruner = Pruner(model, "4x1", CubicSchedule(0.9), rearrange=False)
    train(model, optimizer, pruner)
    for name, weight in weights(model).items():
        assert zeros(weight) == pytest.approx(0.9, abs=0.02)
        assert (weight[before[name]] == 0).all()


@pytest.mark.parametrize("export", ["script", "dynamo"])
def test_export_keeps_exact_zeros_and_convert_stores_the_blocks(pruned, export):
    model, _ = pruned
    images, _ = batch(3, 2)
    if export == "script":
        exported = torch_models.export_by_script(model.eval(), images, 17)
    else:
        exported = torch_models.export_by_dynamo(model.eval(), images, 20)
    found = [
        array
        for array in map(onnx.numpy_helper.to_array, exported.graph.initializer)
        if array.ndim > 1 and (array == 0).mean() > 0.5
    ]
    assert sorted(array.size for array in found) == sorted(
        weight.numel() for weight in weights(model).values()
    )
    for array in found:
        assert (array == 0).mean() == pytest.approx(0.8, abs=0.02)
    session = gossamer.InferenceSession(gossamer.convert(exported, None, batch=2))
    sparse = {layer.name: layer.nonzeros for layer in session.layers() if "sparse" in layer.reason}
    nonzeros = [np.count_nonzero(array) for array in found]
    assert sorted(sparse.values()) == sorted(nonzeros)
    data = gossamer.convert(exported, None, batch=2, storage=dict.fromkeys(sparse, "4x1"))
    session = gossamer.InferenceSession(data)
    blocked = [layer for layer in session.layers() if layer.name in sparse]
    assert all("f32_4x1" in layer.kernel for layer in blocked)
    assert {layer.name: layer.nonzeros for layer in blocked} == sparse  # no block has a zero
    (answer,) = session.run(None, {"image": images.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(answer, model(images).numpy(), atol=1e-4)
    peer = onnxruntime.InferenceSession(exported.SerializeToString())
    np.testing.assert_allclose(answer, peer.run(None, {"image": images.numpy()})[0], atol=1e-4)


def test_the_report_says_what_each_layer_lost(pruned):
    model, pruner = pruned
    report = pruner.report()
    for layer, weight in zip(report.layers, weights(model).values(), strict=True):
        assert layer.shape == tuple(weight.shape)
        assert (layer.pattern, layer.zeros) == ("4x1", zeros(weight))
        assert 0.2 < layer.kept_in_place < 1
        assert 0.2 < layer.kept_rearranged < 1
    assert sum(layer.kept_rearranged for layer in report.layers) > sum(
        layer.kept_in_place for layer in report.layers
    )
    assert report.zeros == pytest.approx(0.8, abs=0.01)
    lines = str(report).splitlines()
    assert len(lines) == 6 and len({len(line) for line in lines}) == 1
    assert "square.0  16 x 16 x 3 x 3  4x1" in lines[3]


# ---- Rearrangement -------------------------------------------------------------------------------


def test_rearrangement_changes_no_output_until_weights_go(trained):
    model, optimizer = trained
    images, _ = batch(5)
    pruner = Pruner(model, "4x1", CubicSchedule(0.9, end=50), optimizer=optimizer)
    old = model.wide[0].weight.detach().clone()
    with torch.no_grad():
        before = model.eval()(images)
        pruner.step()  # the schedule begins with no zeros
        difference = model(images) - before
    assert difference.abs().max() < 1e-6 * before.abs().max()
    assert not torch.equal(model.wide[0].weight, old)
    assert pruner.notes == []


def test_rearranged_training_goes_on_with_the_same_momentum(trained):
    model, optimizer = trained
    twin = copy.deepcopy(model)
    other = momentum(twin)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    schedule = CubicSchedule(0.9, begin=1, end=500, every=499)
    pruner = Pruner(model, "4x1", schedule, optimizer=optimizer)
    train(model, optimizer, pruner, steps=4)
    train(twin, other, steps=4)
    assert pruner.report().layers[0].kept_rearranged is not None
    assert not torch.equal(model.wide[0].weight, twin.wide[0].weight)
    images, _ = batch(5)
    with torch.no_grad():
        difference = model.eval()(images) - twin.eval()(images)
    assert difference.abs().max() < 1e-3  # training in another order of summation


def test_without_an_optimizer_channels_stay_and_a_note_says_so(trained, caplog):
    model, optimizer = trained
    order = model.stem[0].weight.detach().clone()
    with caplog.at_level(logging.WARNING, "gossamer.torch"):
        pruner = Pruner(model, "4x1", CubicSchedule(0.5))
    assert pruner.notes == caplog.messages
    assert "channels are not rearranged: pass the optimizer" in pruner.notes[0]
    pruner.step()
    assert torch.equal(model.stem[0].weight, order)
    assert pruner.report().layers[0].kept_rearranged is None
    assert Pruner(tiny(), "1x1", CubicSchedule(0.5)).notes == []
    assert Pruner(tiny(), "4x1", CubicSchedule(0.5), rearrange=False).notes == []


def test_a_model_that_cannot_be_traced_is_pruned_without_rearrangement():
    class Branching(Tiny):
        def forward(self, image):
            return super().forward(image if image.mean() < 9 else image / 9)

    model = Branching()
    optimizer = momentum(model)
    pruner = Pruner(model, "4x1", CubicSchedule(0.5), optimizer=optimizer)
    train(model, optimizer, pruner)
    assert "channels are not rearranged: torch.fx cannot trace the model" in pruner.notes[0]
    assert pruner.report().zeros == pytest.approx(0.5, abs=0.01)


def amplified(conv, image):
    """A convolution whose channels are not alike."""
    return nn.Conv2d.forward(conv, image) * torch.arange(8, device=image.device).reshape(8, 1, 1)


class Own(nn.Conv2d):
    forward = amplified


@pytest.mark.parametrize("alone", [False, True])
def test_a_layer_with_a_forward_of_its_own_is_pruned_in_place_and_noted(alone: bool):
    """Of its class, or `alone` of all layers of PyTorch's own class."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 1), Own(8, 8, 1), nn.Conv2d(8, 8, 1))
    if alone:
        model[1] = nn.Conv2d(8, 8, 1)
        model[1].forward = MethodType(amplified, model[1])
    pruner = Pruner(model, "4x1", CubicSchedule(0.5), optimizer=momentum(model))
    model(torch.zeros(1, 3, 4, 4))
    pruner.step()
    (note,) = pruner.notes
    assert note.endswith("with a forward or hooks of their own: 1")
    assert pruner.report().zeros == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("forward_first", [False, True])
def test_a_model_is_saved_whole_while_it_is_being_pruned(trained, forward_first: bool):
    model, optimizer = trained
    pruner = Pruner(model, "4x1", CubicSchedule(0.5, end=20), optimizer=optimizer)
    if forward_first:
        model(torch.zeros(1, 3, 8, 8))
    saved = io.BytesIO()
    torch.save(model, saved)
    train(model, optimizer, pruner, steps=1)
    assert pruner.notes == [], "channels were rearranged"
    torch.save(model, io.BytesIO())
    saved.seek(0)
    assert accuracy(torch.load(saved, weights_only=False)) > 0.95


def test_an_optimizer_of_another_model_is_refused(trained):
    model, _ = trained
    with pytest.raises(gossamer.InputError, match="optimizer: the one that trains the model"):
        Pruner(model, "4x1", CubicSchedule(0.5), optimizer=momentum(tiny()))
    head = torch.optim.SGD(model.classifier.parameters(), lr=0.1)
    Pruner(model, "4x1", CubicSchedule(0.5), optimizer=head)  # frozen layers are pruned, too


def test_masks_before_any_forward_pass_are_laid_without_rearrangement():
    model = tiny()
    pruner = Pruner(model, "4x1", CubicSchedule(0.5), optimizer=momentum(model))
    pruner.step()
    assert "the model has not run before the first masks" in pruner.notes[0]
    assert pruner.report().zeros == pytest.approx(0.5, abs=0.01)


# ---- Masks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [momentum, lambda model: torch.optim.AdamW(model.parameters())])
def test_momentum_revives_no_pruned_weight_and_dies(trained, make):
    model, _ = trained
    optimizer = make(model)
    pruner = Pruner(model, "4x1", CubicSchedule(0.6, begin=3, end=3), rearrange=False)
    train(model, optimizer, pruner, steps=4)
    gone = {name: weight == 0 for name, weight in weights(model).items()}
    train(model, optimizer, pruner, steps=5)
    key = "momentum_buffer" if make is momentum else "exp_avg"
    early = {n: optimizer.state[w][key][gone[n]].abs().max() for n, w in weights(model).items()}
    for name, weight in weights(model).items():
        assert (weight[gone[name]] == 0).all()
        assert (weight.grad[gone[name]] == 0).all()
        assert (weight.grad[~gone[name]] != 0).any()
    train(model, optimizer, pruner, steps=20)
    for name, weight in weights(model).items():
        assert optimizer.state[weight][key][gone[name]].abs().max() < 0.2 * early[name]


def test_masks_follow_the_schedule_and_only_lose_weights(trained):
    model, optimizer = trained
    schedule = CubicSchedule(0.8, begin=2, end=10, every=3)
    pruner = Pruner(model, "4x1", schedule, rearrange=False)
    seen, gone = [], torch.zeros_like(model.hidden.weight, dtype=torch.bool)
    for step in range(13):
        train(model, optimizer, pruner)
        assert (model.hidden.weight[gone] == 0).all()
        gone = model.hidden.weight == 0
        seen.append(zeros(model.hidden.weight))
        last = max((s for s in range(step + 1) if schedule.refreshes(s)), default=None)
        assert seen[-1] == pytest.approx(0 if last is None else schedule.at(last), abs=0.002)
    assert len(set(seen)) == 4  # 0 until step 4, then at 5, 8 and 10


@pytest.mark.parametrize("pattern", ["1x1", "2x1", "8x1", "4x4", "1x4"])
def test_the_least_salient_blocks_go_in_every_pattern(pattern):
    model = tiny()
    wanted = {
        name: keep_mask(weight.detach().abs().numpy(), Pattern.parse(pattern), 0.7)
        for name, weight in weights(model).items()
    }
    Pruner(model, pattern, CubicSchedule(0.7), rearrange=False).step()
    for name, weight in weights(model).items():
        assert np.array_equal(weight.detach().numpy() != 0, wanted[name])


def test_masks_lie_in_the_state_dict_and_training_resumes_from_it(trained):
    model, optimizer = trained
    schedule = CubicSchedule(0.8, begin=1, end=8, every=2)
    pruner = Pruner(model, "4x1", schedule, optimizer=optimizer)
    train(model, optimizer, pruner, steps=5)
    parts = (model, optimizer, pruner)
    saved = [copy.deepcopy(part.state_dict()) for part in parts]
    masks = {key for key in saved[0] if key.endswith(".pruning_mask")}
    assert masks == {f"{name}.pruning_mask" for name in PRUNED}
    train(model, optimizer, pruner, steps=5, begin=5)

    resumed = tiny(seed=1)
    other = momentum(resumed)
    follower = Pruner(resumed, "4x1", schedule, optimizer=other)
    for part, state in zip((resumed, other, follower), saved, strict=True):
        part.load_state_dict(state)
    train(resumed, other, follower, steps=5, begin=5)
    for key, value in model.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key
    assert follower.report() == pruner.report()


def test_a_plain_model_loads_a_state_without_its_masks(trained):
    model, optimizer = trained
    pruner = Pruner(model, "4x1", CubicSchedule(0.8), rearrange=False)
    train(model, optimizer, pruner)
    plain = Tiny()
    plain.load_state_dict(plain_state_dict(model.state_dict()))
    assert zeros(plain.hidden.weight) == pytest.approx(0.8, abs=0.01)


def test_a_state_of_something_else_is_refused():
    pruner = Pruner(tiny(), "1x1", CubicSchedule(0.8))
    with pytest.raises(gossamer.InputError, match=r"Pruner.state_dict\(\) expected, found"):
        pruner.load_state_dict({"model": {}})


def test_zeros_that_are_there_stay_zero():
    model = tiny()
    with torch.no_grad():
        scattered = torch.rand(model.hidden.weight.shape) < 0.3
        model.hidden.weight[scattered] = 0
        nn.init.zeros_(model.narrow[0].weight)  # as residual branches begin
    optimizer = momentum(model)
    pruner = Pruner(model, "1x1", CubicSchedule(0.2, end=4, every=2))
    train(model, optimizer, pruner, steps=6)
    assert torch.equal(model.hidden.weight == 0, scattered)
    assert zeros(model.narrow[0].weight) == pytest.approx(0.2, abs=0.01)


def test_shared_weights_are_pruned_once():
    model = nn.Sequential(*(nn.Linear(16, 16) for _ in range(3)), nn.Linear(16, 4))
    model[2].weight = model[0].weight
    pruner = Pruner(model, "4x1", CubicSchedule(0.5), rearrange=False)
    assert pruner.notes == ["'2': shares the weights of '0', which are pruned once"]
    pruner.step()
    assert [layer.name for layer in pruner.report().layers] == ["0", "1"]
    assert zeros(model[2].weight) == 0.5


def test_frozen_layers_are_pruned_and_stay_so(trained):
    model, _ = trained
    model.hidden.requires_grad_(False)
    optimizer = momentum(model)
    train(model, optimizer, Pruner(model, "4x1", CubicSchedule(0.5), rearrange=False), steps=2)
    assert zeros(model.hidden.weight) == 0.5


def test_half_precision_layers_are_pruned_too():
    model = tiny().to(torch.bfloat16)
    Pruner(model, "4x1", CubicSchedule(0.5), rearrange=False).step()
    assert zeros(model.hidden.weight) == pytest.approx(0.5, abs=0.01)


# ---- Which layers, which sparsity ----------------------------------------------------------------


def names(pruner):
    return [layer.name for layer in pruner.report().layers]


def test_layers_can_be_left_out_by_the_name_of_a_module_around_them():
    pruner = Pruner(tiny(), "1x1", CubicSchedule(0.5), exclude=("wide", "hidden"))
    assert names(pruner) == ["narrow.0", "square.0"]
    assert names(Pruner(tiny(), "1x1", CubicSchedule(0.5), exclude="hidden")) == PRUNED[:3]


def test_a_pattern_by_name_prunes_those_layers_only():
    patterns = {"stem.0": "8x1", "narrow": "2x1", "classifier": Pattern(1, 1), "square": "4x1"}
    model = tiny()
    pruner = Pruner(model, patterns, CubicSchedule(0.5), exclude=["square"], rearrange=False)
    pruner.step()
    found = {layer.name: layer.pattern for layer in pruner.report().layers}
    assert found == {"stem.0": "8x1", "narrow.0": "2x1", "classifier": "1x1"}
    assert_whole_blocks(model.stem[0].weight, "8x1")
    assert_whole_blocks(model.narrow[0].weight, "2x1")


def test_sparsities_by_name_grow_with_the_schedule():
    model = tiny()
    schedule = CubicSchedule(0.8, end=4, every=2)
    allocation = {"wide": 0.4, "wide.0": 0.6, "square": 0.0}
    pruner = Pruner(model, "1x1", schedule, allocation=allocation)
    for step in range(5):
        pruner.step()
        share = schedule.at(step - step % 2) / 0.8
        for name, final in zip(PRUNED, (0.6, 0.8, 0.0, 0.8), strict=True):
            expected = pytest.approx(final * share, abs=0.005)
            assert zeros(weights(model)[name]) == expected


@pytest.mark.parametrize("pattern", ["1x1", "4x1"])
def test_global_sparsity_is_one_threshold_that_empties_no_layer(pattern):
    model = tiny()
    with torch.no_grad():
        model.wide[0].weight.mul_(1e-3)
    before = {name: weight.detach().clone() for name, weight in weights(model).items()}
    pruner = Pruner(model, pattern, CubicSchedule(0.6), allocation="global", rearrange=False)
    pruner.step()
    assert pruner.report().zeros == pytest.approx(0.6, abs=0.01)
    assert 0 < np.count_nonzero(model.wide[0].weight.detach()) <= Pattern.parse(pattern).rows
    kept, gone = [], []
    for name, weight in weights(model, ["narrow.0", "square.0", "hidden"]).items():
        magnitude = before[name].abs().numpy().reshape(*weight.shape[:2], -1).mean(axis=2)
        means, empty = Pattern.parse(pattern).block_means(magnitude), blocks(weight, pattern) == 1
        kept += means[~empty].tolist()
        gone += means[empty].tolist()
    assert min(kept) >= max(gone)


def test_blocks_that_do_not_fit_are_smaller_at_the_end_and_noted():
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3), nn.Linear(3, 2))
    pruner = Pruner(model, "4x1", CubicSchedule(0.5), rearrange=False)
    assert pruner.notes == [
        "'0': blocks of 4x1 do not divide 6 x 5: those at the end are smaller",
        "'2': blocks of 4x1 do not divide 3 x 6: those at the end are smaller",
    ]
    pruner.step()
    assert_whole_blocks(model[0].weight)
    assert_whole_blocks(model[2].weight)


def test_layers_of_one_dimension_are_pruned_like_images():
    model = nn.Sequential(nn.Conv1d(3, 8, 3), nn.Conv1d(8, 8, 3), nn.Flatten(), nn.Linear(16, 2))
    Pruner(model, "4x1", CubicSchedule(0.5), rearrange=False).step()
    assert zeros(model[1].weight) == 0.5
    assert_whole_blocks(model[1].weight)


# ---- Regrowth ------------------------------------------------------------------------------------


def test_blocks_with_large_gradients_regrow_at_constant_sparsity(trained):
    model, optimizer = trained
    schedule = CubicSchedule(0.8, end=20, every=5, initial=0.8)
    pruner = Pruner(model, "4x1", schedule, rearrange=False, regrowth=0.3)
    train(model, optimizer, pruner, steps=5)
    gone = model.hidden.weight == 0
    optimizer.zero_grad()
    images, labels = batch(77)
    F.cross_entropy(model(images), labels).backward()
    gradient = model.hidden.weight.grad.clone()
    assert (gradient[gone] != 0).any()  # a step that may regrow sees them all
    optimizer.step()
    pruner.step()
    mask = model.hidden.pruning_mask
    regrown = gone & mask
    assert regrown.any()
    assert (model.hidden.weight[regrown] == 0).all()
    means = Pattern(4, 1).block_means(gradient.abs().numpy())
    grew = Pattern(4, 1).block_means(regrown.numpy()) == 1
    stayed = Pattern(4, 1).block_means((gone & ~mask).numpy()) == 1
    assert means[grew].min() >= means[stayed].max()
    train(model, optimizer, pruner, steps=1)
    assert (model.hidden.weight[regrown] != 0).any()
    train(model, optimizer, pruner, steps=20)
    assert pruner.finish().zeros == pytest.approx(0.8, abs=0.01)
    assert accuracy(model) > 0.9


def test_regrowth_needs_gradients_and_passes_over_those_that_overflowed(trained):
    model, optimizer = trained
    pruner = Pruner(model, "4x1", CubicSchedule(0.8), rearrange=False, regrowth=0.3)
    optimizer.zero_grad()
    with pytest.raises(gossamer.InputError, match=r"'wide.0': regrowth needs its gradients; call"):
        pruner.step()
    for weight in weights(model).values():
        weight.grad = torch.full_like(weight, torch.inf)
    pruner.step()
    assert pruner.report().zeros == pytest.approx(0.8, abs=0.01)


# ---- Several processes ---------------------------------------------------------------------------

RANK = """
import sys, torch, test_torch_pruner as t
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from gossamer.torch import CubicSchedule, Pruner
rank, folder = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
for wrapped in ("before", "after"):
    model = t.tiny(seed=rank)  # DistributedDataParallel hands out rank 0's
    parallel = DistributedDataParallel(model) if wrapped == "before" else model
    optimizer = t.momentum(model)
    schedule = CubicSchedule(0.8, 1, 6, 2)
    pruner = Pruner(parallel, "4x1", schedule, optimizer=optimizer, regrowth=0.2)
    if wrapped == "after":
        parallel = DistributedDataParallel(model)
    for step in range(9):
        t.train(parallel, optimizer, pruner, begin=2 * step + rank)  # each rank has other images
    assert pruner.report().layers[0].kept_rearranged is not None, pruner.notes
    torch.save(model.state_dict(), f"{folder}/{wrapped}{rank}.pt")
distributed.destroy_process_group()
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="needs torch.distributed")
def test_ranks_that_train_on_different_images_agree_on_every_mask(tmp_path):
    program = f"import sys; sys.path[:0] = {sys.path!r}\n{RANK}"
    command = [sys.executable, "-c", program]
    ranks = [
        subprocess.Popen([*command, str(rank), str(tmp_path)], stderr=subprocess.PIPE)
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=100)[1].decode() for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0], errors
    for wrapped in ("before", "after"):
        one, other = (torch.load(tmp_path / f"{wrapped}{rank}.pt") for rank in range(2))
        for name in PRUNED:
            mask = one[f"{name}.pruning_mask"]
            assert torch.equal(mask, other[f"{name}.pruning_mask"])
            assert torch.equal(one[f"{name}.weight"], other[f"{name}.weight"])
            assert mask.double().mean() == pytest.approx(0.2, abs=0.02)


# ---- What does not fit ---------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(value):
    model = tiny()
    with torch.no_grad():
        model.narrow[0].weight[2, 3] = value
    pruner = Pruner(model, "4x1", CubicSchedule(0.5), rearrange=False)
    with pytest.raises(gossamer.InputError, match=r"'narrow.0': finite .* first at \[2, 3, 0, 0\]"):
        pruner.step()


def test_a_model_without_a_layer_to_prune_is_refused():
    for model in (nn.Linear(3, 4), nn.Sequential(nn.Conv2d(3, 4, 3)), nn.ReLU()):
        with pytest.raises(gossamer.InputError, match="no layer to prune found"):
            Pruner(model, "4x1", CubicSchedule(0.5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pattern": "4by1"}, "pattern: such as 1x1"),
        ({"pattern": {"wode": "4x1"}}, "pattern: 'wode' names none of stem.0, wide.0"),
        ({"pattern": {"deep.0": "4x1"}}, "pattern: 'deep.0' names none of stem.0, wide.0"),
        ({"exclude": ["head"]}, "exclude: 'head' names none of"),
        ({"allocation": "fair"}, "allocation: 'uniform', 'global' or .* found 'fair'"),
        ({"allocation": {"wide": 1.0}}, "sparsity of 'wide': 0 to below 1 expected, found 1.0"),
        ({"allocation": {"wode": 0.5}}, "allocation: 'wode' names none of"),
        ({"regrowth": 1.0}, "regrowth: 0 to below 1 expected"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments, message):
    model = tiny()
    with pytest.raises(gossamer.InputError, match=message):
        Pruner(**{"model": model, "pattern": "4x1", "schedule": CubicSchedule(0.5), **arguments})
    assert list(model.state_dict()) == list(tiny().state_dict())


def test_a_layer_under_two_pruners_is_refused():
    model = tiny()
    Pruner(model, {"wide": "1x1"}, CubicSchedule(0.5))
    Pruner(model, {"narrow": "1x1"}, CubicSchedule(0.5))
    with pytest.raises(gossamer.InputError, match=r"'wide.0': is being pruned already; finish\(\)"):
        Pruner(model, "4x1", CubicSchedule(0.5))


def test_layers_without_weights_of_their_own_are_refused():
    model = tiny()
    torch.nn.utils.parametrizations.weight_norm(model.wide[0])
    with pytest.raises(gossamer.UnsupportedError, match="'wide.0': its weights are computed"):
        Pruner(model, "4x1", CubicSchedule(0.5))
    lazy = nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 2))
    with pytest.raises(gossamer.InputError, match="'0': its shape is not known yet"):
        Pruner(lazy, "4x1", CubicSchedule(0.5))


def test_a_training_that_ends_before_the_schedule_is_noted():
    pruner = Pruner(tiny(), "1x1", CubicSchedule(0.8, end=10))
    pruner.step()
    pruner.finish()
    assert pruner.notes == ["finished at step 1; the schedule ends at 10"]


# ---- Schedule and distillation -------------------------------------------------------------------


@given(st.floats(0.01, 0.99), st.integers(0, 50), st.integers(0, 50), st.integers(1, 9))
def test_sparsity_grows_along_the_cubic_schedule(sparsity, begin, length, every):
    schedule = CubicSchedule(sparsity, begin, begin + length, every)
    seen = [schedule.at(step) for step in range(begin + length + 5)]
    assert seen == sorted(seen)
    assert seen[:begin] == [0] * begin
    assert seen[begin + length :] == [sparsity] * 5
    if length and length % 2 == 0:
        assert schedule.at(begin + length // 2) == pytest.approx(sparsity * 7 / 8)
    refreshes = [step for step in range(begin + length + 5) if schedule.refreshes(step)]
    assert refreshes[0] == begin and refreshes[-1] == begin + length
    assert all(b - a <= every for a, b in zip(refreshes, refreshes[1:], strict=False))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sparsity": 0}, "sparsity: above 0 and below 1"),
        ({"sparsity": 1.0}, "sparsity: above 0 and below 1"),
        ({"sparsity": float("nan")}, "sparsity: above 0 and below 1"),
        ({"initial": 0.6}, "initial: 0 to 0.5 expected, found 0.6"),
        ({"begin": 5, "end": 4}, "0 <= begin <= end expected, found begin=5, end=4"),
        ({"begin": -1}, "0 <= begin <= end"),
        ({"every": 0}, "every: at least 1 step"),
        ({"every": float("nan")}, "every: whole steps expected, found nan"),
        ({"end": 39.6}, "end: whole steps expected, found 39.6; round it"),
        ({"begin": 2.5, "end": 40}, "begin: whole steps expected, found 2.5"),
        ({"end": float("inf")}, "end: whole steps expected, found inf"),
    ],
)
def test_schedules_that_do_not_fit_are_named(arguments, message):
    with pytest.raises(gossamer.InputError, match=message):
        CubicSchedule(**{"sparsity": 0.5, **arguments})


def test_distillation_mixes_labels_and_teacher():
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 6, 5, generator=generator)
    labels = torch.arange(6) % 5
    right = F.cross_entropy(student, labels)
    soft = F.softmax(teacher / 3, 1)
    taught = (soft * (soft.log() - F.log_softmax(student / 3, 1))).sum(1).mean() * 9
    found = distillation_loss(student, teacher, labels, temperature=3, weight=0.7)
    assert found.item() == pytest.approx((0.3 * right + 0.7 * taught).item(), rel=1e-5)
    assert torch.equal(distillation_loss(student, teacher, labels, weight=0), right)
    assert distillation_loss(teacher, teacher, labels, weight=1).item() == pytest.approx(
        0, abs=1e-6
    )
    pixels = [t.view(1, 6, 5).transpose(1, 2) for t in (student, teacher)]
    assert distillation_loss(*pixels, labels[None], 3, 0.7).item() == pytest.approx(found.item())


def test_a_student_learns_and_the_teacher_does_not():
    student, teacher = (torch.randn(6, 5, requires_grad=True) for _ in range(2))
    distillation_loss(student, teacher, torch.zeros(6, dtype=torch.long)).backward()
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"teacher_logits": torch.zeros(2, 4)}, r"teacher_logits: \(2, 3\) expected"),
        ({"temperature": 0}, "temperature: above 0"),
        ({"weight": 1.5}, "weight: 0 to 1"),
    ],
)
def test_distillation_of_what_does_not_fit_is_refused(arguments, message):
    logits = {"student_logits": torch.zeros(2, 3), "teacher_logits": torch.zeros(2, 3)}
    with pytest.raises(gossamer.InputError, match=message):
        distillation_loss(**{**logits, "labels": torch.zeros(2, dtype=torch.long), **arguments})


# ---- Importing -----------------------------------------------------------------------------------


def run_python(program):
    program = f"import sys; sys.path[:0] = {sys.path!r}\n{program}"
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_importing_gossamer_imports_no_pytorch():
    assert run_python("import gossamer; print('torch' in sys.modules)") == "False"


def test_without_pytorch_the_extra_is_named():
    found = run_python(
        "sys.modules['torch'] = None\n"
        "import gossamer\n"
        "try: gossamer.torch.Pruner\n"
        "except gossamer.MissingDependencyError as error: print(error)"
    )
    assert found == (
        "pruning in training needs the package 'torch'; run: pip install 'gossamer-nn[torch]'"
    )
