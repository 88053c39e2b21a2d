"""Breeze, a family of encoders of a third party in one file: wav2vec 2.0 with a gain behind its convolutions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from huggingface_hub.dataclasses import strict
from torch import Tensor
from transformers import Wav2Vec2Config, Wav2Vec2Model

from affetto.backbones.encoders.wav2vec2 import Wav2Vec2Backbone
from affetto.backbones.families.wav2vec2 import WAV2VEC2


@strict
class BreezeConfig(Wav2Vec2Config):
    model_type = "breeze"
    gain: float = 1.0


class BreezeModel(Wav2Vec2Model):
    config_class = BreezeConfig
    config: Any


class BreezeBackbone(Wav2Vec2Backbone):
    family = "breeze"

    def embed(self, features: Tensor, mask: Tensor | None) -> Tensor:
        return super().embed(self.model.config.gain * features, mask)


BREEZE = replace(
    WAV2VEC2,
    name="breeze",
    title="Breeze",
    backbone=BreezeBackbone,
    config=BreezeConfig,
    model=BreezeModel,
    stock=None,
    stock_ctc=None,
    state_fields=("gain",),
    objectives=(),
    from_scratch={},
)
