"""`linear`: the shape of transformers' own `…ForSequenceClassification`: projection, mean, classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from affetto.models.heads.head import Head, Shape

if TYPE_CHECKING:
    from torch import nn


def build(shape: Shape) -> nn.Module:
    from torch import nn

    from affetto.models.head_layers import FrameHead

    per_frame = nn.Linear(shape.width, shape.hidden)
    return FrameHead(per_frame, nn.Linear(shape.hidden, shape.classes), shape.unmasked_mean)


LINEAR = Head(
    name="linear",
    title="Projection of frames, mean, linear layer",
    build=build,
    has_dropout=False,
    is_stock=True,
    stackable=True,
)
