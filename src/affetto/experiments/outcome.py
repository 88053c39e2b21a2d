"""Outcome of a run that a worker was given, under any engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affetto.experiments.planned import PlannedRun
from affetto.experiments.states import FAILED, GridFolder

BUSY_SECONDS = 2.0
"""Seconds until a run that another launcher holds is tried again."""
DEATHS = 2
"""Deaths of its worker after which a run has failed; one may be bad luck (memory that other programs took)."""


@dataclass(frozen=True)
class Event:
    """Message on a run. `state` is begun, busy (another launcher works on it), done, failed, died (its worker; the run
    is tried once more), or note (a message on the grid, of no run)."""

    run: str
    state: str
    error: str = ""
    seconds: float = 0.0
    process: int = 0
    """Number of the worker's process, for a run that has begun."""


Tell = Callable[[Event], None]


def handle_result(folder: GridFolder, run: PlannedRun, deaths: int, answer: dict[str, Any], tell: Tell) -> int | None:
    """Record and report the answer of a worker. Returns the deaths to try the run again with; None: no more tries."""
    state, error = answer["state"], answer.get("error", "")
    if state == "busy":
        lock = Path(folder.lock(run.name).lock_file).resolve()
        tell(Event(run.name, "busy", f"another launcher is at it, and holds {lock}"))
        # The other launcher has reported its failure.
        return None if folder.state(run.name)[0] == FAILED else deaths
    if state == "died" and deaths + 1 < DEATHS:
        tell(Event(run.name, "died", error))
        return deaths + 1
    if state == "died" or answer.get("unnoted"):
        folder.fail(run.name, error)
        state = "failed"
    tell(Event(run.name, state, error, answer.get("seconds", 0.0)))
    return None
