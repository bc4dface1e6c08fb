"""Pruning a trained network at once, without training it further."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..convert import halves, lower, pack, prediction, write
from ..convert.cost_model import CostModel
from ..convert.cost_model import load as load_costs
from ..convert.ir import Graph, Node, Value
from ..convert.network import read_network, samples
from ..errors import InputError
from . import activations, reconstruction, saliency, sensitivity
from .activations import Moments, Stage
from .allocation import PATTERNS, allocate
from .channels import ChannelMap
from .pattern import Pattern, element_saliency, keep_mask, share
from .plan import LayerPlan, below_one_threshold
from .rearrangement import rearrange
from .report import LayerReport, PruneReport
from .sensitivity import ErrorCurve
from .spaces import Layer, pose

ALLOCATIONS = ("uniform", "global", "cost")
__all__ = ["Budget", "load_costs", "quiet", "run"]
MOST_MEASURED = 32  # inputs with which sensitivity is measured

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Budget:
    """How much is to go, and where: the arguments of `gossamer.prune`."""

    pattern: str | None
    sparsity: float | None
    allocation: str | None
    seconds: float | None
    speedup: float | None

    def __post_init__(self) -> None:
        asked = {"sparsity": self.sparsity, "seconds": self.seconds, "speedup": self.speedup}
        given = [name for name, value in asked.items() if value is not None]
        if len(given) != 1:
            raise InputError(
                f"one of sparsity, seconds, speedup expected, found {len(given)} of them"
            )
        if self.sparsity is not None and not 0 <= self.sparsity < 1:
            raise InputError(f"sparsity: 0 to below 1 expected, found {self.sparsity!r}")
        if self.allocation not in (ALLOCATIONS if given[0] == "sparsity" else (None, "cost")):
            raise InputError(
                f"allocation: {', '.join(ALLOCATIONS)} expected, and 'cost' for a budget of time; "
                f"found {self.allocation!r}"
            )

    @property
    def blocks(self) -> Pattern:
        """The pattern; the default one also where others may be chosen."""
        return Pattern.parse(self.pattern or "4x1")

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """Those to choose from."""
        return PATTERNS if self.sparsity is None and not self.pattern else (self.blocks,)

    @property
    def weighs_layers(self) -> bool:
        """Whether what layers lose is weighed against what they gain."""
        return self.sparsity is None or self.allocation == "cost"


@dataclass
class _Weights:
    """A layer that is pruned, or refitted at least; several nodes may share its weights."""

    value: Value
    nodes: list[Node]
    before: np.ndarray
    scores: bool = False  # whether it gives the network's answer
    whole: bool = False  # whether all its weights stay, whatever the budget
    plan: LayerPlan | None = None  # what is to go; None: nothing
    kept_in_place: float = 1.0
    errors: tuple[float | None, float | None] = (None, None)

    @property
    def name(self) -> str:
        return self.nodes[0].name


@dataclass
class _Job:
    """One network on its way."""

    graph: Graph
    dense: Graph
    layers: list[_Weights]
    inputs: list[dict[str, np.ndarray]]
    progress: Progress
    notes: list[str] = field(default_factory=list)

    @property
    def pruned(self) -> list[_Weights]:
        """Those of the layers that lose weights."""
        return [layer for layer in self.layers if layer.plan]

    @property
    def zeros(self) -> float:
        """Share of zeros in all layers that a budget is for."""
        weights = [layer.value.data for layer in self.layers if not layer.whole]
        return sum(int((w == 0).sum()) for w in weights) / sum(w.size for w in weights)

    @property
    def changing(self) -> list[_Weights]:
        """Those that are refitted: also scores that make up for what is lost before them."""
        return [layer for layer in self.layers if layer.plan or (layer.scores and self.pruned)]

    def moments(
        self, layers: Sequence[_Weights], dense: Stage, now: Stage, what: str
    ) -> dict[str, Moments]:
        """Look at what layers read, by the layers' names."""
        names = [node.name for layer in layers for node in layer.nodes]
        pictures = len(now.inputs)
        seen = activations.moments(
            dense, now, names, lambda done: self.progress(what, done, pictures)
        )
        return {
            layer.name: sum((seen[n.name] for n in layer.nodes[1:]), seen[layer.name])
            for layer in layers
        }


