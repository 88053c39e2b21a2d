"""Requests that arrive together are computed together: one thread, a bounded queue, batches of one kind of work."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

Work = Callable[[Sequence[Any]], Sequence[Any]]
"""Items in, as many results out, in their order."""
LONGEST_RETRY_SECONDS = 60


class QueueFullError(Exception):
    """No more can be taken now; `retry_seconds` is about when the queue will have been worked off."""

    def __init__(self, retry_seconds: int) -> None:
        super().__init__("the queue is full")
        self.retry_seconds = retry_seconds


class ClosedError(Exception):
    """The batcher takes nothing any more."""


@dataclass(eq=False)
class _Item:
    kind: str
    content: Any
    arrived: float = field(default_factory=time.monotonic)
    future: Future[Any] = field(default_factory=Future)


class Batcher:
    """`submit(kind, item)` → a future. The oldest waiting item's kind goes next, with the others of its kind.

    `work` has a function for each kind, `most` says how many items of one kind go into a batch; an item waits at most
    `wait_seconds` for company. At most `capacity` items are waiting or at work. What one item raises is that item's
    alone: a batch that fails is done again one by one.
    """

    def __init__(
        self, work: Mapping[str, Work], *, most: int = 16, wait_seconds: float = 0.005, capacity: int = 64
    ) -> None:
        self.work, self.most, self.wait_seconds, self.capacity = dict(work), most, wait_seconds, capacity
        self.batches = self.items = 0
        self._waiting: deque[_Item] = deque()
        self._at_work = 0
        self._seconds_each = 0.1
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="affetto-batches", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def load(self) -> int:
        """How many items are waiting or at work."""
        return len(self._waiting) + self._at_work

    def retry_seconds(self) -> int:
        """About when what is here now will have been worked off."""
        return max(1, min(LONGEST_RETRY_SECONDS, math.ceil(self.load * self._seconds_each)))

    def submit(self, kind: str, item: Any) -> Future[Any]:
        """Raises QueueFullError, and ClosedError after `close`; the future holds what the work returns or raises."""
        assert kind in self.work, kind
        with self._changed:
            if self._closing:
                raise ClosedError
            if self.load >= self.capacity:
                raise QueueFullError(self.retry_seconds())
            entry = _Item(kind, item)
            self._waiting.append(entry)
            self._changed.notify_all()
        return entry.future

    def drop(self, future: Future[Any]) -> bool:
        """Take an item that still waits out of the queue; whether it did. What is at work goes on."""
        with self._changed:
            if not future.cancel():
                return False
            for entry in [entry for entry in self._waiting if entry.future is future]:
                self._waiting.remove(entry)
            self._changed.notify_all()
        return True

    def close(self) -> None:
        """Take nothing more, finish what was taken, return."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            started = time.monotonic()
            self._compute(batch)
            each = (time.monotonic() - started) / len(batch)
            self._seconds_each += 0.2 * (each - self._seconds_each)
            with self._changed:
                self._at_work = 0

    def _next(self) -> list[_Item]:
        """The next batch, as soon as it is full or its oldest item has waited enough; none once all is done."""
        with self._changed:
            while True:
                if not self._waiting:
                    if self._closing:
                        return []
                    self._changed.wait()
                    continue
                first = self._waiting[0]  # looked for anew after each wait: who has gone is dropped in the meantime
                alike = sum(entry.kind == first.kind for entry in self._waiting)
                left = first.arrived + self.wait_seconds - time.monotonic()
                if self._closing or alike >= self.most or left <= 0:
                    break
                self._changed.wait(left)
            batch = [entry for entry in self._waiting if entry.kind == first.kind][: self.most]
            for entry in batch:
                self._waiting.remove(entry)
            self._at_work = len(batch)
            return batch

    def _compute(self, batch: Sequence[_Item]) -> None:
        wanted = [entry for entry in batch if entry.future.set_running_or_notify_cancel()]
        if not wanted:
            return
        self.batches += 1
        self.items += len(wanted)
        try:
            self._answer(wanted)
        except Exception as problem:
            if len(wanted) == 1:
                wanted[0].future.set_exception(problem)
                return
            for entry in wanted:
                try:
                    self._answer([entry])
                except Exception as own:
                    entry.future.set_exception(own)

    def _answer(self, batch: Sequence[_Item]) -> None:
        results = self.work[batch[0].kind]([entry.content for entry in batch])
        assert len(results) == len(batch)
        for entry, result in zip(batch, results, strict=True):
            entry.future.set_result(result)
