"""A grid's runs on a Ray cluster: one task a run, wherever its resources are free.

Run folders, locks and answers are those of the local engine, so that both may work on one grid at once; the folder must
lie on a disk that all nodes share, under the same path.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from affetto.cluster import (
    HANDED_OUT,
    apply_task_environment,
    connected,
    missing_path_message,
    nodes,
    options,
    task_environment,
)
from affetto.errors import UserError
from affetto.experiments import worker
from affetto.experiments.outcome import BUSY_SECONDS, Event, Tell, settle
from affetto.experiments.planned import PlannedRun
from affetto.experiments.states import PLAN, GridFolder

WAIT_SECONDS = 0.5
LOSSES = 10
"""Nodes that may vanish under one run, before it is taken for what makes them: on preemptible machines they do."""


def launch(
    runs: Sequence[PlannedRun], folder: GridFolder, corpora: Mapping[str, str], device: str, address: str | None,
    tell: Tell,
) -> None:  # fmt: skip
    """Do the runs. Raises UserError where no cluster answers, none of its nodes can ever take a run or none of those
    that can sees the grid's folder, and for a device that a run is given none of."""
    _check_device(runs, device)
    with connected(address) as ray:
        _check_room(ray, runs, address, tell)
        work = _Work(ray, folder, corpora, device, tell)
        for run in runs:
            work.submit(_Attempt(run))
        while work.at_work or work.later:
            work.step()


@dataclass(frozen=True)
class _Attempt:
    run: PlannedRun
    deaths: int = 0
    losses: int = 0


class _Work:
    """Runs that the cluster is at, and those that it is to be handed again."""

    def __init__(self, ray: Any, folder: GridFolder, corpora: Mapping[str, str], device: str, tell: Tell) -> None:
        self.ray, self.folder, self.corpora, self.device, self.tell = ray, folder, corpora, device, tell
        # A process that was at one GPU would stay there, whichever the next run is given: each has its own.
        alone: Any = ray.remote(num_returns="streaming", max_retries=0, max_calls=1)(_task)
        self.do = {True: alone, False: ray.remote(num_returns="streaming", max_retries=0)(_task)}
        self.at_work: dict[Any, _Attempt] = {}
        self.later: list[tuple[float, _Attempt]] = []
        self.blind: set[str] = set()
        """Ids of nodes that do not see the grid's folder."""

    def submit(self, attempt: _Attempt) -> None:
        run = attempt.run
        task = {
            "grid": str(self.folder.path),
            "run": run.name,
            "device": self.device,
            **task_environment(),
            "spec": run.spec(self.corpora).model_dump(mode="json"),
            "threads": max(1, int(run.resources.cpus)),
        }
        needs = options(run.resources.cpus, run.resources.gpus, without=self.blind)
        do = self.do[run.resources.gpus > 0]
        self.at_work[do.options(**needs, name=run.name).remote(task)] = attempt

    def step(self) -> None:
        """Hand out what is due, and take answers for a moment."""
        for due in [entry for entry in self.later if entry[0] <= time.monotonic()]:
            self.later.remove(due)
            self.submit(due[1])
        if not self.at_work:
            time.sleep(WAIT_SECONDS)
            return
        for stream in self.ray.wait(list(self.at_work), num_returns=1, timeout=WAIT_SECONDS)[0]:
            answer = _next(self.ray, stream)
            if answer["state"] == "begun":
                self.tell(Event(self.at_work[stream].run.name, "begun", process=answer["process"]))
            else:
                self._settle(self.at_work.pop(stream), answer)

    def _settle(self, attempt: _Attempt, answer: dict[str, Any]) -> None:
        run, wait = attempt.run, 0.0
        if answer["state"] == "unseen":
            self._without(answer["node"], answer["error"], run)
            again = attempt
        elif answer["state"] == "lost" and attempt.losses < LOSSES:
            self.tell(Event(run.name, "died", answer["error"]))
            again = replace(attempt, losses=attempt.losses + 1)
        else:
            if answer["state"] == "lost":
                answer = {"state": "failed", "error": f"{LOSSES + 1} nodes were lost while at it", "unnoted": True}
            deaths = settle(self.folder, run, attempt.deaths, answer, self.tell)
            if deaths is None:
                return
            again = replace(attempt, deaths=deaths)
            wait = BUSY_SECONDS if answer["state"] == "busy" else 0.0
        self.later.append((time.monotonic() + wait, again))

    def _without(self, node: str, error: str, run: PlannedRun) -> None:
        """Hand that node nothing more. Raises UserError where no other can take the run."""
        if node not in self.blind:
            self.blind.add(node)
            self.tell(Event("", "note", f"{error}; its runs go to other nodes"))
        others = (there for there in self.ray.nodes() if there["Alive"] and there["NodeID"] not in self.blind)
        if not any(run.resources.fit(there["Resources"]) for there in others):
            raise UserError(f"{error}, and no other node that has room for {run.name} does")


