"""Learning curves: the judged stage, means over shared epochs, gaps."""

from __future__ import annotations

import numpy as np

from affetto.reporting.chapters.learning_curves import draw_curves
from reporting.chapters.drawings import log, warm_log
from reporting.drawing import texts


def test_mean_spans_shared_epochs_and_the_first_best_epoch_is_marked(tmp_path, figures):
    short, long = log(3), log(5, rise=0.03)
    long[4]["validation"]["macro_f1"] = long[3]["validation"]["macro_f1"]
    draw_curves({"lora": {"a": short, "b": long}}, tmp_path / "a.svg", "t")
    lines = {line.get_label(): line.get_xydata() for line in figures[0].axes[1].get_lines()}
    np.testing.assert_allclose(lines["mean"], [[1, 22], [2, 24], [3, 26]])
    np.testing.assert_allclose(lines["best epoch"], [[3, 23], [4, 32]])


def test_of_a_run_s_log_the_judged_stage_is_drawn_and_epoch_0_has_no_training_loss(tmp_path, figures):
    draw_curves({"lora": {"one": warm_log(2)}}, tmp_path / "a.svg", "t")
    left, right = figures[0].axes
    np.testing.assert_allclose(left.get_lines()[0].get_xydata(), [[1, 2], [2, 1]])
    np.testing.assert_allclose(right.get_lines()[0].get_xydata(), [[0, 50], [1, 21], [2, 22]])
    words = " ".join(text.get_text() for text in texts(figures[0]))
    assert "Epoch 0: the warm start" in words


def test_methods_stand_side_by_side_on_one_scale_and_one_that_never_trained_says_so(tmp_path, figures):
    methods = {"lora": {"1": warm_log(2), "2": warm_log(3)}, "frozen": {"1": warm_log(0)}}
    draw_curves(methods, tmp_path / "a.svg", "t")
    above, beside, below, last = figures[0].axes
    assert [above.get_title(), beside.get_title()] == ["lora", "frozen"]
    assert above.get_ylim() == beside.get_ylim() and below.get_ylim() == last.get_ylim()
    lines = {line.get_label(): line.get_xydata() for line in below.get_lines()}
    np.testing.assert_allclose(lines["mean"], [[0, 50], [1, 21], [2, 22]])
    assert [text.get_text() for text in beside.texts] == ["none"]
    np.testing.assert_allclose(last.get_lines()[-1].get_xydata(), [[0, 50]])


def test_missing_and_nan_values_of_a_log_are_gaps(tmp_path, figures):
    gaps = log(4)
    gaps[1]["validation"] = None
    gaps[2]["loss"] = float("nan")
    draw_curves({"lora": {"one": gaps}}, tmp_path / "a.svg", "t")
    left, right = figures[0].axes
    assert left.get_lines()[0].get_xdata().tolist() == [1, 2, 4]
    assert right.get_lines()[0].get_xdata().tolist() == [1, 3, 4]
