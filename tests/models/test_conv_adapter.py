"""The convolutional Adapter's bottleneck by hand."""

from __future__ import annotations

import torch
from torch import nn

from affetto.models.bottleneck import Bottleneck
from affetto.models.conv_bottleneck import ConvBottleneck


@torch.no_grad()
def test_a_frame_sees_its_neighbours_and_no_padding() -> None:
    made = ConvBottleneck(1, 1, kernel=3, dropout=0.0, scale=2.0).eval()
    for parameter, value in zip(
        made.parameters(), ([[1.0]], [1.0], [[1.0]], [0.5], [[[1.0, 0, 1]]], [-1.0]), strict=True
    ):
        parameter.copy_(torch.tensor(value))
    hidden = torch.tensor([[[1.0], [3.0], [0.0], [9.0]]])
    # down: 2, 4, 1, 10; sums of neighbours − 1: 3, 2, 13, 0; ReLU; up: + 0.5; scaled.
    assert made(hidden, None).flatten().tolist() == [7.0, 5.0, 27.0, 1.0]
    mask = torch.tensor([[True, True, True, False]])
    # The last frame is 0 to its neighbour: 3, 2, 3.
    assert made(hidden, mask).flatten().tolist()[:3] == [7.0, 5.0, 7.0]
    assert made(hidden[:, :3], None).flatten().tolist() == [7.0, 5.0, 7.0]


@torch.no_grad()
def test_it_begins_as_the_plain_bottleneck_and_adds_nothing() -> None:
    made, plain = ConvBottleneck(6, 4, kernel=5, dropout=0.0, scale=1.0), Bottleneck(6, 4, 0.0, 1.0)
    hidden = torch.randn(2, 9, 6)
    assert not made(hidden, None).any()
    nn.init.normal_(made.up.weight)
    for mine, other in ((plain.down, made.down), (plain.up, made.up)):
        mine.load_state_dict(other.state_dict())
    assert torch.allclose(made(hidden, None), plain(hidden), atol=1e-6)
