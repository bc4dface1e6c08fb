"""The benchmark page, and what `make bench` makes of measurements."""

from __future__ import annotations

import copy
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gossamer import zoo

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"width": 0.25, "resolution": 32, "classes": 7}


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "tools" / "bench")
    return importlib.import_module("report")


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("onnx")
    monkeypatch.syspath_prepend(ROOT / "tools" / "bench")
    return importlib.import_module("networks")


def test_page_measures_every_build(page, url, complaints) -> None:
    page.goto(f"{url}web/bench/index.html")
    for field, value in {"rounds": 2, "runs": 3, "threads": 2}.items():
        page.fill(f"[name={field}]", str(value))
    page.click("button")
    page.wait_for_selector("[data-state=done], [data-state=failed]", timeout=60_000)
    assert page.locator("html").get_attribute("data-state") == "done", page.inner_text("#status")
    builds = [row.split("\t")[:2] for row in page.locator("#builds tbody tr").all_inner_texts()]
    assert builds == [
        ["gossamer-relaxed", "1"],
        ["gossamer-simd", "1"],
        ["gossamer-relaxed-threads", "2"],
        ["gossamer-simd-threads", "2"],
    ]
    layers = page.locator("#layers tbody tr").all_inner_texts()
    assert len(layers) > 20
    assert any("pointwise_f32" in layer for layer in layers)
    assert complaints == []


def test_page_says_what_is_wrong_with_a_model(page, url) -> None:
    page.goto(f"{url}web/bench/index.html")
    page.fill("[name=address]", "/README.md")
    page.click("button")
    page.wait_for_selector("[data-state=failed]")
    assert "not a .goss file" in page.inner_text("#status")
    assert page.is_enabled("button")


def test_the_image_is_the_same_in_both_languages(module, networks) -> None:
    script = "return [...(await import('/web/bench/measure.mjs')).testImage(5000)];"
    np.testing.assert_array_equal(np.float32(module(script)), networks.test_image([5000]))


def test_images_are_turned_for_engines_that_want_channels_last(module) -> None:
    seen = module("""
        const { toChannelsLast } = await import("/web/bench/measure.mjs");
        return [...toChannelsLast(Float32Array.from({ length: 24 }, (_, i) => i), [2, 3, 2, 2])];
    """)
    assert seen == np.arange(24).reshape(2, 3, 2, 2).transpose(0, 2, 3, 1).ravel().tolist()


@pytest.mark.parametrize("name", zoo.NAMES)
def test_network_json_describes_the_onnx_model(networks, tmp_path, name: str) -> None:
    networks.write_peers_formats(tmp_path, name, **SMALL)
    network = json.loads((tmp_path / "network.json").read_text())
    known = {network["input"]}
    end = 0
    for node in network["nodes"]:
        assert set(node["inputs"]) <= known, node
        known.add(node["output"])
        for place in (node[key] for key in ("filter", "bias") if key in node):
            assert place["offset"] == end
            end += 4 * int(np.prod(place["shape"]))
    assert network["output"] in known
    assert end == (tmp_path / "weights.bin").stat().st_size


def test_an_engine_that_computes_something_else_ends_the_benchmark(networks) -> None:
    expected = np.float32([0.5, 0.3, 0.2])
    networks.check_output("some engine", [0.5001, 0.3, 0.2], expected, "f32")
    for found in ([0.502, 0.3, 0.2], [float("nan"), 0.3, 0.2]):
        with pytest.raises(SystemExit, match="some engine: differs from onnxruntime by"):
            networks.check_output("some engine", found, expected, "f32")
    networks.check_output("some engine", [0.48, 0.33, 0.19], expected, "int8")
    for found in ([0.3, 0.5, 0.2], [float("nan"), 0.3, 0.2]):
        with pytest.raises(SystemExit, match="some engine: outputs correlate"):
            networks.check_output("some engine", found, expected, "int8")


def result(label: str, engine: str, rounds: list[list[float]], **what: Any) -> dict[str, Any]:
    configuration = {
        "engine": engine,
        "threads": 1,
        "simd": "relaxed",
        "pattern": "",
        "sparsity": 0,
        "dtype": "f32",
    }
    return {
        "label": label,
        "configuration": configuration | what,
        "rounds_ms": rounds,
        "call_ms": rounds,
        "ready_ms": [100.0, 110.0],
        "profile": None,
    }


MEASURED = {
    "network": "mobilenet_v1 1/224, f32",
    "machine": "a machine",
    "browser": "Chromium 1",
    "versions": {"peer": "2"},
    "date": "2026-01-01",
    "rounds": 2,
    "runs": 3,
    "results": [
        result("LiteRT.js", "litert", [[30.0, 30.0, 31.0], [40.0, 40.0, 41.0]]),
        result("Gossamer, dense", "gossamer", [[20.0, 20.0, 9.0], [20.0, 20.0, 90.0]]),
        result(
            "Gossamer, 70% 4x1", "gossamer", [[10.0] * 3, [8.0] * 3], pattern="4x1", sparsity=0.7
        ),
    ],
}


def test_ratios_compare_within_a_round(report) -> None:
    table = report.ratios(MEASURED)
    assert "| Gossamer, dense | LiteRT.js | 1.75 | 1.50 - 2.00 |" in table
    assert "| Gossamer, 70% 4x1 | LiteRT.js | 4.00 | 3.00 - 5.00 |" in table
    assert "onnxruntime-web" not in table


def test_first_results_take_each_engines_faster_line(report) -> None:
    measured = copy.deepcopy(MEASURED)
    measured["results"][0]["ready_ms"] = [500.0, 330.0]
    slower = result("LiteRT.js, 2 threads", "litert", [[1.0], [1.0]], threads=2)
    measured["results"].append(slower | {"ready_ms": [900.0, 900.0]})
    table = report.first_results(measured)
    assert "| LiteRT.js | 415 ms | 4.0 | 3.0 - 5.0 |" in table
    assert "| Gossamer | 105 ms | 1.0 | 1.0 - 1.0 |" in table


def test_peers_alone_are_reported_too(report) -> None:
    peers = MEASURED | {"results": MEASURED["results"][:1]}
    assert "| LiteRT.js | 35.5 ms |" in report.text(peers)


@pytest.mark.parametrize(
    ("network", "name"),
    [
        ("mobilenet_v2 1/224, f32", "mobilenet_v2"),
        ("mobilenet_v1 0.25/128, f32", "mobilenet_v1-0.25-128"),
        ("mobilenet_v1 1/224, int8", "mobilenet_v1-int8"),
    ],
)
def test_results_of_another_size_have_a_file_of_their_own(report, network, name) -> None:
    assert report.file_name(MEASURED | {"network": network}) == name


def test_share_of_the_peak_is_weighted_by_work(report) -> None:
    measured = copy.deepcopy(MEASURED)
    layers = [
        {"kernel": "pointwise_f32_4x1", "macs": 3_000_000, "times": [1.0, 1.0, 9.0]},
        {"kernel": "pointwise_f32_1x1", "macs": 1_000_000, "times": [1.0]},
        {"kernel": "packed + depthwise_f32", "macs": 9, "times": [50.0]},
    ]
    measured["results"][1]["profile"] = {"peak": 4e9, "layers": layers}
    assert "| Gossamer, dense | 2.0 | 4.0 | 50% |" in report.peak_shares(measured)


def test_plot_is_a_picture(report, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    report.plot(MEASURED, tmp_path / "plot.svg")
    assert "<svg" in (tmp_path / "plot.svg").read_text()
