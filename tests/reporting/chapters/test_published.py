"""Numbers of others beside the system that validation speakers chose, with what differs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from affetto.errors import UserError
from affetto.reporting.chapters.published import build, differences
from affetto.reporting.render.slim import slim_latex
from affetto.reporting.report import write
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.reporting.results.published import PublishedScore, PublishedSystem
from affetto.training.runs import METRICS
from reporting.folders import write_run
from reporting.tables import cell, values

SOURCE = 'Ma et al., "EmoBox", Interspeech 2024, doi 10.21437/x.2024-1'


def published(system: str = "theirs", **facts) -> PublishedSystem:
    """A system on EMOVO with the facts of the runs here, unless others are given."""
    defaults = {"line": 2, "corpus": "emovo", "protocol": "loso", "source": SOURCE, "clips": 84, "speakers": 6}
    scores = {"uar": PublishedScore(value=0.999, low=0.9, high=1.0, deviation=0.01)}
    return PublishedSystem(**{"system": system, "classes": 7, "scores": scores, **defaults, **facts})


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    """LoRA is best on test speakers, frozen on validation speakers; one number of others is above both."""
    for method, skill, validation in (("lora", 0.9, 0.3), ("frozen", 0.1, 0.4)):
        run = write_run(tmp_path / method, method=method, skill=skill)
        metrics = json.loads((run / METRICS).read_text(encoding="utf-8"))
        metrics["validation"]["macro_f1"] = validation
        (run / METRICS).write_text(json.dumps(metrics), encoding="utf-8")
    evidence = Evidence(collect(tmp_path))
    evidence.published = (published(), published("second", source="https://example.org/table", clips=None))
    return evidence


def test_validation_chooses_the_system_that_stands_beside_theirs(evidence: Evidence) -> None:
    (table,) = build(evidence).items
    assert [row[0].text for row in table.rows] == ["frozen", "probe", "theirs", "second"]
    assert "validation speakers of 2 configurations" in table.rows[0][-1].text
    assert table.breaks == {2} and not table.is_sortable
    assert not any(cell.is_bold for row in table.rows for cell in row)


def test_numbers_of_others_name_their_source(evidence: Evidence) -> None:
    (table,) = build(evidence).items
    score = cell(table, "UAR", system="theirs")
    assert (score.text, score.under) == ("99.9 ± 1.0", "90.0–100.0")
    assert values(score) == pytest.approx({"mean": 99.9, "sd": 1.0, "low": 90.0, "high": 100.0})
    assert [row[-2].text for row in table.rows] == ["this report", "this report", "[1]", "[2]"]
    assert table.notes[-2:] == (f"[1] {SOURCE}", "[2] https://example.org/table")
    assert "were not run here; they are taken from the source" in table.caption
    assert SOURCE.split('"')[1] in slim_latex(table)
    first, second = build(evidence).references
    assert (first.key, first.doi, first.url) == ("published-ma-2024", "10.21437/x.2024-1", "")
    assert (second.key, second.doi, second.url) == ("published-second", "", "https://example.org/table")


def test_a_report_without_a_table_has_no_such_chapter(evidence: Evidence) -> None:
    evidence.published = (published(corpus="demos"),)
    assert build(evidence) is None


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "no difference stated"),
        ({"protocol": "Leave one speaker out"}, "no difference stated"),
        ({"protocol": "kfold:5"}, "protocol 5 folds of speakers, here leave one speaker out"),
        ({"clips": 1535, "classes": 8}, "1,535 clips, here 84; 8 classes, here 7"),
        ({"speakers": None, "differs": "calibrated"}, "calibrated; not stated: speakers"),
        (
            {"labels": ("calm", "anger", "disgust", "fear", "joy", "neutrality", "sadness")},
            "classes calm, here surprise",
        ),
    ],
)
def test_what_differs_is_compared_and_what_is_not_stated_is_named(evidence: Evidence, facts, words: str) -> None:
    assert differences(published(**facts), evidence.configurations[0]) == words


def test_without_validation_scores_no_test_score_chooses(evidence: Evidence) -> None:
    for run in evidence.results.runs:
        run.metrics["validation"].pop("macro_f1")
    (table,) = build(evidence).items
    assert {"lora", "frozen"} <= {row[0].text.casefold() for row in table.rows}
    assert table.rows[0][-1].text == "no score on validation speakers"


def test_a_report_writes_the_table_or_nothing(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "frozen", method="frozen")
    file = tmp_path / "published.csv"
    line = "theirs,EMOVO,loso,uar,57.8,percent,a source\nmore,SAVEE,loso,uar,74,percent,a source\n"
    file.write_text(f"system,corpus,protocol,measure,value,unit,source\n{line}", encoding="utf-8")
    report = write(tmp_path / "runs", tmp_path / "out", only=("csv",), published=file)
    table = (tmp_path / "out" / "tables" / "published-emovo.csv").read_text(encoding="utf-8")
    assert "57.8" in table and "theirs" not in (tmp_path / "out" / "results.csv").read_text(encoding="utf-8")
    assert any("'savee'" in note for note in report.notes)
    file.write_text(file.read_text(encoding="utf-8").replace("a source", ""), encoding="utf-8")
    with pytest.raises(UserError, match="line 2 has no source"):
        write(tmp_path / "runs", tmp_path / "worse", published=file)
    assert not (tmp_path / "worse").exists()
