"""Optimiser of a fit: parameter groups and their learning rates."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from affetto.training.adversary import Adversary
from affetto.training.engine import adam
from affetto.training.sections import TrainingSettings


def make_optimizer(
    parameters: Mapping[str, nn.Parameter], adversary: Adversary | None, settings: TrainingSettings, static: bool
) -> torch.optim.Optimizer:
    """Adam or AdamW over parameters of a classifier and an adversary; those of the method have a rate of their own."""
    head: list[nn.Parameter] = []
    method: list[nn.Parameter] = []
    for name, parameter in parameters.items():
        (head if name.startswith(("head.", "pooling.")) else method).append(parameter)
    groups = [
        {"params": head, "lr": settings.lr},
        {"params": method, "lr": settings.method_lr or settings.lr},
        {"params": [] if adversary is None else list(adversary.parameters()), "lr": settings.lr},
    ]
    return adam(
        groups,
        next(iter(parameters.values())).device,
        decoupled=settings.optimizer != "adam",
        betas=settings.betas,
        eps=settings.eps,
        weight_decay=settings.weight_decay,
        static=static,
    )
