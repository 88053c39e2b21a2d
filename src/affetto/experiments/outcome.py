"""What becomes of a run that was handed to a worker, whichever engine the worker is of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affetto.experiments.planned import PlannedRun
from affetto.experiments.states import FAILED, GridFolder

BUSY_SECONDS = 2.0
"""How long until a run that another launcher holds is looked at again."""
DEATHS = 2
"""A run whose worker dies so often has failed; once may be bad luck (memory that others took)."""


@dataclass(frozen=True)
class Event:
    """What has become of a run: `state` is begun, busy (another launcher is at it), done, failed, or died (its worker,
    to be tried once more); note: a word on the whole, of no run."""

    run: str
    state: str
    error: str = ""
    seconds: float = 0.0
    process: int = 0
    """The worker's, of a run that has begun."""


Tell = Callable[[Event], None]


def settle(folder: GridFolder, run: PlannedRun, deaths: int, answer: dict[str, Any], tell: Tell) -> int | None:
    """Note and tell what a worker answered. Returns the deaths to try the run again with; None: it is settled."""
    state, error = answer["state"], answer.get("error", "")
    if state == "busy":
        lock = Path(folder.lock(run.name).lock_file).resolve()
        tell(Event(run.name, "busy", f"another launcher is at it, and holds {lock}"))
        # Another launcher's failure: that one has told of it.
        return None if folder.state(run.name)[0] == FAILED else deaths
    if state == "died" and deaths + 1 < DEATHS:
        tell(Event(run.name, "died", error))
        return deaths + 1
    if state == "died" or answer.get("unnoted"):
        folder.fail(run.name, error)
        state = "failed"
    tell(Event(run.name, state, error, answer.get("seconds", 0.0)))
    return None
