from __future__ import annotations

import io
import zipfile
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import tiny_models
from hypothesis import strategies as st
from surgery import ENTRY_BYTES, HEADER_BYTES, SECTIONS, GossFile

import gossamer
from gossamer import InferenceSession, ModelError, UnsupportedError

CONTENT = tiny_models.every_operator()
TABLE_END = HEADER_BYTES + len(SECTIONS) * ENTRY_BYTES

# Numbers of tensors and nodes in tiny_models.every_operator().
IMAGE, STEM_WEIGHT, STEM, SPARSE_WEIGHT, PROBABILITIES = 0, 1, 3, 7, 17
STEM_NODE, RESIDUAL_NODE = 0, 3


@pytest.fixture
def file() -> GossFile:
    return GossFile(CONTENT)


def refuse(file: GossFile, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        InferenceSession(file.bytes)


def test_the_file_that_these_tests_alter_is_good() -> None:
    assert GossFile(CONTENT).repair().bytes == CONTENT
    image = np.ones((1, 3, 8, 8), np.float32)
    (probabilities,) = InferenceSession(CONTENT).run(None, {"image": image})
    assert probabilities.sum() == pytest.approx(1, abs=1e-6)


# ---- Files of another kind ----------------------------------------------------------------------


def zip_file() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("model.goss", CONTENT)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"G", 'it does not begin with "GOSS"; make one with `gossamer convert`'),
        (CONTENT[::-1], 'it does not begin with "GOSS"'),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "it is a picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(500), "it is a picture"),
        (b"<!DOCTYPE html><title>404</title>", "it looks like a web page; check the address"),
        (
            b"\x08\x08\x12\x07pytorch" + bytes(500),
            "it looks like an ONNX model; .*gossamer convert",
        ),
        (zip_file(), "it is a zip archive or a PyTorch checkpoint"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "it is a Git LFS pointer; .*git lfs pull",
        ),
    ],
    ids=["empty", "one byte", "backwards", "PNG", "JPEG", "HTML", "ONNX", "zip", "LFS"],
)
def test_a_file_of_another_kind_is_recognised_and_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "model.goss"
    path.write_bytes(content)
    with pytest.raises(
        ModelError, match=rf"model\.goss: not a \.goss file \({len(content)} bytes\): {message}"
    ):
        InferenceSession(path)


# ---- Header and section table -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "size", "value", "error", "message"),
    [
        (0, 1, ord("g"), ModelError, "not a .goss file"),
        (4, 4, 1, UnsupportedError, "file format version 1, this build reads version 2"),
        (8, 8, len(CONTENT) + 1, ModelError, f"truncated: .*{len(CONTENT) + 1} bytes"),
        (8, 8, len(CONTENT) - 64, ModelError, f"wrong size: .*file has {len(CONTENT)}"),
        (8, 8, 2**64 - 1, ModelError, "truncated"),
        (16, 4, 7, ModelError, "7 sections, 6 expected"),
        (20, 4, 0, ModelError, "header: checksum .*, 00000000 expected"),
        (24, 1, 1, ModelError, "reserved bytes"),
        (63, 1, 1, ModelError, "reserved bytes"),
    ],
)
def test_each_header_field_is_checked(
    file: GossFile, offset: int, size: int, value: int, error: type[Exception], message: str
) -> None:
    refuse(file.put(offset, value, size), error, message)


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize(
    ("field", "size", "value", "message"),
    [
        (0, 4, 9, r"kind 9, \d \({section}\) expected"),
        (4, 4, 12345, "section {section}: checksum .*, 00003039 expected"),
        (8, 8, 64, "section {section}: offset 64"),
        (8, 8, 2**64 - 64, "section {section}: offset"),
        (8, 8, 257, "section {section}: offset 257"),
        (16, 8, 2**63, "section {section}: offset .*, 9223372036854775808 bytes"),
        (24, 8, 1, "section {section}: reserved"),
    ],
)
def test_each_section_table_field_is_checked(
    file: GossFile, section: str, field: int, size: int, value: int, message: str
) -> None:
    file.put(file.entry(section) + field, value, size)
    refuse(file, ModelError, "header: checksum")
    refuse(file.repair_header(), ModelError, message.format(section=section))


