"""Launch of a grid's runs on a Ray cluster: one task per group of runs, wherever its resources are free.

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
from affetto.experiments.groups import Group, groups
from affetto.experiments.outcome import BUSY_SECONDS, Event, Tell, handle_result
from affetto.experiments.planned import PlannedRun
from affetto.experiments.states import PLAN, GridFolder

WAIT_SECONDS = 0.5
LOSSES = 10
"""Nodes that may vanish under one run, before it is taken for what makes them: on preemptible machines they do."""


def launch(
    runs: Sequence[PlannedRun],
    folder: GridFolder,
    corpora: Mapping[str, str],
    *,
    device: str,
    address: str | None,
    stack: str | int = 1,
    tell: Tell,
) -> None:
    """Do the runs, in groups of at most `stack` fits.

    Raises UserError if no cluster answers, no node can ever take a run or sees the grid's folder, and for a device that
    a run does not reserve.
    """
    _check_device(runs, device)
    with connected(address) as ray:
        _check_room(ray, runs, address, tell)
        work = _Work(ray, folder, corpora, device=device, stack=stack, tell=tell)
        for on_gpu in (True, False):
            reserving = [run for run in runs if (run.resources.gpus > 0) == on_gpu]
            for group in groups(reserving, stack, workers=_places(ray, reserving), has_accelerator=on_gpu):
                work.submit(_Attempt(group))
        while work.at_work or work.later:
            work.step()


@dataclass(frozen=True)
class _Attempt:
    group: Group
    deaths: int = 0
    losses: int = 0


class _Work:
    """Runs that the cluster is doing, and those to hand out again."""

    def __init__(
        self, ray: Any, folder: GridFolder, corpora: Mapping[str, str], *, device: str, stack: str | int, tell: Tell
    ) -> None:
        self.ray, self.folder, self.corpora = ray, folder, corpora
        self.device, self.stack, self.tell = device, stack, tell
        # A process that was at one GPU would stay there, whichever the next run is given: each has its own.
        single_use: Any = ray.remote(num_returns="streaming", max_retries=0, max_calls=1)(_task)
        self.do = {True: single_use, False: ray.remote(num_returns="streaming", max_retries=0)(_task)}
        self.at_work: dict[Any, _Attempt] = {}
        self.later: list[tuple[float, _Attempt]] = []
        self.blind: set[str] = set()
        """Ids of nodes that do not see the grid's folder."""

    def submit(self, attempt: _Attempt) -> None:
        run = attempt.group[0]  # all of a group have its resources
        runs = [
            {
                "grid": str(self.folder.path),
                "run": member.name,
                "device": self.device,
                "spec": member.spec(self.corpora).model_dump(mode="json"),
            }
            for member in attempt.group
        ]
        task = {
            "grid": str(self.folder.path),
            "runs": runs,
            "stack": self.stack,
            **task_environment(),
            "threads": max(1, int(run.resources.cpus)),
        }
        needs = options(run.resources.cpus, run.resources.gpus, without=self.blind)
        do = self.do[run.resources.gpus > 0]
        self.at_work[do.options(**needs, name=run.name).remote(task)] = attempt

    def step(self) -> None:
        """Hand out runs that are due, and take answers for a moment."""
        for due in [entry for entry in self.later if entry[0] <= time.monotonic()]:
            self.later.remove(due)
            self.submit(due[1])
        if not self.at_work:
            time.sleep(WAIT_SECONDS)
            return
        for stream in self.ray.wait(list(self.at_work), num_returns=1, timeout=WAIT_SECONDS)[0]:
            answer = _next(self.ray, stream)
            if answer["state"] == "begun":
                for run in self.at_work[stream].group:
                    self.tell(Event(run.name, "begun", process=answer["process"]))
            else:
                self._settle(self.at_work.pop(stream), answer)

    def _settle(self, attempt: _Attempt, answer: dict[str, Any]) -> None:
        if answer["state"] == "unseen":
            self._without(answer["node"], answer["error"], attempt.group[0])
            self.later.append((time.monotonic(), attempt))
            return
        if answer["state"] == "lost" and attempt.losses < LOSSES:
            for run in attempt.group:
                self.tell(Event(run.name, "died", answer["error"]))
            again = replace(attempt, losses=attempt.losses + 1)
            self.later.append((time.monotonic(), again))
            return
        if answer["state"] == "lost":
            answer = {"state": "failed", "error": f"{LOSSES + 1} nodes were lost during it", "unnoted": True}
        answers = answer.get("answers") or [answer] * len(attempt.group)
        for run, result in zip(attempt.group, answers, strict=True):
            deaths = handle_result(self.folder, run, attempt.deaths, result, self.tell)
            if deaths is not None:  # alone, so that a run that kills its worker ends no other again
                wait = BUSY_SECONDS if result["state"] == "busy" else 0.0
                self.later.append((time.monotonic() + wait, replace(attempt, group=(run,), deaths=deaths)))

    def _without(self, node: str, error: str, run: PlannedRun) -> None:
        """Avoid a node from now on. Raises UserError if no other node can take the run."""
        if node not in self.blind:
            self.blind.add(node)
            self.tell(Event("", "note", f"{error}; its runs go to other nodes"))
        usable = (node for node in self.ray.nodes() if node["Alive"] and node["NodeID"] not in self.blind)
        if not any(run.resources.fit(node["Resources"]) for node in usable):
            raise UserError(f"{error}, and no other node that has room for {run.name} does")


