"""Classify photos on a target: runs inside Pyodide and under qemu-aarch64, with or without numpy.

Usage: classify_pixels.py PHOTO... where a PHOTO is ``file:width:height`` of raw RGB bytes. Prints
one JSON object.
"""

import json
import sys
from importlib.util import find_spec

import gossamer


def main(photos: list[str]) -> str:
    session = gossamer.load_model("cifar10-mobilenet")
    answers = []
    for photo in photos:
        path, width, height = photo.rsplit(":", 2)
        with open(path, "rb") as file:
            pixels = memoryview(file.read()).cast("B", [int(height), int(width), 3])
        (probabilities,) = session.run(None, {"image": gossamer.image_to_tensor(pixels, session)})
        answers.append(
            {
                "label": gossamer.classify(session, pixels, top=1)[0].label,
                "probabilities": memoryview(probabilities).tolist()[0],
                "type": type(probabilities).__name__,
            }
        )
    return json.dumps(
        {
            "answers": answers,
            "isa": session.isa,
            "machine": __import__("platform").machine(),
            "python": sys.version.split()[0],
            "binding": type(session._native.engine.binding).__name__,
            "numpy": find_spec("numpy") is not None,
        }
    )


if __name__ == "__main__":
    print(main(sys.argv[1:]))
