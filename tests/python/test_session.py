from __future__ import annotations

import array
import ctypes
import gc
import mmap
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_models

import gossamer
from gossamer import InferenceSession, SessionOptions, _native

A = np.array([[1, -2, 3], [4, -5, 6]], np.float32)
B = np.array([[10, 1, -30], [0.5, 5, -7]], np.float32)


def run_sums(session: InferenceSession, a: object, b: object = B) -> list[np.ndarray]:
    return session.run(None, {"a": a, "b": b})


# ---- Opening ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [str, Path])
def test_a_session_opens_a_path(colours_file: Path, binding: str, kind: type) -> None:
    session = InferenceSession(kind(colours_file), _binding=binding)
    assert session.metadata["title"] == "Colours"


@pytest.mark.parametrize(
    "kind", [bytes, bytearray, memoryview, lambda content: np.frombuffer(content, np.uint8)]
)
def test_a_session_opens_a_files_content(binding: str, kind: type) -> None:
    session = InferenceSession(kind(tiny_models.sums()), _binding=binding)
    assert session.metadata["title"] == "Sums — ∑"


def test_a_session_opens_a_mapped_file(colours_file: Path, binding: str) -> None:
    with (
        colours_file.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        session = InferenceSession(mapped, _binding=binding)
    assert session.get_inputs()[0].name == "image"


def test_a_session_does_not_mind_what_happens_to_its_content_later(binding: str) -> None:
    content = bytearray(tiny_models.sums())
    session = InferenceSession(content, _binding=binding)
    content[:] = bytes(len(content))
    gc.collect()
    np.testing.assert_array_equal(run_sums(session, A)[0], A + B)


def test_a_missing_file_is_reported_with_its_name_and_where_embedded_models_are() -> None:
    with pytest.raises(gossamer.MissingFileError, match=r"load_model\(name\): 'nowhere/a.goss'"):
        InferenceSession("nowhere/a.goss")


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=r"a \.goss file expected"):
        InferenceSession(tmp_path)


@pytest.mark.parametrize("thing", [None, 3, ["model.goss"], {}])
def test_other_things_are_no_models(thing: object) -> None:
    with pytest.raises(gossamer.InputError, match=f"model: {type(thing).__name__} found"):
        InferenceSession(thing)


def test_an_unknown_embedded_model_is_reported_with_those_that_exist() -> None:
    with pytest.raises(gossamer.InputError, match="no embedded model 'resnet'; there is: "):
        gossamer.load_model("resnet")


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True, 2**40])
def test_threads_must_be_a_positive_whole_number(threads: object) -> None:
    with pytest.raises(gossamer.InputError, match="threads: .* at least 1"):
        SessionOptions(threads=threads)


def test_an_unknown_isa_is_reported_with_those_of_this_machine(binding: str) -> None:
    with pytest.raises(gossamer.InputError, match=gossamer.isas()[-1]):
        InferenceSession(tiny_models.sums(), SessionOptions(isa="mmx"), _binding=binding)


def test_every_isa_of_this_machine_runs(binding: str) -> None:
    for isa in gossamer.isas():
        session = InferenceSession(tiny_models.sums(), SessionOptions(isa=isa), _binding=binding)
        assert session.isa == isa
        np.testing.assert_array_equal(run_sums(session, A)[0], A + B)


def test_fewer_threads_than_asked_for_are_noted(binding: str) -> None:
    session = InferenceSession(tiny_models.sums(), SessionOptions(threads=64), _binding=binding)
    assert session.info.threads == 64 or "instead of 64" in session.notes[0]
    assert InferenceSession(tiny_models.sums(), _binding=binding).notes == []


# ---- Describing ---------------------------------------------------------------------------------


def test_inputs_and_outputs_are_listed_in_the_models_order(sums: InferenceSession) -> None:
    assert [(arg.name, arg.shape) for arg in sums.get_inputs()] == [("a", [2, 3]), ("b", [2, 3])]
    assert [arg.name for arg in sums.get_outputs()] == ["total", "positive"]
    assert sums.get_outputs()[1].shape == [2, 3]
    assert (sums.get_inputs()[0].type, sums.get_inputs()[0].dtype) == ("tensor(float)", "float32")


def test_metadata_cannot_be_changed(sums: InferenceSession) -> None:
    with pytest.raises(TypeError):
        sums.metadata["title"] = "mine"


