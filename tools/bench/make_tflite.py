"""Make ``dense.tflite`` and ``dense-int8.tflite`` of the network.json in a folder.

Runs in an environment with TensorFlow. The int8 network takes and gives f32.

Usage: python make_tflite.py FOLDER
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

CALIBRATION_IMAGES = 8


def build(folder: Path) -> tf.types.experimental.ConcreteFunction:
    """Build the network as TensorFlow's own operators."""
    network = json.loads((folder / "network.json").read_text())
    data = (folder / network["weights"]).read_bytes()

    def constant(place: dict) -> tf.Tensor:
        count = int(np.prod(place["shape"]))
        values = np.frombuffer(data, np.float32, count, place["offset"])
        return tf.constant(values.reshape(place["shape"]))

    def conv(node: dict, x: tf.Tensor) -> tf.Tensor:
        top, left, bottom, right = node["pads"]
        padding = [[0, 0], [top, bottom], [left, right], [0, 0]]
        operator = tf.nn.depthwise_conv2d if node["depthwise"] else tf.nn.conv2d
        strides = [1, *node["strides"], 1] if node["depthwise"] else node["strides"]
        y = tf.nn.bias_add(
            operator(x, constant(node["filter"]), strides, padding), constant(node["bias"])
        )
        return tf.nn.relu6(y) if node["relu6"] else y

    def matmul(node: dict, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.bias_add(tf.matmul(x, constant(node["filter"])), constant(node["bias"]))

    operators = {
        "conv": conv,
        "matmul": matmul,
        "mean": lambda node, x: tf.reduce_mean(x, [1, 2], keepdims=node["keepDims"]),
        "add": lambda node, a, b: a + b,
        "multiply": lambda node, a, b: a * b,
        "sigmoid": lambda node, x: tf.sigmoid(x),
        "softmax": lambda node, x: tf.nn.softmax(x),
    }
    batch, channels, height, width = network["inputShape"]

    @tf.function(input_signature=[tf.TensorSpec((batch, height, width, channels), tf.float32)])
    def run(image: tf.Tensor) -> tf.Tensor:
        values = {network["input"]: image}
        for node in network["nodes"]:
            inputs = [values[name] for name in node["inputs"]]
            values[node["output"]] = operators[node["op"]](node, *inputs)
        return values[network["output"]]

    return run.get_concrete_function()


def images(folder: Path) -> Iterator[list[np.ndarray]]:
    """Yield what int8's ranges are taken from."""
    batch, channels, height, width = json.loads((folder / "network.json").read_text())["inputShape"]
    random = np.random.default_rng(0)
    for _ in range(CALIBRATION_IMAGES):
        yield [random.uniform(-1, 1, (batch, height, width, channels)).astype(np.float32)]


def main() -> None:
    """Run the command line."""
    folder = Path(sys.argv[1])
    function = build(folder)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    (folder / "dense.tflite").write_bytes(converter.convert())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: images(folder)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    (folder / "dense-int8.tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    main()
