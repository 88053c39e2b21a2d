"""Chapters of dimensions, raters' shares and several labels: their numbers by hand, and their figures."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from affetto.errors import UserError
from affetto.measures.regression import CCC
from affetto.reporting.chapters.coverage import coverages, draw_coverage
from affetto.reporting.chapters.learning_curves import MEAN_CCC, curve_pictures
from affetto.reporting.chapters.listing import build_sections
from affetto.reporting.chapters.measures import comparison_table, draw_lines
from affetto.reporting.chapters.numbers import dimension_table
from affetto.reporting.chapters.plane import draw_plane, plane_of
from affetto.reporting.chapters.scatter import draw_scatter, points_of
from affetto.reporting.chapters.several_labels import draw_labels, label_table
from affetto.reporting.report import write
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.reporting.results.exports import results_csv
from affetto.reporting.results.lines import read_lines
from affetto.reporting.results.parts import MARKS, NUMBERS, SHARES, part_of
from affetto.reporting.terminal_sheets import headline_sheet
from reporting.folders import write_run
from reporting.target_folders import write_target_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dimensions by two methods and two seeds, and one run each of joint, multilabel and distribution."""
    root = tmp_path_factory.mktemp("chapters")
    for seed in (0, 1):
        write_target_run(root / f"frozen-{seed}", seed=seed)
        write_target_run(root / f"lora-{seed}", method="lora", skill=0.9, seed=seed)
    for name in ("joint", "multilabel", "distribution"):
        write_target_run(root / name, name)
    return root


@pytest.fixture(scope="module")
def evidence(folder: Path) -> Evidence:
    return Evidence(collect(folder))


def cells(sheet):
    names = [column.name for column in sheet.columns]
    return [dict(zip(names, row, strict=True)) for row in sheet.rows]


def test_a_dimension_has_its_score_over_seeds_beside_the_probe_s(evidence: Evidence, folder: Path) -> None:
    rows = cells(dimension_table(part_of(evidence, NUMBERS)))
    (row,) = [
        row
        for row in rows
        if (row["method"].text, row["target"].text, row["dimension"].text) == ("LoRA", "dimensions", "valence")
    ]

    def scores(file: str) -> list[float]:
        values = []
        for seed in (0, 1):
            lines = read_lines(folder / f"lora-{seed}" / file)
            truth, prediction = (np.array([[line[k]["valence"]] for line in lines]) for k in ("truth", "prediction"))
            values.append(float(CCC.of_predictions(prediction, truth)[0]))
        return values

    own, probe = scores("predictions.jsonl"), scores("probe_predictions.jsonl")
    assert row["CCC"].key == pytest.approx(np.mean(own)) and row["seeds"].text == "2"
    assert dict(row["CCC"].values)["sd"] == pytest.approx(np.std(own, ddof=1))
    assert row["over probe"].key == pytest.approx(np.mean(own) - np.mean(probe))
    assert [row["dimension"].text for row in rows[:3]] == ["mean", "arousal", "valence"]


def test_every_part_has_its_chapter_and_classes_theirs(evidence: Evidence) -> None:
    sections = {section.name: section for section in build_sections(evidence)}
    assert {"results", "dimensions", "shares", "labels", "runs", "training", "splits"} <= set(sections)
    sheets = {sheet.name for section in sections.values() for sheet in section.sheets}
    assert {"dimensions", "dimensions-comparisons", "intervals", "shares", "labels", "labels-each"} <= sheets
    names = {picture.name for section in sections.values() for picture in section.pictures}
    assert {"plane-emovo", "scatter-emovo", "intervals-emovo", "dimensions-emovo", "labels-each-emovo"} <= names
    assert "curves-dimensions-emovo-wav2vec-2-0-base-a" in names
    assert "LoRA, dimensions has the best mean CCC" in sections["dimensions"].words


