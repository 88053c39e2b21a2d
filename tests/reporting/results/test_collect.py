"""Folders of results: grids, runs and both mixed, half done or broken; nothing is guessed and nothing lost unsaid."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from affetto.errors import UserError
from affetto.models.methods.registry import METHODS
from affetto.reporting.report import write
from affetto.reporting.results.collect import collect
from affetto.reporting.results.records import baseline_name
from affetto.training.runs import METRICS, RunFolder
from affetto.training.train import train
from reporting.folders import write_grid, write_run
from training.corpora import spec, write_table


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """Two methods, three seeds: of frozen all done, of LoRA one done, one failed, one not begun."""
    lora = {"method": "lora"}
    runs = [({"seed": n}, {}) for n in range(3)]
    runs += [(lora, {}), (lora | {"seed": 1}, {"state": "failed", "error": "no memory"})]
    runs += [(lora | {"seed": 2}, {"state": "waiting"})]
    return write_grid(tmp_path_factory.mktemp("grid") / "out", runs)


def test_a_grid_half_done_tells_what_is_there_and_what_is_missing(grid):
    results = collect(grid)
    assert results.name == "small" and not results.notes and not results.synthetic
    assert [run.state for run in results.runs] == ["done"] * 4 + ["failed", "waiting"]
    assert results.runs[4].error == "no memory"
    frozen, lora = results.configurations
    assert (len(frozen.done), frozen.missing, len(lora.done), lora.missing) == (3, 0, 1, 2)
    assert [run.axes.seed for run in lora.runs] == [0, 1, 2]
    assert frozen.axes.scenario == "A" and frozen.axes.title == "Wav2Vec 2.0 Base" and frozen.split == "loso"


def test_of_a_run_its_scores_predictions_logs_and_split_can_be_read(grid):
    results = collect(grid)
    run = results.done[0]
    assert run.test == json.loads((run.path / METRICS).read_text())["test"]
    assert run.predictions is not None and len(run.predictions.clips) == run.test["n"] == 84
    probe = run.baseline
    assert probe is not None and probe.axes.method == "probe" and probe.predictions is not None
    assert probe.test == run.baseline_test != run.test and probe.predictions.clips == run.predictions.clips
    assert not (probe.predictions.probabilities == run.predictions.probabilities).all()
    assert list(run.logs) == [f"s{n:02}" for n in range(6)] and len(run.logs["s00"]) == 5
    assert [split.protocol for split in results.splits.values()] == ["loso"]


def test_a_real_run_is_read_like_those_that_tests_write(grid, tmp_path):
    table = write_table(tmp_path / "corpus")
    made = train(spec(table, "frozen", backbone="whisper-mini", split="column"), tmp_path / "run", device="cpu")
    (run,) = collect(tmp_path / "run").runs
    assert run.metrics == json.loads((tmp_path / "run" / METRICS).read_text()) and run.test == made["test"]
    assert run.axes.settings == (
        ("compute.precision", "float32"),
        ("training.batch_size", "8"),
        ("training.epochs", "2"),
    )
    assert run.axes.corpus == "table" and run.axes.split == "column" and list(run.logs) == ["run"]
    written = collect(grid).done[0]
    assert set(written.metrics) - {"folds"} <= set(made)
    first, second = (RunFolder(each.path).read_lines("predictions.jsonl")[0] for each in (written, run))
    assert set(first) - {"gender", "fold", "prompt"} == set(second)


def test_a_folder_of_runs_and_grids_is_read_as_a_whole(grid, tmp_path):
    shutil.copytree(grid, tmp_path / "all" / "grid")
    write_run(tmp_path / "all" / "mine" / "one", method="adapter", recipe="recommended")
    write_run(tmp_path / "all" / "mine" / "two", method="adapter", seed=1, part=1)
    (tmp_path / "all" / "notes").mkdir()
    results = collect(tmp_path / "all")
    assert len(results.runs) == 8 and len(results.done) == 5 and results.name == "small"
    assert [run.state for run in results.runs if run.axes.method == "adapter"] == ["done", "begun"]
    single = collect(tmp_path / "all" / "mine" / "one")
    assert [run.axes.method for run in single.runs] == ["adapter"]


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"test": {}}'])
def test_a_corrupt_metrics_file_is_named_and_left_out(grid, tmp_path, content):
    out = shutil.copytree(grid, tmp_path / "out")
    broken = collect(out).done[1]
    (broken.path / METRICS).write_text(content)
    results = collect(out)
    assert len(results.done) == 3 and results.runs[1].state == "broken"
    assert len(results.notes) == 1 and str(broken.path / METRICS) in results.notes[0]
    assert results.configurations[0].missing == 1


def test_copies_and_second_runs_of_the_same_axes_count_once(grid, tmp_path):
    first = write_run(tmp_path / "all" / "a")
    shutil.copytree(first, tmp_path / "all" / "b")
    write_run(tmp_path / "all" / "c", skip_bad=True, probe=False)
    results = collect(tmp_path / "all")
    assert [run.name for run in results.runs] == ["a"]
    assert "the same run as" in results.notes[0] and "asked for or computed otherwise" in results.notes[1]


def test_of_an_unfinished_and_a_finished_run_the_finished_counts(tmp_path):
    write_run(tmp_path / "a", part=1)
    write_run(tmp_path / "b")
    assert [run.name for run in collect(tmp_path).runs] == ["b"]


def test_settings_that_differ_from_the_recipe_tell_runs_apart(tmp_path):
    out = write_grid(
        tmp_path / "out",
        [
            ({"method": "lora", "settings": {"lora.alpha": 8}}, {}),
            ({"method": "lora", "settings": {"lora.alpha": 1}}, {}),
        ],
    )
    eight, usual = collect(out).configurations
    assert eight.axes.settings == (("lora.alpha", "8.0"),) and usual.axes.settings == ()
    assert eight.axes != usual.axes


def test_a_run_is_told_by_the_settings_it_was_done_under_not_by_what_the_recipe_says_today(tmp_path):
    """A plan names no setting that the recipe had; those of another method's section change nothing."""
    out = write_grid(tmp_path / "out", [({"method": "adapter"}, {}), ({"method": "frozen"}, {})])
    former = {"bottleneck": 128, "dropout": 0.1, "scale": 0.1, "placement": "parallel"}
    for file in out.glob("runs/*/spec.json"):
        content = json.loads(file.read_text())
        content["spec"]["settings"]["adapter"] = former
        file.write_text(json.dumps(content))
    told = {one.axes.method: one.axes.settings for one in collect(out).configurations}
    assert told["frozen"] == ()
    assert told["adapter"] == (
        ("adapter.dropout", "0.1"),
        ("adapter.placement", "parallel"),
        ("adapter.scale", "0.1"),
    )


