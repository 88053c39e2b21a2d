"""Backbones by key, and from checkpoint folders: whole ones, broken ones, and those of other classes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from affetto.backbones.backbone import Backbone
from affetto.backbones.checkpoints import load_backbone
from affetto.errors import UserError
from affetto.models.classifier import Classifier
from affetto.models.methods.registry import METHODS
from affetto.models.prefix import collate
from affetto.models.saved import assemble
from models.systems import FAMILIES, blueprint, clips, stir_up

# Sizes: the paper's Table I, as transformers counts the encoders (see docs of `affetto backbones`) -----------------


@pytest.mark.parametrize(
    ("key", "encoder", "lora", "adapter"),
    [
        ("wav2vec2-base", 94_371_712, 737_280, 2_370_048),
        ("wavlm-base-plus", 94_381_936, 737_280, 2_370_048),
        ("wav2vec2-large", 315_428_992, 1_966_080, 6_319_104),
        ("whisper-small", 88_154_112, 737_280, 2_370_048),
        ("xlsr-53", 315_438_720, 1_966_080, 6_319_104),
        ("wav2vec2-large-it", 315_438_720, 1_966_080, 6_319_104),
        ("whisper-small-it", 88_154_112, 737_280, 2_370_048),
        ("xlsr-53-it", 315_438_720, 1_966_080, 6_319_104),
        ("whisper-base", 20_590_592, 245_760, 790_272),
    ],
)
def test_parameter_counts(key: str, encoder: int, lora: int, adapter: int) -> None:
    with torch.device("meta"):
        backbone = load_backbone(key, random_weights=True)
        assert backbone.parameter_count() == encoder
        added = METHODS["adapter"](backbone, range(backbone.depth))
        assert sum(p.numel() for p in added.parameters() if p.requires_grad) == adapter
        METHODS["lora"](backbone, range(backbone.depth), rank=8, targets="ff")
        assert sum(p.numel() for p in backbone.parameters() if p.requires_grad) == lora


def test_random_weights_are_those_of_their_seed_and_leave_the_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one = load_backbone("wavlm-mini", random_weights=True, weights_seed=3).weights_digest()
    assert torch.equal(torch.rand(1), expected)
    assert load_backbone("wavlm-mini", random_weights=True, weights_seed=3).weights_digest() == one
    assert load_backbone("wavlm-mini", random_weights=True, weights_seed=4).weights_digest() != one


# Checkpoint folders --------------------------------------------------------------------------------------------------


def write(folder: Path, key: str, model: Any = None) -> Path:
    """A checkpoint folder as transformers writes it, with the key's random weights or another model's."""
    backbone = load_backbone(key, random_weights=True)
    (backbone.model if model is None else model).save_pretrained(folder)
    # As all of a family's extractors say it.
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": not key.startswith("wavlm")}))
    return folder


def last_state(backbone: Backbone, wave: np.ndarray) -> Tensor:
    return states(backbone, wave)[-1]


@torch.no_grad()
def states(backbone: Backbone, wave: np.ndarray) -> list[Tensor]:
    hidden = backbone.embed(backbone.features(backbone.prepare(wave))[None], None)
    context, found = backbone.context(None, hidden.shape[1]), [hidden]
    for i in range(backbone.depth):
        hidden = backbone.block(i, hidden, context)
        found.append(hidden)
    return [*found[:-1], backbone.finish(hidden)]


@pytest.mark.parametrize("key", FAMILIES)
def test_a_checkpoint_folder_gives_what_was_saved(key: str, tmp_path: Path) -> None:
    known = load_backbone(key, random_weights=True)
    if key.startswith("whisper"):
        full = transformers.WhisperForConditionalGeneration(known.model.config)
        full.model.encoder.load_state_dict(known.model.state_dict())
        folder = write(tmp_path / key, key, full)
    else:
        folder = write(tmp_path / key, key)
    loaded = load_backbone(str(folder))
    assert type(loaded) is type(known)
    assert loaded.weights_digest() == known.weights_digest()
    wave = clips(0.7)[0]
    assert torch.equal(last_state(loaded, wave), last_state(known, wave))


def test_the_folder_of_a_classifier_of_transformers(tmp_path: Path) -> None:
    """Its weights are named `wav2vec2.…`; its projection and classifier are not ours."""
    known = load_backbone("wav2vec2-mini", random_weights=True)
    model = transformers.Wav2Vec2ForSequenceClassification(known.model.config)
    model.wav2vec2.load_state_dict(known.model.state_dict())
    folder = write(tmp_path / "classifier", "wav2vec2-mini", model)
    assert any(name.startswith("wav2vec2.") for name in load_file(folder / "model.safetensors"))
    assert load_backbone(str(folder)).weights_digest() == known.weights_digest()


def test_half_precision_is_read_as_float32(tmp_path: Path) -> None:
    folder = write(tmp_path / "half", "wav2vec2-mini", load_backbone("wav2vec2-mini", random_weights=True).model.half())
    assert {parameter.dtype for parameter in load_backbone(str(folder)).parameters()} == {torch.float32}


def test_pickled_weights_are_read_and_what_else_is_pickled_is_not_run(tmp_path: Path) -> None:
    known = load_backbone("hubert-mini", random_weights=True)
    folder = write(tmp_path / "old", "hubert-mini")
    (folder / "model.safetensors").unlink()
    torch.save(known.model.state_dict(), folder / "pytorch_model.bin")
    assert load_backbone(str(folder)).weights_digest() == known.weights_digest()

    class Trap:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            return (tmp_path / "sprung").touch, ()

    torch.save({"mask": Trap()} | known.model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="cannot be loaded as hubert"):
        load_backbone(str(folder))
    assert not (tmp_path / "sprung").exists()


def test_layer_drop_and_masking_of_a_checkpoint_are_off(tmp_path: Path) -> None:
    """base and large say layerdrop 0.1: in training mode transformers would leave blocks out."""
    folder = write(tmp_path / "drop", "xlsr-mini")
    config = json.loads((folder / "config.json").read_text())
    config |= {"layerdrop": 0.9, "apply_spec_augment": True, "mask_time_prob": 0.9, "hidden_dropout": 0.9}
    (folder / "config.json").write_text(json.dumps(config))
    loaded, known = load_backbone(str(folder)).train(), load_backbone("xlsr-mini", random_weights=True)
    assert loaded.model.config.layerdrop == 0
    wave = clips(0.7)[0]
    for ours, theirs in zip(states(loaded, wave), states(known, wave), strict=True):
        assert torch.equal(ours, theirs)


def variant(tmp_path: Path, config: Any, seed: int = 0) -> tuple[Backbone, torch.nn.Module]:
    """A backbone from a folder of this configuration, and the stock encoder with the same weights."""
    torch.manual_seed(seed)
    kind = {"wavlm": transformers.WavLMModel, "hubert": transformers.HubertModel}[config.model_type]
    stock = kind(config).eval()
    for name, module in stock.named_modules():
        if name.endswith("batch_norm"):
            torch.nn.init.normal_(module.bias)
            module.running_mean.normal_()
    folder = write(tmp_path / "variant", f"{config.model_type}-mini", stock)
    return load_backbone(str(folder)), stock


def stable_wavlm() -> Any:
    """WavLM Large's form: LayerNorm before attention and feed-forward."""
    mini = load_backbone("wavlm-mini", random_weights=True).model.config.to_dict()
    return transformers.WavLMConfig(**mini | {"do_stable_layer_norm": True, "feat_extract_norm": "layer"})


