"""WavLM: wav2vec 2.0 with a gated relative position bias in every attention."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from affetto.backbones.attention import attend_function, replace_attend
from affetto.backbones.backbone import Context
from affetto.backbones.encoders.wav2vec2 import Wav2Vec2Backbone


class WavLMBackbone(Wav2Vec2Backbone):
    """WavLM: as wav2vec 2.0, with a gated relative position bias in every attention.

    transformers' WavLM hands raw weights to one fused function, so that a LoRA on the attention's
    projections is bypassed without a word. Here the projections are called as the modules they are,
    with PyTorch's scaled dot-product attention; the outputs are those of the stock class.
    """

    family = "wavlm"

    def __init__(self, model: Any, preprocessing: dict[str, Any]) -> None:
        super().__init__(model, preprocessing)
        layers: Any = self.blocks
        for layer in layers:
            layer.attention.forward = types.MethodType(_gated_attention, layer.attention)

    def replace_attend(self, block: Any, attend: Callable[..., Tensor]) -> None:
        replace_attend(self.attention(block), attend)

    def context(self, mask: Tensor | None, frames: int) -> Context:
        # The first block holds the bias's table for all (full fine-tuning trains it).
        first: Any = self.blocks[0]
        bias = first.attention.compute_bias(frames, frames)
        return Context(None if mask is None else mask[:, None, None, :], bias)

    def block(self, index: int, hidden: Tensor, context: Context) -> Tensor:
        layer = self.blocks[index]
        out, _ = layer(hidden, attention_mask=context.mask, position_bias=context.position_bias)
        return out


def _gated_attention(
    self: Any,
    hidden_states: Tensor,
    attention_mask: Tensor | None = None,
    position_bias: Tensor | None = None,
    index: int = 0,
    **_: Any,
) -> tuple[Tensor, None, Tensor | None]:
    """WavLM's attention (Chen et al. 2022, eq. 3-6) on (batch, frames, width); returns as the stock one does.

    `position_bias` is (heads, frames, frames), `attention_mask` (batch, 1, 1, frames), True where valid. The stock
    encoder, which specialisation trains in, gives no bias to the first block and a mask (batch, frames).
    """
    batch, frames, width = hidden_states.shape
    if position_bias is None:
        position_bias = self.compute_bias(frames, frames)
    if attention_mask is not None and attention_mask.dim() == 2:
        attention_mask = attention_mask[:, None, None, :].bool()
    heads = (batch, frames, self.num_heads, self.head_dim)
    by_head = hidden_states.view(heads).transpose(1, 2)  # (batch, heads, frames, head width)
    gates = self.gru_rel_pos_linear(by_head).view(batch, self.num_heads, frames, 2, 4).sum(-1)
    gate_a, gate_b = torch.sigmoid(gates).chunk(2, dim=-1)
    gate = gate_a * (gate_b * self.gru_rel_pos_const - 1.0) + 2.0  # (batch, heads, frames, 1)
    bias = gate * position_bias
    if attention_mask is not None:
        bias = bias.masked_fill(~attention_mask, torch.finfo(bias.dtype).min)
    query, key, value = (
        projection(hidden_states).view(heads).transpose(1, 2) for projection in (self.q_proj, self.k_proj, self.v_proj)
    )
    dropout = self.dropout if self.training else 0.0
    mixed = attend_function(self)(query, key, value, attn_mask=bias.to(query.dtype), dropout_p=dropout)
    return self.out_proj(mixed.transpose(1, 2).reshape(batch, frames, width)), None, position_bias
