"""The ONNX project's backend tests, run through `gossamer.convert` and a session.

Their models are mostly one node, with weights, biases and axes as inputs of the graph. So each runs
in two forms: as it is, and with the inputs after the first as initializers. A case passes when each
output has the expected shape, dtype and numbers, by the case's own tolerances, and is refused when
an error of this package names what the engine lacks. Anything else is wrong.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper, version_converter
from onnx.backend.test import loader
from onnx.backend.test.case.node import collect_testcases

import gossamer

AS_IS, CONSTANTS = "as it is", "constants"
FORMS = (AS_IS, CONSTANTS)
WHOLE = (np.bool_, np.int32, np.int64)  # what goes in and comes out as f32
# Of the tests that come as files: models that exporters wrote, some for older operator sets.
FILES = ("pytorch-converted", "pytorch-operator", "simple")
OLDEST_OPSET = 7
TYPES = (TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT32, TensorProto.INT64)


@dataclass(frozen=True, eq=False)
class Case:
    """One model in one form, what goes in and what must come out."""

    name: str
    operator: str  # that it is about
    form: str
    model: onnx.ModelProto
    inputs: dict[str, object]  # arrays, or lists of them for sequences
    expected: list[object]
    rtol: float
    atol: float

    def feeds(self) -> dict[str, object]:
        """What a session gets: whole numbers as f32, and tensors without axes as one number."""
        return {
            name: np.atleast_1d(np.asarray(value, np.float32) if _is_whole(value) else value)
            if _is_tensor(value)
            else value
            for name, value in self.inputs.items()
        }

    def is_of_f32(self) -> bool:
        """Whether it is about f32 and what comes as f32 only."""
        graph = self.model.graph
        return all(
            info.type.tensor_type.elem_type in TYPES and info.type.HasField("tensor_type")
            for info in (*graph.input, *graph.output)
        )

    def check(self, outputs: list[np.ndarray]) -> None:
        """Fail unless all outputs have the expected shape, dtype and numbers."""
        assert len(outputs) == len(self.expected)
        for actual, expected in zip(outputs, self.expected, strict=True):
            expected = np.asarray(expected)
            if expected.dtype in WHOLE:  # come out as f32, and exactly
                np.testing.assert_array_equal(actual, np.atleast_1d(expected))
                expected = expected.astype(np.float32)
            assert actual.dtype == expected.dtype, (actual.dtype, expected.dtype)
            assert actual.shape == (expected.shape or (1,)), (actual.shape, expected.shape)
            expected = expected.reshape(actual.shape)
            np.testing.assert_allclose(actual, expected, rtol=self.rtol, atol=self.atol)


@dataclass(eq=False)
class Outcome:
    """What became of a case: `verdict` is "passed", "refused" or "wrong"; `reason` says why."""

    case: Case
    verdict: str
    reason: str = ""
    data: bytes = field(default=b"", repr=False)  # .goss, of those that passed

    def __str__(self) -> str:
        return f"{self.case.name} ({self.case.form}): {self.verdict}: {self.reason}"


def run() -> list[Outcome]:
    """Run everything; about a minute."""
    return [outcome(case) for case in cases()]


def cases() -> Iterator[Case]:
    """Every case in every form that it has."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of the reference implementation, about its test data
        node_cases = collect_testcases(None)
    operators = {
        case.name: case.model.graph.node[0].op_type
        for case in node_cases
        if len(case.model.graph.node) == 1
    }
    for case in node_cases:
        # A function's body is a case of its own; it is about the function.
        operator = operators[re.sub("_expanded.*", "", case.name)]
        for inputs, outputs in case.data_sets:
            yield from _forms(case, operator, case.model, inputs, outputs)
    for kind in FILES:
        for case in sorted(loader.load_model_tests(kind=kind), key=lambda case: case.name):
            yield from _stored(case, kind)


def _stored(case: object, kind: str) -> Iterator[Case]:
    folder = Path(case.model_dir)
    model = onnx.load(folder / "model.onnx")
    imported = next((entry.version for entry in model.opset_import if not entry.domain), None)
    if imported is not None and imported < OLDEST_OPSET:
        model = version_converter.convert_version(model, OLDEST_OPSET)
    for data_set in sorted(folder.glob("test_data_set_*")):
        values = [_tensors(data_set, side) for side in ("input", "output")]
        yield from _forms(case, f"{kind} models", model, *values)


def _tensors(folder: Path, side: str) -> list[object]:
    count = len(list(folder.glob(f"{side}_*.pb")))
    found = [onnx.TensorProto() for _ in range(count)]
    for number, tensor in enumerate(found):
        tensor.ParseFromString((folder / f"{side}_{number}.pb").read_bytes())
    return [numpy_helper.to_array(tensor) for tensor in found]


def _forms(
    case: object, operator: str, model: onnx.ModelProto, inputs: list, outputs: list
) -> Iterator[Case]:
    initializers = {tensor.name for tensor in model.graph.initializer}
    names = [info.name for info in model.graph.input if info.name not in initializers]
    feeds = dict(zip(names, inputs, strict=True))
    about = (outputs, case.rtol, case.atol)
    yield Case(case.name, operator, AS_IS, model, feeds, *about)
    if len(feeds) > 1 and all(_is_tensor(value) for value in inputs[1:]):
        first, *others = names
        constant = onnx.ModelProto()
        constant.CopyFrom(model)
        constants = [_as_initializer(model, name, feeds[name]) for name in others]
        constant.graph.initializer.extend(constants)
        yield Case(case.name, operator, CONSTANTS, constant, {first: feeds[first]}, *about)


def _is_tensor(value: object) -> bool:
    return isinstance(value, np.ndarray | np.generic | onnx.TensorProto)


def _is_whole(value: object) -> bool:
    return getattr(value, "dtype", None) in WHOLE


def _as_initializer(model: onnx.ModelProto, name: str, value: object) -> onnx.TensorProto:
    tensor = onnx.TensorProto()
    if isinstance(value, onnx.TensorProto):
        tensor.CopyFrom(value)
    else:
        tensor.CopyFrom(numpy_helper.from_array(np.asarray(value)))
    tensor.name = name
    return tensor


def outcome(case: Case) -> Outcome:
    """Convert and run one case."""
    try:
        data = gossamer.convert(case.model, None)
        session = gossamer.InferenceSession(data)
        outputs = session.run(None, case.feeds())
    except (gossamer.UnsupportedError, gossamer.InputError) as error:  # the models are valid
        reason = str(error)
        verdict = "refused" if _names_the_cause(case, reason) else "wrong"
        return Outcome(case, verdict, reason)
    except Exception as error:  # whatever it is, it is the finding
        return Outcome(case, "wrong", f"{type(error).__name__}: {error}")
    try:
        case.check(outputs)
    except AssertionError as error:
        return Outcome(case, "wrong", str(error).strip())
    return Outcome(case, "passed", data=data)


def _names_the_cause(case: Case, message: str) -> bool:
    """Whether a message names an operator of the model, or an input or output by its name."""
    graph = case.model.graph
    operators = {f"{node.domain}::{node.op_type}".removeprefix("::") for node in graph.node}
    tensors = {f"'{info.name}'" for info in (*graph.input, *graph.output)}
    words = set(re.findall(r"[\w.:]+|'[^']*'", message))
    return bool(words & (operators | tensors)) or "operator set" in message
