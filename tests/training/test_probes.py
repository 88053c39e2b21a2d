"""Probes of whole runs on several states."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from affetto.errors import UserError
from affetto.training.build import Builder
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
