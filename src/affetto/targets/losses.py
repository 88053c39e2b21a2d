"""Losses of targets, in torch. Each is the weighted mean over a batch; see `affetto.targets.target.Loss`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from affetto.targets.target import Loss, LossSettings

TINY = 1e-8
"""Least divisor: the moments of one clip, or of equal values, are 0."""


def class_weights(counts: Tensor) -> Tensor:
    """PEFT-SER's: clips / (classes × clips of the class), 1 where classes are balanced; 0 for a class without clips.

    `counts` (classes,) are clips of each class, or sums of shares.
    """
    counts = counts.double()
    return (counts.sum() / (len(counts) * counts.clamp(min=1e-12)) * (counts > 0)).float()


def effective_numbers(counts: Tensor, beta: float) -> Tensor:
    """Effective number of clips of each class, (1 - βⁿ) / (1 - β): n where β is near 1, and 1 where it is near 0.

    Cui et al. 2019. `counts` (classes,) are the clips n of each class, or sums of their factors.
    """
    return -torch.expm1(counts.double() * math.log(beta)) / (1 - beta)


def log_shares(counts: Tensor) -> Tensor:
    """Logarithm of each class's share of the clips, relative to even shares; 0 for a class without clips."""
    counts = counts.double()
    present = counts > 0
    even = counts.sum() / present.sum()
    return torch.where(present, torch.log(counts.clamp(min=1e-12) / even), 0.0).float()


@dataclass(frozen=True, kw_only=True)
class Balance:
    """Means by which a loss treats classes of unequal size, and clips of unequal difficulty."""

    weight: Tensor
    """Weight of each class, (classes,)."""
    margin: Tensor | None = None
    """Numbers that are added to the outputs in training, (classes,); None: nothing."""
    gamma: float = 0.0
    """Exponent of a clip's probability of error, by which its loss is multiplied; 0: it is not."""

    def to(self, device: torch.device) -> Balance:
        """The same on a device."""
        margin = None if self.margin is None else self.margin.to(device)
        return replace(self, weight=self.weight.to(device), margin=margin)

    def adjusted(self, outputs: Tensor) -> Tensor:
        """Outputs (clips, classes) as the loss takes them."""
        return outputs if self.margin is None else outputs + self.margin

    def focused(self, losses: Tensor, outputs: Tensor, truth: Tensor) -> Tensor:
        """Losses (clips,) of adjusted outputs (clips, classes), those of clips that are easy made smaller.

        `truth` is the class of each clip, (clips,), or its shares, (clips, classes).
        """
        if self.gamma == 0.0:
            return losses
        probabilities = torch.softmax(outputs, dim=1)
        hits = (probabilities * truth).sum(1) if truth.dim() > 1 else probabilities.gather(1, truth[:, None])[:, 0]
        return losses * (1 - hits).clamp(min=TINY) ** self.gamma


def _by_frequency(counts: Tensor, settings: LossSettings) -> Tensor:
    """Weights of classes: by inverse frequency, or all 1."""
    return class_weights(counts) if settings.class_weights else torch.ones(len(counts))


BALANCES: dict[str, Callable[[Tensor, Tensor, LossSettings], Balance]] = {
    "cross_entropy": lambda counts, _, s: Balance(weight=_by_frequency(counts, s)),
    "focal": lambda counts, _, s: Balance(weight=_by_frequency(counts, s), gamma=s.focal_gamma),
    "class_balanced": lambda _, sums, s: Balance(weight=class_weights(effective_numbers(sums, s.class_balanced_beta))),
    "logit_adjusted": lambda _, sums, s: Balance(weight=(sums > 0).float(), margin=log_shares(sums)),
}
"""Makers of a `Balance` by the names that `training.loss` takes, from clips and sums of factors of each class.

- `cross_entropy`: weights alone.
- `focal`: the loss of a clip times (1 - p)^γ, where p is the probability of its class (Lin et al. 2017).
- `class_balanced`: weights by the inverse of the effective number of clips (Cui et al. 2019).
- `logit_adjusted`: outputs plus the logarithm of the classes' shares, without weights (Menon et al. 2021).
"""


