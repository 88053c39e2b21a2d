"""Every figure of a report: the same bytes again, nothing clipped or overprinted, synthetic speech always stamped."""

from __future__ import annotations

import pytest

from affetto.errors import UserError
from affetto.reporting.chapters.cost import draw_cost
from affetto.reporting.chapters.layers import draw_states
from affetto.reporting.chapters.learning_curves import draw_curves
from affetto.reporting.chapters.methods import draw_methods
from affetto.reporting.chapters.reliability import draw_reliability
from affetto.reporting.chapters.speakers import draw_speakers
from affetto.reporting.papers.dasaro2024.figure_4 import draw_bars
from reporting.chapters.drawings import DRAWINGS, LONG_NAMES
from reporting.drawing import assert_clean, texts


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_figure_is_clean_stamped_and_the_same_bytes_again(name, tmp_path, figures):
    first = DRAWINGS[name](tmp_path / "a.svg", "synthetic speech")
    again = DRAWINGS[name](tmp_path / "b.svg", "synthetic speech")
    assert first.read_bytes() == again.read_bytes() and first.read_bytes().startswith(b"<?xml")
    assert "SYNTHETIC SPEECH" in [text.get_text() for text in texts(figures[0])]
    DRAWINGS[name](tmp_path / "c.png", "")
    assert not any("SYNTHETIC" in text.get_text() for text in texts(figures[2]))
    for figure in figures[1:]:
        assert_clean(figure)


def test_no_entry_of_a_legend_is_cut_off(tmp_path, figures):
    DRAWINGS["long names"](tmp_path / "a.svg", "")
    (legend,) = figures[0].legends
    names = [text.get_text().replace("\n", " ") for text in legend.get_texts()]
    assert names == [*LONG_NAMES, "chance"]
    for text in legend.get_texts():
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figures[0].bbox.width and box.y1 <= figures[0].bbox.height, text.get_text()


def test_nothing_to_draw_is_a_mistake(tmp_path):
    path = tmp_path / "a.svg"
    for draw, empty in (
        (draw_speakers, {}),
        (draw_reliability, {}),
        (draw_states, {}),
        (draw_cost, []),
        (draw_curves, {"frozen": {"fold": []}}),
        (draw_curves, {"frozen": {"fold": [{"stage": "final", "epoch": 1, "loss": 1.0}]}}),
    ):
        with pytest.raises(UserError, match="to draw"):
            draw(empty, path, "t")
    for draw, empty in ((draw_methods, []), (draw_curves, {})):
        with pytest.raises(UserError, match="no methods to compare"):
            draw(empty, path, "t")
    with pytest.raises(UserError, match="no bars to draw"):
        draw_bars({}, path, "t", "w")
