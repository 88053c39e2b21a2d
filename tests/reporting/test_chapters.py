"""Which chapters a report has, from what was run; ablations, other corpora, and numbers against hand-made ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from affetto.reporting import ablation_sheets, contrasts, cross_sheets, group_sheets, pictures, run_sheets
from affetto.reporting.chapters.listing import build_sections
from affetto.reporting.papers.dasaro2024 import sheets
from affetto.reporting.report import write
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.reporting.stats.estimation import interval_words
from affetto.reporting.summary import summary
from affetto.training.runs import METRICS, RunFolder
from reporting.folders import write_grid, write_run
from reporting.voices import drawn


def values(cell):
    return dict(cell.values)


def column(sheet, name):
    return next(n for n, each in enumerate(sheet.columns) if each.name == name)


def cell(sheet, name, **where):
    """The cell of a column, in the row whose cells of the columns `where` are shown so."""
    for row in sheet.rows:
        if all(row[column(sheet, key)].shown == value for key, value in where.items()):
            return row[column(sheet, name)]
    raise AssertionError(where)


@pytest.fixture(scope="module")
def paper_grid(tmp_path_factory):
    """One backbone of scenario A, three corpora, frozen and LoRA, two seeds, 12 speakers each."""
    runs = [
        ({"corpus": corpus, "method": method, "seed": seed, "split": "paper"}, {"skill": skill, "speakers": 12})
        for corpus in ("emovo", "emozionalmente", "demos")
        for method, skill in (("frozen", 0.0), ("lora", 0.3))
        for seed in range(2)
    ]
    return Evidence(collect(write_grid(tmp_path_factory.mktemp("paper") / "out", runs)))


def test_table_3_is_the_mean_over_corpora_and_its_deviation_that_of_the_seeds(paper_grid):
    (protocol,) = sheets.protocols(paper_grid)
    assert protocol.is_paper_s
    sheet = sheets.table_3(protocol)
    found = values(cell(sheet, "LoRA", scenario="A", backbone="Wav2Vec 2.0 Base"))
    scores = {
        (run.axes.corpus, run.axes.seed): 100 * run.test["macro_f1"]
        for run in paper_grid.results.done if run.axes.method == "lora"
    }  # fmt: skip
    of_seeds = [sum(scores[corpus, seed] for corpus in ("emovo", "emozionalmente", "demos")) / 3 for seed in (0, 1)]
    assert found["mean"] == pytest.approx(sum(of_seeds) / 2)
    assert found["sd"] == pytest.approx(abs(of_seeds[0] - of_seeds[1]) / 2**0.5)
    assert found["paper"] == 67.67 and found["difference"] == pytest.approx(found["mean"] - 67.67)
    assert found["low"] < found["mean"] and found["low"] <= 67.67 <= found["high"] and found["paper inside"] is True
    # One speaker of each corpus is tested under this split: far outside, and yet nothing is known of others.
    frozen = cell(sheet, "frozen", scenario="A", backbone="Wav2Vec 2.0 Base")
    assert values(frozen)["paper inside"] is None and frozen.under.endswith(", undecided")
    absent = cell(sheet, "LoRA", scenario="B", backbone="XLSR-53")
    assert absent.shown == "—" and absent.under == "not run\npaper 43.94 ± 0.65"


def test_figure_4_has_the_three_published_values_and_says_so_of_the_others(paper_grid):
    (protocol,) = sheets.protocols(paper_grid)
    sheet = sheets.figure_4(protocol)
    base = {"scenario": "A", "backbone": "Wav2Vec 2.0 Base"}
    assert values(cell(sheet, "Emozionalmente", **base))["paper"] == 66.26
    assert cell(sheet, "EMOVO", **base).under.endswith("paper: not published as text")
    assert "probe" in values(cell(sheet, "DEMoS", **base))


def test_tables_1_and_2_count_what_was_loaded_and_read(paper_grid):
    first = sheets.table_1(paper_grid)
    where = {"backbone": "Wav2Vec 2.0 Base"}
    assert cell(first, "encoder as loaded", **where).key == 94_371_712
    assert cell(first, "difference (%)", **where).shown == "−0.70"
    assert cell(first, "LoRA", **where).under == "0.44 %"
    second = sheets.table_2(paper_grid)
    found = cell(second, "joy", corpus="DEMoS")
    assert (found.shown, found.under, cell(second, "speakers", corpus="EMOVO").shown) == ("24", "paper 1,395", "12")


def test_the_paper_s_tables_come_first_and_claims_follow(paper_grid):
    names = [chapter.name for chapter in build_sections(paper_grid)]
    assert names[:3] == ["paper", "claims", "results"] and names[-1] == "runs" and "ablations" not in names


def test_methods_stand_beside_the_probe_and_means_are_those_of_the_runs(paper_grid):
    sheet = run_sheets.methods(paper_grid)
    found = cell(sheet, "macro F1", corpus="EMOVO", method="LoRA")
    runs = [r.test["macro_f1"] for r in paper_grid.results.done if (r.axes.corpus, r.axes.method) == ("emovo", "lora")]
    assert values(found)["mean"] == pytest.approx(50 * sum(runs))
    scores = [row[column(sheet, "macro F1")] for row in sheet.rows if row[0].shown == "EMOVO"]
    assert [each.strong for each in scores].count(True) == 1 and max(scores, key=lambda each: each.key).strong
    probe = next(r.baseline_test for r in paper_grid.results.done if r.axes.corpus == "emovo")
    over = cell(sheet, "over probe", corpus="EMOVO", method="LoRA").key
    assert over == pytest.approx(50 * sum(runs) - 100 * probe["macro_f1"])
    assert cell(sheet, "over probe", corpus="EMOVO", method="probe").shown == "baseline"


def test_confusion_counts_all_seeds_and_says_what_table_and_card_say(paper_grid):
    picture = next(one for one in pictures.confusions(paper_grid) if one.name == "confusion-emovo-lora")
    drawn = picture.draw.keywords
    runs = [r for r in paper_grid.results.done if (r.axes.corpus, r.axes.method) == ("emovo", "lora")]
    counts = sum(np.array(run.test["confusion"]) for run in runs)
    assert drawn["seeds"] == len(runs) == 2 and drawn["scores"]["confusion"] == counts.tolist()
    said = values(cell(run_sheets.methods(paper_grid), "macro F1", corpus="EMOVO", method="LoRA"))
    scores = drawn["scores"]
    assert 100 * scores["macro_f1"] == pytest.approx(said["mean"]) and scores["n"] == runs[0].test["n"]
    assert [100 * end for end in scores["interval"]["macro_f1"]] == pytest.approx([said["low"], said["high"]])
    assert interval_words([scores["interval"]]).endswith(" and 2 seeds")
    joy = values(cell(run_sheets.per_class(paper_grid), "joy", corpus="EMOVO", method="LoRA"))["F1"]
    assert 100 * scores["per_class"]["joy"]["f1"] == pytest.approx(joy)


def test_comparisons_are_of_what_differs_in_one_thing(paper_grid):
    made = contrasts.contrasts(paper_grid)
    assert {(one.kind, one.first, one.second) for one in made} == {
        ("method", "LoRA", "frozen"), ("method", "frozen", "probe"), ("method", "LoRA", "probe")
    }  # fmt: skip
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
    sheet = contrasts.sheet(made)
    found = {tuple(one.comparison.corpora): row for one, row in zip(made, sheet.rows, strict=True)}
    assert list(found) == [("emozionalmente", "demos"), ("emovo",), ("emozionalmente",), ("demos",)]
    assert "(without EMOVO: too few test speakers)" in made[0].under
    few, better = "too few speakers to test", "first is better"
    assert [row[-1].shown for row in found.values()] == [better, few, better, better]
    assert [row[5].under for row in found.values()] == ["", "too few speakers", "", ""]
    # Each corpus's comparisons, LoRA, frozen and probe two by two, are corrected together and with no other's.
    assert made[-1].comparison.family == 3 and made[-1].comparison.methods_differ


def test_a_verdict_says_whether_it_is_of_methods_or_of_models(tmp_path):
    runs = [
        ({"method": method}, {"skill": skill, "speakers": 12}) for method, skill in (("frozen", 0.1), ("lora", 0.9))
    ]
    made = contrasts.contrasts(Evidence(collect(write_grid(tmp_path / "out", runs))), ["method"])
    sheet = contrasts.sheet([one for one in made if one.second == "frozen"])
    assert sheet.rows[0][-1].shown == "first is better, of these two trained models (one seed)"
    assert sheet.notes and "share most of their training data" in sheet.notes[0]


def test_configurations_without_a_common_seed_are_told(tmp_path):
    runs = [({"seed": 0}, {}), ({"method": "lora", "seed": 1}, {})]
    evidence = Evidence(collect(write_grid(tmp_path / "out", runs)))
    made = contrasts.contrasts(evidence, ["method"])
    assert ("LoRA", "frozen") not in [(one.first, one.second) for one in made]
    assert any("LoRA and frozen" in note and "no seed that both were run with" in note for note in evidence.notes)


def test_ablations_stand_beside_the_unchanged_recipe_with_the_sizes_of_their_states(tmp_path):
    swap = {"settings": {"model.state_norm": "layer"}}
    runs = [({"seed": s}, {"skill": 0.4}) for s in (0, 1)] + [(swap | {"seed": s}, {"skill": 0.8}) for s in (0, 1)]
    grid = write_grid(tmp_path / "out", runs)
    for file in grid.glob(f"runs/*/{METRICS}"):
        metrics = json.loads(file.read_text()) | {"states": {"rms": [1.0, 20.0], "share": [0.1, 0.9], "clips": 8}}
        RunFolder(file.parent).write(METRICS, metrics)
    evidence = Evidence(collect(grid))
    (made,) = contrasts.contrasts(evidence, ["settings"])
    sheet = ablation_sheets.effects(evidence, [made])
    row = {"changed": "model.state_norm layer", "method": "frozen"}
    before, after = (cell(sheet, name, **row).key for name in ("unchanged", "with the change"))
    assert cell(sheet, "difference", **row).key == pytest.approx(after - before) and after > before
    assert "model.state_norm: Does" in sheet.notes[0]
    sizes = ablation_sheets.sizes(evidence)
    assert sizes is not None and cell(sizes, "1", changed="unchanged").shown == "20"
    assert "probe" not in {word for row in sizes.rows for word in row[0].shown.split(", ")}
    assert [one.kind for one in contrasts.contrasts(evidence) if one.kind != "settings"] == ["method"]
    assert "ablations" in [chapter.name for chapter in build_sections(evidence)]


def test_an_ablation_with_fewer_seeds_stands_beside_the_same_seeds(tmp_path):
    runs = [({"seed": seed}, {"skill": 0.2 + 0.3 * seed}) for seed in (0, 1)]
    runs += [({"seed": 0, "settings": {"model.state_norm": "layer"}}, {"skill": 0.8})]
    evidence = Evidence(collect(write_grid(tmp_path / "out", runs)))
    (made,) = contrasts.contrasts(evidence, ["settings"])
    (row,) = ablation_sheets.effects(evidence, [made]).rows
    before, after, difference = (row[at].key for at in (5, 6, 7))
    assert after - before == pytest.approx(difference)


def test_what_all_runs_of_a_method_share_is_no_ablation_of_one(tmp_path):
    fewer, swap = {"training.epochs": "5"}, {"model.state_norm": "layer"}
    runs = [({"settings": fewer}, {"skill": 0.4}), ({"settings": fewer | swap}, {"skill": 0.8})]
    runs += [({"method": "lora"}, {"skill": 0.6})]
    evidence = Evidence(collect(write_grid(tmp_path / "out", runs)))
    (made,) = contrasts.contrasts(evidence, ["settings"])
    assert {made.first, made.second} == {"unchanged", "model.state_norm layer"}
    sheet = ablation_sheets.effects(evidence, [made])
    assert [row[0].shown for row in sheet.rows] == ["model.state_norm layer"]
    assert sheet.notes[-1] == "frozen: all runs with training.epochs 5"
    # LoRA with all its epochs is not held against a frozen backbone with fewer.
    pairs = [(one.first, one.second) for one in contrasts.contrasts(evidence, ["method"])]
    assert ("LoRA", "frozen") not in pairs and pairs


def test_what_all_runs_share_keeps_them_in_the_paper_s_tables_under_its_name(tmp_path):
    fewer = {"training.epochs": "5"}
    runs = [({"method": method, "settings": fewer, "split": "paper"}, {}) for method in ("frozen", "lora")]
    runs += [({"method": "lora", "settings": fewer | {"lora.alpha": "8"}, "split": "paper"}, {"skill": 0.9})]
    evidence = Evidence(collect(write_grid(tmp_path / "out", runs)))
    first = sheets.table_1(evidence)
    trained = [cell(first, name, backbone="Wav2Vec 2.0 Base").shown for name in ("frozen", "LoRA")]
    assert trained == ["297,735", "420,615"]
    (protocol,) = sheets.protocols(evidence)
    assert len(protocol.ones) == 2 and not protocol.is_paper_s
    assert "training.epochs 5: not the paper's protocol" in sheets.table_3(protocol).caption


def test_where_few_speakers_were_tested_every_interval_says_that_clips_were_drawn(tmp_path):
    """Six speakers by 80/10/10: one of them tests, with 14 clips."""
    runs = [({"corpus": corpus, "split": "paper"}, {}) for corpus in ("emovo", "emozionalmente", "demos")]
    runs += [({"method": "lora", "split": "paper"}, {})]
    evidence = Evidence(collect(write_grid(tmp_path / "out", runs)))
    (protocol,) = sheets.protocols(evidence)
    where = {"scenario": "A", "backbone": "Wav2Vec 2.0 Base"}
    marked = [(sheets.table_3(protocol), "frozen", where), (sheets.figure_4(protocol), "EMOVO", where)]
    marked += [(run_sheets.methods(evidence), "macro F1", {"corpus": "EMOVO", "method": "frozen"})]
    marked += [(group_sheets.genders(evidence), "women", {"corpus": "EMOVO", "method": "frozen"})]
    for sheet, name, row in marked:
        assert sheet is not None and "†" in cell(sheet, name, **row).under, sheet.name
        assert "over 14 clips" in sheet.caption, sheet.name
        assert any(note.startswith("† EMOVO") for note in sheet.notes), sheet.name
    (cost,) = (picture for picture in pictures.cost(evidence) if picture.name == "cost-emovo")
    assert "over 14 clips" in cost.draw.keywords["interval"]
    assert {line.method for line in cost.draw.keywords["lines"]} == {"probe"}


def test_tests_on_other_corpora_make_a_matrix(tmp_path):
    runs = [write_run(tmp_path / "runs" / f"{seed}", seed=seed, skill=0.2 + seed) for seed in (0, 1)]
    scores = []
    for run in runs:
        tested = json.loads((run / METRICS).read_text())["test"]
        scores.append(100 * tested["macro_f1"])
        told = {"test": tested, "trained_on": "emovo", "corpus": "demos", "crossed": "demos", "synthetic": False}
        there = RunFolder(run).crossed("demos")
        there.write(METRICS, told)
        there.write_lines("predictions.jsonl", RunFolder(run).read_lines("predictions.jsonl"))
        # What `affetto evaluate` has put beside is no further seed.
        RunFolder(run / "on-demos").write(METRICS, {name: told[name] for name in ("test", "trained_on", "corpus")})
        left = told | {"shared_sentences_left_out": {"sentences": ["a"], "clips": 3}}
        RunFolder(run).crossed("demos", unshared=True).write(METRICS, left)
    evidence = Evidence(collect(tmp_path / "runs"))
    sheet = cross_sheets.matrix(evidence)
    assert sheet is not None and [each.name for each in sheet.columns] == ["trained on", "method", "EMOVO", "DEMoS"]
    found = cell(sheet, "DEMoS", **{"trained on": "EMOVO"})
    assert values(found)["mean"] == pytest.approx(sum(scores) / 2) and values(found)["seeds"] == 2
    # Of both seeds: the very interval that the same predictions have at home.
    home = cell(sheet, "EMOVO", **{"trained on": "EMOVO"})
    ends = [values(found)[name] for name in ("low", "high")]
    assert ends == [values(home)[name] for name in ("low", "high")] and ends[0] < values(found)["mean"] < ends[1]
    left_out = cross_sheets.matrix(evidence, unshared=True)
    assert left_out is not None and "no interval" in cell(left_out, "DEMoS", **{"trained on": "EMOVO"}).under
    assert any("no predictions; the test has no interval" in note for note in evidence.notes)
    assert cell(sheet, "EMOVO", **{"trained on": "EMOVO"}).shown.startswith("(")
    assert cross_sheets.matrix(evidence, unshared=True) is not None and cross_sheets.lone(evidence) is None
    assert "across" in [chapter.name for chapter in build_sections(evidence)]


def test_a_model_tested_elsewhere_alone_makes_a_report_too(tmp_path):
    run = write_run(tmp_path / "run")
    told = {"test": json.loads((run / METRICS).read_text())["test"], "trained_on": "emovo", "corpus": "demos"}
    RunFolder(tmp_path / "tested").write(METRICS, told)
    sheet = cross_sheets.lone(Evidence(collect(tmp_path / "tested")))
    assert sheet is not None and [each.shown for each in sheet.rows[0][:2]] == ["EMOVO", "DEMoS"]
    made = write(tmp_path / "tested", tmp_path / "out")
    assert made.summary.what == ("1 test of trained models on other corpora; no run of its own.",)
    assert "tables/evaluations.csv" in made.files and made.headline is None
    assert (
        "emovo" in (made.out / "results.csv").read_text() and "test on demos" in (made.out / "results.csv").read_text()
    )


def test_genders_come_from_the_predictions_or_from_single_speaker_folds(tmp_path):
    run = write_run(tmp_path / "run")
    sheet = group_sheets.genders(Evidence(collect(run)))
    assert sheet is not None and "3 speakers" in sheet.rows[0][column(sheet, "women")].under
    told = [{k: v for k, v in row.items() if k != "gender"} for row in RunFolder(run).read_lines("predictions.jsonl")]
    RunFolder(run).write_lines("predictions.jsonl", told)
    again = group_sheets.genders(Evidence(collect(run)))
    assert again is not None and again.rows == sheet.rows


def test_the_summary_says_what_is_best_missing_and_to_be_read_with_care(tmp_path):
    write_grid(tmp_path / "out", [({}, {"skill": 0.9}), ({"method": "lora"}, {"state": "waiting"})])
    told = summary(Evidence(collect(tmp_path / "out")))
    assert told.what[0].startswith("Frozen and LoRA on EMOVO, with Wav2Vec 2.0 Base; recipe paper; leave one speaker")
    assert "Missing: 1 not begun." in told.what[1]
    (best,) = told.highlights
    assert best.name == "frozen" and best.probe is not None and f"{best.mean:.1f}" in best.words
    assert any("6 speakers were tested" in line for line in told.caveats)
    assert any("One seed was run of all configurations" in line for line in told.caveats)
    assert any("models of the folds share" in line for line in told.caveats)
    assert any("also spoken in training" in line for line in told.caveats)
