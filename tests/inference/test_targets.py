"""Predictions of models of every target: one path, its fields, its outputs, its timeline."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from affetto.inference.answers import Columns
from affetto.inference.backends.trained import ClassifierPredictor
from affetto.inference.batch.inputs import Input
from affetto.inference.batch.labelling import as_row
from affetto.inference.batch.outputs import Writer, resume
from affetto.inference.loading import load
from affetto.inference.segments import format_segments
from affetto.inference.timeline import Segment, Timeline
from affetto.models.saved import load_classifier
from affetto.targets.registry import TARGETS
from affetto.training.train import train
from targets.annotated import write_annotated
from training.corpora import RATE_HZ, sound, spec


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("targets")
    table = write_annotated(folder / "corpus")
    paths = {name: folder / name for name in TARGETS}
    for name, path in paths.items():
        train(spec(table, target=name, probe=False, overrides={"model.layer": "1", "probe.strengths": "[0.01]"}), path)
    return paths


def clip_of(run: Path, line: dict[str, Any]) -> Path:
    return run.parent / "corpus" / line["file"]


@pytest.mark.parametrize("name", TARGETS)
def test_a_model_answers_as_its_run_was_tested(name: str, runs: dict[str, Path]) -> None:
    lines = [json.loads(line) for line in (runs[name] / "predictions.jsonl").read_text().splitlines()]
    predictor = load(runs[name], calibrate=False)
    for line, answer in zip(lines, predictor.classify([clip_of(runs[name], line) for line in lines]), strict=True):
        assert answer.probabilities == pytest.approx(line.get("probabilities", {}), abs=1e-3)
        if predictor.target.has_dimensions:
            assert answer.dimensions == pytest.approx(line["prediction"], abs=5e-3)
        if name == "multilabel":
            assert list(answer.labels) == line["prediction"] and answer.emotion is None and not answer.abstained
        assert (answer.emotion is not None) == predictor.target.has_classes


@pytest.mark.parametrize("name", TARGETS)
def test_padded_windows_give_the_same(name: str, runs: dict[str, Path]) -> None:
    classifier, card = load_classifier(runs[name] / "model")
    waves = [sound(n, 1, 0, seconds) for n, seconds in enumerate((0.6, 1.1, 0.8))]
    expected = ClassifierPredictor(classifier, card, torch.device("cpu")).window_probabilities(waves)
    padded = ClassifierPredictor(load_classifier(runs[name] / "model")[0], card, torch.device("cpu"))
    padded.classifier.merge(whole_clips=False)
    padded._use_padded()
    assert np.allclose(padded.window_probabilities(waves), expected, atol=1e-5)
    for wave, row in zip(waves, expected, strict=True):
        assert np.allclose(padded.window_probabilities([wave])[0], row, atol=1e-5)


def test_intervals_are_the_card_s_and_stay_within_the_range(runs: dict[str, Path]) -> None:
    predictor = load(runs["dimensions"])
    widths = predictor.card["confidence"]["conformal"]["dimensions"]
    answer = predictor(sound(0, 0, 0))
    for name, (low, high) in answer.intervals.items():
        value, half = answer.dimensions[name], widths[name]["half_width"]
        assert (low, high) == (max(1.0, value - half), min(5.0, value + half))
    del predictor.card["confidence"]["conformal"]
    assert predictor(sound(0, 0, 0)).intervals == {}


def test_a_temperature_leaves_dimensions_alone(runs: dict[str, Path]) -> None:
    predictor, plain = load(runs["joint"]), load(runs["joint"], calibrate=False)
    predictor.temperature = 3.0
    calibrated, before = predictor(sound(0, 0, 0)), plain(sound(0, 0, 0))
    assert calibrated.dimensions == before.dimensions
    assert max(calibrated.probabilities.values()) < max(before.probabilities.values())


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_rows_are_written_and_taken_up_again(name: str, kind: str, runs: dict[str, Path], tmp_path: Path) -> None:
    predictor = load(runs[name])
    columns, item = Columns.of(predictor.target), Input("a.wav")
    row = as_row(item, predictor(sound(1, 1, 0)), columns)
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
        assert columns.parsed(cells).keys() == row.keys() - {"file", "intervals"}
    else:
        assert json.loads(stream.getvalue().splitlines()[0]) == json.loads(json.dumps(row))
        assert ("dimensions" in row) == predictor.target.has_dimensions
        assert ("emotion" in row) == predictor.target.has_classes


def test_a_timeline_of_numbers_has_a_segment_a_hop_and_of_labels_one_a_set(runs: dict[str, Path]) -> None:
    predictor = load(runs["dimensions"])
    row = np.array([3.0, 2.0])
    assert not predictor.is_alike(row, row)
    several = load(runs["multilabel"])
    several.card["confidence"]["thresholds"] = dict.fromkeys(several.labels, 0.5)
    low, high = np.full(7, 0.2), np.full(7, 0.2)
    high[0] = 0.9
    assert several.is_alike(low, low + 0.1) and not several.is_alike(low, high)
    joint = load(runs["joint"])
    assert joint.is_alike(np.array([*low, 1.0, 5.0]), np.array([*low, 5.0, 1.0]))


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
            Columns(("joy", "fear"), has_classes=False),
            Segment(0.0, 1.5, None, {"joy": 0.8, "fear": 0.7}, labels=("joy", "fear")),
            "joy, fear",
            "talk.mp3,0.000,1.500,joy|fear,0.800000,0.700000",
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
    assert found.keys() == {"start", "end", *columns.fields(segment)}


def test_a_timeline_gives_dimensions_over_time(runs: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("silero_vad")
    wave = np.concatenate([sound(n % 7, 1, n, 1.0) for n in range(8)])
    soundfile.write(tmp_path / "long.wav", wave, RATE_HZ)
    segments = list(Timeline(load(runs["dimensions"]), hop_seconds=1.0)(tmp_path / "long.wav"))
    assert all(segment.emotion is None and segment.dimensions.keys() == {"arousal", "valence"} for segment in segments)
