"""ONNX's Resize and Upsample: from a node to the graph of `ir`."""

from __future__ import annotations

import math

import numpy as np

from . import interpolation
from .arithmetic import with_constant
from .ir import Value
from .moves import reshape_to
from .node_reader import Unsupported
from .onnx_node import OnnxNode
from .operators import resize

MAX_TABLE = 1 << 24  # numbers


def upsample(node: OnnxNode) -> Value:
    """Emit an image as large as the factors say."""
    x = node.computed(0)
    scales = node.numbers("scales") if node.opset < 9 else _numbers(node, 1)
    mode = node.text("mode", "nearest")
    how = {"mode": mode, "coordinates": "asymmetric", "rounding": "floor"}
    axes = list(range(len(x.shape)))
    sizes = [math.floor(size * scale) for size, scale in zip(x.shape, scales, strict=True)]
    return _resize(node, x, axes, sizes, scales, how)


def resize_node(node: OnnxNode) -> Value:
    """Emit an image in another size."""
    x = node.computed(0)
    if node.opset < 11:
        return upsample(node)
    rank = len(x.shape)
    axes = [node.axis(axis, rank) for axis in node.integers("axes", tuple(range(rank)))]
    how = {
        "mode": node.text("mode", "nearest"),
        "coordinates": node.text("coordinate_transformation_mode", "half_pixel"),
        "rounding": node.text("nearest_mode", "round_prefer_floor"),
        "a": node.number("cubic_coeff_a", -0.75),
        "inside": bool(node.integer("exclude_outside", 0)),
        "antialias": bool(node.integer("antialias", 0)),
        "outside": node.number("extrapolation_value", 0.0),
    }
    policy = node.text("keep_aspect_ratio_policy", "stretch")
    if node.has(1) and node.constant(1).size:
        region = _numbers(node, 1)
        how["regions"] = list(zip(region[: len(axes)], region[len(axes) :], strict=True))
    if node.has(2) and node.constant(2).size:
        scales = _numbers(node, 2)
        _check_count(node, scales, axes)
        sizes = [math.floor(x.shape[a] * s) for a, s in zip(axes, scales, strict=True)]
    else:
        sizes = list(node.sizes(3))
        _check_count(node, sizes, axes)
        scales = [size / x.shape[axis] for size, axis in zip(sizes, axes, strict=True)]
        if policy != "stretch":
            pick = min if policy == "not_larger" else max
            scales = [pick(scales)] * len(axes)
            sizes = [math.floor(x.shape[a] * s + 0.5) for a, s in zip(axes, scales, strict=True)]
    return _resize(node, x, axes, sizes, scales, how)


def _numbers(node: OnnxNode, position: int) -> list[float]:
    return [float(number) for number in node.constant(position).ravel()]


def _check_count(node: OnnxNode, numbers: list, axes: list[int]) -> None:
    if len(numbers) != len(axes):
        node.fail(f"one size or scale for each of the axes {axes} expected, found {numbers}")


def _resize(
    node: OnnxNode, x: Value, axes: list[int], sizes: list[int], scales: list[float], how: dict
) -> Value:
    """Emit x with other sizes along axes: two of an image at once, any others one by one."""
    if min(sizes) < 1 or not all(scale > 0 and math.isfinite(scale) for scale in scales):
        node.fail(f"sizes of at least 1 expected, found {sizes} by scales {scales}")
    cropped = how["coordinates"] == "tf_crop_and_resize"
    matrices, outside = {}, {}
    for at, (axis, size, scale) in enumerate(zip(axes, sizes, scales, strict=True)):
        if size == x.shape[axis] and scale == 1 and not cropped:
            continue
        if size * x.shape[axis] > MAX_TABLE:
            raise Unsupported(f"{x.shape[axis]} to {size} pixels along an axis; fewer expected")
        places = _places(node, x.shape[axis], size, scale, at, how)
        matrices[axis] = _matrix(node, places, x.shape[axis], scale, how)
        if cropped:
            out = (places < 0) | (places > x.shape[axis] - 1)
            matrices[axis][out], outside[axis] = 0, out
    y, rank = x, len(x.shape)
    if rank == 4 and {2, 3} & set(matrices):
        pair = [matrices.pop(a) if a in matrices else np.eye(x.shape[a]) for a in (2, 3)]
        y = resize(node, y, *pair)
    for axis, matrix in matrices.items():
        before, behind = y.shape[:axis], y.shape[axis + 1 :]
        view = (1, math.prod(before), y.shape[axis], math.prod(behind))
        planes = resize(node, reshape_to(node, y, view), matrix, np.eye(view[3]))
        y = reshape_to(node, planes, (*before, len(matrix), *behind))
    if how.get("outside") and any(out.any() for out in outside.values()):
        fill = np.zeros([y.shape[a] if a in outside else 1 for a in range(rank)], bool)
        for axis, out in outside.items():
            fill |= out.reshape([-1 if a == axis else 1 for a in range(rank)])
        y = with_constant(node, y, how["outside"] * fill.astype(np.float32), scaled=False)
    return y


def _places(node: OnnxNode, size: int, result: int, scale: float, at: int, how: dict) -> np.ndarray:
    mode = how["coordinates"]
    if mode == "tf_half_pixel_for_nn":
        return (np.arange(result) + 0.5) / scale
    if mode not in interpolation.COORDINATES:
        node.fail(f"coordinate_transformation_mode {mode!r} is none that ONNX has")
    region = how["regions"][at] if "regions" in how else (0.0, 1.0)
    return interpolation.positions(mode, size, result, scale, region)


def _matrix(node: OnnxNode, places: np.ndarray, size: int, scale: float, how: dict) -> np.ndarray:
    mode = how["mode"]
    if mode == "nearest":
        if how["rounding"] not in interpolation.ROUNDINGS:
            node.fail(f"nearest_mode {how['rounding']!r} is none that ONNX has")
        return interpolation.nearest(places, size, how["rounding"])
    squeeze = min(scale, 1.0) if how.get("antialias") else 1.0
    if mode == "linear":
        return interpolation.linear(places, size, squeeze, how.get("inside", False))
    if mode == "cubic":
        return interpolation.cubic(places, size, squeeze, how["a"], how["inside"])
    node.fail(f"mode nearest, linear or cubic expected, found {mode!r}")
