"""Real grids on a small table: done whole, killed, broken, shared by two launchers."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from affetto.cli import grids
from affetto.errors import UserError
from affetto.experiments import worker
from affetto.experiments.grid import read
from affetto.experiments.launch import launch
from affetto.experiments.outcome import handle_result
from affetto.experiments.states import GridFolder, overview
from training.corpora import write_table

GRID = """
axes:
  backbone: whisper-mini
  corpus: table
  method: [probe, frozen, lora]
  seed: [0, 1]
  split: column
  random_weights: true
  compute.precision: float32
  training.epochs: 3
exclude:
  - {method: probe}
"""
VOLATILE = ("wall_seconds", "calls", "peak_memory_bytes", "provenance")


@pytest.fixture(scope="module", autouse=True)
def each_run_on_one_thread() -> Iterator[None]:
    """A launcher of one worker would give it all cores, and sums over more threads may end in other last digits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> tuple[Path, Path]:
    """(grid file, table): four runs of a few seconds each."""
    folder = tmp_path_factory.mktemp("grid")
    (folder / "small.yaml").write_text(GRID)
    return folder / "small.yaml", write_table(folder / "corpus")


def numbers(out: Path) -> dict[str, dict]:
    """Of every run what must not depend on interruptions."""
    return {
        file.parent.name: {k: v for k, v in json.loads(file.read_text()).items() if k not in VOLATILE}
        for file in sorted(out.glob("runs/*/metrics.json"))
    }


@pytest.fixture(scope="module")
def undisturbed(small, tmp_path_factory) -> dict[str, dict]:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    file, table = small
    told = []
    result = launch(read(file), out, {"table": str(table)}, workers=2, device="cpu", tell=told.append)
    assert result == {"done": 4, "failed": 0, "runs": 4}
    for state in ("begun", "done"):
        assert sorted(event.run for event in told if event.state == state) == sorted(r.name for r in read(file).runs)
    assert len(told) == 8
    return numbers(out)


def start(small, out: Path, *more: str) -> subprocess.Popen[str]:
    file, table = small
    words = [
        "grid",
        "run",
        str(file),
        "--out",
        str(out),
        "--corpus",
        f"table={table}",
        "--device",
        "cpu",
        "--stack",
        "1",
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "affetto", *words, *more], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def workers_of(parent: int) -> list[int]:
    return [
        int(stat.parent.name)
        for stat in Path("/proc").glob("[0-9]*/stat")
        if (text := _read(stat)) and int(text.rpartition(")")[2].split()[1]) == parent
    ]


def alive(process: int) -> bool:
    """Whether it runs; a zombie does not."""
    return _read(Path(f"/proc/{process}/stat")).rpartition(")")[2].split()[:1] not in ([], ["Z"])


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_numbers(small, undisturbed, tmp_path):
    chance, out, kills = random.Random(0), tmp_path / "out", 0
    for _ in range(3):
        process = start(small, out, "--workers", "2")
        begun = len(list(out.glob("runs/*/spec.json")))
        while len(list(out.glob("runs/*/spec.json"))) == min(begun, 3) and process.poll() is None:
            time.sleep(0.02)  # until it is at work
        time.sleep(chance.uniform(0, 1.5))
        workers = workers_of(process.pid)
        if process.poll() is not None:
            break
        kills += 1
        os.kill(chance.choice([process.pid, *workers]), signal.SIGKILL)
        time.sleep(chance.uniform(0, 0.5))
        process.kill()
        process.communicate()
        until = time.monotonic() + 60
        while any(alive(worker) for worker in workers):
            assert time.monotonic() < until, "a worker outlives its parent"
            time.sleep(0.05)
    assert kills >= 1, "it was never killed"
    process = start(small, out, "--workers", "2")
    _, told = process.communicate()
    assert process.returncode == 0, told
    assert numbers(out) == undisturbed
    assert not list(out.rglob("*.tmp"))


@pytest.mark.slow
def test_two_launchers_share_the_work_and_do_none_twice(small, undisturbed, tmp_path):
    both = [start(small, tmp_path / "out"), start(small, tmp_path / "out")]
    told = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert numbers(tmp_path / "out") == undisturbed
    done = [line for text in told for line in text.splitlines() if line.startswith("done: ")]
    # A run that the other one has finished meanwhile is found done, without being computed.
    assert len({line.split()[1] for line in done}) == 4


