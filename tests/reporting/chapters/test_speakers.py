"""Speakers as a figure, and women and men as a table."""

from __future__ import annotations

import numpy as np

from affetto.reporting.chapters.people import gender_table
from affetto.reporting.chapters.speakers import draw_speakers
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.training.runs import RunFolder
from reporting.folders import write_run
from reporting.tables import column

NAMES = ("probe", "frozen", "Adapter, recommended", "LoRA, recommended")


def test_genders_come_from_the_predictions_or_from_single_speaker_folds(tmp_path):
    run = write_run(tmp_path / "run")
    sheet = gender_table(Evidence(collect(run)))
    assert sheet is not None and "3 speakers" in sheet.rows[0][column(sheet, "women")].under
    told = [{k: v for k, v in row.items() if k != "gender"} for row in RunFolder(run).read_lines("predictions.jsonl")]
    RunFolder(run).write_lines("predictions.jsonl", told)
    again = gender_table(Evidence(collect(run)))
    assert again is not None and again.rows == sheet.rows


def test_speakers_go_from_easy_to_hard(tmp_path, figures):
    scores = {"frozen": {"f1": 0.4, "m1": 0.8}, "LoRA": {"f1": 0.6, "m1": 0.7}}
    draw_speakers(scores, tmp_path / "a.svg", "t")
    axes = figures[0].axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["m1", "f1"]
    lora = next(line for line in axes.get_lines() if line.get_label() == "LoRA")
    np.testing.assert_allclose(lora.get_xydata()[:, 0], [70, 60])


def test_marks_of_equal_scores_do_not_hide_one_another(tmp_path, figures):
    draw_speakers({name: {"f1": 0.4} for name in NAMES}, tmp_path / "a.svg", "t")
    marks = [line.get_xydata()[0] for line in figures[0].axes[0].get_lines() if line.get_label() in NAMES]
    heights = sorted(height for _, height in marks)
    assert len(marks) == len(NAMES) and min(np.diff(heights)) > 0.1 and heights[0] > -0.5 and heights[-1] < 0.5
