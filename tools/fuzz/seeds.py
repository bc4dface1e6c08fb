"""Write valid model files for the fuzzer to start from: the tests' tiny models."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "python"))

import tiny_models  # noqa: E402  (found through the line above)

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for build in (
    tiny_models.colours,
    tiny_models.sums,
    tiny_models.every_operator,
    tiny_models.windows,
    tiny_models.quantized,
    tiny_models.runs,
):
    (folder / f"{build.__name__}.goss").write_bytes(build())