def test_layers_add_up_to_the_session(binding: str) -> None:
    session = InferenceSession(tiny_models.every_operator(), _binding=binding)
    layers = session.layers()
    assert [layer.op for layer in layers][:4] == ["conv", "conv", "conv", "add"]
    assert sum(layer.macs for layer in layers) == session.info.macs
    assert sum(layer.dense_macs for layer in layers) == session.info.dense_macs
    assert sum(layer.weight_bytes for layer in layers) == session.info.weight_bytes
    assert session.info.largest_live_bytes <= session.info.arena_bytes
    assert all(layer.kernel for layer in layers)
    assert all(layer.reason for layer in layers if layer.weights)


def test_a_sparse_layer_counts_its_zeros_out(binding: str) -> None:
    session = InferenceSession(tiny_models.every_operator(), _binding=binding)
    pointwise = next(layer for layer in session.layers() if layer.name == "pointwise")
    assert (pointwise.weights, pointwise.nonzeros) == (64, 32)
    assert pointwise.macs * 2 == pointwise.dense_macs == 8 * 8 * 4 * 4
    assert pointwise.shape == [1, 8, 4, 4]


def test_a_session_prints_what_it_takes_and_gives(colours: InferenceSession) -> None:
    assert repr(colours).startswith("<InferenceSession image[1, 3, 4, 4] -> probabilities[1, 3], ")


# ---- Running ------------------------------------------------------------------------------------


def test_all_outputs_come_in_the_models_order(sums: InferenceSession) -> None:
    total, positive = run_sums(sums, A)
    np.testing.assert_array_equal(total, A + B)
    np.testing.assert_array_equal(positive, np.maximum(A + B, 0))
    assert total.dtype == np.float32


def test_chosen_outputs_come_in_the_asked_order(sums: InferenceSession) -> None:
    positive, total = sums.run(["positive", "total"], {"b": B, "a": A})
    np.testing.assert_array_equal(positive, np.maximum(A + B, 0))
    np.testing.assert_array_equal(total, A + B)
    assert len(sums.run(["total"], {"a": A, "b": B})) == 1


def test_results_belong_to_the_caller(sums: InferenceSession) -> None:
    first = run_sums(sums, A)[0]
    second = run_sums(sums, A * 2)[0]
    np.testing.assert_array_equal(first, A + B)
    first[:] = 0
    np.testing.assert_array_equal(second, A * 2 + B)
    del sums
    gc.collect()
    np.testing.assert_array_equal(second, A * 2 + B)


@pytest.mark.parametrize(
    "arrange",
    [
        lambda a: np.asfortranarray(a),
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
        lambda a: a[::-1].copy()[::-1],
        lambda a: np.frombuffer(b"?" + a.tobytes(), np.uint8)[1:].view(np.float32).reshape(2, 3),
        lambda a: np.broadcast_to(a, (2, 3)),
        lambda a: memoryview(a.tobytes()).cast("f", [2, 3]),
        lambda a: (ctypes.c_float * 3 * 2)(*map(tuple, a.tolist())),
        lambda a: memoryview(array.array("f", a.ravel().tolist())).cast("B").cast("f", [2, 3]),
    ],
    ids=["fortran", "gaps", "backwards", "unaligned", "read-only", "bytes", "ctypes", "array"],
)
def test_any_arrangement_of_the_input_gives_the_same(
    sums: InferenceSession, arrange: object
) -> None:
    arranged = arrange(A)
    np.testing.assert_array_equal(np.asarray(arranged), A)
    np.testing.assert_array_equal(run_sums(sums, arranged)[0], A + B)


def test_without_numpy_results_are_shaped_memoryviews(binding: str, without_numpy: None) -> None:
    session = InferenceSession(tiny_models.sums(), _binding=binding)
    a = memoryview(array.array("f", range(6))).cast("B").cast("f", [2, 3])
    (total,) = session.run(["total"], {"a": a, "b": a})
    assert isinstance(total, memoryview)
    assert (total.format, total.shape) == ("f", (2, 3))
    assert total.tolist() == [[0, 2, 4], [6, 8, 10]]


