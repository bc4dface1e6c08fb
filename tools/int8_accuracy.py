#!/usr/bin/env python3
"""What int8 costs in accuracy, and what it saves in bytes.

    .venv/bin/python tools/int8_accuracy.py [MODEL ...]

The embedded network in f32 and in int8, and TensorFlow Lite models that are quantized already: as
LiteRT runs them, in f32, imported with their own ranges, and quantized anew with pictures. Writes
tools/results/int8.json and int8.md; models that are not named keep their rows.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import gossamer
from gossamer.evaluation import class_of, labels, pictures_in
from gossamer.image import image_to_tensor

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "tools" / "results" / "int8.json"
EMBEDDED = "cifar10-mobilenet"
QUANTIZED = (
    "tf2_mobilenet_v2_1.0_224_ptq",
    "mobilenet_v2_1.0_224_quant",
    "mobilenet_v1_0.75_192_quant",
)
CALIBRATED_WITH = 128

Answers = list[int]


def answers(session: gossamer.InferenceSession, tensors: Sequence[np.ndarray]) -> Answers:
    """Classify pictures."""
    (image,) = session.get_inputs()
    return [int(np.argmax(session.run(None, {image.name: x})[0])) for x in tensors]


def litert_answers(path: Path, tensors: Sequence[np.ndarray]) -> Answers:
    """Classify pictures as LiteRT does; it takes whole numbers, pixel after pixel."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (image,), (scores,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero_point = image["quantization"]
    limits = np.iinfo(image["dtype"])
    found = []
    for x in tensors:
        whole = np.clip(np.rint(x / scale) + zero_point, limits.min, limits.max)
        interpreter.set_tensor(image["index"], whole.transpose(0, 2, 3, 1).astype(image["dtype"]))
        interpreter.invoke()
        found.append(int(interpreter.get_tensor(scores["index"])[0].argmax()))
    return found


class Photos:
    """Pictures as a model takes them, their middle of `side` pixels, and their classes."""

    def __init__(self, session: gossamer.InferenceSession, data: Path, side: int) -> None:
        names, width = labels(session), session.get_inputs()[0].shape[-1]
        self.tensors, self.classes = [], []
        with pictures_in(data) as pictures:
            for picture in pictures:
                with picture.open() as file:
                    photo = Image.open(file).convert("RGB")
                left, top = ((size - side) // 2 for size in photo.size)
                middle = photo.crop((left, top, left + side, top + side))
                middle = middle.resize((width, width), Image.Resampling.BILINEAR)
                self.tensors.append(image_to_tensor(middle, session))
                self.classes.append(class_of(picture.name, names, len(names)))

    def row(self, what: str, found: Answers, reference: Answers, size: int) -> dict[str, Any]:
        """Say how often answers are right, and how often those of the reference."""
        right = np.mean(np.equal(found, self.classes))
        agreement = np.mean(np.equal(found, reference))
        top1, agreement = (round(100 * float(share), 2) for share in (right, agreement))
        return {"what": what, "top1": top1, "agreement": agreement, "bytes": size}


def embedded_rows(data: Path) -> Iterator[dict[str, Any]]:
    """Compare the embedded network with the same one in int8."""
    paths = [gossamer.embedded.MODELS / f"{EMBEDDED}{suffix}.goss" for suffix in ("", "-int8")]
    real, whole = map(gossamer.InferenceSession, paths)
    photos = Photos(real, data / "cifar10-validation.tar", 32)
    reference = answers(real, photos.tensors)
    sizes = [path.stat().st_size for path in paths]
    yield photos.row("f32", reference, reference, sizes[0])
    yield photos.row("int8", answers(whole, photos.tensors), reference, sizes[1])


def quantized_rows(model: str, models: Path, data: Path) -> Iterator[dict[str, Any]]:
    """Compare ways to run a model that is quantized with LiteRT's."""
    source = models / f"{model}.tflite"
    metadata = {"labels": (models / "imagenet_labels.txt").read_text()}
    real = gossamer.convert(source, None, metadata=metadata, dequantize=True)
    session = gossamer.InferenceSession(real)
    photos = Photos(session, data / "imagenet-500.tar", 224)
    reference = litert_answers(source, photos.tensors)
    size = source.stat().st_size
    yield photos.row("LiteRT", reference, reference, size)
    yield photos.row("f32", answers(session, photos.tensors), reference, len(real))
    imported = gossamer.convert(source, None, metadata=metadata)
    found = answers(gossamer.InferenceSession(imported), photos.tensors)
    yield photos.row("int8, imported", found, reference, len(imported))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.goss"
        step = -(-len(photos.tensors) // CALIBRATED_WITH)
        gossamer.quantize(source, path, data=photos.tensors[::step], sensitivity=False)
        found = answers(gossamer.InferenceSession(path), photos.tensors)
        yield photos.row("int8, calibrated", found, reference, path.stat().st_size)


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """Write the results as Markdown."""
    lines = [
        "# Accuracy in int8",
        "",
        "Top-1 and agreement (the same first answer as in the first row of the model) in per cent. "
        f"`{EMBEDDED}`: 5,000 pictures of CIFAR-10. The others: the middle 224 pixels "
        "of 500 of ImageNet, resized bilinearly. `imported`: with "
        "the model's own ranges, 7 bits instead of 8. `calibrated`: quantized anew with "
        f"{CALIBRATED_WITH} of these pictures at most, which say how large activations are and "
        "nothing of classes. Made by `tools/int8_accuracy.py`.",
        "",
        "| model | runs as | top-1 | agreement | bytes |",
        "|---|---|---|---|---|",
    ]
    for model, rows in results.items():
        lines += [
            f"| {model} | {row['what']} | {row['top1']:.2f} | {row['agreement']:.2f} "
            f"| {row['bytes']:,} |"
            for row in rows
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure the models that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", default=[EMBEDDED, *QUANTIZED])
    shared = ROOT.parent / "shared"
    parser.add_argument("--models-folder", type=Path, default=shared / "models")
    parser.add_argument("--data", type=Path, default=shared / "data")
    options = parser.parse_args()
    makers: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
        EMBEDDED: lambda: embedded_rows(options.data)
    }
    for model in QUANTIZED:
        makers[model] = lambda model=model: quantized_rows(
            model, options.models_folder, options.data
        )
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for model in options.models:
        if model not in makers:
            parser.error(f"{model}: {', '.join(makers)} expected")
        rows = []
        for row in makers[model]():
            print(f"{model}: {row}", file=sys.stderr, flush=True)
            rows.append(row)
        results[model] = rows
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        RESULTS.with_suffix(".md").write_text(table(results))


if __name__ == "__main__":
    main()
