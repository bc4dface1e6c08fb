"""One function for each ONNX operator: from a node to the graph of `ir`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import onnx.helper
from onnx import TensorProto

from .ir import Value
from .node_reader import Unsupported
from .onnx_node import MISSING, OnnxNode, type_name
from .onnx_quantization import dequantize_linear, quantize_linear
from .operators import (
    MAX_CONSTANT_ELEMENTS,
    MAX_CONV_ATTRIBUTE,
    activation,
    add,
    average_pool,
    broadcast,
    channels_from,
    clamp,
    concat,
    conv,
    divide,
    fully_connected,
    hard_sigmoid,
    leaky_relu,
    matrix_times,
    max_pool,
    mean,
    multiply,
    negate,
    output_size,
    pad,
    pad_axis,
    relu,
    reshape_to,
    same_pads,
    scale_shift,
    sigmoid,
    subtract,
    sum_of,
    transpose,
    with_constant,
)

_Operator = Callable[[OnnxNode], Value]


def _spatial(
    node: OnnxNode, name: str, count: int, smallest: int, default: object
) -> tuple[int, ...]:
    """An attribute with one number for each axis of the image, or two for `pads`."""
    numbers = node.integers(name, default)
    if len(numbers) != count:
        node.fail(f"attribute '{name}': {count} numbers expected, found {list(numbers)}")
    if not all(smallest <= number <= MAX_CONV_ATTRIBUTE for number in numbers):
        raise Unsupported(f"{name} {list(numbers)}; {smallest} to {MAX_CONV_ATTRIBUTE} expected")
    return numbers


_Geometry = dict[str, tuple[int, ...]]


def _window(
    node: OnnxNode, size: Sequence[int], kernel: Sequence[int]
) -> tuple[_Geometry, tuple[int, ...]]:
    """Strides, pads and dilations of a window that slides over an image, and the output's size."""
    strides = _spatial(node, "strides", 2, 1, (1, 1))
    dilations = _spatial(node, "dilations", 2, 1, (1, 1))
    pads = _spatial(node, "pads", 4, 0, (0, 0, 0, 0))
    reach = [(taps - 1) * dilation + 1 for taps, dilation in zip(kernel, dilations, strict=True)]
    mode = node.text("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        pads = same_pads(size, reach, strides, upper=mode == "SAME_UPPER")
    elif mode == "VALID":
        pads = (0, 0, 0, 0)
    elif mode != "NOTSET":
        node.fail(f"auto_pad NOTSET, VALID, SAME_UPPER or SAME_LOWER expected, found {mode!r}")
    output = output_size(node, size, reach, strides, pads)
    return {"strides": strides, "dilations": dilations, "pads": pads}, output


def _also_for_rows(operator: _Operator) -> _Operator:
    """Let an operator on images (N,C,H,W) take rows (N,C,L) too: images of height 1."""

    @functools.wraps(operator)
    def for_rows(node: OnnxNode) -> Value:
        x = node.computed(0, 3, 4)
        if len(x.shape) == 4:
            return operator(node)
        node.inputs[0] = reshape_to(node, x, (*x.shape[:2], 1, x.shape[2]))
        for name in {"kernel_shape", "strides", "dilations", "pads"} & set(node.attributes):
            row = list(node.integers(name))
            fill = 0 if name == "pads" else 1
            image = [fill, *row[:1], fill, *row[1:]] if name == "pads" else [fill, *row]
            node.attributes[name] = onnx.helper.make_attribute(name, image)
        if node.has(1) and len(node.weights(1).shape) == 3:
            weights = node.value(1)
            data = weights.data[:, :, np.newaxis]
            node.inputs[1] = Value(weights.name, data.shape, data)
        image = operator(node)
        if image.shape[2] != 1:
            node.fail(f"rows expected, found an image {list(image.shape)}")
        return reshape_to(node, image, (*image.shape[:2], image.shape[3]))

    return for_rows


@_also_for_rows
def _conv(node: OnnxNode) -> Value:
    x, weights = node.computed(0, 4), node.weights(1, 4)
    groups, kernel = node.integer("group", 1), weights.shape[2:]
    if node.integers("kernel_shape", kernel) != kernel:
        node.fail(f"attribute 'kernel_shape' {list(kernel)}, as of '{weights.name}', expected")
    geometry, size = _window(node, x.shape[2:], kernel)
    if node.has(2):
        node.channels(2, weights.shape[0])
    bias = node.value(2) if node.has(2) else None
    return conv(node, weights, bias, groups, size, geometry)


def _gemm(node: OnnxNode) -> Value:
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    transposed = node.integer("transA", 0), node.integer("transB", 0)
    if node.value(0).data is None:
        y = _rows_times_constant(node, alpha, *transposed)
    else:
        y = _constant_times_columns(node, alpha, *transposed)
    if not node.has(2) or beta == 0:
        return y
    c = node.value(2)
    if broadcast(node, y.shape, c.shape) != y.shape:
        node.fail(f"'{c.name}' that fits {list(y.shape)} expected, found {list(c.shape)}")
    if c.data is not None:
        return with_constant(node, y, beta * node.weights(2).data.astype(np.float64), scaled=False)
    if beta != 1:
        c = with_constant(node, c, np.float32(beta), scaled=True)
    return sum_of(node, y, c)


def _rows_times_constant(node: OnnxNode, alpha: float, trans_a: int, trans_b: int) -> Value:
    x, weights = node.computed(0, 2), node.weights(1, 2)
    if trans_a:
        if 1 not in x.shape:
            raise Unsupported(f"transA 1 with {list(x.shape)}; 0, or one row, expected")
        x = reshape_to(node, x, x.shape[::-1])
    matrix, scales = weights.data, weights.scales
    if not trans_b:
        matrix, scales = matrix.T, None if scales is None else scales.T
    if alpha != 1:
        matrix, scales = matrix * np.float64(alpha), None
    return fully_connected(node, x, matrix, weights.name, np.zeros(len(matrix)), scales)


def _constant_times_columns(node: OnnxNode, alpha: float, trans_a: int, trans_b: int) -> Value:
    weights, x = node.weights(0, 2), node.computed(1, 2)
    if trans_b:
        if 1 not in x.shape:
            raise Unsupported(f"transB 1 with {list(x.shape)} computed; 0, or one row, expected")
        x = reshape_to(node, x, x.shape[::-1])
    matrix = weights.data.T if trans_a else weights.data
    if alpha != 1:
        matrix = matrix * np.float64(alpha)
    return matrix_times(node, matrix, weights.name, x)


def _mat_mul(node: OnnxNode) -> Value:
    a, b = node.value(0), node.value(1)
    if a.data is None and b.data is None:
        raise Unsupported("input 1 is computed; a constant expected")
    if not a.shape or not b.shape:
        node.fail(f"matrices expected, found shapes {list(a.shape)} and {list(b.shape)}")
    rows = a.shape if len(a.shape) > 1 else (1, *a.shape)
    columns = b.shape if len(b.shape) > 1 else (*b.shape, 1)
    if a.data is None:
        matrix = _one_matrix(node.weights(1).data.reshape(columns))
        x = reshape_to(node, a, (math.prod(rows[:-1]), rows[-1]))
        scales = b.scales.T if b.scales is not None and b.scales.ndim == 2 else None
        y = fully_connected(node, x, matrix.T, b.name, np.zeros(matrix.shape[1]), scales)
    else:
        matrix = _one_matrix(node.weights(0).data.reshape(rows))
        y = matrix_times(node, matrix, a.name, reshape_to(node, b, columns))
    batch = broadcast(node, rows[:-2], columns[:-2])
    row, column = rows[-2:-1] * (len(a.shape) > 1), columns[-1:] * (len(b.shape) > 1)
    return reshape_to(node, y, (*batch, *row, *column))


def _one_matrix(data: np.ndarray) -> np.ndarray:
    if math.prod(data.shape[:-2]) != 1:
        raise Unsupported(f"constant matrices {list(data.shape)}; one matrix expected")
    return data.reshape(data.shape[-2:])


def _batch_normalization(node: OnnxNode) -> Value:
    x = node.computed(0)
    if len(x.shape) < 2:
        raise Unsupported(f"rank {len(x.shape)}; at least 2 expected")
    if node.integer("training_mode", 0) or len([name for name in node.proto.output if name]) > 1:
        raise Unsupported("training mode; call model.eval() before the export")
    node.ignore("momentum")
    if node.integer("spatial", 1) != 1:
        raise Unsupported("spatial 0; 1 expected")
    scale, bias, mean, variance = (node.channels(position, x.shape[1]) for position in range(1, 5))
    scale = scale / np.sqrt(variance + node.number("epsilon", 1e-5))
    return scale_shift(node, x, scale, bias - mean * scale)


def _clip(node: OnnxNode) -> Value:
    if node.opset < 11:
        return clamp(node, node.number("min", -math.inf), node.number("max", math.inf))
    return clamp(node, node.scalar(1, -math.inf), node.scalar(2, math.inf))


def _bound(node: OnnxNode, bound: Callable[[float, float], float]) -> Value:
    """The largest (or smallest) of a computed tensor and numbers."""
    computed = [at for at in range(len(node.inputs)) if node.value(at).data is None]
    if len(computed) != 1:
        raise Unsupported(f"{len(computed)} computed tensors; one, and numbers, expected")
    x = node.value(computed[0])
    for at in {*range(len(node.inputs))} - {*computed}:
        if node.weights(at).data.size != 1 or node.value(at).data.ndim > len(x.shape):
            raise Unsupported(f"a constant {list(node.value(at).shape)}; one number expected")
    numbers = [node.scalar(at, 0.0) for at in range(len(node.inputs)) if at not in computed]
    node.inputs = [x]
    if not numbers:
        return x
    low, high = (max(numbers), math.inf) if bound is max else (-math.inf, min(numbers))
    return clamp(node, low, high)


def _max(node: OnnxNode) -> Value:
    return _bound(node, max)


def _min(node: OnnxNode) -> Value:
    return _bound(node, min)


def _neg(node: OnnxNode) -> Value:
    return negate(node, node.computed(0))


def _activation(kind: str) -> Callable[[OnnxNode], Value]:
    return lambda node: activation(node, kind)


def _elu(node: OnnxNode) -> Value:
    if (alpha := node.number("alpha", 1.0)) != 1:
        raise Unsupported(f"alpha {alpha:g}; 1 expected")
    return activation(node, "elu")


def _gelu(node: OnnxNode) -> Value:
    kinds = {"none": "gelu", "tanh": "gelu_tanh"}
    approximate = node.text("approximate", "none")
    if approximate not in kinds:
        node.fail(f"approximate none or tanh expected, found {approximate!r}")
    return activation(node, kinds[approximate])


def _hard_sigmoid(node: OnnxNode) -> Value:
    return hard_sigmoid(node, node.number("alpha", 0.2), node.number("beta", 0.5))


def _leaky_relu(node: OnnxNode) -> Value:
    return leaky_relu(node, node.number("alpha", 0.01))


def _global_average_pool(node: OnnxNode) -> Value:
    x = node.computed(0)
    if len(x.shape) < 3:
        raise Unsupported(f"input 0 of rank {len(x.shape)}; at least 3 expected")
    return mean(node, range(2, len(x.shape)), True)


def _pool(
    node: OnnxNode,
) -> tuple[tuple[int, ...], _Geometry, tuple[int, ...], tuple[int, ...]]:
    """A pooling's kernel, its geometry, the output's size, and the padding before `ceil_mode`."""
    size = node.computed(0, 4).shape[2:]
    kernel = _spatial(node, "kernel_shape", 2, 1, MISSING)
    geometry, output = _window(node, size, kernel)
    pads, strides = geometry["pads"], geometry["strides"]
    reach = [(kernel[a] - 1) * geometry["dilations"][a] + 1 for a in (0, 1)]
    if any(pad >= reach[axis % 2] for axis, pad in enumerate(pads)):
        raise Unsupported(f"pads {list(pads)} that hold a window of {reach}; smaller ones expected")
    if not node.integer("ceil_mode", 0):
        return kernel, geometry, output, pads
    # One window more where it begins over the image, with padding for what it lacks.
    output = tuple(
        count + ((count - 1) * stride + window < total and count * stride < total - after)
        for count, stride, window, after, total in zip(
            output, strides, reach, pads[2:], (size[a] + pads[a] + pads[a + 2] for a in (0, 1)),
            strict=True,
        )
    )  # fmt: skip
    after = (
        max(pads[a + 2], (output[a] - 1) * strides[a] + reach[a] - size[a] - pads[a])
        for a in (0, 1)
    )
    return kernel, {**geometry, "pads": (*pads[:2], *after)}, output, pads


@_also_for_rows
def _max_pool(node: OnnxNode) -> Value:
    if len([name for name in node.proto.output if name]) > 1:
        raise Unsupported("output of indices; values only expected")
    node.ignore("storage_order")  # of the indices
    kernel, geometry, size, _ = _pool(node)
    return max_pool(node, kernel, size, geometry)


@_also_for_rows
def _average_pool(node: OnnxNode) -> Value:
    kernel, geometry, size, pads = _pool(node)
    counted = pads if node.integer("count_include_pad", 0) else (0, 0, 0, 0)
    return average_pool(node, kernel, size, geometry, counted)


def _reduce_mean(node: OnnxNode) -> Value:
    x, axes, keep_dims = node.computed(0), node.axes() or (), bool(node.integer("keepdims", 1))
    if node.integer("noop_with_empty_axes", 0) and not axes:
        return x
    return mean(node, axes or range(len(x.shape)), keep_dims)


def _softmax(node: OnnxNode) -> Value:
    x, rank = node.computed(0), len(node.value(0).shape)
    axis = node.axis(node.integer("axis", 1 if node.opset < 13 else -1), rank)
    if node.opset >= 13 and math.prod(x.shape[axis + 1 :]) > 1:
        raise Unsupported(f"axis {axis} of {list(x.shape)}; the last axis expected")
    # Before operator set 13, all axes behind it count as one.
    rows = reshape_to(node, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))
    return reshape_to(node, node.emit("softmax", [rows], rows.shape), x.shape)


