"""Backbones from folders, hub ids and keys: what loads, what is refused, and how it is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from affetto.audio import AudioError
from affetto.errors import UserError
from affetto.models.backbone import Backbone
from affetto.models.backbones import load_backbone
from affetto.models.keys import BACKBONES, check_backbone
from affetto.models.methods import METHODS
from models.systems import FAMILIES, clips


def checkpoint(key: str, folder: Path) -> Backbone:
    """A checkpoint folder as transformers writes it, and the backbone that it was written from."""
    backbone = load_backbone(key, random_weights=True)
    if key.startswith("whisper"):
        from transformers import WhisperConfig, WhisperModel

        full = WhisperModel(WhisperConfig(**BACKBONES[key].config))
        full.encoder.load_state_dict(backbone.model.state_dict())
        full.save_pretrained(folder)
        extractor = {"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 80, "sampling_rate": 16000}
    else:
        backbone.model.save_pretrained(folder)
        extractor = {"do_normalize": BACKBONES[key].normalize, "sampling_rate": 16000}
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor))
    return backbone


@pytest.mark.parametrize("key", FAMILIES)
def test_a_checkpoint_folder_gives_the_same_states(key: str, tmp_path: Path) -> None:
    written, loaded = checkpoint(key, tmp_path), load_backbone(str(tmp_path))
    assert loaded.weights_digest() == written.weights_digest()
    wave = clips(0.8)[0]
    with torch.no_grad():
        a, b = (one.embed(one.features(one.prepare(wave))[None], None) for one in (written, loaded))
    assert torch.equal(a, b)


@pytest.mark.parametrize("key", ["wav2vec2-mini", "wavlm-mini"])
def test_a_task_model_s_checkpoint_is_read_by_its_encoder(key: str, tmp_path: Path) -> None:
    """`…ForCTC` and its like name the encoder's weights with a prefix, and bring a head of their own."""
    import transformers

    name = {"wav2vec2-mini": "Wav2Vec2", "wavlm-mini": "WavLM"}[key]
    written = checkpoint(key, tmp_path)
    task = getattr(transformers, f"{name}ForCTC")(written.model.config)
    getattr(task, name.lower()).load_state_dict(written.model.state_dict())
    task.save_pretrained(tmp_path)
    assert load_backbone(str(tmp_path)).weights_digest() == written.weights_digest()


def test_weights_as_bin_are_read_without_unpickling_code(tmp_path: Path) -> None:
    written = checkpoint("wav2vec2-mini", tmp_path)
    torch.save(load_file(tmp_path / "model.safetensors"), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    assert load_backbone(str(tmp_path)).weights_digest() == written.weights_digest()


def without(folder: Path, name: str) -> None:
    (folder / name).unlink()


def with_config(folder: Path, **change: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))


def without_a_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.layers.1.attention.q_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def cut_short(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda f: without(f, "config.json"), "no config.json"),
        (lambda f: without(f, "model.safetensors"), "no weights in it"),
        (lambda f: without(f, "preprocessor_config.json"), "no preprocessor_config.json"),
        (lambda f: with_config(f, model_type="wav2vec3"), r"wav2vec3.*wav2vec2"),
        (lambda f: (f / "config.json").write_text("[]"), "not a model configuration"),
        (lambda f: (f / "preprocessor_config.json").write_text('{"sampling_rate": 8000}'), "8000 Hz"),
        (without_a_tensor, "1 weights of the wav2vec2 encoder are missing"),
        (cut_short, "copy the checkpoint again"),
    ],
)  # fmt: skip
def test_a_spoiled_checkpoint_is_refused_in_one_line(spoil, told: str, tmp_path: Path) -> None:
    checkpoint("wav2vec2-mini", tmp_path)
    spoil(tmp_path)
    with pytest.raises(UserError, match=told) as caught:
        load_backbone(str(tmp_path))
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "random", "told"),
    [
        ("wav2vec2-bse", False, "wav2vec2-base"),
        ("wav2vec2-bse", True, "wav2vec2-base"),
        ("wav2vec2-mini", False, "--random-weights"),
        ("./nowhere", False, "no backbone folder"),
        ("a/b/c", False, "no backbone folder"),
        ("facebook/wav2vec2-base", True, "takes a key"),
    ],
)
def test_a_name_that_can_be_nothing_is_refused_at_once(name: str, random: bool, told: str) -> None:
    with pytest.raises(UserError, match=told):
        check_backbone(name, random_weights=random)


@pytest.mark.parametrize(
    "environment", [{"HF_HUB_OFFLINE": "1"}, {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://10.255.255.1"}]
)
def test_a_hub_out_of_reach_is_told_within_ten_seconds(environment: dict[str, str], tmp_path: Path) -> None:
    ask = "from affetto.models.hub import snapshot\nsnapshot('someone/some-model')"
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True,
        env=os.environ | {"HF_HOME": str(tmp_path)} | environment,
    )  # fmt: skip
    assert time.monotonic() - started < 20  # 10 to be told, the rest to import
    last = done.stderr.strip().splitlines()[-1]
    for word in ("UserError", "someone/some-model", "--backbone DIR", "HF_HOME", "--random-weights"):
        assert word in last


def test_a_clip_longer_than_whisper_s_positions_is_refused() -> None:
    backbone = load_backbone("whisper-mini", random_weights=True)
    backbone.prepare(np.zeros(30 * 16_000, np.float32))
    with pytest.raises(AudioError, match=r"30.06 s long; Whisper takes at most 30 s"):
        backbone.prepare(np.zeros(30 * 16_000 + 1000, np.float32))


@pytest.mark.parametrize(
    ("key", "encoder", "lora", "adapter"),
    [
        ("wavlm-base-plus", 94_381_936, 737_280, 2_370_048),
        ("wav2vec2-large", 315_428_992, 1_966_080, 6_319_104),
        ("xlsr-53", 315_438_720, 1_966_080, 6_319_104),
        ("whisper-small", 88_154_112, 737_280, 2_370_048),
    ],
)
def test_parameters_by_key(key: str, encoder: int, lora: int, adapter: int) -> None:
    """Counted on the meta device, where no weight is made; the Italian variants have the shapes of their kin."""
    with torch.device("meta"):
        backbone = load_backbone(key, random_weights=True)
        assert backbone.parameter_count() == encoder
        METHODS["lora"](backbone, range(backbone.depth))
        trainable = [p for name, p in backbone.named_parameters() if "lora_" in name]
        assert sum(p.numel() for p in trainable) == lora
        own = METHODS["adapter"](load_backbone(key, random_weights=True), range(backbone.depth))
        assert sum(p.numel() for p in own.parameters()) == adapter
    assert BACKBONES["xlsr-53-it"].config == BACKBONES["wav2vec2-large-it"].config == BACKBONES["xlsr-53"].config
    assert BACKBONES["whisper-small-it"].config == BACKBONES["whisper-small"].config
