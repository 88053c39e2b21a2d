"""The table and figure of all configurations."""

from __future__ import annotations

import numpy as np
import pytest

from affetto.reporting.chapters.methods import Score, draw_methods, method_table
from reporting.drawing import texts
from reporting.tables import cell, column, values


def test_methods_stand_beside_the_probe_and_means_are_those_of_the_runs(paper_grid):
    sheet = method_table(paper_grid)
    found = cell(sheet, "macro F1", corpus="EMOVO", method="LoRA")
    runs = [r.test["macro_f1"] for r in paper_grid.results.done if (r.axes.corpus, r.axes.method) == ("emovo", "lora")]
    assert values(found)["mean"] == pytest.approx(50 * sum(runs))
    scores = [row[column(sheet, "macro F1")] for row in sheet.rows if row[0].text == "EMOVO"]
    assert [each.is_bold for each in scores].count(True) == 1 and max(scores, key=lambda each: each.key).is_bold
    probe = next(r.baseline_test for r in paper_grid.results.done if r.axes.corpus == "emovo")
    over = cell(sheet, "over probe", corpus="EMOVO", method="LoRA").key
    assert over == pytest.approx(50 * sum(runs) - 100 * probe["macro_f1"])
    assert cell(sheet, "over probe", corpus="EMOVO", method="probe").text == "baseline"


def test_a_mixed_comparison_says_which_lines_are_synthetic(tmp_path, figures):
    scores = [Score(name="frozen", value=0.5, synthetic=True), Score(name="LoRA", value=0.6)]
    draw_methods(scores, tmp_path / "a.png", "t")
    words = [text.get_text() for text in texts(figures[0])]
    assert "PARTLY SYNTHETIC SPEECH" in words and "frozen (synthetic speech)" in words


def test_methods_show_interval_chance_and_speakers(tmp_path, figures):
    speakers = {"b": 0.3, "a": 0.7}
    scored = Score(name="frozen", value=0.5, interval=(0.4, 0.6), chance=0.1, speakers=speakers)
    draw_methods([scored, Score(name="bare", value=0.4)], tmp_path / "a.svg", "t")
    axes = figures[0].axes[0]
    whiskers = [line for line in axes.get_lines() if line.get_marker() == "|"]
    assert len(whiskers) == 1
    np.testing.assert_allclose(whiskers[0].get_xdata(), [40, 60])
    np.testing.assert_allclose(axes.collections[0].get_offsets()[:, 0], [70, 30])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a speaker", "chance"]
    assert [tick.get_text() for tick in axes.child_axes[0].get_yticklabels()] == ["50.0 (40.0–60.0)", "40.0"]
