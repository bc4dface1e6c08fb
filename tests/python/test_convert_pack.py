"""Storage of weights: what is written is what was there, and the choice follows the zeros."""

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from gossamer.convert.goss_file import Storage
from gossamer.convert.pack import Use, choose_storage, pack_weights

BLOCK_ROWS = (1, 2, 4, 8)


@st.composite
def weights(draw):
    """Weights (rows, columns) with any share of zeros, alone or in blocks; some rows are empty."""
    rows, columns = draw(st.integers(1, 20)), draw(st.integers(1, 70))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    block = draw(st.sampled_from(BLOCK_ROWS))
    kept = random.random((rows, columns)) >= draw(st.sampled_from([0, 0.3, 0.8, 0.97, 1]))
    kept = np.repeat(kept[::block], block, axis=0)[:rows]
    kept[random.random(rows) < draw(st.sampled_from([0, 0.5]))] = False
    return (random.normal(size=(rows, columns)) * kept).astype(np.float32)


def unpack(packed, rows, columns):
    if packed.storage is Storage.DENSE:
        assert packed.blocks == 0
        return reference.unpack_dense(packed.data, rows, columns, packed.block_rows)
    arguments = (rows, columns, packed.block_rows, packed.blocks)
    return reference.unpack_sparse(packed.data, *arguments)


@given(weights(), st.sampled_from(BLOCK_ROWS), st.sampled_from(Storage))
def test_packing_keeps_every_weight(matrix, block_rows, storage):
    packed = pack_weights(matrix, block_rows, storage)
    np.testing.assert_array_equal(unpack(packed, *matrix.shape), matrix)


@given(weights(), st.sampled_from(BLOCK_ROWS))
def test_sparse_storage_holds_no_block_of_zeros(matrix, block_rows):
    packed = pack_weights(matrix, block_rows, Storage.SPARSE)
    ranges = reference.block_row_ranges(len(matrix), block_rows)
    blocks = sum((matrix[first : first + size] != 0).any(axis=0).sum() for first, size in ranges)
    assert packed.blocks == blocks


@given(weights(), st.sampled_from(Use))
def test_the_chosen_storage_is_one_that_the_use_allows(matrix, use):
    choice = choose_storage(matrix, use)
    if use in (Use.BIAS, Use.DEPTHWISE):
        assert (choice.storage, choice.block_rows) == (Storage.DENSE, 1)
    if use is Use.FULLY_CONNECTED:
        assert choice.block_rows == 1
    packed = pack_weights(matrix, choice.block_rows, choice.storage)
    np.testing.assert_array_equal(unpack(packed, *matrix.shape), matrix)
    assert choice.reason.startswith(choice.storage.name.lower())


def test_a_matrix_of_zeros_stores_nothing():
    packed = pack_weights(np.zeros((5, 3)), 4, Storage.SPARSE)
    assert packed.blocks == 0
    assert packed.data == bytes(64)  # two counts, and the gap up to no values


@pytest.mark.parametrize(("columns", "bytes_each"), [(65536, 2), (65537, 4)])
def test_columns_take_two_bytes_while_they_fit(columns, bytes_each):
    matrix = np.zeros((1, columns), np.float32)
    matrix[0, [0, -1]] = 1, 2
    packed = pack_weights(matrix, 1, Storage.SPARSE)
    np.testing.assert_array_equal(unpack(packed, 1, columns), matrix)
    last = int.from_bytes(packed.data[4 + bytes_each : 4 + 2 * bytes_each], "little")
    assert last == columns - 1


def pruned(zeros, block_rows=1, shape=(64, 64)):
    random = np.random.default_rng(0)
    kept = random.random((shape[0] // block_rows, shape[1])) >= zeros
    return random.normal(size=shape) * np.repeat(kept, block_rows, axis=0)


@pytest.mark.parametrize("block_rows", [1, 2, 4])
def test_blocks_are_stored_in_the_shape_they_were_pruned_in(block_rows):
    choice = choose_storage(pruned(0.7, block_rows), Use.CONV)
    assert (choice.storage, choice.block_rows) == (Storage.SPARSE, block_rows)


def test_few_scattered_zeros_stay_dense():
    choice = choose_storage(pruned(0.2), Use.CONV)
    assert (choice.storage, choice.block_rows) == (Storage.DENSE, 4)


def test_thirty_percent_of_zeros_in_blocks_are_skipped():
    choice = choose_storage(pruned(0.3, 4), Use.CONV)
    assert (choice.storage, choice.block_rows) == (Storage.SPARSE, 4)


def test_dense_convolutions_of_few_channels_have_blocks_of_one():
    assert choose_storage(np.ones((3, 9)), Use.CONV).block_rows == 1
    assert choose_storage(np.ones((4, 9)), Use.CONV).block_rows == 4


def test_fully_connected_layers_are_sparse_only_when_almost_empty():
    assert choose_storage(pruned(0.7), Use.FULLY_CONNECTED).storage is Storage.DENSE
    assert choose_storage(pruned(0.9), Use.FULLY_CONNECTED).storage is Storage.SPARSE
