"""Tests of every target on another corpus: scores, what is left out, and corpora that lack the target."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affetto.errors import UserError
from affetto.evaluation.confidence import confidence_of
from affetto.evaluation.crossing import cross
from affetto.evaluation.seen import TrainedOn
from affetto.evaluation.testing import choose, evaluate, read_test_clips, row_of
from affetto.targets.classes import Classes
from affetto.targets.dimensions import Dimensions, Interval
from affetto.targets.distribution import Distribution
from affetto.targets.multilabel import Multilabel
from affetto.targets.registry import TARGETS, target_of_run
from affetto.training.runs import RunFolder
from affetto.training.spec import CorpusSpec
from targets.annotated import write_annotated

AROUSAL = Dimensions(("arousal",), (Interval(1, 5),))


def rewritten(annotated: Path, folder: Path, change: Callable[[dict[str, str]], None]) -> CorpusSpec:
    """The annotated table with each row changed."""
    rows = list(csv.DictReader(annotated.open()))
    for row in rows:
        row["file"] = str(annotated.parent / row["file"])
        change(row)
    table = folder / "other.csv"
    with table.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return CorpusSpec(name="other", path=str(table))


def chosen(target: Any, corpus: CorpusSpec, lines: list[str] | None = None) -> tuple[list[Any], dict[str, Any]]:
    clips = read_test_clips((corpus,), {})
    return choose(clips, target, TrainedOn(), say=[].append if lines is None else lines.append)


@pytest.mark.parametrize(
    ("target", "columns", "words"),
    [
        (AROUSAL, ("arousal",), "has no arousal, which the model predicts.*--dimension arousal=COLUMN:1:5"),
        (Dimensions(("arousal",), (Interval(0, 1),)), (), "arousal goes from 1 to 5, and the model predicts 0 to 1"),
        (Distribution(("anger", "joy")), ("ratings",), "has no ratings"),
        (Classes(("anger", "joy")), ("emotion", "ratings"), "has no emotions"),
        (Multilabel(("anger", "joy")), ("emotion", "ratings"), "has no emotions"),
    ],
)
def test_a_corpus_that_lacks_the_target_is_named_in_one_line(
    target: Any, columns: tuple[str, ...], words: str, annotated: Path, tmp_path: Path
) -> None:
    corpus = rewritten(annotated, tmp_path, lambda row: [row.pop(column) for column in columns] and None)
    with pytest.raises(UserError, match=words) as problem:
        chosen(target, corpus)
    assert "\n" not in str(problem.value)


def test_clips_of_unknown_labels_and_without_a_value_are_left_out_and_counted(annotated: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    corpus = rewritten(annotated, tmp_path, lambda row: None)
    clips, left_out = chosen(Multilabel(("anger", "disgust")), corpus, lines)
    assert {clip.emotion for clip in clips} == {"anger", "disgust"}
    assert left_out["unknown_emotions"]["joy|neutrality"] == 6 and "joy|neutrality (6)" in lines[0]
    clips, left_out = chosen(Distribution(("anger", "disgust")), corpus)
    assert len(clips) == 12 and left_out["unknown_emotions"]["fear"] == 6
    lines.clear()

    def without_arousal(row: dict[str, str]) -> None:
        row["arousal"] = "" if row["emotion"] == "anger" else row["arousal"]

    clips, left_out = chosen(AROUSAL, rewritten(annotated, tmp_path, without_arousal), lines)
    assert (len(clips), left_out["unknown_emotions"]) == (36, {"no arousal": 6})
    assert lines[-1] == "left out: no arousal (6)"


def test_a_line_has_the_fields_of_a_run_s_predictions(annotated: Path, tmp_path: Path) -> None:
    (clip, *_), _ = chosen(AROUSAL, rewritten(annotated, tmp_path, lambda row: None))
    row = row_of(clip, AROUSAL, np.array([3.25]))
    assert row["truth"] == {"arousal": 4.5} and row["prediction"] == {"arousal": 3.25}
    target = Multilabel(("anger", "disgust"))
    row = row_of(clip, target, np.array([0.4, 0.2]), decision={"anger": 0.3, "disgust": 0.3}, several=True)
    assert (row["truth"], row["prediction"], row["corpus"]) == (["anger"], ["anger"], "other")


def test_coverage_is_by_the_half_width_of_the_model_that_predicted_the_clip() -> None:
    rows = [
        {"speaker": speaker, "truth": {"arousal": 3.0}, "prediction": {"arousal": 3.0 + error}}
        for speaker, error in (("a", 0.4), ("a", -0.6), ("b", 0.6))
    ]
    narrow, wide = (
        {"conformal": {"level": 0.9, "dimensions": {"arousal": {"half_width": width}}}} for width in (0.5, 1.0)
    )
    facts = confidence_of(AROUSAL, rows, [narrow, narrow, wide])["conformal"]["dimensions"]["arousal"]
    assert facts == {"half_width": None, "coverage": 2 / 3, "per_speaker": {"a": 0.5, "b": 1.0}}
    assert confidence_of(AROUSAL, rows, [narrow] * 3)["conformal"]["dimensions"]["arousal"]["half_width"] == 0.5


@pytest.fixture(scope="module")
def unheard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of other people than `annotated`."""
    return write_annotated(tmp_path_factory.mktemp("unheard"), speakers=3, first=6)


