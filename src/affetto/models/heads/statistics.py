"""`statistics`: a linear layer on a clip's mean and standard deviation over time, as the probe has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from affetto.models.heads.head import Head, Shape

if TYPE_CHECKING:
    from torch import nn


def build(shape: Shape) -> nn.Module:
    from affetto.models.head_layers import StatisticsHead

    return StatisticsHead(shape.width, shape.classes, shape.dropout)


STATISTICS = Head(
    name="statistics",
    title="Mean and deviation over time, linear layer",
    build=build,
    takes_frames=False,
    has_hidden=False,
    stackable=True,
    frame_products=lambda width, hidden: 0,
)
