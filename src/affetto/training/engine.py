"""Engine of the training loops: optimiser steps over batches that are prepared ahead of them.

A loop says how the batch of a step is prepared, how its gradients are computed, and by which rates it is taken; it
validates and writes checkpoints between the steps. `affetto.training.loop` trains classifiers with it,
`affetto.specialize.loop` speech models.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch

from affetto.models.device import capabilities
from affetto.training.batches import prefetch

B = TypeVar("B")


@dataclass(kw_only=True)
class Engine(Generic[B]):
    """Optimiser steps of one fit."""

    optimizer: torch.optim.Optimizer
    device: torch.device
    prepare: Callable[[int], B]
    """Function that makes the batch of a step; beside a GPU it runs in a thread, one step ahead."""
    learn: Callable[[int, B], None]
    """Function that computes a step's gradients, summed over the processes."""
    schedule: Callable[[float, int], float]
    """Function from a parameter group's initial rate and a step to the rate of that step."""
    seconds: float = 0.0
    """Time spent on steps and on waiting for their batches."""

    def run(self, steps: range) -> Iterator[int]:
        """Take the steps; yields the number of each when it is done, while its gradients are still there."""
        threaded = capabilities(self.device).batches_ahead
        started = time.monotonic()
        for step, batch in prefetch(lambda step: (step, self.prepare(step)), steps, threaded=threaded):
            self.set_rates(step)
            self.optimizer.zero_grad(set_to_none=True)
            self.learn(step, batch)
            self.optimizer.step()
            self.seconds += time.monotonic() - started
            yield step
            started = time.monotonic()

    def set_rates(self, step: int) -> None:
        """Set the learning rates of a step."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule(group["initial_lr"], step)


def adam(
    groups: list[dict[str, Any]],
    device: torch.device,
    *,
    decoupled: bool = True,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """AdamW, or without `decoupled` Adam, over parameter groups, each with its rate `lr`; empty groups are left out.

    `weight_decay` holds where a group has none of its own.
    """
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    return kind(
        [group | {"initial_lr": group["lr"]} for group in groups if group["params"]],
        betas=betas,
        eps=eps,
        weight_decay=weight_decay,
        fused=capabilities(device).fused_optimizer,
    )
