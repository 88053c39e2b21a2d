"""Trainable keys and values in the attention of every family, against a softmax written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from affetto.backbones.attention import AttentionPrefix
from affetto.backbones.checkpoints import load_backbone
from models.systems import FAMILIES

MASK = torch.arange(9)[None, :] < torch.tensor([9, 6])[:, None]


def written_out(prefix: AttentionPrefix, query: Tensor, key: Tensor, value: Tensor, **more: Any) -> Tensor:
    """Softmax over the prefix's keys and the clip's own, by matrix products."""
    mask, scale = more["attn_mask"], more.get("scale") or query.shape[-1] ** -0.5
    logits = scale * query @ key.transpose(-1, -2)
    if mask is not None:
        logits = logits.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else logits + mask
    in_front = scale * query @ prefix.keys.transpose(-1, -2)
    weights = torch.softmax(torch.cat([in_front, logits], dim=-1), dim=-1)
    return weights[..., : prefix.length] @ prefix.values + weights[..., prefix.length :] @ value


@torch.no_grad()
@pytest.mark.parametrize("key", FAMILIES)
@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "padded"])
def test_every_frame_sees_the_prefix_and_its_own_clip(key: str, mask: Tensor | None) -> None:
    backbone = load_backbone(key, random_weights=True)
    architecture, block = backbone.architecture(), backbone.blocks[1]
    prefix = AttentionPrefix(4, 3, backbone.width // 4)
    for parameter in prefix.parameters():
        nn.init.normal_(parameter)
    hidden, context = torch.randn(2, 9, backbone.width), backbone.context(mask, 9)
    bare = backbone.block(1, hidden, context)
    backbone.replace_attend(block, lambda *states, **more: written_out(prefix, *states, **more))
    expected = backbone.block(1, hidden, context)
    backbone.replace_attend(block, prefix)
    out = backbone.block(1, hidden, context)
    assert (out - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert (out - bare).abs().max() > 1e-3 * bare.abs().max()
    assert backbone.architecture() == architecture, "stored states of the blocks below keep their place"
    if mask is not None:
        alone = backbone.block(1, hidden[1:, :6], backbone.context(None, 6))
        assert (out[1:, :6] - alone).abs().max() <= 1e-5 * alone.abs().max()
    untouched = backbone.block(0, hidden, context)
    assert torch.equal(untouched, load_backbone(key, random_weights=True).block(0, hidden, context))


def test_a_prefix_of_a_clip_s_own_keys_by_hand() -> None:
    """One head of width 1: the logits are 0 for both keys of the prefix and 0, log 2 for the clip's."""
    prefix = AttentionPrefix(1, 2, 1)
    nn.init.zeros_(prefix.keys)
    nn.init.constant_(prefix.values, 10.0)
    query, key = torch.ones(1, 1, 1, 1), torch.log(torch.tensor([[[[1.0], [2.0]]]]))
    value = torch.tensor([[[[5.0], [0.0]]]])
    # Weights 1, 1 | 1, 2 of 5: (10 + 10 + 5 + 0) / 5.
    assert prefix(query, key, value).item() == pytest.approx(5.0)
    seen = torch.tensor([[[[True, False]]]])
    assert prefix(query, key, value, attn_mask=seen).item() == pytest.approx(25 / 3)
