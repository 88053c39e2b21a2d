"""Settings: recipes resolved, what has no effect refused, and the identity that they give a run."""

from __future__ import annotations

import re
from typing import Any

import pytest
from torch import nn

from affetto.errors import UserError
from affetto.models.head_layers import StatisticsHead
from affetto.models.heads.head import Shape
from affetto.models.heads.registry import HEADS
from affetto.models.methods.adapter import AdapterSettings
from affetto.models.methods.base import Method, MethodSettings
from affetto.models.methods.registry import METHODS
from affetto.training.sections import Settings
from affetto.training.spec import (
    RECIPES,
    CorpusSpec,
    RunSpec,
    acting,
    check,
    probe_counts,
    setting_names,
    settings,
    without_effect,
)
from affetto.training.train import train


def run_spec(method: str, chosen: Settings, **fields: Any) -> RunSpec:
    corpora = (CorpusSpec(path="x"),)
    return RunSpec(corpora=corpora, backbone="wav2vec2-base", method=method, settings=chosen, **fields)


# Recipes -----------------------------------------------------------------------------------------


def test_the_paper_s_recipe_is_the_paper_s_section_iv_b() -> None:
    chosen = settings("paper", method="lora")
    training = chosen.training
    assert (training.optimizer, training.lr, training.betas, training.eps) == ("adam", 5e-4, (0.9, 0.98), 1e-8)
    assert (training.weight_decay, training.lr_decay, training.epochs) == (1e-4, 0.926, 30)
    assert (training.batch_size, training.select, training.warm_start, training.refit) == (
        32,
        "macro_f1",
        "none",
        False,
    )
    assert (training.class_weights, training.label_smoothing, training.method_lr) == (True, 0.0, None)
    assert (chosen.audio.seconds, chosen.model.pooling, chosen.model.state_norm) == (4.0, "mean", "none")
    assert (chosen.model.head, chosen.model.head_width, chosen.model.head_dropout) == ("paper", 256, 0.1)
    assert (chosen.lora.rank, chosen.lora.alpha, chosen.lora.dropout, chosen.lora.targets) == (8, 1.0, 0.0, "ff")
    assert chosen.adapter.bottleneck == 128
    assert not chosen.augment.waveform and (chosen.augment.time_mask, chosen.augment.feature_mask) == (0, 0)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("method", METHODS)
