"""The engine's reshape: every order of planes with padding and rows without, and broken files."""

from __future__ import annotations

import numpy as np
import pytest

import gossamer
from gossamer.convert.goss_file import Model, Node, Op, Role, Tensor, write_model


def reshapes(shape: tuple[int, ...], *words: tuple[int, ...]) -> bytes:
    """One reshape behind the other, each with words of its own."""
    last = len(words)
    roles = [Role.INTERMEDIATE] * (last - 1) + [Role.OUTPUT]
    tensors = [Tensor("x", Role.INPUT, shape)]
    tensors += [Tensor(f"y{number}", role) for number, role in enumerate(roles)]
    nodes = [
        Node(f"reshape{number}", Op.RESHAPE, (number,), number + 1, given)
        for number, given in enumerate(words)
    ]
    return write_model(Model(tensors, nodes, {}))


def words(*dims: int) -> tuple[int, ...]:
    return (len(dims), *dims, *[0] * (6 - len(dims)))


@pytest.mark.parametrize("isa", gossamer.isas())
def test_elements_keep_their_order_from_any_shape_to_any_other(isa: str) -> None:
    shapes = [(2, 3, 4, 5), (120,), (5, 4, 3, 2), (6, 20), (1, 1, 1, 120), (120, 1, 1, 1), (60, 2)]
    shapes += [(2, 3, 2, 2, 5), (3, 40, 1, 1), (1, 2, 3, 4, 5, 1)]
    for first in shapes:
        x = np.arange(120, dtype=np.float32).reshape(first)
        for second in shapes:
            data = reshapes(first, words(*second), words(*first), words(*second))
            session = gossamer.InferenceSession(data, gossamer.SessionOptions(isa=isa))
            (y,) = session.run(None, {"x": x})
            np.testing.assert_array_equal(y, x.reshape(second))


@pytest.mark.parametrize(
    "broken",
    [
        (0, 0, 0, 0, 0, 0, 0),
        (7, 1, 1, 1, 1, 1, 24),
        (2, 4, 6, 1, 0, 0, 0),
        (2, 24, 0, 0, 0, 0, 0),
        (1, 23, 0, 0, 0, 0, 0),
        (2, 4, 7, 0, 0, 0, 0),
    ],
)
def test_shapes_that_are_none_or_do_not_fit_are_refused(broken: tuple[int, ...]) -> None:
    with pytest.raises(gossamer.ModelError, match=r"'reshape0' \(reshape\).*expected"):
        gossamer.InferenceSession(reshapes((4, 6), broken))


@pytest.mark.parametrize("dims", [(2**32 - 1,) * 6, (2**16, 2**16), (2**31, 2)])
def test_shapes_beyond_the_engine_are_refused(dims: tuple[int, ...]) -> None:
    with pytest.raises(gossamer.UnsupportedError, match="2\\^31 elements"):
        gossamer.InferenceSession(reshapes((4, 6), words(*dims)))
