"""`affetto predict` with models of every target: formats, timelines, calibration, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from affetto.cli import app
from affetto.errors import UserError
from affetto.inference import timeline
from affetto.inference.batch.options import record_of
from affetto.inference.loading import load
from training.corpora import RATE_HZ, sound

TargetRun = Callable[[str], Path]
DIMENSIONS = ["arousal", "valence"]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A recording of two sounds, longer than a window."""
    wave = np.concatenate([np.tile(sound(number, 0, 0), 8)[: 2 * RATE_HZ] for number in (0, 5)])
    soundfile.write(tmp_path / "clip.wav", wave, RATE_HZ, subtype="FLOAT")
    return tmp_path / "clip.wav"


def predict(model: Path, *words: object) -> str:
    """Standard output of a call that succeeds."""
    done = CliRunner().invoke(app, ["predict", str(model), *map(str, words), "--device", "cpu", "--quiet"])
    assert done.exit_code == 0, done.output
    return done.stdout


def refusal(model: Path, *words: object) -> str:
    """The one line of a call that fails, and prints nothing."""
    done = CliRunner().invoke(app, ["predict", str(model), *map(str, words), "--device", "cpu", "--quiet"])
    assert isinstance(done.exception, UserError) and not done.stdout
    line = str(done.exception)
    assert "\n" not in line
    return line


def test_numbers_with_their_intervals_in_every_format(target_run: TargetRun, clip: Path) -> None:
    run = target_run("dimensions")
    answer = load(run, device="cpu")(clip)
    (row,) = json.loads(predict(run, clip, "--format", "json"))
    assert row == {
        "file": str(clip),
        "dimensions": pytest.approx(answer.dimensions),
        "intervals": {name: pytest.approx(list(ends)) for name, ends in answer.intervals.items()},
    }
    assert list(row["dimensions"]) == list(row["intervals"]) == DIMENSIONS
    assert json.loads(predict(run, clip, "--format", "jsonl")) == row
    (cells,) = csv.DictReader(io.StringIO(predict(run, clip, "--format", "csv")))
    ends = [f"{name}_{end}" for name in DIMENSIONS for end in ("low", "high")]
    assert list(cells) == ["file", *DIMENSIONS, *ends, "error"]
    assert float(cells["valence_high"]) == pytest.approx(answer.intervals["valence"][1], abs=1e-6)
    table = predict(run, clip)
    assert "valence" in table and f"{answer.dimensions['valence']:.2f}" in table and "emotion" not in table


def test_the_rest_of_a_list_is_labelled_by_several_labels(target_run: TargetRun, clip: Path) -> None:
    run, out = target_run("multilabel"), clip.with_name("labels.csv")
    predict(run, clip, "--out", out)
    first = out.read_text()
    assert first.startswith("file,labels,anger,")
    soundfile.write(clip.with_name("next.wav"), sound(1, 0, 0), RATE_HZ, subtype="FLOAT")
    predict(run, clip, clip.with_name("next.wav"), "--out", out, "--resume")
    assert out.read_text().startswith(first) and len(out.read_text().splitlines()) == 3
    line = refusal(target_run("dimensions"), clip, "--out", out, "--resume")
    assert f"was begun with the model {run} (" in line
    record_of(out).unlink()
    line = refusal(target_run("dimensions"), clip, "--out", out, "--resume")
    assert line == f"{out} line 1: not a line of csv with these dimensions; give another --out"


