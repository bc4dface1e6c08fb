"""Quantized networks give the same bytes in every WebAssembly build as natively."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from models.quantized_graphs import Sample

ROOT = Path(__file__).resolve().parents[2]
HASH = """
    const hash = async (outputs) => {
      const data = Object.values(outputs)[0].data;
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    };
"""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("simd", ["fixed", "relaxed"])
def test_chromium_computes_native_bytes(module, simd: str, threads: int, sample: Sample) -> None:
    seen = module(
        HASH
        + """
        const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        const session = await InferenceSession.create(bytes(model), { simd, threads });
        const image = new Float32Array(bytes(x).buffer);
        const hashes = [];
        // The browser compiles what runs often once more.
        for (let run = 0; run < 50; run++) hashes.push(await hash(await session.run({ image })));
        return { build: session.build, hashes: [...new Set(hashes)] };
        """,
        model=base64.b64encode(sample.data).decode(),
        x=base64.b64encode(sample.x.tobytes()).decode(),
        simd=simd,
        threads=threads,
    )
    build = {"fixed": "gossamer-simd", "relaxed": "gossamer-relaxed"}[simd]
    expected = {"build": build + "-threads" * (threads > 1), "hashes": [sample.sha256]}
    assert seen == expected


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
@pytest.mark.parametrize("build", ["simd", "relaxed"])
def test_node_computes_native_bytes(engines, build: str, sample: Sample, tmp_path: Path) -> None:
    (tmp_path / "model.goss").write_bytes(sample.data)
    (tmp_path / "x").write_bytes(sample.x.tobytes())
    script = f"""
        import v8 from "node:v8";
        import {{ readFileSync }} from "node:fs";
        import {{ Engine }} from "{ROOT}/web/src/engine.mjs";
        import {{ NativeSession }} from "{ROOT}/web/src/native_session.mjs";
        try {{
          v8.setFlagsFromString("--experimental-wasm-relaxed-simd");
          v8.setFlagsFromString("--no-liftoff"); // as in wasm/toolchain-emscripten.cmake
        }} catch {{}}
        {HASH}
        const engine = await Engine.instantiate(readFileSync("{engines}/gossamer-{build}.wasm"));
        const model = readFileSync("{tmp_path}/model.goss");
        const session = new NativeSession(engine, model, {{ threads: 1 }});
        const x = readFileSync("{tmp_path}/x");
        const image = new Float32Array(x.buffer.slice(x.byteOffset, x.byteOffset + x.length));
        console.log(JSON.stringify(await hash(session.run({{ image }}).outputs)));
    """
    command = ["node", "--input-type=module", "-"]
    run = subprocess.run(command, input=script, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == sample.sha256
