"""Storage of weights: what is written is what was there, and the choice follows the zeros."""

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from gossamer.convert.cost_model import BlockCost, CostModel, MatrixCost
from gossamer.convert.goss_file import Storage
from gossamer.convert.pack import (
    I8_PATTERNS,
    PATTERNS,
    Use,
    choose_i8_storage,
    choose_storage,
    i8_blocks,
    i8_storage_in_file,
    pack_i8_weights,
    pack_weights,
    stored_i8_matrix,
)

BLOCK_ROWS = (1, 2, 4, 8)
STORAGES = (Storage.DENSE, Storage.SPARSE)
# Like a machine with 16 vector registers: blocks of 4 rows are best, 8 rows spill.
COSTS = CostModel(
    "test",
    "invented",
    conv=MatrixCost(
        {
            1: BlockCost(57, 58, 100),
            2: BlockCost(42, 84, 200),
            4: BlockCost(41, 166, 300),
            8: BlockCost(55, 414, 2200),
        }
    ),
    fully_connected=MatrixCost(
        {
            1: BlockCost(600, 620, 500),
            2: BlockCost(400, 820, 500),
            4: BlockCost(300, 1200, 500),
            8: BlockCost(280, 2300, 500),
        }
    ),
)


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


@given(weights(), st.sampled_from(BLOCK_ROWS), st.sampled_from(STORAGES))
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
    choice = choose_storage(matrix, use, COSTS)
    if use in (Use.BIAS, Use.DEPTHWISE):
        assert (choice.storage, choice.block_rows) == (Storage.DENSE, 1)
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
    choice = choose_storage(pruned(0.7, block_rows), Use.CONV, COSTS)
    assert (choice.storage, choice.block_rows) == (Storage.SPARSE, block_rows)


def test_few_scattered_zeros_stay_dense():
    choice = choose_storage(pruned(0.2), Use.CONV, COSTS)
    assert (choice.storage, choice.block_rows) == (Storage.DENSE, 4)


def test_thirty_percent_of_zeros_in_blocks_are_skipped():
    choice = choose_storage(pruned(0.3, 4), Use.CONV, COSTS)
    assert (choice.storage, choice.block_rows) == (Storage.SPARSE, 4)


@pytest.mark.parametrize(("rows", "block_rows"), [(1, 1), (3, 2), (4, 4), (9, 4)])
def test_blocks_have_no_more_rows_than_there_are(rows, block_rows):
    choice = choose_storage(np.ones((rows, 9)), Use.CONV, COSTS)
    assert (choice.storage, choice.block_rows) == (Storage.DENSE, block_rows)


@pytest.mark.parametrize(
    ("zeros", "block_rows", "storage", "stored_rows"),
    [
        (0.4, 1, Storage.DENSE, 8),
        (0.7, 1, Storage.SPARSE, 1),
        (0.3, 4, Storage.SPARSE, 4),
        (0.3, 8, Storage.SPARSE, 8),
    ],
)
def test_fully_connected_layers_have_costs_of_their_own(zeros, block_rows, storage, stored_rows):
    choice = choose_storage(pruned(zeros, block_rows), Use.FULLY_CONNECTED, COSTS)
    assert (choice.storage, choice.block_rows) == (storage, stored_rows)


@pytest.mark.parametrize("asked", [*PATTERNS, "dense"])
def test_what_is_asked_for_is_stored_whatever_it_costs(asked):
    choice = choose_storage(pruned(0.9), Use.CONV, COSTS, asked)
    assert choice.storage is (Storage.DENSE if asked == "dense" else Storage.SPARSE)
    assert choice.block_rows == PATTERNS.get(asked, 4)
    assert "asked for" in choice.reason


def test_full_matrices_in_blocks_that_are_asked_for_have_no_index():
    choice = choose_storage(np.ones((8, 8)), Use.CONV, COSTS, "2x1")
    assert (choice.storage, choice.block_rows) == (Storage.DENSE, 2)


# ---- i8 -----------------------------------------------------------------------------------------


@st.composite
def i8_weights(draw):
    """i8 weights of a convolution (M, C, kh, kw), some blocks of them zero."""
    shape = (*(draw(st.integers(1, 13)) for _ in range(2)), *draw(st.sampled_from(KERNELS)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = random.integers(-127, 128, shape, np.int8)
    block = draw(st.sampled_from([1, 4]))
    kept = random.random(values.shape) >= draw(st.sampled_from([0, 0.5, 1]))
    return values * np.repeat(np.repeat(kept[::block, ::4], block, 0), 4, 1)[: shape[0], : shape[1]]


KERNELS = [(1, 1), (3, 3), (1, 5)]


@given(i8_weights(), st.sampled_from([1, 4]), st.sampled_from([*STORAGES, Storage.RUNS]))
def test_packing_keeps_every_i8_weight_and_scale(weights, block_rows, storage):
    scales = np.arange(1, len(weights) + 1, dtype=np.float32)
    packed = pack_i8_weights(weights, scales, block_rows, storage)
    arguments = (weights.shape, block_rows, int(storage), packed.blocks)
    found, found_scales = reference.unpack_i8(packed.data, *arguments)
    np.testing.assert_array_equal(found, weights)
    np.testing.assert_array_equal(found_scales, scales)


@pytest.mark.parametrize(("block", "expected"), [((1, 1), Storage.RUNS), ((4, 4), Storage.SPARSE)])
def test_zeros_inside_of_blocks_are_left_out_of_the_file(block, expected):
    random = np.random.default_rng(5)
    kept = np.kron(random.random((64 // block[0], 64 // block[1])) >= 0.85, np.ones(block))
    weights = (random.integers(1, 128, (64, 64)) * kept).astype(np.int8)
    storage = i8_storage_in_file(weights, 1, Storage.SPARSE)
    assert storage is expected
    plain, packed = (
        len(pack_i8_weights(weights, np.ones(64), 1, how).data) for how in (Storage.SPARSE, storage)
    )
    assert packed < 0.7 * plain if storage is Storage.RUNS else packed == plain


@given(i8_weights())
def test_packing_keeps_every_depthwise_i8_weight(weights):
    weights = weights[:, :1]
    packed = pack_i8_weights(weights, np.ones(len(weights)), 1, Storage.DEPTHWISE)
    found, _ = reference.unpack_i8(packed.data, weights.shape, 1, 2, 0)
    np.testing.assert_array_equal(found, weights)


@given(i8_weights(), st.sampled_from([*I8_PATTERNS, "dense", None]))
def test_i8_weights_get_the_storage_asked_for_or_the_cheapest(weights, asked):
    choice = choose_i8_storage(weights, Use.CONV, COSTS, asked)
    costs = {
        (rows, storage): COSTS.of_i8("conv").picoseconds(stored_i8_matrix(weights, rows, storage))
        for rows in I8_PATTERNS.values()
        for storage in (Storage.DENSE, Storage.SPARSE)
        if storage is Storage.DENSE or not i8_blocks(weights, rows).any(axis=(2, 3)).all()
    }
    if asked in I8_PATTERNS:
        sparse = (I8_PATTERNS[asked], Storage.SPARSE)
        expected = sparse if sparse in costs else (I8_PATTERNS[asked], Storage.DENSE)
        assert (choice.block_rows, choice.storage) == expected
        return
    allowed = {key: cost for key, cost in costs.items() if asked is None or key[1] == Storage.DENSE}
    found = allowed[choice.block_rows, choice.storage]
    assert found <= min(allowed.values()) * 1.03 + 1e-9
