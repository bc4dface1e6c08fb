"""Channels of PyTorch models: which move together, and that moving them changes no output."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from models import torch_models
from torch import nn

import gossamer
from gossamer.torch.tracing import trace_channels


def conv(inputs, outputs, kernel=1, **options):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **options),
        nn.BatchNorm2d(outputs),
    )


class Stem(nn.Module):
    """A convolution, something behind it, and a convolution that reads that."""

    def __init__(self, channels=6):
        super().__init__()
        self.stem = conv(3, channels, 3)
        self.head = nn.Conv2d(self.build(channels) or channels, 4, 1)

    def forward(self, image):
        return self.head(self.middle(F.relu(self.stem(image)))).mean((2, 3))


class Residual(Stem):
    def build(self, channels):
        self.expand, self.project = conv(channels, 10), conv(10, channels)

    def middle(self, x):
        y = x + self.project(F.relu6(self.expand(x)))
        y += self.project(torch.sigmoid(self.expand(y)))
        return y


class SqueezeExcite(Stem):
    def build(self, channels):
        self.squeeze, self.excite = nn.Linear(channels, 5), nn.Linear(5, channels)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def middle(self, x):
        batch, channels, _, _ = x.size()
        gate = self.pool(x).view(batch, channels)
        gate = torch.sigmoid(self.excite(F.silu(self.squeeze(gate))))
        return x * gate.view(batch, channels, 1, 1).expand_as(x)


class Concatenated(Stem):
    def build(self, channels):
        self.left, self.right = conv(channels, 3), conv(channels, 5, 3)
        self.mix = conv(8 + channels, 7, 3)
        return 8 + channels + 7

    def middle(self, x):
        y = torch.cat([self.left(x), self.right(x), x], dim=1)
        return torch.cat((y, self.mix(y)), 1)


class Depthwise(Stem):
    def build(self, channels):
        self.doubled = conv(channels, 2 * channels, 3, groups=channels)
        self.point = conv(2 * channels, 7)
        self.again = conv(7, 7, 3, groups=7)
        return 7

    def middle(self, x):
        return F.max_pool2d(self.again(self.point(self.doubled(x))), 2)


class Flattened(Stem):
    def build(self, channels):
        self.wide, self.narrow = nn.Linear(channels * 9, 11), nn.Linear(11, 8)
        return 8

    def middle(self, x):
        x = torch.flatten(F.adaptive_avg_pool2d(x, 3), 1)
        return F.gelu(self.narrow(F.dropout(self.wide(x), 0.1, self.training)))[:, :, None, None]


class Tokens(nn.Module):
    """Channels on the last axis, between linear layers."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 6, 4, 4)
        self.norm = nn.LayerNorm(6)
        self.first, self.second, self.third = nn.Linear(6, 10), nn.Linear(10, 6), nn.Linear(6, 4)

    def forward(self, image):
        x = self.embed(image).permute(0, 2, 3, 1)
        return self.third(x + self.second(F.gelu(self.first(self.norm(x))))).mean(dim=(1, 2))


NETWORKS = [Residual, SqueezeExcite, Concatenated, Depthwise, Flattened, Tokens]


def images(count=4):
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def trace(model):
    return trace_channels(model, [torch.empty(4, 3, 8, 8)])


def random_orders(channels, seed=0):
    """An order of each space; as it is where the space is fixed."""
    random, spaces = np.random.default_rng(seed), channels.spaces
    return [
        np.arange(size) if spaces.is_fixed(space) else random.permutation(size)
        for space, size in enumerate(spaces.sizes)
    ]


def answers(model, image=None):
    with torch.no_grad():
        return model.eval()(images() if image is None else image)


def free_channels(channels, weight, axis):
    return [
        channels.spaces.sizes[segment.space]
        for segment in channels.segments(weight, axis) or ()
        if not channels.spaces.is_fixed(segment.space)
    ]


def assert_moves_exactly(model, seed=0):
    """Move everything that may move; give the channels."""
    model = torch_models.trained(model)
    before = answers(model)
    channels = trace(model.train())
    channels.move(model, random_orders(channels, seed))
    assert (answers(model) - before).abs().max() < 1e-6 * max(1, before.abs().max())
    return channels


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_moved_channels_leave_the_output_as_it_was(network):
    torch.manual_seed(0)
    model = network()
    old = copy.deepcopy(torch_models.trained(model)).state_dict()
    assert_moves_exactly(model)
    stayed = {n for n, v in model.state_dict().items() if v.dim() > 1 and v.equal(old[n])}
    assert stayed <= ({"embed.weight", "third.weight"} if network is Tokens else set())


