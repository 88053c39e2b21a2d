"""`short`: one hidden layer on frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from affetto.models.heads.head import Head, Shape

if TYPE_CHECKING:
    from torch import nn


def build(shape: Shape) -> nn.Module:
    from torch import nn

    from affetto.models.dropout import Dropout
    from affetto.models.head_layers import FrameHead

    per_frame = nn.Sequential(nn.Linear(shape.width, shape.hidden), nn.ReLU(), Dropout(shape.dropout))
    return FrameHead(per_frame, nn.Linear(shape.hidden, shape.classes), shape.unmasked_mean)


SHORT = Head(name="short", title="One layer on frames, mean, one layer", build=build, stackable=True)
