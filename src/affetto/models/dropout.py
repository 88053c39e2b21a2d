"""Dropout with cheap randomness on the CPU, where torch's own takes longer than the layers around it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

STEPS = 1 << 16


class Dropout(nn.Module):
    """Zeroes each element with probability `p` in training and scales the rest, as `torch.nn.Dropout` does.

    On the CPU an element is dropped by 16 random bits, four of them from one draw: `p` is then the nearest multiple
    of 1/65,536, and so is the scale, which leaves the expectation exact.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        dropped = round(self.p * STEPS)
        if not self.training or dropped in (0, STEPS) or x.device.type != "cpu":
            return nn.functional.dropout(x, self.p, self.training)
        draws = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(1 << 63), None)
        keep = draws.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - STEPS // 2
        return x * keep.to(x.dtype).mul_(STEPS / (STEPS - dropped))

    def extra_repr(self) -> str:
        return f"p={self.p}"
