"""Tests that adapt to their speakers: by whose clips, by which model, and what the result says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from affetto.cli import app
from affetto.errors import UserError
from affetto.evaluation.adapted import evaluate_adapted
from affetto.evaluation.testing import evaluate
from affetto.export.ensemble import build_ensemble
from affetto.inference.loading import load
from affetto.splits import Split
from affetto.training.runs import RunFolder
from affetto.training.spec import CorpusSpec
from affetto.training.train import train
from training.corpora import RATE_HZ, spec, write_table


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("corpus"), parts=False)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three speakers whom the run has not heard."""
    return write_table(tmp_path_factory.mktemp("others"), speakers=3, parts=False, first=10)


@pytest.fixture(scope="module")
def run(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three folds, with a final model beside them."""
    folder = tmp_path_factory.mktemp("run") / "run"
    train(spec(table, split="kfold:3"), folder, device="cpu")
    return folder


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


def adapted_by_hand(model: Path, audio: Path, file: str) -> dict[str, float]:
    """The answer to a clip by a model adapted to the speaker's other clips, through the interface of `predict`."""
    speaker = file.split("/")[1].split("-")[0]
    own = sorted((audio / "audio").glob(f"{speaker}-*.wav"))
    predictor = load(model, device="cpu", long_clips="cropped", calibrate=False)
    adapted = predictor.for_speaker([path for path in own if path.name != Path(file).name])
    return adapted(audio / file).probabilities


def test_each_clip_is_answered_after_the_speakers_other_clips_alone(run: Path, others: Path, tmp_path: Path) -> None:
    metrics = evaluate_adapted(run, CorpusSpec(name="others", path=str(others)), out=tmp_path / "out", device="cpu")
    rows = lines(tmp_path / "out")
    assert metrics["adapted"] == {"speakers": 3, "clips": [6, 6], "alone": 0, "one_sided": 0} and len(rows) == 21
    assert not metrics["by_folds"]
    for row in rows[::4]:
        by_hand = adapted_by_hand(run, others.parent, row["file"])
        assert row["probabilities"] == pytest.approx(by_hand, abs=1e-5)
    as_it_is = evaluate(run, CorpusSpec(name="others", path=str(others)), device="cpu", out=tmp_path / "plain")
    assert "adapted" not in as_it_is
    changes = [
        abs(row["probabilities"]["joy"] - plain["probabilities"]["joy"])
        for row, plain in zip(rows, lines(tmp_path / "plain"), strict=True)
    ]
    assert max(changes) > 1e-3


def test_the_fold_that_has_not_heard_the_speaker_adapts(run: Path, table: Path, tmp_path: Path) -> None:
    metrics = evaluate_adapted(run, CorpusSpec(name="table", path=str(table)), out=tmp_path / "out", device="cpu")
    rows = lines(tmp_path / "out")
    assert metrics["by_folds"] and len(rows) == 42 and metrics["left_out"]["trained_on"] == 0
    for fold in Split.load(RunFolder(run).split).folds:
        tested = {clip.partition("/")[2] for clip in fold.test}
        row = next(row for row in rows if any(row["file"].endswith(name) for name in tested))
        by_hand = adapted_by_hand(RunFolder(run).fold(fold.name).path / "model", table.parent, row["file"])
        assert row["probabilities"] == pytest.approx(by_hand, abs=1e-5)


def test_notes_of_the_models_are_said_once(run: Path, table: Path) -> None:
    spoken: list[str] = []
    evaluate_adapted(run, CorpusSpec(name="table", path=str(table)), device="cpu", say=spoken.append)
    (note,) = load(run, device="cpu").notes
    assert spoken.count(f"note: {note}") == 1


def test_a_clip_alone_of_its_speaker_is_answered_by_the_model_as_it_is(run: Path, others: Path, tmp_path: Path) -> None:
    alone = others.parent / "alone.csv"
    head, *rows = others.read_text().splitlines()
    alone.write_text("\n".join([head, *rows[:3], rows[-1]]) + "\n")
    metrics = evaluate_adapted(run, alone, out=tmp_path / "out", device="cpu")
    assert metrics["adapted"] == {"speakers": 2, "clips": [0, 2], "alone": 1, "one_sided": 0}
    evaluate(run, alone, out=tmp_path / "plain", device="cpu")
    *_, row = lines(tmp_path / "out")
    assert row["probabilities"] == pytest.approx(lines(tmp_path / "plain")[-1]["probabilities"], abs=1e-6)


def test_speakers_of_few_labels_are_counted_and_said(run: Path, others: Path) -> None:
    few = others.parent / "few.csv"
    head, *rows = others.read_text().splitlines()
    anna, bea, carla = rows[:7], rows[7:14], rows[14:]
    few.write_text("\n".join([head, *anna, *bea[:3], *carla[:4]]) + "\n")
    spoken: list[str] = []
    metrics = evaluate_adapted(run, few, device="cpu", say=spoken.append)
    assert metrics["adapted"] == {"speakers": 3, "clips": [2, 6], "alone": 0, "one_sided": 1}
    assert any(line.startswith("note: 1 of 3 speakers have clips of less than half of the labels") for line in spoken)


def test_an_unusable_clip_adapts_nobody(run: Path, others: Path, tmp_path: Path) -> None:
    corpus = write_table(tmp_path / "corpus", speakers=1, parts=False, first=10)
    plain = evaluate_adapted(run, corpus, out=tmp_path / "all", device="cpu")
    broken = corpus.parent / "audio" / "s10-joy-0.wav"
    soundfile.write(broken, np.full(RATE_HZ, np.nan, np.float32), RATE_HZ, subtype="FLOAT")
    with pytest.raises(UserError, match=r"s10-joy-0\.wav"):
        evaluate_adapted(run, corpus, device="cpu")
    metrics = evaluate_adapted(run, corpus, skip_bad=True, out=tmp_path / "out", device="cpu")
    assert plain["adapted"]["clips"] == [6, 6] and metrics["adapted"]["clips"] == [5, 5]
    assert metrics["test"]["n"] == 6 and list(metrics["left_out"]["unusable"]) == ["clips:audio/s10-joy-0.wav"]


def test_models_without_a_speakers_constants_are_refused(run: Path, others: Path, tmp_path: Path) -> None:
    build_ensemble(
        [RunFolder(run).fold("1").path / "model", RunFolder(run).fold("2").path / "model"], tmp_path / "mean"
    )
    with pytest.raises(UserError, match=r"only single models with head=statistics .* leave --calibrate out"):
        evaluate_adapted(tmp_path / "mean", others, out=tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


def test_the_command_says_that_the_protocol_is_another(run: Path, others: Path) -> None:
    options = ["evaluate", str(run), "--table", str(others), "--calibrate", "--device", "cpu"]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 0
    assert "adapted to each of 3 speakers by 6 other unlabelled clips of theirs: another protocol" in done.output
    both = CliRunner().invoke(app, [*options, "--tta", "0.9"])
    assert isinstance(both.exception, UserError) and "leave --tta out" in str(both.exception)
