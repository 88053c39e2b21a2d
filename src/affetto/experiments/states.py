"""States of a grid's runs, read from their folders: there is no other record."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from affetto.errors import UserError
from affetto.experiments.grid import Grid
from affetto.experiments.planned import PlannedRun
from affetto.files import write_text
from affetto.locks import take
from affetto.training.runs import METRICS, SPEC, RunFolder

DONE, FAILED, BROKEN, RUNNING, BEGUN, WAITING = "done", "failed", "broken", "running", "begun", "waiting"
STATES = (DONE, RUNNING, BEGUN, FAILED, BROKEN, WAITING)
PLAN, RUNS, LOCKS = "grid.json", "runs", ".locks"
ERROR = ".error.json"
"""File of a failed run in its folder; hidden, so that a run may still begin there."""


class GridFolder:
    """Folder of a grid: `grid.json` lists its runs, `runs/NAME` is the folder of each."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, name: str) -> RunFolder:
        return RunFolder(self.path / RUNS / name)

    def lock(self, name: str) -> FileLock:
        """Lock that a worker holds while it does a run, on any machine: two launchers never do the same run."""
        folder = self.path / LOCKS
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise self._unusable(problem) from None
        return FileLock(folder / f"{name}.lock", timeout=0)

    def check_locks(self) -> None:
        """Raise UserError, before any run is begun, where the disk has no locks to tell launchers from each other."""
        lock = self.lock(".probe")
        with contextlib.suppress(Timeout, PermissionError):  # another launcher's own check
            take(lock)
            lock.release()

    def claim(self, grid: Grid) -> None:
        """Make the folder this grid's, or an earlier, smaller version's of it. Raises UserError for another grid's."""
        # Looked at before the plan is: another launcher may claim the folder just now, and its plan comes first.
        strangers = self.path.is_dir() and any(not entry.name.startswith(".") for entry in self.path.iterdir())
        earlier = self.plan(missing_ok=True)
        names = {run.name for run in grid.runs}
        if earlier is not None:
            lost = [entry["run"] for entry in earlier["runs"] if entry["run"] not in names]
            if lost:
                raise UserError(
                    f"{self.path} holds the grid {earlier['name']!r}, whose run {lost[0]} is not in this one: "
                    "give another --out"
                )
        elif strangers:
            raise UserError(f"{self.path} is not empty and holds no grid: give another --out")
        content = {"name": grid.name, "runs": [run.to_json() for run in grid.runs]}
        if content != earlier:
            try:
                write_text(self.path / PLAN, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
            except OSError as problem:
                raise self._unusable(problem) from None

    def plan(self, *, missing_ok: bool = False) -> dict[str, Any] | None:
        """Content of `grid.json`. Raises UserError where it is missing or broken."""
        plan = RunFolder(self.path).read(PLAN)
        if plan is None and not missing_ok:
            raise UserError(f"no grid in {self.path}: give the --out of an `affetto grid run`")
        if plan is not None and not {"name", "runs"} <= plan.keys():
            raise UserError(f"{self.path / PLAN}: not the plan of a grid; remove it, and `affetto grid run` makes it")
        return plan

    def state(self, name: str) -> tuple[str, str]:
        """State of a run, and for a failed or broken run the error."""
        folder = self.run(name)
        try:
            if folder.read(METRICS) is not None:
                return DONE, ""
        except UserError as problem:
            return BROKEN, str(problem)
        if self._held(name):
            return RUNNING, ""
        failure = self.failure(name)
        if failure is not None:
            return FAILED, failure
        return (BEGUN if (folder.path / SPEC).is_file() else WAITING), ""

    def failure(self, name: str) -> str | None:
        """Recorded error of a run; None where there is none."""
        try:
            error = self.run(name).read(ERROR)
        except UserError as problem:
            return str(problem)
        return None if error is None else str(error.get("error", "no reason given"))

    def fail(self, name: str, error: str, trace: str = "") -> None:
        """Record a failure; `trace` is a defect's traceback."""
        self.run(name).write(ERROR, {"error": error} | ({"traceback": trace} if trace else {}))

    def clear_failure(self, name: str) -> None:
        """Forget a failure, so that the run is tried again. Its finished parts stay."""
        folder = self.run(name).path
        (folder / ERROR).unlink(missing_ok=True)
        if self.state(name)[0] == BROKEN:
            (folder / METRICS).unlink(missing_ok=True)

    def _held(self, name: str) -> bool:
        file = self.path / LOCKS / f"{name}.lock"
        if not file.exists():
            return False
        lock = FileLock(file, timeout=0)
        try:
            take(lock)
        except (Timeout, PermissionError):  # of another user's nobody can tell
            return True
        except UserError:  # where none can be had nobody holds one
            return False
        lock.release()
        return False

    def _unusable(self, problem: OSError) -> UserError:
        return UserError(f"{self.path}: cannot be used as an output folder ({problem.strerror}); give another --out")


def overview(folder: GridFolder, runs: tuple[PlannedRun, ...] | list[str]) -> dict[str, tuple[str, str]]:
    """{name of the run: (state, error)}."""
    names = [run if isinstance(run, str) else run.name for run in runs]
    return {name: folder.state(name) for name in names}
