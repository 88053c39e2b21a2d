"""Parents of specialisations: a checkpoint, or the shapes of a model that is trained from nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affetto.backbones.backbone import Backbone
from affetto.backbones.catalogue import CatalogueEntry
from affetto.backbones.checkpoints import checkpoint_folder, load_backbone, random_backbone
from affetto.backbones.configurations import checkpoint_family
from affetto.backbones.families.family import Size
from affetto.backbones.families.registry import FAMILIES
from affetto.errors import UserError, unknown
from affetto.specialize.spec import check_family

RESTORED = ("layerdrop", "encoder_layerdrop", "decoder_layerdrop", "apply_spec_augment")
"""Fields of the configuration that affetto sets for its own use; a saved checkpoint gets the parent's values back."""

SIZES = {
    "mini": Size(width=96, blocks=3, heads=4, feed_forward=384, channels=64, codes=64),
    "small": Size(width=256, blocks=6, heads=4, feed_forward=1024, channels=256, codes=160),
    "base": Size(
        width=768, blocks=12, heads=12, feed_forward=3072, channels=512, codes=320, positions=128, position_groups=16
    ),
}
"""Choices of --from-scratch. `mini` stays below 2 MB in fp16; `base` is wav2vec 2.0 Base's shape."""


@dataclass
class Parent:
    """The encoder to start from, by `load_backbone`'s own rules; `folder` is None for a model from nothing."""

    name: str
    family: str
    backbone: Backbone
    folder: Path | None
    digest: str | None
    config_values: dict[str, Any]
    """Its values of the configuration fields `RESTORED`."""

    def identity(self) -> dict[str, Any]:
        """Facts that the result depends on: the digest of a checkpoint's weights, or the name of the shapes."""
        return {"family": self.family, "digest": self.digest} if self.digest else self.describe()

    def describe(self) -> dict[str, Any]:
        return {"name": self.name, "family": self.family, "digest": self.digest}


def load_parent(name: str, from_scratch: str | None, objective: str, seed: int) -> Parent:
    """Raises UserError as `load_backbone` does, and for an objective that the family cannot take."""
    if from_scratch is not None:
        architecture = scratch(name, from_scratch)
        check_family(objective, architecture.family)
        backbone = random_backbone(architecture, seed)
        config = type(backbone.model.config)()
        return Parent(
            name=f"{name}, {from_scratch}, from nothing",
            family=architecture.family,
            backbone=backbone,
            folder=None,
            digest=None,
            config_values={key: getattr(config, key) for key in RESTORED if hasattr(config, key)},
        )
    folder = checkpoint_folder(name)
    check_family(objective, checkpoint_family(folder))
    backbone = load_backbone(str(folder))
    raw, config = json.loads((folder / "config.json").read_text()), type(backbone.model.config)()
    return Parent(
        name=name,
        family=backbone.family,
        backbone=backbone,
        folder=folder,
        digest=backbone.weights_digest(),
        config_values={key: raw.get(key, getattr(config, key)) for key in RESTORED if hasattr(config, key)},
    )


def scratch(name: str, size: str) -> CatalogueEntry:
    """The shapes of a model from nothing. Raises UserError for an unknown name or size."""
    if size not in SIZES:
        raise unknown("size of --from-scratch", size, SIZES)
    owners = {variant: family for family in FAMILIES.values() for variant in family.from_scratch}
    if name not in owners:
        raise unknown("family", name, owners, hint="With --from-scratch, --backbone names what is to be made.")
    family = owners[name]
    return CatalogueEntry(
        family=family.name,
        title=f"{name} {size}",
        config=family.scaled_config(SIZES[size]) | dict(family.from_scratch[name]),
        normalize=family.normalizes,
    )


def same_vocabulary(folder: Path | None, numbers: dict[str, int]) -> bool:
    """True if a checkpoint has the same vocabulary, so that its head can be trained further."""
    if folder is None:
        return False
    try:
        return bool(json.loads((folder / "vocab.json").read_text(encoding="utf-8")) == numbers)
    except (OSError, ValueError):
        return False


def need_folder(parent: Parent, purpose: str, instead: str) -> Path:
    """The parent's folder. Raises UserError for a model from nothing."""
    if parent.folder is None:
        raise UserError(f"{purpose} needs a parent's, and --from-scratch has none; {instead}")
    return parent.folder
