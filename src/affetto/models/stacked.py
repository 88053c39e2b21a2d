"""Several classifiers on one frozen backbone as one: the clips of all go through the frozen weights together.

Each classifier stays as it is and trains: its parameters become views of stacked ones, which have a leading dimension
of fits. A step of all is one forward and one backward pass on F·B rows in the order of the fits; rows of one fit never
meet those of another.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from affetto.models.classifier import Classifier, Prefix
from affetto.models.dropout import Dropout
from affetto.models.head_layers import StatisticsHead
from affetto.models.stacked_layers import (
    Extents,
    StackedDropout,
    StackedLinear,
    StackedLora,
    StackedPooling,
    StackedStatisticsHead,
)


class StackingError(Exception):
    """Classifiers that have a trainable parameter for which there is no stacked layer."""


class Stacked:
    """Classifiers of one architecture on equal frozen weights. Raises StackingError.

    `generators`: one of each, of the CPU, for dropout. `dissolve` ends it.
    """

    def __init__(self, classifiers: Sequence[Classifier], generators: Sequence[torch.Generator]) -> None:
        self.classifiers = list(classifiers)
        self.extents = Extents(generators)
        self._own = [classifier.trainable() for classifier in classifiers]
        self._parameters = {
            name: nn.Parameter(torch.stack([own[name].detach() for own in self._own])) for name in self._own[0]
        }
        self.model = self._copy()
        self._layers()
        self.model.train()
        for name, parameter in self._parameters.items():
            for row, own in zip(parameter.detach(), self._own, strict=True):
                own[name].data = row

    def _copy(self) -> Classifier:
        """A copy of the first classifier whose modules can be replaced, over the same weights in memory."""
        first = self.classifiers[0]
        shared = {id(tensor): tensor for tensor in (*first.parameters(), *first.buffers())}
        return copy.deepcopy(first, shared)

    def _layers(self) -> None:
        """Replace each module of the copy that trains, or draws, by the stacked one."""
        model, rest = self.model, dict(self._parameters)
        for name, module in list(model.named_modules()):
            stacked = self._layer(name, module, rest.pop)
            if stacked is not None:
                _replace(model, name, stacked)
        if isinstance(model.head, StatisticsHead):
            heads: list[Any] = [classifier.head for classifier in self.classifiers]
            model.head = StackedStatisticsHead(heads, model.head.dropout, model.head.out)
        if rest:
            raise StackingError(f"no stacked layer for {next(iter(rest))}")

    def _layer(self, name: str, module: Any, take: Callable[..., Any]) -> nn.Module | None:
        """The stacked module in the place of `module`; `take` gives the stacked parameters by name."""
        if hasattr(module, "lowrank_gelu"):
            (adapter,) = module.active_adapters
            low, high = (take(f"{name}.lora_{part}.{adapter}.weight", None) for part in "AB")
            if low is None or high is None or hasattr(module, "start_a"):
                raise StackingError(f"no stacked layer for {name}")
            return StackedLora(module, low, high, self.extents)
        if isinstance(module, Dropout):
            return StackedDropout(module.p, self.extents)
        if type(module) is nn.Linear and module.weight.requires_grad and f"{name}.weight" in self._parameters:
            weight = take(f"{name}.weight", None)
            # Parts of a LoRA layer are linear layers too, which the layer has taken.
            return None if weight is None else StackedLinear(weight, take(f"{name}.bias", None))
        if name == "pooling" and module.weights is not None:
            return StackedPooling(module, take("pooling.weights"))
        return None

    def join(self, batches: Sequence[tuple[Prefix, Tensor]]) -> tuple[Prefix, Tensor]:
        """Prefixes and lengths of each fit's batch → those of F·B rows; fits with fewer clips get clips of zeros."""
        lengths = [length for _, length in batches]
        prefixes = [self._needed(n, prefix) for n, (prefix, _) in enumerate(batches)]
        shapes = [tuple(next(iter(prefix.values())).shape[:2]) for prefix in prefixes]
        self.extents.batches = [(clips, frames) for clips, frames in shapes]
        clips, frames = max(shape[0] for shape in shapes), max(shape[1] for shape in shapes)
        padded = [nn.functional.pad(length, (0, clips - len(length)), value=1) for length in lengths]
        joint = {name: torch.cat([_padded(prefix[name], clips, frames) for prefix in prefixes]) for name in prefixes[0]}
        return joint, torch.cat(padded)

    def _needed(self, fit: int, prefix: Prefix) -> Prefix:
        """The part of a fit's prefixes that it computes with: of statistics those of its states, as one frame."""
        if "statistics" not in prefix:
            return prefix
        return {"statistics": self.classifiers[fit].pooling.statistics_of(prefix["statistics"])[:, None]}

    def logits(
        self, prefix: Prefix, lengths: Tensor, mask: Callable[[int, Tensor], Tensor] | None = None
    ) -> list[Tensor]:
        """Result of `join` → logits (clips, classes) of each fit's own clips.

        `mask(fit, statistics)` changes what a statistics head gets, (clips, 2 width).
        """
        model = self.model
        if isinstance(model.head, StatisticsHead):
            stored = prefix["statistics"][:, 0] if "statistics" in prefix else model.statistics(prefix, lengths)
            statistics = self._own_rows(self.extents.split(stored), mask)
            logits = model.head.classify(statistics)
        else:
            logits = model(prefix, lengths)
        rows = self.extents.split(logits)
        return [part[:clips] for part, (clips, _) in zip(rows, self.extents.batches, strict=True)]

    def _own_rows(self, statistics: Tensor, mask: Callable[[int, Tensor], Tensor] | None) -> Tensor:
        if mask is None:
            return statistics.flatten(0, 1)
        parts = []
        for fit, (clips, _) in enumerate(self.extents.batches):
            parts += [mask(fit, statistics[fit, :clips]), statistics[fit, clips:]]
        return torch.cat(parts)

    def zero_gradients(self) -> None:
        """Forget the gradients of the step before."""
        for parameter in self._parameters.values():
            parameter.grad = None

    def give_gradients(self) -> None:
        """Give each classifier's parameters their part of the gradients."""
        for name, parameter in self._parameters.items():
            assert parameter.grad is not None, f"{name} has no gradient"
            for row, own in zip(parameter.grad, self._own, strict=True):
                own[name].grad = row

    def dissolve(self) -> None:
        """Let each classifier have memory of its own again."""
        for own in self._own:
            for parameter in own.values():
                parameter.data, parameter.grad = parameter.detach().clone(), None


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module in the place of the one of that name, under the hooks that it had."""
    before = model.get_submodule(name)
    module._forward_pre_hooks.update(before._forward_pre_hooks)
    module._forward_hooks.update(before._forward_hooks)
    model.set_submodule(name, module)


def _padded(tensor: Tensor, clips: int, frames: int) -> Tensor:
    """(clips, frames, …) → more clips and frames, of zeros."""
    if tensor.shape[:2] == (clips, frames):
        return tensor
    whole = tensor.new_zeros(clips, frames, *tensor.shape[2:])
    whole[: tensor.shape[0], : tensor.shape[1]] = tensor
    return whole
