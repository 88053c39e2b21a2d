"""wav2vec 2.0, post-LayerNorm and pre-LayerNorm (XLSR); HuBERT and WavLM build on it.

The group normalisation of the base models' front end averages over time, so that plain padding would change every
frame, masked or not. Clips run through it alone and unpadded, or together with averages over each clip's own frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from affetto.backbones.attention import attend
from affetto.backbones.backbone import Backbone, frame_mask, pad_waves

WAVE_VARIANCE_FLOOR = 1e-7
"""transformers' own, in `Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm`."""


class Wav2Vec2Backbone(Backbone):
    """wav2vec 2.0 and HuBERT: raw wave → CNN (20 ms a frame) → projection → convolutional positions → blocks."""

    family = "wav2vec2"

    def __init__(self, model: Any, preprocessing: dict[str, Any]) -> None:
        super().__init__(model, preprocessing)
        # In training mode transformers marks the wave itself as needing a gradient; eval mode is kept, this makes sure.
        model.feature_extractor._freeze_parameters()
        self.attend_by(attend)

    @property
    def pre_norm(self) -> bool:
        """True if the encoder around the blocks is pre-LayerNorm."""
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

    def prepare_batch(self, waves: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        return pad_waves([self.prepare(wave) for wave in waves])

    def features_batch(self, prepared: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        hidden = prepared[:, None].to(self.device, self.dtype)
        with torch.no_grad():
            for layer in self.model.feature_extractor.conv_layers:
                # A convolution without padding makes its valid outputs of valid inputs alone.
                lengths = (lengths - layer.conv.kernel_size[0]) // layer.conv.stride[0] + 1
                norm = getattr(layer, "layer_norm", None)
                if isinstance(norm, nn.GroupNorm):
                    convolved = layer.conv(hidden)
                    mask = frame_mask(lengths, convolved.shape[-1], convolved.device)
                    hidden = layer.activation(group_norm(norm, convolved, mask).to(convolved.dtype))
                else:
                    hidden = layer(hidden)
            features = hidden.transpose(1, 2)
            mask = frame_mask(lengths, features.shape[1], features.device)
            return (features if mask is None else features.masked_fill(~mask[:, :, None], 0.0)), lengths

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


def group_norm(norm: nn.GroupNorm, hidden: Tensor, mask: Tensor | None) -> Tensor:
    """Group normalisation of (batch, channels, frames) over each clip's own frames.

    `mask` (batch, frames) is True where a frame is the clip's own, None where all are. Returns float32, as PyTorch's
    group normalisation does under autocast; it has no meaning where `mask` is False.
    """
    if mask is None:
        return nn.functional.group_norm(hidden, norm.num_groups, norm.weight, norm.bias, norm.eps).float()
    valid = mask[:, None, None, :]
    groups = hidden.unflatten(1, (norm.num_groups, -1)).float()  # (batch, groups, channels of a group, frames)
    count = mask.sum(1)[:, None, None, None] * groups.shape[2]
    mean = groups.masked_fill(~valid, 0.0).sum((2, 3), keepdim=True) / count
    deviation = (groups - mean).masked_fill_(~valid, 0.0)
    variance = torch.linalg.vector_norm(deviation, dim=(2, 3), keepdim=True).square() / count
    scale = torch.rsqrt(variance + norm.eps)
    if not norm.affine:
        return (deviation * scale).flatten(1, 2)
    weight, bias = (tensor.unflatten(0, (norm.num_groups, -1))[:, :, None] for tensor in (norm.weight, norm.bias))
    return torch.addcmul(bias, deviation, scale * weight).flatten(1, 2)
