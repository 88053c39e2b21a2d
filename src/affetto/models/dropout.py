"""Dropout with cheap randomness on the CPU, where torch's own takes longer than the layers around it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from affetto.models.device import capabilities

STEPS = 1 << 16


class Dropout(nn.Module):
    """Zeroes each element with probability `p` in training and scales the rest, as `torch.nn.Dropout` does."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p in (0, 1) or not capabilities(x.device).slow_random:
            return nn.functional.dropout(x, self.p, self.training)
        mask, scale = keep(x, self.p)
        return x * mask.to(x.dtype).mul_(scale)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def keep(x: Tensor, p: float, generator: torch.Generator | None = None) -> tuple[Tensor, float]:
    """Mask of the elements of `x` that stay (bool, of its shape), each with probability 1 - p, and their factor.

    Drawn by `generator`, of the device of `x`; None: torch's own.

    On the CPU 16 random bits decide on an element, four elements to a draw: `p` is then the nearest multiple of
    1/65,536 below 1, and so is the factor, which leaves the expectation exact.
    """
    if not capabilities(x.device).slow_random:
        mask = torch.empty(x.shape, dtype=torch.bool, device=x.device)
        return mask.bernoulli_(1 - p, generator=generator), 1 / (1 - p)
    dropped = min(round(p * STEPS), STEPS - 1)
    draws = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(1 << 63), None, generator=generator)
    mask = draws.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - STEPS // 2
    return mask, STEPS / (STEPS - dropped)