def logarithm(probabilities: NDArray[Any]) -> Tensor:
    """Logits whose softmax are these probabilities."""
    return torch.from_numpy(np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))).float()


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Cross-entropy of classes (clips,), weighted by class and smoothed: Σ wᵢ lᵢ / Σ wᵢ.

    torch spreads the smoothed share of a target over the classes in proportion to their weights, so that a rare class
    gets more of it; where classes are balanced, or not weighted, each gets the same.
    """

    balance: Balance
    smoothing: float

    @classmethod
    def fitted(
        cls, targets: Tensor, classes: int, settings: LossSettings, factors: Tensor | None = None
    ) -> CrossEntropy:
        """The loss for training clips of these classes (clips,) with these factors (clips,)."""
        counts = torch.bincount(targets, minlength=classes)
        sums = counts if factors is None else torch.bincount(targets, factors, minlength=classes)
        return cls(BALANCES[settings.kind](counts, sums, settings), settings.label_smoothing)

    def to(self, device: torch.device) -> CrossEntropy:
        return replace(self, balance=self.balance.to(device))

    def clip_weights(self, truth: Tensor) -> Tensor:
        return self.balance.weight[truth]

    def per_clip(self, outputs: Tensor, truth: Tensor) -> Tensor:
        """Outputs (clips, classes) and classes (clips,) → wᵢ lᵢ (clips,), smoothed."""
        outputs, weight = self.balance.adjusted(outputs), self.balance.weight
        losses = functional.cross_entropy(outputs, truth, weight, reduction="none", label_smoothing=self.smoothing)
        return self.balance.focused(losses, outputs, truth)

    def of_batch(self, outputs: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        return (self.per_clip(outputs, truth) * weights).sum()

    def of_values(self, values: NDArray[Any], truth: Tensor) -> float:
        return _on_cpu(self, logarithm(values), truth)


@dataclass(frozen=True)
class SoftCrossEntropy(Loss):
    """Kullback–Leibler divergence of shares (clips, labels) from predicted ones, weighted by clip: Σ wᵢ lᵢ / Σ wᵢ.

    lᵢ = Σₖ sᵢₖ (log sᵢₖ - log pᵢₖ), wᵢ = Σₖ wₖ sᵢₖ. Its gradient is that of the soft cross-entropy. Weights of labels
    within a clip would draw its predicted shares away from the raters'. Smoothing mixes the shares with equal ones.
    """

    balance: Balance
    smoothing: float

    @classmethod
    def fitted(cls, shares: Tensor, settings: LossSettings, factors: Tensor | None = None) -> SoftCrossEntropy:
        """The loss for training clips with these shares (clips, labels) and factors (clips,)."""
        counts = shares.sum(0)
        sums = counts if factors is None else factors.to(shares.dtype) @ shares
        return cls(BALANCES[settings.kind](counts, sums, settings), settings.label_smoothing)

    def to(self, device: torch.device) -> SoftCrossEntropy:
        return replace(self, balance=self.balance.to(device))

    def clip_weights(self, truth: Tensor) -> Tensor:
        return truth @ self.balance.weight

    def of_batch(self, outputs: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        outputs = self.balance.adjusted(outputs)
        shares = truth.lerp(torch.full_like(truth, 1 / truth.shape[1]), self.smoothing)
        divergence = shares.xlogy(shares) - shares * functional.log_softmax(outputs, dim=1)
        losses = self.balance.focused(divergence.sum(1), outputs, truth)
        return (losses * self.clip_weights(truth) * weights).sum()

    def of_values(self, values: NDArray[Any], truth: Tensor) -> float:
        return _on_cpu(self, logarithm(values), truth)


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Binary cross-entropy of several labels (clips, labels) of 0 and 1, the mean over labels.

    Weighted, the marks of a label count clips without it / clips with it, within 1/10 and 10.
    """

    positive: Tensor
    """Weight of the marks of each label, (labels,)."""
    smoothing: float

    @classmethod
    def fitted(cls, marks: Tensor, settings: LossSettings) -> BinaryCrossEntropy:
        """The loss for training clips with these marks (clips, labels)."""
        present = marks.sum(0)
        ratio = ((len(marks) - present) / present.clamp(min=1)).clamp(0.1, 10.0)
        return cls(ratio if settings.class_weights else torch.ones_like(ratio), settings.label_smoothing)

    def to(self, device: torch.device) -> BinaryCrossEntropy:
        return replace(self, positive=self.positive.to(device))

    def clip_weights(self, truth: Tensor) -> Tensor:
        return truth.new_ones(len(truth))

    def of_batch(self, outputs: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        marks = truth.lerp(torch.full_like(truth, 0.5), self.smoothing)
        losses = functional.binary_cross_entropy_with_logits(outputs, marks, pos_weight=self.positive, reduction="none")
        return (losses.mean(1) * weights).sum()

    def of_values(self, values: NDArray[Any], truth: Tensor) -> float:
        return _on_cpu(self, torch.logit(torch.from_numpy(values).float(), eps=1e-7), truth)


@dataclass(frozen=True)
class DimensionLoss(Loss):
    """Loss of dimensions in units in which each range is -1 to 1: 1 - CCC over the batch, the squared error, or both.

    The mean over dimensions. Of one clip, and of equal outputs, the CCC is 0 without a gradient that is not finite.
    """

    concordance: float
    """Weight of 1 - CCC."""
    squared: float
    """Weight of the mean squared error."""
    middle: tuple[float, ...]
    """Middle of each range, and half of its length: values are outputs times `half` plus `middle`."""
    half: tuple[float, ...]

    def to(self, device: torch.device) -> DimensionLoss:
        return self

    def clip_weights(self, truth: Tensor) -> Tensor:
        return truth.new_ones(len(truth))

    def of_batch(self, outputs: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        share = weights.sum()
        parts = (weights / share.clamp(min=1e-12))[:, None]
        error = (parts * (outputs - truth).square()).sum(0).mean()
        means = (parts * outputs).sum(0), (parts * truth).sum(0)
        centred = outputs - means[0], truth - means[1]
        covariance = (parts * centred[0] * centred[1]).sum(0)
        spread = (parts * (centred[0].square() + centred[1].square())).sum(0) + (means[0] - means[1]).square()
        ccc = (2 * covariance / (spread + TINY)).mean()
        return share * (self.concordance * (1 - ccc) + self.squared * error)

    def of_values(self, values: NDArray[Any], truth: Tensor) -> float:
        scaled = (values - np.array(self.middle)) / np.array(self.half)
        return _on_cpu(self, torch.from_numpy(scaled).float(), truth)


@dataclass(frozen=True)
class JointLoss(Loss):
    """Sum of the loss of labels, in the first outputs, and the weighted loss of dimensions, in those behind them.

    `truth` has the shares or the index of the label in its first `columns`.
    """

    labels: Loss
    dimensions: DimensionLoss
    outputs: int
    """Outputs of the labels."""
    columns: int
    """Columns of the labels' truth; 1: the index of a class."""
    weight: float

    def to(self, device: torch.device) -> JointLoss:
        return replace(self, labels=self.labels.to(device))

    def clip_weights(self, truth: Tensor) -> Tensor:
        return self.labels.clip_weights(self._label_truth(truth))

    def of_batch(self, outputs: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        of_labels = self._label_truth(truth)
        loss = self.labels.of_batch(outputs[:, : self.outputs], of_labels, weights)
        # Classes are weighted, dimensions are not: a clip counts by its factor, all as much as those of this process.
        factors = weights / weights.max().clamp(min=1e-30)
        return loss + self.weight * self.dimensions.of_batch(
            outputs[:, self.outputs :], truth[:, self.columns :], self._unclassed(factors, of_labels, weights)
        )

    def _unclassed(self, factors: Tensor, of_labels: Tensor, weights: Tensor) -> Tensor:
        """Weights of clips in proportion to their factors, whatever their class; their sum is the process's share."""
        share = (self.labels.clip_weights(of_labels) * weights).sum()
        return factors / factors.sum().clamp(min=1e-30) * share

    def of_values(self, values: NDArray[Any], truth: Tensor) -> float:
        loss = self.labels.of_values(values[:, : self.outputs], self._label_truth(truth))
        return loss + self.weight * self.dimensions.of_values(values[:, self.outputs :], truth[:, self.columns :])

    def _label_truth(self, truth: Tensor) -> Tensor:
        return truth[:, 0].long() if self.columns == 1 else truth[:, : self.columns]


@dataclass(frozen=True)
class MeanLoss(Loss):
    """Mean of a loss over draws of dropout, whose outputs stand side by side: (clips, draws · outputs)."""

    loss: Loss
    draws: int

    def to(self, device: torch.device) -> MeanLoss:
        return replace(self, loss=self.loss.to(device))

    def clip_weights(self, truth: Tensor) -> Tensor:
        return self.loss.clip_weights(truth)

    def of_batch(self, outputs: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        losses = [self.loss.of_batch(draw, truth, weights) for draw in outputs.chunk(self.draws, dim=1)]
        return torch.stack(losses).mean()

    def of_values(self, values: NDArray[Any], truth: Tensor) -> float:
        return self.loss.of_values(values, truth)


def _on_cpu(loss: Loss, outputs: Tensor, truth: Tensor) -> float:
    """The loss of all clips at once."""
    on_cpu = loss.to(torch.device("cpu"))
    weights = torch.full((len(outputs),), 1 / float(on_cpu.clip_weights(truth).sum()))
    return float(on_cpu.of_batch(outputs, truth, weights))
