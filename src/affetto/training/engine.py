"""Engine of the training loops: optimiser steps over batches that are prepared ahead of them.

A loop says how the batch of a step is prepared, how its gradients are computed, and by which rates it is taken; it
validates and writes checkpoints between the steps. `affetto.training.loop` trains classifiers with it,
`affetto.specialize.loop` speech models.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

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
    take: Callable[[int], None] | None = None
    """Function that takes a whole step, the optimiser's included; None: `prepare`, `learn` and the optimiser do."""
    seconds: float = 0.0
    """Time spent on steps and on waiting for their batches."""
    rates: list[float] = field(default_factory=list)
    """Rate of each parameter group in the last step."""

    def run(self, steps: range) -> Iterator[int]:
        """Take the steps; yields the number of each when it is done, while its gradients are still there."""
        started = time.monotonic()
        for step in self._steps(steps) if self.take is None else self._whole_steps(steps, self.take):
            self.seconds += time.monotonic() - started
            yield step
            started = time.monotonic()

    def _steps(self, steps: range) -> Iterator[int]:
        threaded = capabilities(self.device).batches_ahead
        for step, batch in prefetch(lambda step: (step, self.prepare(step)), steps, threaded=threaded):
            self.set_rates(step)
            self.optimizer.zero_grad(set_to_none=True)
            self.learn(step, batch)
            self.optimizer.step()
            yield step

    def _whole_steps(self, steps: range, take: Callable[[int], None]) -> Iterator[int]:
        for step in steps:
            self.set_rates(step)
            take(step)
            yield step

    def set_rates(self, step: int) -> None:
        """Set the rates of a step; a rate that is a tensor is part of a capture, and changes in place."""
        rates = [self.schedule(group["initial_lr"], step) for group in self.optimizer.param_groups]
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            if not isinstance(group["lr"], Tensor):
                group["lr"] = rate
            elif rates != self.rates:
                group["lr"].fill_(rate)
        self.rates = rates


def adam(
    groups: list[dict[str, Any]],
    device: torch.device,
    *,
    decoupled: bool = True,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float = 0.0,
    static: bool = False,
) -> torch.optim.Optimizer:
    """AdamW, or without `decoupled` Adam, over parameter groups, each with its rate `lr`; empty groups are left out.

    `weight_decay` holds where a group has none of its own. With `static` its steps can be captured: rates are tensors
    on the device.
    """
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    groups = [group | {"initial_lr": group["lr"]} for group in groups if group["params"]]
    if static:
        groups = [group | {"lr": torch.tensor(group["lr"], dtype=torch.float32, device=device)} for group in groups]
    optimizer = kind(
        groups,
        betas=betas,
        eps=eps,
        weight_decay=weight_decay,
        fused=capabilities(device).fused_optimizer,
        capturable=static,
    )
    # The first step of each shape is taken without a capture on purpose.
    optimizer.__dict__["_warned_capturable_if_run_uncaptured"] = static
    return optimizer
