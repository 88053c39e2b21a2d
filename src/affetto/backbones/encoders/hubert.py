"""HuBERT: the modules of wav2vec 2.0, with mHuBERT's batch normalisation in front of the positional convolution."""

from __future__ import annotations

from torch import Tensor

from affetto.backbones.encoders.wav2vec2 import Wav2Vec2Backbone


class HubertBackbone(Wav2Vec2Backbone):
    family = "hubert"

    def positions(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        embed = self.model.encoder.pos_conv_embed
        if mask is None or embed.batch_norm is None:
            return embed(hidden)
        # mHuBERT's batch-norm makes something of the zeros beyond a clip's end, which the convolution must not see.
        normalised = embed.batch_norm(hidden.transpose(1, 2)).masked_fill(~mask[:, None, :], 0.0)
        return embed.activation(embed.padding(embed.conv(normalised))).transpose(1, 2)
