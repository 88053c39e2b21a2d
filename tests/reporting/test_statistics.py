"""Spread over seeds, the interval over speakers: by hand, and against what metrics.json holds."""

from __future__ import annotations

import numpy as np
import pytest

from affetto.errors import UserError
from affetto.reporting.statistics import estimate, over_corpora, over_seeds, score_by_seed
from affetto.reporting.systems import Predictions, System
from affetto.training.evaluate import MEASURES, scores
from reporting.voices import drawn, rows, system


def metrics(predictions):
    truth = [predictions.labels[n] for n in predictions.truth]
    return scores(truth, predictions.probabilities, predictions.labels, predictions.speakers)


def test_over_seeds_is_mean_and_sample_deviation():
    spread = over_seeds({0: 1.0, 1: 2.0, 2: 6.0})
    assert (spread.mean, spread.deviation, spread.seeds) == (3.0, pytest.approx(7**0.5), (0, 1, 2))
    assert over_seeds({4: 0.5}).deviation is None


def test_over_corpora_averages_the_corpora_of_each_seed_first():
    # Means of seeds 0 and 1: 2 and 3. Seed 2 is missing on one corpus, and so is left out.
    spread = over_corpora({"emovo": {0: 1.0, 1: 5.0, 2: 9.0}, "demos": {0: 3.0, 1: 1.0}})
    assert (spread.mean, spread.deviation) == (2.5, pytest.approx(0.5**0.5))
    assert (spread.seeds, spread.corpora) == ((0, 1), ("emovo", "demos"))
    # The mean of the corpora's own deviations would be another number, 2.12.
    with pytest.raises(ValueError, match="no seed"):
        over_corpora({"emovo": {0: 1.0}, "demos": {1: 1.0}})


def test_one_seed_s_score_and_interval_are_those_of_metrics_json():
    one = drawn(12, 0.6, 3)
    told = metrics(one.runs[0])
    for measure in MEASURES:
        result = estimate([one], measure)
        assert result.value == pytest.approx(told[measure])
        assert [result.low, result.high] == pytest.approx(told["interval"][measure])
        assert score_by_seed(one, measure) == {0: pytest.approx(told[measure])}
    assert (result.over, result.units, result.seeds) == (("speakers",), (12,), (0,))


def test_seeds_are_averaged_and_are_no_new_evidence():
    one = drawn(12, 0.6, 3)
    twice = system(
        one.runs[0].truth.tolist(), {s: one.runs[0].predicted.tolist() for s in (0, 1)}, one.runs[0].speakers
    )
    assert estimate([twice]).low == pytest.approx(estimate([one]).low)
    three = drawn(12, 0.6, 3, seeds=3)
    assert estimate([three]).value == pytest.approx(np.mean([metrics(run)["macro_f1"] for run in three.runs.values()]))


def test_bootstrap_is_deterministic_and_depends_on_its_seed():
    one = drawn(12, 0.6, 3)
    assert estimate([one]) == estimate([one])
    assert estimate([one], seed=1).low != estimate([one]).low


def test_several_corpora_weigh_the_same():
    big, small = drawn(40, 0.9, 1, corpus="demos"), drawn(12, 0.4, 2, corpus="emovo")
    both, one, other = (estimate(some, "uar") for some in ([big, small], [big], [small]))
    assert both.value == pytest.approx((one.value + other.value) / 2)
    # Independent draws: half widths add up in squares, and the mean halves them.
    expected = np.hypot(one.high - one.low, other.high - other.low) / 2
    assert both.high - both.low == pytest.approx(expected, rel=0.08)
    assert both.units == (40, 12) and both.holds(both.value) and not both.holds(1.0)


def test_one_speaker_is_resampled_by_clip_and_says_so():
    alone = estimate([drawn(1, 0.6, 3, clips=60)], "accuracy")
    assert (alone.over, alone.units) == (("clips",), (60,))
    half = 1.96 * (alone.value * (1 - alone.value) / 60) ** 0.5
    assert alone.high - alone.low == pytest.approx(2 * half, rel=0.1)


def test_seeds_must_be_of_the_same_clips():
    truth, names = [0, 1, 2], ["a", "a", "b"]
    with pytest.raises(UserError, match=r"differ in the truth of 1 clips, such as '0002.wav'"):
        System(
            "lora",
            "emovo",
            {0: Predictions.of(rows(truth, truth, names)), 1: Predictions.of(rows([0, 1, 1], truth, names))},
        )
    with pytest.raises(UserError, match="not tested on the same clips"):
        System(
            "lora",
            "emovo",
            {0: Predictions.of(rows(truth, truth, names)), 1: Predictions.of(rows([0, 1], [0, 1], ["a", "b"]))},
        )


def test_predictions_are_sorted_by_clip_and_refuse_doubles():
    lines = rows([0, 1, 2], [0, 2, 2], ["a", "b", "b"])
    backwards = Predictions.of(reversed(lines))
    assert backwards.clips == ("0000.wav", "0001.wav", "0002.wav")
    assert backwards.predicted.tolist() == [0, 2, 2]
    assert Predictions.of({**line, "corpus": "demos"} for line in lines).clips[0] == "demos:0000.wav"
    with pytest.raises(UserError, match=r"clip '0001.wav' is predicted twice"):
        Predictions.of([*lines, lines[1]])
    with pytest.raises(UserError, match="no predictions"):
        Predictions.of([{"file": "a.wav"}])
    with pytest.raises(UserError, match="no predictions"):
        Predictions.of([])
