"""Confusion and classes."""

from __future__ import annotations

import numpy as np
import pytest

from affetto.measures.scores import scores
from affetto.reporting.chapters.emotions import class_table, confusion_pictures, draw_confusion
from affetto.reporting.chapters.methods import method_table
from reporting.tables import cell, values


def test_confusion_counts_all_seeds_and_says_what_table_and_card_say(paper_grid):
    picture = next(
        one for pictures in confusion_pictures(paper_grid) for one in pictures if one.name == "confusion-emovo-lora"
    )
    (scores,), options = picture.draw.args, picture.draw.keywords
    runs = [r for r in paper_grid.results.done if (r.axes.corpus, r.axes.method) == ("emovo", "lora")]
    counts = sum(np.array(run.test["confusion"]) for run in runs)
    assert options["seeds"] == len(runs) == 2 and scores["confusion"] == counts.tolist()
    table = values(cell(method_table(paper_grid), "macro F1", corpus="EMOVO", method="LoRA"))
    low, mean, high = (f"{table[name]:.1f}" for name in ("low", "mean", "high"))
    assert options["basis"].startswith(f"Macro F1 {mean} ({low}–{high}: 95 % interval by ")
    assert " and 2 seeds" in options["basis"] and f"{runs[0].test['n']:,} clips" in options["basis"]
    joy = values(cell(class_table(paper_grid), "joy", corpus="EMOVO", method="LoRA"))["F1"]
    assert 100 * scores["per_class"]["joy"]["f1"] == pytest.approx(joy)


def test_confusion_shows_percent_of_the_row_counts_and_a_dash_for_labels_never_true(tmp_path, figures):
    labels = ["a", "b", "c"]
    result = scores(["a"] * 4 + ["b"], np.eye(3)[[0, 0, 0, 1, 1]], labels, ["s"] * 5)
    draw_confusion(result, tmp_path / "a.svg", "t")
    cells = [text.get_text() for text in figures[0].axes[0].texts]
    assert cells == ["75", "3", "25", "1", "0", "0", "0", "0", "100", "1", "0", "0", "–", "–", "–", "  F1"]
    assert [tick.get_text() for tick in figures[0].axes[0].get_yticklabels()] == ["a (4)", "b (1)", "c (0)"]
    beside = figures[0].axes[0].child_axes[0].get_yticklabels()
    assert [tick.get_text() for tick in beside] == ["85.7", "66.7", "–"]