def _reshape(node: OnnxNode) -> Value:
    x, shape = node.computed(0), list(node.sizes(1))
    if not node.integer("allowzero", 0):
        if any(size == 0 and axis >= len(x.shape) for axis, size in enumerate(shape)):
            node.fail(f"shape {shape} copies a dimension that {list(x.shape)} lacks")
        shape = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    if shape.count(-1) == 1:
        rest = math.prod(size for size in shape if size != -1)
        shape[shape.index(-1)] = math.prod(x.shape) // rest if rest else 0
    if any(size < 1 for size in shape):
        node.fail(f"shape {shape}: sizes of at least 1, and one -1, expected")
    return reshape_to(node, x, shape)


def _flatten(node: OnnxNode) -> Value:
    x, axis = node.computed(0), node.integer("axis", 1)
    axis = axis if axis == len(x.shape) else node.axis(axis, len(x.shape))
    return reshape_to(node, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def _squeeze(node: OnnxNode) -> Value:
    x = node.computed(0)
    axes = node.axes()
    if axes is None:
        axes = [axis for axis, size in enumerate(x.shape) if size == 1]
    dropped = {node.axis(axis, len(x.shape)) for axis in axes}
    return reshape_to(node, x, [size for axis, size in enumerate(x.shape) if axis not in dropped])


def _unsqueeze(node: OnnxNode) -> Value:
    x = node.computed(0)
    axes = node.axes()
    if axes is None:
        node.fail("axes expected, found none")
    shape = list(x.shape)
    for axis in sorted(node.axis(axis, len(x.shape) + len(axes)) for axis in axes):
        shape.insert(axis, 1)
    return reshape_to(node, x, shape)


def _pad(node: OnnxNode) -> Value:
    mode = node.text("mode", "constant")
    pads = node.integers("pads") if node.opset < 11 else node.sizes(1)
    fill = node.number("value", 0.0) if node.opset < 11 else node.scalar(2, 0.0)
    x = node.computed(0)
    rank = len(x.shape)
    axes = node.sizes(3) if node.has(3) else range(rank)
    axes = [node.axis(axis, rank) for axis in axes]
    if len(pads) != 2 * len(axes) or len(set(axes)) != len(axes):
        node.fail(f"{2 * len(axes)} pads for axes {axes} expected, found {list(pads)}")
    if mode != "constant" or not math.isfinite(fill) or min(pads, default=0) < 0:
        raise Unsupported(
            f"{mode} {fill:g}, pads {list(pads)}; finite numbers around the tensor expected"
        )
    before, after = (dict(zip(axes, half, strict=True)) for half in _halves(pads))
    padded = {axis for axis in axes if before[axis] or after[axis]}
    if rank == 4 and padded <= {2, 3}:
        sides = (before.get(2, 0), before.get(3, 0), after.get(2, 0), after.get(3, 0))
        y = pad(node, x, sides)
    else:
        y = x
        for axis in sorted(padded):
            y = pad_axis(node, y, axis, before[axis], after[axis])
    if not fill or not padded:
        return y
    frame = [size if axis in padded else 1 for axis, size in enumerate(y.shape)]
    if math.prod(frame) > MAX_CONSTANT_ELEMENTS:
        raise Unsupported(f"{fill:g} around {list(x.shape)}; a smaller tensor, or zeros, expected")
    numbers = np.full(frame, fill, np.float32)
    starts = [before[axis] if axis in padded else 0 for axis in range(rank)]
    ends = [start + size for start, size in zip(starts, x.shape, strict=True)]
    numbers[tuple(map(slice, starts, ends))] = 0
    return with_constant(node, y, numbers, scaled=False)


def _halves(numbers: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    return numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :]


def _concat(node: OnnxNode) -> Value:
    return concat(node, node.integer("axis"))


def _split(node: OnnxNode) -> list[Value]:
    x = node.computed(0)
    names = list(node.proto.output)
    node.ignore("num_outputs")
    sizes = node.integers("split", None) if node.opset < 13 else None
    if node.opset >= 13 and node.has(1):
        sizes = node.sizes(1)
    if (axis := node.axis(node.integer("axis", 0), len(x.shape))) != 1:
        raise Unsupported(f"axis {axis}; the channels' axis, 1, expected")
    if sizes is None:
        size = -(-x.shape[1] // len(names))
        sizes = [size] * (len(names) - 1) + [x.shape[1] - size * (len(names) - 1)]
    if len(sizes) != len(names) or sum(sizes) != x.shape[1]:
        node.fail(f"{list(sizes)} of {x.shape[1]} channels for {len(names)} outputs do not fit")
    parts, first = [], 0
    for name, size in zip(names, sizes, strict=True):
        parts.append(channels_from(node, first, size))
        parts[-1].name = node.emitted[-1].name = name or node.name
        first += size
    return parts


def _slice(node: OnnxNode) -> Value:
    x = node.computed(0)
    if node.opset < 10:
        starts, ends = node.integers("starts"), node.integers("ends")
        axes, steps = node.integers("axes", None), None
    else:
        starts, ends = node.sizes(1), node.sizes(2)
        axes, steps = (node.sizes(place) if node.has(place) else None for place in (3, 4))
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps):
        node.fail(f"as many starts as ends, axes and steps expected, found {len(starts)}")
    taken = range(x.shape[1]) if len(x.shape) > 1 else range(0)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = node.axis(axis, len(x.shape))
        if step == 0:
            node.fail("steps other than 0 expected")
        places = range(x.shape[axis])[start:end:step]
        if axis == 1 and step == 1:
            taken = places
        elif places != range(x.shape[axis]):
            raise Unsupported(f"axis {axis}, step {step}; neighbouring channels, axis 1, expected")
    if len(x.shape) < 2 or taken == range(x.shape[1]):
        return x
    if not taken:
        raise Unsupported("no channels are left; at least one expected")
    return channels_from(node, taken.start, len(taken))


def _transpose(node: OnnxNode) -> Value:
    rank = len(node.computed(0).shape)
    return transpose(node, node.integers("perm", tuple(range(rank))[::-1]))


def _identity(node: OnnxNode) -> Value:
    return node.value(0)


def _dropout(node: OnnxNode) -> Value:
    node.ignore("ratio", "seed")
    if node.scalar(2, 0.0):
        raise Unsupported("training mode; call model.eval() before the export")
    return node.computed(0)


def _cast(node: OnnxNode) -> Value:
    node.ignore("saturate", "round_mode")
    if (to := node.integer("to")) != TensorProto.FLOAT:
        raise Unsupported(f"to {type_name(to)}; FLOAT expected")
    return node.computed(0)


# Operators with several outputs give a list.
OPERATORS: dict[str, Callable[[OnnxNode], Value | list[Value]]] = {
    "Add": add,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "DequantizeLinear": dequantize_linear,
    "Div": divide,
    "Dropout": _dropout,
    "Elu": _elu,
    "Erf": _activation("erf"),
    "Flatten": _flatten,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average_pool,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _activation("hard_swish"),
    "Identity": _identity,
    "LeakyRelu": _leaky_relu,
    "MatMul": _mat_mul,
    "Max": _max,
    "Min": _min,
    "MaxPool": _max_pool,
    "Mish": _activation("mish"),
    "Mul": multiply,
    "Neg": _neg,
    "Pad": _pad,
    "QuantizeLinear": quantize_linear,
    "ReduceMean": _reduce_mean,
    "Relu": relu,
    "Reshape": _reshape,
    "Sigmoid": sigmoid,
    "Slice": _slice,
    "Softmax": _softmax,
    "Softplus": _activation("softplus"),
    "Split": _split,
    "Squeeze": _squeeze,
    "Sub": subtract,
    "Tanh": _activation("tanh"),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
