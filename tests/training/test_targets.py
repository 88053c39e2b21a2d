"""Runs of every target: files, scores, resume, and the bad input of each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affetto.corpora.labels import EMOTIONS
from affetto.errors import UserError
from affetto.measures.regression import CCC
from affetto.models.saved import load_classifier
from affetto.targets.registry import TARGETS
from affetto.training.train import train
from training.corpora import spec, write_table


@pytest.fixture
def table(annotated: Path) -> Path:
    return annotated


@pytest.fixture(scope="module")
def runs(target_run: Callable[[str], Path]) -> dict[str, tuple[Path, dict[str, Any]]]:
    """A run of every target, by its name."""
    folders = {name: target_run(name) for name in TARGETS}
    return {name: (folder, json.loads((folder / "metrics.json").read_text())) for name, folder in folders.items()}


def rows(run: Path, file: str = "predictions.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / file).read_text().splitlines()]


@pytest.mark.parametrize("name", TARGETS)
def test_a_model_that_is_loaded_has_its_target_and_its_outputs(name: str, runs: Any) -> None:
    run, metrics = runs[name]
    classifier, card = load_classifier(run / "model")
    assert classifier.target.name == name
    assert classifier.head.out.out_features == classifier.target.outputs  # type: ignore[union-attr]
    assert ("target" in metrics) == ("target" in card["blueprint"]) == (name != "classes")
    for file, scores in (("predictions", metrics["test"]), ("probe_predictions", metrics["probe"]["test"])):
        assert json.loads(json.dumps(classifier.target.scores(rows(run, f"{file}.jsonl")))) == scores


def test_dimensions_are_predicted_within_their_ranges(runs: Any) -> None:
    run, metrics = runs["dimensions"]
    lines = rows(run)
    truth, values = (np.array([list(line[field].values()) for line in lines]) for field in ("truth", "prediction"))
    assert list(lines[0]["truth"]) == ["arousal", "valence"] and values.min() >= 1 and values.max() <= 5
    assert metrics["test"]["dimensions"]["valence"]["ccc"] == pytest.approx(CCC.of_predictions(values, truth)[1])
    assert metrics["test"]["mean_ccc"] > 0
    assert metrics["confidence"]["conformal"]["dimensions"]["arousal"]["half_width"] > 0


def test_a_joint_run_has_the_scores_of_both(runs: Any) -> None:
    run, metrics = runs["joint"]
    line = rows(run)[0]
    assert line["truth"] in line["probabilities"] and set(line["prediction"]) == set(line["dimension_truth"])
    assert metrics["test"]["macro_f1"] > 0 and metrics["test"]["mean_ccc"] > 0
    assert {"temperature", "conformal"} <= metrics["confidence"].keys()


def test_shares_and_several_labels_are_written_as_they_are_scored(runs: Any) -> None:
    line = rows(runs["distribution"][0])[0]
    assert sum(line["shares"].values()) == pytest.approx(1, abs=1e-5) and max(line["shares"].values()) < 1
    assert runs["distribution"][1]["test"]["distribution"]["kl"] < 1.5
    run, metrics = runs["multilabel"]
    limits = metrics["confidence"]["thresholds"]
    for line in rows(run):
        assert line["prediction"] == [label for label, p in line["probabilities"].items() if p >= limits[label]]
    assert any(len(line["truth"]) == 2 for line in rows(run))


def test_identities_tell_targets_and_annotations_apart(table: Path, runs: Any, tmp_path: Path) -> None:
    identities = {metrics["identity"] for _, metrics in runs.values()}
    assert len(identities) == len(TARGETS)
    text, changed = table.read_text(), {}
    assert "4.5," in text
    table.write_text(text.replace("4.5,", "4.4,", 1))
    for name in ("classes", "dimensions"):
        changed[name] = train(spec(table, target=name), tmp_path / name)["identity"]
    table.write_text(text)
    assert changed["classes"] == runs["classes"][1]["identity"]
    assert changed["dimensions"] != runs["dimensions"][1]["identity"]


def test_a_split_of_dimensions_is_by_their_thirds(runs: Any) -> None:
    split = json.loads((runs["dimensions"][0] / "split.json").read_text())
    assert all(name.startswith("arousal ") for name in split["audit"]["classes"])
    assert set(json.loads((runs["joint"][0] / "split.json").read_text())["audit"]["classes"]) == set(EMOTIONS)


@pytest.mark.parametrize(("name", "measure"), [("dimensions", "mean_ccc"), ("joint", "uar")])
def test_a_run_of_folds_of_dimensions_has_folds_and_their_mean(
    name: str, measure: str, table: Path, tmp_path: Path
) -> None:
    run = spec(table, "probe", split="kfold:3", target=name, overrides={"probe.strengths": "[0.01]"})
    metrics = train(run, tmp_path / "run")
    assert metrics["mean_of_folds"]["folds"] == 3 and metrics["mean_of_folds"]["mean_ccc"] > 0
    assert set(metrics["final"]["choice"]) == {"layer", "strength", measure, "share"}
    assert set(metrics["confidence"]["conformal"]["dimensions"]) == {"arousal", "valence"}
    assert metrics["test"]["interval"]["mean_ccc"][0] < metrics["test"]["mean_ccc"]


@pytest.mark.parametrize("name", ["dimensions", "joint"])
def test_folds_that_train_as_one_give_what_each_gives_alone(name: str, table: Path, tmp_path: Path) -> None:
    overrides = {"model.layer": "1", "probe.strengths": "[0.01]"}
    run = spec(table, split="kfold:3", target=name, probe=False, final=False, overrides=overrides)
    alone, stacked = (train(run, tmp_path / str(stack), stack=stack)["test"] for stack in (1, 3))
    assert stacked["mean_ccc"] == pytest.approx(alone["mean_ccc"], abs=1e-4)
    for dimension, scores in alone["dimensions"].items():
        assert stacked["dimensions"][dimension]["rmse"] == pytest.approx(scores["rmse"], rel=1e-4)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("dimensions", "has no dimensions.*--dimension"),
        ("joint", "has no dimensions"),
        ("distribution", "have no ratings"),
        ("multilabel", "no clip has several labels"),
        ("clases", "did you mean 'classes'"),
    ],
)
def test_a_target_that_the_clips_lack_is_named(target: str, words: str, tmp_path: Path) -> None:
    table = write_table(tmp_path)
    with pytest.raises(UserError, match=words):
        train(spec(table, target=target), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_setting_of_another_target_is_refused(table: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"target\.threshold=0\.3 has no effect with the target dimensions"):
        train(spec(table, target="dimensions", overrides={"target.threshold": "0.3"}), tmp_path / "run")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("training.loss=focal", r"a target of classes \(classes, distribution, joint\)"),
        ("training.sampler=balanced", r"a target of classes \(classes, distribution, joint\)"),
        ("augment.mixup=0.2", r"a target whose loss is a sum over clips \(classes, distribution, multilabel\)"),
    ],
    ids=["loss", "sampler", "mixup"],
)
def test_a_setting_is_refused_that_the_target_does_not_allow(
    setting: str, words: str, table: Path, tmp_path: Path
) -> None:
    words = rf"{setting} needs {words}, and the run learns dimensions: leave it out"
    with pytest.raises(UserError, match=words) as caught:
        train(spec(table, target="dimensions", overrides=dict([setting.split("=")])), tmp_path / "run")
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_without_a_target_classes_come_first_and_dimensions_where_no_clip_has_an_emotion(
    table: Path, runs: Any, tmp_path: Path
) -> None:
    lines = [line.split(",") for line in table.read_text().splitlines()]
    bare = table.with_name("bare.csv")
    bare.write_text("\n".join(",".join(line[:1] + line[2:4] + line[5:]) for line in lines) + "\n")
    assert "target" not in train(spec(table, "probe"), tmp_path / "classes")
    metrics = train(spec(bare, "probe"), tmp_path / "dimensions")
    assert metrics["target"]["kind"] == "dimensions"
    assert metrics["test"]["mean_ccc"] > 0
