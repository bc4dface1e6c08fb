"""Learning from a larger network's answers."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError


def distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    temperature: float = 2.0,
    weight: float = 0.5,
) -> Tensor:
    """Mix the loss against labels with the divergence from a teacher (Hinton, arXiv:1503.02531).

    Parameters
    ----------
    student_logits, teacher_logits
        (N, classes, ...). No gradient reaches the teacher.
    labels
        As `torch.nn.functional.cross_entropy` takes them: classes (N, ...) or probabilities like
        the logits.
    temperature
        By which both sides' logits are divided, above 0. The divergence is multiplied by its
        square, so that gradients keep their size.
    weight
        Of the divergence, 0 to 1; the labels' loss has the rest.

    Returns
    -------
    Tensor
        The mean over all positions, a scalar.

    Raises
    ------
    InputError
        The logits' shapes differ, or a number is outside of its range.
    """
    if student_logits.shape != teacher_logits.shape:
        raise InputError(
            f"teacher_logits: {tuple(student_logits.shape)} expected as the student's, "
            f"found {tuple(teacher_logits.shape)}"
        )
    if not temperature > 0:
        raise InputError(f"temperature: above 0 expected, found {temperature!r}")
    if not 0 <= weight <= 1:
        raise InputError(f"weight: 0 to 1 expected, found {weight!r}")
    student = F.log_softmax(student_logits / temperature, dim=1)
    teacher = F.log_softmax(teacher_logits.detach() / temperature, dim=1)
    divergence = F.kl_div(student, teacher, reduction="none", log_target=True).sum(1).mean()
    right = F.cross_entropy(student_logits, labels)
    return (1 - weight) * right + weight * temperature**2 * divergence
