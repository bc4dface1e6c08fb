"""The embedded network in int8 answers as the one in f32 does."""

from __future__ import annotations

from pathlib import Path

import gossamer


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
