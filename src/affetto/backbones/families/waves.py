"""Families that take the raw wave through convolutions of 20 ms a frame: wav2vec 2.0 and what was built on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from affetto.backbones.families.family import Family, Size
from affetto.backbones.flops import Operations, wave_encoder


@dataclass(frozen=True, kw_only=True)
class WaveFamily(Family):
    """A family with the modules of wav2vec 2.0."""

    blocks: str = "encoder.layers"
    attention_layers: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "out_proj")
    feed_forward_layers: tuple[str, ...] = ("intermediate_dense", "output_dense")
    feed_forward_end: str = "feed_forward"
    both_norm_orders: bool = True

    def operations(self, config: Mapping[str, Any], seconds: float) -> Operations:
        return wave_encoder(config, seconds)

    def scaled_config(self, size: Size) -> dict[str, Any]:
        config = {
            "hidden_size": size.width,
            "num_hidden_layers": size.blocks,
            "num_attention_heads": size.heads,
            "intermediate_size": size.feed_forward,
            "conv_dim": (size.channels,) * 7,
            "num_conv_pos_embeddings": size.positions,
            "num_conv_pos_embedding_groups": size.position_groups,
        }
        if "masked" not in self.objectives:
            return config
        codebook = min(256, size.width)
        return config | {
            "num_codevectors_per_group": size.codes,
            "codevector_dim": codebook,
            "proj_codevector_dim": codebook,
        }

    def preprocessing(self, *, normalize: bool) -> dict[str, Any]:
        return {"normalize": normalize}

    def read_preprocessing(self, extractor: Mapping[str, Any]) -> dict[str, Any]:
        return {"normalize": bool(extractor.get("do_normalize", True))}

    def describe_preprocessing(self, preprocessing: Mapping[str, Any]) -> str:
        return "none" if preprocessing.get("normalize") is False else "zero mean and unit variance of a clip"

    def feature_extractor(
        self, preprocessing: Mapping[str, Any], *, attention_mask: bool = False, seconds: int | None = None
    ) -> Any:
        from transformers import Wav2Vec2FeatureExtractor

        return Wav2Vec2FeatureExtractor(do_normalize=preprocessing["normalize"], return_attention_mask=attention_mask)
