"""HuBERT: the modules of wav2vec 2.0, with mHuBERT's batch normalisation in front of the positional convolution."""

from __future__ import annotations

import torch
from torch import Tensor

from affetto.backbones.encoders.wav2vec2 import Wav2Vec2Backbone


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
