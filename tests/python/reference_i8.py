"""The truth in numpy about quantized tensors: section 9 of runtime/FORMAT.md, to the bit.

Written from that page alone; u7 tensors are arrays of whole numbers.
"""

from __future__ import annotations

import math

import numpy as np
import reference

f32 = np.float32


def target(v, y, low=-math.inf, high=math.inf):
    """What f32 results `v` become in the output."""
    low, high = np.clip(f32([low / y.scale, high / y.scale]), -y.zero_point, 127 - y.zero_point)
    assert v.dtype == f32
    return y.zero_point + np.rint(np.minimum(np.maximum(v, low), high)).astype(np.int64)


def offset(q, x):
    return q - x.zero_point


def scaled(q, x, y_scale):
    return f32(offset(q, x)) * f32(x.scale / y_scale)


def rows(values, shape):
    return values.reshape(1, -1, *[1] * (len(shape) - 2))


def matrix(sums, weights, bias, x, y_scale):
    """Exact sums (N, M, ...) times each row's scales, plus the bias."""
    multiplier = f32(x.scale * weights.scales.astype(np.float64) / y_scale)
    v = f32(sums) * rows(multiplier, sums.shape)
    return v + rows(f32(bias.weights.astype(np.float64) / y_scale), sums.shape)


def conv(node, values, tensors, y):
    x, weights, bias = tensors[:3]
    words = node.integers(9)
    exact = weights.weights.astype(np.float64)
    arguments = (words[0:2], words[2:6], words[6:8], words[8])
    sums = reference.conv(offset(values[0], x), exact, np.zeros(len(exact)), *arguments)
    v = matrix(sums, weights, bias, x, y.scale)
    if len(values) == 4:
        v = v + scaled(values[3], tensors[3], y.scale)
    return target(v, y, *node.clamp())


def fully_connected(node, values, tensors, y):
    x, weights, bias = tensors
    sums = offset(values[0], x) @ weights.weights.astype(np.int64).T
    if y.dtype == "u7":
        return target(matrix(sums, weights, bias, x, y.scale), y, *node.clamp())
    return np.clip(matrix(sums, weights, bias, x, 1.0), *f32(node.clamp()))


def average_pool(node, values, tensors, y):
    (x,) = tensors
    words = node.integers(14)
    geometry = (words[0:2], words[2:4], words[4:8], words[8:10])
    sums = reference.windows(offset(values[0], x), *geometry, 0).sum(axis=-1)
    ones = np.ones(values[0].shape)
    # A window of ones sums to pixels in the plane, of which the average of ones is a share.
    counted = reference.windows(ones, *geometry, 0).sum(axis=-1)
    counted = np.rint(counted / reference.average_pool(ones, *geometry, words[10:14]))
    return target(f32(sums) * f32(x.scale / y.scale / counted), y)


def compute(node, values, tensors, y):
    """One node that reads or writes a u7 tensor."""
    x, q = tensors[0], values[0]
    if node.op == "conv":
        return conv(node, values, tensors, y)
    if node.op == "fully_connected":
        return fully_connected(node, values, tensors, y)
    if node.op == "add":
        both = [scaled(q, x, y.scale) for q, x in zip(values, tensors, strict=True)]
        return target(both[0] + both[1], y, *node.clamp())
    if node.op == "multiply":
        product = offset(q, x) * offset(values[1], tensors[1])
        return target(f32(product) * f32(x.scale * tensors[1].scale / y.scale), y)
    if node.op == "global_average_pool":
        sums = offset(q, x).sum(axis=(2, 3), keepdims=bool(node.integers(1)[0]))
        return target(f32(sums) * f32(x.scale / y.scale / (q.shape[2] * q.shape[3])), y)
    if node.op == "average_pool":
        return average_pool(node, values, tensors, y)
    if node.op == "concat":
        parts = zip(values, tensors, strict=True)
        return np.concatenate([target(scaled(q, x, y.scale), y) for q, x in parts], axis=1)
    if node.op == "lookup":
        return np.frombuffer(node.words, np.uint8).astype(np.int64)[q]
    if node.op == "quantize":
        return target(f32(q) * f32(1 / y.scale), y)
    if node.op == "quantize_pixels":
        mean, scale = tensors[1].weights
        v = (f32(q) - mean) * f32(scale.astype(np.float64) / y.scale)
        return target(v, y).transpose(0, 3, 1, 2)
    if node.op == "dequantize":
        return f32(offset(q, x)) * f32(x.scale)
    assert (x.scale, x.zero_point) == (y.scale, y.zero_point)
    if node.op == "max_pool":
        words = node.integers(10)
        geometry = (words[0:2], words[2:4], words[4:8], words[8:10])
        return reference.windows(q, *geometry, 0).max(axis=-1)
    return reference.compute(node, values)
