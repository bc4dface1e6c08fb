"""Hash what a model computes on a target: runs inside Pyodide and under qemu-aarch64 too.

Usage: hash_outputs.py MODEL INPUT where INPUT holds the f32 of the model's one input. Prints one
JSON object: for each instruction set of the machine the SHA-256 of its outputs' bytes.
"""

import hashlib
import json
import sys
from pathlib import Path

import gossamer


def main(arguments: list[str]) -> str:
    model, content = (Path(argument).read_bytes() for argument in arguments)
    hashes = {}
    for isa in gossamer.isas():
        session = gossamer.InferenceSession(model, gossamer.SessionOptions(isa=isa))
        (arg,) = session.get_inputs()
        x = memoryview(bytearray(content)).cast("f", arg.shape)
        digest = hashlib.sha256()
        for output in session.run(None, {arg.name: x}):
            digest.update(memoryview(output).tobytes())
        hashes[isa] = digest.hexdigest()
    return json.dumps(hashes)


if __name__ == "__main__":
    print(main(sys.argv[1:]))