def run(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str] | None,
    *,
    budget: Budget,
    data: Any,
    limit: int,
    rearranged: bool,
    refitted: bool,
    exclude: Sequence[str],
    salience: str | None,
    costs: CostModel,
    metadata: Mapping[str, str],
    weights: str,
    progress: Progress,
) -> PruneReport:
    """Do what `gossamer.prune` says."""
    if limit < 1:
        raise InputError(f"limit: at least 1 expected, found {limit!r}")
    halved = halves.are_asked(weights)
    kind = saliency.kind_of(salience, calibrated=data is not None)
    graph, texts = read_network(src, metadata)
    layers = _prunable(graph, exclude, last=budget.weighs_layers)
    before = prediction.predict(graph, costs).seconds
    inputs = [] if data is None else samples(graph, texts, data, limit)
    refitted = refitted and bool(inputs)
    layers = [layer for layer in layers if refitted or not layer.whole]
    job = _Job(graph, copy.deepcopy(graph), layers, inputs, progress)
    _note_shared_weights(job)
    seen = _look(job)
    rule = saliency.Rule(kind, budget.blocks, seen)
    saliencies = {
        layer.name: rule.of(layer.name, layer.before) for layer in layers if not layer.whole
    }
    curves = _curves(job, saliencies, budget.blocks, refitted) if budget.weighs_layers else None
    _take_plans(job, _plan(job, saliencies, budget, costs, curves))
    in_place = saliencies
    if rearranged:
        saliencies = _rearrange(job, rule, saliencies)
    for node in graph.nodes:
        for value in node.inputs:
            value.pattern = None  # the storage is chosen anew
    if budget.speedup:
        budget = replace(budget, speedup=None, seconds=before / budget.speedup)
    if rearranged and budget.weighs_layers and _misses(job, saliencies, budget, costs):
        # Zeros that were there lie in other blocks now, or scores are put back.
        _take_plans(job, _plan(job, saliencies, budget, costs, curves))
    for layer in job.pruned:
        layer.kept_in_place = _kept_share(in_place[layer.name], layer.plan)
    _note_partial_blocks(job)
    if refitted:
        _refit(job, saliencies)
    else:
        _zero(job, saliencies)
    if halved:
        halves.round_weights(graph)
    content = lower.lower(graph, texts, costs)
    if dst is not None:
        write.write_atomically(content, dst)
    after = prediction.predict(graph, costs).seconds
    return _report(job, saliencies, before, after, costs, len(content))


def quiet(what: str, done: int, total: int) -> None:
    """Say nothing of the progress."""


# ---- What there is ------------------------------------------------------------------------------


def _prunable(graph: Graph, exclude: Sequence[str], last: bool) -> list[_Weights]:
    """List the layers that may change; whether the last one may be pruned is up to the caller."""
    nodes = [node for node in graph.nodes if pack.has_matrix(node)]
    names = {node.name for node in nodes}
    exclude = (exclude,) if isinstance(exclude, str) else exclude
    for name in exclude:
        if name not in names:
            raise InputError(
                f"exclude: '{name}' is no layer of {graph.source} that could be pruned; these are: "
                f"{', '.join(sorted(names)) or 'none'}"
            )
    first, whole = ({node.inputs[1] for node in ends} for ends in (nodes[:1], nodes[-1:]))
    layers: dict[Value, _Weights] = {}
    for node in nodes:
        value = node.inputs[1]
        if value not in first and node.op != "conv_pixels":
            layer = _Weights(value, [], value.data, whole=not last and value in whole)
            layers.setdefault(value, layer).nodes.append(node)
    chosen = [
        layer for layer in layers.values() if not {node.name for node in layer.nodes} & {*exclude}
    ]
    scoring = _scoring(graph)
    for layer in chosen:
        layer.scores = not scoring.isdisjoint(layer.nodes)
    if all(layer.whole for layer in chosen):
        raise InputError(
            f"{graph.source}: no layer to prune: of {len(nodes)} convolutions without groups and "
            f"fully connected layers the first {'is' if last else 'and the last are'} left out, "
            "and those excluded"
        )
    return chosen