def grid_of(folder: Path, run: Path) -> Path:
    """A grid with a copy of this run."""
    shutil.copytree(run, folder / "runs" / run.name)
    (folder / "grid.json").write_text(json.dumps({"name": "g", "runs": [{"run": run.name}]}))
    return folder


@pytest.mark.parametrize("name", TARGETS)
def test_a_run_of_every_target_is_crossed(
    name: str, unheard: Path, target_run: Callable[[str], Path], tmp_path: Path
) -> None:
    grid = grid_of(tmp_path / "grid", target_run(name))
    said: list[str] = []
    outcome = cross(grid, {"other": str(unheard)}, device="cpu", tell=lambda _done, _all, text: said.append(text))
    assert (outcome.done, outcome.failed) == (1, {})
    folder = RunFolder(grid / "runs" / name).crossed("other", unshared=False)
    metrics, rows = folder.read("metrics.json"), folder.read_lines("predictions.jsonl")
    assert metrics is not None and len(rows) == 21
    target = target_of_run(metrics)
    assert target.name == name and json.loads(json.dumps(target.scores(rows))) == metrics["test"]
    assert said == [f"{name} on other: {target.summary(metrics['test'])}"]
    fitted = json.loads((target_run(name) / "metrics.json").read_text())["confidence"]
    assert metrics["confidence"].get("thresholds") == fitted.get("thresholds")
    for dimension in target.dimensions:
        transferred = metrics["confidence"]["conformal"]["dimensions"][dimension]
        assert transferred["half_width"] == fitted["conformal"]["dimensions"][dimension]["half_width"]
        assert set(transferred["per_speaker"]) == {"s6", "s7", "s8"}
    assert cross(grid, {"other": str(unheard)}, device="cpu").new == 0
    evaluate(target_run(name), (CorpusSpec(name="other", path=str(unheard)),), device="cpu", out=tmp_path / "evaluated")
    evaluated = RunFolder(tmp_path / "evaluated").read_lines("predictions.jsonl")
    for row, other in zip(rows, evaluated, strict=True):
        for field in set(row) - {"prediction"} if target.has_marks else set(row):
            assert row[field] == (
                pytest.approx(other[field], abs=2e-3) if isinstance(row[field], dict) else other[field]
            )


def test_the_range_of_a_table_to_cross_is_told_where_its_values_do_not_show_it(
    unheard: Path, target_run: Callable[[str], Path], tmp_path: Path
) -> None:
    grid = grid_of(tmp_path / "grid", target_run("dimensions"))
    low = rewritten(unheard, tmp_path, lambda row: row.update(arousal="0.5", tension="3"))
    failed = cross(grid, {"other": low.path}, device="cpu").failed
    assert "arousal goes from 0 to 1, and the model predicts 1 to 5" in failed["dimensions on other"]
    options = {"dimensions": "arousal=tension:1:5,valence=valence:1:5"}
    outcome = cross(grid, {"other": low.path}, options={"other": options}, device="cpu")
    assert (outcome.done, outcome.failed) == (1, {})


def test_a_test_of_annotations_is_done_again_where_they_have_changed(unheard: Path, tmp_path: Path) -> None:
    before, after = (
        read_test_clips((rewritten(unheard, tmp_path, lambda row, value=value: row.update(arousal=value)),), {})
        for value in ("2.5", "2.6")
    )
    assert before.digest() == after.digest()
    assert before.digest(with_annotations=True) != after.digest(with_annotations=True)
