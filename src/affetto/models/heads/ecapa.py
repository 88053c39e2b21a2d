"""`ecapa`: attention of each channel, which sees the statistics of the clip (Desplanques et al. 2020, ECAPA-TDNN).

The pooling of that network alone, without its convolutions: the encoder below has seen the context of each frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from affetto.models.heads.head import Head, Shape

if TYPE_CHECKING:
    from torch import nn


def build(shape: Shape) -> nn.Module:
    from torch import nn

    from affetto.models.dropout import Dropout
    from affetto.models.head_layers import ContextHead

    hidden = shape.hidden
    per_frame = nn.Sequential(nn.Linear(shape.width, hidden), nn.ReLU(), Dropout(shape.dropout))
    # A bias of the last layer would shift all scores of a channel alike, which a softmax over time does not notice.
    attention = nn.Sequential(nn.Linear(3 * hidden, hidden), nn.Tanh(), nn.Linear(hidden, hidden, bias=False))
    return ContextHead(per_frame, attention, nn.Linear(2 * hidden, shape.classes), shape.unmasked_mean)


ECAPA = Head(
    name="ecapa",
    title="One layer on frames, attentive mean and deviation by channel, one layer",
    build=build,
    stackable=True,
    frame_products=lambda width, hidden: width * hidden + 4 * hidden * hidden,
)
