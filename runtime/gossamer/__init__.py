"""Inference of pruned neural networks on CPUs.

>>> import gossamer
>>> session = gossamer.load_model("cifar10-mobilenet")
>>> gossamer.classify(session, "cat.jpg", top=1)
[Prediction(label='cat', probability=0.98...)]
"""

from importlib.metadata import version as _version

from . import zoo
from .benchmarking import Benchmark, LayerBenchmark, benchmark, peak_macs_per_second
from .convert import convert
from .embedded import load_model, model_names
from .errors import (
    EngineError,
    GossamerError,
    ImageError,
    InputError,
    MissingDependencyError,
    MissingFileError,
    ModelError,
    OutOfMemoryError,
    UnsupportedError,
)
from .evaluation import Accuracy, ClassAccuracy, Comparison, Interval, evaluate
from .explain import explain
from .image import Prediction, classify, image_to_tensor
from .prune import prune
from .quantize import quantize
from .session import (
    InferenceSession,
    LayerInfo,
    NodeArg,
    SessionInfo,
    SessionOptions,
    isas,
)

__version__ = _version("gossamer-nn")

__all__ = [
    "Accuracy",
    "ClassAccuracy",
    "Comparison",
    "EngineError",
    "GossamerError",
    "ImageError",
    "InferenceSession",
    "InputError",
    "Interval",
    "LayerInfo",
    "MissingDependencyError",
    "MissingFileError",
    "ModelError",
    "NodeArg",
    "OutOfMemoryError",
    "Prediction",
    "SessionInfo",
    "SessionOptions",
    "UnsupportedError",
    "classify",
    "convert",
    "evaluate",
    "explain",
    "image_to_tensor",
    "isas",
    "load_model",
    "model_names",
    "prune",
    "quantize",
    "zoo",
    "Benchmark",
    "LayerBenchmark",
    "benchmark",
    "peak_macs_per_second",
]


def __getattr__(name: str) -> object:
    """Import `gossamer.torch` when it is first used: PyTorch takes seconds."""
    if name == "torch":
        from importlib import import_module

        return import_module(".torch", __name__)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
