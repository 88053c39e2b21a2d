"""Records of families agree with transformers' classes and with the encoders built on them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from affetto.backbones.catalogue import BACKBONES
from affetto.backbones.checkpoints import from_config, load_backbone
from affetto.backbones.families.registry import FAMILIES
from affetto.errors import UserError


def test_every_key_of_the_catalogue_names_a_family_and_every_family_has_a_small_key() -> None:
    assert {entry.family for entry in BACKBONES.values()} == set(FAMILIES)
    for name, family in FAMILIES.items():
        assert BACKBONES[family.miniature].family == name
        assert family.pre_norm_miniature is None or BACKBONES[family.pre_norm_miniature].family == name


@pytest.mark.parametrize("name", FAMILIES)
def test_paths_and_layers_are_those_of_transformers(name: str) -> None:
    family = FAMILIES[name]
    assert family.config_class.model_type == name and family.backbone_class.family == name
    with torch.device("meta"):
        encoder = family.model_class(family.config_class(**BACKBONES[family.miniature].config))
    for block in encoder.get_submodule(family.blocks):
        linear = {path.rpartition(".")[2] for path, module in block.named_modules() if isinstance(module, nn.Linear)}
        assert {*family.attention_layers, *family.feed_forward_layers} <= linear
        assert isinstance(getattr(block, family.feed_forward_end), nn.Module)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_stock_classifier_holds_the_encoder_where_the_record_says(name: str) -> None:
    family = FAMILIES[name]
    with torch.device("meta"):
        for stock in (family.stock_class, family.stock_ctc_class):
            if stock is not None:
                model = stock(family.config_class(**{"vocab_size": 8, **BACKBONES[family.miniature].config}))
                assert type(model.get_submodule(family.stock_encoder)) is family.model_class


def test_whisper_s_stock_class_gets_the_positions_of_its_clips() -> None:
    family, encoder = FAMILIES["whisper"], load_backbone("whisper-mini", random_weights=True).model
    shorter = family.config_class(**BACKBONES["whisper-mini"].config, **family.window_config(4))
    assert shorter.max_source_positions == 200
    positions = family.shorten(encoder.state_dict(), shorter)["embed_positions.weight"]
    assert torch.equal(positions, encoder.embed_positions.weight[:200])


def test_pre_norm_checkpoints_have_a_stand_in_of_their_own() -> None:
    assert FAMILIES["wav2vec2"].stand_in({"do_stable_layer_norm": True}) == "xlsr-mini"
    assert FAMILIES["wav2vec2"].stand_in({}) == "wav2vec2-mini"
    assert FAMILIES["wavlm"].stand_in({"do_stable_layer_norm": True}) == "wavlm-mini"


def test_an_unknown_family_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown model family 'wav2vec': did you mean 'wav2vec2'"):
        from_config("wav2vec", {}, {})


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_s_own_fields_tell_weights_and_states_apart(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = load_backbone(FAMILIES[name].miniature, random_weights=True)
    digest, fields = backbone.weights_digest(), backbone.architecture()
    object.__setattr__(backbone.model.config, "twist", 1)
    assert backbone.weights_digest() == digest
    record = FAMILIES[name]
    monkeypatch.setitem(vars(record), "state_fields", ("twist",))
    monkeypatch.setitem(vars(record), "idle_fields", ("twist",))
    assert backbone.weights_digest() != digest and backbone.architecture() == fields
