"""Distance that each layer's states moved from parent to child: linear CKA (Kornblith et al. 2019) on the same clips.

1 means equal up to rotation and scale; frames of all clips are the examples. It compares the content of the layers,
not their quality: a low value is no harm by itself.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from affetto.backbones.backbone import Backbone

CLIPS = 24
"""Number of clips that are compared: some thousand frames."""


class Cka:
    """Similarity of two representations of the same examples, added up in parts; only sums are stored."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: dict[str, Tensor] = {}

    def add(self, first: Tensor, second: Tensor) -> None:
        """(examples, width) each; the widths may differ."""
        x, y = first.double(), second.double()
        parts = {"x": x.sum(0), "y": y.sum(0), "xx": x.T @ x, "yy": y.T @ y, "yx": y.T @ x}
        self.sums = {name: self.sums.get(name, 0) + part for name, part in parts.items()}
        self.count += len(x)

    def value(self) -> float:
        """‖Yᵀ X‖² / (‖Xᵀ X‖ ‖Yᵀ Y‖), of the centred examples."""
        s, n = self.sums, self.count

        def norm(a: str, b: str, cross: str) -> float:
            return float((s[cross] - torch.outer(s[a], s[b]) / n).norm())

        return norm("y", "x", "yx") ** 2 / (norm("x", "x", "xx") * norm("y", "y", "yy"))


@torch.no_grad()
def states(backbone: Backbone, wave: np.ndarray) -> list[Tensor]:
    """The L+1 hidden states of one clip, each (frames, width)."""
    hidden = backbone.embed(backbone.features(backbone.prepare(wave))[None], None)
    layers, context = [hidden[0]], backbone.context(None, hidden.shape[1])
    for index in range(backbone.depth):
        hidden = backbone.block(index, hidden, context)
        layers.append(backbone.finish(hidden)[0] if index + 1 == backbone.depth else hidden[0])
    return layers


def moved(parent: Backbone, child: Backbone, waves: Iterable[np.ndarray]) -> list[float]:
    """Linear CKA of each state, 0 … L, over the frames of the clips."""
    similarities = [Cka() for _ in range(parent.depth + 1)]
    for wave in waves:
        for similarity, before, after in zip(similarities, states(parent, wave), states(child, wave), strict=True):
            similarity.add(before, after)
    return [round(similarity.value(), 6) for similarity in similarities]
