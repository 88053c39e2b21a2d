"""Folders that hold runs of several targets: nothing is mixed, dropped or broken by another."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from affetto.reporting.chapters.cost import cost_table
from affetto.reporting.chapters.runs import run_table
from affetto.reporting.papers.dasaro2024.protocols import protocols
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.reporting.results.contrasts import contrasts
from affetto.reporting.results.exports import results_csv
from affetto.reporting.results.parts import MARKS, NUMBERS, SHARES, part_of
from affetto.reporting.results.summary import summarise
from reporting.folders import write_grid, write_run
from reporting.target_folders import TARGETS, write_target_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of every target on one corpus, each with a probe beside it, and two more seeds of dimensions."""
    root = tmp_path_factory.mktemp("targets")
    for name in TARGETS:
        write_target_run(root / name, name)
    for seed in (1, 2):
        write_target_run(root / f"dimensions-{seed}", "dimensions", seed=seed)
    return root


@pytest.fixture(scope="module")
def evidence(folder: Path) -> Evidence:
    return Evidence(collect(folder))


def test_runs_go_by_what_they_predict_and_keep_the_corpus_s_name(evidence: Evidence) -> None:
    results = evidence.results
    assert not evidence.notes
    assert {run.axes.target for run in results.done} == {"classes", "distribution", "joint"}
    assert {run.axes.target for run in results.other_runs} == {"multilabel", "dimensions"}
    assert {run.axes.corpus for run in results.every_run} == {"emovo"}
    assert len(results.every_configuration) == len(TARGETS)
    words = summarise(evidence).overview[0]
    assert "target classes, distribution, joint, dimensions and multilabel" in words and "All 7 runs are done" in words


def test_configurations_of_targets_are_systems_of_their_own_beside_their_own_probes(evidence: Evidence) -> None:
    named = {(config.axes.method, config.axes.target): config for config in evidence.configurations}
    assert set(named) == {(m, t) for m in ("probe", "frozen") for t in ("classes", "distribution", "joint")}
    for (_, target), config in named.items():
        baseline = evidence.baseline(config)
        assert baseline is not None and baseline.axes.target == target
    pairs = {(c.first, c.second) for c in contrasts(evidence) if c.kind == "target"}
    assert pairs == {("distribution", "classes"), ("joint", "classes"), ("joint", "distribution")}
    numbers = part_of(evidence, NUMBERS)
    assert {config.axes.target for config in numbers.configurations} == {"dimensions", "joint"}
    assert {config.axes.target for config in part_of(evidence, SHARES).configurations} == {"distribution"}
    assert {config.axes.target for config in part_of(evidence, MARKS).configurations} == {"multilabel"}


def test_annotated_clips_are_an_edition_with_those_of_classes(tmp_path: Path) -> None:
    for name in ("classes", "distribution"):
        run = write_target_run(tmp_path / name, name)
        content = json.loads((run / "spec.json").read_text())
        content["facts"] |= {"audio": "a" * 64, "manifest": name}  # ratings are part of the digest
        (run / "spec.json").write_text(json.dumps(content))
    results = collect(tmp_path)
    assert {run.axes.corpus for run in results.done} == {"emovo"}
    (other, content) = (tmp_path / "other", json.loads((tmp_path / "classes" / "spec.json").read_text()))
    write_target_run(other, "classes", seed=5)
    (other / "spec.json").write_text(json.dumps(content | {"facts": content["facts"] | {"manifest": "changed"}}))
    assert len({run.axes.corpus for run in collect(tmp_path).done}) == 2


def test_the_paper_s_tables_are_of_classes_alone(tmp_path: Path) -> None:
    write_target_run(tmp_path / "run", "distribution", skill=0.9)
    evidence = Evidence(collect(tmp_path))
    assert evidence.configurations and protocols(evidence) == []
    write_target_run(tmp_path / "classes", "classes")
    (protocol,) = protocols(Evidence(collect(tmp_path)))
    assert {config.axes.target for config in protocol.configurations} == {"classes"}


def test_cost_and_cautions_are_of_every_target(evidence: Evidence, tmp_path: Path) -> None:
    targets = [row[1].text for row in cost_table(evidence).rows]
    assert sorted(targets) == ["classes", "dimensions", "distribution", "joint", "multilabel"]
    write_target_run(tmp_path / "run", "dimensions")
    caveats = " ".join(summarise(Evidence(collect(tmp_path))).caveats)
    assert "One seed was run of all configurations" in caveats and "models of the folds" in caveats


def test_scores_of_a_part_are_those_of_the_metrics_with_the_same_interval(evidence: Evidence) -> None:
    for part in (NUMBERS, SHARES, MARKS):
        of_part = part_of(evidence, part)
        for config in (config for config in of_part.configurations if len(config.runs) == 1):
            (run,) = config.runs
            written = {scored.name: scored for scored in run.target.scored(run.test)}
            for judged in of_part.judged(config):
                estimate = of_part.estimate(config, judged.name)
                assert estimate.value == pytest.approx(written[judged.name].value)
                assert (estimate.low, estimate.high) == pytest.approx(written[judged.name].interval)


