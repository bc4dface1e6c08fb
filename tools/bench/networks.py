"""The benchmark's networks, one random-weight network of the zoo in every engine's own format.

For TensorFlow and TensorFlow.js the ONNX model is written as ``network.json`` (nodes in order,
images as NHWC) and ``weights.bin`` (f32): neither reads ONNX, and both build the same network.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from gossamer import zoo

# Of the largest output. Engines add in different orders.
TOLERANCE = 1e-3
# Of outputs of an int8 network with those of the f32 one: engines quantize differently.
LEAST_CORRELATION = 0.9
CALIBRATION_IMAGES = 8


def check_output(label: str, found: list[float], expected: np.ndarray, dtype: str) -> None:
    """End the benchmark when an engine computes something else than onnxruntime does in f32."""
    if dtype == "int8":
        correlation = float(np.corrcoef(found, expected)[0, 1])
        if not correlation >= LEAST_CORRELATION:
            raise SystemExit(f"{label}: outputs correlate with onnxruntime's by {correlation:.2f}")
        return
    error = float(np.abs(np.asarray(found) - expected).max() / np.abs(expected).max())
    if not error <= TOLERANCE:
        raise SystemExit(f"{label}: differs from onnxruntime by {error:.1e} of the largest output")


def test_image(shape: list[int]) -> np.ndarray:
    """Numbers in -1..1, the same as in ``web/bench/measure.mjs``."""
    index = np.arange(np.prod(shape), dtype=np.uint64)
    values = (index * np.uint64(2654435761)) % np.uint64(2**32) / 2147483648 - 1
    return values.astype(np.float32).reshape(shape)


def goss_name(pattern: str, sparsity: float, dtype: str) -> str:
    """Name a ``.goss`` file."""
    zeros = f"{sparsity * 100:g}-{pattern}" if sparsity else "dense"
    return f"{zeros}-int8.goss" if dtype == "int8" else f"{zeros}.goss"


def write_goss(
    folder: Path, name: str, pattern: str, sparsity: float, dtype: str, **size: Any
) -> Path:
    """Write a ``.goss`` file unless it is there."""
    path = folder / goss_name(pattern, sparsity, dtype)
    if not path.exists():
        blocks = {"pattern": pattern} if pattern else {}
        path.write_bytes(zoo.build(name, sparsity=sparsity, dtype=dtype, **blocks, **size))
    return path


class _TestImages:
    """Feeds onnxruntime's quantizer."""

    def __init__(self, name: str, shape: list[int]) -> None:
        image = test_image(shape)
        self.feeds = iter([{name: np.roll(image, 7 * i)} for i in range(CALIBRATION_IMAGES)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


def write_int8_onnx(folder: Path) -> None:
    """Write ``dense-int8.onnx``: ``dense.onnx`` as onnxruntime quantizes it, unless it is there."""
    from onnxruntime import quantization

    path = folder / "dense-int8.onnx"
    if path.exists():
        return
    (image,) = onnx.load(folder / "dense.onnx").graph.input
    shape = [d.dim_value for d in image.type.tensor_type.shape.dim]
    quantization.quantize_static(
        folder / "dense.onnx",
        path,
        _TestImages(image.name, shape),
        per_channel=True,
        weight_type=quantization.QuantType.QInt8,
    )


def write_peers_formats(folder: Path, name: str, **size: Any) -> None:
    """Write the dense network as ``dense.onnx``, ``network.json`` and ``weights.bin``."""
    path = folder / "dense.onnx"
    if path.exists() and (folder / "network.json").exists():
        return
    content = zoo.build_onnx(name, sparsity=0, **size)
    path.write_bytes(content)
    writer = _Writer(onnx.load_from_string(content).graph)
    description = writer.describe()
    (folder / "weights.bin").write_bytes(b"".join(writer.weights))
    (folder / "network.json").write_text(json.dumps(description, indent=1))


class _Writer:
    """Walks an ONNX graph of the zoo."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.constants = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
        self.uses = Counter(name for node in graph.node for name in node.input)
        self.weights: list[bytes] = []
        self.offset = 0
        self.renamed: dict[str, str] = {}
        self.nodes: list[dict[str, Any]] = []

    def describe(self) -> dict[str, Any]:
        for node in self.graph.node:
            getattr(self, f"add_{node.op_type.lower()}")(node)
        (image,), (output,) = self.graph.input, self.graph.output
        shape = [d.dim_value for d in image.type.tensor_type.shape.dim]
        return {
            "input": image.name,
            "inputShape": shape,
            "output": self.renamed.get(output.name, output.name),
            "weights": "weights.bin",
            "nodes": self.nodes,
        }

    def constant(self, values: np.ndarray) -> dict[str, Any]:
        self.weights.append(np.ascontiguousarray(values, np.float32).tobytes())
        place = {"offset": self.offset, "shape": list(values.shape)}
        self.offset += len(self.weights[-1])
        return place

    def emit(self, op: str, node: onnx.NodeProto, **more: Any) -> None:
        inputs = [self.renamed.get(name, name) for name in node.input if name not in self.constants]
        self.nodes.append({"op": op, "inputs": inputs, "output": node.output[0], **more})

    def add_conv(self, node: onnx.NodeProto) -> None:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        weights, bias = (self.constants[name] for name in node.input[1:])
        depthwise = attributes["group"] > 1
        # [outputs, inputs, height, width] -> [height, width, inputs, outputs]; depthwise: the
        # channels come first of the last two.
        order = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
        self.emit(
            "conv",
            node,
            depthwise=depthwise,
            strides=list(attributes["strides"]),
            pads=list(attributes["pads"]),
            relu6=False,
            filter=self.constant(weights.transpose(order)),
            bias=self.constant(bias),
        )

    def add_clip(self, node: onnx.NodeProto) -> None:
        """Only ReLU6 directly behind a convolution: what the zoo writes."""
        (source,) = (name for name in node.input if name not in self.constants)
        bounds = [float(self.constants[name]) for name in node.input[1:]]
        last = self.nodes[-1]
        if bounds != [0, 6] or last["output"] != source or self.uses[source] != 1:
            raise SystemExit(f"{node.name}: a ReLU6 right behind its convolution expected")
        last["relu6"] = True
        self.renamed[node.output[0]] = source

    def add_globalaveragepool(self, node: onnx.NodeProto) -> None:
        self.emit("mean", node, keepDims=True)

    def add_flatten(self, node: onnx.NodeProto) -> None:
        self.nodes[-1]["keepDims"] = False
        self.renamed[node.output[0]] = node.input[0]

    def add_gemm(self, node: onnx.NodeProto) -> None:
        weights, bias = (self.constants[name] for name in node.input[1:])
        self.emit("matmul", node, filter=self.constant(weights.T), bias=self.constant(bias))

    def add_identity(self, node: onnx.NodeProto) -> None:
        self.renamed[node.output[0]] = self.renamed.get(node.input[0], node.input[0])

    def add_softmax(self, node: onnx.NodeProto) -> None:
        self.emit("softmax", node)

    def add_sigmoid(self, node: onnx.NodeProto) -> None:
        self.emit("sigmoid", node)

    def add_mul(self, node: onnx.NodeProto) -> None:
        self.emit("multiply", node)

    def add_add(self, node: onnx.NodeProto) -> None:
        self.emit("add", node)