# ---- Misuse: an error that says what to do, and a session that goes on ---------------------------


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"a": A}, r"input 'b' is missing; the model has 'a', 'b'"),
        ({}, r"input 'a', 'b' is missing"),
        ({"a": A, "b": B, "c": B}, r"no input 'c'; the model has 'a', 'b'"),
        ({"A": A, "b": B}, r"no input 'A'"),
        (A, r"inputs: ndarray found, a dict expected: \{'a': array\}"),
        ([A, B], r"inputs: list found"),
        (None, r"inputs: NoneType found"),
        ({"a": A.astype(np.float64), "b": B}, r"'a': dtype float64 found.*astype\(np.float32\)"),
        ({"a": A.astype(np.uint8), "b": B}, r"'a': dtype uint8 found, float32 expected"),
        ({"a": A.astype(">f4"), "b": B}, r"'a': dtype >f4 found"),
        ({"a": array.array("d", [1.0]), "b": B}, r"'a': dtype 'd' \(struct format\) found"),
        ({"a": A.tolist(), "b": B}, r"'a': list found, an array expected: numpy.asarray"),
        ({"a": None, "b": B}, r"'a': NoneType found"),
        ({"a": "abc", "b": B}, r"'a': str found"),
        ({"a": A.T, "b": B}, r"'a': shape \[3, 2\] found, \[2, 3\] expected"),
        ({"a": A[:1], "b": B}, r"\[1, 3\] found.*convert the model with batch=1"),
        ({"a": np.zeros(6, np.float32), "b": B}, r"shape \[6\] found.*give it its shape"),
        ({"a": np.float32(1), "b": B}, r"shape \[\] found"),
        ({"a": A[:, :0], "b": B}, r"shape \[2, 0\] found"),
        ({"a": np.where(A < 0, np.nan, A), "b": B}, r"input 'a' holds NaN at element 1 of 6"),
    ],
)
def test_a_wrong_input_is_explained_and_the_session_goes_on(
    sums: InferenceSession, inputs: object, message: str
) -> None:
    with pytest.raises(gossamer.InputError, match=message):
        sums.run(None, inputs)
    np.testing.assert_array_equal(run_sums(sums, A)[0], A + B)


def test_hints_name_the_step_that_photos_usually_need(colours: InferenceSession) -> None:
    def message(*shape: int) -> str:
        with pytest.raises(gossamer.InputError) as caught:
            colours.run(None, {"image": np.zeros(shape, np.float32)})
        return str(caught.value)

    assert message(3, 4, 4).endswith("add the batch dimension: x[None]")
    assert message(1, 4, 4, 3).endswith("x.transpose(0, 3, 1, 2)")
    assert message(2, 3, 4, 4).endswith("convert the model with batch=2")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["sum"], "no output 'sum'; the model has 'total', 'positive'"),
        (["total", 1], "no output 1"),
        ("total", r"a string found; a list expected: \['total'\]"),
    ],
)
def test_a_wrong_output_name_is_explained(
    sums: InferenceSession, names: object, message: str
) -> None:
    with pytest.raises(gossamer.InputError, match=message):
        sums.run(names, {"a": A, "b": B})


def test_infinities_are_computed_with(sums: InferenceSession) -> None:
    total = run_sums(sums, np.where(A < 0, -np.inf, A).astype(np.float32))[0]
    np.testing.assert_array_equal(np.isinf(total), A < 0)


def test_a_closed_session_says_so_and_closes_twice(sums: InferenceSession) -> None:
    sums.close()
    sums.close()
    with pytest.raises(gossamer.InputError, match="the session is closed"):
        run_sums(sums, A)
    assert sums.get_inputs()[0].name == "a"


def test_an_error_has_both_the_packages_and_pythons_class(sums: InferenceSession) -> None:
    with pytest.raises(ValueError):
        sums.run(None, {})
    with pytest.raises(gossamer.GossamerError):
        sums.run(None, {})


# ---- Threads and lifetimes ----------------------------------------------------------------------


@pytest.mark.parametrize("isa", gossamer.isas())
def test_any_number_of_threads_gives_the_same_bits(isa: str) -> None:
    image = np.random.default_rng(2).normal(size=(1, 3, 32, 32)).astype(np.float32)
    answers = []
    for threads in (1, 2, 3, 4):
        options = SessionOptions(threads=threads, isa=isa)
        session = gossamer.load_model("cifar10-mobilenet", options)
        assert session.info.threads == threads or session.notes
        answers += session.run(None, {"image": image})
    for answer in answers:
        np.testing.assert_array_equal(answer, answers[0])


