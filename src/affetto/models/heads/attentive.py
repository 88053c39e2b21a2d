"""`attentive`: attentive statistics pooling (Okabe et al. 2018).

A learned weight for each frame, then the weighted mean and deviation over the frames of the clip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from affetto.models.heads.head import Head, Shape

if TYPE_CHECKING:
    from torch import nn


def build(shape: Shape) -> nn.Module:
    from torch import nn

    from affetto.models.dropout import Dropout
    from affetto.models.head_layers import AttentiveHead

    hidden = shape.hidden
    per_frame = nn.Sequential(nn.Linear(shape.width, hidden), nn.ReLU(), Dropout(shape.dropout))
    # A bias of the last layer would shift all scores of a clip alike, which a softmax does not notice.
    attention = nn.Sequential(nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1, bias=False))
    return AttentiveHead(per_frame, attention, nn.Linear(2 * hidden, shape.classes), shape.unmasked_mean)


ATTENTIVE = Head(
    name="attentive",
    title="One layer on frames, attentive mean and deviation, one layer",
    build=build,
    stackable=True,
    frame_products=lambda width, hidden: width * hidden + hidden * hidden + hidden,
)
