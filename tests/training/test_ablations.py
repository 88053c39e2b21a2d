"""Ablation switches in runs: told apart, saved and loaded as what they are, and what is recorded of the states."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto.errors import UserError
from affetto.inference.loading import load
from affetto.models.saved import read_card
from affetto.training.runs import RunFolder
from affetto.training.spec import RunSpec
from affetto.training.train import train
from training.corpora import spec, timeless, write_table


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("corpus"))


def short(table: Path, method: str = "frozen", overrides: dict[str, str] | None = None, **fields: object) -> RunSpec:
    chosen = {"training.epochs": "1"} | (overrides or {})
    return spec(table, method, "paper", "xlsr-mini", chosen, probe=False, **fields)


def test_a_swapped_run_is_another_run_and_is_used_as_what_it_is(table: Path, tmp_path: Path) -> None:
    plain = train(short(table), tmp_path / "plain")
    swapped = train(short(table, overrides={"model.layer_norm_swap": "blocks"}), tmp_path / "swapped")
    assert plain["identity"] != swapped["identity"]
    assert read_card(tmp_path / "swapped/model")["backbone"]["layer_norm_swap"] == "blocks"
    for name in ("plain", "swapped"):
        predictor = load(tmp_path / name, device="cpu", long_clips="cropped", calibrate=False)  # as it was tested
        assert predictor.classifier.backbone.layer_norm_swap == ("blocks" if name == "swapped" else "none")
        for row in RunFolder(tmp_path / name).read_lines("predictions.jsonl"):
            assert predictor(table.parent / row["file"]).probabilities == pytest.approx(row["probabilities"], abs=2e-4)


def test_a_swap_that_means_nothing_leaves_nothing_behind(table: Path, tmp_path: Path) -> None:
    wrong = spec(table, "frozen", "paper", "whisper-mini", {"model.layer_norm_swap": "encoder"})
    with pytest.raises(UserError, match="whisper has no post-LayerNorm blocks"):
        train(wrong, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_states_are_recorded_where_asked_for_and_change_nothing(table: Path, tmp_path: Path) -> None:
    asked = short(table, "adapter", record_states=True, split="kfold:3", final=False)
    with_states = train(asked, tmp_path / "asked")
    without = train(asked.model_copy(update={"record_states": False}), tmp_path / "not")
    states = with_states.pop("states")
    assert timeless(with_states) == timeless(without)
    assert len(states["rms"]) == len(states["share"]) == 4 and sum(states["share"]) == pytest.approx(1, abs=1e-5)
    assert all(size > 0 for size in states["rms"])
    assert states["fold"] == with_states["folds"][0]["name"]
    assert all("states" not in fold for fold in with_states["folds"])
    tested = RunFolder(tmp_path / "asked").read_lines("predictions.jsonl")
    assert states["clips"] == len([row for row in tested if row["fold"] == states["fold"]]) == 14


def test_the_stream_that_peft_ser_adds_twice_shows_in_the_states(table: Path, tmp_path: Path) -> None:
    """The stream of pre-LayerNorm blocks doubles in each: it grows from state to state."""
    rms = {}
    for placement in ("sequential", "peft_ser"):
        made = train(
            short(table, "adapter", {"adapter.placement": placement}, record_states=True), tmp_path / placement
        )
        rms[placement] = made["states"]["rms"]
    # State 3 comes behind the final LayerNorm.
    assert rms["peft_ser"][2] > 2 * rms["peft_ser"][1] > 2 * rms["sequential"][1]