def test_a_method_that_is_not_installed_is_named_and_the_other_runs_are_read(tmp_path):
    """A method of a plug-in leaves its section in all runs' files, and may be gone when they are read."""
    out = write_grid(tmp_path / "out", [({"method": "adapter"}, {}), ({"method": "frozen"}, {})])
    for file in out.glob("runs/*/spec.json"):
        content = json.loads(file.read_text())
        content["spec"]["settings"]["gains"] = {"start": 1.0}
        file.write_text(json.dumps(content))
    plan = json.loads((out / "grid.json").read_text())
    plan["runs"].append(plan["runs"][0] | {"method": "gains", "run": "another"})
    (out / "grid.json").write_text(json.dumps(plan))
    shutil.copytree(next(out.glob("runs/*frozen*")), tmp_path / "single")
    results = collect(tmp_path)
    assert [run.axes.method for run in results.runs if run.is_done] == ["adapter", "frozen"]
    assert any("method 'gains' is not installed here" in note for note in results.notes)


def test_synthetic_runs_are_known(tmp_path):
    write_run(tmp_path / "a", synthetic=True)
    assert collect(tmp_path).synthetic
    write_run(tmp_path / "b", method="lora")
    assert not collect(tmp_path).synthetic and collect(tmp_path).partly_synthetic


def test_an_evaluation_on_another_corpus_is_found_beside_or_inside_a_run(tmp_path):
    run = write_run(tmp_path / "run")
    tested = json.loads((run / METRICS).read_text())["test"]
    told = {"test": tested, "trained_on": "emovo", "corpus": "demos", "identity": "x", "synthetic": False}
    for place in (tmp_path / "on-demos", run / "on-demos"):
        place.mkdir()
        (place / METRICS).write_text(json.dumps(told))
    results = collect(tmp_path)
    assert len(results.runs) == 1 and [one.corpus for one in results.evaluations] == ["demos", "demos"]