@pytest.mark.parametrize("network", [torch_models.MobileNetV1, torch_models.MobileNetV2])
def test_every_hidden_channel_of_a_mobilenet_moves(network):
    model = network()
    channels = assert_moves_exactly(model)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            assert free_channels(channels, module.weight, 0) == [module.out_channels], name
        elif isinstance(module, nn.Linear):
            assert free_channels(channels, module.weight, 0) == []
            assert free_channels(channels, module.weight, 1) == [module.in_features]


def test_a_residual_sum_moves_its_channels_alike():
    model = Residual()
    channels = trace(model)
    rows = {
        channels.spaces.root(channels.segments(weight, axis)[0].space)
        for weight, axis in (
            (model.stem[0].weight, 0),
            (model.expand[0].weight, 1),
            (model.project[0].weight, 0),
            (model.project[1].running_var, 0),
            (model.head.weight, 1),
        )
    }
    assert len(rows) == 1


OPAQUE = {
    "chunk": lambda x, _: torch.cat(x.chunk(2, 1)[::-1], 1),
    "chosen channels": lambda x, _: x[:, [5, 4, 3, 2, 1, 0]],
    "flip": lambda x, _: x.flip(1),
    "shuffle": lambda x, _: x.view(x.size(0), 2, 3, 8, 8).transpose(1, 2).flatten(1, 2),
    "softmax over channels": lambda x, _: torch.softmax(x, 1),
    "sum with a constant": lambda x, constant: x + constant[0, :, None, None],
    "sums over channels": lambda x, _: x + x.cumsum(1),
    "padded channels": lambda x, _: F.pad(x, (0, 0, 0, 0, 1, 0))[:, 1:],
    "matrix product": lambda x, constant: (constant @ x.flatten(2)).view(x.shape),
    "two axes of channels": lambda x, _: x * x.mean((2, 3))[:, None, :, None].cumsum(2)[:, :, :1],
    "functional layer": lambda x, constant: F.conv2d(x, constant[:, :, None, None]),
}


@pytest.mark.parametrize("what", OPAQUE)
def test_operations_that_are_not_understood_keep_channels_in_place(what):
    class Opaque(Stem):
        def build(self, channels):
            self.before, self.after = conv(channels, 6), conv(6, 6)
            self.register_buffer("constant", torch.randn(6, 6))

        def middle(self, x):
            return self.after(OPAQUE[what](self.before(x), self.constant))

    torch.manual_seed(0)
    channels = assert_moves_exactly(model := Opaque())
    assert free_channels(channels, model.stem[0].weight, 0) == [6]
    assert free_channels(channels, model.before[0].weight, 0) == []


