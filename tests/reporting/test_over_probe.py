"""The line on what a method gained over its run's probe."""

from __future__ import annotations

import pytest

from affetto.reporting.over_probe import over_probe


def metrics(own, probe, best_epochs=(1, 2)):
    def scores(values):
        return {"per_speaker": {f"s{n}": {"uar": value / 100} for n, value in enumerate(values)}}

    folds = [{"best_epoch": epoch} for epoch in best_epochs]
    return {"test": scores(own), "probe": {"test": scores(probe)}, "folds": folds}


def test_no_sure_gain_is_said_with_its_interval():
    """Gains 2, 0, -2, 4, 1: mean 1, deviation 2.2361, t of 4 degrees 2.7764, so 1 ± 2.7764."""
    line = over_probe("lora", metrics([52, 50, 48, 54, 51], [50] * 5))
    assert line is not None
    assert line.startswith("note: lora gained nothing over the probe that these 5 speakers could show: +1.0 points")
    assert "(−1.8 to +3.8)" in line and "best epoch" not in line and "docs/methods.md" in line


def test_a_sure_loss_is_said():
    line = over_probe("lora", metrics([40, 41, 42, 40, 41], [50] * 5))
    assert line.startswith("note: lora scores below the probe: −9.2 points of UAR (−10.2 to −8.2)")


def test_folds_whose_start_was_best_are_counted():
    line = over_probe("lora", metrics([50] * 5, [50] * 5, best_epochs=(0, 3, 0)))
    assert "+0.0 points of UAR (+0.0 to +0.0); in 2 of 3 folds the start" in line


@pytest.mark.parametrize(
    "content",
    [
        metrics([60, 61, 62, 60, 61], [50] * 5),
        metrics([50] * 2, [50] * 2),
        {"test": metrics([1], [1])["test"]},
        {"test": {"per_speaker": {"a": {"ccc": 0.5}}}, "probe": {"test": {"per_speaker": {"a": {"ccc": 0.4}}}}},
    ],
)
def test_a_sure_gain_and_what_cannot_be_judged_have_no_line(content):
    assert over_probe("lora", content) is None
