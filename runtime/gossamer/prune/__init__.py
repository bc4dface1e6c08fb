"""Pruning trained networks in the blocks that the engine runs fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import MissingDependencyError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .report import PruneReport

__all__ = ["prune"]


def prune(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str] | None,
    *,
    sparsity: float | None = None,
    pattern: str | None = None,
    data: str | os.PathLike[str] | Iterable[Any] | None = None,
    limit: int = 256,
    allocation: str | None = None,
    seconds: float | None = None,
    speedup: float | None = None,
    rearrange: bool = True,
    reconstruct: bool = True,
    exclude: Sequence[str] = (),
    saliency: str | None = None,
    target: str = "wasm_relaxed",
    costs: str | os.PathLike[str] | None = None,
    metadata: Mapping[str, str] | None = None,
    weights: str = "f32",
    progress: Callable[[str, int, int], None] | None = None,
) -> PruneReport:
    """Prune a network in blocks that run fast, and refit what stays.

    Channels are rearranged first, so that the blocks lose less; the network computes the same after
    that: where the scores of a last layer have moved, too, a `take` puts them back. Then the least
    salient blocks of each layer go, and the weights that stay are fitted to what the layer computed
    before (least squares on what it reads), and scaled so that each channel varies as much as it
    did, and scores rise as much, layer by layer from the input to the output. Convolutions without
    groups and fully connected layers are pruned, except the first and the last of them: they take
    little time, and the output depends on each of their weights. The last one is pruned, too, where
    layers are weighed against each other ("cost", `seconds`, `speedup`). Where it keeps all weights
    and gives scores, it is refitted to what is left of what it reads.

    Parameters
    ----------
    src
        An ``.onnx``, ``.tflite`` or ``.goss`` file. What is zero in it stays zero, and counts.
    dst
        The ``.goss`` file to write. It appears complete or not at all. None writes nothing.
    sparsity
        Share of the layers' weights, 0 to below 1, that is to be zero.
    pattern
        Output x input channels that live or die together: "1x1", "2x1", "4x1", "8x1", ... Where it
        does not divide a layer, the last blocks are smaller. None: "4x1", or with a budget of time
        N x 1 as it suits each layer.
    data
        What to calibrate with: a folder or tar file of pictures, or arrays like the model's input.
        Without it, weights go by their size alone, and none is refitted; a budget takes all layers
        to move the output alike, instead of measuring how much each does.
    limit
        Take at most so many pictures or arrays.
    allocation
        How `sparsity` is spread over the layers. "uniform": alike. "global": one threshold of
        saliency for all of them. "cost": what moves the output least, by layers that zeros make
        faster; not every share can be reached so. None: "cost" where there is `data` to measure
        that with, which takes minutes for large networks, and "uniform" without.
    seconds, speedup
        Instead of `sparsity`: what a run on `target` may take, or how many times faster it is to
        be. Sparsity and pattern of each layer are chosen so that the output moves least.
    rearrange
        Whether to rearrange channels.
    reconstruct
        Whether to refit what stays, where there is `data`.
    exclude
        Names of nodes that stay as they are, besides those that always do.
    saliency
        What tells which weights matter least. "reconstruction": how much the layer's output moves
        when they go and the others make up for it, as if they were refitted. "diagonal": when no
        other makes up for it. "magnitude": their squares. None: the first where there is `data`,
        and the last without.
    target, costs
        As `convert` takes them: the instruction set to store and to predict for.
    metadata
        As `convert` takes it; replaces what a ``.goss`` file says under the same keys.
    weights
        As `convert` takes it: "f32" or "f16".
    progress
        Called with what is being done, how many of it are done, and how many there are.

    Returns
    -------
    PruneReport
        Per layer, and in all.

    Raises
    ------
    InputError
        An argument does not fit; no layer can be pruned; the budget is below what can be reached.
    ModelError, UnsupportedError, MissingDependencyError, MissingFileError, ImageError
        As `convert`, and as `evaluate` for pictures.

    Notes
    -----
    Blocks: SparseByteNN (arXiv:2310.19509) prunes in groups with kernels made for them; its shapes
    are not public, ours are N x 1. Saliency and refitting: optimal brain surgeon, as in SparseGPT
    (arXiv:2301.00774) and in blocks (arXiv:2203.07259). Rearrangement: `prune.rearrangement`.

    What each of the defaults is worth: ``tools/results/one_shot_choices.md`` in the repository.
    """
    try:
        from . import one_shot
    except ImportError as error:
        raise MissingDependencyError(
            f"pruning needs the package '{error.name}'; run: pip install 'gossamer-nn[convert]'"
        ) from error
    if sparsity is not None:
        allocation = allocation or ("uniform" if data is None else "cost")
    return one_shot.run(
        src,
        dst,
        budget=one_shot.Budget(pattern, sparsity, allocation, seconds, speedup),
        data=data,
        limit=limit,
        rearranged=rearrange,
        refitted=reconstruct,
        exclude=exclude,
        salience=saliency,
        costs=one_shot.load_costs(target, costs),
        metadata=metadata or {},
        weights=weights,
        progress=progress or one_shot.quiet,
    )