def test_a_gap_between_sections_must_be_zero(file: GossFile) -> None:
    offset, size = file.section("strings")
    assert (offset + size) % 64, "there is a gap behind the strings"
    refuse(file.put(offset + size, 1, 1), ModelError, "section tensors: the gap in front of it")


def test_the_tail_must_be_zero(file: GossFile) -> None:
    refuse(file.put(len(CONTENT) - 1, 1, 1), ModelError, "tail")


def boundaries() -> list[int]:
    file = GossFile(CONTENT)
    edges = {0, HEADER_BYTES, TABLE_END, len(CONTENT)}
    edges |= {HEADER_BYTES + index * ENTRY_BYTES for index in range(len(SECTIONS))}
    for section in SECTIONS:
        offset, size = file.section(section)
        edges |= {offset, offset + size}
    sizes = {edge + step for edge in edges for step in (-1, 0, 1)}
    return sorted(size for size in sizes if 0 <= size < len(CONTENT))


@pytest.mark.parametrize("size", boundaries())
def test_a_truncated_file_is_refused_wherever_it_ends(size: int) -> None:
    with pytest.raises(ModelError, match="not a .goss file" if size < 4 else "truncated"):
        InferenceSession(CONTENT[:size])


@pytest.mark.parametrize("size", [256, 2000, len(CONTENT) - 64])
def test_a_truncated_file_is_refused_when_its_header_says_so_too(size: int) -> None:
    file = GossFile(CONTENT[: size // 64 * 64])
    with pytest.raises(ModelError, match="section .*: offset|tail"):
        InferenceSession(file.put(8, len(file.bytes), 8).repair_header().bytes)


def test_bytes_behind_the_file_are_refused(file: GossFile) -> None:
    file.bytes += bytes(64)
    refuse(file, ModelError, "wrong size")
    refuse(file.put(8, len(file.bytes), 8).repair_header(), ModelError, "tail")


def test_every_flipped_bit_of_header_and_table_is_noticed() -> None:
    for bit in range(TABLE_END * 8):
        altered = bytearray(CONTENT)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises((ModelError, UnsupportedError)):
            InferenceSession(altered)


def test_a_flipped_bit_of_any_other_byte_is_noticed() -> None:
    for position in range(TABLE_END, len(CONTENT)):
        altered = bytearray(CONTENT)
        altered[position] ^= 1 << position % 8
        with pytest.raises(ModelError):
            InferenceSession(altered)


# ---- Records, with checksums that fit -----------------------------------------------------------


@pytest.mark.parametrize(
    ("tensor", "field", "size", "value", "message"),
    [
        (STEM, 0, 4, 10**6, "tensor 3: string at 1000000"),
        (STEM, 4, 4, 7, "'stem': dtype 7"),
        (STEM, 8, 4, 9, "'stem': role 9"),
        (STEM, 8, 4, 1, "'stem': rank 0, 1 to 6 expected"),
        (PROBABILITIES, 8, 4, 0, "1 inputs and 0 outputs"),
        (STEM, 12, 4, 2, "'stem': rank 2, 0 expected"),
        (STEM, 40, 4, 4, "'stem': holds no weights"),
        (STEM, 48, 8, 64, "'stem': holds no weights"),
        (STEM, 68, 4, 1, "'stem': .* scale"),
        (STEM, 72, 4, 1, "'stem': .* zero point"),
        (STEM, 76, 4, 1, "'stem': reserved"),
        (IMAGE, 12, 4, 7, "'image': rank 7, 1 to 6 expected"),
        (IMAGE, 12, 4, 0, "'image': rank 0"),
        (IMAGE, 16, 4, 0, "'image': dimension 0 is 0"),
        (IMAGE, 24, 4, 2**31, "'image': 2\\^31 elements"),
        (IMAGE, 32, 4, 1, "'image': dimension 4 is 1, 0 expected"),
        (IMAGE, 20, 4, 4, "stem"),
        (STEM_WEIGHT, 16, 4, 9, "'stem.weight': .* elements"),
        (STEM_WEIGHT, 40, 4, 3, "'stem.weight': blocks of 3 rows; 1, 2, 4 or 8 expected"),
        (STEM_WEIGHT, 44, 4, 2, "'stem.weight': storage 2"),
        (STEM_WEIGHT, 48, 8, 4, "'stem.weight': offset 4"),
        (STEM_WEIGHT, 48, 8, 2**64 - 64, "'stem.weight': offset"),
        (STEM_WEIGHT, 56, 8, 4, "'stem.weight': 4 bytes, 216 elements"),
        (STEM_WEIGHT, 56, 8, 2**64 - 1, "'stem.weight': offset"),
        (STEM_WEIGHT, 64, 4, 1, "'stem.weight': storage 0 with 1 blocks"),
        (SPARSE_WEIGHT, 56, 8, 4, "'pointwise.weight': 4 bytes do not hold 2 counts"),
        (SPARSE_WEIGHT, 64, 4, 7, "'pointwise.weight': block row 1 has 4 blocks; .* 3 blocks left"),
        (SPARSE_WEIGHT, 64, 4, 9, "'pointwise.weight': 8 blocks counted, 9 stored"),
        (SPARSE_WEIGHT, 64, 4, 2**32 - 1, "'pointwise.weight': .* do not hold"),
    ],
)
def test_each_tensor_field_is_checked(
    file: GossFile, tensor: int, field: int, size: int, value: int, message: str
) -> None:
    file.put(file.record("tensors", tensor) + field, value, size)
    refuse(file.repair(), (ModelError, UnsupportedError), message)


@pytest.mark.parametrize(
    ("node", "field", "value", "message"),
    [
        (STEM_NODE, 0, 10**6, "node 0: string at 1000000"),
        (STEM_NODE, 4, 99, "'stem': operator 99 is unknown"),
        (STEM_NODE, 4, 4, r"'stem' \(add\)"),
        (STEM_NODE, 8, 2, r"'stem' \(conv\): 2 inputs, 3 to 4 expected"),
        (STEM_NODE, 12, 10**6, "input 0 is tensor 1000000"),
        (STEM_NODE, 12, STEM, "reads tensor 'stem' before it is computed"),
        (STEM_NODE, 16, IMAGE, "stem"),
        (STEM_NODE, 24, 0, "input 3 is tensor 0"),
        (STEM_NODE, 28, IMAGE, "output tensor 0 .* is written already"),
        (STEM_NODE, 28, 10**6, "output tensor 1000000"),
        (STEM_NODE, 32, 10**6, "11 attribute words at 1000000"),
        (STEM_NODE, 32, 2**32 - 1, "11 attribute words"),
        (STEM_NODE, 36, 10, r"'stem' \(conv\): 10 attribute words at 0; 11 or one more expected"),
        (STEM_NODE, 36, 13, r"'stem' \(conv\): 13 attribute words"),
        (RESIDUAL_NODE, 16, IMAGE, "'residual'"),
    ],
)
def test_each_node_field_is_checked(
    file: GossFile, node: int, field: int, value: int, message: str
) -> None:
    file.put(file.record("nodes", node) + field, value)
    refuse(file.repair(), (ModelError, UnsupportedError), message)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        (0, 0),  # stride_y
        (0, 2**31),
        (1, 0),  # stride_x
        (2, 2**32 - 1),  # pad_top
        (4, 2**31),  # pad_bottom
        (6, 0),  # dilation_y
        (6, 2**32 - 1),
        (8, 0),  # groups
        (8, 2),
        (8, 3),
        (9, 0x7FC00000),  # min: NaN
        (10, 0xFF800000),  # max: -inf, below min
    ],
)
def test_each_attribute_is_checked(file: GossFile, word: int, value: int) -> None:
    file.put(file.section("attributes")[0] + 4 * word, value)
    refuse(file.repair(), (ModelError, UnsupportedError), "'stem'")


