"""Whisper (Radford et al. 2022): the encoder alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from affetto.audio import RATE_HZ
from affetto.backbones.families.family import Family, Size
from affetto.backbones.flops import Operations, mel_encoder

SAMPLES_PER_POSITION = 320
"""Two mel frames of 10 ms at 16 kHz: the second convolution has stride 2."""
EXTRACTOR = {"feature_size": 80, "sampling_rate": RATE_HZ, "hop_length": 160, "chunk_length": 30, "n_fft": 400}
"""Fields of `preprocessor_config.json` that change the log-mel spectrogram, as in the published checkpoints."""


@dataclass(frozen=True, kw_only=True)
class WhisperFamily(Family):
    """A family with a log-mel spectrogram and learned positions, whose stock classes take 30 s and nothing else."""

    def operations(self, config: Mapping[str, Any], seconds: float) -> Operations:
        return mel_encoder(config, seconds)

    def scaled_config(self, size: Size) -> dict[str, Any]:
        return {
            "d_model": size.width,
            "encoder_layers": size.blocks,
            "encoder_attention_heads": size.heads,
            "encoder_ffn_dim": size.feed_forward,
            "decoder_layers": 1,
            "decoder_attention_heads": size.heads,
            "decoder_ffn_dim": size.feed_forward,
            "vocab_size": 8,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "decoder_start_token_id": 1,
            "suppress_tokens": None,
            "begin_suppress_tokens": None,
        }

    def preprocessing(self, *, normalize: bool) -> dict[str, Any]:
        return dict(EXTRACTOR)

    def read_preprocessing(self, extractor: Mapping[str, Any]) -> dict[str, Any]:
        return {name: extractor.get(name, default) for name, default in EXTRACTOR.items()}

    def describe_preprocessing(self, preprocessing: Mapping[str, Any]) -> str:
        return "log-mel"

    def feature_extractor(
        self, preprocessing: Mapping[str, Any], *, attention_mask: bool = False, seconds: int | None = None
    ) -> Any:
        from transformers import WhisperFeatureExtractor

        length = {} if seconds is None else {"chunk_length": seconds}
        return WhisperFeatureExtractor(**{**preprocessing, **length})

    def window_config(self, seconds: float) -> dict[str, Any]:
        return {"max_source_positions": round(seconds * RATE_HZ / SAMPLES_PER_POSITION)}

    def shorten(self, state: dict[str, Any], config: Any) -> dict[str, Any]:
        """The first rows of the table of positions, which is a lookup."""
        positions = state["embed_positions.weight"][: config.max_source_positions]
        return {**state, "embed_positions.weight": positions}


WHISPER = WhisperFamily(
    name="whisper",
    title="Whisper",
    citation='Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", ICML 2023',
    backbone="affetto.backbones.encoders.whisper:WhisperBackbone",
    config="transformers:WhisperConfig",
    model="transformers.models.whisper.modeling_whisper:WhisperEncoder",
    # On a full Whisper folder the encoder's own class looks for other names and would start at random.
    checkpoint="transformers:WhisperModel",
    checkpoint_encoder="encoder",
    stock="transformers:WhisperForAudioClassification",
    stock_encoder="encoder",
    blocks="layers",
    attention_layers=("q_proj", "k_proj", "v_proj", "out_proj"),
    feed_forward_layers=("fc1", "fc2"),
    feed_forward_end="fc2",
    window_seconds=30.0,
    miniature="whisper-mini",
    objectives=("ctc", "seq2seq"),
    from_scratch={"whisper": {}},
)
