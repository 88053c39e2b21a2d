"""Paired comparisons of made-up runs, and their verdicts."""

from __future__ import annotations

from affetto.reporting.chapters.comparisons import comparison_table, p_text
from affetto.reporting.render.page_table import page_table
from affetto.reporting.results import contrasts
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from reporting.folders import write_grid
from reporting.voices import drawn

VALUES = ("equivalence p", "smallest difference")


def test_comparisons_are_of_what_differs_in_one_thing(paper_grid):
    made = contrasts.contrasts(paper_grid)
    assert {(one.kind, one.first, one.second) for one in made} == {
        ("method", "LoRA", "frozen"),
        ("method", "frozen", "probe"),
        ("method", "LoRA", "probe"),
    }
    for pair in {(one.first, one.second) for one in made}:
        corpora = [one.comparison.corpora for one in made if (one.first, one.second) == pair]
        # All together, and then each alone.
        assert corpora == [("emovo", "emozionalmente", "demos"), ("emovo",), ("emozionalmente",), ("demos",)]


class Staged(Evidence):
    """Evidence whose systems are drawn: one test speaker of EMOVO, twelve and thirty of the others."""

    def system(self, one):
        speakers = {"emovo": 1, "emozionalmente": 12, "demos": 30}[one.axes.corpus]
        accuracy = {"probe": 0.5, "frozen": 0.5, "lora": 0.9}[one.axes.method]
        return drawn(speakers, accuracy, len(one.axes.method), seeds=2, name=one.axes.method, corpus=one.axes.corpus)


def test_a_corpus_with_one_test_speaker_takes_no_test_from_the_others(paper_grid):
    made = [
        one
        for one in contrasts.contrasts(Staged(paper_grid.results), ["method"])
        if (one.first, one.second) == ("LoRA", "frozen")
    ]
    sheet = comparison_table(made)
    found = {tuple(one.comparison.corpora): row for one, row in zip(made, sheet.rows, strict=True)}
    assert list(found) == [("emozionalmente", "demos"), ("emovo",), ("emozionalmente",), ("demos",)]
    assert "(without EMOVO: too few test speakers)" in made[0].under
    few, better = "too few speakers to test", "first is better"
    assert [row[-1].text for row in found.values()] == [better, few, better, better]
    assert [row[5].under for row in found.values()] == ["", "too few speakers", "", ""]
    # Each corpus's comparisons, LoRA, frozen and probe two by two, are corrected together and with no other's.
    assert made[-1].comparison.family == 3 and made[-1].comparison.methods_differ


def test_a_verdict_says_whether_it_is_of_methods_or_of_models(tmp_path):
    runs = [
        ({"method": method}, {"skill": skill, "speakers": 12}) for method, skill in (("frozen", 0.1), ("lora", 0.9))
    ]
    made = contrasts.contrasts(Evidence(collect(write_grid(tmp_path / "out", runs))), ["method"])
    sheet = comparison_table([one for one in made if one.second == "frozen"])
    assert sheet.rows[0][-1].text == "first is better, of these two trained models (one seed)"
    assert sheet.notes and "share most of their training data" in sheet.notes[0]


def test_on_the_page_the_verdict_and_the_difference_stand_beside_the_names(paper_grid):
    shown = page_table(comparison_table(contrasts.contrasts(paper_grid, ["method"]))).sheet
    assert [column.name for column in shown.columns][:5] == [
        "first",
        "second",
        "under",
        "verdict",
        "difference / 95 % interval",
    ]


def test_configurations_without_a_common_seed_are_told(tmp_path):
    runs = [({"seed": 0}, {}), ({"method": "lora", "seed": 1}, {})]
    evidence = Evidence(collect(write_grid(tmp_path / "out", runs)))
    made = contrasts.contrasts(evidence, ["method"])
    assert ("LoRA", "frozen") not in [(one.first, one.second) for one in made]
    assert any("LoRA and frozen" in note and "no seed that both were run with" in note for note in evidence.notes)


def test_beside_an_undecided_verdict_stands_what_it_is_worth(paper_grid):
    made = contrasts.contrasts(Staged(paper_grid.results), ["method"])
    sheet = comparison_table(made)
    cells = {
        (one.first, one.second, one.comparison.corpora): row[-1] for one, row in zip(made, sheet.rows, strict=True)
    }
    p, smallest = (dict(cells["frozen", "probe", ("demos",)].values)[name] for name in VALUES)
    assert cells["frozen", "probe", ("demos",)].text == "not told apart"
    assert cells["frozen", "probe", ("demos",)].under == (
        f"{'equivalent' if p <= 0.05 else 'equivalence not shown'}, p {p_text(p)}\ncould show {smallest:.1f} points"
    )
    assert cells["LoRA", "frozen", ("demos",)].under == "" and cells["LoRA", "frozen", ("demos",)].values[1][1] > 0.99
    assert cells["LoRA", "frozen", ("emovo",)].under == "" and not cells["LoRA", "frozen", ("emovo",)].values