def test_a_folder_of_classes_has_none_of_these_chapters(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    names = {section.name for section in build_sections(Evidence(collect(tmp_path)))}
    assert not names & {"dimensions", "shares", "labels"} and "results" in names


def test_comparisons_of_dimensions_are_by_ccc_and_name_the_measure(evidence: Evidence) -> None:
    (section,) = [section for section in build_sections(evidence) if section.name == "dimensions"]
    rows = cells(next(sheet for sheet in section.sheets if sheet.name == "dimensions-comparisons"))
    assert {row["measure"].text for row in rows} == {"mean CCC", "CCC of arousal", "CCC of valence"}
    (row,) = [
        row
        for row in rows
        if (row["first"].text, row["second"].text, row["measure"].text) == ("LoRA", "frozen", "mean CCC")
    ]
    of_numbers = part_of(evidence, NUMBERS)
    named = {(c.axes.method, c.axes.target): c for c in of_numbers.configurations}
    lora, frozen = (of_numbers.spread(named[method, "dimensions"]).mean for method in ("lora", "frozen"))
    assert row["difference"].key == pytest.approx(lora - frozen) and row["difference"].text.startswith("+0.")


def test_coverage_is_the_mean_over_seeds_and_none_of_a_probe(evidence: Evidence) -> None:
    configs = {(c.axes.method, c.axes.target): c for c in part_of(evidence, NUMBERS).configurations}
    values = coverages(configs["lora", "dimensions"])["arousal"]
    facts = [
        run.metrics["confidence"]["conformal"]["dimensions"]["arousal"] for run in configs["lora", "dimensions"].done
    ]
    assert values.coverage == pytest.approx(np.mean([fact["coverage"] for fact in facts]))
    assert values.per_speaker["s01"] == pytest.approx(np.mean([fact["per_speaker"]["s01"] for fact in facts]))
    assert coverages(configs["probe", "dimensions"]) == {}


def test_the_plane_has_the_centres_of_emotions_where_they_are_known(evidence: Evidence, folder: Path) -> None:
    of_numbers = part_of(evidence, NUMBERS)
    configs = {(c.axes.method, c.axes.target): c for c in of_numbers.configurations}
    lines = read_lines(folder / "joint" / "predictions.jsonl")
    joy = [line for line in lines if line["truth"] == "joy"]
    centre = plane_of(of_numbers, configs["frozen", "joint"]).centres["joy"]
    assert centre.truth[0] == pytest.approx(np.mean([line["dimension_truth"]["valence"] for line in joy]))
    assert centre.prediction[1] == pytest.approx(np.mean([line["prediction"]["arousal"] for line in joy]))
    assert set(plane_of(of_numbers, configs["lora", "dimensions"]).centres) == {""}
    points = points_of(of_numbers, configs["lora", "dimensions"])["valence"]
    assert len(points.truth) == 2 * 84 and (points.low, points.high) == (1, 5)


def test_labels_have_their_thresholds_and_clips(evidence: Evidence) -> None:
    of_marks = part_of(evidence, MARKS)
    rows = cells(label_table(of_marks))
    (run,) = [config.done[0] for config in of_marks.configurations if config.axes.method == "frozen"]
    (row,) = [row for row in rows if (row["method"].text, row["label"].text) == ("frozen", "joy")]
    assert run.metrics is not None
    assert row["threshold"].key == pytest.approx(run.metrics["confidence"]["thresholds"]["joy"])
    assert row["F1"].key == pytest.approx(100 * run.test["per_label"]["joy"]["f1"]) and row["clips"].key == 24
    assert {row["threshold"].text for row in rows if row["method"].text == "probe"} == {"–"}


def test_a_lower_divergence_is_better(tmp_path: Path) -> None:
    for method, skill in (("frozen", 0.2), ("lora", 0.9)):
        write_target_run(tmp_path / method, "distribution", method=method, skill=skill, speakers=12)
    sheet = comparison_table(part_of(Evidence(collect(tmp_path)), SHARES), "shares-comparisons")
    assert sheet is not None
    (row,) = [row for row in cells(sheet) if (row["first"].text, row["second"].text) == ("LoRA", "frozen")]
    assert row["difference"].key < 0 and row["verdict"].text.startswith("first is better")


def test_learning_curves_are_of_the_main_measure(evidence: Evidence) -> None:
    pictures = curve_pictures(part_of(evidence, NUMBERS), MEAN_CCC, lambda config: not config.done[0].has_classes)
    assert [picture.name for picture in pictures] == ["curves-dimensions-emovo-wav2vec-2-0-base-a"]
    assert "validation mean CCC" in pictures[0].alt


def test_a_report_of_dimensions_alone_is_whole_and_its_headline_fits_a_terminal(tmp_path: Path) -> None:
    write_target_run(tmp_path / "run", synthetic=True)
    report = write(tmp_path / "run", tmp_path / "out", only=("html", "latex", "csv", "predictions"))
    page = (tmp_path / "out/index.html").read_text()
    assert "synthetic speech" in page.lower() and "plane-emovo" in page
    assert r"\begin{tabular" in (tmp_path / "out/tables/dimensions.tex").read_text()
    (name,) = [name for name in report.files if name.endswith("frozen-dimensions-paper-loso-numbers.csv")]
    header, first, *_ = (tmp_path / "out" / name).read_text().splitlines()
    assert header == "clip,speaker,seed,true arousal,arousal,true valence,valence,speech"
    line = read_lines(tmp_path / "run/predictions.jsonl")[0]
    assert first.split(",")[3:5] == [str(line["truth"]["arousal"]), str(line["prediction"]["arousal"])]
    assert report.headline is not None
    sheet = headline_sheet(report.headline)
    names = [column.name for column in sheet.columns]
    assert "CCC (95 %)" in names and "MAE" not in names and "–" in sheet.rows[0][names.index("CCC (95 %)")].text


def test_tests_on_other_corpora_stand_with_their_part(tmp_path: Path) -> None:
    run = write_target_run(tmp_path / "run")
    write_run(tmp_path / "classes")
    metrics = json.loads((run / "metrics.json").read_text())
    crossed = {name: metrics[name] for name in ("test", "target", "identity", "synthetic")}
    crossed |= {"trained_on": "emovo", "corpus": "demos", "crossed": "demos"}
    (run / "crossed" / "demos").mkdir(parents=True)
    (run / "crossed" / "demos" / "metrics.json").write_text(json.dumps(crossed))
    evidence = Evidence(collect(tmp_path))
    assert not evidence.notes and not evidence.results.evaluations
    sections = {section.name: section for section in build_sections(evidence)}
    assert "across" not in sections
    (row,) = cells(next(sheet for sheet in sections["dimensions"].sheets if sheet.name == "dimensions-across"))
    assert (row["trained on"].text, row["tested on"].text, row["clips"].text) == ("EMOVO", "DEMoS", "84")
    assert row["CCC of valence"].key == pytest.approx(crossed["test"]["dimensions"]["valence"]["ccc"])
    lines = list(csv.DictReader(io.StringIO(results_csv(evidence))))
    (line,) = [line for line in lines if line["part"] == "test on demos" and line["measure"] == "rmse_arousal"]
    assert float(line["score"]) == pytest.approx(crossed["test"]["dimensions"]["arousal"]["rmse"])
    assert float(line["low"]) == pytest.approx(crossed["test"]["dimensions"]["arousal"]["interval"]["rmse"][0])


def test_nothing_to_draw_is_a_mistake(evidence: Evidence, tmp_path: Path) -> None:
    of_numbers = part_of(evidence, NUMBERS)
    empty = plane_of(of_numbers, of_numbers.configurations[0])
    vars_of = {**vars(empty), "prediction": np.empty((0, 2))}
    for draw, nothing in (
        (draw_scatter, {}),
        (draw_coverage, {}),
        (draw_labels, {}),
        (draw_plane, type(empty)(**vars_of)),
    ):
        with pytest.raises(UserError, match="to draw"):
            draw(nothing, tmp_path / "a.svg", "t")
    with pytest.raises(UserError, match="no scores to draw"):
        draw_lines([], tmp_path / "a.svg", "t", "m")
