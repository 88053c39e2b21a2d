"""Predictions and timelines of models of every target: equal to the lines that their runs wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from affetto.errors import UserError
from affetto.inference import timeline
from affetto.inference.decision import answer_fields, decide
from affetto.inference.loading import load
from affetto.targets.classes import Classes
from affetto.targets.dimensions import Dimensions, Interval
from affetto.targets.joint import Joint
from affetto.targets.multilabel import Multilabel
from affetto.targets.registry import TARGETS
from affetto.targets.temperature import calibrated
from training.corpora import RATE_HZ, sound

LABELS = ("anger", "joy")
NUMBERS = Dimensions(("arousal", "tension"), (Interval(1, 5), Interval(0, 1)))
VALUES = np.array([0.4, 0.6, 3.0, 0.9])


TargetRun = Callable[[str], Path]


@pytest.mark.parametrize("name", TARGETS)
def test_a_prediction_is_what_its_run_wrote(name: str, annotated: Path, target_run: TargetRun) -> None:
    run = target_run(name)
    predictor = load(run, device="cpu", calibrate=False)
    assert predictor.target.name == name
    lines = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()][:3]
    for line, result in zip(
        lines, predictor.classify([annotated.parent / line["file"] for line in lines]), strict=True
    ):
        assert result.probabilities == pytest.approx(line.get("probabilities", {}), abs=1e-4)
        if predictor.target.has_dimensions:
            assert result.dimensions == pytest.approx(line["prediction"], abs=1e-3)
        else:
            assert result.dimensions == {}
        if predictor.target.has_classes:
            assert result.emotion == max(result.probabilities, key=lambda label: result.probabilities[label])
        else:
            assert result.emotion is None and not result.abstained
            assert (result.labels is None) == (not predictor.labels)


def test_several_labels_are_those_above_the_thresholds_of_the_card(target_run: TargetRun) -> None:
    run = target_run("multilabel")
    metrics = json.loads((run / "metrics.json").read_text())
    predictor = load(run, device="cpu")
    result = predictor(sound(1, 0, 0))
    limits = metrics["confidence"]["thresholds"]
    assert list(result.labels or ()) == [label for label, p in result.probabilities.items() if p >= limits[label]]


def test_a_timeline_follows_the_dimensions(target_run: TargetRun, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("silero_vad")
    monkeypatch.setattr(timeline, "silero", lambda: lambda frame: float(np.abs(frame).max() > 0.05))
    loud = np.concatenate([np.tile(sound(number, 0, 0), 8)[: 2 * RATE_HZ] for number in (0, 5)])
    for name in ("dimensions", "joint"):
        predictor = load(target_run(name), device="cpu")
        segments = list(timeline.Timeline(predictor, shortest_seconds=0.2)(loud))
        assert segments and all(1 <= value <= 5 for s in segments for value in s.dimensions.values())
        assert set(segments[0].to_json()) - {"start", "end"} == (
            {"dimensions"} if name == "dimensions" else {"emotion", "probabilities", "dimensions"}
        )
    numbers = load(target_run("dimensions"), device="cpu")
    window = numbers.window_seconds
    assert window is not None
    cells = list(timeline.Timeline(numbers, shortest_seconds=0.2)(loud))
    assert len(cells) > 1 and cells[0].end - cells[0].start == pytest.approx(window / 2, abs=0.01), "a segment a hop"
    with pytest.raises(UserError, match="several labels makes no timeline"):
        timeline.Timeline(load(target_run("multilabel"), device="cpu"))


# -- decisions ----------------------------------------------------------------------------------------------------


def test_intervals_end_where_the_range_does() -> None:
    widths = {"arousal": {"half_width": 0.5}, "tension": {"half_width": 0.25}}
    decision = decide(Joint(Classes(LABELS), NUMBERS), VALUES, {"conformal": {"dimensions": widths}}, 0.0)
    assert decision.intervals == {"arousal": (2.5, 3.5), "tension": (pytest.approx(0.65), 1.0)}
    assert answer_fields(decision) == {
        "emotion": "joy",
        "probabilities": {"anger": 0.4, "joy": 0.6},
        "dimensions": {"arousal": 3.0, "tension": 0.9},
        "intervals": {"arousal": [2.5, 3.5], "tension": [pytest.approx(0.65), 1.0]},
    }


def test_an_answer_has_the_fields_of_its_target() -> None:
    assert answer_fields(decide(NUMBERS, VALUES[2:], {}, 0.0)) == {"dimensions": {"arousal": 3.0, "tension": 0.9}}
    several = {"probabilities": {"anger": 0.4, "joy": 0.6}, "labels": ["joy"]}
    assert answer_fields(decide(Multilabel(LABELS), VALUES[:2], {}, 0.9)) == several, "1/K, and nothing abstains"
    lower = {"thresholds": {"anger": 0.3, "joy": 0.7}}
    assert decide(Multilabel(LABELS), VALUES[:2], lower, 0.0).labels == ("anger",)
    abstained = {"emotion": None, "probabilities": {"anger": 0.4, "joy": 0.6}}
    assert answer_fields(decide(Classes(LABELS), VALUES[:2], {}, 0.7)) == abstained


def test_the_temperature_acts_on_classes_alone(target_run: TargetRun) -> None:
    predictor = load(target_run("joint"), device="cpu")
    predictor.temperature = 2.0
    count = len(predictor.labels)
    values = np.concatenate([np.full(count, 1 / count), [2.0, 4.0]])
    values[:2] += (0.1, -0.1)
    np.testing.assert_array_equal(predictor.calibrated(values)[count:], [2.0, 4.0])
    np.testing.assert_allclose(predictor.calibrated(values)[:count], calibrated(values[:count], 2.0))
    for name in ("dimensions", "multilabel"):
        assert load(target_run(name), device="cpu").temperature == 1.0
