"""Calibration by hand, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss

from affetto.measures.probability import brier, expected_calibration_error, log_loss
from affetto.reporting.chapters.reliability import (
    FLOOR,
    draw_reliability,
    measure_reliability,
    reliability_curve,
    wilson,
)
from affetto.reporting.stats.systems import Predictions, System
from reporting.voices import LABELS, drawn


def predictions(probabilities: list[list[float]], truth: list[int]) -> Predictions:
    lines = [
        {"file": f"{n}", "speaker": "a", "truth": LABELS[true], "probabilities": dict(zip(LABELS, row, strict=True))}
        for n, (row, true) in enumerate(zip(probabilities, truth, strict=True))
    ]
    return Predictions.from_rows(lines)


BY_HAND = predictions([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.6, 0.4, 0.0], [0.8, 0.2, 0.0]], [0, 1, 1, 2])


def test_log_loss_and_brier_by_hand():
    assert log_loss(BY_HAND.probabilities, BY_HAND.truth, FLOOR) == pytest.approx(
        -(np.log([0.5, 0.8, 0.4]).sum() + np.log(FLOOR)) / 4
    )
    squares = (0.25 + 0.09 + 0.04) + (0.01 + 0.04 + 0.01) + (0.36 + 0.36) + (0.64 + 0.04 + 1)
    assert brier(BY_HAND.probabilities, BY_HAND.truth) == pytest.approx(squares / 4)
    uniform = predictions([[1 / 3] * 3] * 2, [0, 2])
    assert log_loss(uniform.probabilities, uniform.truth, FLOOR) == pytest.approx(np.log(3)) and brier(
        uniform.probabilities, uniform.truth
    ) == pytest.approx(2 / 3)


def test_log_loss_is_scikit_learn_s():
    run = predictions(np.random.default_rng(0).dirichlet(np.ones(3), 50).tolist(), [0, 1, 2, 1, 0] * 10)
    assert log_loss(run.probabilities, run.truth) == pytest.approx(sklearn_log_loss(run.truth, run.probabilities))


def test_reliability_by_hand_with_two_bins():
    low, high = reliability_curve([BY_HAND], bins=2)
    # The upper end belongs to a bin: .5 lies in the lower one.
    assert (low.low, low.high, low.clips, low.confidence, low.accuracy) == (0, 0.5, 1, 0.5, 1.0)
    assert (high.clips, high.confidence) == (3, pytest.approx(2.2 / 3)) and high.accuracy == pytest.approx(1 / 3)


def test_the_curve_s_gaps_are_the_error():
    one = drawn(4, 0.6, 1)
    result = measure_reliability(one)
    gaps = [each.clips / one.clips * abs(each.confidence - each.accuracy) for each in result.bins if each.clips]
    assert len(result.bins) == 15 and sum(gaps) == pytest.approx(result.ece)
    assert all(each.confidence is None and each.accuracy is None for each in result.bins if not each.clips)
    assert result.overconfidence == pytest.approx(0.9 - result.accuracy)


def test_seeds_are_averaged_and_the_curve_holds_all():
    both = drawn(4, 0.6, 1, seeds=2)
    result = measure_reliability(both)
    each = [expected_calibration_error(run.probabilities, run.truth) for run in both.runs.values()]
    assert result.ece == pytest.approx(np.mean(each))
    assert sum(one.clips for one in result.bins) == 2 * result.clips and result.seeds == (0, 1)


def test_a_clip_that_is_surely_right_is_calibrated():
    sure = System("s", "c", {0: predictions([[1, 0, 0], [0, 1, 0]], [0, 1])})
    result = measure_reliability(sure)
    assert (result.ece, result.log_loss, result.brier, result.overconfidence) == (0, 0, 0, 0)


def test_the_interval_of_a_share_is_statsmodels_s():
    """Values of `statsmodels.stats.proportion.proportion_confint(method="wilson")`."""
    assert wilson(0.5, 10) == pytest.approx((0.2365931, 0.7634069), abs=1e-6)
    assert wilson(1.0, 4) == pytest.approx((0.5101092, 1.0), abs=1e-6)
    assert wilson(0.0, 1 / 3)[0] == 0.0 and wilson(1.0, 1 / 3)[1] == 1.0


def test_a_panel_shows_the_clips_of_each_bin_and_intervals_that_seeds_do_not_narrow(tmp_path, figures):
    both, single = drawn(4, 0.6, 1, seeds=2), drawn(4, 0.6, 1)
    scores = {"both": measure_reliability(both), "single": measure_reliability(single)}
    draw_reliability(scores, tmp_path / "a.svg", "t")
    for axes, reliability in zip(figures[0].axes, scores.values(), strict=False):
        filled = [part for part in reliability.bins if part.clips]
        heights = [bar.get_height() for bar in axes.patches]
        assert np.array(heights) / max(heights) == pytest.approx(
            np.array([part.clips for part in filled]) / max(part.clips for part in filled)
        )
        (whiskers,) = axes.collections[:1]
        expected = [wilson(part.accuracy, part.clips / len(reliability.seeds)) for part in filled]
        drawn_ends = [[segment[0][1] / 100, segment[1][1] / 100] for segment in whiskers.get_segments()]
        assert np.array(drawn_ends) == pytest.approx(np.array(expected))
