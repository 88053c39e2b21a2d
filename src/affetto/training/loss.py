"""The loss of a fit: cross-entropy, weighted by class and smoothed.

torch spreads the smoothed share of a target over the classes in proportion to their weights, so that a rare class gets
more of it; where classes are balanced, or not weighted, each gets the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn


def class_weights(targets: Tensor, classes: int) -> Tensor:
    """PEFT-SER's: clips / (classes × clips of the class), 1 where classes are balanced; 0 for a class without clips.

    `targets` (clips,) are class indices.
    """
    counts = torch.bincount(targets, minlength=classes).double()
    return (len(targets) / (classes * counts.clamp(min=1)) * (counts > 0)).float()


@dataclass(frozen=True)
class Loss:
    """Mean over a batch, weighted by class: Σ wᵢ lᵢ / Σ wᵢ."""

    function: nn.CrossEntropyLoss
    weights: tuple[float, ...]
    """Each class's."""

    @classmethod
    def fitted(cls, targets: Tensor, classes: int, *, weighted: bool, smoothing: float) -> Loss:
        """The loss for training clips of these classes (clips,)."""
        weights = class_weights(targets, classes) if weighted else None
        function = nn.CrossEntropyLoss(weight=weights, label_smoothing=smoothing)
        return cls(function, (1.0,) * classes if weights is None else tuple(weights.tolist()))

    def to(self, device: torch.device) -> Loss:
        """The loss for logits on this device."""
        return replace(self, function=self.function.to(device))

    def per_clip(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Logits (clips, classes) and classes (clips,) → wᵢ lᵢ (clips,), smoothed.

        Divided by the Σ wᵢ of a batch and summed, they are its loss.
        """
        function = self.function
        return nn.functional.cross_entropy(
            logits, targets, function.weight, reduction="none", label_smoothing=function.label_smoothing
        )

    def of_probabilities(self, probabilities: np.ndarray, targets: Tensor) -> float:
        """The same of probabilities (clips, classes) and classes (clips,) on the CPU."""
        logits = torch.from_numpy(np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))).float()
        weight = None if self.function.weight is None else self.function.weight.cpu()
        smoothing = self.function.label_smoothing
        return float(nn.functional.cross_entropy(logits, targets, weight, label_smoothing=smoothing))