def test_mistakes_are_one_line(tmp_path):
    with pytest.raises(UserError, match="no folder"):
        collect(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no run: give the --out"):
        collect(tmp_path / "empty")
    write_run(tmp_path / "begun", part=0)
    with pytest.raises(UserError, match="is not done; there is nothing to report yet"):
        collect(tmp_path / "begun")
    write_grid(
        tmp_path / "grid", [({}, {"state": "failed", "error": "no memory"}), ({"seed": 1}, {"state": "waiting"})]
    )
    with pytest.raises(UserError, match=r"none of the 2 runs in .* is done \(.*: no memory\)"):
        collect(tmp_path / "grid")
    (tmp_path / "grid" / "grid.json").write_text('{"name": "x"}')
    with pytest.raises(UserError, match="not the plan of a grid"):
        collect(tmp_path / "grid")


def test_checkpoints_whose_folders_share_a_name_are_told_apart(tmp_path):
    for number, backbone in enumerate(("/models/one/it", "/models/two/it", "/models/one/de")):
        write_run(tmp_path / "runs" / str(number), backbone=backbone)
    titles = [one.axes.title for one in collect(tmp_path / "runs").configurations]
    assert sorted(titles) == ["de", "one/it", "two/it"]
    write(tmp_path / "runs", tmp_path / "report", only=("csv",))
    assert "two/it" in (tmp_path / "report" / "tables" / "methods.csv").read_text()


def test_a_backbone_s_names_and_a_split_left_to_the_corpus_are_one_configuration(tmp_path):
    write_run(tmp_path / "key", seed=0)
    write_run(tmp_path / "hub", seed=1, backbone="facebook/wav2vec2-base")
    for seed in (2, 3):
        write_run(tmp_path / f"default{seed}", seed=seed, part=2 if seed == 2 else 0)
        content = json.loads((tmp_path / f"default{seed}" / "spec.json").read_text())
        content["spec"]["split"] = None
        (tmp_path / f"default{seed}" / "spec.json").write_text(json.dumps(content))
    (one,) = collect(tmp_path).configurations
    assert [run.axes.seed for run in one.done] == [0, 1, 2] and one.missing == 1
    assert (one.axes.backbone, one.axes.split) == ("wav2vec2-base", "loso")


@pytest.mark.parametrize("missing", ["precision", "backbone_parameters", "test"])
def test_metrics_that_lack_something_are_named_and_left_out(missing, tmp_path):
    write_run(tmp_path / "whole", seed=0)
    broken = write_run(tmp_path / "broken", seed=1) / METRICS
    content = json.loads(broken.read_text())
    del content[missing]
    broken.write_text(json.dumps(content))
    results = collect(tmp_path)
    assert [run.state for run in results.runs] == ["broken", "done"] and f"it lacks {missing}" in results.notes[0]


def test_broken_evaluations_predictions_and_logs_are_named(tmp_path):
    run = write_run(tmp_path / "run", split="paper", speakers=8)
    (run / "on-demos").mkdir()
    told = {"test": {}, "trained_on": "emovo", "corpus": "demos"}
    (run / "on-demos" / METRICS).write_text(json.dumps(told))
    assert "it lacks test." in " ".join(collect(tmp_path).notes)
    second = write_run(tmp_path / "second", split="paper", speakers=8, seed=1)
    (second / "log.jsonl").write_text("5\n")
    first, *rest = (run / "predictions.jsonl").read_text().splitlines()
    row = json.loads(first)
    row["probabilities"][next(iter(row["probabilities"]))] = "much"
    (run / "predictions.jsonl").write_text("\n".join([json.dumps(row), *rest]) + "\n")
    made = write(tmp_path, tmp_path / "report", only=("csv",))
    told = " ".join(made.notes)
    assert str(run / "predictions.jsonl") in told and str(second / "log.jsonl") in told
    shutil.rmtree(second)
    with pytest.raises(UserError, match=r"is not done \(run: .*not predictions that affetto wrote"):
        write(run, tmp_path / "none", only=("csv",))


def test_the_baseline_is_the_method_whose_record_says_so(grid, monkeypatch):
    axes = collect(grid).done[0].axes
    assert (axes.method, axes.is_baseline, baseline_name()) == ("frozen", False, "probe")
    monkeypatch.setattr(METHODS["frozen"], "is_baseline", True)
    monkeypatch.setattr(METHODS["probe"], "is_baseline", False)
    assert axes.is_baseline and baseline_name() == "frozen"
    assert not replace(axes, method="of-a-plug-in-that-is-gone").is_baseline
