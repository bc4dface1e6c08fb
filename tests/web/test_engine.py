"""The engine's JavaScript without a browser, under node, and its agreement with the C header."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import gossamer
from gossamer._declarations import cdef, parse

ROOT = Path(__file__).resolve().parents[2]
MODEL = Path(gossamer.__file__).parent / "models" / "cifar10-mobilenet.goss"

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")


def run_in_node(script: str) -> object:
    """Run a module's text; what it prints is JSON."""
    prelude = f"""
        import {{ readFileSync }} from "node:fs";
        import {{ chooseBuild }} from "{ROOT}/web/src/choice.mjs";
        import {{ Engine, STATUS_CODES }} from "{ROOT}/web/src/engine.mjs";
        import {{ STRUCTS, LAYOUTS }} from "{ROOT}/web/src/layout.mjs";
        import {{ NativeSession }} from "{ROOT}/web/src/native_session.mjs";
        const engineBytes = () => readFileSync("{ROOT}/web/dist/gossamer-simd.wasm");
        const modelBytes = () => readFileSync("{MODEL}");
    """
    run = subprocess.run(
        ["node", "--input-type=module", "-"],
        input=prelude + script,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@needs_node
def test_structs_and_statuses_are_the_headers() -> None:
    seen = run_in_node("console.log(JSON.stringify({ STRUCTS, STATUS_CODES }));")
    declared = parse(cdef((ROOT / "runtime" / "include" / "gossamer.h").read_text()))
    for name, fields in seen["STRUCTS"].items():
        assert list(fields.items()) == [
            (field.name, f"{field.type}[{field.length}]" if field.length else field.type)
            for field in declared.structs[name]
        ]
    names = [f"GOSS_{code.upper().replace('-', '_')}" for code in seen["STATUS_CODES"]]
    assert {name: value for value, name in enumerate(names)} == declared.enums["goss_status"]


@needs_node
def test_u64_fields_are_aligned_to_8_bytes() -> None:
    seen = run_in_node("console.log(JSON.stringify(Object.values(LAYOUTS)));")
    for struct in seen:
        for field in struct["fields"]:
            assert field["offset"] % (8 if field["type"] == "uint64_t" else 4) == 0
    assert [struct["bytes"] for struct in seen] == [8, 72, 48, 96]


@needs_node
def test_engine_runs_without_a_browser(engines) -> None:
    values = run_in_node("""
        const engine = await Engine.instantiate(engineBytes());
        const session = new NativeSession(engine, modelBytes(), { threads: 1 });
        const image = Float32Array.from({ length: 3072 }, (_, index) => Math.sin(index));
        console.log(JSON.stringify([...session.run({ image }).outputs.probabilities.data]));
    """)
    numpy = pytest.importorskip("numpy")
    image = numpy.sin(numpy.arange(3072)).astype("float32").reshape(1, 3, 32, 32)
    (native,) = gossamer.load_model("cifar10-mobilenet").run(None, {"image": image})
    assert values == pytest.approx(native[0].tolist(), abs=1e-5)


@needs_node
def test_scratch_memory_is_given_back(engines) -> None:
    assert run_in_node("""
        const engine = await Engine.instantiate(engineBytes());
        const session = new NativeSession(engine, modelBytes(), { threads: 1 });
        const image = { pixels: new Uint8ClampedArray(4 << 20), width: 1024, height: 1024,
                        mean: [0, 0, 0], scale: [1, 1, 1], dims: [1, 3, 32, 32] };
        const sizes = [];
        for (let i = 0; i < 50; i++) {
          session.imageToTensor(image);
          sizes.push(engine.bytes(0, 0).buffer.byteLength);
        }
        console.log(JSON.stringify(sizes.at(-1) === sizes[0]));
    """)


@needs_node
def test_memory_that_cannot_be_had_is_an_error_and_the_engine_goes_on(engines) -> None:
    assert run_in_node("""
        const engine = await Engine.instantiate(engineBytes());
        let code;
        try { engine.allocate(0xfffff000); } catch (error) { code = error.code; }
        const session = new NativeSession(engine, modelBytes(), { threads: 1 });
        console.log(JSON.stringify([code, session.description.inputs[0].name]));
    """) == ["out-of-memory", "image"]


@needs_node
def test_node_gets_the_build_it_can_run() -> None:
    build = run_in_node('console.log(JSON.stringify(chooseBuild("relaxed", 1)));')
    script = 'console.log(JSON.stringify(chooseBuild("fixed", 1)));'
    assert run_in_node(script) == {"build": "gossamer-simd", "notes": []}
    assert build["build"] == "gossamer-relaxed" or len(build["notes"]) == 1


@needs_node
@pytest.mark.parametrize("simd", ["simd", "relaxed"])
def test_modules_with_threads_import_memory_and_nothing_else(engines, simd: str) -> None:
    seen = run_in_node(f"""
        import v8 from "node:v8";
        try {{ v8.setFlagsFromString("--experimental-wasm-relaxed-simd"); }} catch {{}}
        const bytes = readFileSync("{ROOT}/web/dist/gossamer-{simd}-threads.wasm");
        const module = await WebAssembly.compile(bytes);
        const names = WebAssembly.Module.exports(module).map(({{ name }}) => name);
        console.log(JSON.stringify([WebAssembly.Module.imports(module), names]));
    """)
    imports, exports = seen
    assert imports == [{"module": "env", "name": "memory", "kind": "memory"}]
    declared = parse(cdef((ROOT / "runtime" / "include" / "gossamer.h").read_text())).functions
    lent = {"goss_pool_admit", "goss_pool_join"}
    assert {name for name in exports if name.startswith("goss_")} == {*declared} | lent


@needs_node
def test_node_runs_a_module_with_threads_on_one(engines) -> None:
    values = run_in_node(f"""
        const bytes = readFileSync("{ROOT}/web/dist/gossamer-simd-threads.wasm");
        const image = Float32Array.from({{ length: 3072 }}, (_, index) => Math.sin(index));
        const results = [];
        for (const build of [engineBytes(), bytes]) {{
          const engine = await Engine.instantiate(build);
          const session = new NativeSession(engine, modelBytes(), {{ threads: 2 }});
          const {{ probabilities }} = session.run({{ image }}).outputs;
          results.push([...probabilities.data], session.description.notes);
        }}
        console.log(JSON.stringify(results));
    """)
    assert values[:2] == values[2:]
    assert values[1] == ["1 thread runs instead of 2: this build or the system gives no more"]


@needs_node
def test_outputs_have_the_rows_that_each_run_tells(engines, tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    from models import dense_networks

    data = gossamer.convert(dense_networks.ssd(), tmp_path / "ssd.goss")
    image = numpy.sin(numpy.arange(3 * 64 * 64)).astype("float32").reshape(1, 3, 64, 64)
    runs = run_in_node(f"""
        const engine = await Engine.instantiate(engineBytes());
        const model = readFileSync("{tmp_path}/ssd.goss");
        const session = new NativeSession(engine, model, {{ threads: 1 }});
        const {{ name }} = session.description.outputs[2];
        console.log(JSON.stringify([1, 0].map((times) => {{
          const numbers = {{ length: 3 * 64 * 64 }};
          const image = Float32Array.from(numbers, (_, index) => times * Math.sin(index));
          const {{ data, dims }} = session.run({{ image }}).outputs[name];
          return [[...data], dims];
        }})));
    """)
    session = gossamer.InferenceSession(data)
    for times, (data, dims) in zip((1, 0), runs, strict=True):
        rows = session.run(None, {"image": times * image})[2]
        assert dims == list(rows.shape)
        assert data == rows.ravel().tolist()
    assert dims == [0, 3]
