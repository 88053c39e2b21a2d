"""Outputs of models of every target: rows, their files, and segments as text."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from affetto.errors import UserError
from affetto.inference.batch.columns import Columns
from affetto.inference.batch.inputs import Input
from affetto.inference.batch.labelling import as_row, facts
from affetto.inference.batch.outputs import Writer, resume
from affetto.inference.loading import load
from affetto.inference.segments import format_segments
from affetto.inference.spec import PredictorSpec
from affetto.inference.timeline import Segment
from affetto.targets.registry import TARGETS
from affetto.training.train import train
from targets.annotated import write_annotated
from training.corpora import sound, spec


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("targets")
    table = write_annotated(folder / "corpus")
    paths = {name: folder / name for name in TARGETS}
    for name, path in paths.items():
        train(spec(table, target=name, probe=False, overrides={"model.layer": "1", "probe.strengths": "[0.01]"}), path)
    return paths


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_rows_are_written_and_taken_up_again(name: str, kind: str, runs: dict[str, Path], tmp_path: Path) -> None:
    predictor = load(runs[name])
    columns, item = facts(predictor).columns, Input("a.wav")
    row = json.loads(json.dumps(as_row(item, predictor(sound(1, 1, 0)))))
    stream = io.StringIO()
    writer = Writer(stream, kind, columns, sections=False)
    writer.write(row)
    writer.write({"file": "b.wav", "error": "no sound"})
    file = tmp_path / f"labels.{kind}"
    file.write_text(stream.getvalue(), encoding="utf-8")
    assert resume(file, kind, columns, sections=False) == {("a.wav", None, None): True, ("b.wav", None, None): False}
    if kind == "csv":
        assert file.read_text(encoding="utf-8") == stream.getvalue()
        cells = next(csv.DictReader(io.StringIO(stream.getvalue())))
        assert set(cells) == {"file", "error", *columns.header}
        fields = columns.parsed(cells)
        assert fields.keys() == row.keys() - {"file"}
        assert columns.cells(fields) == columns.cells(row)
        assert ("arousal_low" in cells) == predictor.target.has_dimensions
    else:
        assert json.loads(stream.getvalue().splitlines()[0]) == json.loads(json.dumps(row))
        assert ("dimensions" in row) == predictor.target.has_dimensions
        assert ("emotion" in row) == predictor.target.has_classes


@pytest.mark.parametrize(
    ("columns", "segment", "words", "cells"),
    [
        (
            Columns((), ("arousal", "valence"), has_classes=False),
            Segment(0.0, 1.5, None, {}, dimensions={"arousal": 3.25, "valence": 2.0}),
            "arousal 3.25, valence 2.00",
            "talk.mp3,0.000,1.500,3.250000,2.000000",
        ),
        (
            Columns(("joy", "fear"), ("arousal",)),
            Segment(0.0, 1.5, "joy", {"joy": 0.8, "fear": 0.2}, dimensions={"arousal": 3.25}),
            "joy 80 %, arousal 3.25",
            "talk.mp3,0.000,1.500,joy,0.800000,0.200000,3.250000",
        ),
    ],
)
def test_segments_of_every_target_as_text(columns: Columns, segment: Segment, words: str, cells: str) -> None:
    text = {kind: format_segments([segment], kind, file="talk.mp3", columns=columns) for kind in ("json", "csv", "vtt")}
    assert text["csv"].splitlines() == [",".join(["file", "start", "end", *columns.header]), cells]
    assert text["vtt"].endswith(f"00:00:00.000 --> 00:00:01.500\n{words}\n")
    (found,) = json.loads(text["json"])["segments"]
    assert found == json.loads(json.dumps(segment.to_json()))


def test_no_two_columns_are_called_alike() -> None:
    columns = Columns(("joy", "fear"), ("joy", "error", "tension"), intervals=("joy",))
    numbers = ["joy_value", "error_value", "tension", "joy_low", "joy_high"]
    assert columns.header == ["emotion", "joy", "fear", *numbers]
    fields = {
        "emotion": "joy",
        "probabilities": {"joy": 0.75, "fear": 0.25},
        "dimensions": {"joy": 2.0, "error": 1.0, "tension": 3.5},
        "intervals": {"joy": [1.5, 2.5]},
    }
    assert columns.parsed(dict(zip(columns.header, columns.cells(fields), strict=True))) == fields


def test_rows_of_one_emotion_are_not_continued_by_several_labels(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text(json.dumps({"file": "a.wav", "emotion": "joy", "probabilities": {"joy": 1.0}}) + "\n")
    assert resume(file, "jsonl", Columns(("joy",)), sections=False) == {("a.wav", None, None): True}
    with pytest.raises(UserError, match="line 1: not a line of jsonl with these labels"):
        resume(file, "jsonl", Columns(("joy",), has_classes=False), sections=False)


@pytest.mark.parametrize("name", TARGETS)
def test_only_a_model_of_one_label_abstains(name: str, runs: dict[str, Path]) -> None:
    spec = PredictorSpec(str(runs[name]), abstain_below=0.9)
    if name in ("multilabel", "dimensions"):
        with pytest.raises(UserError, match=r"--abstain-below is for models that name one emotion; .* predicts"):
            spec.load()
    else:
        assert spec.load().abstain_below == 0.9
