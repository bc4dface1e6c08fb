"""Pruning while a PyTorch model trains.

Three lines make a training loop a pruning one:

>>> pruner = gossamer.torch.Pruner(  # doctest: +SKIP
...     model, "4x1", gossamer.torch.CubicSchedule(0.8, end=5000), optimizer=optimizer
... )
>>> for images, labels in loader:  # doctest: +SKIP
...     optimizer.zero_grad()
...     criterion(model(images), labels).backward()
...     optimizer.step()
...     pruner.step()
>>> pruner.finish()  # doctest: +SKIP

The model is then a plain one with exact zeros, which `torch.onnx.export` and `gossamer.convert`
keep.
"""

from ..errors import MissingDependencyError

try:
    from .distillation import distillation_loss
    from .layers import plain_state_dict
    from .pruner import Pruner
    from .report import LayerReport, Report
    from .schedule import CubicSchedule
except ModuleNotFoundError as error:
    package = str(error.name).partition(".")[0]
    if package not in ("numpy", "torch"):
        raise
    raise MissingDependencyError(
        f"pruning in training needs the package '{package}'; run: pip install 'gossamer-nn[torch]'"
    ) from error

__all__ = [
    "CubicSchedule",
    "LayerReport",
    "Pruner",
    "Report",
    "distillation_loss",
    "plain_state_dict",
]