def test_an_unknown_activation_of_a_convolution_is_named(file: GossFile) -> None:
    file.put(file.record("nodes", STEM_NODE) + 36, 12)
    file.put(file.section("attributes")[0] + 4 * 11, 22)
    message = r"'stem' \(conv\): activation 21; this build knows 0 to 20"
    refuse(file.repair(), UnsupportedError, message)


def test_metadata_is_checked(file: GossFile) -> None:
    first, second = file.record("metadata", 0), file.record("metadata", 1)
    key = file.get(first)
    refuse(file.put(first, 10**6).repair(), ModelError, "metadata entry 0: string at 1000000")
    refuse(file.put(first, key).put(second, key).repair(), ModelError, "key 'title' stands twice")


def test_strings_must_end(file: GossFile) -> None:
    offset, size = file.section("strings")
    refuse(file.put(offset + size - 1, ord("!"), 1).repair(), ModelError, "section strings")


@pytest.mark.parametrize(
    "broken",
    [
        b"\x80",
        b"\xc1\x81",
        b"\xe0\x9f\xbf",
        b"\xed\xa0\x80",
        b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
    ],
    ids=["lone continuation", "overlong 2", "overlong 3", "surrogate", "overlong 4", "too large"],
)
def test_strings_must_be_utf8(file: GossFile, broken: bytes) -> None:
    offset, _ = file.section("strings")
    file.bytes[offset + 1 : offset + 1 + len(broken)] = broken
    refuse(file.repair(), ModelError, "section strings: byte 1 begins no UTF-8 character")


