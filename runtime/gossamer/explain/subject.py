"""The model to explain: the file that runs, and what is known of where it comes from."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..convert import importing, int8, lower, passes
from ..convert.cost_model import CostModel
from ..convert.ir import Graph, SourceNode
from ..convert.read import read_graph
from ..embedded import find_model
from ..session import InferenceSession, SessionOptions

if TYPE_CHECKING:
    import onnx
    import torch

IMPORTED = (".onnx", ".tflite")


@dataclass(frozen=True)
class Subject:
    """A model.

    Attributes
    ----------
    name
        Its file or name.
    session
        Of the ``.goss`` file, on this machine.
    graph
        What the file says.
    sources
        For each node of `graph` the nodes of the source model whose work it does.
    folded
        By operator: nodes of the source model of which nothing is left.
    is_converted
        Whether the storage was chosen just now; otherwise the file has it from elsewhere.
    """

    name: str
    session: InferenceSession
    graph: Graph
    sources: list[tuple[SourceNode, ...]]
    folded: dict[str, int]
    is_converted: bool


def read(
    model: str | os.PathLike[str] | bytes | onnx.ModelProto | torch.nn.Module,
    costs: CostModel,
    options: SessionOptions,
    batch: int,
    dims: Mapping[str, int] | None,
    example_inputs: torch.Tensor | Sequence[torch.Tensor] | None,
) -> Subject:
    """Read a model, and convert it if it is none of ours.

    Parameters
    ----------
    model
        A ``.onnx``, ``.tflite`` or ``.goss`` file, the content of the latter, a loaded ONNX model,
        a PyTorch module, or an embedded model's name.
    costs
        Of the target that storage is chosen for.
    options
        Of the session.
    batch, dims, example_inputs
        As `gossamer.convert` takes them.
    """
    importing.check_example_inputs(model, example_inputs)
    if isinstance(model, bytes):
        return _own(InferenceSession(model, options), model, "model")
    if isinstance(model, str | os.PathLike):
        path = find_model(os.fspath(model))
        if path.suffix not in IMPORTED:
            return _own(InferenceSession(path, options), path.read_bytes(), str(model))
    with np.errstate(all="ignore"):  # what is not finite is reported with the layer that has it
        graph = importing.import_model(model, batch, dims, example_inputs, quantized=True)
        passes.optimize(graph)
        graph = int8.quantize_as_source(graph)
        data = lower.lower(graph, graph.metadata, costs)
    return _imported(graph, data, InferenceSession(data, options))


def _own(session: InferenceSession, data: bytes, name: str) -> Subject:
    graph = read_graph(data, name)
    return Subject(name, session, graph, [()] * len(graph.nodes), {}, is_converted=False)


def _imported(graph: Graph, data: bytes, session: InferenceSession) -> Subject:
    known = set(graph.source_nodes)  # conversions to int8 and back are no nodes of the source
    sources = [
        tuple(source for source in (node.source_node, *node.absorbed) if source in known)
        for node in graph.nodes
    ]
    left = {source for nodes in sources for source in nodes}
    folded = Counter(node.operator for node in graph.source_nodes if node not in left)
    stored = read_graph(data, graph.source)
    return Subject(graph.source, session, stored, sources, dict(folded), is_converted=True)
