"""Run ONNX's backend tests and write the table of what came out."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from conformance import suite, table  # noqa: E402

outcomes = suite.run()
wrong = [outcome for outcome in outcomes if outcome.verdict == "wrong"]
if wrong:
    sys.exit("\n".join(map(str, wrong)))
table.PATH.write_text(table.write(outcomes), encoding="utf-8")
passed = sum(outcome.verdict == "passed" for outcome in outcomes)
print(f"{table.PATH}: {passed} passed, {len(outcomes) - passed} refused")
