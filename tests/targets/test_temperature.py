"""Temperatures: found where they are known, bounded, and without effect on labels."""

from __future__ import annotations

import numpy as np
import pytest

from affetto.measures.probability import expected_calibration_error, log_loss
from affetto.targets.temperature import HIGHEST, LOWEST, before_and_after, calibrated, fit_temperature


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_labels_is_found(temperature: float) -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(0, 2, (40_000, 5))
    true = (softmax(logits / temperature).cumsum(1) > generator.random((len(logits), 1))).argmax(1)
    raw = softmax(logits)
    found = fit_temperature(raw, true)
    assert found == pytest.approx(temperature, rel=0.05)
    assert expected_calibration_error(calibrated(raw, found), true) < 0.01


def test_two_clips_by_hand() -> None:
    # One right and one wrong of two at (0.8, 0.2) each: the likeliest is (0.5, 0.5), an infinite temperature.
    assert fit_temperature(np.array([[0.8, 0.2], [0.8, 0.2]]), [0, 1]) == pytest.approx(HIGHEST, rel=1e-3)
    # All right: as sure as is allowed.
    assert fit_temperature(np.array([[0.8, 0.2], [0.3, 0.7]]), [0, 1]) == pytest.approx(LOWEST, rel=1e-3)
    # Three of four right at 0.9: logits ln 9 / T = ln 3, so T = 2.
    assert fit_temperature(np.array([[0.9, 0.1]] * 4), [0, 0, 0, 1]) == pytest.approx(2.0, abs=1e-3)
    assert calibrated(np.array([0.9, 0.1]), 2.0).tolist() == pytest.approx([0.75, 0.25])
    assert log_loss(np.array([[0.75, 0.25]] * 2), np.array([0, 1])) == pytest.approx(-np.log([0.75, 0.25]).mean())


def test_a_probability_of_zero_is_no_infinite_loss() -> None:
    values = np.array([[1.0, 0.0], [1.0, 0.0], [0.6, 0.4]])
    assert np.isfinite(fit_temperature(values, [0, 1, 0])) and np.isfinite(calibrated(values, 0.5)).all()


def test_before_and_after_by_hand() -> None:
    rows = [{"truth": truth, "speaker": "s", "probabilities": {"a": 0.9, "b": 0.1}} for truth in "aaab"]
    told = before_and_after(rows, [2.0] * 4)
    assert told["ece"] == {"before": pytest.approx(0.15), "after": pytest.approx(0)}
    assert told["log_loss"]["after"] < told["log_loss"]["before"]
