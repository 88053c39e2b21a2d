"""A grid on a real Ray cluster of this machine: its numbers are the local engine's, also when a worker is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from affetto import cluster as cluster_module
from affetto.cluster import connected
from affetto.errors import UserError
from affetto.experiments.grid import read
from affetto.experiments.launch import launch
from affetto.experiments.outcome import Event
from affetto.experiments.resources import Resources
from affetto.experiments.states import GridFolder
from experiments.test_launch import GRID, numbers
from training.corpora import write_table

ray = pytest.importorskip("ray")


@pytest.mark.slow
def test_a_worker_killed_in_mid_run_costs_nothing_and_ends_with_the_local_engine_s_numbers(cluster, tmp_path):
    (tmp_path / "small.yaml").write_text(GRID)
    table, grid = write_table(tmp_path / "corpus"), read(tmp_path / "small.yaml")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    launch(grid, tmp_path / "local", {"table": str(table)}, device="cpu", workers=1)
    told: list[Event] = []
    killed: list[str] = []
    folder = GridFolder(tmp_path / "ray")

    def kill(event: Event) -> None:
        until = time.monotonic() + 60
        while not (folder.run(event.run).path / "spec.json").exists() and time.monotonic() < until:
            time.sleep(0.01)  # until it is at work
        os.kill(event.process, signal.SIGKILL)

    def tell(event: Event) -> None:
        told.append(event)
        if event.state == "begun" and not killed:
            killed.append(event.run)
            threading.Thread(target=kill, args=(event,)).start()

    folder.claim(grid)
    result = launch(grid, folder.path, {"table": str(table)}, device="cpu", engine="ray", tell=tell)
    assert result == {"done": 4, "failed": 0, "runs": 4}
    assert [event.run for event in told if event.state == "died"] == killed
    assert sorted(event.run for event in told if event.state == "done") == sorted(run.name for run in grid.runs)
    assert numbers(folder.path) == numbers(tmp_path / "local")


@pytest.mark.slow
def test_a_failed_run_and_one_without_a_folder_are_told_and_the_others_go_on(cluster, tmp_path, monkeypatch):
    (tmp_path / "small.yaml").write_text(GRID)
    table, grid = write_table(tmp_path / "corpus"), read(tmp_path / "small.yaml").only({"method": ["frozen"]})
    monkeypatch.chdir(tmp_path)
    folder = GridFolder(Path("out"))  # relative, as users write it
    folder.claim(grid)
    blocked = folder.run(grid.runs[0].name).path
    blocked.mkdir(parents=True)
    (blocked / "mine.txt").touch()
    result = launch(grid, folder.path, {"table": str(table)}, device="cpu", engine="ray")
    assert result == {"done": 1, "failed": 1, "runs": 2}
    assert "mine.txt" in folder.state(grid.runs[0].name)[1]
    os.remove("out/grid.json")  # as on a node that does not see the folder
    (blocked / "mine.txt").unlink()
    launch(grid, folder.path, {"table": str(table)}, device="cpu", engine="ray", retry_failed=True)
    assert "all nodes must see the grid's folder" in folder.state(grid.runs[0].name)[1]


@pytest.mark.slow
def test_two_launchers_hold_a_run_one_after_the_other(cluster, tmp_path):
    """A run that someone else holds is waited for, not done twice."""
    (tmp_path / "small.yaml").write_text(GRID)
    table, grid = write_table(tmp_path / "corpus"), read(tmp_path / "small.yaml")
    one = grid.only({"method": ["frozen"], "seed": ["0"]})
    folder, told = GridFolder(tmp_path / "out"), []
    folder.claim(one)
    file = folder.lock(one.runs[0].name).lock_file
    lock = FileLock(file, thread_local=False)
    lock.acquire()

    def tell(event: Event) -> None:
        told.append(event)
        if event.state == "busy" and lock.is_locked:
            lock.release()

    launch(one, folder.path, {"table": str(table)}, device="cpu", engine="ray", tell=tell)
    states = [event.state for event in told]
    assert states[:2] == ["begun", "busy"] and states[-2:] == ["begun", "done"] and "died" not in states


@pytest.mark.slow
def test_what_no_node_can_hold_is_told_and_not_waited_for(cluster, tmp_path):
    (tmp_path / "small.yaml").write_text(GRID)
    grid = read(tmp_path / "small.yaml")
    wanting = replace(grid, runs=tuple(replace(run, resources=Resources(cpus=64)) for run in grid.runs))
    with pytest.raises(UserError, match=r"no node of the cluster has room for .*\{cpus: 64, gpus: 0\}: lower"):
        launch(wanting, tmp_path / "out", {"table": "x"}, engine="ray")


def test_an_address_that_does_not_answer_is_told_soon_and_in_one_line(tmp_path):
    (tmp_path / "small.yaml").write_text(GRID)
    table = write_table(tmp_path / "corpus", speakers=3)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        words = ["grid", "run", tmp_path / "small.yaml", "--out", tmp_path / "out", "--corpus", f"table={table}"]
        words += ["--engine", "ray", "--address", f"127.0.0.1:{port}"]
        started = time.monotonic()
        ended = subprocess.run([sys.executable, "-m", "affetto", *map(str, words)], capture_output=True, text=True)
        assert time.monotonic() - started < 30  # of a busy machine
    assert ended.returncode == 2 and ended.stderr.count("\n") == 1
    assert ended.stderr.startswith(f"error: no Ray cluster answers at 127.0.0.1:{port}")


def test_what_listens_but_is_no_ray_cluster_is_told(monkeypatch):
    monkeypatch.setattr(cluster_module, "HEALTH_SECONDS", 1.0)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)  # the other tests' cluster does not count
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(UserError, match="is no healthy Ray cluster"), connected(address):
            pass
    with pytest.raises(UserError, match="write HOST:PORT"), connected("nonsense"):
        pass


def test_resources_are_read_from_the_grid_and_overridden(tmp_path):
    text = GRID + "resources: {cpus: 2, gpus: 0.5}\noverrides:\n  - {when: {method: lora}, resources: {gpus: 1}}\n"
    (tmp_path / "grid.yaml").write_text(text)
    runs = read(tmp_path / "grid.yaml").runs
    assert {(run["method"], run.resources) for run in runs} == {
        ("frozen", Resources(2, 0.5)), ("lora", Resources(2, 1)),
    }  # fmt: skip
    (tmp_path / "grid.yaml").write_text(GRID)
    assert {run.name for run in read(tmp_path / "grid.yaml").runs} == {run.name for run in runs}


@pytest.mark.parametrize(("given", "told"), [
    ("{cpu: 1}", "unknown resource in .* 'cpu': did you mean 'cpus'"),
    ("{gpus: -1}", "resource gpus is -1; it is a number"),
    ("{gpus: 1.5}", "above 1 it is a whole number"),
    ("3", "`resources` is a mapping"),
])  # fmt: skip
def test_bad_resources_are_told(given, told, tmp_path):
    (tmp_path / "grid.yaml").write_text(GRID + f"resources: {given}\n")
    with pytest.raises(UserError, match=told):
        read(tmp_path / "grid.yaml")