def test_the_table_of_runs_and_results_csv_have_every_target(evidence: Evidence) -> None:
    table = run_table(evidence.results)
    names = [column.name for column in table.columns]
    rows = [dict(zip(names, (cell.text for cell in row), strict=True)) for row in table.rows]
    assert [row["target"] for row in rows].count("dimensions") == 3
    of_dimensions = next(row for row in rows if row["target"] == "dimensions")
    assert of_dimensions["macro F1"] == "—" and of_dimensions["mean CCC"] != "—"
    lines = list(csv.DictReader(io.StringIO(results_csv(evidence))))
    measures = {name: {line["measure"] for line in lines if line["target"] == name} for name in TARGETS}
    assert "ccc_arousal" in measures["dimensions"] and "macro_f1" not in measures["dimensions"]
    assert {"macro_f1", "ccc_arousal"} <= measures["joint"] and {"macro_f1", "kl"} <= measures["distribution"]
    assert "mean_average_precision" in measures["multilabel"] and "kl" not in measures["classes"]
    seeds = {line["seed"] for line in lines if line["target"] == "dimensions" and line["part"] == "test"}
    assert seeds == {"0", "1", "2", "all"}


def test_a_folder_of_dimensions_alone_and_one_of_classes_are_as_they_are(tmp_path: Path) -> None:
    write_target_run(tmp_path / "alone" / "run", "dimensions")
    alone = Evidence(collect(tmp_path / "alone"))
    assert not alone.configurations and "target dimensions" in summarise(alone).overview[0]
    write_run(tmp_path / "plain" / "run")
    plain = Evidence(collect(tmp_path / "plain"))
    assert "target" not in [column.name for column in run_table(plain.results).columns]
    assert "target" not in results_csv(plain).splitlines()[0].split(",")
    assert "target" not in summarise(plain).overview[0]


@pytest.mark.parametrize("name", ["dimensions", "multilabel", "distribution", "joint"])
def test_scores_that_are_not_of_the_predictions_make_a_run_broken(name: str, tmp_path: Path) -> None:
    run, _ = write_target_run(tmp_path / "run", name), write_run(tmp_path / "other")
    lines = (run / "predictions.jsonl").read_text().splitlines()
    row = json.loads(lines[0])
    if name == "multilabel":
        row["prediction"] = list(row["probabilities"])
    elif name == "distribution":
        row["shares"] = dict.fromkeys(row["shares"], 1 / 7)
    else:
        row["prediction"]["arousal"] = 1.0 if row["prediction"]["arousal"] > 3 else 5.0
    (run / "predictions.jsonl").write_text("\n".join([json.dumps(row), *lines[1:]]) + "\n")
    results = collect(tmp_path)
    assert [run.state for run in results.every_run if run.name == "run"] == ["broken"]
    assert "by the predictions" in results.notes[0]


def test_a_setting_of_another_target_is_no_change(tmp_path: Path) -> None:
    for name in ("classes", "dimensions"):
        run = write_target_run(tmp_path / name, name)
        content = json.loads((run / "spec.json").read_text())
        usual = content["spec"]["settings"]["target"]["dimension_loss"]
        content["spec"]["settings"]["target"]["dimension_loss"] = "mse" if usual != "mse" else "ccc"
        (run / "spec.json").write_text(json.dumps(content))
    settings = {run.axes.target: dict(run.axes.settings) for run in collect(tmp_path).every_run}
    assert settings["classes"] == {} and set(settings["dimensions"]) == {"target.dimension_loss"}


def test_a_target_that_is_not_installed_is_named(tmp_path: Path) -> None:
    run, _ = write_target_run(tmp_path / "run"), write_run(tmp_path / "other")
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["target"]["kind"] = "ranking"
    (run / "metrics.json").write_text(json.dumps(metrics))
    results = collect(tmp_path)
    assert len(results.every_done) == 1 and "ranking" in results.notes[0]


def test_an_unfinished_run_has_the_target_of_finished_ones_like_it(tmp_path: Path) -> None:
    grid = write_grid(tmp_path / "grid", [({"seed": 0}, {}), ({"seed": 1}, {"state": "waiting"})])
    (done,) = (grid / "runs").iterdir()
    write_target_run(tmp_path / "run", "dimensions", recipe="paper")
    for file in (tmp_path / "run").iterdir():
        if file.is_file():
            (done / file.name).write_bytes(file.read_bytes())
    for folder in (tmp_path / "run" / "folds").iterdir():
        for file in folder.iterdir():
            (done / "folds" / folder.name / file.name).write_bytes(file.read_bytes())
    results = collect(grid)
    assert [run.axes.target for run in results.other_runs] == ["dimensions", "dimensions"] and not results.runs