@pytest.mark.parametrize("section", ["tensors", "nodes", "attributes", "metadata"])
def test_a_section_of_broken_records_is_refused(file: GossFile, section: str) -> None:
    entry = file.entry(section)
    file.put(entry + 16, file.get(entry + 16, 8) - 2, 8)
    offset, size = file.section(section)
    file.put(offset + size, 0, 2)
    refuse(file.repair(), ModelError, f"section {section}: .* no multiple")


def weight_offset(file: GossFile, tensor: int) -> int:
    return file.section("weights")[0] + file.get(file.record("tensors", tensor) + 48, 8)


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7F800000, 0xFF800000])
def test_weights_must_be_finite(file: GossFile, bits: int) -> None:
    file.put(weight_offset(file, STEM_WEIGHT) + 8, bits)
    why = "stored value 2 is NaN" if bits == 0x7FC00000 else "are not finite"
    refuse(file.repair(), ModelError, f"'stem.weight'.* {why}")


@pytest.mark.parametrize(
    ("offset", "size", "value", "message"),
    [
        (0, 4, 9, "block row 0 has 9 blocks"),
        (0, 4, 5, "block 4 in column 0|block row 1 has 4 blocks; 8 columns, 3 blocks left"),
        (8, 2, 8, "block 0 in column 8"),
        (10, 2, 1, "block 1 in column 1; ascending"),
    ],
)
def test_sparse_indices_are_checked(
    file: GossFile, offset: int, size: int, value: int, message: str
) -> None:
    file.put(weight_offset(file, SPARSE_WEIGHT) + offset, value, size)
    refuse(file.repair(), ModelError, f"'pointwise.weight': {message}")


# Numbers of tensors in tiny_models.quantized().
QUANTIZED, I8_DENSE, I8_BIAS, I8_DEPTHWISE, I8_SPARSE = 1, 2, 3, 5, 8


@pytest.fixture
def quantized_file() -> GossFile:
    return GossFile(tiny_models.quantized())


