"""Models tested on other corpora."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from affetto.corpora.labels import EMOTIONS
from affetto.reporting.chapters import cross_corpus_sheets
from affetto.reporting.chapters.cross_corpus import build, cross_table, heat_map, single_table
from affetto.reporting.chapters.cross_corpus_map import HeatCell, draw_heat_map
from affetto.reporting.chapters.cross_corpus_sheets import difference_table, label_table, mean_table
from affetto.reporting.chapters.listing import build_sections
from affetto.reporting.report import write
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.reporting.results.crossed import crossed_systems
from affetto.reporting.results.exports import results_csv
from affetto.reporting.stats.crossed import mean_score
from affetto.training.runs import METRICS, PREDICTIONS, RunFolder
from affetto.training.spec import CorpusSpec
from reporting.drawing import assert_clean, texts
from reporting.folders import manifest, rows, scored, write_run
from reporting.tables import cell, values

CORPORA = ("demos", "emovo", "ravdess")


def write_test(run: Path, trained_on: str, corpus: str, skill: float, draw: int = 0, **fields: Any) -> None:
    """Test of a run on another corpus, as `grid cross` writes it."""
    data = manifest(corpus)
    lines = rows(data, [clip.id for clip in data.clips], skill, draw)
    folder = RunFolder(run).crossed(corpus)
    facts = {"trained_on": trained_on, "corpus": corpus, "crossed": corpus, "synthetic": False}
    folder.write(METRICS, facts | {"test": scored(lines)} | fields)
    folder.write_lines(PREDICTIONS["test"], lines)


def write_matrix(root: Path, method: str, skill: float, draw: int, **fields: Any) -> None:
    """A run of a method on each of CORPORA, tested on the two others."""
    for corpus in CORPORA:
        run = write_run(root / f"{method}-{corpus}", method=method, corpus=corpus, probe_skill=None, **fields)
        for tested in CORPORA:
            if tested != corpus:
                write_test(run, corpus, tested, skill, draw)


@pytest.fixture(scope="module")
def two_systems(tmp_path_factory) -> Evidence:
    root = tmp_path_factory.mktemp("two")
    write_matrix(root, "frozen", 0.2, 1)
    write_matrix(root, "lora", 0.6, 1)
    return Evidence(collect(root))


def test_tests_on_other_corpora_make_a_matrix(tmp_path):
    runs = [write_run(tmp_path / "runs" / f"{seed}", seed=seed, skill=0.2 + seed) for seed in (0, 1)]
    scores = []
    for run in runs:
        tested = json.loads((run / METRICS).read_text())["test"]
        scores.append(100 * tested["macro_f1"])
        metrics = {"test": tested, "trained_on": "emovo", "corpus": "demos", "crossed": "demos", "synthetic": False}
        folder = RunFolder(run).crossed("demos")
        folder.write(METRICS, metrics)
        folder.write_lines("predictions.jsonl", RunFolder(run).read_lines("predictions.jsonl"))
        # A test that `affetto evaluate` has put beside is no further seed.
        RunFolder(run / "on-demos").write(METRICS, {name: metrics[name] for name in ("test", "trained_on", "corpus")})
        left = metrics | {"shared_sentences_left_out": {"sentences": ["a"], "clips": 3}}
        RunFolder(run).crossed("demos", unshared=True).write(METRICS, left)
    evidence = Evidence(collect(tmp_path / "runs"))
    (system,) = crossed_systems(evidence)
    sheet = cross_table(system)
    assert [column.name for column in sheet.columns] == ["trained on", "EMOVO (Italian)", "DEMoS (Italian)"]
    across = cell(sheet, "DEMoS (Italian)", **{"trained on": "EMOVO"})
    assert values(across)["mean"] == pytest.approx(sum(scores) / 2) and values(across)["seeds"] == 2
    # Of both seeds: the very interval that the same predictions have at home.
    home = cell(sheet, "EMOVO (Italian)", **{"trained on": "EMOVO"})
    ends = [values(across)[name] for name in ("low", "high")]
    assert ends == [values(home)[name] for name in ("low", "high")] and ends[0] < values(across)["mean"] < ends[1]
    assert home.text.startswith("(") and (values(home)["relation"], values(across)["relation"]) == ("own", "across")
    mean = mean_table([system])
    assert values(mean.rows[0][2])["mean"] == pytest.approx(sum(scores) / 2)
    assert [values(mean.rows[0][2])[name] for name in ("low", "high")] == pytest.approx(ends)
    (unshared,) = crossed_systems(evidence, unshared=True)
    left_out = cross_table(unshared, "across-unshared", unshared=True)
    assert "no interval" in cell(left_out, "DEMoS (Italian)", **{"trained on": "EMOVO"}).under
    assert any("no predictions; the test has no interval" in note for note in evidence.notes)
    assert single_table(evidence) is None
    (section,) = (section for section in build_sections(evidence) if section.name == "across")
    assert {"across", "across-unshared", "across-systems"} <= {sheet.name for sheet in section.sheets}


def test_each_system_has_a_matrix_and_its_mean_is_over_the_other_corpora(two_systems):
    systems = crossed_systems(two_systems)
    assert [system.label for system in systems] == ["frozen", "LoRA"]
    section = build(two_systems)
    assert {"across-frozen", "across-lora"} == {picture.name for picture in section.pictures}
    sheet = next(sheet for sheet in section.sheets if sheet.name == "across-lora")
    assert [row[0].text for row in sheet.rows] == ["DEMoS", "EMOVO", "RAVDESS"]
    assert values(sheet.rows[2][0]) == {"": "RAVDESS", "language": "English"}
    off = {(r, c): values(sheet.rows[r][c + 1])["mean"] for r in range(3) for c in range(3) if r != c}
    means = mean_table(systems)
    other, same, another = (cell(means, name, system="LoRA") for name in [c.name for c in means.columns[2:]])
    assert values(other)["mean"] == pytest.approx(sum(off.values()) / 6) and values(other)["tests"] == 6
    assert values(same)["mean"] == pytest.approx((off[0, 1] + off[1, 0]) / 2)
    # DEMoS and EMOVO on RAVDESS, and RAVDESS on both: first the mean on each tested corpus.
    foreign = ((off[0, 2] + off[1, 2]) / 2 + off[2, 0] + off[2, 1]) / 3
    assert values(another)["mean"] == pytest.approx(foreign) and values(another)["tests"] == 4
    own = cell(means, "own corpora", system="LoRA")
    diagonal = [values(sheet.rows[r][r + 1])["mean"] for r in range(3)]
    assert values(own)["mean"] == pytest.approx(sum(diagonal) / 3)


def test_a_speaker_counts_once_however_many_models_are_tested_on_him(two_systems):
    """The two tests on a corpus hold the same predictions: together they tell no more than one of them."""
    system = crossed_systems(two_systems)[0]
    alone = {corpus: tests[:1] for corpus, tests in system.systems().items()}
    assert mean_score(system.systems()).interval == pytest.approx(mean_score(alone).interval)


def test_systems_are_compared_on_the_tests_that_both_have(two_systems):
    sheet = difference_table(two_systems, crossed_systems(two_systems))
    means = mean_table(crossed_systems(two_systems))
    (row,) = sheet.rows
    assert [each.text for each in row[:4]] == ["LoRA", "frozen", "6", "6 + 6 + 6"]
    scores = [values(cell(means, "other corpora", system=name))["mean"] for name in ("LoRA", "frozen")]
    assert row[4].key == pytest.approx(scores[0] - scores[1])
    low, high = values(row[5])["low"], values(row[5])["high"]
    assert low < row[4].key < high and row[-1].text.startswith("first is better")


def test_of_many_systems_only_those_that_differ_in_one_thing_are_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(cross_corpus_sheets, "MOST_COMPARED", 1)
    for method, backbone in (("frozen", "wav2vec2-base"), ("lora", "wav2vec2-base"), ("lora", "wavlm-base-plus")):
        run = write_run(tmp_path / f"{method}-{backbone}", method=method, backbone=backbone, probe_skill=None)
        write_test(run, "emovo", "demos", 0.3)
    sheet = difference_table(evidence := Evidence(collect(tmp_path)), crossed_systems(evidence))
    pairs = [(row[0].text, row[1].text) for row in sheet.rows]
    assert len(pairs) == 2 and "differ in one thing" in sheet.caption
    assert not any("frozen" in f"{first}{second}" and "WavLM" in f"{first}{second}" for first, second in pairs)


def test_rows_for_programs_tell_the_model_of_a_test(two_systems):
    lines = csv.DictReader(io.StringIO(results_csv(two_systems)))
    tests = [line for line in lines if line["part"] == "test on ravdess" and line["measure"] == "uar"]
    assert [(line["corpus"], line["method"], line["seed"]) for line in tests] == [
        (corpus, method, "0") for method in ("frozen", "lora") for corpus in ("demos", "emovo")
    ]


def test_what_was_trained_on_is_marked_and_labels_and_left_out_clips_are_listed(tmp_path):
    auxiliary = (CorpusSpec(name="ravdess", path="/data/ravdess"),)
    run = write_run(tmp_path / "run", labels=EMOTIONS[:4], auxiliary=auxiliary, probe_skill=None)
    left_out = {
        "unknown_emotions": {"disgust": 24},
        "dropped_labels": {"calm": 3},
        "trained_on": 2,
        "unusable": {"a": "silent"},
    }
    data = manifest("demos", labels=EMOTIONS[:3])
    lines = rows(manifest("demos", labels=EMOTIONS[:4]), [clip.id for clip in data.clips], 0.3, 0)
    write_test(run, "emovo + ravdess (auxiliary)", "demos", 0.3, left_out=left_out, test=scored(lines))
    (system,) = crossed_systems(Evidence(collect(tmp_path)))
    sheet = cross_table(system)
    joined = cell(sheet, "RAVDESS (English)", **{"trained on": "EMOVO"})
    assert joined.text == "auxiliary" and values(joined) == {"relation": "auxiliary"}
    (row,) = label_table([system]).rows
    assert [each.text for each in row] == [
        "EMOVO (Italian)",
        "DEMoS (Italian)",
        ", ".join(EMOTIONS[:3]),
        EMOTIONS[3],
        "disgust (24), calm (3)",
        str(len(data.clips)),
        "2",
        "1",
    ]


def test_the_heat_map_shows_every_score_and_says_what_is_missing(two_systems, tmp_path, figures):
    (system, _) = crossed_systems(two_systems)
    picture = heat_map(system, "across")
    picture.draw(tmp_path / "across.png")
    (figure,) = figures
    assert_clean(figure)
    words = {text.get_text() for text in texts(figure)}
    sheet = cross_table(system)
    numbers = {re.sub(r"[()]", "", each.text).split(" ")[0] for row in sheet.rows for each in row[1:]}
    assert numbers <= words and "RAVDESS\n(English)" in words
    assert "EMOVO (Italian) on RAVDESS (English)" in picture.alt
    cells = [[HeatCell(score=0.9, under="85.0–95.0", is_own=True), HeatCell(), HeatCell(words="auxiliary")]]
    for name in ("Emozionalmente\n(Italian)", "corpus of the institute\n(Italian)"):
        draw_heat_map(tmp_path / "x.png", cells, rows=[name], columns=[name] * 3, title="x", caption="y")
        assert_clean(figures[-1])
        assert {"—", "auxiliary", "90.0"} <= {text.get_text() for text in texts(figures[-1])}


def test_a_model_tested_elsewhere_alone_makes_a_report_too(tmp_path):
    run = write_run(tmp_path / "run")
    metrics = {"test": json.loads((run / METRICS).read_text())["test"], "trained_on": "emovo", "corpus": "demos"}
    RunFolder(tmp_path / "tested").write(METRICS, metrics)
    sheet = single_table(Evidence(collect(tmp_path / "tested")))
    assert sheet is not None and [each.text for each in sheet.rows[0][:2]] == ["EMOVO", "DEMoS"]
    report = write(tmp_path / "tested", tmp_path / "out")
    assert report.summary.overview == ("1 test of trained models on other corpora; no run of its own.",)
    assert "tables/evaluations.csv" in report.files and report.headline is None
    results = (report.out / "results.csv").read_text()
    assert "emovo" in results and "test on demos" in results


@pytest.mark.parametrize(
    ("protocol", "text"),
    [
        ({"speeds": [0.9, 1.1]}, "tested, speeds 1, 0.9, 1.1"),
        ({"adapted": {"speakers": 3, "clips": [6, 6], "alone": 0}}, "tested, adapted to each speaker"),
    ],
)
def test_answers_of_another_protocol_are_no_result_of_the_run_beside_others(tmp_path, protocol, text):
    run = write_run(tmp_path / "run")
    metrics = {"test": json.loads((run / METRICS).read_text())["test"], "trained_on": "emovo", "corpus": "demos"}
    RunFolder(run / "tested").write(METRICS, metrics | protocol)
    evidence = Evidence(collect(tmp_path))
    assert not any(
        score.tests
        for system in crossed_systems(evidence)
        for row in system.rows
        for score in row.scores.values()
        if score.relation == "across"
    )
    sheet = single_table(evidence)
    assert sheet is not None and [row[-1].text for row in sheet.rows] == [text]
