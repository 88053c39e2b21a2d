"""Linear CKA: by hand, and what it must not see."""

from __future__ import annotations

import pytest
import torch

from affetto.backbones.checkpoints import load_backbone
from affetto.specialize.moved import Cka, moved
from models.systems import clips


def cka(x: torch.Tensor, y: torch.Tensor, parts: int = 1) -> float:
    one = Cka()
    for a, b in zip(x.chunk(parts), y.chunk(parts), strict=True):
        one.add(a, b)
    return one.value()


def test_by_hand() -> None:
    # Centred: x = (-1, 0, 1), y = (1, -2, 1): xᵀy = 0. With y = (-1, -1, 2): xᵀy = 3, xᵀx = 2, yᵀy = 6: 9 / 12.
    x = torch.tensor([[0.0], [1.0], [2.0]])
    assert cka(x, torch.tensor([[3.0], [0.0], [3.0]])) == pytest.approx(0.0)
    assert cka(x, torch.tensor([[1.0], [1.0], [4.0]])) == pytest.approx(0.75)


def test_rotation_scale_shift_and_parts_do_not_matter() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(300, 5, generator=random)
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=random))[0]
    assert cka(x, 3 * x @ rotation + 7) == pytest.approx(1.0)
    y = torch.randn(300, 4, generator=random)
    assert cka(x, y) < 0.1
    assert cka(x, y, parts=3) == pytest.approx(cka(x, y))


def test_a_backbone_has_not_moved_from_itself_and_has_above_a_changed_block() -> None:
    parent, child = (load_backbone("wav2vec2-mini", random_weights=True) for _ in range(2))
    waves = clips(0.6, 0.9)
    assert moved(parent, child, waves) == pytest.approx([1.0] * 4)
    with torch.no_grad():
        for p in child.blocks[1].parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
    found = moved(parent, child, waves)
    assert found[:2] == pytest.approx([1.0, 1.0]) and max(found[2:]) < 0.99
