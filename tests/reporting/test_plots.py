"""The report's own figures: whole, the same bytes again, nothing clipped or overprinted, and true to what was given."""

from __future__ import annotations

import numpy as np
import pytest

from affetto.errors import UserError
from affetto.reporting import costs, layers, reliability, strips
from affetto.reporting.calibration import calibration
from affetto.reporting.costs import Line, Point
from affetto.reporting.papers.dasaro2024 import figure_4
from affetto.reporting.papers.dasaro2024.figure_4 import Bar
from affetto.reporting.stats.systems import Predictions, System
from reporting.drawing import assert_clean, texts
from reporting.folders import manifest, rows

NAMES = ("probe", "frozen", "Adapter, recommended", "LoRA, recommended")
PANELS = {
    corpus: [Bar("Wav2Vec 2.0 Large", "A", 60.0, 50.0, 70.0, 40.0, 48.84), Bar("XLSR-53", "B"),
             Bar("Whisper Small", "B", 30.0, 20.0, 41.0)]
    for corpus in ("EMOVO", "Emozionalmente", "DEMoS")
}  # fmt: skip


def strip_scores(speakers, names=NAMES):
    generator = np.random.default_rng(0)
    return {name: {f"s{n:02}": float(generator.random()) for n in range(speakers)} for name in names}


def systems():
    data = manifest()
    found = rows(data, {clip.id for clip in data.clips}, 0.5, 0)
    return {name: calibration(System(name, "emovo", {0: Predictions.from_rows(found)})) for name in (*NAMES, "full")}


BACKBONES = ("XLSR-53 (A)", "WavLM Base+ (A)", "Whisper Small (B)")
LONG = tuple(f"LoRA, recommended, training.class_weights false, lora.alpha {n}" for n in range(5))


def points(methods=("LoRA", "dora"), backbones=BACKBONES):
    return [
        Point(method, name, 50.0 + n, 40.0, 60.0 + n, 5_000 * 7**n + m, 20.0 * 4**n + m)
        for n, method in enumerate(methods)
        for m, name in enumerate(backbones)
    ]


def lines(backbones=BACKBONES):
    return [Line("probe", name, 44.0 + n) for n, name in enumerate(backbones)]


def sizes():
    group = {"unchanged": {"rms": [1, 3, 200.0]}, "model.state_norm layer": {"rms": [1, 1, 1.0]}}
    return {f"XLSR-53 (A), {method}": group for method in ("frozen", "Adapter", "LoRA", "full")}