def _scoring(graph: Graph) -> set[Node]:
    """Find the nodes that score whole inputs.

    Their outputs have one pixel, and are the network's, laid out anew or as probabilities at most.
    """
    found = set()
    for value in graph.outputs.values():
        node = graph.producer(value, through=("flatten", "reshape", "softmax", "take"))
        if node and math.prod(node.output.shape) == math.prod(node.output.shape[:2]):
            found.add(node)
    return found


def _note_shared_weights(job: _Job) -> None:
    for layer in job.layers:
        if len(layer.nodes) > 1:
            names = ", ".join(node.name for node in layer.nodes)
            job.notes.append(f"{names}: share their weights, which are pruned once")


# ---- What goes ----------------------------------------------------------------------------------


def _look(job: _Job) -> dict[str, Moments]:
    """Look at what the layers read, if there are inputs."""
    if not job.inputs:
        job.notes.append(
            "without calibration data weights went by their size alone, and none was refitted"
        )
        return {}
    whole = Stage(job.graph, job.inputs)
    seen = job.moments(job.layers, whole, whole, "looking at activations")
    for layer in job.layers:
        images, weights = seen[layer.name].images, layer.before[0].size
        if seen[layer.name].samples < weights:
            job.notes.append(
                f"{layer.name}: calibrated with few images ({images}) for {weights} weights a row; "
                "more would fit it better"
            )
    return seen


def _plan(
    job: _Job,
    saliencies: Mapping[str, np.ndarray],
    budget: Budget,
    costs: CostModel,
    curves: Mapping[str, ErrorCurve] | None,
) -> Mapping[str, LayerPlan]:
    """Say what is to go of each layer."""
    if not budget.weighs_layers:
        return _plan_alike(saliencies, budget)
    chosen = allocate(
        job.graph,
        saliencies,
        costs,
        seconds=budget.seconds,
        speedup=budget.speedup,
        sparsity=budget.sparsity,
        patterns=budget.patterns,
        error_curves=curves,
    )
    if chosen.note:
        job.notes.append(chosen.note)
    return chosen.plans


def _plan_alike(saliencies: Mapping[str, np.ndarray], budget: Budget) -> dict[str, LayerPlan]:
    shares = [budget.sparsity] * len(saliencies)
    if budget.allocation == "global":
        patterns = [budget.blocks] * len(saliencies)
        shares = below_one_threshold(list(saliencies.values()), patterns, budget.sparsity)
    plans = (LayerPlan(budget.blocks, share) for share in shares)
    return dict(zip(saliencies, plans, strict=True))


def _curves(
    job: _Job, saliencies: Mapping[str, np.ndarray], pattern: Pattern, refitted: bool
) -> dict[str, ErrorCurve] | None:
    """Measure how the output moves as each layer alone is pruned.

    Weights are refitted to other inputs than those they are measured with: to their own ones they
    always fit well, and best where weights are many and samples few, in the last layers.
    """
    if not job.inputs:
        job.notes.append("without calibration data all layers were taken to move the output alike")
        return None
    measured, others = _split(job)
    whole = Stage(job.graph, others)
    seen = job.moments(job.layers, whole, whole, "looking at activations to measure with")
    layers = {layer.name: layer for layer in job.layers}

    def prune(node: Node, sparsity: float) -> tuple[np.ndarray, np.ndarray]:
        layer, bias = layers[node.name], node.inputs[2].data
        keep = _keep(layer.before, saliencies[node.name], LayerPlan(pattern, sparsity))
        if not refitted:
            return layer.before * keep, bias
        # Scores that vary more than they did are further off, but in a better order.
        fitted = _fitted(layer, keep, seen[node.name], scores=False)
        return fitted, reconstruction.corrected_bias(bias, layer.before, fitted, seen[node.name])

    return sensitivity.measure(
        job.graph,
        prune,
        saliencies,
        measured,
        progress=lambda done, total: job.progress("measuring sensitivity", done, total),
    )


