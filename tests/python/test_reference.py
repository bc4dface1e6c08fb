"""The numpy reference on cases that were computed by hand."""

import numpy as np
import reference


def image(rows):
    return np.array(rows, float)[None, None]


def convolve(x, weights, strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1), groups=1):
    weights = np.array(weights, float)
    bias = np.zeros(len(weights))
    return reference.conv(x, weights, bias, strides, pads, dilations, groups)


def test_a_2x2_kernel_sums_each_window():
    y = convolve(image([[1, 2, 3], [4, 5, 6], [7, 8, 9]]), [[[[1, 10], [100, 1000]]]])
    assert y.tolist() == [[[[5421, 6532], [8754, 9865]]]]


def test_a_stride_skips_windows_by_axis():
    y = convolve(image([[1, 2, 3], [4, 5, 6], [7, 8, 9]]), [[[[1]]]], strides=(2, 1))
    assert y.tolist() == [[[[1, 2, 3], [7, 8, 9]]]]


def test_padding_is_zeros_on_top_left_bottom_right():
    y = convolve(image([[1, 2]]), [[[[1]]]], pads=(1, 0, 0, 2))
    assert y.tolist() == [[[[0, 0, 0, 0], [1, 2, 0, 0]]]]


def test_dilation_spreads_the_kernel():
    y = convolve(image([[1, 2, 3]]), [[[[1, 10]]]], dilations=(1, 2))
    assert y.tolist() == [[[[31]]]]


def test_depthwise_convolution_keeps_channels_apart():
    x = np.array([[[[1.0]], [[2.0]]]])
    y = convolve(x, [[[[1]]], [[[2]]], [[[10]]], [[[20]]]], groups=2)
    assert y.ravel().tolist() == [1, 2, 20, 40]


def test_channels_are_summed():
    y = convolve(np.array([[[[1.0]], [[2.0]]]]), [[[[1]], [[10]]], [[[100]], [[0]]]])
    assert y.ravel().tolist() == [21, 100]


def test_softmax_of_equal_scores_is_uniform_by_row():
    y = reference.softmax(np.array([[5.0, 5.0], [0.0, np.log(3)]]))
    np.testing.assert_allclose(y, [[0.5, 0.5], [0.25, 0.75]])


def test_dense_blocks_are_read_column_by_column():
    data = np.array([1, 2, 3, 4, 5, 6], "<f4").tobytes()
    matrix = reference.unpack_dense(data, rows=3, columns=2, block_rows=2)
    assert matrix.tolist() == [[1, 3], [2, 4], [5, 6]]


def test_sparse_blocks_are_counts_then_columns_then_values():
    counts, columns = np.array([1, 2], "<u4"), np.array([2, 0, 1], "<u2")
    index = counts.tobytes() + columns.tobytes()
    values = np.array([1, 2, 3, 4], "<f4").tobytes()
    data = index + bytes(64 - len(index)) + values
    matrix = reference.unpack_sparse(data, rows=3, columns=3, block_rows=2, blocks=3)
    assert matrix.tolist() == [[0, 0, 1], [0, 0, 2], [3, 4, 0]]
