"""What a specialisation starts from: a checkpoint, or shapes to be trained from nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affetto.errors import UserError, unknown
from affetto.models.backbone import Backbone
from affetto.models.backbones import checkpoint_family, checkpoint_folder, load_backbone, random_backbone
from affetto.models.catalogue import Architecture
from affetto.specialize.spec import check_family

KEPT = ("layerdrop", "encoder_layerdrop", "decoder_layerdrop", "apply_spec_augment")
"""Of the configuration, what affetto sets for its own use; a saved checkpoint gets the parent's values back."""

_STABLE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}
SCRATCH_FAMILIES = {
    "wav2vec2": ("wav2vec2", {}, True),
    "xlsr": ("wav2vec2", _STABLE, True),
    "hubert": ("hubert", {}, True),
    "wavlm": ("wavlm", {}, False),
    "whisper": ("whisper", {}, True),
}
"""What --backbone names beside --from-scratch: family, settings of its own, whether waves are normalised."""


@dataclass(frozen=True)
class Size:
    """A model's shape; `channels` are the convolutions'."""

    width: int
    blocks: int
    heads: int
    feed_forward: int
    channels: int
    codes: int


SIZES = {
    "mini": Size(96, 3, 4, 384, 64, 64),
    "small": Size(256, 6, 4, 1024, 256, 160),
    "base": Size(768, 12, 12, 3072, 512, 320),
}
"""What --from-scratch takes. `mini` stays below 2 MB in fp16; `base` is wav2vec 2.0 Base's shape."""


@dataclass
class Parent:
    """The encoder to start from, by `load_backbone`'s own rules; `folder` is None for a model from nothing."""

    name: str
    family: str
    backbone: Backbone
    folder: Path | None
    digest: str | None
    kept: dict[str, Any]

    def identity(self) -> dict[str, Any]:
        """What decides what is learned: a checkpoint's weights, however it was called; else the shapes' name."""
        return {"family": self.family, "digest": self.digest} if self.digest else self.told()

    def told(self) -> dict[str, Any]:
        return {"name": self.name, "family": self.family, "digest": self.digest}


def load_parent(name: str, from_scratch: str | None, objective: str, seed: int) -> Parent:
    """Raises UserError as `load_backbone` does, and for an objective that the family cannot take."""
    if from_scratch is not None:
        architecture = scratch(name, from_scratch)
        check_family(objective, architecture.family)
        backbone = random_backbone(architecture, seed)
        kept = {k: getattr(type(backbone.model.config)(), k) for k in KEPT if hasattr(backbone.model.config, k)}
        return Parent(f"{name}, {from_scratch}, from nothing", architecture.family, backbone, None, None, kept)
    folder = checkpoint_folder(name)
    check_family(objective, checkpoint_family(folder))
    backbone = load_backbone(str(folder))
    raw, config = json.loads((folder / "config.json").read_text()), type(backbone.model.config)()
    kept = {key: raw.get(key, getattr(config, key)) for key in KEPT if hasattr(config, key)}
    return Parent(name, backbone.family, backbone, folder, backbone.weights_digest(), kept)


def scratch(family: str, size: str) -> Architecture:
    """The shapes of a model from nothing. Raises UserError for an unknown family or size."""
    if size not in SIZES:
        raise unknown("size of --from-scratch", size, SIZES)
    if family not in SCRATCH_FAMILIES:
        raise unknown(
            "family", family, SCRATCH_FAMILIES, hint="With --from-scratch, --backbone names what is to be made."
        )
    model_type, own, normalize = SCRATCH_FAMILIES[family]
    s = SIZES[size]
    config: dict[str, Any]
    if model_type == "whisper":
        config = {
            "d_model": s.width, "encoder_layers": s.blocks, "encoder_attention_heads": s.heads,
            "encoder_ffn_dim": s.feed_forward, "decoder_layers": 1, "decoder_attention_heads": s.heads,
            "decoder_ffn_dim": s.feed_forward, "vocab_size": 8, "pad_token_id": 0, "bos_token_id": 1,
            "eos_token_id": 2, "decoder_start_token_id": 1, "suppress_tokens": None, "begin_suppress_tokens": None,
        }  # fmt: skip
    else:
        config = {
            "hidden_size": s.width, "num_hidden_layers": s.blocks, "num_attention_heads": s.heads,
            "intermediate_size": s.feed_forward, "conv_dim": (s.channels,) * 7, **own,
        }  # fmt: skip
        if size != "base":
            config |= {"num_conv_pos_embeddings": 32, "num_conv_pos_embedding_groups": 4}
        if model_type == "wav2vec2":
            config |= {
                "num_codevectors_per_group": s.codes, "codevector_dim": min(256, s.width),
                "proj_codevector_dim": min(256, s.width),
            }  # fmt: skip
    return Architecture(model_type, None, "small", f"{family} {size}", config, normalize=normalize)


def same_vocabulary(folder: Path | None, numbers: dict[str, int]) -> bool:
    """Whether a checkpoint speaks of the same characters, so that its head can go on."""
    if folder is None:
        return False
    try:
        return bool(json.loads((folder / "vocab.json").read_text(encoding="utf-8")) == numbers)
    except (OSError, ValueError):
        return False


def need_folder(parent: Parent, what: str, instead: str) -> Path:
    if parent.folder is None:
        raise UserError(f"{what} needs a parent's, and --from-scratch has none; {instead}")
    return parent.folder
