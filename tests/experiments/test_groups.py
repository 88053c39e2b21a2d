"""Runs that one worker does together: which they are, and what each has of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from affetto.experiments import worker
from affetto.experiments.grid import read
from affetto.experiments.groups import fits_at_once, groups
from affetto.experiments.states import GridFolder, overview
from affetto.training import backbones
from training.corpora import write_table

GRID = """
axes:
  backbone: whisper-mini
  corpus: table
  method: [frozen, lora, bitfit]
  seed: [0, 1, 2]
  split: column
  random_weights: true
  compute.precision: float32
  training.epochs: 2
"""


@pytest.fixture
def grid(tmp_path: Path):
    (tmp_path / "grid.yaml").write_text(GRID)
    return read(tmp_path / "grid.yaml")


def sizes(grid, stack, **more) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for group in groups(grid.runs, stack, **more):
        assert len({run["method"] for run in group}) == 1
        found.setdefault(group[0]["method"], []).append(len(group))
    return found


def test_runs_that_differ_in_seeds_alone_go_together_where_their_method_can_be_stacked(grid) -> None:
    assert sizes(grid, 3) == {"frozen": [3], "lora": [3], "bitfit": [1, 1, 1]}
    assert sizes(grid, 2) == {"frozen": [2, 1], "lora": [2, 1], "bitfit": [1, 1, 1]}
    assert sizes(grid, 1) == {name: [1, 1, 1] for name in ("frozen", "lora", "bitfit")}
    assert sizes(grid, "auto", has_accelerator=True)["lora"] == [3]
    assert sizes(grid, "auto") == sizes(grid, 1), "on a CPU it is no quicker"
    assert sizes(grid, 8, workers=5)["lora"] == [2, 1], "no worker is left without runs"


def test_the_fits_of_a_group_are_those_of_all_its_folds_as_far_as_the_stack_goes(grid) -> None:
    lora = [run for run in grid.runs if run["method"] == "lora"]
    bitfit = [run for run in grid.runs if run["method"] == "bitfit"]
    assert [fits_at_once(lora, stack) for stack in (1, 2, 8, "auto")] == [1, 2, 3, 1]
    assert fits_at_once(lora, "auto", has_accelerator=True) == 3
    assert fits_at_once([*bitfit, lora[0]], 8) == 1, "what cannot be stacked trains alone"


def test_each_run_of_a_group_has_its_own_folder_lock_and_failure(
    grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, folder = write_table(tmp_path / "corpus"), GridFolder(tmp_path / "out")
    runs = [run for run in grid.runs if run["method"] == "lora"]
    tasks = [
        {
            "grid": str(folder.path),
            "run": run.name,
            "device": "cpu",
            "spec": run.spec({"table": str(table)}).model_dump(mode="json"),
        }
        for run in runs
    ]
    alone = worker.do(tasks[2] | {"grid": str(tmp_path / "alone")})
    assert alone["state"] == "done"
    tasks[1]["spec"]["corpora"][0]["path"] = str(tmp_path / "absent.csv")
    with FileLock(folder.lock(runs[0].name).lock_file):
        busy, failed, done = worker.do_together(tasks, 3)
    assert (busy["state"], failed["state"], done["state"]) == ("busy", "failed", "done")
    assert "absent.csv" in failed["error"]
    assert [state for state, _ in overview(folder, [run.name for run in runs]).values()] == [
        "waiting",
        "failed",
        "done",
    ]
    folder.clear_failure(runs[1].name)
    tasks[1]["spec"]["corpora"][0]["path"] = str(table)
    loaded, load = [], backbones.load_backbone
    monkeypatch.setattr(backbones, "load_backbone", lambda *a, **named: loaded.append(a) or load(*a, **named))
    ended, answer_of = [], worker._answer

    def watched(task, outcome):
        for name in ended:
            folder.lock(name).acquire(timeout=0).lock.release()  # of a run that has ended, it is free
        ended.append(task["run"])
        return answer_of(task, outcome)

    monkeypatch.setattr(worker, "_answer", watched)
    assert [answer["state"] for answer in worker.do_together(tasks, 3)] == ["done"] * 3
    assert sorted(ended) == sorted(run.name for run in runs)
    assert len(loaded) == 1, "a backbone is in memory once"
    stacked, single = (
        json.loads((root / "runs" / runs[2].name / "metrics.json").read_text())
        for root in (folder.path, tmp_path / "alone")
    )
    assert stacked["test"]["macro_f1"] == pytest.approx(single["test"]["macro_f1"], rel=1e-5)
    assert stacked["best_epoch"] == single["best_epoch"] and stacked["identity"] == single["identity"]


KILLED = """
import json, os, signal, sys
from affetto.experiments import worker
from affetto.training import checkpoint, loop, runs
tasks, event, left = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
loop.CHECKPOINT_SECONDS = 0.0
checkpoint.Checkpoint.is_due = property(lambda self: (self.wait(), True)[1])
def die_after(function, counts):
    def counted(*arguments):
        global left
        function(*arguments)
        left -= counts(*arguments)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return counted
if event == "checkpoint":
    checkpoint.write = die_after(checkpoint.write, lambda *_: True)
else:
    runs.RunFolder.write = die_after(runs.RunFolder.write, lambda self, name, content: name == "metrics.json")
worker.do_together(tasks, 3)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("event", "count"), [("checkpoint", 5), ("metrics", 1)])
def test_a_killed_group_goes_on_with_the_runs_that_are_not_done(grid, tmp_path: Path, event: str, count: int) -> None:
    table, folder = write_table(tmp_path / "corpus"), GridFolder(tmp_path / "out")
    runs = [run for run in grid.runs if run["method"] == "lora"]
    tasks = [
        {
            "grid": str(folder.path),
            "run": run.name,
            "device": "cpu",
            "spec": run.spec({"table": str(table)}).model_dump(mode="json"),
        }
        for run in runs
    ]
    command = [sys.executable, "-c", KILLED, json.dumps(tasks), event, str(count)]
    killed = subprocess.run(command, stderr=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    files = [folder.path / "runs" / run.name / "metrics.json" for run in runs]
    before = [file.stat().st_mtime_ns if file.exists() else None for file in files]
    assert sum(stamp is not None for stamp in before) == (event == "metrics")
    answers = worker.do_together(tasks, 3)
    assert [answer["state"] for answer in answers] == ["done"] * 3
    for run, task, file, stamp in zip(runs, tasks, files, before, strict=True):
        assert stamp in (None, file.stat().st_mtime_ns), "what is done is not done again"
        alone = worker.do(task | {"grid": str(tmp_path / "alone")})
        assert alone["state"] == "done"
        expected = json.loads((tmp_path / "alone" / "runs" / run.name / "metrics.json").read_text())
        metrics = json.loads(file.read_text())
        assert metrics["best_epoch"] == expected["best_epoch"] and metrics["identity"] == expected["identity"]
        rows = [
            [json.loads(line) for line in (root / "runs" / run.name / "predictions.jsonl").read_text().splitlines()]
            for root in (folder.path, tmp_path / "alone")
        ]
        for row, other in zip(*rows, strict=True):
            assert row["probabilities"] == pytest.approx(other["probabilities"], abs=1e-4)
