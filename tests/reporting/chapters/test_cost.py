"""Cost against the score."""

from __future__ import annotations

from reporting.chapters.drawings import BACKBONES, DRAWINGS
from reporting.drawing import texts


def test_each_method_and_backbone_is_drawn_and_told_apart_a_strange_one_too(tmp_path, figures):
    DRAWINGS["cost"](tmp_path / "a.svg", "")
    marks = [line for line in figures[0].axes[0].get_lines() if line.get_marker() != "None"]
    assert {line.get_label() for line in marks} == {f"{m}, {b}" for m in ("LoRA", "dora") for b in BACKBONES}
    assert len({(line.get_color(), line.get_marker()) for line in marks}) == len(marks) == 6
    across = {line.get_label(): line.get_ydata()[0] for line in figures[0].axes[0].get_lines() if line not in marks}
    assert across == {f"probe, {name}": 44.0 + n for n, name in enumerate(BACKBONES)}
    words = " ".join(text.get_text() for text in texts(figures[0]))
    assert "95 % interval over 14 clips" in words.replace("\n", " ")
