"""Models tested on other corpora."""

from __future__ import annotations

import json

import pytest

from affetto.reporting.chapters.cross_corpus import cross_table, single_table
from affetto.reporting.chapters.listing import build_sections
from affetto.reporting.report import write
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.training.runs import METRICS, RunFolder
from reporting.folders import write_run
from reporting.tables import cell, values


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
    sheet = cross_table(evidence)
    assert sheet is not None and [each.name for each in sheet.columns] == ["trained on", "method", "EMOVO", "DEMoS"]
    found = cell(sheet, "DEMoS", **{"trained on": "EMOVO"})
    assert values(found)["mean"] == pytest.approx(sum(scores) / 2) and values(found)["seeds"] == 2
    # Of both seeds: the very interval that the same predictions have at home.
    home = cell(sheet, "EMOVO", **{"trained on": "EMOVO"})
    ends = [values(found)[name] for name in ("low", "high")]
    assert ends == [values(home)[name] for name in ("low", "high")] and ends[0] < values(found)["mean"] < ends[1]
    left_out = cross_table(evidence, unshared=True)
    assert left_out is not None and "no interval" in cell(left_out, "DEMoS", **{"trained on": "EMOVO"}).under
    assert any("no predictions; the test has no interval" in note for note in evidence.notes)
    assert cell(sheet, "EMOVO", **{"trained on": "EMOVO"}).text.startswith("(")
    assert cross_table(evidence, unshared=True) is not None and single_table(evidence) is None
    assert "across" in [chapter.name for chapter in build_sections(evidence)]


def test_a_model_tested_elsewhere_alone_makes_a_report_too(tmp_path):
    run = write_run(tmp_path / "run")
    told = {"test": json.loads((run / METRICS).read_text())["test"], "trained_on": "emovo", "corpus": "demos"}
    RunFolder(tmp_path / "tested").write(METRICS, told)
    sheet = single_table(Evidence(collect(tmp_path / "tested")))
    assert sheet is not None and [each.text for each in sheet.rows[0][:2]] == ["EMOVO", "DEMoS"]
    made = write(tmp_path / "tested", tmp_path / "out")
    assert made.summary.overview == ("1 test of trained models on other corpora; no run of its own.",)
    assert "tables/evaluations.csv" in made.files and made.headline is None
    assert (
        "emovo" in (made.out / "results.csv").read_text() and "test on demos" in (made.out / "results.csv").read_text()
    )
