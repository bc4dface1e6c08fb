"""Whole numbers for real ones: of ranges, weights and tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gossamer.convert.ir import Node, Value, no_clamp
from gossamer.convert.lower import ACTIVATIONS
from gossamer.convert.quantization import (
    ACTIVATIONS as FUNCTIONS,
)
from gossamer.convert.quantization import (
    Quantization,
    lookup_table,
    quantize_weights,
)

finite = st.floats(-1e6, 1e6, width=32)


@given(finite, finite)
def test_zero_is_one_of_the_numbers_and_the_range_is_covered(low: float, high: float) -> None:
    low, high = min(low, high), max(low, high)
    found = Quantization.of_range(low, high)
    assert 0 <= found.zero_point <= 127 and found.scale > 0
    assert found.scale == np.float32(found.scale)
    assert found.dequantize(found.quantize(np.zeros(1)))[0] == 0
    assert found.low <= min(low, 0) + 0.51 * found.scale
    assert found.high >= max(high, 0) - 0.51 * found.scale


@given(finite, finite, arrays.arrays(np.float64, 20, elements=st.floats(0, 1)))
def test_what_lies_in_the_range_is_off_by_half_a_step_at_most(low, high, shares) -> None:
    found = Quantization.of_range(low, high)
    x = found.low + shares * (found.high - found.low)
    error = np.abs(found.dequantize(found.quantize(x)) - x)
    assert (error <= 0.500001 * found.scale).all()


weights = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(1, 9)),
    elements=st.one_of(st.just(0.0), st.floats(-4, 4, width=32)),
)


@given(weights)
def test_weights_keep_their_zeros_and_are_off_by_half_a_step_at_most(values: np.ndarray) -> None:
    found = quantize_weights(values)
    assert found.data.dtype == np.int8 and found.scales.dtype == np.float32
    assert (np.abs(found.data.astype(int)) <= 127).all() and (found.scales > 0).all()
    assert (found.data[values == 0] == 0).all()
    assert (np.abs(found.real() - values) <= 0.5001 * found.scales[:, np.newaxis]).all()


@given(
    arrays.arrays(np.int8, (3, 5), elements=st.integers(-127, 127)),
    arrays.arrays(np.float32, 3, elements=st.floats(2**-10, 4, width=32)),
)
def test_weights_of_known_scales_keep_their_numbers(data, scales) -> None:
    real = (data * scales[:, np.newaxis].astype(np.float64)).astype(np.float32)
    found = quantize_weights(real, scales[:, np.newaxis])
    assert (found.data == data).all() and (found.scales == scales).all() and not found.changed


def test_rows_beyond_their_scale_are_rounded_anew_and_counted() -> None:
    steps = np.array([[-128, 5], [127, -127], [180, 0]], np.float32)
    found = quantize_weights(steps * 0.5, np.full((1, 1), 0.5, np.float32))
    assert found.changed == 2
    assert found.data.tolist() == [[-127, 5], [127, -127], [127, 0]]
    assert found.scales[1] == 0.5
    np.testing.assert_allclose(found.real(), steps * 0.5, atol=0.5 * 0.5 * 180 / 127)


def test_scales_along_another_axis_are_not_a_rows_own() -> None:
    values = np.ones((2, 3), np.float32)
    found = quantize_weights(values, np.array([[0.1, 0.2, 0.3]], np.float32))
    assert found.changed == 2
    np.testing.assert_allclose(found.real(), values)


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_tables_hold_the_nearest_number_of_each_activation(kind: str) -> None:
    x, y = Quantization.of_range(-6, 6), Quantization.of_range(-1, 5)
    value = Value("x", (1, 4))
    table = lookup_table(Node("activation", "a", "", [value], value, {"kind": kind}), x, y)
    wanted = reference.activate(x.dequantize(np.arange(128)), ACTIVATIONS.index(kind))
    inside = (wanted >= y.low) & (wanted <= y.high)
    assert table.shape == (128,) and table.max() <= 127
    error = np.abs(y.dequantize(table) - wanted)[inside]
    assert (error <= 0.5001 * y.scale).all()
    assert set(FUNCTIONS) == set(ACTIVATIONS)


def test_tables_of_clamps_and_leaky_relus() -> None:
    x = Quantization(0.5, 64)
    value = Value("x", (1, 4))
    relu = Node("clamp", "c", "", [value], value, no_clamp() | {"min": 0.0, "max": math.inf})
    assert lookup_table(relu, x, x).tolist() == [max(q, 64) for q in range(128)]
    leaky = Node("leaky_relu", "l", "", [value], value, {"slope": 0.25})
    assert lookup_table(leaky, x, x)[[0, 60, 64, 127]].tolist() == [48, 63, 64, 127]