def normed_hubert() -> Any:
    """mHuBERT-147's form: batch-norm before the positional convolution."""
    mini = load_backbone("hubert-mini", random_weights=True).model.config.to_dict()
    return transformers.HubertConfig(**mini | {"conv_pos_batch_norm": True})


@pytest.mark.parametrize("config", [stable_wavlm, normed_hubert])
def test_the_families_other_forms(config: Callable[[], Any], tmp_path: Path) -> None:
    """States are transformers'; under every method a clip's logits do not depend on its batch mates."""
    backbone, stock = variant(tmp_path, config())
    wave = clips(1.1)[0]
    with torch.no_grad():
        given = stock(backbone.prepare(wave)[None], output_hidden_states=True)
    expected = [*given.hidden_states[:-1], given.last_hidden_state]
    for ours, theirs in zip(states(backbone, wave), expected, strict=True):
        assert (ours - theirs).abs().max() <= 2e-6 * theirs.abs().max()
    for method in ("adapter", "lora", "full"):
        made = assemble(load_backbone(str(tmp_path / "variant")), blueprint(method)).eval()
        stir_up(made, 0.05)
        together = logits(made, clips(1.1, 0.5))
        assert (together[1:] - logits(made, clips(1.1, 0.5)[1:])).abs().max() <= 1e-4 * together.abs().max()


@torch.no_grad()
def logits(made: Classifier, waves: list[np.ndarray]) -> Tensor:
    return made(*collate([made.prefix(wave) for wave in waves], torch.device("cpu")))


