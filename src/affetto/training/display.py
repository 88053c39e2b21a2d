"""Progress of a training for a person: bars on a terminal, elsewhere a line for each fold."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from affetto.targets.target import Target
from affetto.training.loop import Fit


class Display:
    """Progress on stderr; `quiet` shows nothing."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet)
        self.lively = self.console.is_terminal and not quiet
        self._bars = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(24),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            disable=not self.lively,
        )
        self._task: TaskID | None = None
        self._label, self._started = "", 0.0
        self.steps: dict[Display, tuple[int, int]] = {}
        """(done, in all) of each part."""

    def __enter__(self) -> Display:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)

    def begin(self, label: str) -> None:
        """Begin a stretch of work with a bar of its own; the stretch before has ended."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._label, self._started = label, time.monotonic()
        self.steps = {}
        self._task = self._bars.add_task(label, total=None, note="")

    @contextmanager
    def inner(self, label: str) -> Iterator[None]:
        """A stretch of work within the present one, whose label, clock and bar come back behind it."""
        label_before, started, steps, in_progress = self._label, self._started, self.steps, self._task is not None
        self.begin(label)
        yield
        if in_progress:
            self.begin(label_before)
            self._started, self.steps = started, steps

    def advance(self, done: int, total: int) -> None:
        if self._task is not None:
            self._bars.update(self._task, completed=done, total=total)

    def remark(self, note: str) -> None:
        """Set the remark behind the bar."""
        if self._task is not None:
            self._bars.update(self._task, note=note)

    def epoch(self, fit: Fit, target: Target) -> None:
        """Show the last epoch: its loss, its validation score, and the best where that is another one's."""
        if self._task is None:
            return
        last = fit.history[-1]
        note = f"epoch {last['epoch']}  loss {last['loss']:.3f}"
        if "validation" in last:
            best: dict[str, Any] = next(record for record in fit.history if record["epoch"] == fit.best_epoch)
            score, highest = (target.main_text(record["validation"]) for record in (last, best))
            note += f"  validation {target.main_title} {score}"
            if best is not last:
                note += f" (best {highest} in epoch {fit.best_epoch})"
        self._bars.update(self._task, note=note)

    def end(self, note: str) -> None:
        """Close the stretch of work with a line that stays."""
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
        self.say(f"{self._label}: {note} ({time.monotonic() - self._started:.0f} s)")

    def part(self) -> Display:
        """Display of one of several stretches that run side by side; one bar, which has begun, shows all of them."""
        return _Part(self)

    def close(self) -> None:
        """Take the bar away without a line."""
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None


class _Part(Display):
    """A stretch of work beside others, on the bar of `whole`: its steps are added to those of the others."""

    def __init__(self, whole: Display) -> None:
        self.whole = whole
        self._label, self._started = "", time.monotonic()

    def say(self, text: str) -> None:
        self.whole.say(text)

    def begin(self, label: str) -> None:
        self._label, self._started = label, time.monotonic()

    def advance(self, done: int, total: int) -> None:
        counts = self.whole.steps
        counts[self] = (done, total)
        self.whole.advance(sum(count for count, _ in counts.values()), sum(total for _, total in counts.values()))

    def remark(self, note: str) -> None:
        self.whole.remark(note)

    def epoch(self, fit: Fit, target: Target) -> None:
        self.whole.epoch(fit, target)

    def end(self, note: str) -> None:
        self.say(f"{self._label}: {note} ({time.monotonic() - self._started:.0f} s)")
