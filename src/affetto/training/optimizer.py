"""Optimiser of a fit: parameter groups and their learning rates."""

from __future__ import annotations

import torch
from torch import nn

from affetto.models.classifier import Classifier
from affetto.training.adversary import Adversary
from affetto.training.engine import adam
from affetto.training.sections import TrainingSettings


def make_optimizer(
    classifier: Classifier, adversary: Adversary | None, settings: TrainingSettings, static: bool
) -> torch.optim.Optimizer:
    """Adam or AdamW over the head and an adversary and, at a rate of its own, over what the method trains."""
    head: list[nn.Parameter] = []
    method: list[nn.Parameter] = []
    for name, parameter in classifier.trainable().items():
        (head if name.startswith(("head.", "pooling.")) else method).append(parameter)
    groups = [
        {"params": head, "lr": settings.lr},
        {"params": method, "lr": settings.method_lr or settings.lr},
        {"params": [] if adversary is None else list(adversary.parameters()), "lr": settings.lr},
    ]
    return adam(
        groups,
        next(classifier.parameters()).device,
        decoupled=settings.optimizer != "adam",
        betas=settings.betas,
        eps=settings.eps,
        weight_decay=settings.weight_decay,
        static=static,
    )