# What is told of a folder that cannot be used ------------------------------------------------------------------------


def broken(change: Callable[[Path], None], tmp_path: Path, key: str = "wav2vec2-mini") -> str:
    folder = write(tmp_path / "checkpoint", key)
    change(folder)
    with pytest.raises(UserError) as told:
        load_backbone(str(folder))
    assert str(folder) in str(told.value)
    return str(told.value)


def edit(file: str, **values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps(config | values))

    return change


def without(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "model.safetensors"
        tensors = load_file(file)
        save_file({name: t for name, t in tensors.items() if name not in names}, file, {"format": "pt"})

    return change


def cut_short(file: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = (folder / file).read_bytes()
        (folder / file).write_bytes(content[: len(content) // 2])

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (cut_short("config.json"), "not a model configuration"),
        (lambda folder: (folder / "config.json").write_text("[]"), "not a model configuration"),
        (edit("config.json", model_type="wav2vec2-bert"), "unknown model family 'wav2vec2-bert': did you mean"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights in it"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "no preprocessor_config.json"),
        (cut_short("preprocessor_config.json"), "not a preprocessor configuration"),
        (edit("preprocessor_config.json", sampling_rate=8000), "made for 8000 Hz"),
        (without("encoder.layers.1.attention.k_proj.bias"), r"1 weights .* missing.*layers.1.attention.k_proj.bias"),
        (edit("config.json", intermediate_size=100), "cannot be loaded as wav2vec2"),
        (edit("config.json", hidden_size="wide"), "cannot be loaded as wav2vec2"),
        (cut_short("model.safetensors"), "cannot be loaded as wav2vec2"),
        (edit("config.json", model_type="hubert", conv_pos_batch_norm=True), "missing in the checkpoint"),
    ],
)
def test_a_folder_that_cannot_be_used_says_why(change: Callable[[Path], None], told: str, tmp_path: Path) -> None:
    import re

    said = broken(change, tmp_path)
    assert re.search(told, said), said


def test_a_whisper_encoder_without_its_position_table(tmp_path: Path) -> None:
    known = load_backbone("whisper-mini", random_weights=True)
    folder = write(tmp_path / "whisper", "whisper-mini", transformers.WhisperModel(known.model.config))
    without("encoder.embed_positions.weight")(folder)
    with pytest.raises(UserError, match=r"1 weights of the whisper encoder are missing.*embed_positions"):
        load_backbone(str(folder))


def test_a_decoder_is_not_needed(tmp_path: Path) -> None:
    known = load_backbone("whisper-mini", random_weights=True)
    model = transformers.WhisperModel(known.model.config)
    folder = write(tmp_path / "whisper", "whisper-mini", model)
    decoder = [name for name in load_file(folder / "model.safetensors") if name.startswith("decoder.")]
    without(*decoder)(folder)
    assert load_backbone(str(folder)).parameter_count() == known.parameter_count()


def test_another_clip_normalisation_is_taken_from_the_folder(tmp_path: Path) -> None:
    folder, wave = write(tmp_path / "checkpoint", "wav2vec2-mini"), clips(0.5)[0]
    normalised = load_backbone(str(folder)).prepare(wave)
    assert float(normalised.std(unbiased=False)) == pytest.approx(1, abs=1e-4)
    edit("preprocessor_config.json", do_normalize=False)(folder)
    assert np.array_equal(load_backbone(str(folder)).prepare(wave).numpy(), wave)


# Names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "random", "told"),
    [
        ("wav2vec2-bas", False, "did you mean 'wav2vec2-base'"),
        ("wavlm-minni", True, "did you mean 'wavlm-mini'"),
        ("wavlm-mini", False, "add --random-weights"),
        ("./nowhere", False, "no backbone folder ./nowhere"),
        ("facebook/wav2vec2-base", True, "--random-weights takes a key"),
    ],
)
def test_a_name_that_is_none(name: str, random: bool, told: str) -> None:
    with pytest.raises(UserError) as error:
        load_backbone(name, random_weights=random)
    assert told in str(error.value)


def test_two_folders_with_the_same_weights_and_other_heads_are_different_backbones(tmp_path: Path) -> None:
    """The number of heads shows in no weight; states, and so the stored ones, are others."""
    one = write(tmp_path / "one", "wav2vec2-mini")
    two = Path(shutil.copytree(one, tmp_path / "two"))
    edit("config.json", num_attention_heads=2)(two)
    assert load_backbone(str(one)).weights_digest() != load_backbone(str(two)).weights_digest()