def in_threads(count: int, work: object) -> None:
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_threads_sharing_a_session_get_their_own_answers(sums: InferenceSession) -> None:
    def work(number: int) -> None:
        a = np.full((2, 3), number, np.float32)
        for _ in range(200):
            np.testing.assert_array_equal(run_sums(sums, a)[0], a + B)

    in_threads(4, work)


def test_threads_with_sessions_of_their_own_run_side_by_side(binding: str) -> None:
    content = tiny_models.every_operator()
    image = np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype(np.float32)
    expected = InferenceSession(content).run(None, {"image": image})[0]

    def work(number: int) -> None:
        for _ in range(10):
            session = InferenceSession(content, _binding=binding)
            for _ in range(10):
                np.testing.assert_array_equal(session.run(None, {"image": image})[0], expected)

    in_threads(4, work)


def test_other_threads_go_on_while_the_engine_computes(binding: str) -> None:
    session = InferenceSession(tiny_models.heavy(), _binding=binding)
    image = np.ones((1, 64, 128, 128), np.float32)
    session.run(None, {"image": image})
    times: list[float] = []

    def compute() -> None:
        times.append(time.perf_counter())
        session._native.run()
        times.append(time.perf_counter())

    thread = threading.Thread(target=compute)
    thread.start()
    ticks = []
    while thread.is_alive():
        ticks.append(time.perf_counter())
    start, end = times
    quarter = (end - start) / 4
    assert any(start + quarter < tick < end - quarter for tick in ticks)


def test_closing_while_others_run_ends_them_with_an_error(sums: InferenceSession) -> None:
    def work(number: int) -> None:
        with pytest.raises(gossamer.InputError, match="closed"):
            while True:
                run_sums(sums, A)
                if number == 0:
                    sums.close()

    in_threads(3, work)


@pytest.fixture
def ownership(binding: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the engine's functions that take or release something, as they are called."""
    calls: list[str] = []
    engine = _native.engine(binding)
    original = engine.binding.call

    def spy(function: str, *arguments: object) -> object:
        if function.endswith(("alloc", "free", "load", "create", "destroy")):
            calls.append(function.removeprefix("goss_"))
        return original(function, *arguments)

    monkeypatch.setattr(engine.binding, "call", spy)
    return calls


def test_everything_is_released_in_reverse_with_the_last_reference(
    binding: str, ownership: list[str]
) -> None:
    session = InferenceSession(tiny_models.sums(), _binding=binding)
    assert ownership == ["alloc", "model_load", "session_create", *["alloc"] * 4]
    ownership.clear()
    del session
    gc.collect()
    assert ownership == [*["free"] * 4, "session_destroy", "model_destroy", "free"]


def test_a_session_that_fails_releases_what_it_took(binding: str, ownership: list[str]) -> None:
    with pytest.raises(gossamer.ModelError):
        InferenceSession(b"no model", _binding=binding)
    assert ownership == ["alloc", "model_load", "free"]
    ownership.clear()
    with pytest.raises(gossamer.InputError):
        InferenceSession(tiny_models.sums(), SessionOptions(isa="mmx"), _binding=binding)
    assert ownership == ["alloc", "model_load", "session_create", "model_destroy", "free"]


def test_a_thousand_sessions_leave_no_memory_behind(binding: str) -> None:
    resource = pytest.importorskip("resource")
    content = tiny_models.colours((128, 128))  # 200 KB of input, 400 KB with its planes
    photo = np.ones((1, 3, 128, 128), np.float32)

    def use_and_drop(count: int) -> None:
        for _ in range(count):
            InferenceSession(content, _binding=binding).run(None, {"image": photo})

    use_and_drop(20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    use_and_drop(1000)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 20_000, "KB; a thousand sessions that leak would take 400 MB"


def test_the_package_needs_no_other_package() -> None:
    program = """
import sys
for name in ("cffi", "numpy", "onnx", "PIL"):
    sys.modules[name] = None
import gossamer
session = gossamer.InferenceSession(sys.stdin.buffer.read())
zeros = memoryview(bytes(24)).cast("f", [2, 3])
print([view.tolist() for view in session.run(None, {"a": zeros, "b": zeros})])
"""
    result = subprocess.run(
        [sys.executable, "-c", program], input=tiny_models.sums(), capture_output=True, check=True
    )
    assert result.stdout.decode().strip() == str([[[0.0] * 3] * 2] * 2)