@pytest.mark.parametrize(
    "layer",
    [nn.GroupNorm(2, 6), nn.PReLU(6), nn.Conv2d(6, 6, 1, groups=2), nn.ConvTranspose2d(6, 6, 1)],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_that_are_not_understood_keep_channels_in_place(layer):
    class Opaque(Stem):
        def build(self, channels):
            self.layer = layer

        def middle(self, x):
            return self.layer(x)

    channels = assert_moves_exactly(model := Opaque())
    assert free_channels(channels, model.stem[0].weight, 0) == []


def test_layers_with_hooks_or_computed_weights_keep_channels_in_place():
    hooked = Residual()
    hooked.project[0].register_forward_hook(lambda module, inputs, output: output.flip(1))
    channels = assert_moves_exactly(hooked)
    assert free_channels(channels, hooked.expand[0].weight, 0) == []
    normed = Residual()
    torch.nn.utils.parametrizations.weight_norm(normed.project[0])
    channels = trace(normed)
    assert free_channels(channels, normed.expand[0].weight, 0) == []


def test_weights_that_two_layers_share_move_alike_or_not_at_all():
    class Shared(Stem):
        def build(self, channels):
            self.first, self.second = (nn.Conv2d(channels, 6, 1, bias=False) for _ in "12")
            self.second.weight = self.first.weight

        def middle(self, x):
            return self.second(F.relu(self.first(x)))

    channels = assert_moves_exactly(model := Shared())
    segments = channels.segments
    spaces = {channels.spaces.root(segments(model.first.weight, axis)[0].space) for axis in (0, 1)}
    assert len(spaces) == 1

    class Direct(Shared):
        def middle(self, x):
            return F.relu(self.second(x)) + self.first.weight.sum((2, 3))[0, :, None, None]

    channels = assert_moves_exactly(model := Direct())
    assert free_channels(channels, model.first.weight, 0) == []


def test_a_model_that_cannot_be_traced_says_why():
    class Branching(Stem):
        def build(self, channels):
            pass

        def middle(self, x):
            return x if x.mean() > 0 else -x

    with pytest.raises(gossamer.UnsupportedError, match="torch.fx cannot trace the model .*Trace"):
        trace(Branching())


def test_a_model_with_parameters_that_the_trace_misses_is_refused():
    class Auxiliary(Residual):
        def build(self, channels):
            super().build(channels)
            self.auxiliary = nn.Conv2d(channels, 4, 1)

        def middle(self, x):
            return super().middle(x) if self.training else super().middle(self.auxiliary(x))

    with pytest.raises(gossamer.UnsupportedError, match="'auxiliary.weight' takes no part"):
        trace(Auxiliary())


def test_tracing_leaves_model_and_random_numbers_alone():
    model = Flattened().train()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    trace(model)
    assert model.training and model.stem[1].training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
        lambda p: torch.optim.Adam(p, 0.01, amsgrad=True),
    ],
    ids=["momentum", "Adam"],
)
def test_training_goes_on_as_if_no_channel_had_moved(make):
    def train(model, optimizer, steps):
        model.train()
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(model(images().double()), torch.arange(4)).backward()
            optimizer.step()

    torch.manual_seed(0)
    moved = SqueezeExcite().double()
    optimizer = make(moved.parameters())
    train(moved, optimizer, 2)
    stayed = copy.deepcopy(moved)
    other = make(stayed.parameters())
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    channels = trace(moved)
    channels.move(moved, random_orders(channels), optimizer)
    train(moved, optimizer, 3)
    train(stayed, other, 3)
    image = images().double()
    assert (answers(moved, image) - answers(stayed, image)).abs().max() < 1e-9


# ---- Any network ---------------------------------------------------------------------------------


class Random(nn.Module):
    """Operations in any order; each step names one and where its inputs come from."""

    def __init__(self, plan):
        super().__init__()
        self.plan, widths = [], [4]
        self.layers = nn.ModuleList([nn.Conv2d(3, 4, 1)])
        for kind, pick, width in plan:
            source = pick % len(widths)
            same = [i for i, w in enumerate(widths) if w == widths[source]]
            other, inputs = same[pick // 7 % len(same)], widths[source]
            layer, outputs = nn.Identity(), inputs
            if kind == "conv":
                layer, outputs = conv(inputs, width), width
            elif kind == "depthwise":
                layer, outputs = conv(inputs, 2 * inputs, 3, groups=inputs), 2 * inputs
            elif kind == "grouped" and inputs % 2 == 0:
                layer = conv(inputs, inputs, 1, groups=2)
            elif kind == "cat":
                other = pick // 5 % len(widths)
                outputs = inputs + widths[other]
            self.layers.append(layer)
            self.plan.append((kind, source, other))
            widths.append(outputs)
        self.head = nn.Linear(4 * sum(widths), 3)

    def forward(self, image):
        values = [self.layers[0](image)]
        for layer, (kind, source, other) in zip(self.layers[1:], self.plan, strict=True):
            x = layer(values[source])
            if kind == "add":
                x = x + values[other]
            elif kind == "gate":
                x = x * values[other].mean([2, 3], keepdim=True).sigmoid()
            elif kind == "cat":
                x = torch.cat([x, values[other]], 1)
            elif kind == "flip":
                x = torch.flip(x, [1])
            values.append(F.hardswish(x) / 2)
        pooled = [F.adaptive_avg_pool2d(value, 2).flatten(1) for value in values]
        return self.head(torch.cat(pooled, 1))


STEPS = st.tuples(
    st.sampled_from(["conv", "conv", "depthwise", "grouped", "add", "gate", "cat", "flip"]),
    st.integers(0, 1000),
    st.sampled_from([3, 4, 6]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=8), st.integers(0, 99))
def test_channels_of_any_network_move_without_changing_it(plan, seed):
    torch.manual_seed(seed)
    model = Random(plan).double().eval()
    used = answers(model, images().double())
    channels = trace(model.train())
    channels.move(model, random_orders(channels, seed))
    assert (answers(model, images().double()) - used).abs().max() < 1e-9