@pytest.mark.parametrize(
    ("tensor", "field", "size", "value", "message"),
    [
        (QUANTIZED, 4, 4, 3, "'quantized': dtype 3"),
        (QUANTIZED, 68, 4, 0, "'quantized': the scale is 0; a finite number above 0"),
        (QUANTIZED, 68, 4, 0xBF800000, "'quantized': the scale is -1;"),
        (QUANTIZED, 68, 4, 0x7F800000, "'quantized': the scale is inf;"),
        (QUANTIZED, 68, 4, 0x7FC00000, "'quantized': the scale is -?nan;"),
        (QUANTIZED, 72, 4, 128, "'quantized': the zero point is 128; 0 to 127"),
        (QUANTIZED, 76, 4, 1, "'quantized': reserved"),
        (I8_DENSE, 4, 4, 4, "'stem.weight': dtype 4"),
        (I8_DENSE, 12, 4, 3, "'stem.weight': "),
        (I8_DENSE, 40, 4, 2, "'stem.weight': blocks of 2 rows; 1 or 4 expected"),
        (I8_DENSE, 44, 4, 4, "'stem.weight': storage 4 with 0 blocks"),
        (I8_DENSE, 44, 4, 2, "'stem.weight': depthwise"),
        (I8_DENSE, 56, 8, 63, "'stem.weight': 63 bytes do not hold 5 scales"),
        (I8_DENSE, 56, 8, 100, "'stem.weight': 36 bytes of values, 18 blocks of 16 expected"),
        (I8_DENSE, 64, 4, 1, "'stem.weight': storage 0 with 1 blocks"),
        (I8_DENSE, 68, 4, 1, "'stem.weight': the scale"),
        (I8_DEPTHWISE, 56, 8, 64 + 71, "'depthwise.weight': 71 bytes, 9 x 8 expected"),
        (I8_SPARSE, 64, 4, 4, "'pointwise.weight': 3 blocks counted, 4 stored"),
        (I8_SPARSE, 56, 8, 64 + 64 + 47, "'pointwise.weight': 47 bytes of values, 3 blocks of 16"),
    ],
)
def test_each_field_of_quantized_tensors_is_checked(
    quantized_file: GossFile, tensor: int, field: int, size: int, value: int, message: str
) -> None:
    file = quantized_file
    file.put(file.record("tensors", tensor) + field, value, size)
    refuse(file.repair(), (ModelError, UnsupportedError), message)


@pytest.mark.parametrize(
    ("tensor", "offset", "size", "value", "message"),
    [
        (I8_DENSE, 4, 4, 0xFF800000, "'stem.weight': the scale of row 1 is -inf"),
        (I8_DENSE, 16, 4, 0, "'stem.weight': the scale of row 4 is 0"),
        (I8_DENSE, 64 + 5, 1, 0x80, "'stem.weight': byte 5 is -128; -127 to 127"),
        (I8_DENSE, 64 + 3, 1, 1, "'stem.weight': byte 3 is 1; 0, as padding"),
        (I8_DENSE, 64 + 9 * 16 + 4, 1, 255, "'stem.weight': byte 148 is -1; 0, as padding"),
        (I8_DEPTHWISE, 64 + 5, 1, 1, "'depthwise.weight': byte 5 is 1; 0, as padding"),
        (I8_DEPTHWISE, 64, 1, 0x80, "'depthwise.weight': byte 0 is -128"),
        (I8_SPARSE, 64, 4, 9, "'pointwise.weight': block row 0 has 9 blocks"),
        (I8_SPARSE, 64 + 8, 2, 2, "'pointwise.weight': block 0 in column 2"),
        (I8_SPARSE, 64 + 12, 2, 0, "'pointwise.weight': block 2 in column 0; ascending"),
        (I8_SPARSE, 128 + 16 + 4, 1, 1, "'pointwise.weight': byte 20 is 1; 0, as padding"),
    ],
)
def test_i8_weights_their_scales_and_padding_are_checked(
    quantized_file: GossFile, tensor: int, offset: int, size: int, value: int, message: str
) -> None:
    file = quantized_file
    file.put(weight_offset(file, tensor) + offset, value, size)
    refuse(file.repair(), ModelError, message)


