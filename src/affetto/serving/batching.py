"""Batching of windows across requests: one thread, batches of one model, fair turns."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

Work = Callable[[Sequence[Any]], Any]
"""Items in, as many results out, in their order: a sequence, or an array with a row each. Or a function that waits for
these, where a device computes them beside this process."""


Record = Callable[[Sequence[float], float], None]
"""Takes the seconds that each item of a computed batch waited for it to begin, and the seconds that it took."""


class ClosedError(Exception):
    """Error of a batcher that is closed."""


@dataclass(eq=False)
class _Batch:
    """A batch that a device computes."""

    kind: str
    entries: Sequence[_Item]
    results: Callable[[], Any]
    began: float


@dataclass(eq=False)
class _Item:
    content: Any
    arrived: float = field(default_factory=time.monotonic)
    future: Future[Any] = field(default_factory=Future)


class Batcher:
    """`submit(kind, owner, items)` → a future each. Owners of items take turns, and so do kinds.

    `work` has a function for each kind, `most` says how many items of one kind go into a batch; an item waits at most
    `wait_seconds` for company. The kind that was served longest ago is next; of its owners each gives one item in
    turn, until the batch is full: who brings one item waits for no more than one of each other's. What one item raises
    is that item's alone: a batch that fails is done again one by one.
    """

    def __init__(
        self,
        work: Mapping[str, Work],
        *,
        most: int = 16,
        wait_seconds: float = 0.005,
        record: Record = lambda waited, seconds: None,
    ) -> None:
        self.work, self.most, self.wait_seconds, self.record = dict(work), most, wait_seconds, record
        self._waiting: OrderedDict[str, OrderedDict[Hashable, deque[_Item]]] = OrderedDict(
            (kind, OrderedDict()) for kind in work
        )
        self._begun: float | None = None  # when the batch at work began
        self._by_device: set[str] = set()  # kinds that a device computes
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="affetto-batches", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Number of items that are not being computed yet."""
        with self._changed:
            return sum(len(items) for owners in self._waiting.values() for items in owners.values())

    def seconds_at_work(self) -> float:
        """Seconds since the present batch began; 0 if there is none."""
        begun = self._begun
        return 0.0 if begun is None else time.monotonic() - begun

    def submit(self, kind: str, owner: Hashable, items: Sequence[Any]) -> list[Future[Any]]:
        """Futures of what the work returns or raises. Raises ClosedError after `close`."""
        entries = [_Item(item) for item in items]
        with self._changed:
            if self._closing:
                raise ClosedError
            self._waiting[kind].setdefault(owner, deque()).extend(entries)
            self._changed.notify_all()
        return [entry.future for entry in entries]

    def drop(self, owner: Hashable) -> None:
        """Cancel an owner's waiting items. Those being computed go on."""
        with self._changed:
            dropped = [entry for owners in self._waiting.values() for entry in owners.pop(owner, ())]
            self._changed.notify_all()
        for entry in dropped:
            entry.future.cancel()

    def close(self, seconds: float | None = None) -> bool:
        """Take no more items and finish those in the queue. Returns True if that was done within `seconds`."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(seconds)
        return not self.is_alive

    def _run(self) -> None:
        begun: _Batch | None = None
        while True:
            batch = self._next(begun is not None)
            following = None if batch is None else self._begin(*batch)
            if begun is not None:
                self._finish(begun)
            elif batch is None:
                return
            begun = following
            self._begun = None if begun is None else begun.began

    def _next(self, beside: bool) -> tuple[str, list[_Item]] | None:
        """Wait for the next batch: full, or its oldest item has waited enough. None once all is done.

        `beside`: a device computes; None where no batch that it could take is ready at once.
        """
        with self._changed:
            while True:
                # Looked for anew after each wait: who has gone is dropped in the meantime.
                kind = next((kind for kind, owners in self._waiting.items() if owners), None)
                if beside and kind not in self._by_device:
                    return None
                if kind is None:
                    if self._closing:
                        return None
                    self._changed.wait()
                    continue
                items = [entry for queue in self._waiting[kind].values() for entry in queue]
                remaining = min(entry.arrived for entry in items) + self.wait_seconds - time.monotonic()
                if self._closing or len(items) >= self.most or remaining <= 0:
                    break
                if beside:
                    return None
                self._changed.wait(remaining)
            self._waiting.move_to_end(kind)
            self._begun = self._begun or time.monotonic()
            return kind, self._take_batch(self._waiting[kind])

    def _take_batch(self, owners: OrderedDict[Hashable, deque[_Item]]) -> list[_Item]:
        """Take a batch of one kind: an item of each owner in turn."""
        batch: list[_Item] = []
        while owners and len(batch) < self.most:
            owner, queue = owners.popitem(last=False)
            batch.append(queue.popleft())
            if queue:
                owners[owner] = queue
        return batch

    def _begin(self, kind: str, batch: Sequence[_Item]) -> _Batch | None:
        """Compute a batch and answer it; returns it where a device has it now."""
        entries = [entry for entry in batch if entry.future.set_running_or_notify_cancel()]
        if not entries:
            return None
        began = time.monotonic()
        try:
            results = self.work[kind]([entry.content for entry in entries])
            if callable(results):
                self._by_device.add(kind)
                return _Batch(kind=kind, entries=entries, results=results, began=began)
            self._answer(entries, results, began)
        except Exception as problem:
            self._one_by_one(kind, entries, problem)
        return None

    def _finish(self, batch: _Batch) -> None:
        """Wait for a batch that a device has, and answer it."""
        try:
            self._answer(batch.entries, batch.results(), batch.began)
        except Exception as problem:
            self._one_by_one(batch.kind, batch.entries, problem)

    def _one_by_one(self, kind: str, entries: Sequence[_Item], problem: Exception) -> None:
        """Answer the items of a batch that has failed: a single one by the problem, of several each by itself."""
        if len(entries) == 1:
            entries[0].future.set_exception(problem)
            return
        for entry in entries:
            try:
                began = time.monotonic()
                results = self.work[kind]([entry.content])
                self._answer([entry], results() if callable(results) else results, began)
            except Exception as error:
                entry.future.set_exception(error)

    def _answer(self, entries: Sequence[_Item], results: Any, began: float) -> None:
        """Record a batch that is computed, then answer its items."""
        assert len(results) == len(entries)
        self.record([began - entry.arrived for entry in entries], time.monotonic() - began)
        for entry, result in zip(entries, results, strict=True):
            entry.future.set_result(result)
