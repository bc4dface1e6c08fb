"""One-shot pruning: whole blocks go, what stays is refitted, everything is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from models.onnx_graphs import GraphBuilder

import gossamer
from gossamer import cli, zoo
from gossamer.convert import pack, read
from gossamer.prune import activations, one_shot, reconstruction, saliency, sensitivity
from gossamer.prune.activations import Moments, Stage, moments
from gossamer.prune.pattern import Pattern, keep_mask
from gossamer.prune.report import PruneReport

SIZE = {"width": 0.25, "resolution": 32, "classes": 10}
RANDOM = np.random.default_rng(0)


def images(count: int, seed: int = 0) -> list[np.ndarray]:
    """Inputs whose neighbouring pixels are alike, as those of photos are."""
    random = np.random.default_rng(seed)
    coarse = random.normal(size=(count, 1, 3, 8, 8)).repeat(4, 3).repeat(4, 4)
    return list((coarse + 0.3 * random.normal(size=coarse.shape)).astype(np.float32))


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prune") / "dense.goss"
    path.write_bytes(zoo.build("mobilenet_v1", sparsity=0.0, **SIZE))
    return path


def pruned(path: Path, **options) -> tuple[bytes, PruneReport]:
    target = path.with_name("pruned.goss")
    report = gossamer.prune(path, target, **options)
    return target.read_bytes(), report


def scores(content: bytes, inputs: list[np.ndarray]) -> np.ndarray:
    session = gossamer.InferenceSession(content)
    return np.log(np.concatenate([session.run(None, {"image": image})[0] for image in inputs]))


@pytest.mark.parametrize("pattern", ["1x1", "2x1", "4x1", "8x1", "4x4"])
def test_whole_blocks_go_and_at_least_the_asked_share(dense: Path, pattern: str) -> None:
    content, report = pruned(
        dense, sparsity=0.5, pattern=pattern, data=images(4), allocation="uniform"
    )
    blocks = Pattern.parse(pattern)
    nodes = {node.name: node for node in read.read_graph(content, "pruned").nodes}
    assert len(report.layers) == len(
        [n for n in nodes.values() if n.op == "conv" and n.attributes["groups"] == 1][1:]
    ), "all but the first convolution and the classifier"
    for layer in report.layers:
        weights = nodes[layer.name].inputs[1].data
        assert layer.zeros == np.mean(weights == 0) >= 0.5 - 1e-9
        present = blocks.block_means((weights[..., 0, 0] != 0).astype(float))
        assert set(np.unique(present)) <= {0.0, 1.0}


def test_what_stays_is_refitted_and_the_output_moves_less(dense: Path) -> None:
    calibration, others = images(24), images(8, seed=1)
    wanted = scores(dense.read_bytes(), others)

    def error(**options) -> float:
        options["allocation"] = "uniform"
        content, report = pruned(dense, sparsity=0.5, pattern="4x1", **options)
        refitted = [layer for layer in report.layers if layer.error is not None]
        assert all(layer.error <= 1.2 * layer.error_before for layer in refitted)  # scaled, too
        return float(((scores(content, others) - wanted) ** 2).mean())

    plain = error(rearrange=False)
    masked = error(data=calibration, reconstruct=False, rearrange=False)
    refitted = error(data=calibration, rearrange=False)
    assert refitted < 0.5 * min(plain, masked)
    assert error(data=calibration) < 0.5 * min(plain, masked)


def test_scores_that_keep_all_weights_are_refitted_to_what_is_left(
    dense: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {node.name: node for node in read.read_graph(dense.read_bytes(), "").nodes}
    last = next(node.name for node in before.values() if node.op == "fully_connected")
    old = before[last].inputs[1].data
    seen = {}
    refit_layer = one_shot._refit_layer

    def record(layer: one_shot._Weights, values: np.ndarray | None, moments: Moments) -> None:
        seen[layer.name] = moments
        refit_layer(layer, values, moments)

    monkeypatch.setattr(one_shot, "_refit_layer", record)
    options = {"sparsity": 0.5, "allocation": "uniform", "rearrange": False, "data": images(24)}

    def prune(**more) -> tuple[np.ndarray, list[str]]:
        content, report = pruned(dense, **options, **more)
        assert last not in [layer.name for layer in report.layers]
        nodes = {node.name: node for node in read.read_graph(content, "").nodes}
        return nodes[last].inputs[1].data, [note for note in report.notes if last in note]

    weights, (few, refitted) = prune()
    assert "few images (24) for 256 weights" in few
    assert "refitted to what is left" in refitted
    moments = seen.pop(last)
    slope = reconstruction._covariances(old, moments.cross, weights)
    wanted = reconstruction._covariances(old, moments.dense, old)
    np.testing.assert_allclose(slope, wanted, rtol=1e-3)
    fitted = reconstruction.refit(old, old != 0, moments)
    errors = [reconstruction.relative_error(old, new, moments) for new in (fitted, old)]
    assert errors[0] < 0.9 * errors[1]
    for more in ({"exclude": [last]}, {"reconstruct": False}):
        weights, notes = prune(**more)
        np.testing.assert_array_equal(weights, old)
        assert notes == []
        assert last not in seen


def test_without_data_the_report_says_so_and_nothing_is_refitted(dense: Path) -> None:
    content, report = pruned(dense, sparsity=0.6, pattern="2x1", rearrange=False)
    assert any("without calibration data" in note for note in report.notes)
    before = {n.name: n for n in read.read_graph(dense.read_bytes(), "").nodes}
    for node in read.read_graph(content, "").nodes:
        if len(node.inputs) > 1 and node.inputs[1].data is not None:
            old, new = before[node.name].inputs[1].data, node.inputs[1].data
            assert np.array_equal(new[new != 0], old[new != 0])


def test_rearrangement_keeps_more_saliency_in_every_network(dense: Path) -> None:
    _, report = pruned(dense, sparsity=0.7, pattern="4x1")
    assert np.mean([layer.kept - layer.kept_in_place for layer in report.layers]) > 0.02


@pytest.mark.parametrize("pattern", ["4x4", "1x4", "4x1"])
def test_blocks_that_go_are_the_least_salient_where_channels_lie_then(
    dense: Path, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid = []
    refit_layer = one_shot._refit_layer

    def record(layer: one_shot._Weights, values: np.ndarray | None, moments: Moments) -> None:
        if layer.plan:
            blocks, inputs = layer.plan.pattern, activations.covariance(moments.dense)
            expected = saliency.second_order(layer.before, inputs, moments.samples, blocks)
            np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-6 * expected.max())
            laid.append(layer.name)
        refit_layer(layer, values, moments)

    monkeypatch.setattr(one_shot, "_refit_layer", record)
    _, report = pruned(dense, sparsity=0.5, pattern=pattern, data=images(8))
    assert laid == [layer.name for layer in report.layers]


def test_the_same_arguments_give_the_same_bytes(dense: Path) -> None:
    options = {"sparsity": 0.4, "pattern": "4x1", "data": images(3)}
    assert pruned(dense, **options)[0] == pruned(dense, **options)[0]


def test_what_stays_may_take_half_of_the_file(dense: Path, tmp_path: Path) -> None:
    whole, half = tmp_path / "whole.goss", tmp_path / "half.goss"
    arguments = ["prune", str(dense), "--sparsity", "0.4"]
    assert (
        cli.main([*arguments, str(whole)])
        == cli.main([*arguments, str(half), "--weights", "f16"])
        == 0
    )
    assert half.stat().st_size < 0.75 * whole.stat().st_size
    x = images(1)
    np.testing.assert_allclose(scores(half, x), scores(whole, x), atol=0.02)


def test_nothing_asked_nothing_lost(dense: Path) -> None:
    content, report = pruned(dense, sparsity=0.0, data=images(2))
    assert report.layers == ()
    np.testing.assert_allclose(
        scores(content, images(2)), scores(dense.read_bytes(), images(2)), atol=1e-5
    )


def test_zeros_that_are_there_stay_and_count(tmp_path: Path) -> None:
    path = tmp_path / "sparse.goss"
    path.write_bytes(zoo.build("mobilenet_v1", sparsity=0.6, pattern="1x1", **SIZE))
    before = {n.name: n for n in read.read_graph(path.read_bytes(), "").nodes}
    content, report = pruned(
        path, sparsity=0.5, pattern="1x1", data=images(3), rearrange=False, allocation="uniform"
    )
    assert all(layer.zeros == pytest.approx(0.6, abs=0.01) for layer in report.layers)
    for node in read.read_graph(content, "").nodes:
        if node.name in {layer.name for layer in report.layers}:
            old, new = before[node.name].inputs[1].data, node.inputs[1].data
            assert not new[old == 0].any()


def test_a_global_threshold_takes_unlike_shares(dense: Path) -> None:
    _, report = pruned(dense, sparsity=0.5, pattern="4x1", allocation="global")
    shares = [layer.zeros for layer in report.layers]
    assert max(shares) - min(shares) > 0.05
    assert report.zeros == pytest.approx(0.5, abs=0.05)


def test_a_budget_of_time_is_met_by_prediction(dense: Path) -> None:
    _, report = pruned(dense, speedup=1.3, data=images(3))
    assert report.milliseconds <= report.milliseconds_before / 1.3 * 1.001
    _, again = pruned(dense, seconds=report.milliseconds_before / 1300, data=images(3))
    assert again.milliseconds == pytest.approx(report.milliseconds)


@pytest.mark.parametrize("budget", [{"speedup": 1.3}, {"sparsity": 0.8, "allocation": "cost"}])
def test_budgets_are_met_where_zeros_were_there_and_channels_move(tmp_path: Path, budget) -> None:
    path = tmp_path / "sparse.goss"
    path.write_bytes(zoo.build("mobilenet_v1", sparsity=0.7, pattern="1x1", **SIZE))
    content, report = pruned(path, **budget)
    nodes = [node for node in read.read_graph(content, "").nodes if pack.has_matrix(node)][1:]
    zeros = sum((node.inputs[1].data == 0).sum() for node in nodes)
    assert any(layer.kept != layer.kept_in_place for layer in report.layers), "channels moved"
    if "speedup" in budget:
        assert report.milliseconds <= report.milliseconds_before / 1.3 * 1.001
    else:
        assert zeros >= 0.8 * sum(node.inputs[1].data.size for node in nodes)


def test_putting_scores_back_is_in_the_budget(tmp_path: Path) -> None:
    path = tmp_path / "wide.goss"
    path.write_bytes(zoo.build("mobilenet_v1", sparsity=0.0, **SIZE | {"classes": 2000}))
    content, report = pruned(path, speedup=2)
    assert "take" in [node.op for node in read.read_graph(content, "").nodes]
    assert report.milliseconds <= report.milliseconds_before / 2


def test_a_budget_of_time_keeps_to_a_pattern_that_is_asked_for(dense: Path) -> None:
    for pattern in ("8x1", "4x4"):
        _, report = pruned(dense, speedup=1.2, pattern=pattern)
        assert {layer.pattern for layer in report.layers} == {pattern}


def test_a_budget_that_no_pruning_reaches_says_what_is_reachable(dense: Path) -> None:
    with pytest.raises(gossamer.InputError, match="fastest reachable"):
        gossamer.prune(dense, None, seconds=1e-7)


def test_kernels_and_flattened_images_are_pruned_too() -> None:
    g = GraphBuilder(13, x=(1, 3, 8, 8))
    g.random = np.random.default_rng(2)
    x = g.node("Relu", g.node("Conv", "x", g.weights(8, 3, 3, 3), pads=[1, 1, 1, 1]))
    x = g.node("Conv", x, g.weights(12, 8, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2])
    x = g.node("Flatten", g.node("Relu", x))
    x = g.node("Relu", g.node("Gemm", x, g.weights(16, 192), g.weights(16), transB=1))
    x = g.node("Gemm", x, g.weights(5, 16), g.weights(5), transB=1)
    model = g.model(g.node("Softmax", x, axis=1))
    inputs = [RANDOM.normal(size=(1, 3, 8, 8)).astype(np.float32) for _ in range(8)]
    report = gossamer.prune(model, None, sparsity=0.5, data=inputs, allocation="uniform")
    assert [layer.shape for layer in report.layers] == [(12, 8, 3, 3), (16, 192)]
    assert all(layer.error < layer.error_before for layer in report.layers)
    assert any("few images (8) for 192 weights" in note for note in report.notes)


@pytest.mark.parametrize("added", [False, True])
def test_refitting_is_least_squares_on_the_weights_that_stay(added: bool, monkeypatch) -> None:
    random = np.random.default_rng(3)
    weights, bias = random.normal(size=(6, 9)).astype(np.float32), random.normal(size=6)
    x = random.normal(size=(9, 9)) @ random.normal(size=(9, 5000)) + 1
    y = x + 0.2 * random.normal(size=x.shape)
    with_one, with_one_now = (np.concatenate([v, np.ones((1, 5000))]) for v in (x, y))
    products = (
        a @ b.T for a, b in ((with_one, with_one), (with_one, with_one_now), (with_one_now,) * 2)
    )
    sums = Moments(*products, images=5000)
    missing = added * (random.normal(size=(6, 9)) @ (x - y) + random.normal(size=(6, 5000)) + 0.5)
    sums.shortfall = missing @ with_one_now.T if added else 0.0
    keep = keep_mask(saliency.magnitude(weights), Pattern(2), 0.5)
    monkeypatch.setattr(saliency, "DAMPING", 1e-9)
    monkeypatch.setattr(saliency, "SHRINKAGE", 0)
    fitted = reconstruction.refit(weights, keep, sums)
    new_bias = reconstruction.corrected_bias(bias, weights, fitted, sums)
    wanted = weights @ x + bias[:, None] + missing
    for row in range(6):
        columns = np.flatnonzero(keep[row])
        system = np.concatenate([y[columns], np.ones((1, 5000))]).T
        solution = np.linalg.lstsq(system, wanted[row])[0]
        np.testing.assert_allclose(fitted[row, columns], solution[:-1], rtol=1e-3, atol=1e-4)
        assert new_bias[row] == pytest.approx(solution[-1], rel=1e-3, abs=1e-3)
        assert not fitted[row, ~keep[row]].any()


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 1])
def test_few_or_many_weights_that_go_are_solved_for_alike(share: float) -> None:
    random = np.random.default_rng(7)
    x = random.normal(size=(24, 40))
    system, right = x @ x.T, random.normal(size=(12, 24))
    mask = (random.random((4, 24)) >= share).repeat(3, axis=0)
    solved = reconstruction.solved_where(system, right, mask)
    assert not solved[~mask].any()
    slope = solved @ system - right
    np.testing.assert_allclose(slope[mask], 0, atol=1e-9)


def test_channels_vary_as_much_as_they_did_after_refitting() -> None:
    random = np.random.default_rng(5)
    weights = random.normal(size=(4, 9)).astype(np.float32)
    x = np.concatenate([random.normal(size=(9, 4000)) + 1, np.ones((1, 4000))])
    sums = Moments(*[x @ x.T] * 3, images=1)
    after = weights * keep_mask(saliency.magnitude(weights), Pattern(1), 0.4)
    after[3] = 0
    found = reconstruction.restored_variance(weights, after, sums)
    gains = (weights[:3] @ x[:-1]).std(1) / (after[:3] @ x[:-1]).std(1)
    assert 1 < gains.min() <= gains.max() < reconstruction.LARGEST_GAIN
    np.testing.assert_allclose(found[:3], after[:3] * gains[:, None], rtol=1e-4)
    assert not found[3].any()


def test_scores_rise_as_much_as_they_did_after_refitting() -> None:
    random = np.random.default_rng(6)
    weights = random.normal(size=(5, 9)).astype(np.float32)
    x = np.concatenate([random.normal(size=(9, 4000)) + 1, np.ones((1, 4000))])
    y = np.concatenate([x[:-1] + 0.1 * random.normal(size=(9, 4000)), x[-1:]])
    sums = Moments(x @ x.T, x @ y.T, y @ y.T, images=1)
    after = weights * keep_mask(saliency.magnitude(weights), Pattern(1), 0.4)
    after[3] = 0
    after[4] = weights[4] * 0.1
    found = reconstruction.restored_slope(weights, after, sums)
    for row in range(3):
        slope, _ = np.polyfit(weights[row] @ x[:-1], found[row] @ y[:-1], 1)
        assert slope == pytest.approx(1, rel=1e-4)
    assert not found[3].any()
    np.testing.assert_allclose(found[4], after[4] * reconstruction.LARGEST_GAIN, rtol=1e-6)


def test_the_layer_that_gives_scores_is_found() -> None:
    graph = read.read_graph(zoo.build("mobilenet_v2", sparsity=0.0, **SIZE), "")
    assert graph.nodes[-1].op == "softmax"
    for network in (graph, sensitivity.without_softmax(graph)):
        layers = one_shot._prunable(network, (), last=True)
        assert [layer.name for layer in layers if layer.scores] == [layers[-1].name]
    for size in (1, 6):
        network, _ = one_shot.read_network(chain((8, 3), (8, 8), size=size), {})
        (layer,) = one_shot._prunable(network, (), last=True)
        assert layer.scores == (size == 1)


@pytest.mark.parametrize(("pattern", "rearrange"), [("4x1", True), ("4x1", False), ("1x1", True)])
def test_scores_are_grouped_for_blocks_and_put_back(
    pattern: str, rearrange: bool, tmp_path: Path
) -> None:
    path = tmp_path / "dense.goss"
    path.write_bytes(zoo.build("mobilenet_v1", sparsity=0.0, **SIZE | {"classes": 100}))
    options = {"sparsity": 0.5, "data": images(4), "allocation": "cost"}
    content, report = pruned(path, pattern=pattern, rearrange=rearrange, **options)
    nodes = read.read_graph(content, "").nodes
    name = next(node.name for node in nodes if node.op == "fully_connected")
    assert name in [layer.name for layer in report.layers]
    moved = pattern == "4x1" and rearrange
    assert [node.op for node in nodes].count("take") == moved
    assert any(f"{name}: its outputs were moved" in note for note in report.notes) == moved
    again = one_shot._prunable(read.read_graph(content, ""), (), last=True)
    assert [layer.name for layer in again if layer.scores] == [name]
    before, after = (scores(c, images(2)) for c in (path.read_bytes(), content))
    for old, new in zip(before, after, strict=True):
        assert np.corrcoef(old, new)[0, 1] > 0.8


def test_diagonal_saliency_is_what_the_output_loses() -> None:
    random = np.random.default_rng(6)
    weights = random.normal(size=(4, 3, 2, 1)).astype(np.float32)
    x = random.normal(size=(6, 6)) @ random.normal(size=(6, 900))
    x -= x.mean(axis=1, keepdims=True)
    costs = saliency.diagonal(weights, x @ x.T)
    for row, column in np.ndindex(4, 6):
        lost = weights.reshape(4, 6)[row, column] * x[column]
        assert costs.reshape(4, 6)[row, column] == pytest.approx((lost**2).sum(), rel=1e-6)


@pytest.mark.parametrize("pattern", ["4x1", "4x4"])
def test_weights_go_by_the_saliency_that_is_asked_for(dense: Path, pattern: str) -> None:
    options = {"sparsity": 0.5, "pattern": pattern, "data": images(8), "allocation": "uniform"}
    found = {
        kind: pruned(dense, saliency=kind, **options)[0]
        for kind in ("reconstruction", "diagonal", "magnitude", None)
    }
    assert found["reconstruction"] == found[None]
    assert len(set(found.values())) == 3


def test_second_order_saliency_is_the_error_after_the_best_refit(monkeypatch) -> None:
    random = np.random.default_rng(4)
    weights = random.normal(size=(1, 6)).astype(np.float32)
    x = random.normal(size=(6, 6)) @ random.normal(size=(6, 400))
    covariance = x @ x.T
    monkeypatch.setattr(saliency, "DAMPING", 1e-12)
    monkeypatch.setattr(saliency, "SHRINKAGE", 0)
    costs = saliency.second_order(weights, covariance, 400, Pattern(1, 2))
    for block in range(3):
        others = [column for column in range(6) if column // 2 != block]
        _, residual, *_ = np.linalg.lstsq(x[others].T, (weights @ x)[0])
        assert costs[0, 2 * block : 2 * block + 2].sum() == pytest.approx(residual[0], rel=1e-4)


def test_moments_are_those_of_what_a_convolution_reads() -> None:
    graph = read.read_graph(zoo.build("mobilenet_v1", sparsity=0.0, **SIZE), "")
    node = next(n for n in graph.nodes if n.op == "conv" and n.attributes["groups"] == 1)
    (image,) = images(1)
    stage = Stage(graph, [{"image": image}])
    seen = moments(stage, stage, [node.name])[node.name]
    padded = np.pad(image[0], ((0, 0), (1, 1), (1, 1)))
    columns = [
        padded[:, 2 * r : 2 * r + 3, 2 * c : 2 * c + 3].ravel()
        for r in range(16)
        for c in range(16)
    ]
    columns = np.concatenate([np.array(columns).T, np.ones((1, 256))])
    np.testing.assert_allclose(seen.dense, columns @ columns.T, rtol=1e-5, atol=1e-3)
    assert seen.count == 256
    assert seen.samples == activations.SAMPLES_OF_AN_IMAGE


@pytest.mark.parametrize("from_average_on", [False, True])
def test_a_layer_that_reads_averages_is_shown_the_pixels_of_each(from_average_on: bool) -> None:
    content = zoo.build("mobilenet_v1", sparsity=0.0, **SIZE | {"resolution": 96})
    graph = read.read_graph(content, "")
    node = [n for n in graph.nodes if pack.has_matrix(n)][-1]
    average = next(n for n in graph.nodes if n.op == "global_average_pool")
    random = np.random.default_rng(0)
    inputs = [{"image": random.normal(size=(1, 3, 96, 96)).astype(np.float32)} for _ in range(3)]
    stage = whole = Stage(graph, inputs)
    if from_average_on:
        stage = whole.before(node.name)
        assert stage.graph.nodes[0] is average
    seen = moments(stage, stage, [node.name])[node.name]
    (averaged,) = whole.before(average.name).graph.inputs
    pixels = [values[averaged.name] for values in whole.before(average.name).inputs]
    columns = np.concatenate([image.reshape(averaged.shape[1], 9) for image in pixels], axis=1)
    columns = np.concatenate([columns, np.ones((1, 27))])
    np.testing.assert_allclose(seen.dense, columns @ columns.T, rtol=1e-4, atol=1e-4)


def test_pixels_are_shown_where_a_branch_lies_between_an_average_and_its_layer() -> None:
    g = GraphBuilder(x=(1, 3, 6, 6))
    y = g.conv("x", 8, 3)
    average = g.mean(y, keepdims=1)
    branch = g.conv(y, 8, 8)
    graph, _ = one_shot.read_network(g.model(branch, g.conv(average, 4, 8)), {})
    _, between, last = (node.name for node in graph.nodes if pack.has_matrix(node))
    stage = Stage(graph, [{"x": image} for image in small_images(3)]).before(between)
    assert list(stage.graph.inputs) != list(graph.inputs)
    assert moments(stage, stage, [last])[last].count == 3 * 36


def test_values_of_one_name_are_not_mixed_up() -> None:
    graph = read.read_graph(zoo.build("mobilenet_v2", sparsity=0.0, **SIZE), "")
    node = next(n for n in graph.nodes if n.op == "conv" and len(n.inputs) > 3)
    stage = Stage(graph, [{"image": image} for image in images(2)])
    assert stage.before(node.name) is not stage
    skipped = next(n for n in graph.nodes if n.output is node.inputs[3])
    skipped.output.name = node.inputs[0].name
    assert stage.before(node.name) is stage


@pytest.mark.parametrize("names", ["abcde", "abbbe", "bbbbb"])
def test_layers_of_one_name_are_not_mixed_up(names: str, tmp_path: Path) -> None:
    """Names are for people: exporters repeat them, and one node may become several."""

    def weights_of(names: str) -> list[np.ndarray]:
        g = GraphBuilder(13, x=(1, 6, 8, 16))
        g.random = np.random.default_rng(3)
        x = g.node("Conv", "x", g.weights(8, 6, 1, 1), g.weights(8), name=names[0])
        for name in names[1:4]:
            x = g.node("Relu", g.node("Conv", x, g.weights(8, 8, 1, 1), g.weights(8), name=name))
        # of matrices: also reshapes, before and behind
        x = g.node("Relu", g.node("MatMul", x, g.weights(16, 16), name=names[4]))
        x = g.node("MatMul", x, g.weights(16, 5), name=names[4])
        random, target = np.random.default_rng(4), tmp_path / "out.goss"
        inputs = [random.normal(size=(1, 6, 8, 16)).astype(np.float32) for _ in range(12)]
        gossamer.prune(g.model(x), target, sparsity=0.5, data=inputs, allocation="uniform")
        graph = read.read_graph(target.read_bytes(), "")
        return [node.inputs[1].data for node in graph.nodes if pack.has_matrix(node)]

    for found, wanted in zip(weights_of(names), weights_of("abcde"), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_moments_know_what_is_missing_beside_a_layer() -> None:
    content = zoo.build("mobilenet_v2", sparsity=0.0, **SIZE)
    before, after = (read.read_graph(content, "") for _ in range(2))
    node = next(n for n in after.nodes if n.op == "conv" and len(n.inputs) > 3)
    after.nodes[0].inputs[1].data = after.nodes[0].inputs[1].data * np.float32(0.9)
    inputs = [{"image": image} for image in images(5)]
    stages = [Stage(graph, inputs).before(node.name) for graph in (before, after)]
    short = moments(*stages, [node.name])[node.name].shortfall
    twin = next(n for n in before.nodes if n.name == node.name)
    expected = 0
    for old, new in zip(*(stage.inputs for stage in stages), strict=True):
        pixels = new[node.inputs[0].name].reshape(node.inputs[0].shape[1], -1)
        difference = old[twin.inputs[3].name] - new[node.inputs[3].name]
        ones = np.ones((1, pixels.shape[1]))
        expected += difference.reshape(-1, pixels.shape[1]) @ np.concatenate([pixels, ones]).T
    np.testing.assert_allclose(short, expected, rtol=1e-4, atol=1e-3)
    assert np.abs(expected).max() > 1


@pytest.mark.parametrize("most_bytes", [0, 30_000, 2**30], ids=["none", "some", "all"])
def test_a_network_run_up_to_each_layer_reads_what_the_whole_one_reads(
    most_bytes: int, monkeypatch
) -> None:
    monkeypatch.setattr(activations, "MOST_BYTES", most_bytes)
    graph = read.read_graph(zoo.build("mobilenet_v2", sparsity=0.0, **SIZE), "")
    names = [n.name for n in graph.nodes if n.op == "conv" and n.attributes["groups"] == 1]
    whole = stage = Stage(graph, [{"image": image} for image in images(6)])
    expected = moments(whole, whole, names)
    nodes = []
    for name in names:
        stage = stage.before(name)
        nodes.append(len(stage.graph.nodes))
        found = moments(stage, stage, [name])[name]
        np.testing.assert_allclose(found.dense, expected[name].dense, rtol=1e-6, atol=1e-4)
    assert nodes == sorted(nodes, reverse=True)
    assert (len(set(nodes)) == 1) == (most_bytes == 0)


def test_layers_can_be_left_out_and_wrong_names_are_named(dense: Path) -> None:
    _, everything = pruned(dense, sparsity=0.5)
    name = everything.layers[0].name
    _, report = pruned(dense, sparsity=0.5, exclude=[name])
    assert len(report.layers) == len(everything.layers) - 1
    with pytest.raises(gossamer.InputError, match="'nonsense' is no layer"):
        pruned(dense, sparsity=0.5, exclude=["nonsense"])


def test_a_budget_weighs_layers_by_how_they_move_the_output(dense: Path) -> None:
    _, measured = pruned(dense, speedup=1.3, data=images(3))
    assert any("was measured with 2 inputs" in note for note in measured.notes)
    _, guessed = pruned(dense, speedup=1.3)
    assert any("taken to move the output alike" in note for note in guessed.notes)
    _, uniform = pruned(dense, sparsity=0.3, data=images(3), allocation="uniform")
    assert not any("output" in note for note in uniform.notes), "no layer was weighed"


def test_sensitivity_is_measured_with_some_of_the_inputs(dense: Path) -> None:
    steps = []
    _, report = pruned(
        dense, sparsity=0.3, data=images(40), progress=lambda *step: steps.append(step)
    )
    assert any("was measured with 20 inputs" in note for note in report.notes)
    layers = len(gossamer.prune(dense, None, sparsity=0.3).layers) + 1  # the last one is weighed
    assert [step for step in steps if step[0] == "measuring sensitivity"] == [
        ("measuring sensitivity", done, layers) for done in range(1, layers + 1)
    ]


def test_sensitivity_is_measured_with_inputs_that_nothing_was_fitted_to(
    dense: Path, monkeypatch
) -> None:
    fitted, measured = [], []
    look, measure = one_shot.activations.moments, one_shot.sensitivity.measure

    def moments_of(before, now, layers, progress):
        fitted.append(now.inputs)
        return look(before, now, layers, progress)

    def measure_with(graph, prune, saliencies, inputs, **options):
        measured.append(inputs)
        return measure(graph, prune, saliencies, inputs, **options)

    monkeypatch.setattr(one_shot.activations, "moments", moments_of)
    monkeypatch.setattr(one_shot.sensitivity, "measure", measure_with)
    pruned(dense, sparsity=0.3, data=images(5))
    everything, others, *_ = fitted
    assert (len(everything), len(others), len(measured[0])) == (5, 2, 3)
    assert not {id(values) for values in others} & {id(values) for values in measured[0]}
    _, report = pruned(dense, sparsity=0.3, data=images(1))
    assert any("1 inputs, the same that" in note for note in report.notes)


def test_a_share_that_cannot_be_reached_by_cost_is_refused_with_the_way_out() -> None:
    model = chain((8, 3), (8, 8), (8, 8), size=2)
    inputs = [RANDOM.normal(size=(1, 3, 2, 2)).astype(np.float32) for _ in range(4)]
    with pytest.raises(gossamer.InputError, match="are reachable .*allocation 'uniform'"):
        gossamer.prune(model, None, sparsity=0.99, pattern="1x1", data=inputs)


def test_a_share_of_zeros_is_reached_in_the_pattern_that_is_asked_for(dense: Path) -> None:
    _, report = pruned(dense, sparsity=0.3, pattern="2x1", allocation="cost")
    assert {layer.pattern for layer in report.layers} == {"2x1"}
    assert 0.3 <= report.zeros < 0.32, "of all layers to choose from"


def chain(*weights: tuple[int, ...] | str, size: int = 6) -> onnx.ModelProto:
    """Pointwise convolutions, one behind the other; a name takes those weights again."""
    g = GraphBuilder(13, x=(1, 3, size, size))
    g.random = np.random.default_rng(5)
    x = "x"
    for shape in weights:
        name = shape if isinstance(shape, str) else g.weights(*shape, 1, 1)
        x = g.node("Relu", g.node("Conv", x, name, g.weights(weights[0][0])))
    return g.model(x)


def small_images(count: int) -> list[np.ndarray]:
    return [RANDOM.normal(size=(1, 3, 6, 6)).astype(np.float32) for _ in range(count)]


def test_blocks_that_do_not_fit_are_smaller_at_the_end_and_noted() -> None:
    report = gossamer.prune(
        chain((8, 3), (8, 8), (8, 8)), None, sparsity=0.5, pattern="3x1", allocation="uniform",
        data=small_images(4),
    )  # fmt: skip
    (layer,) = report.layers
    assert any("blocks of 3x1 do not divide 8 × 8" in note for note in report.notes)
    assert 0.5 <= layer.zeros < 0.6


def test_weights_that_two_places_share_are_pruned_once_for_both(tmp_path: Path) -> None:
    target, shared = tmp_path / "shared.goss", "constant_2"
    model, inputs = chain((8, 3), (8, 8), shared, (8, 8)), small_images(12)
    options = {"pattern": "2x1", "allocation": "uniform", "data": inputs}
    report = gossamer.prune(model, target, sparsity=0.5, **options)
    (layer,) = report.layers
    assert any("share their weights" in note for note in report.notes)
    assert layer.error < layer.error_before
    nodes = read.read_graph(target.read_bytes(), "").nodes
    _, first, second, _ = (node.inputs[1].data for node in nodes if node.op == "conv")
    np.testing.assert_array_equal(first, second)
    assert np.mean(first == 0) == layer.zeros


def test_weights_that_two_places_share_save_time_in_both() -> None:
    model = chain((64, 3), (64, 64), "constant_2", (64, 64), size=28)
    with pytest.raises(gossamer.InputError, match=r"fastest reachable is [0-9.]+ ms") as error:
        gossamer.prune(model, None, seconds=1e-7)
    fastest = float(str(error.value).split("fastest reachable is ")[1].split(" ms")[0])
    report = gossamer.prune(model, None, seconds=1.001e-3 * fastest)
    assert report.milliseconds == pytest.approx(fastest, rel=0.002)


def test_a_single_black_picture_is_too_little_but_does_no_harm(tmp_path: Path) -> None:
    """Nothing of what layers read varies, so weights go by damping alone."""
    target, black = tmp_path / "black.goss", np.zeros((1, 3, 2, 2), np.float32)
    model = chain((8, 3), (8, 8), (8, 8), size=2)
    report = gossamer.prune(model, target, sparsity=0.5, data=[black], allocation="uniform")
    assert any("few images (1) for 8 weights" in note for note in report.notes)
    (output,) = gossamer.InferenceSession(target).run(None, {"x": black})
    assert np.isfinite(output).all()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"sparsity": 1.0}, "sparsity: 0 to below 1"),
        ({"sparsity": 0.5, "pattern": "4by1"}, "pattern: such as 1x1"),
        ({"sparsity": 0.5, "speedup": 2.0}, "one of sparsity, seconds, speedup"),
        ({}, "one of sparsity, seconds, speedup"),
        ({"sparsity": 0.5, "allocation": "fair"}, "allocation: uniform"),
        ({"speedup": 2.0, "allocation": "global"}, "'cost' for a budget of time"),
        ({"sparsity": 0.5, "saliency": "size"}, "saliency: reconstruction, diagonal"),
        ({"sparsity": 0.5, "saliency": "diagonal"}, "'diagonal' needs data"),
        ({"sparsity": 0.5, "exclude": "nonsense"}, "'nonsense' is no layer"),
        ({"sparsity": 0.5, "limit": 0}, "limit: at least 1"),
        ({"sparsity": 0.5, "data": []}, "at least one picture or array"),
        (
            {"sparsity": 0.5, "data": [np.zeros((1, 3, 4, 4), np.float32)]},
            r"shape \[1, 3, 32, 32\]",
        ),
        ({"sparsity": 0.5, "target": "abacus"}, "abacus"),
        ({"sparsity": 0.5, "weights": "bf16"}, "weights: 'f32' or 'f16'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(dense: Path, options, message) -> None:
    with pytest.raises(gossamer.InputError, match=message):
        gossamer.prune(dense, None, **options)


def test_weights_that_are_not_finite_are_refused() -> None:
    g = GraphBuilder(13, x=(1, 3, 4, 4))
    g.random = np.random.default_rng(0)
    x = g.node("Conv", "x", g.weights(4, 3, 1, 1))
    x = g.node("Conv", x, g.weights(4, 4, 1, 1))
    model = g.model(g.node("Conv", x, g.weights(4, 4, 1, 1)))
    broken = onnx.numpy_helper.to_array(model.graph.initializer[1]).copy()
    broken.flat[0] = np.nan
    name = model.graph.initializer[1].name
    model.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(broken, name))
    with pytest.raises(gossamer.ModelError, match="finite numbers expected"):
        gossamer.prune(model, None, sparsity=0.5)


def test_a_model_without_prunable_layers_is_refused() -> None:
    g = GraphBuilder(13, x=(1, 3, 4, 4))
    g.random = np.random.default_rng(0)
    model = g.model(g.node("Conv", "x", g.weights(4, 3, 1, 1)))
    with pytest.raises(gossamer.InputError, match="no layer to prune"):
        gossamer.prune(model, None, sparsity=0.5)


def test_the_command_prunes_and_reports(dense: Path, tmp_path: Path, capsys) -> None:
    target = tmp_path / "out.goss"
    assert cli.main(["prune", str(dense), str(target), "--sparsity", "0.5"]) == 0
    printed = capsys.readouterr().out
    assert "times as fast" in printed and "saliency kept" in printed
    arguments = ["prune", str(dense), str(target), "--speedup", "1.2", "--json"]
    assert cli.main(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["file_bytes"] == target.stat().st_size
    assert report["milliseconds"] < report["milliseconds_before"]
    assert cli.main(["prune", str(dense), str(target), "--latency", "soon"]) == 1
    assert "such as 12ms" in capsys.readouterr().err


def test_the_embedded_model_is_calibrated_with_pictures(
    data: Path, tmp_path: Path, root: Path
) -> None:
    model = root / "runtime/gossamer/models/cifar10-mobilenet.goss"
    target = tmp_path / "out.goss"
    pictures = data / "cifar10-train.tar"
    options = {"pattern": "1x1", "allocation": "uniform", "limit": 32}
    gossamer.prune(model, target, sparsity=0.87, data=pictures, **options)
    session = gossamer.InferenceSession(target)
    validation = data / "cifar10-validation.tar"
    before = gossamer.evaluate(gossamer.load_model("cifar10-mobilenet"), validation, limit=200)
    assert gossamer.evaluate(session, validation, limit=200).top1 > before.top1 - 0.1
