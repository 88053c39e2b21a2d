"""AdaLoRA's allocation of ranks: singular values of little importance are set to zero, step by step.

An update of a layer's weight is B diag(E) A. How important an entry of E is follows from the gradients of its triplet
(an entry of E, a row of A, a column of B). Zhang et al. 2023, eq. 8-12; the numbers are those of peft's own allocator,
whose state can neither be kept in a checkpoint nor forgotten between two fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

SMOOTHING = 0.85
"""Factor on the past of importance and uncertainty, both, as in the paper's experiments."""
Triplet = dict[str, nn.Parameter]
"""`A` (rank, in), `B` (out, rank) and `E` (rank, 1) of one layer."""


@dataclass(frozen=True)
class Schedule:
    """Course of the budget. Shares are of the steps in all."""

    warm_up: float
    """Share of the first steps, in which every rank stays."""
    settled: float
    """Share of the last steps, in which the choice of ranks stands."""
    first: int
    """Ranks at the beginning, of all layers together."""
    last: int
    """Ranks that remain."""

    def end(self, total: int) -> int:
        """The step with which the choice of ranks is final."""
        return total - round(self.settled * total)

    def budget(self, step: int, total: int) -> int | None:
        """Ranks that remain after `step` (from 1 to `total`); None: there is nothing to choose in this step."""
        begin, end = round(self.warm_up * total), self.end(total)
        if step <= begin or step > end:
            return None
        if step == end:
            return self.last
        return int((self.first - self.last) * (1 - (step - begin) / (end - begin)) ** 3 + self.last)


class RankBudget:
    """Importance of every rank of some layers, and which of them remain."""

    def __init__(self, layers: Mapping[str, Triplet], schedule: Schedule) -> None:
        self.layers, self.schedule = dict(layers), schedule
        self.importance: dict[str, Tensor] = {}
        self.uncertainty: dict[str, Tensor] = {}
        self.pruned: dict[str, Tensor] = {}

    @torch.no_grad()
    def after_step(self, step: int, total: int) -> None:
        """Note the gradients of this step, and set to zero what the budget has no room for."""
        end = self.schedule.end(total)
        if step < end or not self.importance:
            self._note()
        budget = self.schedule.budget(step, total)
        if budget is not None and budget < self.schedule.first:
            self._choose(budget)
        if self.pruned and (step > end or budget is not None):
            for name, layer in self.layers.items():
                layer["E"].masked_fill_(self.pruned[name], 0.0)

    def _note(self) -> None:
        for name, layer in self.layers.items():
            for part, parameter in layer.items():
                if parameter.grad is None:
                    continue
                key = f"{name}.{part}"
                sensitivity = (parameter * parameter.grad).abs()
                importance = _smoothed(self.importance.get(key), sensitivity)
                self.uncertainty[key] = _smoothed(self.uncertainty.get(key), (sensitivity - importance).abs())
                self.importance[key] = importance

    def _choose(self, budget: int) -> None:
        """Mark the ranks beyond the `budget` most important ones."""
        scores = [self._score(name) for name in self.layers]
        everything = torch.cat(scores)
        pruned = torch.ones_like(everything, dtype=torch.bool)
        pruned[everything.argsort(descending=True, stable=True)[:budget]] = False
        parts = pruned.split([len(score) for score in scores])
        self.pruned = {name: part[:, None].clone() for name, part in zip(self.layers, parts, strict=True)}

    def _score(self, name: str) -> Tensor:
        """(rank,), importance of a layer's triplets."""
        parts = {part: self.importance[f"{name}.{part}"] * self.uncertainty[f"{name}.{part}"] for part in "ABE"}
        return parts["E"][:, 0] + parts["A"].mean(1) + parts["B"].mean(0)

    def state(self) -> dict[str, Tensor]:
        """All that has been gathered, for a checkpoint."""
        kinds = {"importance": self.importance, "uncertainty": self.uncertainty, "pruned": self.pruned}
        return {f"{kind}/{name}": tensor for kind, tensors in kinds.items() for name, tensor in tensors.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` gave; from nothing, where that is empty."""
        device = next(iter(self.layers.values()))["E"].device
        for kind in ("importance", "uncertainty", "pruned"):
            start = f"{kind}/"
            setattr(self, kind, {k[len(start) :]: t.to(device) for k, t in state.items() if k.startswith(start)})


def orthogonality(layers: Mapping[str, Triplet]) -> Tensor:
    """Mean distance of A Aᵀ and Bᵀ B from the identity (Frobenius norm) over the layers' As and Bs: a scalar."""
    products = [layer["A"] @ layer["A"].T for layer in layers.values()]
    products += [layer["B"].T @ layer["B"] for layer in layers.values()]
    distances = [torch.linalg.norm(p - torch.eye(len(p), device=p.device, dtype=p.dtype)) for p in products]
    return torch.stack(distances).mean()


def _smoothed(past: Tensor | None, new: Tensor) -> Tensor:
    """The running mean, from 0."""
    share = (1 - SMOOTHING) * new
    return share if past is None else SMOOTHING * past + share
