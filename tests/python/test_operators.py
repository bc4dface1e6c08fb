"""Operators refuse what no file may ask of them; the others are right on every instruction set."""

import numpy as np
import pytest
import reference
import tiny_models

import gossamer
from gossamer import InferenceSession, ModelError, UnsupportedError
from gossamer.convert.goss_file import Model, Node, Op, Role, Tensor, write_model

WINDOW = (3, 3, 2, 2, 1, 1, 1, 1, 1, 1)
COUNTED = (0, 0, 0, 0)


def one_node(op, *shapes, attributes=()):
    """A file of one node that reads every input."""
    tensors = [Tensor(f"x{number}", Role.INPUT, shape) for number, shape in enumerate(shapes)]
    node = Node("node", op, tuple(range(len(shapes))), len(shapes), attributes)
    return write_model(Model([*tensors, Tensor("y", Role.OUTPUT)], [node], {}))


def changed(words, position, value):
    return (*words[:position], value, *words[position + 1 :])


IMAGE, ROW, NUMBERS = (2, 4, 7, 9), (2, 4), (4,)


@pytest.mark.parametrize(
    ("op", "shapes", "attributes", "message"),
    [
        *[
            (op, [IMAGE], (*changed(WINDOW, word, 0), *rest), f"word {word} is 0, 1 to 32768")
            for op, rest in ((Op.MAX_POOL, ()), (Op.AVERAGE_POOL, COUNTED))
            for word in (0, 1, 2, 3, 8, 9)
        ],
        (Op.MAX_POOL, [IMAGE], changed(WINDOW, 5, 1 << 16), "word 5 is 65536, 0 to 32768"),
        (Op.AVERAGE_POOL, [IMAGE], (*WINDOW, 0, 0, 0, 1 << 16), "word 13 is 65536, 0 to 32768"),
        (Op.MAX_POOL, [ROW], WINDOW, "rank 2, 4 expected"),
        (Op.MAX_POOL, [IMAGE], changed(WINDOW, 0, 10), "a window of 10x3 does not fit into 7x9"),
        (Op.MAX_POOL, [IMAGE], changed(WINDOW, 9, 9), "a window of 3x3 does not fit into 7x9"),
        (Op.AVERAGE_POOL, [IMAGE], (*changed(WINDOW, 4, 3), *COUNTED), "no pixel of window 0"),
        (Op.AVERAGE_POOL, [IMAGE], (*changed(WINDOW, 7, 5), *COUNTED), "no pixel of window 5"),
        (Op.CONCAT, [IMAGE], (), "1 inputs, 2 to 4 expected"),
        (Op.CONCAT, [IMAGE, (2, 4, 7, 8)], (), "'x0' and 'x1' differ in more than axis 1"),
        (Op.CONCAT, [IMAGE, (1, 4, 7, 9)], (), "'x0' and 'x1' differ"),
        (Op.CONCAT, [IMAGE, IMAGE, ROW], (), "'x0' and 'x2' differ"),
        (Op.CONCAT, [NUMBERS, NUMBERS], (), "or have none"),
        (Op.SLICE, [IMAGE], (0, 0), "0 channels from 0 on"),
        (Op.SLICE, [IMAGE], (4, 1), "1 channels from 4 on"),
        (Op.SLICE, [IMAGE], (1, 4), "4 channels from 1 on"),
        (Op.SLICE, [IMAGE], (1, 2**32 - 1), "channels from 1 on"),
        (Op.SLICE, [NUMBERS], (0, 1), "of rank 1 has 0"),
        (Op.SHUFFLE, [IMAGE], (3,), "3 groups; 'x0' of rank 4 has 4"),
        (Op.SHUFFLE, [IMAGE], (0,), "0 groups"),
        (Op.SHUFFLE, [NUMBERS], (1,), "of rank 1 has 0"),
        (Op.ACTIVATION, [IMAGE], (21,), "activation 21; this build knows 0 to 20"),
        (Op.LEAKY_RELU, [IMAGE], (float("nan"),), "a finite slope expected"),
        (Op.LEAKY_RELU, [IMAGE], (float("inf"),), "a finite slope expected"),
    ],
)
def test_what_an_operator_cannot_do_is_refused(op, shapes, attributes, message):
    with pytest.raises((ModelError, UnsupportedError), match=message):
        InferenceSession(one_node(op, *shapes, attributes=attributes))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("isa", gossamer.isas())
def test_windows_and_moving_channels_agree_with_the_reference(isa, threads):
    data = tiny_models.windows()
    x = np.random.default_rng(0).normal(size=IMAGE).astype(np.float32)
    session = InferenceSession(data, gossamer.SessionOptions(threads=threads, isa=isa))
    (found,) = session.run(None, {"image": x})
    assert found.shape == (2, 6, 4, 5)
    np.testing.assert_allclose(found, reference.run(data, {"image": x})["curved"], atol=1e-6)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 2, 3, 2)])
def test_channels_of_any_rank_move(shape, batch):
    x = np.random.default_rng(0).normal(size=(batch, *shape)).astype(np.float32)
    for op, count, attributes in (
        (Op.CONCAT, 4, ()),
        (Op.SLICE, 1, (2, 3)),
        (Op.SHUFFLE, 1, (5,)),
    ):
        data = one_node(op, *[x.shape] * count, attributes=attributes)
        feeds = {f"x{number}": x + number for number in range(count)}
        (found,) = InferenceSession(data).run(None, feeds)
        np.testing.assert_array_equal(found, reference.run(data, feeds)["y"])
