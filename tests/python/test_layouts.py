"""Transposes around what works element by element: they meet and vanish, and change no number."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import gossamer
from gossamer.cli import main
from gossamer.convert import importing, passes
from gossamer.explain.text import facts

SHAPE = (2, 3, 4, 5)
NHWC, NCHW = (0, 2, 3, 1), (0, 3, 1, 2)


class Model:
    """Nodes one behind the other, with the shapes between them."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes, self.constants, self.shapes = [], [], {"x": SHAPE}

    def constant(self, *shape: int) -> str:
        name = f"c{len(self.constants)}"
        data = self.random.normal(size=shape).astype(np.float32)
        self.constants.append(numpy_helper.from_array(data, name))
        return name

    def add(self, operator: str, *inputs: str, shape=None, **attributes) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        self.shapes[name] = shape or self.shapes[inputs[0]]
        return name

    def turn(self, value: str, axes) -> str:
        shape = tuple(self.shapes[value][axis] for axis in axes)
        return self.add("Transpose", value, shape=shape, perm=list(axes))

    def build(self, *outputs: str) -> onnx.ModelProto:
        def info(name: str):
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shapes[name])

        graph = helper.make_graph(
            self.nodes, "g", [info("x")], [info(name) for name in outputs], self.constants
        )
        opsets = [helper.make_opsetid("", 13)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def check(model: onnx.ModelProto, tmp_path) -> int:
    """Compare with onnxruntime, and count the transposes that are left."""
    x = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    session = gossamer.InferenceSession(gossamer.convert(model, None))
    for found, wanted in zip(session.run(None, {"x": x}), expected, strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    graph = importing.import_model(path, 1, None, None)
    passes.optimize(graph)
    return Counter(node.op for node in graph.nodes)["transpose"]


def step(model: Model, value: str, kind: int) -> str:
    shape, rank = model.shapes[value], 4
    if kind == 0:
        return model.add("Relu", value)
    if kind == 1:
        return model.add("Sigmoid", value)
    if kind == 2:
        return model.add("Add", value, model.constant(shape[-1]))
    if kind == 3:
        return model.add("Mul", value, model.constant(shape[1], 1, 1))
    if kind == 4:
        return model.add("Add", value, model.add("Tanh", value))
    if kind == 5:
        return model.add("Mul", value, model.constant(*shape[2:]))
    reduced = (*shape[: rank - 1], 1)
    largest = model.add("ReduceMax", value, shape=reduced, axes=[3], keepdims=1)
    return model.add("Sub", value, largest)


KINDS = st.lists(st.integers(0, 6), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None)
@given(kinds=KINDS, axes=st.permutations(range(4)), seed=st.integers(0, 99))
def test_transposes_that_undo_each_other_vanish(tmp_path_factory, kinds, axes, seed):
    model = Model(seed)
    value = model.turn("x", axes)
    for kind in kinds:
        value = step(model, value, kind)
    value = model.turn(value, np.argsort(axes).tolist())
    assert check(model.build(value), tmp_path_factory.mktemp("model")) == 0


STEPS = st.lists(
    st.one_of(st.integers(0, 6), st.permutations(range(4)).map(tuple)), min_size=1, max_size=8
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, seed=st.integers(0, 99), middle=st.booleans())
def test_no_chain_has_more_transposes_than_before(tmp_path_factory, steps, seed, middle):
    model, value, values = Model(seed), "x", []
    for each in steps:
        value = step(model, value, each) if isinstance(each, int) else model.turn(value, each)
        values.append(value)
    outputs = dict.fromkeys([*values[:1], value] if middle else [value])
    before = sum(isinstance(each, tuple) for each in steps)
    assert check(model.build(*outputs), tmp_path_factory.mktemp("model")) <= before


def test_a_residual_between_transposes_has_none(tmp_path):
    model = Model()
    a = model.turn("x", NHWC)
    b = model.add("Relu", model.add("Add", a, model.constant(3)))
    c = model.turn(model.add("Add", a, b), NCHW)
    assert check(model.build(c), tmp_path) == 0


def test_an_average_over_pixels_needs_no_transpose(tmp_path):
    model = Model()
    a = model.add("Relu", model.turn("x", NHWC))
    b = model.add("ReduceMean", a, shape=(2, 3), axes=[1, 2], keepdims=0)
    assert check(model.build(b), tmp_path) == 0


def test_what_is_left_is_said(tmp_path, capsys):
    model = Model()
    onnx.save(model.build(model.turn("x", NHWC)), tmp_path / "model.onnx")
    path = str(tmp_path / "model.onnx")
    assert main(["convert", path, str(tmp_path / "model.goss")]) == 0
    assert "1 transpose left: 'v0'" in capsys.readouterr().err
    explanation = gossamer.explain(path, measure=False)
    assert dict(facts(explanation))["transposes"] == "1 left"


@pytest.mark.parametrize("inner", [False, True])
def test_outputs_keep_their_layout(inner, tmp_path):
    model = Model()
    a = model.add("Relu", model.turn("x", NHWC))
    b = model.turn(model.add("Exp", a), NCHW)
    assert check(model.build(*([a, b] if inner else [b])), tmp_path) == int(inner)


def test_a_bias_between_transposes_joins_the_convolution(tmp_path):
    model = Model()
    a = model.add("Conv", "x", model.constant(6, 3, 1, 1), shape=(2, 6, 4, 5))
    b = model.add("Add", model.turn(a, NHWC), model.constant(6))
    c = model.turn(model.add("Relu", b), NCHW)
    assert check(model.build(c), tmp_path) == 0
    session = gossamer.InferenceSession(gossamer.convert(model.build(c), None))
    assert len(session.layers()) == 1


def quantized(model: Model, value: str, scale: float) -> str:
    names = f"scale{len(model.nodes)}", f"zero{len(model.nodes)}"
    for number, name in zip((np.float32(scale), np.int8(0)), names, strict=True):
        model.constants.append(numpy_helper.from_array(np.array(number), name))
    stored = model.add("QuantizeLinear", value, *names)
    return model.add("DequantizeLinear", stored, *names)


def run_in_int8(turned: bool) -> np.ndarray:
    model = Model()
    weights = model.constant(6, 3, 1, 1)
    a = model.add("Conv", quantized(model, "x", 0.03), weights, shape=(2, 6, 4, 5))
    a = quantized(model, a, 0.05)
    if turned:
        a = quantized(model, model.turn(a, NHWC), 0.05)
    b = quantized(model, model.add("Relu", a), 0.05)
    b = quantized(model, model.add("Add", a, b), 0.08)
    if turned:
        b = quantized(model, model.turn(b, NCHW), 0.08)
    session = gossamer.InferenceSession(gossamer.convert(model.build(b), None))
    operators = [layer.op for layer in session.layers()]
    assert "quantize" in operators
    assert "transpose" not in operators
    x = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    return session.run(None, {"x": x})[0]


def test_int8_computes_the_same_bits_without_its_transposes():
    np.testing.assert_array_equal(run_in_int8(turned=True), run_in_int8(turned=False))
