"""The command ``gossamer``. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import statistics
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import __version__, zoo
from .benchmarking import Benchmark, benchmark
from .convert import convert
from .convert.cost_model import CostModel, save
from .convert.write import write_atomically
from .embedded import model_names, open_model
from .errors import GossamerError, InputError, MissingDependencyError
from .evaluation import Accuracy, ClassAccuracy, Interval, evaluate
from .explain import explain
from .image import classify
from .prune import prune
from .quantize import quantize
from .serve import PAGE, Server, find_root
from .session import InferenceSession, LayerInfo, SessionOptions
from .table import aligned

_MODEL_HELP = "a .goss file, or an embedded model's name"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments
        Without the program's name; None = the process's.

    Returns
    -------
    int
        0; 1 where something failed, after one line on stderr.

    Raises
    ------
    SystemExit
        2: the arguments make no sense, and stderr says why; 0: ``--help``, ``--version``.
    """
    warnings.filterwarnings("ignore", module="PIL")
    options = _parser().parse_args(arguments)
    try:
        code = options.command(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # `gossamer inspect … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (GossamerError, OSError) as error:
        _complain(error)
        return 1
    except KeyboardInterrupt:
        return 130


def _complain(error: Exception) -> None:
    message = str(error)
    if isinstance(error, OSError) and error.filename is not None:
        message = f"{error.filename}: {error.strerror}"
    print(f"gossamer: error: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gossamer",
        description="Inference of pruned neural networks on CPUs.",
        epilog=f"Embedded models: {', '.join(model_names()) or 'none'}.",
    )
    parser.add_argument("--version", action="version", version=f"gossamer {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="classify pictures")
    run.set_defaults(command=_run)
    run.add_argument("model", metavar="MODEL", help=_MODEL_HELP)
    run.add_argument("images", metavar="IMAGE", nargs="+", help="a JPEG, PNG, WebP, … file")
    run.add_argument("--top", type=_count, default=5, help="classes a picture (default: 5)")
    run.add_argument("--json", action="store_true", help="print JSON")

    evaluate = commands.add_parser(
        "evaluate",
        help="measure accuracy",
        description="Print the shares, 0 to 1, of pictures whose class is the model's first guess "
        "(top1) or among its first five (top5), each with the interval that holds the true share "
        "with 95 % confidence, and the number of pictures (n).",
    )
    evaluate.set_defaults(command=_evaluate)
    evaluate.add_argument("model", metavar="MODEL", help=_MODEL_HELP)
    evaluate.add_argument(
        "--data",
        metavar="TAR|DIR",
        required=True,
        help="pictures in folders named like the model's labels, or files NNN_….jpg (class NNN)",
    )
    evaluate.add_argument(
        "--reference",
        metavar="MODEL",
        help="another model of the same classes: how often both agree, and the difference of top1",
    )
    evaluate.add_argument(
        "--per-class",
        action="store_true",
        help="print each class's pictures, top1, and most frequent wrong answer",
    )
    evaluate.add_argument(
        "--limit", metavar="N", type=_count, help="take N pictures, evenly spread over the data"
    )
    evaluate.add_argument("--json", action="store_true", help="print JSON")

    inspect = commands.add_parser("inspect", help="show layers, kernels, memory")
    inspect.set_defaults(command=_inspect)
    inspect.add_argument("model", metavar="MODEL", help=_MODEL_HELP)
    inspect.add_argument("--json", action="store_true", help="print JSON")

    explainer = commands.add_parser(
        "explain",
        help="say what became of each layer, what it costs and why",
        description="Per layer: zeros, how they lie, how they are stored and why, and what it "
        "takes; first of all, what the zeros are worth.",
    )
    explainer.set_defaults(command=_explain)
    explainer.add_argument(
        "model", metavar="MODEL", help="a .onnx, .tflite or .goss file, or an embedded model's name"
    )
    explainer.add_argument(
        "--target",
        default="wasm_relaxed",
        help="instruction set to predict for: wasm-relaxed (default), wasm-simd, avx2, ...; host: "
        "the best of this machine; cortex-a72, cortex-a76: estimates that nobody measured",
    )
    explainer.add_argument("--costs", metavar="FILE", help="from bench --calibrate")
    explainer.add_argument(
        "--measure",
        action=argparse.BooleanOptionalAction,
        help="run the model, too (default: where this machine has the target)",
    )
    explainer.add_argument("--threads", type=_count, default=1, help="to measure with (default: 1)")
    explainer.add_argument(
        "--batch", metavar="N", type=_count, default=1, help="as in convert (default: 1)"
    )
    explainer.add_argument(
        "--dim", metavar="NAME=SIZE", type=_size, action="append", default=[], help="as in convert"
    )
    explainer.add_argument("--json", action="store_true", help="print JSON instead of a report")
    explainer.add_argument("--html", metavar="FILE", help="write a page, too")

    converter = commands.add_parser("convert", help="turn an ONNX model into a .goss file")
    converter.set_defaults(command=_convert)
    converter.add_argument("source", metavar="SRC", help="an .onnx or .tflite file")
    converter.add_argument("destination", metavar="DST", help="the .goss file to write")
    converter.add_argument(
        "--batch", metavar="N", type=_count, default=1, help="images a run (default: 1)"
    )
    converter.add_argument(
        "--dim",
        metavar="NAME=SIZE",
        type=_size,
        action="append",
        default=[],
        help="size of an input's dimension that the model names and leaves open; may be repeated",
    )
    converter.add_argument(
        "--metadata",
        metavar="KEY=VALUE",
        type=_pair,
        action="append",
        default=[],
        help='such as title=…, image_mean="127.5 127.5 127.5", image_scale="0.01 0.01 0.01"; '
        "may be repeated",
    )
    converter.add_argument(
        "--target",
        default="wasm_relaxed",
        help="instruction set or core by whose costs weights are stored (default: wasm_relaxed), "
        "as in explain; the file runs everywhere",
    )
    converter.add_argument("--costs", metavar="FILE", help="from bench --calibrate")
    converter.add_argument(
        "--storage",
        metavar="NODE=STORAGE",
        type=_pair,
        action="append",
        default=[],
        help="1x1, 2x1, 4x1, 8x1 or dense, whatever it costs; may be repeated",
    )
    converter.add_argument(
        "--pixels",
        choices=("u8", "f32"),
        help="let the model take interleaved pixels 0..255 of this type and normalise them itself, "
        "as image_mean and image_scale say",
    )
    converter.add_argument(
        "--dequantize",
        action="store_true",
        help="compute in f32 what the source has quantized, with the numbers that it stands for",
    )
    converter.add_argument("--labels", metavar="FILE", help="class names in order, one a line")

    pruner = commands.add_parser(
        "prune",
        help="prune a trained network, without training it further",
        description="Zero the weights that matter least, in blocks that run fast; with --data, "
        "refit the others so that each layer computes what it did.",
    )
    pruner.set_defaults(command=_prune)
    pruner.add_argument("source", metavar="SRC", help="an .onnx, .tflite or .goss file")
    pruner.add_argument("destination", metavar="DST", help="the .goss file to write")
    budget = pruner.add_mutually_exclusive_group(required=True)
    budget.add_argument("--sparsity", type=float, help="share of the layers' weights to zero")
    budget.add_argument("--latency", metavar="TIME", help="what a run may take, such as 12ms")
    budget.add_argument("--speedup", type=float, help="how many times faster it is to run")
    pruner.add_argument(
        "--pattern", default="4x1", help="blocks, output x input channels (default: 4x1)"
    )
    pruner.add_argument(
        "--allocation",
        choices=("uniform", "global", "cost"),
        help="how --sparsity is spread: alike over all layers, by one threshold of saliency, or "
        "so that the output moves least, by layers that zeros make faster (default: cost with "
        "--data, uniform without)",
    )
    pruner.add_argument(
        "--data", metavar="TAR|DIR", help="pictures to calibrate with; without, weights go by size"
    )
    pruner.add_argument(
        "--limit", metavar="N", type=_count, default=256, help="of the pictures (default: 256)"
    )
    pruner.add_argument(
        "--exclude", metavar="NODE", action="append", default=[], help="stays; may be repeated"
    )
    pruner.add_argument(
        "--no-rearrange", action="store_true", help="leave the channels where they are"
    )
    pruner.add_argument("--no-reconstruct", action="store_true", help="do not refit what stays")
    pruner.add_argument(
        "--target", default="wasm_relaxed", help="as in convert (default: wasm_relaxed)"
    )
    pruner.add_argument("--costs", metavar="FILE", help="from bench --calibrate")
    pruner.add_argument(
        "--metadata", metavar="KEY=VALUE", type=_pair, action="append", default=[],
        help="as in convert",
    )  # fmt: skip
    pruner.add_argument("--labels", metavar="FILE", help="class names in order, one a line")
    pruner.add_argument("--json", action="store_true", help="print the report as JSON")

    quantizer = commands.add_parser(
        "quantize",
        help="quantize a trained network to int8, without training it further",
        description="Give weights 8 bits and activations 7, over ranges that are seen to occur "
        "when the network runs; zeros stay zeros, so pruned networks stay pruned.",
    )
    quantizer.set_defaults(command=_quantize)
    quantizer.add_argument("source", metavar="SRC", help="an .onnx, .tflite or .goss file")
    quantizer.add_argument("destination", metavar="DST", help="the .goss file to write")
    quantizer.add_argument(
        "--data", metavar="TAR|DIR", required=True, help="pictures to calibrate with"
    )
    quantizer.add_argument(
        "--limit", metavar="N", type=_count, default=256, help="of the pictures (default: 256)"
    )
    quantizer.add_argument(
        "--calibration",
        choices=("mse", "percentile", "minmax"),
        default="mse",
        help="how much of what occurs ranges cover: what makes the squared error of rounding "
        "smallest, all but the share beyond --percentile, or all (default: mse)",
    )
    quantizer.add_argument("--percentile", type=float, default=99.99, help="default: 99.99")
    quantizer.add_argument(
        "--keep-f32", metavar="NODE", action="append", default=[], help="stays; may be repeated"
    )
    quantizer.add_argument(
        "--equalize", action="store_true", help="equalize channels between layers with a ReLU"
    )
    quantizer.add_argument("--no-correct-bias", action="store_true", help="leave biases alone")
    quantizer.add_argument(
        "--no-sensitivity", action="store_true", help="do not measure what each layer alone loses"
    )
    quantizer.add_argument("--pixels", choices=("u8", "f32"), help="as in convert")
    quantizer.add_argument(
        "--target", default="wasm_relaxed", help="as in convert (default: wasm_relaxed)"
    )
    quantizer.add_argument("--costs", metavar="FILE", help="from bench --calibrate")
    quantizer.add_argument(
        "--metadata", metavar="KEY=VALUE", type=_pair, action="append", default=[],
        help="as in convert",
    )  # fmt: skip
    quantizer.add_argument("--labels", metavar="FILE", help="class names in order, one a line")
    quantizer.add_argument("--json", action="store_true", help="print the report as JSON")

    zoo_ = commands.add_parser("zoo", help="make a well-known network with random weights")
    zoo_.set_defaults(command=_zoo)
    zoo_.add_argument("name", metavar="NAME", choices=zoo.NAMES, help=", ".join(zoo.NAMES))
    zoo_.add_argument("target", metavar="DST", help="the .goss or .onnx file to write")
    zoo_.add_argument("--width", type=float, default=1.0, help="default: 1")
    zoo_.add_argument("--resolution", type=_count, default=224, help="pixels (default: 224)")
    zoo_.add_argument("--pattern", choices=zoo.PATTERNS, default="4x1", help="default: 4x1")
    zoo_.add_argument("--sparsity", type=float, default=0.7, help="share of zeros (default: 0.7)")
    zoo_.add_argument("--dtype", choices=zoo.DTYPES, default="f32", help="default: f32")
    zoo_.add_argument("--seed", type=int, default=0, help="of the weights (default: 0)")
    zoo_.add_argument("--classes", type=_count, default=1000, help="default: 1000")

    bench = commands.add_parser("bench", help="measure a model on this machine, layer by layer")
    bench.set_defaults(command=_bench)
    bench.add_argument("model", metavar="MODEL", nargs="?", help=_MODEL_HELP)
    bench.add_argument(
        "--calibrate",
        metavar="FILE",
        help="instead of a model, measure what the engine's work costs here, and write it for "
        "convert --costs",
    )
    bench.add_argument("--runs", type=_count, default=50, help="measured runs (default: 50)")
    bench.add_argument("--threads", type=_count, help="default: processors, at most 4")
    bench.add_argument("--isa", help="instruction set (default: the best of this machine)")
    bench.add_argument("--json", action="store_true", help="print JSON instead of a table")

    demo = commands.add_parser("demo", help="serve the demo page until Ctrl-C")
    demo.set_defaults(command=_demo)
    demo.add_argument("--port", type=int, default=8000, help="default: 8000; 0 = any free one")
    demo.add_argument("--host", default="127.0.0.1", help="default: this machine only")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} found, a whole number of at least 1 expected")
    return int(text)


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise argparse.ArgumentTypeError(f"{text!r} found, KEY=VALUE expected")
    return key, value


def _size(text: str) -> tuple[str, int]:
    name, size = _pair(text)
    return name, _count(size)


# ---- run ----------------------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> int:
    session = open_model(options.model)
    results, failures = [], 0
    for image in options.images:
        try:
            predictions = classify(session, image, options.top)
        except (GossamerError, OSError) as error:
            failures += 1
            _complain(error)
            continue
        results.append({"image": image, "top": [p._asdict() for p in predictions]})
        if not options.json:
            _print_predictions(image, predictions)
    if options.json:
        _print_json(results)
    return 1 if failures else 0


def _print_predictions(image: str, predictions: Sequence[Any]) -> None:
    print(image)
    for label, probability in predictions:
        print(f"  {probability:7.2%}  {label}")


# ---- evaluate -----------------------------------------------------------------------------------


def _evaluate(options: argparse.Namespace) -> int:
    show = sys.stderr.isatty()
    accuracy = evaluate(
        open_model(options.model),
        options.data,
        reference=open_model(options.reference) if options.reference else None,
        limit=options.limit,
        progress=_show_progress if show else None,
    )
    if show:
        print(file=sys.stderr)
    if options.json:
        document = dataclasses.asdict(accuracy)
        if not options.per_class:
            del document["classes"]
        _print_json(document)
        return 0
    if options.per_class:
        _print_table(_class_rows(accuracy.classes), right_aligned=range(1, 3))
        print()
    print(f"{accuracy.n} pictures; in brackets: 95 % confidence")
    _print_fact("top-1", f"{accuracy.top1:.2%} {_percents(accuracy.top1_interval)}")
    _print_fact("top-5", f"{accuracy.top5:.2%} {_percents(accuracy.top5_interval)}")
    if compared := accuracy.comparison:
        _print_fact("reference", f"top-1 {compared.top1:.2%}")
        _print_fact("agreement", f"the same first answer for {compared.agreement:.2%}")
        difference = f"{100 * compared.difference:+.2f} points of top-1"
        low, high = (f"{100 * end:+.2f}" for end in compared.interval)
        _print_fact("difference", f"{difference} [{low}, {high}]")
    return 0


def _percents(interval: Interval) -> str:
    return f"[{interval.low:.2%}, {interval.high:.2%}]"


def _class_rows(classes: Sequence[ClassAccuracy]) -> Iterator[Sequence[str]]:
    yield "class", "pictures", "top-1", "most frequent wrong answer"
    for of in classes:
        wrong = "" if of.mistaken_for is None else f"{of.mistaken_for} ({of.mistakes})"
        yield of.label, str(of.n), f"{of.top1:.2%}", wrong


def _show_progress(so_far: Accuracy, total: int) -> None:
    if so_far.n % 10 == 0 or so_far.n == total:
        line = f"\r{so_far.n}/{total} pictures, top-1 {so_far.top1:.2%}"
        print(line, end="", file=sys.stderr, flush=True)


# ---- inspect ------------------------------------------------------------------------------------


def _inspect(options: argparse.Namespace) -> int:
    session = open_model(options.model)
    if options.json:
        _print_json(_description(session))
        return 0
    info = session.info
    for kind, arguments in (("input", session.get_inputs()), ("output", session.get_outputs())):
        for argument in arguments:
            _print_fact(kind, f"{argument.name} {argument.dtype} {_shape(argument.shape)}")
    for key, value in session.metadata.items():
        _print_fact(key, ", ".join(value.splitlines()))
    print()
    _print_table(_layer_rows(session.layers()), right_aligned=range(3, 6))
    print()
    _print_fact("multiply-adds", f"{info.macs:,} of {info.dense_macs:,} with every weight present")
    _print_fact("weights", f"{info.weight_bytes:,} bytes")
    _print_fact(
        "arena",
        f"{info.arena_bytes:,} bytes; the tensors without sharing: {info.tensor_bytes:,}; "
        f"most alive at once: {info.largest_live_bytes:,}",
    )
    _print_fact("runs on", f"{session.isa}, {info.threads} thread{'s' if info.threads > 1 else ''}")
    for note in session.notes:
        _print_fact("note", note)
    return 0


def _print_fact(name: str, fact: str) -> None:
    print(f"{name:<13}  {fact}")


def _description(session: InferenceSession) -> dict[str, Any]:
    return {
        "inputs": [dataclasses.asdict(argument) for argument in session.get_inputs()],
        "outputs": [dataclasses.asdict(argument) for argument in session.get_outputs()],
        "metadata": dict(session.metadata),
        "isa": session.isa,
        "notes": session.notes,
        "info": dataclasses.asdict(session.info),
        "layers": [dataclasses.asdict(layer) for layer in session.layers()],
    }


def _layer_rows(layers: Sequence[LayerInfo]) -> Iterator[Sequence[str]]:
    yield "layer", "operator", "output", "zeros", "bytes", "multiply-adds", "kernel", "reason"
    for layer in layers:
        zeros = f"{1 - layer.nonzeros / layer.weights:.0%}" if layer.weights else ""
        yield (
            *(layer.name, layer.op, _shape(layer.shape), zeros),
            *(f"{layer.weight_bytes:,}", f"{layer.macs:,}", layer.kernel, layer.reason),
        )


def _print_table(rows: Iterator[Sequence[str]], right_aligned: range) -> None:
    print("\n".join(aligned(rows, right_aligned)))


def _shape(dimensions: Sequence[int]) -> str:
    return "×".join(map(str, dimensions))


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


# ---- explain ------------------------------------------------------------------------------------


def _explain(options: argparse.Namespace) -> int:
    explanation = explain(
        options.model,
        target=options.target,
        costs=options.costs,
        measure=options.measure,
        threads=options.threads,
        batch=options.batch,
        dims=dict(options.dim),
    )
    if options.html:
        write_atomically(explanation.html().encode(), options.html)
    if options.json:
        _print_json(dataclasses.asdict(explanation))
    else:
        print(explanation)
    return 0


# ---- convert ------------------------------------------------------------------------------------


def _metadata(options: argparse.Namespace) -> dict[str, str]:
    metadata: dict[str, str] = {}
    for key, value in options.metadata:
        if key in metadata:
            raise InputError(f"--metadata: {key!r} stands twice")
        metadata[key] = value
    if options.labels:
        metadata["labels"] = _read_labels(Path(options.labels))
    return metadata


@contextmanager
def _saying(logger: str) -> Iterator[None]:
    """Show on stderr what a part of the package logs."""
    log, handler = logging.getLogger(logger), logging.StreamHandler(sys.stderr)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def _convert(options: argparse.Namespace) -> int:
    with _saying("gossamer.convert.int8"):  # what a quantized model loses
        return _write_converted(options)


def _write_converted(options: argparse.Namespace) -> int:
    written = convert(
        options.source,
        options.destination,
        batch=options.batch,
        dims=dict(options.dim),
        metadata=_metadata(options),
        target=options.target,
        costs=options.costs,
        storage=dict(options.storage),
        pixels=options.pixels,
        dequantize=options.dequantize,
    )
    print(f"{options.destination}: {len(written):,} bytes")
    return 0


# ---- prune --------------------------------------------------------------------------------------


def _prune(options: argparse.Namespace) -> int:
    show = sys.stderr.isatty()
    report = prune(
        options.source,
        options.destination,
        sparsity=options.sparsity,
        pattern=options.pattern,
        data=options.data,
        limit=options.limit,
        allocation=options.allocation,
        seconds=_seconds(options.latency),
        speedup=options.speedup,
        rearrange=not options.no_rearrange,
        reconstruct=not options.no_reconstruct,
        exclude=options.exclude,
        target=options.target,
        costs=options.costs,
        metadata=_metadata(options),
        progress=_show_step if show else None,
    )
    if show:
        print(file=sys.stderr)
    if options.json:
        _print_json(dataclasses.asdict(report))
    else:
        print(report)
        print(f"{options.destination}: {report.file_bytes:,} bytes")
    return 0


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        from .prune.allocation import parse_seconds
    except ImportError as error:
        raise MissingDependencyError(
            f"pruning needs the package '{error.name}'; run: pip install 'gossamer-nn[convert]'"
        ) from error
    return parse_seconds(text)


def _show_step(what: str, done: int, total: int) -> None:
    print(f"\r\x1b[K{what}: {done}/{total}", end="", file=sys.stderr, flush=True)


# ---- quantize -----------------------------------------------------------------------------------


def _quantize(options: argparse.Namespace) -> int:
    show = sys.stderr.isatty()
    report = quantize(
        options.source,
        options.destination,
        data=options.data,
        limit=options.limit,
        calibration=options.calibration,
        percentile=options.percentile,
        keep_f32=options.keep_f32,
        equalize=options.equalize,
        correct_bias=not options.no_correct_bias,
        sensitivity=not options.no_sensitivity,
        pixels=options.pixels,
        target=options.target,
        costs=options.costs,
        metadata=_metadata(options),
        progress=_show_step if show else None,
    )
    if show:
        print(file=sys.stderr)
    if options.json:
        _print_json(dataclasses.asdict(report))
    else:
        print(report)
    return 0


# ---- bench --------------------------------------------------------------------------------------


def _bench(options: argparse.Namespace) -> int:
    if (options.model is None) == (options.calibrate is None):
        raise InputError("bench: either a MODEL or --calibrate FILE expected")
    if options.calibrate:
        return _calibrate(options)
    session = open_model(options.model, SessionOptions(threads=options.threads, isa=options.isa))
    measured = benchmark(session, options.runs)
    if options.json:
        _print_json(dataclasses.asdict(measured))
        return 0
    _print_table(_bench_rows(measured), right_aligned=range(2, 7))
    print()
    lower, median, upper = statistics.quantiles([1000 * s for s in measured.seconds * 2], n=4)
    runs = f"{len(measured.seconds)} runs"
    _print_fact("whole model", f"{median:.2f} ms, quartiles {lower:.2f} - {upper:.2f}, {runs}")
    peak = measured.peak_macs_per_second / 1e9
    _print_fact("peak", f"{peak:.1f} GMAC/s a thread, {measured.isa}, {measured.threads} threads")
    for note in session.notes:
        _print_fact("note", note)
    return 0


def _calibrate(options: argparse.Namespace) -> int:
    try:
        from .convert.calibration import calibrate
    except ImportError as error:
        raise MissingDependencyError(
            f"calibration needs the package '{error.name}'; run: pip install 'gossamer-nn[convert]'"
        ) from error
    costs = calibrate(options.isa, options.runs)
    save(costs, options.calibrate)
    _print_table(_cost_rows(costs), right_aligned=range(1, 5))
    print()
    _print_table(_step_rows(costs), right_aligned=range(1, 3))
    print(f"{options.calibrate}: costs of {costs.target}, {costs.origin}")
    return 0


def _cost_rows(costs: CostModel) -> Iterator[Sequence[str]]:
    yield "picoseconds", "weight, dense", "block, sparse", "row of blocks", "block, each tile"
    kinds = (
        ("conv, a pixel", costs.conv, 1),
        ("fully connected", costs.fully_connected, 1),
        ("int8 conv, a pixel", costs.of_i8("conv"), 4),
        ("int8 fully connected", costs.of_i8("fully_connected"), 4),
    )
    for what, kind, channels in kinds:
        for rows, cost in kind.blocks.items():
            numbers = cost.weight, cost.block, cost.row, cost.tile
            yield f"{what}, {rows}x{channels}", *(f"{number:.1f}" for number in numbers)


def _step_rows(costs: CostModel) -> Iterator[Sequence[str]]:
    operators = costs.need_operators()
    yield "picoseconds", "vector", "plane"
    for name, cost in operators.steps.items():
        yield name.replace("_", " "), f"{cost.vector:.0f}", f"{cost.plane:.0f}"
    for what in ("run", "layer", "far_byte"):
        yield what.replace("_", " "), f"{getattr(operators, what):.0f}", ""


def _bench_rows(measured: Benchmark) -> Iterator[Sequence[str]]:
    yield "layer", "kernel", "ms", "share", "GMAC/s", "of peak", "kB moved"
    total = sum(layer.seconds for layer in measured.layers)
    for layer in measured.layers:
        computes = layer.macs_per_second > 0
        yield (
            *(layer.name, layer.kernel, f"{1000 * layer.seconds:.3f}"),
            f"{layer.seconds / total:.0%}",
            f"{layer.macs_per_second / 1e9:.1f}" if computes else "",
            f"{layer.peak_share:.0%}" if computes else "",
            f"{layer.moved_bytes / 1000:,.0f}",
        )


def _zoo(options: argparse.Namespace) -> int:
    formats = {".goss": zoo.build, ".onnx": zoo.build_onnx}
    target = Path(options.target)
    if target.suffix not in formats:
        raise InputError(f"{target}: a name that ends in .goss or .onnx expected")
    data = formats[target.suffix](
        options.name,
        width=options.width,
        resolution=options.resolution,
        pattern=options.pattern,
        sparsity=options.sparsity,
        dtype=options.dtype,
        seed=options.seed,
        classes=options.classes,
    )
    write_atomically(data, target)
    print(f"{target}: {len(data):,} bytes")
    return 0


def _read_labels(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: no UTF-8 text: {error}; one class name a line expected"
        ) from None
    if not lines or not all(line.strip() for line in lines):
        raise InputError(f"{path}: empty, or with an empty line; one class name a line expected")
    return "\n".join(line.strip() for line in lines)


# ---- demo ---------------------------------------------------------------------------------------


def _demo(options: argparse.Namespace) -> int:
    root = find_root()
    with Server(root, host=options.host, port=options.port) as server:
        print(f"Gossamer demo: {server.url}{PAGE}  (Ctrl-C stops)", flush=True)
        try:
            server.wait()
        except KeyboardInterrupt:
            print()
    return 0
