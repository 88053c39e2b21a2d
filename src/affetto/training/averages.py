"""Averages of the weights over a fit: what is validated and kept instead of the weights of the last step.

`ema`     the exponential mean over steps (Polyak & Juditsky 1992): w̄ ← d w̄ + (1 - d) w behind every step, with
          d = min(`decay`, (1 + t) / (10 + t)) at step t, so that the start is soon forgotten
`last_k`  the mean of the weights at the ends of the last `epochs` epochs (Izmailov et al. 2018, without their rates)

Training goes on from its own weights, as it would without an average.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor, nn

from affetto.training.checkpoint import with_prefix, without_prefix
from affetto.training.sections import TrainingSettings

WARM_UP = 10
"""Constant in the share of the early steps; the larger, the faster the start is forgotten."""


class Average:
    """The weights as they are: no average."""

    changes_weights: ClassVar[bool] = False
    """True if other weights are validated than those of the last step."""

    def __init__(self, parameters: dict[str, nn.Parameter]) -> None:
        self.parameters = parameters

    def after_step(self, step: int) -> None:
        """Take in the weights behind a step, counted from 1 over the fit."""

    def end_epoch(self) -> None:
        """Take in the weights at the end of an epoch."""

    def state(self) -> dict[str, Tensor]:
        """Tensors for a checkpoint."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` gave."""

    def mean(self) -> dict[str, Tensor]:
        """The averaged weights by name; {}: those of the last step."""
        return {}

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Let the model have the averaged weights for a while."""
        mean = self.mean()
        before = {name: self.parameters[name].detach().clone() for name in mean}
        self._set(mean)
        try:
            yield
        finally:
            self._set(before)

    @torch.no_grad()
    def _set(self, weights: dict[str, Tensor]) -> None:
        for name, tensor in weights.items():
            self.parameters[name].copy_(tensor)


class Exponential(Average):
    """`ema`."""

    changes_weights = True

    def __init__(self, parameters: dict[str, nn.Parameter], decay: float) -> None:
        super().__init__(parameters)
        self.decay = decay
        self.weights = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        share = 1 - min(self.decay, (1 + step) / (WARM_UP + step))
        torch._foreach_lerp_(list(self.weights.values()), list(self.parameters.values()), share)

    def state(self) -> dict[str, Tensor]:
        return self.weights

    def restore(self, state: dict[str, Tensor]) -> None:
        for name, tensor in state.items():
            self.weights[name].copy_(tensor)

    def mean(self) -> dict[str, Tensor]:
        return self.weights


class LastEpochs(Average):
    """`last_k`. The weights of the epochs are kept on the CPU."""

    changes_weights = True

    def __init__(self, parameters: dict[str, nn.Parameter], epochs: int) -> None:
        super().__init__(parameters)
        self.ends: deque[dict[str, Tensor]] = deque(maxlen=epochs)

    def end_epoch(self) -> None:
        self.ends.append({name: p.detach().to("cpu", copy=True) for name, p in self.parameters.items()})

    def state(self) -> dict[str, Tensor]:
        return {key: t for n, end in enumerate(self.ends) for key, t in with_prefix(f"{n}.", end).items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        count = len({name.partition(".")[0] for name in state})
        self.ends.clear()
        self.ends.extend(without_prefix(f"{n}.", state) for n in range(count))

    def mean(self) -> dict[str, Tensor]:
        if not self.ends:
            return {}
        return {name: torch.stack([end[name] for end in self.ends]).mean(0) for name in self.parameters}


def make_average(settings: TrainingSettings, parameters: dict[str, nn.Parameter]) -> Average:
    """The average that the settings ask for, of a fit with these parameters as they are at its start."""
    if settings.average == "ema":
        return Exponential(parameters, settings.average_decay)
    if settings.average == "last_k":
        return LastEpochs(parameters, settings.average_epochs)
    return Average(parameters)
