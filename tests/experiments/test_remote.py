"""A grid on a real Ray cluster of this machine: its numbers are the local engine's, also when a worker is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock

from affetto import cluster as cluster_module
from affetto.cluster import connected, options
from affetto.errors import UserError
from affetto.experiments import remote
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
    table, grid = write_table(tmp_path / "corpus"), read(tmp_path / "small.yaml").only({"method": ["lora"]})
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
    assert result == {"done": 2, "failed": 0, "runs": 2}
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
    with pytest.raises(
        UserError, match=r"all nodes must see the grid's folder under one path, and no other node that has room"
    ):
        launch(grid, folder.path, {"table": str(table)}, device="cpu", engine="ray", retry_failed=True)
    assert folder.state(grid.runs[0].name)[0] != "failed"
    sees = ray.remote(lambda: os.environ["CUDA_VISIBLE_DEVICES"])
    assert ray.get(sees.options(**options(1, 0)).remote()) == ""
    assert ray.get(sees.options(num_cpus=1).remote()) == "0,1"  # so that the above says something


CORE = Resources()


class Nodes:
    """Ray as the launcher sees it: two nodes, and `answers(options, number of the task)` in place of what they do."""

    exceptions = ray.exceptions

    def __init__(self, answers: Callable[[dict[str, Any], int], Iterator[dict[str, Any]]]) -> None:
        self.answers, self.asked = answers, []

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "NodeID": name, "Resources": {"CPU": 4.0, "GPU": 1.0}} for name in "ab"]

    def remote(self, **decorated: Any) -> Callable[[Any], SimpleNamespace]:
        def options(**needs: Any) -> SimpleNamespace:
            self.asked.append(decorated | needs)
            assert len(self.asked) < 30, "it is handed out without an end"
            return SimpleNamespace(remote=lambda _task: self.answers(needs, len(self.asked)))

        return lambda _function: SimpleNamespace(options=options)

    def wait(self, streams: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return streams[:1], streams[1:]

    def get(self, answer: Any) -> Any:
        return answer


def on_nodes(
    answers: Callable[[dict[str, Any], int], Iterator[dict[str, Any]]],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    resources: Resources = CORE,
) -> tuple[Nodes, GridFolder, str, list[Event]]:
    """One run of the grid's, launched on `Nodes`."""
    (folder / "small.yaml").write_text(GRID)
    grid = read(folder / "small.yaml").only({"method": ["frozen"], "seed": ["0"]})
    grid = replace(grid, runs=(replace(grid.runs[0], resources=resources),))
    fake, told = Nodes(answers), []
    monkeypatch.setattr(remote, "connected", lambda _: contextlib.nullcontext(fake))
    launch(grid, folder / "out", {"table": "x"}, engine="ray", tell=told.append)
    return fake, GridFolder(folder / "out"), grid.runs[0].name, told


def lacking(node: str) -> Iterator[dict[str, Any]]:
    return iter([{"state": "unseen", "node": node, "error": f"node {node} has no out"}])


def test_a_node_without_the_grid_s_folder_is_handed_nothing_more(tmp_path, monkeypatch):
    def answers(needs: dict[str, Any], _: int) -> Iterator[dict[str, Any]]:
        return iter([{"state": "done"}]) if "label_selector" in needs else lacking("a")

    fake, folder, name, told = on_nodes(answers, tmp_path, monkeypatch)
    assert [asked.get("label_selector") for asked in fake.asked] == [None, {"ray.io/node-id": "!in(a)"}]
    assert [event.state for event in told[-2:]] == ["note", "done"] and folder.failure(name) is None
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match=r"^node b has no out, and no other node that has room for .* does"):
        on_nodes(lambda _, number: lacking("ab"[number - 1]), tmp_path / "none", monkeypatch)


@pytest.mark.parametrize(("lost", "state"), [(3, "done"), (100, "failed")])
def test_a_node_that_is_lost_is_no_death_of_its_run(lost, state, tmp_path, monkeypatch):
    def answers(_: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
        yield {"state": "begun", "process": 0}
        if number <= lost:
            raise ray.exceptions.NodeDiedError("gone")
        yield {"state": "done"}

    _, folder, name, told = on_nodes(answers, tmp_path, monkeypatch)
    assert told[-1].state == state and (folder.failure(name) is None) == (state == "done")


def test_a_run_without_a_gpu_sees_none_and_one_with_has_a_process_of_its_own(tmp_path, monkeypatch):
    seen = {}
    for gpus in (0, 1):
        (tmp_path / f"{gpus}").mkdir()
        answers = lambda *_: iter([{"state": "done"}])  # noqa: E731
        fake, *_ = on_nodes(answers, tmp_path / f"{gpus}", monkeypatch, Resources(1, gpus))
        (seen[gpus],) = fake.asked
    assert seen[0]["runtime_env"] == {"env_vars": {"CUDA_VISIBLE_DEVICES": ""}} and "max_calls" not in seen[0]
    assert seen[1]["num_gpus"] == seen[1]["max_calls"] == 1 and "runtime_env" not in seen[1]
    grid = read(tmp_path / "0" / "small.yaml")
    with pytest.raises(UserError, match=r"^--device cuda: run .* takes no GPU \(\{cpus: 1, gpus: 0\}\); give it one"):
        launch(grid, tmp_path / "out", {"table": "x"}, engine="ray", device="cuda")


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
        ("frozen", Resources(2, 0.5)),
        ("lora", Resources(2, 1)),
    }
    (tmp_path / "grid.yaml").write_text(GRID)
    assert {run.name for run in read(tmp_path / "grid.yaml").runs} == {run.name for run in runs}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("{cpu: 1}", "unknown resource in .* 'cpu': did you mean 'cpus'"),
        ("{gpus: -1}", "resource gpus is -1; it is a number"),
        ("{gpus: 1.5}", "above 1 it is a whole number"),
        ("3", "`resources` is a mapping"),
    ],
)
def test_bad_resources_are_told(given, told, tmp_path):
    (tmp_path / "grid.yaml").write_text(GRID + f"resources: {given}\n")
    with pytest.raises(UserError, match=told):
        read(tmp_path / "grid.yaml")
