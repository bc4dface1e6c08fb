"""Tables and the plot of what the benchmark measured."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "web" / "bench" / "results"
README = ROOT / "README.md"
MARKS = ("<!-- benchmark: begin -->", "<!-- benchmark: end -->")
ENGINES = {
    "gossamer": "Gossamer",
    "onnxruntime": "onnxruntime-web",
    "litert": "LiteRT.js",
    "tfjs": "TensorFlow.js",
}
# What the ratios compare: how many times faster the first is than the second.
RATIOS = (
    ("Gossamer, dense", "LiteRT.js"),
    ("Gossamer, dense", "onnxruntime-web"),
    ("Gossamer, dense", "TensorFlow.js"),
    ("Gossamer, 30% 4x1", "LiteRT.js"),
    ("Gossamer, 30% 4x1", "Gossamer, dense"),
    ("Gossamer, 70% 4x1", "LiteRT.js"),
    ("Gossamer, 80% 4x1", "LiteRT.js"),
    ("Gossamer, 90% 4x1", "LiteRT.js"),
    ("Gossamer, 90% 1x1", "LiteRT.js"),
    ("Gossamer, dense, 2 threads", "Gossamer, dense"),
    ("Gossamer, 70% 4x1, 2 threads", "Gossamer, 70% 4x1"),
    ("Gossamer, dense, 2 threads", "LiteRT.js, 2 threads"),
    ("Gossamer, 70% 4x1, 2 threads", "LiteRT.js, 2 threads"),
    ("Gossamer, 70% 4x1", "Gossamer, 70% 4x1, fixed SIMD"),
    ("Gossamer int8, dense", "LiteRT.js int8"),
    ("Gossamer int8, dense", "onnxruntime-web int8"),
    ("Gossamer int8, 30% 4x4", "LiteRT.js int8"),
    ("Gossamer int8, 70% 4x4", "LiteRT.js int8"),
    ("Gossamer int8, 90% 4x4", "LiteRT.js int8"),
    ("Gossamer int8, 70% 4x4", "LiteRT.js"),
    ("Gossamer int8, dense, 2 threads", "Gossamer int8, dense"),
    ("Gossamer int8, 70% 4x4, 2 threads", "Gossamer int8, 70% 4x4"),
    ("Gossamer int8, dense", "Gossamer, dense"),
    ("Gossamer int8, dense, fixed SIMD", "Gossamer, dense, fixed SIMD"),
)


def processor() -> str:
    """Name of this machine's processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def dtype_of(measured: dict[str, Any]) -> str:
    """What the compared networks compute with: f32 or int8."""
    return measured["network"].split(", ")[1]


