"""Stress tests of a run: who answers, what is written, and going on after a kill."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from affetto.cli import app
from affetto.errors import UserError
from affetto.evaluation.stress.answers import Answers
from affetto.evaluation.stress.effects import changed_answers
from affetto.evaluation.stress.random_models import verdict
from affetto.evaluation.stress.stress import stress
from affetto.splits import Split
from affetto.targets.dimensions import Dimensions, Interval
from affetto.targets.multilabel import Multilabel
from affetto.training.runs import RunFolder
from affetto.training.spec import CorpusSpec
from affetto.training.train import train
from training.corpora import RATE_HZ, sound, spec, write_table

FEW = ("white", "gain", "mu-law")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six speakers, every second of them a woman."""
    path = write_table(tmp_path_factory.mktemp("corpus"), parts=False)
    head, *rows = path.read_text().splitlines()
    women = ["female" if row[-1] in "024" else "male" for row in rows]
    path.write_text(
        "\n".join([f"{head},gender", *(f"{row},{gender}" for row, gender in zip(rows, women, strict=True))])
    )
    return path


@pytest.fixture(scope="module")
def run(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three folds, with a final model beside them."""
    folder = tmp_path_factory.mktemp("run") / "run"
    train(spec(table, split="kfold:3"), folder, device="cpu")
    return folder


def corpus(table: Path) -> CorpusSpec:
    return CorpusSpec(name="table", path=str(table))


@pytest.fixture(scope="module")
def content(run: Path, table: Path) -> dict[str, Any]:
    return stress(run, corpus(table), only=FEW, device="cpu")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}


def test_each_clip_is_answered_by_the_fold_that_has_not_heard_its_speaker(run: Path, table: Path) -> None:
    content = stress(run, corpus(table), only=FEW, device="cpu")  # here: an error of a fixture would be no failure
    folds = Split.load(run / "split.json").folds
    assert content["answered_by"] == [fold.name for fold in folds] and content["clips"] == 42
    answers = RunFolder(run / "stress")
    stored = {row["file"]: row for row in RunFolder(run).read_lines("predictions.jsonl")}
    for fold in folds:
        rows = answers.read_lines(f"answers/{fold.name}/untouched.jsonl")
        assert {row["file"] for row in rows} == {clip.partition(":")[2] for clip in fold.test}
        for row in rows:  # what the run's own test said
            assert row["probabilities"] == pytest.approx(stored[row["file"]]["probabilities"], abs=1e-3)
    assert content["left_out"]["trained_on"] == 0
    assert content["untouched"]["uar"] == pytest.approx(
        json.loads((run / "metrics.json").read_text())["test"]["uar"], abs=0.03
    )


def test_the_effects_are_those_of_the_stored_answers(run: Path, content: dict[str, Any]) -> None:
    assert [record["name"] for record in content["perturbations"]] == list(FEW)
    of_level = content["perturbations"][0]["levels"][2]
    folders = sorted((run / "stress/answers").iterdir())
    called: dict[str, list[str]] = {}
    truth: list[str] = []
    for name in ("untouched", "white@0"):
        rows = [row for folder in folders for row in RunFolder(folder).read_lines(f"{name}.jsonl")]
        called[name] = [max(row["probabilities"], key=row["probabilities"].get) for row in rows]
        truth = [row["truth"] for row in rows]
    assert of_level["level"] == 0
    changed = np.array(called["untouched"]) != np.array(called["white@0"])
    assert of_level["changed"] == pytest.approx(changed.mean())

    def uar(labels: list[str]) -> float:
        hits = np.array(labels) == np.array(truth)
        return float(np.mean([hits[np.array(truth) == label].mean() for label in sorted(set(truth))]))

    score = of_level["scores"]["uar"]
    assert score["difference"] == pytest.approx(uar(called["white@0"]) - uar(called["untouched"]))
    assert score["interval"][0] <= score["difference"] <= score["interval"][1]
    assert score["verdict"] == verdict(score["difference"], tuple(score["interval"]), content["thresholds"]["uar"])
    low, high = of_level["changed_interval"]
    assert 0 <= low <= of_level["changed"] <= high <= 1


def test_the_table_has_a_line_a_level(run: Path, content: dict[str, Any]) -> None:
    with (run / "stress/stress.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["perturbation"], float(row["level"])) for row in rows] == [
        (record["name"], of_level["level"]) for record in content["perturbations"] for of_level in record["levels"]
    ]
    assert float(rows[0]["difference"]) == content["perturbations"][0]["levels"][0]["scores"]["uar"]["difference"]
    assert {row["may_alter"] for row in rows} == {"True", "False"}
    assert {float(row["threshold"]) for row in rows} == {content["thresholds"]["uar"]}
    heads = content["perturbations"][0]["levels"][0]["random_heads"]
    assert float(rows[0]["changed_random_heads"]) == heads["median"] >= heads["low"]


def test_a_killed_test_goes_on_and_gives_the_same_bytes(
    run: Path, table: Path, content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, plain, written = shutil.copytree(run, tmp_path / "run"), Answers._write, []
    shutil.rmtree(model / "stress")

    def dying(self: Answers, file: str, *rest: Any) -> None:
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append(file)
        plain(self, file, *rest)

    monkeypatch.setattr(Answers, "_write", dying)
    with pytest.raises(KeyboardInterrupt):
        stress(model, corpus(table), only=FEW, device="cpu")
    monkeypatch.setattr(Answers, "_write", lambda self, file, *rest: (written.append(file), plain(self, file, *rest)))
    again = stress(model, corpus(table), only=FEW, device="cpu")
    assert again | {"model": ""} == content | {"model": ""}
    assert len(written) == len(set(written)) == 3 * 7
    answers = {name: text for name, text in files(run / "stress").items() if name.startswith("answers")}
    assert answers == {name: text for name, text in files(model / "stress").items() if name.startswith("answers")}


def test_folds_hear_no_clip_of_the_training_so_seen_ones_cannot_be_included(
    run: Path, table: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"leave --include-seen out, or give the run's final model") as refused:
        stress(run, corpus(table), out=tmp_path, only=FEW, device="cpu", include_seen=True)
    assert "\n" not in str(refused.value) and not list(tmp_path.iterdir())


def test_another_test_is_refused_in_the_same_folder(run: Path, table: Path, content: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"holds another stress test .*give another --out"):
        stress(run, corpus(table), only=FEW, limit=9, device="cpu")


def test_a_limit_is_even_over_speakers_and_labels(run: Path, table: Path, tmp_path: Path) -> None:
    content = stress(run, corpus(table), only=["gain"], limit=12, out=tmp_path / "few", device="cpu")
    speakers = content["untouched"]["per_speaker"]
    assert content["clips"] == 12 and {facts["n"] for facts in speakers.values()} == {2}


def test_on_other_speakers_the_final_model_answers(run: Path, tmp_path: Path) -> None:
    other = write_table(tmp_path / "other", speakers=3, parts=False, first=10)
    spoken: list[str] = []
    spec = CorpusSpec(name="other", path=str(other))
    content = stress(run, spec, only=["shift"], out=tmp_path / "out", device="cpu", say=spoken.append)
    assert (content["answered_by"], content["clips"], content["trained_on"]) == (None, 21, "clips")
    same = CorpusSpec(name="other", path=str(write_table(tmp_path / "same", speakers=3, parts=False)))
    with pytest.raises(UserError, match=r"nothing is left to test on of 21 clips: 21 clips .* was trained on"):
        stress(run, same, only=["shift"], out=tmp_path / "none", device="cpu")


def test_an_unusable_clip_is_named_or_left_out(run: Path, tmp_path: Path) -> None:
    other = write_table(tmp_path / "other", speakers=3, parts=False, first=10)
    soundfile.write(tmp_path / "other/audio/s10-joy-0.wav", sound(0, 0, 0, 0.05), RATE_HZ)
    spec = CorpusSpec(name="other", path=str(other))
    with pytest.raises(UserError, match=r"1 of 21 clips cannot be used.*s10-joy-0.wav.*--skip-bad"):
        stress(run, spec, only=["shift", "babble"], out=tmp_path / "out", device="cpu")
    for _ in range(2):  # the second time from the stored answers
        content = stress(run, spec, only=["shift", "babble"], out=tmp_path / "out", device="cpu", skip_bad=True)
        assert content["clips"] == 20 and list(content["left_out"]["unusable"]) == ["other:audio/s10-joy-0.wav"]


@pytest.mark.parametrize(("target", "measures"), [("joint", ["uar", "mean_ccc"]), ("multilabel", ["macro_f1_labels"])])
def test_every_target_has_its_differences(
    target: str, measures: list[str], target_run: Callable[[str], Path], annotated: Path, tmp_path: Path
) -> None:
    content = stress(target_run(target), corpus(annotated), only=["gain"], out=tmp_path, device="cpu")
    assert content["clips"] == 7 and len(content["perturbations"][0]["levels"]) == 2
    for of_level in content["perturbations"][0]["levels"]:
        assert len(of_level["scores"]) == len(measures)
        assert all(score["interval"] is None for score in of_level["scores"].values()), "there is one speaker"


def test_dimensions_count_as_changed_beyond_a_share_of_their_range() -> None:
    target = Dimensions(("arousal",), (Interval(1, 5),))
    before = [{"prediction": {"arousal": 3.0}}, {"prediction": {"arousal": 3.0}}]
    after = [{"prediction": {"arousal": 3.19}}, {"prediction": {"arousal": 2.79}}]
    assert changed_answers(target, before, after).tolist() == [False, True]
    marks = Multilabel(("anger", "joy"))
    before, after = [{"prediction": ["anger", "joy"]}] * 2, [{"prediction": ["joy", "anger"]}, {"prediction": ["joy"]}]
    assert changed_answers(marks, before, after).tolist() == [False, True]


def test_the_command_prints_a_table_and_marks_what_people_may_hear_otherwise(
    run: Path, table: Path, content: dict[str, Any]
) -> None:
    command = [
        "stress",
        str(run),
        "--corpus",
        f"table={table.parent}",
        "--only",
        "white,gain",
        "--by",
        "gender",
        "--device",
        "cpu",
    ]
    result = CliRunner().invoke(app, command, env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    assert "white*" in result.output and "gain*" not in result.output and "10 dB SNR" in result.output
    assert "Random models differ by up to UAR" in " ".join(result.output.split()) and "verdict" in result.output
    assert "gender female" in result.output and "gap in UAR" in result.output
    stored = json.loads((run / "stress/stress.json").read_text())
    assert [group["clips"] for group in stored["gaps"][0]["groups"]] == [21, 21]
    assert "Untouched: UAR" in result.output and "one of 3 folds" in result.output
    article = (run / "stress/stress.tex").read_text(encoding="utf-8")
    assert article.count(r"\begin{tabular}{") == 2 and r"white* & 10 dB SNR" in article
