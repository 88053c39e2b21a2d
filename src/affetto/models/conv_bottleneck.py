"""The bottleneck of the convolutional Adapter."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from affetto.models.dropout import Dropout


class ConvBottleneck(nn.Module):
    """(batch, frames, width) → the same: scale · up(dropout(relu(convolve(down x)))), zero at the start.

    The convolution runs over time, each channel for itself, over an odd number of frames. At the start it is the
    identity, so that the module begins as the plain bottleneck.
    """

    def __init__(self, width: int, bottleneck: int, kernel: int, dropout: float, scale: float) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)
        self.convolve = nn.Conv1d(bottleneck, bottleneck, kernel, padding=kernel // 2, groups=bottleneck)
        self.dropout, self.scale = Dropout(dropout), scale
        for parameter in (self.up.weight, self.up.bias, self.convolve.weight, self.convolve.bias):
            assert parameter is not None
            nn.init.zeros_(parameter)
        with torch.no_grad():
            self.convolve.weight[:, :, kernel // 2] = 1.0

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """`mask` (batch, frames) is True where a frame is the clip's own; None where nothing is padded."""
        low = self.down(hidden)
        if mask is not None:
            # As beyond the end of an unpadded clip: the frames before it must not see what lies in the padding.
            low = low.masked_fill(~mask[:, :, None], 0.0)
        convolved = self.convolve(low.transpose(1, 2)).transpose(1, 2)
        raised = self.up(self.dropout(torch.relu(convolved)))
        return raised if self.scale == 1.0 else self.scale * raised
