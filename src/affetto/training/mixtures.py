"""Mixup: in each step a training clip is mixed with a partner, in the statistics of its state and in the loss.

Zhang et al. 2018. A loss that is a sum over clips is linear in a truth of shares: that of a mixture is the sum of both
clips' losses, each by its share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from affetto.training.augment import chance


@dataclass(frozen=True)
class Partner:
    """Clip that another clip is mixed with in an epoch."""

    clip: str
    share: float
    """Share of the clip itself in the mixture, 1/2 to 1; the rest is the partner's."""


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Partners of the clips of a batch."""

    statistics: Tensor
    """(clips, 2 width), each corpus moved by its map (`CorpusScales`)."""
    targets: Tensor
    """Truth of the partners, (clips, …)."""
    weights: Tensor
    """Factor of each partner's loss in that of the step, (clips,)."""
    shares: Tensor
    """Share of the clip itself in each mixture, (clips, 1)."""

    def of(self, statistics: Tensor) -> Tensor:
        """Statistics of the batch (clips, 2 width), mixed with those of the partners."""
        return self.statistics.lerp(statistics, self.shares)


def draw_partners(clips: Sequence[str], seed: int, epoch: int, *, alpha: float) -> dict[str, Partner]:
    """Partner of each clip of an epoch, among all of its clips; {} where `alpha` is 0.

    The share is drawn from Beta(α, α), of the two parts the larger. Each draw is a pure function of seed, epoch, clip
    and the clips of the epoch.
    """
    partners: dict[str, Partner] = {}
    for clip in dict.fromkeys(clips) if alpha > 0 else ():
        random = chance(seed, epoch, f"{clip} mixup")
        share = float(random.beta(alpha, alpha))
        partners[clip] = Partner(clips[int(random.integers(len(clips)))], max(share, 1 - share))
    return partners
