"""Launch of a grid on this machine: worker processes, each of which takes one run after another."""

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
    tell: Tell = lambda _: None,
) -> dict[str, int]:
    """Do the runs that are not finished. Returns the numbers of finished, failed and all runs of `grid`.

    A failed run does not stop the others, and is tried again only with `retry_failed`. A run that another launcher
    works on is waited for. `engine` local: `workers` processes of this machine; ray: the cluster at `address`.
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

        remote.launch(todo, folder, corpora, device=device, address=address, tell=tell)
    elif todo:
        _launch_locally(todo, folder, corpora, device=device, workers=workers, tell=tell)
    states = [folder.state(run.name)[0] for run in grid.runs]
    return {"done": states.count(DONE), "failed": states.count(FAILED) + states.count(BROKEN), "runs": len(states)}


def _launch_locally(
    todo: list[PlannedRun], folder: GridFolder, corpora: Mapping[str, str], *, device: str, workers: int, tell: Tell
) -> None:
    waiting: queue.Queue[tuple[PlannedRun, int]] = queue.Queue()
    for run in todo:
        waiting.put((run, 0))
    count = max(1, min(workers, len(todo)))
    threads = max(1, cores() // count)
    pool = [_Slot(folder, corpora, device=device, threads=threads, waiting=waiting, tell=tell) for _ in range(count)]
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
    """Thread that hands runs to a worker process, and starts a new process when that dies."""

    def __init__(
        self,
        folder: GridFolder,
        corpora: Mapping[str, str],
        *,
        device: str,
        threads: int,
        waiting: queue.Queue[tuple[PlannedRun, int]],
        tell: Tell,
    ) -> None:
        super().__init__(daemon=True)
        self.folder, self.corpora, self.device, self.threads = folder, corpora, device, threads
        self.waiting, self.tell = waiting, tell
        self.process: subprocess.Popen[str] | None = None
        self.problem: BaseException | None = None
        self.stopped = False

    def run(self) -> None:
        try:
            while not self.stopped:
                try:
                    run, deaths = self.waiting.get_nowait()
                except queue.Empty:
                    return
                self._do(run, deaths)
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

    def _do(self, run: PlannedRun, deaths: int) -> None:
        self.tell(Event(run.name, "begun"))
        answer = self._ask(
            {
                "grid": str(self.folder.path),
                "run": run.name,
                "device": self.device,
                "spec": run.spec(self.corpora).model_dump(mode="json"),
            }
        )
        if self.stopped:
            return
        again = handle_result(self.folder, run, deaths, answer, self.tell)
        if again is not None:
            if answer["state"] == "busy":
                time.sleep(BUSY_SECONDS)
            self.waiting.put((run, again))

    def _ask(self, task: dict[str, Any]) -> dict[str, Any]:
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
            process.stdin.write(json.dumps(task) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        status = process.wait()
        self.process = None
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        return {"state": "died", "error": f"its process ended {how}; was there memory enough? (fewer --workers)"}