DRAWINGS = {
    "figure 4": lambda path, stamp: figure_4.draw_bars(
        PANELS, path, "Frozen backbones by corpus", "A caption that is as long as they come. " * 9, stamp
    ),
    "few speakers": lambda path, stamp: strips.speaker_strips(strip_scores(6), path, "UAR by speaker", 1 / 7, stamp),
    "many speakers": lambda path, stamp: strips.speaker_strips(strip_scores(43), path, "UAR by speaker", 1 / 7, stamp),
    "reliability": lambda path, stamp: reliability.reliability_curves(systems(), path, "Reliability", stamp),
    "long names": lambda path, stamp: strips.speaker_strips(
        strip_scores(6, LONG), path, "UAR by speaker", 1 / 7, stamp
    ),
    "cost": lambda path, stamp: costs.cost_against_score(
        points(), path, "Cost against macro F1", stamp, lines=lines(), interval="95 % interval over 14 clips"
    ),
    "states": lambda path, stamp: layers.state_sizes(sizes(), path, "Sizes of the hidden states", stamp),
}


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, kept for inspection."""
    kept = []
    for module in (figure_4, strips, reliability, costs, layers):
        save = module.save
        monkeypatch.setattr(
            module, "save", lambda figure, path, save=save: (kept.append(figure), save(figure, path))[1]
        )
    return kept


@pytest.mark.parametrize("name", DRAWINGS)
def test_whole_clean_stamped_and_the_same_bytes(name, tmp_path, drawn):
    first = DRAWINGS[name](tmp_path / "a.svg", "synthetic speech")
    again = DRAWINGS[name](tmp_path / "b.svg", "synthetic speech")
    assert first.read_bytes() == again.read_bytes() and first.read_bytes().startswith(b"<?xml")
    assert "SYNTHETIC SPEECH" in [text.get_text() for text in texts(drawn[0])]
    DRAWINGS[name](tmp_path / "c.png", "")
    assert not any("SYNTHETIC" in text.get_text() for text in texts(drawn[2]))
    for figure in drawn[1:]:
        assert_clean(figure)


def test_figure_4_draws_what_was_run_and_says_what_was_not(tmp_path, drawn):
    DRAWINGS["figure 4"](tmp_path / "a.svg", "")
    axes = drawn[0].axes[0]
    assert [patch.get_width() for patch in axes.patches] == [60.0, 30.0]
    assert [text.get_text() for text in axes.texts] == ["not run"]
    diamonds = [line for line in axes.get_lines() if line.get_marker() == "D"]
    assert [line.get_xdata()[0] for line in diamonds] == [48.84]


def test_speakers_go_from_easy_to_hard(tmp_path, drawn):
    scores = {"frozen": {"f1": 0.4, "m1": 0.8}, "LoRA": {"f1": 0.6, "m1": 0.7}}
    strips.speaker_strips(scores, tmp_path / "a.svg", "t")
    axes = drawn[0].axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["m1", "f1"]
    lora = next(line for line in axes.get_lines() if line.get_label() == "LoRA")
    np.testing.assert_allclose(lora.get_xydata()[:, 0], [70, 60])


def test_marks_of_equal_scores_do_not_hide_one_another(tmp_path, drawn):
    strips.speaker_strips({name: {"f1": 0.4} for name in NAMES}, tmp_path / "a.svg", "t")
    marks = [line.get_xydata()[0] for line in drawn[0].axes[0].get_lines() if line.get_label() in NAMES]
    heights = sorted(height for _, height in marks)
    assert len(marks) == len(NAMES) and min(np.diff(heights)) > 0.1 and heights[0] > -0.5 and heights[-1] < 0.5


def test_no_entry_of_a_legend_is_cut_off(tmp_path, drawn):
    DRAWINGS["long names"](tmp_path / "a.svg", "")
    (legend,) = drawn[0].legends
    shown = [text.get_text().replace("\n", " ") for text in legend.get_texts()]
    assert shown == [*LONG, "chance"]
    for text in legend.get_texts():
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= drawn[0].bbox.width and box.y1 <= drawn[0].bbox.height, text.get_text()


def test_each_method_and_backbone_is_drawn_and_told_apart_a_strange_one_too(tmp_path, drawn):
    DRAWINGS["cost"](tmp_path / "a.svg", "")
    marks = [line for line in drawn[0].axes[0].get_lines() if line.get_marker() != "None"]
    assert {line.get_label() for line in marks} == {f"{m}, {b}" for m in ("LoRA", "dora") for b in BACKBONES}
    assert len({(line.get_color(), line.get_marker()) for line in marks}) == len(marks) == 6
    across = {line.get_label(): line.get_ydata()[0] for line in drawn[0].axes[0].get_lines() if line not in marks}
    assert across == {f"probe, {name}": 44.0 + n for n, name in enumerate(BACKBONES)}
    words = " ".join(text.get_text() for text in texts(drawn[0]))
    assert "95 % interval over 14 clips" in words.replace("\n", " ")


def test_nothing_to_draw_is_a_mistake(tmp_path):
    for draw in (strips.speaker_strips, reliability.reliability_curves, layers.state_sizes):
        with pytest.raises(UserError, match=r"to draw"):
            draw({}, tmp_path / "a.svg", "t")
    with pytest.raises(UserError, match="no cost to draw"):
        costs.cost_against_score([], tmp_path / "a.svg", "t")
    with pytest.raises(UserError, match="no bars to draw"):
        figure_4.draw_bars({}, tmp_path / "a.svg", "t", "w")
