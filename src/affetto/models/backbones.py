"""Which backbones there are, and how one is loaded: by key, hub id or folder, or with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from affetto.errors import UserError, unknown
from affetto.models.backbone import Backbone
from affetto.models.hub import snapshot
from affetto.models.keys import BACKBONES, Architecture, check_backbone
from affetto.models.swap import swap_layer_norm
from affetto.models.wav2vec2 import HubertBackbone, Wav2Vec2Backbone, WavLMBackbone
from affetto.models.whisper import WhisperBackbone
from affetto.quiet import quiet_transformers

FAMILIES: dict[str, type[Backbone]] = {
    family.family: family for family in (Wav2Vec2Backbone, HubertBackbone, WavLMBackbone, WhisperBackbone)
}
"""By transformers' `model_type`."""

WHISPER_EXTRACTOR = {"feature_size": 80, "sampling_rate": 16000, "hop_length": 160, "chunk_length": 30, "n_fft": 400}


def load_backbone(
    name: str, *, random_weights: bool = False, weights_seed: int = 0, layer_norm_swap: str = "none"
) -> Backbone:
    """A backbone by key (`wav2vec2-base`), hub id (`facebook/wav2vec2-base`) or local folder.

    With `random_weights` the key's shapes are filled from `weights_seed`, the same on every call; `layer_norm_swap` is
    an ablation (`affetto.models.swap`).
    Raises UserError for an unknown key, a folder without configuration or weights, a family that is
    not known, weights that are missing in the checkpoint, and a hub that cannot be reached.
    """
    check_backbone(name, random_weights=random_weights)
    loaded = random_backbone(BACKBONES[name], weights_seed) if random_weights else _pretrained(checkpoint_folder(name))
    return swap_layer_norm(loaded, layer_norm_swap)


def from_config(family: str, config: dict[str, Any], preprocessing: dict[str, Any]) -> Backbone:
    """A backbone with the shapes of `config` (transformers' own, as JSON), its weights at random. Raises UserError."""
    if family not in FAMILIES:
        raise unknown("model family", family, FAMILIES)
    model = _model_class(family)(_configure(_config_class(family)(**config)))
    return FAMILIES[family](model, preprocessing)


def checkpoint_folder(name: str) -> Path:
    """Where the checkpoint of a key, hub id or folder lies; from the hub if need be. Raises UserError."""
    check_backbone(name)
    if Path(name).is_dir():
        return Path(name)
    return snapshot(BACKBONES[name].hub_id or name if name in BACKBONES else name)


def checkpoint_family(folder: Path) -> str:
    """The family that a checkpoint's configuration names. Raises UserError where it is none of `FAMILIES`."""
    config_file = folder / "config.json"
    if not config_file.is_file():
        raise UserError(
            f"{folder}: no config.json in it; a checkpoint folder holds config.json, preprocessor_config.json "
            "and weights"
        )
    try:
        family = str(json.loads(config_file.read_text()).get("model_type"))
    except (ValueError, AttributeError):
        raise UserError(
            f"{config_file}: not a model configuration (no JSON object); copy the checkpoint again"
        ) from None
    if family not in FAMILIES:
        raise unknown("model family", family, FAMILIES, hint=f"That is what {config_file} says.")
    return family


def random_backbone(architecture: Architecture, weights_seed: int) -> Backbone:
    """An architecture's shapes, filled from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(weights_seed)
        whisper = architecture.family == "whisper"
        preprocessing = dict(WHISPER_EXTRACTOR) if whisper else {"normalize": architecture.normalize}
        return from_config(architecture.family, architecture.config, preprocessing)


def _pretrained(folder: Path) -> Backbone:
    family = checkpoint_family(folder)
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("pytorch_model*.bin")):
        raise UserError(f"{folder}: no weights in it (*.safetensors or pytorch_model*.bin); copy the checkpoint again")
    return FAMILIES[family](_load_weights(folder, family), _preprocessing(folder, family))


def _load_weights(folder: Path, family: str) -> Any:
    """The plain encoder in float32, SDPA attention, every weight of it from the checkpoint."""
    from transformers import AutoConfig, WhisperModel

    try:
        with quiet_transformers():
            config = _configure(AutoConfig.from_pretrained(folder))
            # On a full Whisper folder the encoder's own class looks for other names and would start at random.
            loader: Any = WhisperModel if family == "whisper" else _model_class(family)
            model, report = loader.from_pretrained(folder, config=config, dtype=torch.float32, output_loading_info=True)
    except Exception as problem:  # transformers, safetensors, torch and the validation of configs raise many kinds
        raise UserError(
            f"{folder}: its weights cannot be loaded as {family} ({problem}); copy the checkpoint again"
        ) from problem
    relevant = "encoder." if family == "whisper" else ""
    missing = sorted(
        key for key in {*report["missing_keys"], *(m[0] for m in report["mismatched_keys"])}
        if key.startswith(relevant) and "masked_spec_embed" not in key
    )  # fmt: skip
    if missing:
        raise UserError(
            f"{folder}: {len(missing)} weights of the {family} encoder are missing in the checkpoint, "
            f"{missing[0]} first; copy it again, or take a checkpoint of this family"
        )
    return model.get_encoder() if family == "whisper" else model


def _preprocessing(folder: Path, family: str) -> dict[str, Any]:
    file = folder / "preprocessor_config.json"
    if not file.is_file():
        raise UserError(
            f"{folder}: no preprocessor_config.json in it, so its input normalisation is unknown; copy it from the "
            "checkpoint's source"
        )
    try:
        config = json.loads(file.read_text())
        rate_hz = config.get("sampling_rate", 16000)
        chosen = (
            {name: config.get(name, default) for name, default in WHISPER_EXTRACTOR.items()}
            if family == "whisper"
            else {"normalize": bool(config.get("do_normalize", True))}
        )
    except (ValueError, AttributeError):
        raise UserError(
            f"{file}: not a preprocessor configuration (no JSON object); copy the checkpoint again"
        ) from None
    if rate_hz != 16000:
        raise UserError(f"{file}: made for {rate_hz} Hz; affetto works at 16000 Hz")
    return chosen


def _configure(config: Any) -> Any:
    """SDPA everywhere transformers has it, no layer-drop, no masking: each state is needed, and exact."""
    # WavLM has no SDPA of transformers' own; its backbone class brings it.
    config._attn_implementation = "eager" if config.model_type == "wavlm" else "sdpa"
    for name in ("layerdrop", "encoder_layerdrop"):
        if hasattr(config, name):
            setattr(config, name, 0.0)
    config.apply_spec_augment = False
    return config


def _config_class(family: str) -> Any:
    import transformers

    return {
        "wav2vec2": transformers.Wav2Vec2Config, "hubert": transformers.HubertConfig,
        "wavlm": transformers.WavLMConfig, "whisper": transformers.WhisperConfig,
    }[family]  # fmt: skip


def _model_class(family: str) -> Any:
    import transformers
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    return {
        "wav2vec2": transformers.Wav2Vec2Model, "hubert": transformers.HubertModel,
        "wavlm": transformers.WavLMModel, "whisper": WhisperEncoder,
    }[family]  # fmt: skip
