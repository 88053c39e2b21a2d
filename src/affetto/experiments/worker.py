"""One worker of a grid: runs come as lines of JSON on standard input, and answers go out the same way.

It ends when its input ends, in whatever it is: a parent that was killed leaves no worker behind.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any

from filelock import Timeout

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
        answers.write(json.dumps(do(task)) + "\n")
        answers.flush()


def _listen(tasks: queue.Queue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        tasks.put(json.loads(line))
    os._exit(0)


def do(task: dict[str, Any]) -> dict[str, Any]:
    """{"state": done | failed | busy, "error"}; a failure is noted in the run's folder. A run that another launcher is
    at, or has failed with, is busy."""
    folder, name = GridFolder(Path(task["grid"])), task["run"]
    try:
        lock = folder.lock(name)
        take(lock)
    except Timeout:
        return {"state": "busy"}
    except (PermissionError, UserError) as problem:
        return {"state": "failed", "error": str(problem)}
    try:
        if folder.failure(name) is not None:  # of another launcher's, since this one has looked
            return {"state": "busy"}
        return _run(folder, name, task)
    except UserError as problem:  # the failure itself could not be noted
        return {"state": "failed", "error": str(problem)}
    finally:
        lock.release()


def _run(folder: GridFolder, name: str, task: dict[str, Any]) -> dict[str, Any]:
    from affetto.training.spec import RunSpec
    from affetto.training.train import train

    trace = ""
    try:
        metrics = train(RunSpec.model_validate(task["spec"]), folder.run(name).path, device=task["device"])
    except UserError as problem:
        error = str(problem)
    except MemoryError:
        error = "out of memory; fewer --workers, or a smaller training.batch_size"
    except Exception as problem:
        import traceback

        trace = traceback.format_exc()
        where = folder.run(name).path / ERROR
        error = f"{type(problem).__name__}: {problem} (a defect of affetto's; {where} has the traceback)"
    else:
        return {"state": "done", "seconds": metrics["wall_seconds"]}
    folder.fail(name, error, trace)
    return {"state": "failed", "error": error}


if __name__ == "__main__":
    main()