def test_a_failed_run_is_recorded_the_others_go_on_and_it_can_be_tried_again(small, undisturbed, tmp_path):
    file, table = small
    grid, out = read(file), tmp_path / "out"
    folder = GridFolder(out)
    bad = grid.runs[1].name
    blocked = folder.run(bad).path
    blocked.mkdir(parents=True)
    (blocked / "mine.txt").write_text("not a run")
    told = []
    assert launch(grid, out, {"table": str(table)}, device="cpu", tell=told.append) == {
        "done": 3,
        "failed": 1,
        "runs": 4,
    }
    state, error = folder.state(bad)
    assert state == "failed" and "mine.txt" in error
    assert [event.run for event in told if event.state == "failed"] == [bad]
    assert launch(grid, out, {"table": str(table)}, device="cpu")["failed"] == 1  # not tried again unasked
    (blocked / "mine.txt").unlink()
    broken = folder.run(grid.runs[0].name).path / "metrics.json"
    broken.write_text("{")
    assert folder.state(grid.runs[0].name)[0] == "broken"
    assert launch(grid, out, {"table": str(table)}, device="cpu", retry_failed=True)["failed"] == 0
    assert numbers(out) == undisturbed
    assert {state for state, _ in overview(folder, grid.runs).values()} == {"done"}


def test_what_another_launcher_has_failed_with_since_this_one_looked_is_not_tried_again(small, tmp_path, monkeypatch):
    file, table = small
    run, folder = read(file).runs[0], GridFolder(tmp_path / "out")
    spec = run.spec({"table": str(table)}).model_dump(mode="json")
    task = {"grid": str(folder.path), "run": run.name, "device": "cpu", "spec": spec}
    tried = []

    def fails(*_, **__):
        tried.append(1)
        raise UserError("no room")

    monkeypatch.setattr("affetto.training.train.train", fails)
    assert [worker.do(task)["state"] for _ in range(2)] == ["failed", "busy"] and len(tried) == 1
    told = []
    assert handle_result(folder, run, 0, {"state": "busy"}, told.append) is None, "it is not waited for either"
    folder.clear_failure(run.name)
    assert worker.do(task)["state"] == "failed" and len(tried) == 2


def test_a_run_that_another_launcher_holds_is_told_of_once_with_its_lock(small, tmp_path, capsys):
    grid, folder = read(small[0]), GridFolder(tmp_path / "out")
    run = grid.runs[0]
    with grids._Progress(grid, folder, quiet=False) as progress:
        for _ in range(4):  # at first others may still be left to do before it
            assert handle_result(folder, run, 0, {"state": "busy"}, progress.tell) == 0
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line == f"waiting: {run.name} (another launcher is at it, and holds {folder.lock(run.name).lock_file})"


def test_the_paper_s_grid_in_small_goes_from_the_command_to_its_metrics(tmp_path):
    """Two of its runs, on synthetic speech that the command makes; said again, nothing is left to do."""
    grid_file = Path(__file__).parents[2] / "grids/paper.yaml"
    words = ["grid", "run", str(grid_file), "--miniature", "--out", str(tmp_path / "out"), "--json", "--device", "cpu"]
    words += ["--only", "corpus=emovo", "--only", "seed=0", "--only", "method=lora"]
    words += ["--only", "backbone=whisper-small", "--only", "backbone=xlsr-53"]
    for _ in range(2):
        ended = subprocess.run([sys.executable, "-m", "affetto", *words], capture_output=True, text=True, check=True)
        assert json.loads(ended.stdout) == {"done": 2, "failed": 0, "runs": 2}
    metrics = numbers(tmp_path / "out")
    assert {one["backbone"] for one in metrics.values()} == {"whisper-mini", "xlsr-mini"}
    assert all(one["synthetic"] for one in metrics.values())
    ended = subprocess.run(
        [sys.executable, "-m", "affetto", "grid", "status", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "paper-miniature: 216 runs; 2 done, 214 waiting\n"


def test_a_folder_takes_a_larger_version_of_its_grid_and_no_other(small, tmp_path):
    file, _ = small
    grid = read(file)
    folder = GridFolder(tmp_path / "out")
    smaller = grid.only({"seed": ["0"]})
    folder.claim(smaller)
    folder.claim(grid)
    folder.claim(grid)
    with pytest.raises(UserError, match="is not in this one: give another --out"):
        folder.claim(smaller)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").touch()
    with pytest.raises(UserError, match="is not empty and holds no grid"):
        GridFolder(tmp_path / "other").claim(grid)
    with pytest.raises(UserError, match="no grid in"):
        GridFolder(tmp_path / "none").plan()


def test_many_launchers_may_claim_one_folder_at_once(small, tmp_path):
    """None takes what another has just put there for something strange."""
    grid = read(small[0])
    for turn in range(30):
        out = tmp_path / f"out{turn}"
        start_line = threading.Barrier(4)

        def claim(out=out, start_line=start_line):
            folder = GridFolder(out)
            start_line.wait()
            folder.claim(grid)
            folder.run(grid.runs[0].name).path.mkdir(parents=True, exist_ok=True)

        with ThreadPoolExecutor(4) as pool:
            for claimed in [pool.submit(claim) for _ in range(4)]:
                claimed.result()
