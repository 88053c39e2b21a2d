"""A head of a third party in one file: the maximum over time of a projection of the frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from affetto.models.heads.head import Head, Shape


class PeakHead(nn.Module):
    """Frames (batch, frames, width), mask (batch, frames) or None → (batch, classes)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.project, self.classify = nn.Linear(shape.width, shape.hidden), nn.Linear(shape.hidden, shape.classes)

    def forward(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        rows = self.project(frames).float()
        if mask is not None:
            rows = rows.masked_fill(~mask[:, :, None], torch.finfo(rows.dtype).min)
        out: Tensor = self.classify(rows.amax(1))
        return out


PEAK = Head(name="peak", title="Maximum over time, linear layer", build=PeakHead, has_dropout=False)