def _next(ray: Any, stream: Any) -> dict[str, Any]:
    """The next answer of a task; what Ray raises becomes one."""
    errors = ray.exceptions
    try:
        answer: dict[str, Any] = ray.get(next(stream))
        return answer
    except StopIteration:
        return {"state": "died", "error": "its worker ended without an answer"}
    except errors.NodeDiedError:
        return {"state": "lost", "error": "its node was lost; that is no fault of the run's, another node takes it"}
    except (
        errors.WorkerCrashedError,
        errors.OutOfMemoryError,
        errors.ObjectLostError,
    ) as problem:
        kind = type(problem).__name__
        return {"state": "died", "error": f"its worker died ({kind}); was there memory enough? (more `resources`)"}
    except errors.RayError as problem:  # affetto or its environment is not the same on that node
        last = str(problem).strip().splitlines()[-1]
        return {"state": "failed", "error": f"a node could not run it ({last})", "unnoted": True}


def _task(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """On some node: first that it has begun, then what `worker.do` answers."""
    yield {"state": "begun", "process": os.getpid()}
    try:
        apply_task_environment(task)
        there = (Path(task["grid"]) / PLAN).is_file()
    except OSError:
        there = False
    if not there:
        import ray

        node = ray.get_runtime_context().get_node_id()
        yield {
            "state": "unseen",
            "node": node,
            "error": missing_path_message(Path(task["cwd"]) / task["grid"], "the grid's folder"),
        }
        return
    import torch

    torch.set_num_threads(task["threads"])
    yield worker.do(task)


def _check_device(runs: Sequence[PlannedRun], device: str) -> None:
    """Raise UserError for a device of the cluster's that a run asks for and takes none of: it would use another's."""
    if device not in HANDED_OUT:
        return
    for run in runs:
        if not run.resources.gpus:
            raise UserError(
                f"--device {device}: run {run.name} takes no GPU ({run.resources}); give it one in the grid file, "
                "`resources: {gpus: 1}`, or leave --device out"
            )


def _check_room(ray: Any, runs: Sequence[PlannedRun], address: str | None, tell: Tell) -> None:
    """Tell what would wait for ever, or leave GPUs idle: Ray itself would not."""
    there = nodes(ray)
    for needs in {run.resources for run in runs}:
        if not any(needs.fit(node) for node in there):
            told = f"no node of the cluster has room for a run of resources {needs}"
            if address is None and not os.environ.get("RAY_ADDRESS"):
                raise UserError(f"{told}: lower `resources` in the grid file")
            tell(Event("", "note", f"{told} now; such runs wait until one joins"))
    gpus = sum(node.get("GPU", 0) for node in there)
    if gpus and runs and not any(run.resources.gpus for run in runs):
        tell(Event("", "note", f"the cluster has {gpus:g} GPUs and the grid asks for none: `resources: {{gpus: 1}}`"))
