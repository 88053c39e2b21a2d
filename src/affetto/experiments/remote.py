"""A grid's runs on a Ray cluster: one task a run, wherever its resources are free.

Run folders, locks and answers are those of the local engine, so that both may work on one grid at once; the folder must
lie on a disk that all nodes share, under the same path.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from affetto.cluster import adopt, connected, nodes, surroundings, unseen
from affetto.errors import UserError
from affetto.experiments import worker
from affetto.experiments.grid import PlannedRun
from affetto.experiments.outcome import BUSY_SECONDS, Event, Tell, settle
from affetto.experiments.states import PLAN, GridFolder

WAIT_SECONDS = 0.5


def launch(
    runs: Sequence[PlannedRun], folder: GridFolder, corpora: Mapping[str, str], device: str, address: str | None,
    tell: Tell,
) -> None:  # fmt: skip
    """Do the runs. Raises UserError where no cluster answers, or none of its nodes can ever take a run."""
    with connected(address) as ray:
        _check_room(ray, runs, address, tell)
        do: Any = ray.remote(num_returns="streaming", max_retries=0)(_task)
        at_work: dict[Any, tuple[PlannedRun, int]] = {}

        def submit(run: PlannedRun, deaths: int) -> None:
            task = {
                "grid": str(folder.path), "run": run.name, "device": device, **surroundings(),
                "spec": run.spec(corpora).model_dump(mode="json"), "threads": max(1, int(run.resources.cpus)),
            }  # fmt: skip
            needs = {"num_cpus": run.resources.cpus, "num_gpus": run.resources.gpus}
            at_work[do.options(**needs, name=run.name).remote(task)] = (run, deaths)

        for run in runs:
            submit(run, 0)
        later: list[tuple[float, PlannedRun, int]] = []
        while at_work or later:
            for due in [one for one in later if one[0] <= time.monotonic()]:
                later.remove(due)
                submit(*due[1:])
            if not at_work:
                time.sleep(WAIT_SECONDS)
                continue
            for stream in ray.wait(list(at_work), num_returns=1, timeout=WAIT_SECONDS)[0]:
                run, deaths = at_work[stream]
                answer = _next(ray, stream)
                if answer["state"] == "begun":
                    tell(Event(run.name, "begun", process=answer["process"]))
                    continue
                del at_work[stream]
                again = settle(folder, run, deaths, answer, tell)
                if again is not None:
                    wait = BUSY_SECONDS if answer["state"] == "busy" else 0.0
                    later.append((time.monotonic() + wait, run, again))


def _next(ray: Any, stream: Any) -> dict[str, Any]:
    """The next answer of a task; what Ray raises becomes one."""
    errors = ray.exceptions
    try:
        answer: dict[str, Any] = ray.get(next(stream))
        return answer
    except StopIteration:
        return {"state": "died", "error": "its worker ended without an answer"}
    except (
        errors.WorkerCrashedError,
        errors.NodeDiedError,
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
        adopt(task)
        there = (Path(task["grid"]) / PLAN).is_file()
    except OSError:
        there = False
    if not there:
        yield {
            "state": "failed", "unnoted": True,
            "error": unseen(Path(task["cwd"]) / task["grid"], "the grid's folder"),
        }  # fmt: skip
        return
    import torch

    torch.set_num_threads(task["threads"])
    yield worker.do(task)


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
