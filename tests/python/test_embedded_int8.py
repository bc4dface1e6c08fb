"""The embedded network in int8 answers as the one in f32 does."""

from __future__ import annotations

from pathlib import Path

import gossamer
from gossamer.convert import pack
from gossamer.convert.lower import lower
from gossamer.convert.read import read_graph
from gossamer.embedded import MODELS


def test_the_embedded_int8_network_agrees_with_the_f32_one(data: Path) -> None:
    whole = gossamer.load_model("cifar10-mobilenet-int8")
    found = gossamer.evaluate(
        whole,
        data / "cifar10-validation.tar",
        reference=gossamer.load_model("cifar10-mobilenet"),
        limit=400,
    )
    assert found.comparison.agreement > 0.97
    assert found.comparison.difference > -0.015
    assert {layer.op for layer in whole.layers() if "f32" in layer.kernel} == {"softmax"}


def test_the_int8_file_is_less_than_a_third_of_the_f32_one(monkeypatch) -> None:
    small, whole = (MODELS / f"cifar10-mobilenet{kind}.goss" for kind in ("-int8", ""))
    monkeypatch.setattr(pack, "fits_half", lambda weights: False)
    in_f32 = lower(read_graph(whole.read_bytes(), whole.name), {})
    assert 3 * small.stat().st_size < len(in_f32)
