"""The names that backbones go by: a table, light to import, so that a typing error is told at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affetto.errors import UserError, unknown

_LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
_STABLE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}
_SMALL_CNN = {"conv_dim": (64,) * 7, "num_conv_pos_embeddings": 32, "num_conv_pos_embedding_groups": 4}
_TINY = {"hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 192, **_SMALL_CNN}
_WHISPER_SMALL = {
    "d_model": 768, "encoder_layers": 12, "encoder_attention_heads": 12, "encoder_ffn_dim": 3072,
    "decoder_layers": 12, "decoder_attention_heads": 12, "decoder_ffn_dim": 3072,
}  # fmt: skip
_WHISPER_BASE = {
    "d_model": 512,
    "encoder_layers": 6,
    "encoder_attention_heads": 8,
    "encoder_ffn_dim": 2048,
    "decoder_layers": 6,
    "decoder_attention_heads": 8,
    "decoder_ffn_dim": 2048,
}
_WHISPER_MINI = {
    "d_model": 96, "encoder_layers": 3, "encoder_attention_heads": 4, "encoder_ffn_dim": 192,
    "decoder_layers": 1, "decoder_attention_heads": 4, "decoder_ffn_dim": 192, "vocab_size": 8,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Architecture:
    """One row of the table of keys: the checkpoint on the hub, and its shapes, for `--random-weights`."""

    family: str
    hub_id: str | None
    scenario: str
    """`A`: as pre-trained; `B`: specialised in Italian first (paper, III-B); `other`: none of the paper's; `small`: for
    trials, no checkpoint."""
    title: str
    config: dict[str, Any] = field(default_factory=dict)
    normalize: bool = True


BACKBONES: dict[str, Architecture] = {
    "wav2vec2-base": Architecture("wav2vec2", "facebook/wav2vec2-base", "A", "Wav2Vec 2.0 Base"),
    "wavlm-base-plus": Architecture("wavlm", "microsoft/wavlm-base-plus", "A", "WavLM Base+", normalize=False),
    "wav2vec2-large": Architecture("wav2vec2", "facebook/wav2vec2-large", "A", "Wav2Vec 2.0 Large", _LARGE),
    "whisper-small": Architecture("whisper", "openai/whisper-small", "A", "Whisper Small", _WHISPER_SMALL),
    "xlsr-53": Architecture("wav2vec2", "facebook/wav2vec2-large-xlsr-53", "A", "XLSR-53", _LARGE | _STABLE),
    "wav2vec2-large-it": Architecture(
        "wav2vec2", "jonatasgrosman/exp_w2v2t_it_wav2vec2_s692", "B", "Wav2Vec 2.0 Large", _LARGE | _STABLE
    ),
    "whisper-small-it": Architecture("whisper", "EdoAbati/whisper-small-it", "B", "Whisper Small", _WHISPER_SMALL),
    "xlsr-53-it": Architecture(
        "wav2vec2", "jonatasgrosman/wav2vec2-large-xlsr-53-italian", "B", "XLSR-53", _LARGE | _STABLE
    ),
    "whisper-base": Architecture("whisper", "openai/whisper-base", "other", "Whisper Base", _WHISPER_BASE),
    "wav2vec2-mini": Architecture("wav2vec2", None, "small", "Wav2Vec 2.0 (mini, random)", _TINY),
    "xlsr-mini": Architecture("wav2vec2", None, "small", "XLSR (mini, random)", _TINY | _STABLE),
    "hubert-mini": Architecture("hubert", None, "small", "HuBERT (mini, random)", _TINY),
    "wavlm-mini": Architecture("wavlm", None, "small", "WavLM (mini, random)", _TINY, normalize=False),
    "whisper-mini": Architecture("whisper", None, "small", "Whisper (mini, random)", _WHISPER_MINI),
}


def check_backbone(name: str, *, random_weights: bool = False) -> None:
    """Raise UserError for what can be neither a key, nor a checkpoint folder, nor a hub id (owner/name)."""
    if random_weights:
        if name not in BACKBONES:
            raise unknown("backbone key", name, BACKBONES, hint="--random-weights takes a key, whose shapes it fills.")
        return
    if Path(name).is_dir():
        return
    if name in BACKBONES:
        if BACKBONES[name].hub_id is None:
            raise UserError(f"backbone {name!r} has shapes but no pre-trained checkpoint: add --random-weights")
        return
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name:
        raise UserError(
            f"no backbone folder {name}: check the path, or give a key ({', '.join(BACKBONES)}) or a hub id"
        )
    if "/" not in name:
        raise unknown("backbone", name, BACKBONES, hint="A hub id (owner/name) or a checkpoint folder will do as well.")
