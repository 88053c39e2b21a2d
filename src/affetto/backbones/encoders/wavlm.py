"""WavLM: wav2vec 2.0 with a gated relative position bias in every attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from affetto.backbones.attention import additive, attend_function, project
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
        self.attend_by(_gated_attention)

    def context(self, mask: Tensor | None, frames: int) -> Context:
        bias = self.position_bias(frames)
        # In float32 as the bias, which it is added to.
        return Context(None if mask is None else additive(mask[:, None, None, :], torch.float32), bias)

    def position_bias(self, frames: int) -> Tensor:
        """The bias before its gate, (heads, frames, frames).

        As transformers' `compute_bias`, whose older versions make the distances on the CPU in every step.
        """
        # The first block holds the bias's table for all (full fine-tuning trains it).
        first: Any = self.attention(self.blocks[0])
        times = torch.arange(frames, device=first.rel_attn_embed.weight.device)
        bias: Tensor = first.rel_attn_embed(first._relative_positions_bucket(times[None, :] - times[:, None]))
        return bias.permute(2, 0, 1)

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

    `position_bias` is (heads, frames, frames), `attention_mask` (batch, 1, 1, frames), added or True where valid.
    The stock encoder, which specialisation trains in, gives no bias to the first block and a mask (batch, frames).
    """
    batch, frames, width = hidden_states.shape
    if position_bias is None:
        position_bias = self.compute_bias(frames, frames)
    if attention_mask is not None and attention_mask.dim() == 2:
        attention_mask = attention_mask[:, None, None, :].bool()
    if attention_mask is not None and attention_mask.dtype == torch.bool:
        attention_mask = additive(attention_mask, torch.float32)
    query, key, value, hidden = project(self, hidden_states)
    by_head = hidden.view(batch, frames, self.num_heads, self.head_dim)
    gates = self.gru_rel_pos_linear(by_head).view(batch, frames, self.num_heads, 2, 4).sum(-1)
    gate_a, gate_b = torch.sigmoid(gates).transpose(1, 2).chunk(2, dim=-1)
    gate = gate_a * (gate_b * self.gru_rel_pos_const - 1.0) + 2.0  # (batch, heads, frames, 1)
    bias = gate * position_bias if attention_mask is None else torch.addcmul(attention_mask, gate, position_bias)
    dropout = self.dropout if self.training else 0.0
    mixed = attend_function(self)(query, key, value, attn_mask=bias.to(query.dtype), dropout_p=dropout)
    return self.out_proj(mixed.transpose(1, 2).reshape(batch, frames, width)), None, position_bias
