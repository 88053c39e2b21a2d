"""wav2vec 2.0 (post- and pre-LayerNorm, the latter XLSR's), HuBERT and WavLM.

The convolutional front end runs on each clip alone, unpadded: the group-norm of the base models
normalises over time, so padding would change every frame, masked or not.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from affetto.models.attention import attend_function, replace_attend
from affetto.models.backbone import Backbone, Context

WAVE_VARIANCE_FLOOR = 1e-7
"""transformers' own, in `Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm`."""


class Wav2Vec2Backbone(Backbone):
    """wav2vec 2.0 and HuBERT: raw wave → CNN (20 ms a frame) → projection → convolutional positions → blocks."""

    family = "wav2vec2"
    lora_targets = {
        "ff": ("intermediate_dense", "output_dense"),
        "attention": ("q_proj", "k_proj", "v_proj", "out_proj"),
        "all": ("q_proj", "k_proj", "v_proj", "out_proj", "intermediate_dense", "output_dense"),
    }

    def __init__(self, model: Any, preprocessing: dict[str, Any]) -> None:
        super().__init__(model, preprocessing)
        # In training mode transformers marks the wave itself as needing a gradient; eval mode is kept, this makes sure.
        model.feature_extractor._freeze_parameters()

    @property
    def blocks(self) -> nn.ModuleList:
        return self.model.encoder.layers

    @property
    def block_prefix(self) -> str:
        return "encoder.layers"

    @property
    def pre_norm(self) -> bool:
        """Of the encoder around the blocks."""
        return bool(self.model.config.do_stable_layer_norm)

    def prepare(self, wave: np.ndarray) -> Tensor:
        return self.normalise(torch.from_numpy(np.ascontiguousarray(wave, dtype=np.float32)))

    def normalise(self, samples: Tensor) -> Tensor:
        """(…, samples) → each clip with mean 0 and variance 1, where the checkpoint wants it so."""
        if not self.preprocessing["normalize"]:
            return samples
        mean, variance = samples.mean(-1, keepdim=True), samples.var(-1, unbiased=False, keepdim=True)
        return (samples - mean) / torch.sqrt(variance + WAVE_VARIANCE_FLOOR)

    def features(self, prepared: Tensor) -> Tensor:
        with torch.no_grad():
            convolved = self.model.feature_extractor(prepared[None].to(self.device, self.dtype))
        return convolved[0].transpose(0, 1)

    def from_waves(self, waves: Tensor) -> Tensor:
        return self.model.feature_extractor(self.normalise(waves)).transpose(1, 2)

    def embed(self, features: Tensor, mask: Tensor | None) -> Tensor:
        projected = self.model.feature_projection(features)
        hidden = (projected[0] if isinstance(projected, tuple) else projected).float()
        if mask is not None:
            # The positional convolution reaches over the clip's end: what lies there must be zero, as it is unpadded.
            hidden = hidden.masked_fill(~mask[:, :, None], 0.0)
        encoder = self.model.encoder
        hidden = hidden + self.positions(hidden, mask)
        return hidden if self.pre_norm else encoder.layer_norm(hidden)

    def positions(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """The positional convolution, both (batch, frames, width); `hidden` is zero where `mask` is False."""
        return self.model.encoder.pos_conv_embed(hidden)

    def finish(self, hidden: Tensor) -> Tensor:
        norm = self.final_norm()
        return hidden if norm is None else norm(hidden)

    def feed_forward(self, block: Any) -> tuple[nn.Module, nn.Module]:
        return block.feed_forward, block.feed_forward

    @property
    def pre_norm_blocks(self) -> bool:
        """True if the blocks normalise what enters attention and feed-forward, not the stream behind them."""
        return self.pre_norm and self.layer_norm_swap == "none"

    def feed_forward_norm(self, block: Any) -> nn.Module:
        # A post-LayerNorm block normalises the stream itself, behind the attention.
        return block.final_layer_norm if self.pre_norm_blocks else block.layer_norm

    def closing_norm(self, block: Any) -> nn.Module | None:
        return None if self.pre_norm_blocks else block.final_layer_norm

    def attention(self, block: Any) -> nn.Module:
        return block.attention

    def attention_output(self, block: Any) -> nn.Module:
        return block.attention.out_proj

    def activation(self, block: Any) -> tuple[nn.Module, str, nn.Module]:
        return block.feed_forward, "intermediate_act_fn", block.feed_forward.output_dense

    def final_norm(self) -> nn.Module | None:
        return self.model.encoder.layer_norm if self.pre_norm else None

    def embedding_modules(self) -> list[nn.Module]:
        encoder = self.model.encoder
        modules = [self.model.feature_projection, encoder.pos_conv_embed]
        return modules if self.pre_norm else [*modules, encoder.layer_norm]


class HubertBackbone(Wav2Vec2Backbone):
    family = "hubert"

    def positions(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        embed = self.model.encoder.pos_conv_embed
        if mask is None or embed.batch_norm is None:
            return embed(hidden)
        # mHuBERT's batch-norm makes something of the zeros beyond a clip's end, before the convolution: clip by clip.
        out = torch.zeros_like(hidden)
        for row, frames in enumerate(mask.sum(1).tolist()):
            out[row, :frames] = embed(hidden[row : row + 1, :frames])[0]
        return out


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