def test_every_recipe_resolves_for_every_method(recipe: str, method: str) -> None:
    assert (settings(recipe, method=method).training.epochs == 0) == (method == "probe")
    assert all(setting_names().values())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"training.epoch": "3"}, "training.epochs"),
        ({"training.epochs": "many"}, "training.epochs='many'"),
        ({"training.lr": "-1"}, "training.lr"),
        ({"lora.targets": "everything"}, "lora.targets='everything'"),
        ({"model.layer": "-1"}, r"model.layer=-1: .*greater than or equal to 0"),
        ({"model.pooling": "mean"}, "needs model.pooling=layer"),
        ({"model.head": "paper"}, "needs model.head=statistics"),
        ({"training.epochs": "0", "training.warm_start": "none"}, "nothing is trained"),
        ({"training.sampler": "balanced", "training.loss": "logit_adjusted"}, "needs training.sampler=shuffled: "),
        (
            {"model.unmasked_mean": "true"},
            r"layers on frames \(attentive, ecapa, linear, paper, short\)",
        ),
    ],
)
def test_a_bad_setting_is_told_in_one_line(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        settings("recommended", overrides)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", [None, "frozen", "lora"])
@pytest.mark.parametrize(
    "override", [{"model.pooling": "mean"}, {"model.head": "paper"}, {"model.head": "ecapa", "model.states": "1"}]
)
def test_the_advice_on_another_classifier_names_all_that_must_be_set(
    override: dict[str, str], method: str | None
) -> None:
    with pytest.raises(UserError) as caught:
        settings("recommended", override, method=method)
    advice = dict(re.findall(r"(\w+\.\w+)=([\w.]*\w)", str(caught.value).split("set ")[1]))
    assert settings("recommended", override | advice, method=method).model.states == 1


def test_a_grid_keeps_a_setting_that_its_other_settings_need_in_place_of_the_recipe_s() -> None:
    head = {"model.head": "attentive", "model.layer": "1", "training.warm_start": "none", "model.states": "1"}
    idle = {"lora.rank": "4"}
    assert acting("recommended", idle | head, method="frozen") == head
    assert acting("recommended", head, method="probe") == {"model.layer": "1", "model.states": "1"}
    assert acting("paper", {"model.states": "1"}, method="frozen") == {}
    mistaken = {"model.head": "attentive"}
    assert acting("recommended", idle | mistaken, method="frozen") == mistaken


# Effect ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HEADS)
def test_a_head_s_record_describes_its_module(name: str) -> None:
    record = HEADS[name]
    narrow, wide, dropping = (
        record.build(Shape(width=8, classes=3, hidden=hidden, dropout=dropout))
        for hidden, dropout in ((4, 0.0), (5, 0.0), (4, 0.5))
    )
    sizes = [sum(p.numel() for p in module.parameters()) for module in (narrow, wide)]
    assert record.has_hidden == (sizes[0] != sizes[1])
    rates = [getattr(module, "p", 0.0) for module in dropping.modules()]
    assert record.has_dropout == (0.5 in rates)
    assert record.takes_frames == (not isinstance(narrow, StatisticsHead))
    on_frames = [module for name, module in narrow.named_children() if name in ("per_frame", "attention")]
    layers = nn.ModuleList(on_frames).modules()
    products = sum(layer.weight.numel() for layer in layers if isinstance(layer, nn.Linear))
    assert record.frame_products(8, 4) == products


IDLE = [
    ("probe", "recommended", {"training.epochs": "3"}),
    ("probe", "paper", {"training.lr": "1"}),
    ("probe", "recommended", {"training.refit": "false"}),
    ("probe", "recommended", {"augment.noise_snr_db": "10"}),
    ("probe", "recommended", {"model.head": "paper"}),
    ("probe", "recommended", {"lora.rank": "4"}),
    ("adapter", "paper", {"lora.rank": "4"}),
    ("frozen", "paper", {"adapter.scale": "1"}),
    ("full", "paper", {"lora.alpha": "2"}),
    ("frozen", "recommended", {"augment.time_mask": "0.3"}),
    ("frozen", "paper", {"training.method_lr": "1e-3"}),
    ("frozen", "paper", {"training.first_block": "2"}),
    ("lora", "recommended", {"model.head_width": "64"}),
    ("lora", "recommended", {"model.unmasked_mean": "true"}),
    ("lora", "paper", {"model.layer": "2"}),
    ("frozen", "paper", {"model.head": "linear", "model.head_dropout": "0.5"}),
    ("frozen", "recommended", {"training.epochs": "0", "training.label_smoothing": "0.2"}),
    ("frozen", "recommended", {"training.epochs": "0", "training.loss": "focal"}),
    ("frozen", "recommended", {"training.focal_gamma": "1"}),
    ("probe", "recommended", {"training.sampler": "balanced"}),
    ("lora", "recommended", {"augment.mixup": "0.2"}),
    ("lora", "paper", {"model.dropout_samples": "4"}),
    ("lora", "recommended", {"model.head_dropout": "0", "model.dropout_samples": "4"}),
    ("frozen", "paper", {"augment.mixup": "0.2"}),
    ("lora", "recommended", {"training.loss": "focal", "training.class_balanced_beta": "0.9"}),
    ("lora", "recommended", {"training.average": "last_k", "training.average_decay": "0.9"}),
    ("lora", "recommended", {"training.average": "ema", "training.average_epochs": "3"}),
]


@pytest.mark.parametrize(("method", "recipe", "overrides"), IDLE)
def test_a_setting_without_effect_is_refused_and_left_out_of_a_grid(method: str, recipe: str, overrides: dict) -> None:
    name, text = list(overrides.items())[-1]
    with pytest.raises(UserError, match=rf"setting {name}={text} has no effect with method {method}") as caught:
        settings(recipe, overrides, method=method)
    assert "\n" not in str(caught.value)
    left = acting(recipe, overrides, method=method)
    assert left == {key: value for key, value in overrides.items() if key != name}
    settings(recipe, left, method=method)


def test_what_has_an_effect_is_taken() -> None:
    taken = [
        ("probe", "recommended", {"model.layer": "2", "model.state_norm": "layer", "training.class_weights": "false"}),
        ("probe", "paper", {"probe.strengths": "[0.1]", "audio.seconds": "3", "store.precision": "float32"}),
        ("lora", "recommended", {"augment.time_mask": "0.3", "training.method_lr": "1e-3", "lora.rank": "4"}),
        ("frozen", "paper", {"augment.time_mask": "0.3", "model.unmasked_mean": "true", "model.head_width": "8"}),
        ("frozen", "recommended", {"augment.feature_mask": "0.3", "model.head_dropout": "0.3"}),
    ]
    for method, recipe, overrides in taken:
        assert settings(recipe, overrides, method=method) != settings(recipe, method=method)
        assert acting(recipe, overrides, method=method) == overrides


def test_the_probe_is_a_probe_however_its_settings_were_made(tmp_path) -> None:
    """A run made in Python has passed no `settings`: it is asked before anything is read."""
    with pytest.raises(UserError, match=r"training.epochs=30 needs a method that is trained in steps"):
        train(run_spec("probe", Settings()), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    check(settings("paper", method="probe"), "probe")


# Identity ----------------------------------------------------------------------------------------

# Of runs made with release 0.1; {"audio": "x"} stands for the data.
IDENTITIES = {
    ("paper", "probe"): "74525f6052c3eeeb4c08d4c5885ed42cd32af663137f1c1ab1bf10db5d5dcc44",
    ("paper", "frozen"): "0472bc765cf6ed38c6e3e292fe480a3a8c194d8d9c88cf77e95b91f3978791a4",
    ("paper", "lora"): "d5ff2586951573f201f1947eed586ee80a015866a589699b57690383839a925e",
    ("paper", "full"): "ddc8f886c6e22c0e18ba291aefd3d70190867d704cbcebf301b5778801206fa1",
    ("recommended", "probe"): "74525f6052c3eeeb4c08d4c5885ed42cd32af663137f1c1ab1bf10db5d5dcc44",
    ("recommended", "frozen"): "00753ceccf2e34d6121dfa47b80b8a56320878a36c40d76c60622489b0ffbc35",
    ("recommended", "lora"): "eb267c7de62ebc871b838579f2304b20cfc47034c598c3d11187ddb53d9547e5",
    ("recommended", "full"): "83a9dab50e3f6d8440f09d96a1d15e3b90745bde3a3691d32e5c630b330c1920",
}
PARALLEL = {
    "paper": "b69fcfc2ac39ccb8fbb54b5d750e89d8315d2a734df8076ef864d2349ca80b66",
    "recommended": "28a55c39c64b7734d6a370c04eb2e7643e40cea65868a145bd381dc81ef4dbfc",
}
"""The same of the Adapter, added to the feed-forward in parallel."""


class ToySettings(MethodSettings):
    rank: int = 3


class Toy(Method):
    name = "toy"
    settings = ToySettings


class WithToy(Settings):
    """The settings with a section for a method to come."""

    toy: ToySettings = ToySettings()


def as_first(recipe: str, method: str, overrides: dict[str, str]) -> Settings:
    """Settings of a recipe as they were when all recipes took one state and the epoch that did best."""
    overrides = {"model.states": "1", "training.select": "macro_f1", **overrides}
    return settings(recipe, acting(recipe, overrides, method=method), method=method)


def test_old_runs_keep_their_identity() -> None:
    facts = {"audio": "x"}
    for (recipe, method), identity in IDENTITIES.items():
        assert run_spec(method, as_first(recipe, method, {})).identity(facts) == identity, (recipe, method)
    for recipe, identity in PARALLEL.items():
        chosen = as_first(recipe, "adapter", {"adapter.placement": "parallel"})
        assert run_spec("adapter", chosen).identity(facts) == identity, recipe


def test_the_probe_beside_a_classifier_of_another_shape_takes_the_states_that_the_probe_takes() -> None:
    own = settings(method="probe").model.counts
    assert len(own) > 1
    assert settings("recommended", method="lora").model.counts == own
    assert probe_counts(settings("paper", method="frozen"), "frozen") == own
    assert probe_counts(settings("recommended", {"model.states": "2"}, method="lora"), "lora") == (2,)


def test_a_run_without_a_probe_is_not_named_by_the_probe_s_states(monkeypatch: pytest.MonkeyPatch) -> None:
    alone, beside = (run_spec("frozen", settings("paper", method="frozen"), probe=probe) for probe in (False, True))
    before = alone.identity({}), beside.identity({})
    monkeypatch.setattr("affetto.training.spec.probe_counts", lambda resolved, method: (7,))
    assert alone.identity({}) == before[0]
    assert beside.identity({}) != before[1]


def test_a_new_section_moves_no_identity_but_its_own_method_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS._load(), "toy", Toy)
    facts = {"audio": "x"}
    for (recipe, method), identity in IDENTITIES.items():
        grown = WithToy(**as_first(recipe, method, {}).model_dump())
        assert run_spec(method, grown).identity(facts) == identity, (recipe, method)
    toys = [run_spec("toy", WithToy(toy=ToySettings(rank=rank))).identity(facts) for rank in (3, 4)]
    assert toys[0] != toys[1]


@pytest.mark.parametrize("method", ["frozen", "lora"])
def test_what_a_method_does_not_read_is_not_in_its_identity(method: str) -> None:
    plain = run_spec(method, Settings()).identity({})
    changed = Settings(adapter=AdapterSettings(bottleneck=7, scale=3.0, placement="sequential"))
    assert run_spec(method, changed).identity({}) == plain
    assert run_spec("adapter", changed).identity({}) != run_spec("adapter", Settings()).identity({})


def test_a_switch_that_came_later_and_is_off_is_no_part_of_the_identity() -> None:
    off, on = Settings(), Settings.model_validate({"model": {"layer_norm_swap": "blocks"}})
    assert run_spec("frozen", off).identity({"audio": "x"}) == IDENTITIES["paper", "frozen"]
    assert run_spec("frozen", on).identity({}) != run_spec("frozen", off).identity({})


def test_only_settings_with_an_effect_are_shown_for_a_method() -> None:
    shown = [name for name in setting_names() if not without_effect(settings(method="probe"), "probe", name)]
    assert {"audio.seconds", "model.layer", "probe.strengths", "training.class_weights"} <= set(shown)
    assert [name for name in shown if name.startswith(("lora.", "adapter.", "augment."))] == ["augment.copies"]
