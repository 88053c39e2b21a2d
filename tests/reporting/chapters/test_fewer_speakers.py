"""Scores by the number of speakers that a fold learns from, each beside the probe that learned from the same ones."""

from __future__ import annotations

import pytest

from affetto.errors import UserError
from affetto.reporting.chapters.ablations import effect_table
from affetto.reporting.chapters.fewer_speakers import find_curves, number_pictures, number_table
from affetto.reporting.chapters.fewer_speakers_picture import draw_numbers
from affetto.reporting.chapters.listing import build_sections
from affetto.reporting.chapters.published import shown_configurations
from affetto.reporting.chapters.selection import group_by_corpus
from affetto.reporting.chapters.splits import FEWER_SPEAKERS, split_table
from affetto.reporting.results import contrasts
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.reporting.results.records import SPEAKERS
from affetto.reporting.results.summary import summarise
from affetto.reporting.writing.paragraph import methods_paragraph
from reporting.folders import write_grid
from reporting.tables import cell, column, values

CHAPTER = "fewer-speakers"


def runs_of(numbers, methods=("frozen",), seeds=(0, 1), **settings):
    """Runs that score higher the more speakers they learn from, as do the probes beside them."""
    return [
        (
            {"method": method, "seed": seed, "settings": settings | ({SPEAKERS: str(number)} if number else {})},
            {"skill": 0.15 * (number or 5), "probe_skill": 0.1 * (number or 5)},
        )
        for method in methods
        for number in numbers
        for seed in seeds
    ]


def evidence_of(folder, runs):
    return Evidence(collect(write_grid(folder, runs)))


@pytest.fixture
def evidence(tmp_path):
    return evidence_of(tmp_path / "out", runs_of((0, 2, 3), ("frozen", "lora")))


def test_the_chapter_is_there_where_runs_differ_in_the_number_of_speakers_alone(tmp_path):
    numbers = evidence_of(tmp_path / "numbers", runs_of((2, 0)))
    assert CHAPTER in [section.name for section in build_sections(numbers)]
    for name, runs in (
        ("all", runs_of((0,))),
        ("one number", runs_of((2,))),
        ("and something else", runs_of((0,)) + runs_of((2,), **{"model.state_norm": "layer"})),
    ):
        trained = [
            curve for curve in find_curves(evidence_of(tmp_path / name, runs)) if curve.unlimited.axes.method != "probe"
        ]
        assert trained == [], name


def test_a_row_has_what_a_fold_learns_from_and_the_score(evidence):
    table = number_table(evidence, find_curves(evidence))
    at = column(table, "method")
    assert [(row[at].text, row[column(table, "speakers")].text) for row in table.rows] == [
        (method, number) for method in ("probe", "frozen", "LoRA") for number in ("2", "3", "all (5)")
    ]
    assert table.breaks == {3, 6}
    few, every = ({"method": "frozen", "speakers": number} for number in ("2", "all (5)"))
    assert cell(table, "speakers", **few).under == "training 1, validation 1"
    assert cell(table, "speakers", **every).under == "training 4, validation 1"
    assert values(cell(table, "speakers", **every)) == {"": 5, "setting": 0}
    assert [cell(table, "clips", **row).text for row in (few, every)] == ["28", "70"]
    assert cell(table, "seeds", **few).text == "2"
    config = next(c for c in evidence.trained if c.axes.method == "frozen" and c.axes.speakers == 2)
    score, estimate = values(cell(table, "macro F1", **few)), evidence.estimate(config)
    assert score["mean"] == pytest.approx(100 * evidence.spread(config).mean)
    assert (score["low"], score["high"]) == pytest.approx((100 * estimate.low, 100 * estimate.high))


def test_a_gain_is_over_the_probe_that_learned_from_the_same_speakers(evidence):
    table = number_table(evidence, find_curves(evidence))
    for number in ("2", "3", "all (5)"):
        score, probe = (
            values(cell(table, "macro F1", method=method, speakers=number))["mean"] for method in ("LoRA", "probe")
        )
        gain = values(cell(table, "over probe", method="LoRA", speakers=number))
        assert gain[""] == pytest.approx(score - probe) and gain["low"] < gain[""] < gain["high"]
        assert cell(table, "over probe", method="probe", speakers=number).text == "baseline"
    config = next(c for c in evidence.trained if c.axes.method == "lora" and c.axes.speakers == 3)
    comparison = evidence.compare([(config, evidence.baseline(config))])
    gain = values(cell(table, "over probe", method="LoRA", speakers="3"))
    assert (gain["low"], gain["high"]) == pytest.approx([100 * end for end in comparison.interval])


def test_a_probe_of_its_own_is_the_baseline_of_its_number_alone(tmp_path):
    runs = runs_of((2, 3, 0), ("probe",))
    runs += [(axes, more | {"probe_skill": None}) for axes, more in runs_of((2, 3), ("frozen",))]
    evidence = evidence_of(tmp_path / "out", runs)
    for config in evidence.trained:
        assert evidence.baseline(config).axes.speakers == config.axes.speakers


