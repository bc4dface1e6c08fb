"""Patterns: which weights live or die together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gossamer
from gossamer.prune.pattern import Pattern, keep_mask


@st.composite
def saliencies(draw):
    shape = draw(st.sampled_from([(7, 5), (8, 6), (6, 9, 3, 3), (1, 1), (3, 4, 1, 1)]))
    generator = np.random.default_rng(draw(st.integers(0, 1000)))
    return generator.random(shape)


@given(saliencies(), st.sampled_from(["1x1", "2x1", "4x1", "8x1", "4x4", "1x4"]), st.floats(0, 1))
def test_whole_blocks_go_and_the_least_salient_of_them(saliency, text, sparsity):
    pattern = Pattern.parse(text)
    keep = keep_mask(saliency, pattern, sparsity)
    kernels = keep.reshape(*keep.shape[:2], -1)
    kept, gone = [], []
    for row in range(0, keep.shape[0], pattern.rows):
        for column in range(0, keep.shape[1], pattern.columns):
            place = np.s_[row : row + pattern.rows, column : column + pattern.columns]
            block = kernels[place]
            assert block.all() or not block.any()
            per_element = saliency[place].sum() / (block.shape[0] * block.shape[1])
            (kept if block.all() else gone).append((per_element, block.size))
    assert not gone or min(kept)[0] >= max(gone)[0] - 1e-12
    zeros = sum(size for _, size in gone)
    assert zeros >= sparsity * keep.size - 1e-6 or len(kept) == 1
    assert kept
    largest = max((size for _, size in gone), default=0)
    assert zeros - largest < sparsity * keep.size + 1e-6 or zeros == 0


@pytest.mark.parametrize("text", ["", "4", "0x1", "4x", "4x1x1", "-4x1", "4X1", "99999x1"])
def test_a_pattern_that_is_none_is_refused(text):
    with pytest.raises(gossamer.GossamerError, match="pattern: such as 1x1"):
        Pattern.parse(text)


def test_a_pattern_that_does_not_divide_has_smaller_last_blocks():
    pattern = Pattern(4, 1)
    assert str(pattern) == "4x1"
    assert not pattern.divides((6, 3))
    assert pattern.block_means(np.arange(6.0).reshape(6, 1)).tolist() == [[1.5], [4.5]]
