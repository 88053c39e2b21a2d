"""The paper's Figure 4 drawn anew."""

from __future__ import annotations

from reporting.chapters.drawings import DRAWINGS


def test_figure_4_draws_what_was_run_and_says_what_was_not(tmp_path, figures):
    DRAWINGS["figure 4"](tmp_path / "a.svg", "")
    axes = figures[0].axes[0]
    assert [patch.get_width() for patch in axes.patches] == [60.0, 30.0]
    assert [text.get_text() for text in axes.texts] == ["not run"]
    diamonds = [line for line in axes.get_lines() if line.get_marker() == "D"]
    assert [line.get_xdata()[0] for line in diamonds] == [48.84]
