"""Loading of backbones: by key, hub id or folder, or with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import torch

from affetto.audio import RATE_HZ
from affetto.backbones.backbone import Backbone
from affetto.backbones.catalogue import BACKBONES, CatalogueEntry, check_backbone
from affetto.backbones.configurations import checkpoint_family
from affetto.backbones.families.family import Family
from affetto.backbones.families.registry import FAMILIES
from affetto.backbones.hub import snapshot
from affetto.backbones.layer_norm_swap import swap_layer_norm
from affetto.errors import UserError
from affetto.quiet import quiet_transformers


def load_backbone(
    name: str, *, random_weights: bool = False, weights_seed: int = 0, layer_norm_swap: str = "none"
) -> Backbone:
    """A backbone by key (`wav2vec2-base`), hub id (`facebook/wav2vec2-base`) or local folder.

    With `random_weights` the key's shapes are filled from `weights_seed`, the same on every call; `layer_norm_swap` is
    an ablation (`affetto.backbones.layer_norm_swap`).
    Raises UserError for an unknown key or family, a folder without configuration or weights, weights that are missing
    in the checkpoint, and a hub that cannot be reached.
    """
    check_backbone(name, random_weights=random_weights)
    if random_weights:
        backbone = random_backbone(BACKBONES[name], weights_seed)
    else:
        backbone = _pretrained(checkpoint_folder(name))
    return swap_layer_norm(backbone, layer_norm_swap)


def from_config(family: str, config: dict[str, Any], preprocessing: dict[str, Any]) -> Backbone:
    """A backbone with the shapes of `config` (transformers' own, as JSON), its weights at random. Raises UserError."""
    record = FAMILIES.find(family)
    model = record.model_class(configure(record.config_class(**config), record))
    return cast(Backbone, record.backbone_class(model, preprocessing))


def checkpoint_folder(name: str) -> Path:
    """Local folder of the checkpoint of a key, hub id or folder, downloaded if need be. Raises UserError."""
    check_backbone(name)
    if Path(name).is_dir():
        return Path(name)
    return snapshot(BACKBONES[name].hub_id or name if name in BACKBONES else name)


def random_backbone(entry: CatalogueEntry, weights_seed: int) -> Backbone:
    """An encoder of the shapes of a catalogue entry, filled from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(weights_seed)
        preprocessing = FAMILIES[entry.family].preprocessing(normalize=entry.normalize)
        return from_config(entry.family, entry.config, preprocessing)


def _pretrained(folder: Path) -> Backbone:
    family = FAMILIES[checkpoint_family(folder)]
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("pytorch_model*.bin")):
        raise UserError(f"{folder}: no weights in it (*.safetensors or pytorch_model*.bin); copy the checkpoint again")
    return cast(Backbone, family.backbone_class(_load_encoder(folder, family), _read_preprocessing(folder, family)))


def _load_encoder(folder: Path, family: Family) -> Any:
    """The plain encoder in float32, every weight of it from the checkpoint."""
    try:
        with quiet_transformers():
            config = configure(family.config_class.from_pretrained(folder), family)
            model, report = family.checkpoint_class.from_pretrained(
                folder, config=config, dtype=torch.float32, output_loading_info=True
            )
    except Exception as problem:  # transformers, safetensors, torch and the validation of configs raise many kinds
        raise UserError(
            f"{folder}: its weights cannot be loaded as {family.name} ({problem}); copy the checkpoint again"
        ) from problem
    prefix = f"{family.checkpoint_encoder}." if family.checkpoint_encoder else ""
    missing = sorted(
        key
        for key in {*report["missing_keys"], *(mismatch[0] for mismatch in report["mismatched_keys"])}
        if key.startswith(prefix) and "masked_spec_embed" not in key
    )
    if missing:
        raise UserError(
            f"{folder}: {len(missing)} weights of the {family.name} encoder are missing in the checkpoint, "
            f"{missing[0]} first; copy it again, or take a checkpoint of this family"
        )
    return model.get_submodule(family.checkpoint_encoder)


def _read_preprocessing(folder: Path, family: Family) -> dict[str, Any]:
    file = folder / "preprocessor_config.json"
    if not file.is_file():
        raise UserError(
            f"{folder}: no preprocessor_config.json in it, so its input normalisation is unknown; copy it from the "
            "checkpoint's source"
        )
    try:
        extractor = json.loads(file.read_text())
        rate_hz = extractor.get("sampling_rate", RATE_HZ)
        preprocessing = family.read_preprocessing(extractor)
    except (ValueError, AttributeError):
        raise UserError(
            f"{file}: not a preprocessor configuration (no JSON object); copy the checkpoint again"
        ) from None
    if rate_hz != RATE_HZ:
        raise UserError(f"{file}: made for {rate_hz} Hz; affetto works at {RATE_HZ} Hz")
    return preprocessing


def configure(config: Any, family: Family) -> Any:
    """transformers' configuration without layer-drop and masking: each state is needed, and exact."""
    config._attn_implementation = family.attention
    for name in ("layerdrop", "encoder_layerdrop"):
        if hasattr(config, name):
            setattr(config, name, 0.0)
    config.apply_spec_augment = False
    return config
