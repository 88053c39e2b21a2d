"""Handling of a worker's result, for any engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affetto.experiments.planned import PlannedRun
from affetto.experiments.states import FAILED, GridFolder

BUSY_SECONDS = 2.0
"""Time between looks at a run that another launcher holds."""
DEATHS = 2
"""A run whose worker dies so often has failed; once may be bad luck (memory that others took)."""


@dataclass(frozen=True)
class Event:
    """News of a run: `state` is begun, busy (another launcher does it), done, failed, or died (its worker, to be tried
    once more); or note: a note about the whole grid, with an empty `run`."""

    run: str
    state: str
    error: str = ""
    seconds: float = 0.0
    process: int = 0
    """Id of the worker's process, of a run that has begun."""


Tell = Callable[[Event], None]


def handle_result(folder: GridFolder, run: PlannedRun, deaths: int, answer: dict[str, Any], tell: Tell) -> int | None:
    """Record and report a worker's answer. Returns the deaths with which to try the run again; None: it is settled."""
    state, error = answer["state"], answer.get("error", "")
    if state == "busy":
        lock = Path(folder.lock(run.name).lock_file).resolve()
        tell(Event(run.name, "busy", f"another launcher does it, and holds {lock}"))
        # Another launcher's failure: that launcher has reported it.
        return None if folder.state(run.name)[0] == FAILED else deaths
    if state == "died" and deaths + 1 < DEATHS:
        tell(Event(run.name, "died", error))
        return deaths + 1
    if state == "died" or answer.get("unnoted"):
        folder.fail(run.name, error)
        state = "failed"
    tell(Event(run.name, state, error, answer.get("seconds", 0.0)))
    return None