def test_probes_of_their_own_and_beside_a_method_are_of_one_curve(tmp_path):
    runs = runs_of((0,), ("probe", "frozen")) + runs_of((2,), ("frozen",))
    curves = find_curves(evidence_of(tmp_path / "out", runs))
    assert [[c.axes.speakers for c in curve.configurations] for curve in curves] == [[2, 0]] * 2


def test_methods_are_compared_with_the_probe_of_their_own_number(tmp_path):
    evidence = evidence_of(tmp_path / "out", runs_of((2, 3)))
    made = contrasts.contrasts(evidence, ["method"])
    numbers = [[config.axes.speakers for config in contrast.configurations] for contrast in made]
    assert sorted(numbers) == [[2, 2], [3, 3]]


def test_a_number_of_speakers_is_no_ablation_and_stands_on_both_sides_of_one(tmp_path):
    changed = {"model.state_norm": "layer"}
    evidence = evidence_of(tmp_path / "out", runs_of((2, 0)) + runs_of((2,), **changed))
    made = contrasts.contrasts(evidence, ["settings"])
    assert [(contrast.first, contrast.second) for contrast in made] == [("model.state_norm layer", "unchanged")]
    assert {config.axes.speakers for config in made[0].configurations} == {2}
    (row,) = effect_table(evidence, made).rows
    assert (row[0].text, row[0].under) == ("model.state_norm layer", "both with training.speakers 2")


def test_a_split_that_is_not_there_leaves_the_number_of_all_unknown(tmp_path):
    grid = write_grid(tmp_path / "out", runs_of((2, 3, 0)))
    for file in grid.glob("runs/*/split.json"):
        file.unlink()
    evidence = Evidence(collect(grid))
    curves = find_curves(evidence)
    table = number_table(evidence, curves)
    assert [row[column(table, "speakers")].text for row in table.rows] == ["2", "3", "all"] * 2
    assert cell(table, "clips", method="frozen", speakers="2").text == "–"
    (picture,) = number_pictures(evidence, curves)
    assert "frozen: 2 speakers" in picture.alt and "all" not in picture.alt


def test_the_figure_has_a_line_a_method_and_a_tick_a_number(evidence, tmp_path, figures):
    (picture,) = number_pictures(evidence, find_curves(evidence))
    picture.draw(tmp_path / "a.svg")
    (axes,) = figures[0].axes
    lines = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert [line.get_label() for line in lines] == ["probe", "frozen", "LoRA"]
    ticks = [[tick.get_text() for tick in axes.get_xticklabels(minor=minor)] for minor in (False, True)]
    assert ticks == [["2", "3"], ["all (5)"]]
    assert [list(line.get_xdata()) for line in lines] == [[2, 3, 5]] * 3
    frozen = [c for c in evidence.trained if c.axes.method == "frozen"]
    scores = {c.axes.speakers: 100 * evidence.spread(c).mean for c in frozen}
    assert list(lines[1].get_ydata()) == pytest.approx([scores[2], scores[3], scores[0]])
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 3
    centres = [line.get_transform().transform((3, 50))[0] for line in lines]
    assert centres == sorted(centres) and len(set(centres)) == 3, "marks of one number stand side by side"


def test_corpora_and_backbones_have_figures_and_panels_of_their_own(tmp_path, figures):
    runs = [
        (axes | {"corpus": corpus, "backbone": backbone}, dict(more))
        for corpus in ("emovo", "demos")
        for backbone in ("wav2vec2-base", "xlsr-53")
        for axes, more in runs_of((2, 0), seeds=(0,))
    ]
    evidence = evidence_of(tmp_path / "out", runs)
    pictures = number_pictures(evidence, find_curves(evidence))
    assert [picture.name for picture in pictures] == ["fewer-speakers-emovo", "fewer-speakers-demos"]
    pictures[0].draw(tmp_path / "a.svg")
    assert [axes.get_title() for axes in figures[0].axes] == ["Wav2Vec 2.0 Base (A)", "XLSR-53 (A)"]


def test_no_point_is_no_figure(tmp_path):
    with pytest.raises(UserError, match="no numbers of speakers to draw"):
        draw_numbers([], tmp_path / "a.svg", "t", interval="i")


def test_pages_say_that_the_tested_clips_stay(evidence):
    assert split_table(evidence).caption.endswith(FEWER_SPEAKERS)
    assert "fewer speakers (2 and 3 a fold, training and validation together" in methods_paragraph(evidence)


def test_runs_of_few_speakers_are_not_chosen_by_their_few_validation_speakers(tmp_path):
    runs = runs_of((0,)) + [(axes, {"skill": 3.0}) for axes, _ in runs_of((2,))]
    evidence = evidence_of(tmp_path / "out", runs)
    (group,) = group_by_corpus(evidence)
    best, *_ = shown_configurations(evidence, group)[0]
    assert best.axes.speakers == 0 and best.axes.method == "frozen"


def test_known_sentences_are_a_caution_once_a_corpus(evidence):
    cautions = [line for line in summarise(evidence).caveats if "also spoken in training" in line]
    assert len(evidence.results.splits) > 2 and len(cautions) == 1
