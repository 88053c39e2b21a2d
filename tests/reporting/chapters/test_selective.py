"""Errors of the surest clips, and sets of labels, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from affetto.measures.intervals import jackknife
from affetto.reporting.chapters.selective import draw_selective, selective_table
from affetto.reporting.stats.selective import measure_selective, measure_set_coverage, risks
from affetto.reporting.stats.systems import Predictions, System
from reporting.tables import cell
from reporting.voices import LABELS

CONFIDENCE, RIGHT = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4), (1, 1, 0, 1, 0, 0)
SPEAKERS = ("a", "b", "c", "d", "e", "f")


def predictions(right=RIGHT) -> Predictions:
    """A clip a speaker, called with falling confidence; `right` says of which clips the call is true."""
    rows = []
    for number, (sure, is_right) in enumerate(zip(CONFIDENCE, right, strict=True)):
        called = LABELS[0] if is_right else LABELS[1]
        values = {label: sure if label == called else (1 - sure) / 2 for label in LABELS}
        rows.append({"file": f"{number}", "speaker": SPEAKERS[number], "truth": LABELS[0], "probabilities": values})
    return Predictions.from_rows(rows)


def test_risks_by_hand_and_ties_count_as_their_mean():
    wrong = np.array([0.0, 0.0, 1.0, 0.0, 1.0, 1.0])
    assert risks(np.array(CONFIDENCE), wrong) == pytest.approx([0, 0, 1 / 3, 1 / 4, 2 / 5, 1 / 2])
    shuffled = [3, 0, 5, 2, 4, 1]
    assert risks(np.array(CONFIDENCE)[shuffled], wrong[shuffled]) == pytest.approx(risks(np.array(CONFIDENCE), wrong))
    for order in ([0, 1, 2], [2, 1, 0]):
        tied = risks(np.array([0.5, 0.5, 0.5]), np.array([1.0, 0.0, 0.0])[order])
        assert tied == pytest.approx([1 / 3] * 3)


def test_the_area_is_the_mean_over_clips_and_seeds_and_each_speaker_is_left_out():
    first, second = predictions(), predictions((1, 0, 0, 1, 0, 0))
    selective = measure_selective(System("s", "c", {0: first, 1: second}))
    of_first, of_second = [0, 0, 1 / 3, 1 / 4, 2 / 5, 1 / 2], [0, 1 / 2, 2 / 3, 1 / 2, 3 / 5, 2 / 3]
    assert selective.risks == pytest.approx(np.mean([of_first, of_second], axis=0))
    assert selective.area == pytest.approx(np.mean([of_first, of_second]))
    assert selective.risk(1.0) == pytest.approx((3 + 4) / 12) and selective.risk(0.5) == pytest.approx(0.5)
    alone = measure_selective(System("s", "c", {0: first}))
    wrong = 1 - np.array(RIGHT)
    without = []
    for left in range(6):
        rest = np.delete(wrong, left)
        without.append((np.cumsum(rest) / np.arange(1, 6)).mean())
    expected = jackknife(alone.area, np.array(without), np.ones(6, dtype=np.int64)).interval(least=0.0, most=1.0)
    assert alone.over == "speakers" and alone.interval == pytest.approx(expected)


def test_sets_of_a_speaker_are_by_the_limits_of_the_others():
    """Six clips: the limit of five others at 90 % is beyond them, so that every set holds every label."""
    sets = measure_set_coverage(System("s", "c", {0: predictions()}))
    assert (sets.coverage, sets.size, sets.lowest) == (1.0, 3.0, ("a", 1.0))


def test_the_table_has_a_row_for_each_configuration_and_the_figure_a_line(paper_grid, tmp_path, figures):
    table = selective_table(paper_grid)
    assert len(table.rows) == len(paper_grid.configurations)
    config = next(c for c in paper_grid.configurations if (c.axes.corpus, c.axes.method) == ("emovo", "lora"))
    system = paper_grid.system(config)
    wrong = 100 * np.mean([(run.predicted != run.truth).mean() for run in system.runs.values()])
    assert cell(table, "errors at 100 %", corpus="EMOVO", method="LoRA").key == pytest.approx(wrong)
    draw_selective({name: measure_selective(system) for name in ("one system", "another")}, tmp_path / "a.svg", "t")
    lines = figures[0].axes[0].get_lines()
    assert [line.get_label() for line in lines] == ["one system", "another"]
    assert lines[0].get_ydata()[-1] == pytest.approx(wrong)
