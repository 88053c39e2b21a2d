"""The catalogue of backbones by key: a table, light to import, so that a typing error is answered at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affetto.backbones.config_fields import PRE_NORM
from affetto.errors import UserError, unknown

_LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
_TINY = {
    "hidden_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 192,
    "conv_dim": (64,) * 7,
    "num_conv_pos_embeddings": 32,
    "num_conv_pos_embedding_groups": 4,
}
_XLSR: dict[str, Any] = {
    "citation": (
        'Conneau et al., "Unsupervised Cross-lingual Representation Learning for Speech Recognition", Interspeech 2021'
    ),
    "citation_key": "xlsr",
}
_WHISPER_SMALL = {
    "d_model": 768,
    "encoder_layers": 12,
    "encoder_attention_heads": 12,
    "encoder_ffn_dim": 3072,
    "decoder_layers": 12,
    "decoder_attention_heads": 12,
    "decoder_ffn_dim": 3072,
}
_WHISPER_BASE = {
    "d_model": 512,
    "encoder_layers": 6,
    "encoder_attention_heads": 8,
    "encoder_ffn_dim": 2048,
    "decoder_layers": 6,
    "decoder_attention_heads": 8,
    "decoder_ffn_dim": 2048,
}
_WHISPER_TINY = {
    "d_model": 96,
    "encoder_layers": 3,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 192,
    "decoder_layers": 1,
    "decoder_attention_heads": 4,
    "decoder_ffn_dim": 192,
    "vocab_size": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}


@dataclass(frozen=True, kw_only=True)
class CatalogueEntry:
    """A checkpoint on the hub, and its shapes, which `--random-weights` fills."""

    family: str
    """Name of a record in `FAMILIES`."""
    hub_id: str | None = None
    """None: there are shapes, but no checkpoint."""
    scenario: str = "small"
    """Place in the paper (III-B): `A` as pre-trained, `B` specialised in Italian first, `other` not in it; `small`: for
    trials."""
    title: str
    config: dict[str, Any] = field(default_factory=dict)
    """Fields of transformers' configuration that are not its defaults."""
    normalize: bool = True
    """True if random weights come with waves that are normalised."""
    citation: str = ""
    """Publication, as `Authors, "Title", Venue Year`; empty: that of the family."""
    citation_key: str = ""
    """Name of that publication in lists of references."""


BACKBONES: dict[str, CatalogueEntry] = {
    "wav2vec2-base": CatalogueEntry(
        family="wav2vec2", hub_id="facebook/wav2vec2-base", scenario="A", title="Wav2Vec 2.0 Base"
    ),
    "wavlm-base-plus": CatalogueEntry(
        family="wavlm", hub_id="microsoft/wavlm-base-plus", scenario="A", title="WavLM Base+", normalize=False
    ),
    "wav2vec2-large": CatalogueEntry(
        family="wav2vec2", hub_id="facebook/wav2vec2-large", scenario="A", title="Wav2Vec 2.0 Large", config=_LARGE
    ),
    "whisper-small": CatalogueEntry(
        family="whisper", hub_id="openai/whisper-small", scenario="A", title="Whisper Small", config=_WHISPER_SMALL
    ),
    "xlsr-53": CatalogueEntry(
        family="wav2vec2",
        hub_id="facebook/wav2vec2-large-xlsr-53",
        scenario="A",
        title="XLSR-53",
        config=_LARGE | PRE_NORM,
        **_XLSR,
    ),
    "wav2vec2-large-it": CatalogueEntry(
        family="wav2vec2",
        hub_id="jonatasgrosman/exp_w2v2t_it_wav2vec2_s692",
        scenario="B",
        title="Wav2Vec 2.0 Large",
        config=_LARGE | PRE_NORM,
    ),
    "whisper-small-it": CatalogueEntry(
        family="whisper",
        hub_id="EdoAbati/whisper-small-it",
        scenario="B",
        title="Whisper Small",
        config=_WHISPER_SMALL,
    ),
    "xlsr-53-it": CatalogueEntry(
        family="wav2vec2",
        hub_id="jonatasgrosman/wav2vec2-large-xlsr-53-italian",
        scenario="B",
        title="XLSR-53",
        config=_LARGE | PRE_NORM,
        **_XLSR,
    ),
    "whisper-base": CatalogueEntry(
        family="whisper", hub_id="openai/whisper-base", scenario="other", title="Whisper Base", config=_WHISPER_BASE
    ),
    "wav2vec2-mini": CatalogueEntry(family="wav2vec2", title="Wav2Vec 2.0 (mini, random)", config=_TINY),
    "xlsr-mini": CatalogueEntry(family="wav2vec2", title="XLSR (mini, random)", config=_TINY | PRE_NORM),
    "hubert-mini": CatalogueEntry(family="hubert", title="HuBERT (mini, random)", config=_TINY),
    "wavlm-mini": CatalogueEntry(family="wavlm", title="WavLM (mini, random)", config=_TINY, normalize=False),
    "whisper-mini": CatalogueEntry(family="whisper", title="Whisper (mini, random)", config=_WHISPER_TINY),
}


def check_backbone(name: str, *, random_weights: bool = False) -> None:
    """Raise UserError for a name that is neither a key, nor a checkpoint folder, nor a hub id (owner/name)."""
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
