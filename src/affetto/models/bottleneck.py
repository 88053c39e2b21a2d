"""The bottleneck of Adapters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from affetto.backbones.casts import lowered
from affetto.models.dropout import Dropout


class Bottleneck(nn.Module):
    """(…, width) → (…, width): scale · up(dropout(relu(down x))), zero at the start."""

    def __init__(self, width: int, bottleneck: int, dropout: float, scale: float) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)
        self.dropout, self.scale = Dropout(dropout), scale
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        low = torch.relu(_linear(self.down, hidden))
        raised = _linear(self.up, self.dropout(low))
        return raised if self.scale == 1.0 else self.scale * raised


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    weight, bias = lowered(layer.weight), lowered(layer.bias)
    return layer(x) if weight is layer.weight else nn.functional.linear(x, weight, bias)