@pytest.mark.parametrize("name", ["dimensions", "joint"])
def test_a_timeline_as_text_and_as_a_picture(
    name: str, target_run: TargetRun, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("silero_vad")
    monkeypatch.setattr(timeline, "silero", lambda: lambda frame: float(np.abs(frame).max() > 0.05))
    run, picture = target_run(name), clip.with_name("clip.svg")
    segments = json.loads(predict(run, clip, "--timeline", "--picture", picture))["segments"]
    assert segments and all(list(segment["dimensions"]) == DIMENSIONS for segment in segments)
    assert all("intervals" not in segment for segment in segments)
    assert "the mean value of each dimension" in " ".join(picture.read_text().split())
    rows = list(csv.DictReader(io.StringIO(predict(run, clip, "--timeline", "--format", "csv"))))
    assert [float(row["valence"]) for row in rows] == pytest.approx(
        [segment["dimensions"]["valence"] for segment in segments], abs=1e-6
    )
    assert not any(column.endswith(("_low", "_high")) for column in rows[0])
    words = predict(run, clip, "--timeline", "--format", "vtt")
    assert f"valence {segments[0]['dimensions']['valence']:.2f}\n" in words
    assert ("%" in words) == (name == "joint")


@pytest.mark.parametrize("name", ["classes", "joint"])
def test_sets_of_labels_in_every_format(name: str, target_run: TargetRun, clip: Path) -> None:
    run, out = target_run(name), clip.with_name("labels.csv")
    facts = json.loads((run / "model" / "affetto.json").read_text())["confidence"]["sets"]
    plain = json.loads(predict(run, clip, "--format", "jsonl"))
    row = json.loads(predict(run, clip, "--format", "jsonl", "--coverage", "0.8", "--sets", "aps"))
    likely = sorted(plain["probabilities"], key=lambda label: -plain["probabilities"][label])
    assert row["set"] == likely[: len(row["set"])]
    assert {field: value for field, value in row.items() if field != "set"} == plain
    model = load(run, device="cpu")
    model.cover(0.8, "aps")
    model.temperature = 1.0
    answer = model(clip)
    mass = np.cumsum([answer.probabilities[label] for label in likely])
    limit = facts["limits"]["aps"][facts["levels"].index(0.8)]
    scores = [high - answer.probabilities[label] / 2 for high, label in zip(mass, likely, strict=True)]
    assert answer.label_set == tuple(likely[: max(1, sum(score <= limit for score in scores))])
    predict(run, clip, "--out", out, "--coverage", "0.8", "--sets", "aps")
    (cells,) = csv.DictReader(io.StringIO(out.read_text()))
    assert cells["set"].split("|") == row["set"] and list(cells).index("set") == 2 + len(likely)
    predict(run, clip, "--out", out, "--coverage", "0.8", "--sets", "aps", "--resume")
    assert len(out.read_text().splitlines()) == 2
    table = predict(run, clip, "--coverage", "0.5")
    assert " set " in table and " set " not in predict(run, clip)
    assert "was begun with --coverage 0.8, and this call goes on without" in refusal(
        run, clip, "--out", out, "--resume"
    )
    record_of(out).unlink()
    assert "line 1: not a line of csv with these labels" in refusal(run, clip, "--out", out, "--resume")


def test_sets_that_a_model_lacks_are_refused_in_a_line(target_run: TargetRun, clip: Path) -> None:
    assert refusal(target_run("dimensions"), clip, "--coverage", "0.9").startswith("this model has no sets of labels")
    run = target_run("classes")
    line = refusal(run, clip, "--coverage", "0.92")
    assert (
        line
        == "a coverage of 0.92: this model has sets for 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99"
    )
    assert refusal(run, clip, "--coverage", "0.9", "--sets", "abs").startswith("unknown kind of sets 'abs'")
    assert refusal(run, clip, "--sets", "aps").endswith("give --coverage too, such as 0.9")
    for option in ("--coverage", "--refuse-novel", "--require-speech"):
        assert f"leave out {option} or --timeline" in refusal(run, clip, option, "0.9", "--timeline")


def test_what_a_target_lacks_is_refused_in_a_line(target_run: TargetRun, clip: Path, tmp_path: Path) -> None:
    pytest.importorskip("silero_vad")
    line = refusal(target_run("multilabel"), clip, "--timeline", "--out", tmp_path / "out.json")
    assert "makes no timeline" in line and not (tmp_path / "out.json").exists()
    for words in ([], ["--timeline"]):
        line = refusal(target_run("dimensions"), clip, "--abstain-below", "0.5", *words)
        assert line.startswith("--abstain-below is for models that name one emotion")
