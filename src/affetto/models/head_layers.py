"""Layers that heads are built of: one sequence of frames → logits, averages over the clip's own frames only."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from affetto.models.device import autocast
from affetto.models.dropout import Dropout


def masked_mean(frames: Tensor, mask: Tensor | None) -> Tensor:
    """(batch, frames, width), mask (batch, frames) or None → (batch, width)."""
    if mask is None:
        return frames.mean(1)
    weights = mask[:, :, None].to(frames.dtype)
    return (frames * weights).sum(1) / weights.sum(1)


def masked_statistics(frames: Tensor, mask: Tensor | None) -> Tensor:
    """(batch, frames, width) → (batch, 2 width): mean and standard deviation over time."""
    mean = masked_mean(frames, mask)
    deviation = (frames - mean[:, None, :]) ** 2
    return torch.cat([mean, torch.sqrt(masked_mean(deviation, mask) + 1e-8)], dim=1)


class FrameHead(nn.Module):
    """Layers on every frame, the mean over time, layers on the mean.

    `unmasked_mean` averages over padding too: a defect of other codes, kept as an ablation only.
    """

    def __init__(self, per_frame: nn.Module, per_clip: nn.Module, unmasked_mean: bool = False) -> None:
        super().__init__()
        self.per_frame, self.per_clip, self.unmasked_mean = per_frame, per_clip, unmasked_mean

    def forward(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        # Under autocast the layers on frames compute in bfloat16; the mean over time and what follows never do.
        rows = self.per_frame(frames).float()
        with autocast(rows.device, enabled=False):
            return self.per_clip(masked_mean(rows, None if self.unmasked_mean else mask))


def attentive_statistics(frames: Tensor, scores: Tensor, mask: Tensor | None) -> Tensor:
    """Frames (batch, frames, width), scores (batch, frames, 1 or width) → (batch, 2 width): weighted statistics.

    Weights are the softmax of the scores over the frames of the clip; padding has the weight 0.
    """
    if mask is not None:
        scores = scores.masked_fill(mask[:, :, None] == 0, float("-inf"))
    weights = torch.softmax(scores, dim=1)
    mean = (weights * frames).sum(1)
    variance = (weights * (frames - mean[:, None, :]) ** 2).sum(1)
    return torch.cat([mean, torch.sqrt(variance + 1e-8)], dim=1)


class AttentiveHead(nn.Module):
    """Layers on every frame, a learned weight for each, a layer on the weighted mean and deviation over time.

    `unmasked_mean` weighs padding too, as in `FrameHead`.
    """

    def __init__(self, per_frame: nn.Module, attention: nn.Module, out: nn.Module, unmasked_mean: bool = False) -> None:
        super().__init__()
        self.per_frame, self.attention, self.out, self.unmasked_mean = per_frame, attention, out, unmasked_mean

    def forward(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        # As in `FrameHead`: bfloat16 ends with the layers on frames. Scores enter an exponential.
        rows = self.per_frame(frames).float()
        with autocast(rows.device, enabled=False):
            mask = None if self.unmasked_mean else mask
            return self.out(attentive_statistics(rows, self.scores(rows, mask), mask))

    def scores(self, rows: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, hidden) → (batch, frames, 1 or hidden): logits of the weights of frames."""
        return self.attention(rows)


class ContextHead(AttentiveHead):
    """Attention that sees, beside each frame, the plain mean and deviation of the clip's own frames."""

    def scores(self, rows: Tensor, mask: Tensor | None) -> Tensor:
        context = masked_statistics(rows, mask)[:, None, :].expand(-1, rows.shape[1], -1)
        return self.attention(torch.cat([rows, context], dim=2))


class StatisticsHead(nn.Module):
    """Mean and standard deviation over time, standardised by the training clips, then a linear layer.

    `standardise` must be called with the training clips' statistics before the first step; the
    constants are saved with the head.
    """

    centre: Tensor
    scale: Tensor
    dropout_samples: int
    """Draws of dropout in training, each of which gives logits of its own (Inoue 2019)."""

    def __init__(self, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(2 * width))
        self.register_buffer("scale", torch.ones(2 * width))
        self.dropout = Dropout(dropout)
        self.dropout_samples = 1
        self.out = nn.Linear(2 * width, classes)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def standardise(self, statistics: Tensor) -> None:
        """Fit the constants on (clips, 2 width)."""
        centre, scale = self.constants(statistics)
        self.centre.copy_(centre)
        self.scale.copy_(scale)

    @staticmethod
    def constants(statistics: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation (2 width,) of (clips, 2 width); a feature that never varies is left unscaled."""
        deviation = statistics.std(0, unbiased=False)
        return statistics.mean(0), torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation))

    @torch.no_grad()
    def shifted(self, statistics: Tensor, centre_share: float, scale_share: float) -> StatisticsHead:
        """A copy whose constants are nearer to those of these clips, (clips, 2 width), two or more for the scale.

        Of the mean the clips count `centre_share` and the training clips the rest; of the variance, about the clips'
        own mean and over clips - 1, `scale_share`.
        """
        head = copy.deepcopy(self)
        head.centre.lerp_(statistics.mean(0), centre_share)
        if scale_share > 0.0:
            head.scale.copy_(self.scale.square().lerp(statistics.var(0), scale_share).sqrt())
        return head

    def forward(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        return self.classify(masked_statistics(frames, mask))

    def classify(self, statistics: Tensor) -> Tensor:
        """(batch, 2 width) → (batch, classes); in training (batch, draws · classes), the logits draw by draw."""
        return self.drawn(self.standard(statistics))

    def standard(self, statistics: Tensor) -> Tensor:
        """Statistics (batch, 2 width), standardised."""
        return (statistics - self.centre) / self.scale

    def drawn(self, standard: Tensor, out: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """As `classify`, of standardised statistics; `out` is the linear layer, the head's own by default."""
        draws = self.dropout_samples if self.training else 1
        logits = [(out or self.out)(self.dropout(standard)) for _ in range(draws)]
        return logits[0] if draws == 1 else torch.cat(logits, dim=1)
