"""One worker of a grid: groups of runs come as lines of JSON on standard input, and answers go out the same way.

It ends when its input ends, in whatever it is: a parent that was killed leaves no worker behind.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from affetto.cluster import clear_launcher_variables
from affetto.errors import UserError
from affetto.experiments.states import ERROR, GridFolder
from affetto.locks import take


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to stderr
    clear_launcher_variables()
    tasks: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(tasks,), daemon=True).start()
    while True:
        task = tasks.get()
        answers.write(json.dumps(do_together(task["runs"], task["stack"])) + "\n")
        answers.flush()


def _listen(tasks: queue.Queue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        tasks.put(json.loads(line))
    os._exit(0)


def do(task: dict[str, Any]) -> dict[str, Any]:
    """Outcome of one run, {"state": done | failed | busy, "error"}; a failure is noted in the run's folder.

    A run that another launcher does, or has failed with, is busy.
    """
    return do_together([task])[0]


def do_together(tasks: Sequence[dict[str, Any]], stack: str | int = 1) -> list[dict[str, Any]]:
    """Outcomes of runs, each as of `do`. At most `stack` of their fits are one training; a failure ends its own run.

    A run that ends before the others gives its lock back at once.
    """
    answers: dict[int, dict[str, Any]] = {}
    locks: dict[int, FileLock] = {}
    try:
        for number, task in enumerate(tasks):
            held = _hold(GridFolder(Path(task["grid"])), task["run"])
            if isinstance(held, dict):
                answers[number] = held
            else:
                locks[number] = held
        answers |= _answers({number: (tasks[number], lock) for number, lock in locks.items()}, stack)
    finally:
        for lock in locks.values():
            lock.release()
    return [answers[number] for number in range(len(tasks))]


def _hold(folder: GridFolder, name: str) -> FileLock | dict[str, Any]:
    """Lock of a run, held; or the answer for a run that cannot be done now."""
    try:
        lock = folder.lock(name)
        take(lock)
    except Timeout:
        return {"state": "busy"}
    except (PermissionError, UserError) as problem:
        return {"state": "failed", "error": str(problem)}
    if folder.failure(name) is not None:  # of another launcher's, since this one has looked
        lock.release()
        return {"state": "busy"}
    return lock


def _answers(held: Mapping[int, tuple[dict[str, Any], FileLock]], stack: str | int) -> dict[int, dict[str, Any]]:
    """{number: answer} of runs whose locks are held."""
    from affetto.training import train
    from affetto.training.backbones import Backbones
    from affetto.training.spec import RunSpec
    from affetto.training.stacking import Steps, drive

    backbones = Backbones()

    def steps(task: dict[str, Any], lock: FileLock) -> Steps[dict[str, Any]]:
        outcome: dict[str, Any] | Exception
        try:
            outcome = yield from train.run_steps(
                RunSpec.model_validate(task["spec"]),
                GridFolder(Path(task["grid"])).run(task["run"]).path,
                device=task["device"],
                stack=stack,
                backbones=backbones,
            )
        except Exception as problem:
            outcome = problem
        answer = _answer(task, outcome)
        lock.release()  # not before a failure is noted, else another launcher would try the run again
        return answer

    def alone(task: dict[str, Any]) -> dict[str, Any]:
        out = GridFolder(Path(task["grid"])).run(task["run"]).path
        try:
            spec = RunSpec.model_validate(task["spec"])
            return _answer(task, train.train(spec, out, device=task["device"], stack=stack))
        except Exception as problem:
            return _answer(task, problem)

    if len(held) < 2:
        return {number: alone(task) for number, (task, _) in held.items()}
    answers: dict[int, dict[str, Any]] = {}
    outcomes = drive([steps(task, lock) for task, lock in held.values()], stack)
    for number, answer in zip(held, outcomes, strict=True):
        answers[number] = _answer(held[number][0], answer) if isinstance(answer, Exception) else answer
    return answers


def _answer(task: dict[str, Any], outcome: dict[str, Any] | Exception) -> dict[str, Any]:
    """Answer for a run that was done; its failure is noted in its folder."""
    if not isinstance(outcome, Exception):
        return {"state": "done", "seconds": outcome["wall_seconds"]}
    folder, name = GridFolder(Path(task["grid"])), task["run"]
    trace = ""
    if isinstance(outcome, UserError):
        error = str(outcome)
    elif isinstance(outcome, MemoryError):
        error = "out of memory; fewer --workers, a lower --stack, or a smaller training.batch_size"
    else:
        trace = "".join(traceback.format_exception(outcome))
        where = folder.run(name).path / ERROR
        error = f"{type(outcome).__name__}: {outcome} (a defect of affetto's; {where} has the traceback)"
    try:
        folder.fail(name, error, trace)
    except UserError as problem:  # the failure itself could not be noted
        return {"state": "failed", "error": str(problem)}
    return {"state": "failed", "error": error}


if __name__ == "__main__":
    main()
