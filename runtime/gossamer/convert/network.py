"""A trained f32 network, from whatever file, and inputs to try it with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, MissingFileError, ModelError, UnsupportedError
from ..evaluation import pictures_in, spread
from ..image import image_to_tensor
from ..session import InferenceSession
from . import importing, lower, pack, passes, read, write
from .ir import Graph


def read_network(
    src: str | os.PathLike[str], metadata: Mapping[str, str]
) -> tuple[Graph, dict[str, str]]:
    """Read a network into a graph of the engine's operators, in f32.

    Parameters
    ----------
    src
        A ``.goss`` file; or one that `importing.import_model` takes, dequantized.
    metadata
        Texts that replace the file's own.

    Returns
    -------
    tuple
        The graph, whose nodes have names of their own, and the metadata.

    Raises
    ------
    ModelError
        Weights are not finite, and as importers and the engine say.
    UnsupportedError
        A ``.goss`` file is int8, and as importers say.
    MissingFileError, InputError
        There is no such file; `metadata` does not fit.
    """
    texts = write.check_metadata(metadata)
    path = Path(src) if isinstance(src, str | os.PathLike) else None
    if path and path.suffix == ".goss":
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise MissingFileError(error.errno, "no such model", str(path)) from None
        graph = read.read_graph(content, str(path))
        texts = dict(InferenceSession(content).metadata) | texts
    else:
        graph = importing.import_model(src, 1)
        texts = graph.metadata | texts
        passes.optimize(graph)
    _check(graph)
    _name_apart(graph)
    return graph, texts


def _name_apart(graph: Graph) -> None:
    """Give each node a name of its own, by which it is found in copies of the graph.

    What becomes several nodes lends its name to all of them; it stays that of the layer.
    """
    taken: set[str] = set()
    for node in sorted(graph.nodes, key=pack.has_matrix, reverse=True):
        first = pack.has_matrix(node) or node.name not in taken
        base = node.name if first else f"{node.name}.{node.op}"
        name, number = base, 1
        while name in taken:
            number += 1
            name = f"{base}.{number}"
        node.name = name
        taken.add(name)


def _check(graph: Graph) -> None:
    for node in graph.nodes:
        if node.output.dtype == "u7":
            raise UnsupportedError(
                f"{graph.source}: node '{node.name}' is int8; the f32 network expected, from which "
                "this one was made: prune first, then quantize"
            )
        for value in node.inputs:
            if value.data is not None and not np.isfinite(value.data).all():
                raise ModelError(
                    f"{graph.source}: node '{node.name}': weights '{value.name}': finite numbers "
                    "expected, found NaN or infinite ones; train or export the model again"
                )


def samples(
    graph: Graph,
    texts: Mapping[str, str],
    data: str | os.PathLike[str] | Iterable[Any],
    limit: int,
) -> list[dict[str, np.ndarray]]:
    """Take inputs of a network from pictures or arrays.

    Parameters
    ----------
    graph, texts
        From `read_network`.
    data
        A folder or tar file of pictures, or arrays like the input.
    limit
        Take at most so many, at least 1; of pictures evenly spread ones.

    Returns
    -------
    list of dict
        As `InferenceSession.run` takes them; at least one.

    Raises
    ------
    InputError
        The network has several inputs; an array does not fit; there are none.
    MissingFileError, ImageError
        As `evaluate`.
    """
    if len(graph.inputs) != 1:
        raise InputError(
            f"{graph.source}: calibration feeds models of one input, found {len(graph.inputs)}"
        )
    (image,) = graph.inputs
    if isinstance(data, str | os.PathLike):
        session = InferenceSession(lower.lower(graph, texts))
        arrays: Iterable[Any] = _pictures(session, Path(data), limit)
    else:
        arrays = (array for array, _ in zip(data, range(limit), strict=False))
    inputs = []
    for array in arrays:
        values = np.asarray(array)
        if values.shape != image.shape:
            raise InputError(
                f"data: arrays of shape {list(image.shape)} expected, found {list(values.shape)}"
            )
        inputs.append({image.name: values})
    if not inputs:
        raise InputError("data: at least one picture or array to calibrate with expected, found 0")
    return inputs


def _pictures(session: InferenceSession, data: Path, limit: int) -> Iterator[Any]:
    with pictures_in(data) as pictures:
        for picture in spread(pictures, limit):
            with picture.open() as file:
                yield image_to_tensor(file, session)