def _next(ray: Any, stream: Any) -> dict[str, Any]:
    """Take the next answer of a task; an exception of Ray's becomes an answer."""
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
        return {
            "state": "died",
            "error": f"its worker died ({kind}): perhaps it needs more `resources`",
        }
    except errors.RayError as problem:  # affetto or its environment is not the same on that node
        last = str(problem).strip().splitlines()[-1]
        return {"state": "failed", "error": f"a node could not run it ({last})", "unnoted": True}


def _task(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Do a group of runs on some node: yields that it has begun, then the answers of `worker.do_together`."""
    yield {"state": "begun", "process": os.getpid()}
    try:
        apply_task_environment(task)
        sees_grid = (Path(task["grid"]) / PLAN).is_file()
    except OSError:
        sees_grid = False
    if not sees_grid:
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
    yield {"state": "ended", "answers": worker.do_together(task["runs"], task["stack"])}


def _places(ray: Any, runs: Sequence[PlannedRun]) -> int:
    """Number of these runs that the cluster has room for at once; 1 at least."""
    if not runs:
        return 1
    needs = runs[0].resources
    by_cpus = [node.get("CPU", 0) // needs.cpus for node in nodes(ray)] if needs.cpus else []
    by_gpus = [node.get("GPU", 0) // needs.gpus for node in nodes(ray)] if needs.gpus else []
    return max(1, int(sum(by_gpus or by_cpus)))


def _check_device(runs: Sequence[PlannedRun], device: str) -> None:
    """Raise UserError for a device that a run uses and does not reserve: it would use another run's."""
    if device not in HANDED_OUT:
        return
    for run in runs:
        if not run.resources.gpus:
            raise UserError(
                f"--device {device}: run {run.name} takes no GPU ({run.resources}); give it one in the grid file, "
                "`resources: {gpus: 1}`, or leave --device out"
            )


def _check_room(ray: Any, runs: Sequence[PlannedRun], address: str | None, tell: Tell) -> None:
    """Report runs that would wait for ever, and idle GPUs: Ray itself does not."""
    resources = nodes(ray)
    for needs in {run.resources for run in runs}:
        if not any(needs.fit(node) for node in resources):
            problem = f"no node of the cluster has room for a run of resources {needs}"
            if address is None and not os.environ.get("RAY_ADDRESS"):
                raise UserError(f"{problem}: lower `resources` in the grid file")
            tell(Event("", "note", f"{problem} now; such runs wait until one joins"))
    gpus = sum(node.get("GPU", 0) for node in resources)
    if gpus and runs and not any(run.resources.gpus for run in runs):
        tell(Event("", "note", f"the cluster has {gpus:g} GPUs and the grid asks for none: `resources: {{gpus: 1}}`"))
