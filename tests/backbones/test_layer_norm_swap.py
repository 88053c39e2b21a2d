"""Pre-LayerNorm weights in post-LayerNorm order: as transformers computes them, every weight there, or refused."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import HubertModel, Wav2Vec2Model, WavLMModel
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2EncoderLayer

from affetto.backbones import checkpoints as backbones
from affetto.backbones.catalogue import BACKBONES, CatalogueEntry
from affetto.backbones.checkpoints import load_backbone
from affetto.backbones.layer_norm_swap import swap_layer_norm
from affetto.errors import UserError
from affetto.models.methods.registry import METHODS
from models.systems import classifier, clips
from models.test_states import close, own_states, wave

STABLE = ("xlsr-mini", "hubert-stable", "wavlm-stable")


@pytest.fixture(autouse=True)
def stable_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """HuBERT and WavLM in pre-LayerNorm, as their large checkpoints are."""
    config = BACKBONES["xlsr-mini"].config
    more = {
        f"{family}-stable": CatalogueEntry(family=family, title="", config=config) for family in ("hubert", "wavlm")
    }
    monkeypatch.setattr(backbones, "BACKBONES", BACKBONES | more)
    monkeypatch.setattr("affetto.backbones.catalogue.BACKBONES", BACKBONES | more)


def loaded(key: str, kind: str = "none") -> backbones.Backbone:
    return load_backbone(key, random_weights=True, layer_norm_swap=kind)


def stock(key: str, kind: str) -> torch.nn.Module:
    """transformers' own classes, into which the pre-LayerNorm checkpoint's weights are loaded."""
    plain = loaded(key).model
    config = copy.deepcopy(plain.config)
    if kind == "encoder":
        config.do_stable_layer_norm = False
    model = {"wav2vec2": Wav2Vec2Model, "hubert": HubertModel, "wavlm": WavLMModel}[config.model_type](config)
    if kind == "blocks":
        model.encoder.layers = torch.nn.ModuleList(
            Wav2Vec2EncoderLayer(config) for _ in range(config.num_hidden_layers)
        )
    model.load_state_dict(plain.state_dict(), strict=True)
    return model.eval()


@pytest.mark.parametrize(("key", "kind"), [*((key, "encoder") for key in STABLE), ("xlsr-mini", "blocks")])
def test_the_states_are_those_of_transformers_post_layer_norm_classes(key: str, kind: str) -> None:
    swapped, model = loaded(key, kind), stock(key, kind)
    prepared = swapped.prepare(wave())
    with torch.no_grad():
        out = model(prepared[None], output_hidden_states=True)
    close(own_states(swapped, wave()), [*out.hidden_states[:-1], out.last_hidden_state], 2e-6)


@pytest.mark.parametrize("kind", ["blocks", "encoder"])
@pytest.mark.parametrize("key", STABLE)
def test_every_weight_is_there_and_the_function_is_another(key: str, kind: str) -> None:
    plain, swapped = loaded(key), loaded(key, kind)
    before, after = plain.model.state_dict(), swapped.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(p.is_meta or p.requires_grad for p in swapped.model.parameters())
    assert not any(b.is_meta for b in swapped.model.buffers())
    one, other = own_states(plain, wave())[-1], own_states(swapped, wave())[-1]
    assert (one - other).abs().max() > 1e-2 * one.abs().max()


def test_stored_states_and_runs_of_each_are_told_apart() -> None:
    digests = {kind: loaded("xlsr-mini", kind).weights_digest() for kind in ("none", "blocks", "encoder")}
    assert len(set(digests.values())) == 3
    assert digests["none"] == load_backbone("xlsr-mini", random_weights=True).weights_digest()


@pytest.mark.parametrize("kind", ["blocks", "encoder"])
def test_a_clip_s_result_does_not_depend_on_what_is_beside_it(kind: str) -> None:
    made = classifier("xlsr-mini", "frozen")
    made.backbone = loaded("xlsr-mini", kind)
    made.method.lowest_block = 0  # everything above the front end runs on the padded batch
    prefixes = [made.prefix(clip) for clip in clips(0.9, 1.7)]
    from affetto.models.prefix import collate

    with torch.no_grad():
        together = made(*collate(prefixes, torch.device("cpu")))
        alone = torch.cat([made(*collate([prefix], torch.device("cpu"))) for prefix in prefixes])
    assert torch.allclose(together, alone, atol=2e-6)


@pytest.mark.parametrize("kind", ["blocks", "encoder"])
@pytest.mark.parametrize("method", ["lora", "adapter"])
def test_a_fresh_method_changes_no_state(kind: str, method: str) -> None:
    before = own_states(loaded("xlsr-mini", kind), wave())
    backbone = loaded("xlsr-mini", kind)
    METHODS[method](backbone, range(backbone.depth)).eval()
    close(own_states(backbone, wave()), before, 1e-6)


def test_the_stream_before_the_feed_forward_enters_the_layer_norm_of_the_block_s_own_order() -> None:
    plain, *swapped = loaded("xlsr-mini"), loaded("xlsr-mini", "blocks"), loaded("xlsr-mini", "encoder")
    assert plain.feed_forward_norm(plain.blocks[0]) is plain.blocks[0].final_layer_norm
    for backbone in swapped:
        assert backbone.feed_forward_norm(backbone.blocks[0]) is backbone.blocks[0].layer_norm


@pytest.mark.parametrize(
    ("key", "kind", "told"),
    [
        ("whisper-mini", "blocks", "whisper has no post-LayerNorm blocks to swap in; families that have: hubert, wav"),
        ("wav2vec2-mini", "encoder", "this wav2vec2 checkpoint is post-LayerNorm already"),
        ("xlsr-mini", "block", "unknown model.layer_norm_swap 'block': did you mean 'blocks'"),
    ],
)
def test_where_it_has_no_meaning_it_is_refused_in_one_line(key: str, kind: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as problem:
        loaded(key, kind)
    assert "\n" not in str(problem.value)


def test_weights_that_post_layer_norm_blocks_have_no_place_for_are_refused() -> None:
    """MMS's checkpoints have an adapter in each pre-LayerNorm block."""
    backbone = loaded("xlsr-mini")
    backbone.model.encoder.layers[0].adapter_layer = torch.nn.Linear(2, 2)
    with pytest.raises(UserError, match=r"do not fit post-LayerNorm blocks.*adapter_layer"):
        swap_layer_norm(backbone, "blocks")
