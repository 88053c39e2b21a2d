"""WavLM's attention, whose projections are called as modules here: the stock class's numbers and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from affetto.backbones.checkpoints import load_backbone

KEY = "wavlm-mini"
FRAMES = torch.tensor([11, 7])
"""Frames of the clips of a batch, where it is padded."""


def stock_layer(index: int) -> Any:
    """transformers' own attention of a block, with the weights of the backbone's."""
    model: Any = load_backbone(KEY, random_weights=True).model
    stock = type(model)(model.config)
    stock.load_state_dict(model.state_dict())
    return stock.encoder.layers[index].attention


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("index", [0, 2])
def test_states_and_gradients_are_those_of_the_stock_class(index: int, padded: bool, training: bool) -> None:
    backbone = load_backbone(KEY, random_weights=True)
    layer: Any = backbone.blocks[index]
    ours, stock = layer.attention.requires_grad_(True).train(training), stock_layer(index).train(training)
    ours.dropout = stock.dropout = 0.0  # random numbers of two implementations
    torch.manual_seed(0)
    hidden = torch.randn(2, 11, backbone.width)
    mask = torch.arange(11)[None, :] < FRAMES[:, None] if padded else None
    context = backbone.context(mask, 11)
    assert context.position_bias is not None
    bias = context.position_bias.detach()
    first, _, _ = ours(hidden, attention_mask=context.mask, position_bias=bias)
    second, _, _ = stock(hidden, attention_mask=mask, position_bias=bias.repeat(2, 1, 1))
    valid = torch.ones(2, 11, dtype=torch.bool) if mask is None else mask
    assert (first - second)[valid].abs().max() <= 1e-5 * second[valid].abs().max()
    weights = torch.randn_like(first)
    for out in (first, second):
        (out * weights)[valid].sum().backward()
    grads = {name: parameter.grad for name, parameter in stock.named_parameters()}
    for name, parameter in ours.named_parameters():
        if name == "rel_attn_embed.weight":  # the bias comes from outside here
            continue
        assert parameter.grad is not None and grads[name] is not None, name
        assert (parameter.grad - grads[name]).abs().max() <= 1e-4 * grads[name].abs().max() + 1e-5, name


@torch.no_grad()
def test_the_bias_is_that_of_the_stock_class_at_any_distance() -> None:
    backbone: Any = load_backbone(KEY, random_weights=True)
    first = backbone.blocks[0].attention
    for frames in (1, 9, first.max_distance + 5):
        expected = first.compute_bias(frames, frames)
        assert torch.equal(backbone.position_bias(frames), expected)
