"""`paper`: PEFT-SER's downstream model (Feng & Narayanan 2023), to which the paper refers (III-A)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from affetto.models.heads.head import Head, Shape

if TYPE_CHECKING:
    from torch import nn


def build(shape: Shape) -> nn.Module:
    from torch import nn

    from affetto.models.dropout import Dropout
    from affetto.models.head_layers import FrameHead

    hidden = shape.hidden
    first = (nn.Linear(shape.width, hidden), nn.ReLU(), Dropout(shape.dropout))
    second = (nn.Linear(hidden, hidden), nn.ReLU(), Dropout(shape.dropout))
    per_frame = nn.Sequential(*first, *second, nn.Linear(hidden, hidden))
    per_clip = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, shape.classes))
    return FrameHead(per_frame, per_clip, shape.unmasked_mean)


PAPER = Head(
    name="paper",
    title="Three layers on frames, mean, two layers",
    build=build,
    stackable=True,
    frame_products=lambda width, hidden: width * hidden + 2 * hidden * hidden,
)