def table(rows: list[list[str]]) -> str:
    """Render Markdown; the first row is the heading."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)


def latencies(measured: dict[str, Any]) -> str:
    """One line a configuration."""
    rows = [["one image", "median", "quartiles", "page waits", "first result after"]]
    for result in measured["results"]:
        runs = sum(result["rounds_ms"], [])
        lower, median, upper = statistics.quantiles(runs, n=4)
        waits = statistics.median(sum(result["call_ms"], []))
        ready = statistics.median(result["ready_ms"])
        rows.append(
            [
                *(result["label"], f"{median:.1f} ms", f"{lower:.1f} - {upper:.1f}"),
                *(f"{waits:.1f} ms", f"{ready:.0f} ms"),
            ]
        )
    return table(rows)


def ratios(measured: dict[str, Any]) -> str:
    """How many times faster, round by round."""
    medians = {
        result["label"]: [statistics.median(runs) for runs in result["rounds_ms"]]
        for result in measured["results"]
    }
    rows = [["", "against", "times faster", "lowest and highest round"]]
    for faster, slower in RATIOS:
        if faster not in medians or slower not in medians:
            continue
        pairs = zip(medians[slower], medians[faster], strict=True)
        values = [slow / fast for slow, fast in pairs]
        spread = f"{min(values):.2f} - {max(values):.2f}"
        rows.append([faster, slower, f"{statistics.median(values):.2f}", spread])
    return table(rows)


def first_results(measured: dict[str, Any]) -> str:
    """From a fresh page to the first result: fetch, compile, load the model, run; round by round.

    Of each engine the faster of its lines with one thread and with two.
    """
    dtype = dtype_of(measured)
    dense = [
        result
        for result in measured["results"]
        if not result["configuration"]["sparsity"] and result["configuration"]["dtype"] == dtype
    ]
    engines: dict[str, list[float]] = {}
    for result in dense:
        name, times = ENGINES[result["configuration"]["engine"]], result["ready_ms"]
        if name not in engines or statistics.median(times) < statistics.median(engines[name]):
            engines[name] = times
    rows = [["first result", "after", "times Gossamer's", "lowest and highest round"]]
    ours = engines.get(ENGINES["gossamer"])
    for name, times in engines.items() if ours else ():
        values = [a / b for a, b in zip(times, ours, strict=True)]
        spread = f"{min(values):.1f} - {max(values):.1f}"
        times_ours = f"{statistics.median(values):.1f}"
        rows.append([name, f"{statistics.median(times):.0f} ms", times_ours, spread])
    return table(rows)


def peak_shares(measured: dict[str, Any]) -> str:
    """Share of the multiply-add peak that the pointwise layers reach, weighted by their work."""
    rows = [["pointwise layers of", "GMAC/s", "peak", "share"]]
    for result in measured["results"]:
        profile = result["profile"]
        if not profile or result["configuration"]["threads"] > 1:
            continue
        layers = [
            layer for layer in profile["layers"] if layer["kernel"].startswith("pointwise_f32")
        ]
        if not layers:  # of an int8 network
            continue
        seconds = sum(statistics.median(layer["times"]) for layer in layers) / 1000
        rate = sum(layer["macs"] for layer in layers) / seconds / 1e9
        peak = profile["peak"] / 1e9
        rows.append([result["label"], f"{rate:.1f}", f"{peak:.1f}", f"{rate / peak:.0%}"])
    return table(rows)


def about(measured: dict[str, Any]) -> str:
    """Say where and with what."""
    versions = ", ".join(f"{name} {version}" for name, version in measured["versions"].items())
    return (
        f"{measured['network']}; {measured['machine']}; {measured['browser']}; {versions}; "
        f"{measured['date']}. Medians of {measured['rounds']} interleaved rounds of "
        f"{measured['runs']} runs, each round of each line in a fresh page."
    )


def text(measured: dict[str, Any]) -> str:
    """Everything."""
    tables = (latencies, ratios, first_results, peak_shares)
    return "\n\n".join([about(measured), *(make(measured) for make in tables)])


def plot(measured: dict[str, Any], target: Path) -> None:
    """Draw latency against sparsity, one line a pattern, one an engine that gains nothing."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "gossamer"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    dtype = dtype_of(measured)
    dense = {}
    lines: dict[str, list[tuple[float, float]]] = {}
    for result in measured["results"]:
        what = result["configuration"]
        if what["threads"] > 1 or what["simd"] != "relaxed" or what["dtype"] != dtype:
            continue
        median = statistics.median(sum(result["rounds_ms"], []))
        if what["sparsity"]:
            lines.setdefault(what["pattern"], []).append((100 * what["sparsity"], median))
        else:
            dense[what["engine"]] = median
    for pattern, points in lines.items():
        zeros, times = zip((0, dense["gossamer"]), *sorted(points), strict=True)
        axes.plot(zeros, times, marker="o", markersize=3, label=f"Gossamer, {pattern} blocks")
    for engine, style in (("onnxruntime", ":"), ("litert", "--"), ("tfjs", "-.")):
        if engine in dense:
            axes.axhline(dense[engine], color="gray", linestyle=style, label=ENGINES[engine])
    axes.set(xlabel="zeros in the 1 x 1 layers, %", ylabel="ms, one thread", xlim=(0, 100))
    axes.set_ylim(bottom=0)
    axes.set_title(f"{measured['network']}, {measured['browser']}", fontsize=10)
    axes.legend(fontsize=8)
    figure.savefig(target, metadata={"Date": None})
    pyplot.close(figure)


def write(measured: dict[str, Any]) -> None:
    """Put figures, plot and tables into the repository."""
    RESULTS.mkdir(exist_ok=True)
    name = file_name(measured)
    (RESULTS / f"{name}.json").write_text(json.dumps(measured, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(text(measured) + "\n")
    plot(measured, RESULTS / f"{name}.svg")
    before, _, rest = README.read_text().partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    README.write_text(f"{before}{MARKS[0]}\n{readme_section()}\n{MARKS[1]}{after}")


def file_name(measured: dict[str, Any]) -> str:
    """Name a network's results, without an ending: mobilenet_v1, or mobilenet_v1-0.25-128-int8."""
    network, dtype = measured["network"].split(", ")
    name, size = network.split(" ")
    parts = [name, "" if size == "1/224" else size.replace("/", "-"), dtype.replace("f32", "")]
    return "-".join(filter(None, parts))


def readme_section() -> str:
    """How many times faster, network by network, and where all figures are; from `RESULTS`."""
    parts = []
    for path in sorted(RESULTS.glob("*.json")):
        measured, name = json.loads(path.read_text()), path.stem
        main = name == "mobilenet_v1"
        all_figures = f"All figures: [{name}.md](web/bench/results/{name}.md)."
        part = [
            f"### {measured['network']}",
            ratios(measured),
            f"![latency against sparsity](web/bench/results/{name}.svg)" if main else "",
            first_results(measured),
            f"{about(measured)} {all_figures}",
        ]
        parts.insert(0 if main else len(parts), "\n\n".join(filter(None, part)))
    return "\n\n".join(parts)
