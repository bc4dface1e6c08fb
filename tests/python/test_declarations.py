from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gossamer import _native, errors
from gossamer._bindings import CffiBinding, CtypesBinding
from gossamer._declarations import HEADER, cdef, parse

TEXT = HEADER.read_text(encoding="utf-8")
DECLARATIONS = parse(cdef(TEXT))


@pytest.fixture(scope="module")
def bindings() -> list[CffiBinding | CtypesBinding]:
    return [binding(_native.LIBRARY, TEXT) for binding in _native.BINDINGS.values()]


def test_the_installed_header_is_the_one_in_the_repository(root: Path) -> None:
    assert (root / "runtime" / "include" / "gossamer.h").read_text(encoding="utf-8") == TEXT


def test_declarations_hold_no_comments_and_no_export_marks() -> None:
    assert not re.search(r"/\*|\*/|GOSS_API|#", cdef(TEXT))


def test_every_exported_function_is_declared() -> None:
    assert set(re.findall(r"^GOSS_API .*?(goss_\w+)\(", TEXT, re.M)) == set(DECLARATIONS.functions)


def test_both_bindings_find_every_function(bindings: list[CffiBinding | CtypesBinding]) -> None:
    for binding in bindings:
        for function in DECLARATIONS.functions:
            assert callable(getattr(binding._library, function))


def test_a_declaration_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ValueError, match="cannot read '#define GOSS_MAX 3'"):
        parse("uint32_t goss_count(void);\n#define GOSS_MAX 3\n")


def test_structs_are_laid_out_as_the_compiler_lays_them_out(
    root: Path, tmp_path: Path, bindings: list[CffiBinding | CtypesBinding]
) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("needs a C compiler on PATH")
    fields = [
        (struct, variable.name)
        for struct, variables in DECLARATIONS.structs.items()
        for variable in variables
    ]
    expressions = [f"offsetof({struct}, {field})" for struct, field in fields]
    expressions += [f"sizeof({struct})" for struct in DECLARATIONS.structs]
    source, program = tmp_path / "layout.c", tmp_path / "layout"
    prints = "".join(f'printf("%zu\\n", {expression});\n' for expression in expressions)
    source.write_text(f'#include <stdio.h>\n#include "gossamer.h"\nint main(void) {{ {prints} }}\n')
    include = root / "runtime" / "include"
    subprocess.run([compiler, "-I", include, source, "-o", program], check=True)
    compiled = subprocess.run([program], check=True, capture_output=True, text=True).stdout

    cffi, ctypes = bindings
    for name, offset in (
        ("cffi", lambda struct, field: cffi._ffi.offsetof(struct, field)),
        ("ctypes", lambda struct, field: getattr(ctypes._types[struct], field).offset),
    ):
        size = dict(zip(_native.BINDINGS, bindings, strict=True))[name].size
        found = [offset(struct, field) for struct, field in fields]
        found += [size(struct) for struct in DECLARATIONS.structs]
        assert found == [int(line) for line in compiled.split()], name


def test_each_status_has_one_error_class() -> None:
    statuses = set(DECLARATIONS.enums["goss_status"]) - {"GOSS_OK"}
    assert set(_native.STATUS_ERRORS) == statuses
    assert len(set(_native.STATUS_ERRORS.values())) == len(statuses)


@pytest.fixture(scope="module")
def javascript(root: Path) -> dict:
    """What the JavaScript package believes about the C interface."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node on PATH")
    program = """
        import { STATUS_CODES } from "./web/src/engine.mjs";
        import { STRUCTS } from "./web/src/layout.mjs";
        console.log(JSON.stringify({ statuses: STATUS_CODES, structs: STRUCTS }));
    """
    command = [node, "--input-type=module", "--eval", program]
    return json.loads(subprocess.run(command, cwd=root, check=True, capture_output=True).stdout)


def test_c_and_javascript_number_the_same_statuses(javascript: dict) -> None:
    statuses = sorted(DECLARATIONS.enums["goss_status"].items(), key=lambda item: item[1])
    names = [name.removeprefix("GOSS_").lower().replace("_", "-") for name, _ in statuses]
    assert [number for _, number in statuses] == list(range(len(names)))
    assert javascript["statuses"] == names


def test_c_and_javascript_declare_the_same_structs(javascript: dict) -> None:
    for struct, fields in javascript["structs"].items():
        declared = {
            variable.name: variable.type + (f"[{variable.length}]" if variable.length else "")
            for variable in DECLARATIONS.structs[struct]
        }
        assert list(fields.items()) == list(declared.items()), struct


def test_python_c_and_javascript_have_one_version(root: Path) -> None:
    import gossamer

    cmake = re.search(r"project\(gossamer VERSION (\S+)", (root / "CMakeLists.txt").read_text())
    package = json.loads((root / "web" / "package.json").read_text())
    assert cmake[1] == package["version"] == gossamer.__version__


def test_every_error_class_is_public_and_a_gossamer_error() -> None:
    import gossamer

    classes = {name: item for name, item in vars(errors).items() if isinstance(item, type)}
    for name, item in classes.items():
        assert issubclass(item, gossamer.GossamerError)
        assert getattr(gossamer, name) is item
        assert name in gossamer.__all__


def test_everything_that_is_public_is_documented() -> None:
    import gossamer

    for name in gossamer.__all__:
        assert getattr(gossamer, name).__doc__, name


# ---- A library that is not there, or not ours ---------------------------------------------------


def test_a_missing_library_is_reported_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_native, "LIBRARY", tmp_path / "libgossamer.so")
    with pytest.raises(errors.EngineError, match=r"libgossamer\.so .*missing.*pip install"):
        _native.Engine("cffi")


def test_a_library_for_another_machine_is_reported(
    binding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_native, "LIBRARY", tmp_path / "libgossamer.so")
    (tmp_path / "libgossamer.so").write_bytes(b"\x7fELF, but of no machine at all")
    with pytest.raises(errors.EngineError, match="cannot be loaded on this machine"):
        _native.Engine(binding)


def test_a_library_of_another_version_is_reported(
    binding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_native, "ABI_VERSION", 999)
    with pytest.raises(errors.EngineError, match="binary interface .*, this package expects 999"):
        _native.Engine(binding)


def test_a_header_of_another_version_is_reported(
    binding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_native, "HEADER", tmp_path / "gossamer.h")
    (tmp_path / "gossamer.h").write_text(TEXT.replace("message[252]", "message[124]"))
    with pytest.raises(errors.EngineError, match="goss_error takes 128 bytes .* 256 expected"):
        _native.Engine(binding)


def test_ctypes_serves_where_cffi_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    _native.engine.cache_clear()
    assert isinstance(_native.engine().binding, CffiBinding)
    monkeypatch.setitem(sys.modules, "cffi", None)
    _native.engine.cache_clear()
    assert isinstance(_native.engine().binding, CtypesBinding)
    _native.engine.cache_clear()


def test_the_library_and_the_package_have_one_version(binding: str) -> None:
    import gossamer

    assert _native.engine(binding).version == gossamer.__version__