def _split(job: _Job) -> tuple[list[dict[str, np.ndarray]], list[dict[str, np.ndarray]]]:
    """Choose inputs to measure sensitivity with, and those to fit to: the others."""
    step = max(2, -(-len(job.inputs) // MOST_MEASURED))
    measured = job.inputs[::step]
    others = [values for number, values in enumerate(job.inputs) if number % step]
    note = f"how much each layer moves the output was measured with {len(measured)} inputs"
    if not others:
        others, note = measured, f"{note}, the same that weights were fitted to"
    job.notes.append(note)
    return measured, others


def _take_plans(job: _Job, plans: Mapping[str, LayerPlan]) -> None:
    """Say of each layer what is to go."""
    for layer in job.layers:
        plan = plans.get(layer.name)
        layer.plan = plan if plan and plan.sparsity > 0 else None


def _note_partial_blocks(job: _Job) -> None:
    for layer in job.pruned:
        if not layer.plan.pattern.divides(layer.before.shape):
            job.notes.append(
                f"{layer.name}: blocks of {layer.plan.pattern} do not divide "
                f"{' × '.join(map(str, layer.before.shape[:2]))} weights; the last ones are smaller"
            )


def _rearrange(
    job: _Job, rule: saliency.Rule, saliencies: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Move channels in the network and in its dense twin; give the saliencies then.

    Scores may move, too, where they lie in blocks: classes that need the same inputs are often
    those that are hard to tell apart, and what a block loses then moves them alike.

    What a block of several columns costs depends on how its columns go together, so channels are
    grouped by what each weight costs alone, and the blocks are weighed anew.
    """
    loose = [layer.name for layer in job.pruned if _groups_scores(layer)]
    channels, twin = ChannelMap(job.graph, loose), ChannelMap(job.dense, loose)
    layers = []
    for layer in job.pruned:
        values = saliencies[layer.name]
        if not rule.counts_columns_alone:
            values = rule.of_single_columns(layer.name, layer.before)
        asked = element_saliency(values), layer.plan.pattern, layer.plan.sparsity
        layers.append(Layer(layer.name, *channels.axes(layer.value), *asked))
    spaces, matrices = pose(channels.spaces, layers)
    job.progress("rearranging channels", 0, 1)
    orders = rearrange(spaces, matrices)
    job.progress("rearranging channels", 1, 1)
    twin.reorder(orders)
    job.notes += [
        f"{name}: its outputs were moved, too; a `take` behind it puts them back"
        for name in channels.reorder(orders)
    ]
    moved = {}
    for layer in job.layers:
        layer.before = layer.value.data
        if layer.name in saliencies:
            rows, columns = (
                channels.spaces.places(axis, orders) for axis in channels.axes(layer.value)
            )
            moved[layer.name] = rule.moved(
                saliencies[layer.name].take(rows, 0), columns, layer.name, layer.before
            )
    return moved


def _misses(
    job: _Job, saliencies: Mapping[str, np.ndarray], budget: Budget, costs: CostModel
) -> bool:
    """Whether what is to go does not meet a budget where channels lie now."""
    _zero(job, saliencies)
    seconds, zeros = prediction.predict(job.graph, costs).seconds, job.zeros
    for layer in job.pruned:
        layer.value.data = layer.before
    return zeros < budget.sparsity if budget.seconds is None else seconds > budget.seconds


def _groups_scores(layer: _Weights) -> bool:
    """Whether a layer's outputs are the network's, and weights of several of them go together."""
    return layer.scores and layer.plan.pattern.rows > 1 and len(layer.nodes) == 1


def _kept_share(values: np.ndarray, plan: LayerPlan) -> float:
    """Share of the saliency that stays."""
    return share(values, keep_mask(values, plan.pattern, plan.sparsity))


def _zero(job: _Job, saliencies: Mapping[str, np.ndarray]) -> None:
    for layer in job.pruned:
        keep = _keep(layer.before, saliencies[layer.name], layer.plan)
        layer.value.data = layer.before * keep


def _keep(weights: np.ndarray, values: np.ndarray, plan: LayerPlan) -> np.ndarray:
    """Which weights stay: of the most salient blocks, those that are not zero already."""
    return keep_mask(values, plan.pattern, plan.sparsity) & (weights != 0)


# ---- What stays ---------------------------------------------------------------------------------


def _refit(job: _Job, saliencies: Mapping[str, np.ndarray]) -> None:
    """Prune and refit layer by layer: each reads what those before it compute by then."""
    dense, now = Stage(job.dense, job.inputs), Stage(job.graph, job.inputs)
    for number, layer in enumerate(job.changing, start=1):
        dense, now = dense.before(layer.name), now.before(layer.name)
        what = f"refitting layer {number} of {len(job.changing)}"
        moments = job.moments([layer], dense, now, what)
        _refit_layer(layer, saliencies.get(layer.name), moments[layer.name])
        if not layer.plan:
            job.notes.append(
                f"{layer.name}: keeps all weights, refitted to what is left of its inputs"
            )


def _fitted(layer: _Weights, keep: np.ndarray, moments: Moments, scores: bool) -> np.ndarray:
    fitted = reconstruction.refit(layer.before, keep, moments)
    if scores:
        return reconstruction.restored_slope(layer.before, fitted, moments)
    return reconstruction.restored_variance(layer.before, fitted, moments)


def _refit_layer(layer: _Weights, values: np.ndarray | None, moments: Moments) -> None:
    keep = _keep(layer.before, values, layer.plan) if layer.plan else layer.before != 0
    fitted = _fitted(layer, keep, moments, layer.scores)
    layer.errors = (
        reconstruction.relative_error(layer.before, layer.before * keep, moments),
        reconstruction.relative_error(layer.before, fitted, moments),
    )
    layer.value.data = fitted
    for bias in {node.inputs[2] for node in layer.nodes}:
        bias.data = reconstruction.corrected_bias(bias.data, layer.before, fitted, moments)


# ---- What is said -------------------------------------------------------------------------------


def _report(
    job: _Job,
    saliencies: Mapping[str, np.ndarray],
    before: float,
    after: float,
    costs: CostModel,
    file_bytes: int,
) -> PruneReport:
    reports = []
    for layer in job.pruned:
        values, keep = saliencies[layer.name], layer.value.data != 0
        node = layer.nodes[0]
        choice = pack.choose_storage(
            layer.value.data,
            pack.use_of_input(node, 1),
            costs,
            area=prediction.area(node, costs),
        )
        reports.append(
            LayerReport(
                name=layer.name,
                shape=tuple(layer.before.shape),
                pattern=str(layer.plan.pattern),
                sparsity=layer.plan.sparsity,
                zeros=float(np.mean(~keep)),
                kept=share(values, keep),
                kept_in_place=layer.kept_in_place,
                error_before=layer.errors[0],
                error=layer.errors[1],
                storage=choice.reason,
            )
        )
    return PruneReport(
        layers=tuple(reports),
        zeros=job.zeros,
        milliseconds_before=1000 * before,
        milliseconds=1000 * after,
        target=costs.target,
        file_bytes=file_bytes,
        notes=tuple(dict.fromkeys([*job.notes, *([costs.caveat] if costs.caveat else [])])),
    )
