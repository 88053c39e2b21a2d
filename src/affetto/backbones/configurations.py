"""Configurations of backbones, read without their weights and without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affetto.backbones.catalogue import BACKBONES
from affetto.backbones.families.family import Family
from affetto.backbones.families.registry import FAMILIES
from affetto.errors import UserError


def checkpoint_family(folder: Path) -> str:
    """Name of the family in a checkpoint's configuration. Raises UserError where it is none of `FAMILIES`."""
    name = str(_read(folder).get("model_type"))
    return FAMILIES.find(name, hint=f"The name is from {folder / 'config.json'}.").name


def configuration(name: str, *, random_weights: bool = False) -> tuple[Family, Mapping[str, Any]] | None:
    """Family and configuration (transformers' own) of a checkpoint folder or a key, in this order.

    None where they are not known here: a hub id outside the catalogue, a folder without a known family's configuration.
    """
    if Path(name).is_dir() and not random_weights:
        try:
            config = _read(Path(name))
        except UserError:
            return None
        family = FAMILIES.get(str(config.get("model_type")))
        return None if family is None else (family, config)
    entry = BACKBONES.get(name)
    return None if entry is None else (FAMILIES[entry.family], entry.config)


def _read(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    if not file.is_file():
        raise UserError(
            f"{folder}: no config.json in it; a checkpoint folder holds config.json, preprocessor_config.json "
            "and weights"
        )
    try:
        config = json.loads(file.read_text())
    except (OSError, ValueError):
        config = None
    if not isinstance(config, dict):
        raise UserError(
            f"{file}: not a model configuration (no JSON object that can be read); copy the checkpoint again"
        )
    return config
