"""Runs of other labels, clips or weights under one name, and files that disagree: kept apart, named, never mixed."""

from __future__ import annotations

import json
import math
import re

import pytest

from affetto.corpora.labels import EMOTIONS
from affetto.errors import UserError
from affetto.measures.measure import LabelMeasure
from affetto.measures.registry import MEASURES
from affetto.reporting.chapters.methods import method_table
from affetto.reporting.chapters.reliability import reliability_table
from affetto.reporting.chapters.runs import run_table
from affetto.reporting.papers.dasaro2024.protocols import protocols
from affetto.reporting.papers.dasaro2024.table_2 import table_2
from affetto.reporting.report import write
from affetto.reporting.results import contrasts
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.reporting.results.summary import summarise
from affetto.training.runs import METRICS, RunFolder
from reporting.folders import write_run
from reporting.tables import cell, column, values

FOUR = tuple(label for label in EMOTIONS if label in ("anger", "fear", "joy", "sadness"))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Frozen on four labels and on seven, of which LoRA too; each with a probe of its own beside it."""
    folder = tmp_path_factory.mktemp("mixed")
    write_run(folder / "four", labels=FOUR, skill=0.5, probe_skill=0.7)
    write_run(folder / "seven", skill=0.5, probe_skill=0.2)
    write_run(folder / "lora", method="lora", skill=0.1, probe_skill=0.2)
    return folder


def test_runs_of_other_labels_are_other_systems_beside_a_probe_of_their_own(mixed):
    evidence = Evidence(collect(mixed))
    assert len(evidence.results.done) == 3 and not evidence.notes
    assert {run.axes.corpus for run in evidence.results.done} == {"emovo@4-labels", "emovo@7-labels"}
    for name, folder in (("EMOVO (4 labels)", "four"), ("EMOVO (7 labels)", "seven"), ("EMOVO (7 labels)", "lora")):
        metrics = json.loads((mixed / folder / METRICS).read_text())
        gap = metrics["test"]["macro_f1"] - metrics["probe"]["test"]["macro_f1"]
        method = "LoRA" if folder == "lora" else "frozen"
        found = cell(method_table(evidence), "over probe", corpus=name, method=method)
        assert found.key == pytest.approx(100 * gap), folder
    made = contrasts.contrasts(evidence)
    assert made and all(len({one.axes.corpus for one in each.configurations}) == 1 for each in made)


def test_each_label_set_has_a_card_a_guesser_and_a_row_of_its_own(mixed):
    evidence = Evidence(collect(mixed))
    told = summarise(evidence)
    assert [each.corpus for each in told.highlights] == ["EMOVO (4 labels)", "EMOVO (7 labels)"]
    assert "All 3 runs are done." in told.overview[0] and any("kept apart" in line for line in told.caveats)
    four, seven = told.highlights
    assert four.chance > 20 > seven.chance
    caption = reliability_table(evidence).caption
    for count in (4, 7):
        assert f"a guesser among {count} has {math.log(count):.2f} and {1 - 1 / count:.2f}" in caption
    table = table_2(evidence)
    assert cell(table, "disgust", corpus="EMOVO (4 labels)").text == "–"
    assert cell(table, "disgust", corpus="EMOVO (7 labels)").under == "paper 84"
    # The paper knows seven labels: four have no place beside its figures.
    (protocol,) = protocols(evidence)
    assert {one.axes.corpus for one in protocol.configurations} == {"emovo@7-labels"}


def test_four_labels_alone_have_no_place_beside_the_paper(tmp_path):
    write_run(tmp_path / "four", labels=FOUR)
    evidence = Evidence(collect(tmp_path))
    assert [run.axes.corpus for run in evidence.results.done] == ["emovo"]
    assert protocols(evidence) == []


def test_the_baseline_of_a_run_is_the_probe_in_its_own_folder(tmp_path):
    """A shorter crop changes the probe beside it as well."""
    write_run(tmp_path / "usual", probe_skill=0.2)
    short = write_run(tmp_path / "short", probe_skill=0.9, overrides={"audio.seconds": "2.0"})
    evidence = Evidence(collect(tmp_path))
    changed = next(one for one in evidence.configurations if one.axes.settings)
    baseline = evidence.baseline(changed)
    assert baseline is not None
    probe = json.loads((short / METRICS).read_text())["probe"]["test"]["macro_f1"]
    assert evidence.spread(baseline).mean == pytest.approx(probe)


def test_no_seed_of_other_clips_or_weights_is_a_seed_of_a_configuration(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", seed=1, speakers=5)
    write_run(tmp_path / "c", seed=2, weights="ab" * 32)
    evidence = Evidence(collect(tmp_path))
    assert [run.axes.corpus for run in evidence.results.done] == ["emovo@84-clips", "emovo@70-clips", "emovo@84-clips"]
    first, second, third = (run.axes.backbone for run in evidence.results.done)
    assert first == second != third == "wav2vec2-base@abababab"
    assert [len(one.runs) for one in evidence.results.configurations] == [1, 1, 1]
    assert any("different weights" in line for line in summarise(evidence).caveats)


def test_a_run_without_predictions_counts_as_no_seed(tmp_path):
    for seed in (0, 1, 2):
        write_run(tmp_path / str(seed), seed=seed)
    (tmp_path / "1" / "predictions.jsonl").unlink()
    evidence = Evidence(collect(tmp_path))
    sheet = method_table(evidence)
    assert cell(sheet, "seeds", method="frozen").text == "2 of 3"
    assert "Seeds are missing of: frozen (1 of 3 seeds)." in sheet.notes
    assert "1: " in run_table(evidence.results).notes[0] and len(evidence.notes) == 1


def edited(run, change):
    metrics = json.loads((run / METRICS).read_text())
    change(metrics)
    RunFolder(run).write(METRICS, metrics)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m["test"].update(macro_f1=0.999), r"test: macro F1 is 0\.9990, by the predictions 0\."),
        (lambda m: m["test"]["confusion"][0].reverse(), r"test: its confusion matrix differs in \d+ clips?"),
        (lambda m: m["test"]["per_speaker"].pop("s03"), "test: speaker 's03' is in only one of the two files"),
        (lambda m: m["test"].update(confusion=[["x"]]), "test: its scores are not of the form"),
        (lambda m: m["test"].update(labels=["a", "b"]), "test: it has the labels a, b, the predictions anger"),
    ],
)
def test_metrics_that_are_not_of_the_predictions_are_named_in_one_line(tmp_path, change, words):
    write_run(tmp_path / "sound", seed=1)
    broken = write_run(tmp_path / "broken")
    edited(broken, change)
    made = write(tmp_path, tmp_path / "out", only=("csv",))
    assert [run.state for run in made.results.runs] == ["broken", "done"] and len(made.notes) == 1
    assert str(broken / METRICS) in made.notes[0] and re.search(words, made.notes[0]) and "\n" not in made.notes[0]


def test_a_probe_that_does_not_fit_is_left_out_alone(tmp_path):
    run = write_run(tmp_path / "run")
    edited(run, lambda metrics: metrics["probe"]["test"].update(macro_f1=0.999))
    evidence = Evidence(collect(run))
    assert [one.axes.method for one in evidence.configurations] == ["frozen"]
    assert "The one run is done." in summarise(evidence).overview[0]
    assert "probe.test: macro F1 is 0.9990" in evidence.notes[0] and "left out" in evidence.notes[0]


def test_probabilities_alike_to_the_last_digit_may_go_either_way(tmp_path):
    run = write_run(tmp_path / "run")
    rows = RunFolder(run).read_lines("predictions.jsonl")
    values = rows[0]["probabilities"]
    first, second, *_ = sorted(values, key=lambda label: -values[label])
    middle = (values[first] + values[second]) / 2
    values |= {first: middle - 5e-7, second: middle + 5e-7}
    RunFolder(run).write_lines("predictions.jsonl", rows)
    assert collect(run).done
    values |= {first: middle - 5e-4, second: middle + 5e-4}
    RunFolder(run).write_lines("predictions.jsonl", rows)
    with pytest.raises(UserError, match=r"its confusion matrix differs in 1 clip\)"):
        collect(run)


def test_a_new_measure_is_computed_from_the_predictions_of_older_runs(tmp_path, monkeypatch):
    def kappa(tally):
        agreed = tally.hits.sum(axis=1) / tally.clips
        expected = (tally.support * tally.called).sum(axis=1) / tally.clips**2
        return (agreed - expected) / (1 - expected)

    run = write_run(tmp_path / "run")
    before = json.loads((run / METRICS).read_text())["test"]
    toy = LabelMeasure(name="kappa", title="Cohen's kappa", function=kappa, range=(-1.0, 1.0))
    monkeypatch.setattr(MEASURES, "_records", {**MEASURES, "kappa": toy})
    evidence = Evidence(collect(run))
    assert not evidence.notes
    found = cell(method_table(evidence), "Cohen's kappa", method="frozen")
    # Of balanced classes that are K labels, kappa is (accuracy - 1/K) / (1 - 1/K).
    expected = (before["accuracy"] - 1 / 7) / (6 / 7)
    assert values(found)["mean"] == pytest.approx(100 * expected) and values(found)["low"] < 100 * expected
    runs = run_table(evidence.results)
    assert runs.rows[0][column(runs, "Cohen's kappa")].key == pytest.approx(100 * expected)