RUNS_AT = 64  # behind the scales of 5 rows; then 21 weights


@pytest.mark.parametrize(
    ("offset", "size", "value", "message"),
    [
        (0, 4, 20, "the runs do not make 3 blocks"),
        (0, 4, 22, "weight 13 of the runs is -?[0-9]+, or lies outside"),
        (0, 4, 1 << 31, "bytes do not hold 2147483648 weights in runs"),
        (0, 4, 2, "the runs do not make 3 blocks"),
        (4, 4, 16, "21 weights in runs with remainders of 16 bits"),
        (4, 4, 15, "bytes do not hold 21 weights in runs"),
        (8 + 3, 1, 0, "weight 3 of the runs is 0, or"),
        (8, 1, 0x80, "byte 0 is -128; -127 to 127"),
    ],
)
def test_weights_in_runs_are_checked(offset: int, size: int, value: int, message: str) -> None:
    file = GossFile(tiny_models.runs())
    file.put(weight_offset(file, I8_SPARSE) + RUNS_AT + offset, value, size)
    refuse(file.repair(), ModelError, f"'pointwise.weight': .*{message}")


@pytest.mark.parametrize(
    ("field", "size", "value", "message"),
    [
        (56, 8, RUNS_AT + 7, "7 bytes do not hold 0 weights"),
        (64, 4, 2, "the runs do not make 2 blocks"),
        (64, 4, 4, "the runs do not make 4 blocks"),
        (40, 4, 1, "the runs do not make 3 blocks"),
    ],
)
def test_the_record_of_weights_in_runs_is_checked(
    field: int, size: int, value: int, message: str
) -> None:
    file = GossFile(tiny_models.runs())
    file.put(file.record("tensors", I8_SPARSE) + field, value, size)
    refuse(file.repair(), ModelError, f"'pointwise.weight': {message}")


def test_the_file_of_an_error_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.goss"
    path.write_bytes(CONTENT[:100])
    with pytest.raises(ModelError, match=r"broken\.goss: truncated in the header: 100 bytes"):
        InferenceSession(path)


# ---- Anything at all ----------------------------------------------------------------------------

SIZE_WORTH_RUNNING = 1 << 24


def places(content: bytes) -> st.SearchStrategy[int]:
    sections = map(GossFile(content).section, SECTIONS)
    return st.one_of([st.integers(offset, offset + size - 1) for offset, size in sections if size])


@st.composite
def altered_files(draw: st.DrawFn) -> bytes:
    """Some bytes of a file are others; checksums are right."""
    content = draw(st.sampled_from([CONTENT, tiny_models.quantized(), tiny_models.runs()]))
    changes = st.lists(st.tuples(places(content), st.integers(0, 255)), min_size=1, max_size=6)
    file = GossFile(content)
    for position, value in draw(changes):
        file.bytes[position] = value
    return bytes(file.repair().bytes)


@hypothesis.settings(max_examples=2000, derandomize=True)
@hypothesis.given(altered_files())
def test_altered_files_with_right_checksums_run_or_are_refused(content: bytes) -> None:
    try:
        session = InferenceSession(content)
    except gossamer.GossamerError as error:
        assert str(error)
        return
    inputs = session.get_inputs()
    if session.info.arena_bytes < SIZE_WORTH_RUNNING and all(
        np.prod(arg.shape) < SIZE_WORTH_RUNNING for arg in inputs
    ):
        session.run(None, {arg.name: np.ones(arg.shape, arg.dtype) for arg in inputs})


@hypothesis.settings(max_examples=500, derandomize=True)
@hypothesis.given(st.binary(max_size=400), st.integers(0, 64))
def test_any_bytes_are_refused(content: bytes, keep: int) -> None:
    with pytest.raises((ModelError, UnsupportedError)):
        InferenceSession(CONTENT[:keep] + content)
