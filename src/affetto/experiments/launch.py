"""Launch of a grid on this machine: worker processes, each of which takes one group of runs after another."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affetto.cluster import check_engine
from affetto.experiments.grid import Grid
from affetto.experiments.groups import Group, local_groups
from affetto.experiments.outcome import BUSY_SECONDS, Event, Tell, handle_result
from affetto.experiments.planned import PlannedRun
from affetto.experiments.states import BROKEN, DONE, FAILED, GridFolder
from affetto.models.parallel import cores


def launch(
    grid: Grid,
    out: Path,
    corpora: Mapping[str, str],
    *,
    workers: int = 1,
    device: str = "auto",
    retry_failed: bool = False,
    engine: str = "local",
    address: str | None = None,
    stack: str | int = 1,
    tell: Tell = lambda _: None,
) -> dict[str, int]:
    """Do the runs that are not finished. Returns the numbers of finished, failed and all runs of `grid`.

    A failed run does not stop the others, and is tried again only with `retry_failed`. A run that another launcher
    works on is waited for. `engine` local: `workers` processes of this machine; ray: the cluster at `address`.
    `stack`: fits of several runs that one worker trains together, at most (see `groups`).
    """
    check_engine(engine, address)
    folder = GridFolder(out)
    todo: list[PlannedRun] = []
    for run in grid.runs:
        state, _ = folder.state(run.name)
        if state in (FAILED, BROKEN) and retry_failed:
            folder.clear_failure(run.name)
            state = ""
        if state not in (DONE, FAILED, BROKEN):
            todo.append(run)
    if todo:
        folder.check_locks()
    if todo and engine == "ray":
        from affetto.experiments import remote

        remote.launch(todo, folder, corpora, device=device, address=address, stack=stack, tell=tell)
    elif todo:
        _launch_locally(todo, folder, corpora, device=device, workers=workers, stack=stack, tell=tell)
    states = [folder.state(run.name)[0] for run in grid.runs]
    return {"done": states.count(DONE), "failed": states.count(FAILED) + states.count(BROKEN), "runs": len(states)}


def _launch_locally(
    todo: list[PlannedRun],
    folder: GridFolder,
    corpora: Mapping[str, str],
    *,
    device: str,
    workers: int,
    stack: str | int,
    tell: Tell,
) -> None:
    waiting: queue.Queue[tuple[Group, int]] = queue.Queue()
    together = local_groups(todo, stack, workers=workers, device=device)
    for group in together:
        waiting.put((group, 0))
    count = max(1, min(workers, len(together)))
    threads = max(1, cores() // count)
    pool = [
        _Slot(folder, corpora, device=device, threads=threads, stack=stack, waiting=waiting, tell=tell)
        for _ in range(count)
    ]
    try:
        for slot in pool:
            slot.start()
        for slot in pool:
            while slot.is_alive():  # with a timeout, so that Ctrl-C comes through
                slot.join(0.2)
    finally:
        for slot in pool:
            slot.stop()
    for slot in pool:
        if slot.problem is not None:
            raise slot.problem


class _Slot(threading.Thread):
    """Thread that hands groups of runs to a worker process, and starts a new process when that dies."""

    def __init__(
        self,
        folder: GridFolder,
        corpora: Mapping[str, str],
        *,
        device: str,
        threads: int,
        stack: str | int,
        waiting: queue.Queue[tuple[Group, int]],
        tell: Tell,
    ) -> None:
        super().__init__(daemon=True)
        self.folder, self.corpora, self.device, self.threads = folder, corpora, device, threads
        self.stack, self.waiting, self.tell = stack, waiting, tell
        self.process: subprocess.Popen[str] | None = None
        self.problem: BaseException | None = None
        self.stopped = False

    def run(self) -> None:
        try:
            while not self.stopped:
                try:
                    group, deaths = self.waiting.get_nowait()
                except queue.Empty:
                    return
                self._do(group, deaths)
        except BaseException as problem:  # handed to the launcher's own thread
            self.problem = problem
        finally:
            self.stop()

    def stop(self) -> None:
        self.stopped = True
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _do(self, group: Group, deaths: int) -> None:
        for run in group:
            self.tell(Event(run.name, "begun"))
        tasks = [
            {
                "grid": str(self.folder.path),
                "run": run.name,
                "device": self.device,
                "spec": run.spec(self.corpora).model_dump(mode="json"),
            }
            for run in group
        ]
        answers = self._ask(tasks)
        if self.stopped:
            return
        again: list[tuple[Group, int]] = []
        for run, answer in zip(group, answers, strict=True):
            tries = handle_result(self.folder, run, deaths, answer, self.tell)
            if tries is not None:  # alone, so that a run that kills its worker ends no other again
                again.append(((run,), tries))
        if again and any(answer["state"] == "busy" for answer in answers):
            time.sleep(BUSY_SECONDS)
        for entry in again:
            self.waiting.put(entry)

    def _ask(self, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self.process is None:
            environment = {"OMP_NUM_THREADS": str(self.threads), **os.environ}
            self.process = subprocess.Popen(
                [sys.executable, "-m", "affetto.experiments.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
        process = self.process
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps({"runs": tasks, "stack": self.stack}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if line:
            answers: list[dict[str, Any]] = json.loads(line)
            return answers
        status = process.wait()
        self.process = None
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        advice = "fewer --workers" if len(tasks) == 1 else "fewer --workers, or a lower --stack"
        return [{"state": "died", "error": f"its process ended {how}; was there memory enough? ({advice})"}] * len(
            tasks
        )
