"""What may be wrong with a grid's folder or command: one line, and nothing lost. What a dry run tells."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import Timeout

from affetto.errors import UserError
from affetto.experiments.estimate import estimates, stored_bytes
from affetto.experiments.grid import read
from affetto.experiments.launch import launch
from affetto.experiments.states import GridFolder
from experiments.test_launch import GRID
from training.corpora import write_table


def command(tmp_path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "grid.yaml").write_text(GRID)
    table = write_table(tmp_path / "corpus", speakers=3)
    words = ["grid", "run", str(tmp_path / "grid.yaml"), "--corpus", f"table={table}", "--device", "cpu", *more]
    return subprocess.run([sys.executable, "-m", "affetto", *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--out", "/proc/affetto"], "/proc/affetto: cannot be used as an output folder"),
        (["--out", "OUT", "--engine", "rey"], "unknown engine 'rey': did you mean 'ray'"),
        (["--out", "OUT", "--address", "a:1"], "--address is a Ray cluster's: add --engine ray"),
        (["--out", "OUT", "--engine", "ray", "--workers", "2"], "--workers belongs to --engine local"),
    ],
)
def test_a_command_that_cannot_be_done_is_told_in_one_line(more, told, tmp_path):
    ended = command(tmp_path, *[str(tmp_path / "out") if word == "OUT" else word for word in more])
    assert ended.returncode == 2 and ended.stderr.startswith(f"error: {told}"), ended.stderr
    assert ended.stderr.count("\n") == 1 and not (tmp_path / "out").exists()


def test_a_corpus_of_another_layout_ends_a_dry_run(tmp_path):
    (tmp_path / "grid.yaml").write_text(GRID.replace("corpus: table", "corpus: ravdess"))
    place = tmp_path / "EMOVO/f1/rab-f1-b1.wav"
    place.parent.mkdir(parents=True)
    place.touch()
    words = ["grid", "run", str(tmp_path / "grid.yaml"), "--out", "out", "--dry-run", "--corpus"]
    words += [f"ravdess={tmp_path / 'EMOVO'}"]
    run = [sys.executable, "-m", "affetto", *words]
    ended = subprocess.run(run, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == 2 and "It looks like EMOVO" in ended.stderr, ended.stderr


def test_a_dry_run_tells_what_finished_runs_of_a_kind_took_and_writes_nothing(tmp_path):
    (tmp_path / "grid.yaml").write_text(GRID)
    grid, folder = read(tmp_path / "grid.yaml"), GridFolder(tmp_path / "out")
    frozen, other, *loras = grid.runs
    assert (frozen["method"], other["method"]) == ("frozen", "frozen")
    folder.run(frozen.name).write("metrics.json", {"wall_seconds": 12.5})
    size = (folder.run(frozen.name).path / "metrics.json").stat().st_size
    found = estimates(folder, grid.runs)
    assert (found[other.name].seconds, found[other.name].size_bytes, found[other.name].basis) == (12.5, size, 1)
    assert all(found[run.name].seconds is None for run in loras)
    ended = command(tmp_path, "--out", str(folder.path), "--dry-run", "--json")
    rows = {row["run"]: row for row in map(json.loads, ended.stdout.splitlines())}
    assert rows[other.name]["estimated_seconds"] == 12.5 and rows[other.name]["state"] == "waiting"
    assert rows[frozen.name]["state"] == "done"
    assert rows[loras[0].name]["estimate_basis"].startswith("unknown")  # of a table, how many clips is not known
    assert {row["fits_at_once"] for row in rows.values()} == {1, None}, "nothing is stacked on a CPU; done is done"
    assert not (folder.path / "grid.json").exists()


def test_a_run_s_lock_holds_between_processes(tmp_path):
    folder = GridFolder(tmp_path)
    code = f"""
from pathlib import Path
from affetto.experiments.launch import launch
from affetto.experiments.states import GridFolder
with GridFolder(Path({str(tmp_path)!r})).lock("run"):
    print("held", flush=True)
    input()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(Timeout):
            folder.lock("run").acquire()
        assert folder.state("run")[0] == "running"
        other.kill()  # a lock goes with its holder
        other.wait()
    with folder.lock("run") as lock:
        assert lock is not None


def test_stored_states_are_counted_once_for_all_that_share_them(tmp_path):
    paper = read(Path(__file__).parents[2] / "grids/paper.yaml")
    one = next(run for run in paper.runs if (run["corpus"], run["backbone"]) == ("emovo", "wav2vec2-base"))
    assert stored_bytes(one) == 588 * (199 + 2 * 13) * 768 * 2  # clips × (frames of 4 s, the probe's) × width × float16
    (tmp_path / "grid.yaml").write_text(GRID)
    assert stored_bytes(read(tmp_path / "grid.yaml").runs[0]) is None  # how many clips is not known


def test_a_folder_that_takes_no_more_fails_its_runs_in_one_line_and_not_the_launcher(tmp_path):
    (tmp_path / "grid.yaml").write_text(GRID)
    table, folder = write_table(tmp_path / "corpus", speakers=3), GridFolder(tmp_path / "out")
    grid = read(tmp_path / "grid.yaml").only({"method": ["frozen"], "seed": ["0"]})
    folder.claim(grid)
    (tmp_path / "out" / "runs").write_text("a file where the folder of runs should be")
    told = []
    launch(grid, folder.path, {"table": str(table)}, device="cpu", tell=told.append)
    (last,) = [event for event in told if event.state == "failed"]
    assert "runs" in last.error and "cannot be" in last.error and "defect" not in last.error
    (tmp_path / "out" / ".locks").rename(tmp_path / "locks")
    (tmp_path / "out" / ".locks").touch()
    with pytest.raises(UserError, match="cannot be used as an output folder"):  # without locks nothing can be done
        launch(grid, folder.path, {"table": str(table)}, device="cpu", tell=told.append)
