"""Probes of whole runs on several states."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affetto.errors import UserError
from affetto.training import probes
from affetto.training.build import Builder
from affetto.training.probes import Probes
from affetto.training.selection import Choice
from affetto.training.spec import settings
from affetto.training.train import train
from training.corpora import spec, write_table


def rows(file: Path) -> list[list[float]]:
    return [list(json.loads(line)["probabilities"].values()) for line in file.read_text().splitlines()]


@pytest.mark.parametrize("method", ["frozen", "lora"])
def test_a_head_on_several_states_starts_as_their_probe(method: str, tmp_path: Path) -> None:
    """Stored statistics and frames, with 0 epochs of training: the same probabilities."""
    table = write_table(tmp_path / "corpus")
    states = {"model.states": "2", "model.layer": "2", "store.precision": "float32", "compute.precision": "float32"}
    without_training = settings("recommended", states | {"training.epochs": "0"}, method=method)
    metrics = train(spec(table, method).model_copy(update={"settings": without_training}), tmp_path / "run")
    train(spec(table, "probe", overrides=states), tmp_path / "probe")
    start, probe = (rows(tmp_path / run / "predictions.jsonl") for run in ("run", "probe"))
    np.testing.assert_allclose(start, probe, atol=2e-4)
    assert metrics["choice"]["states"] == 2


@pytest.mark.parametrize(("layer", "highest"), [("auto", 3), ("1", 1)])
def test_more_states_than_there_are_is_refused_before_any_is_computed(
    layer: str, highest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write_table(tmp_path / "corpus")
    monkeypatch.setattr(Builder, "statistics", lambda _: pytest.fail("states are computed"))
    with pytest.raises(UserError, match=rf"model\.states=9: there are {highest + 1} states from 0 to {highest}"):
        train(spec(table, "probe", overrides={"model.states": "9", "model.layer": layer}), tmp_path / "run")


@pytest.mark.parametrize(
    ("method", "recipe", "overrides", "counts"),
    [
        ("probe", "recommended", {}, (1, 2, 4)),
        ("probe", "recommended", {"model.states": "2"}, (2,)),
        ("frozen", "paper", {"training.epochs": "1"}, (1, 2, 4)),  # the probe beside it is the same under every recipe
    ],
)
def test_the_number_of_states_is_chosen_on_inner_folds(
    method: str,
    recipe: str,
    overrides: dict[str, str],
    counts: tuple[int, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    choose, numbers = probes.choose, []

    def noted(*arguments: Any, **options: Any) -> Choice:
        numbers.append(options["counts"])
        return choose(*arguments, **options)

    monkeypatch.setattr(probes, "choose", noted)
    train(spec(write_table(tmp_path / "corpus"), method, recipe, overrides=overrides), tmp_path / "run")
    assert numbers == [counts]


@pytest.mark.parametrize(("method", "more"), [("frozen", {}), ("lora", {"training.first_block": "1"})])
def test_each_fold_takes_as_many_states_as_are_chosen_for_it(
    method: str, more: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fold that tests the first speaker takes two states, the others one, as if each were set."""
    table, choose = write_table(tmp_path / "corpus"), Probes.choose

    def chosen(self: Probes, ids: Sequence[str], layers: Sequence[int]) -> Choice:
        learned = {clip.speaker for clip in self.data.manifest.clips if clip.id in set(ids)}
        choice, states = choose(self, ids, layers), self.settings.model.states
        if states == "auto":
            states = 1 if "s0" in learned else 2
        return replace(choice, layer=3, strength=0.1, states=states)

    monkeypatch.setattr(Probes, "choose", chosen)
    lines = {}
    for states in ("auto", "1", "2"):
        wanted = spec(
            table, method, overrides=more | {"model.states": states}, split="kfold:3", final=False, probe=False
        )
        train(wanted, tmp_path / states, stack=3)
        lines[states] = [json.loads(line) for line in (tmp_path / states / "predictions.jsonl").open()]
    tested = {line["fold"] for line in lines["auto"] if line["speaker"] == "s0"}
    for auto, single, double in zip(*lines.values(), strict=True):
        assert single["probabilities"] != double["probabilities"]
        expected = double if auto["fold"] in tested else single
        assert auto["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-4)
    for folder in (tmp_path / "auto" / "folds").iterdir():
        pooling = json.loads((folder / "model" / "affetto.json").read_text())["blueprint"]["pooling"]
        assert pooling.get("states", 1) == (2 if folder.name in tested else 1)
