"""Every kind of layer at odd sizes, on every build of the WebAssembly module in Chromium."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from models import odd_sizes

RUN = """
    const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const text = (data) => {
      const letters = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      return btoa(Array.from(letters, (letter) => String.fromCharCode(letter)).join(""));
    };
    const session = await InferenceSession.create(bytes(model), { simd, threads });
    const outputs = await session.run({ x: new Float32Array(bytes(x).buffer) });
    const { build, notes } = session;
    session.dispose();
    const found = Object.entries(outputs).map(([name, { data }]) => [name, text(data)]);
    return { build, notes, outputs: Object.fromEntries(found) };
"""


@pytest.fixture(scope="module")
def cases() -> list[odd_sizes.Case]:
    return odd_sizes.cases()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("simd", ["fixed", "relaxed"])
def test_layers_of_odd_sizes_agree_with_onnxruntime(module, cases, simd: str, threads: int) -> None:
    build = {"fixed": "gossamer-simd", "relaxed": "gossamer-relaxed"}[simd]
    for case in cases:
        seen = module(
            RUN,
            model=base64.b64encode(case.data).decode(),
            x=base64.b64encode(case.x.tobytes()).decode(),
            simd=simd,
            threads=threads,
        )
        assert (seen["build"], seen["notes"]) == (build + "-threads" * (threads > 1), [])
        outputs = {
            name: np.frombuffer(base64.b64decode(text), np.float32)
            for name, text in seen["outputs"].items()
        }
        case.check(outputs)
