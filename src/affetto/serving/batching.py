"""Batching of windows across requests: one thread, batches of one model, the shortest recording first."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

Work = Callable[[Sequence[Any]], Any]
"""Items in, as many results out, in their order: a sequence, or an array with a row each. Or a function that waits for
these, where a device computes them beside this process."""
Record = Callable[[Sequence[float], float], None]
"""Takes the seconds that each item of a computed batch waited for it to begin, and the seconds that it took."""

MOST = 16
"""Items in a batch."""
SHORT = 8
"""Items of an owner that go into a batch together; an owner who brings more in all is long, and goes by turns."""
PATIENCE = 16
"""Items of others after which a waiting owner comes first."""


class ClosedError(Exception):
    """Error of a batcher that is closed."""


@dataclass(eq=False)
class Turns:
    """Batches in which an owner's items were computed. Times are those of `time.monotonic`."""

    arrived: float = 0.0
    """Time at which the first item came."""
    began: float = 0.0
    """Time at which the first batch began."""
    ended: float = 0.0
    """Time at which the last batch was computed."""
    computed: float = 0.0
    """Seconds of all batches."""
    batches: int = 0
    items: int = 0
    """Items of this owner in these batches."""
    largest: int = 0
    """Items of all owners in the largest of them."""

    def add(self, items: Sequence[_Item], size: int, began: float, ended: float) -> None:
        """Add a batch of `size` items, among them `items` of this owner."""
        if not self.batches:
            self.arrived, self.began = min(item.arrived for item in items), began
        self.ended = ended
        self.computed += ended - began
        self.batches += 1
        self.items += len(items)
        self.largest = max(self.largest, size)


@dataclass(eq=False)
class _Item:
    content: Any
    owner: Owner
    arrived: float = field(default_factory=time.monotonic)
    future: Future[Any] = field(default_factory=Future)


@dataclass(eq=False)
class Kind:
    """Items that one function computes, in batches of their own."""

    work: Work
    turn: int = MOST
    """Items of a long owner in a batch."""
    is_on_device: bool = False
    """True once the work has shown that a device does it."""
    waiting: list[Owner] = field(default_factory=list)
    """Owners who have items here that no batch has taken."""

    def take(self, most: int) -> list[_Item]:
        """Take the next batch, of at most `most` items; see `Batcher`."""
        batch: list[_Item] = []
        aged_turns = 1
        for owner in sorted(self.waiting, key=Owner.rank):
            share = most
            if owner.is_long:
                share = self.turn - len(batch)
                if owner.is_aged and aged_turns:
                    share, aged_turns = self.turn, aged_turns - 1
            batch += owner.take(min(share, most - len(batch)))
        for owner in self.waiting:
            owner.passed = 0 if owner.was_served else owner.passed + len(batch)
            owner.was_served = False
        self.waiting = [owner for owner in self.waiting if owner.items]
        return batch


@dataclass(eq=False)
class Owner:
    """Bringer of items of one kind: a recording with its windows.

    `size`: number of items that it brings in all; 1 for a stream, which brings them one by one as they come.
    """

    kind: Kind
    size: int = 1
    items: deque[_Item] = field(default_factory=deque)
    """Items that no batch has taken."""
    brought: int = 0
    passed: int = 0
    """Items of others that batches have taken since this owner was served."""
    was_served: bool = False
    turns: Turns | None = None
    """Batches in which its items were computed; None: nobody wants to know."""

    @property
    def is_long(self) -> bool:
        return self.size > SHORT

    @property
    def is_aged(self) -> bool:
        return self.passed >= PATIENCE

    def rank(self) -> tuple[int, int]:
        """Place among the owners: long ones that have waited long, short ones that have, then the fewest to go."""
        if self.is_aged:
            return not self.is_long, -self.passed
        return 2, len(self.items) + max(0, self.size - self.brought)

    def take(self, count: int) -> list[_Item]:
        items = [self.items.popleft() for _ in range(min(count, len(self.items)))]
        self.was_served = self.was_served or bool(items)
        return items


@dataclass(eq=False)
class _Batch:
    """A batch that a device computes."""

    kind: Kind
    entries: Sequence[_Item]
    results: Callable[[], Any]
    began: float


class Batcher:
    """`submit(owner, items)` → a future each. Kinds take turns: the one that was served longest ago is next.

    A batch has items of one kind, at most `most`; an item waits at most `wait_seconds` for company. The owner with the
    fewest items to go comes first, and those of short owners go together. A long owner has a turn of `Kind.turn` items
    where the batch has fewer without it. Who has waited while `PATIENCE` items of others were taken comes first, one
    long owner of these in each batch: so none waits for ever. What one item raises is that item's alone: a batch that
    fails is done again one by one.
    """

    def __init__(
        self, *, most: int = MOST, wait_seconds: float = 0.005, record: Record = lambda waited, seconds: None
    ) -> None:
        self.most, self.wait_seconds, self.record = most, wait_seconds, record
        self._kinds: list[Kind] = []  # those with items, the one that was served longest ago first
        self._begun: float | None = None  # when the batch at work began
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
            return sum(len(owner.items) for kind in self._kinds for owner in kind.waiting)

    def seconds_at_work(self) -> float:
        """Seconds since the present batch began; 0 if there is none."""
        begun = self._begun
        return 0.0 if begun is None else time.monotonic() - begun

    def submit(self, owner: Owner, items: Sequence[Any]) -> list[Future[Any]]:
        """Futures of what the work returns or raises. Raises ClosedError after `close`."""
        entries = [_Item(item, owner) for item in items]
        with self._changed:
            if self._closing:
                raise ClosedError
            owner.items.extend(entries)
            owner.brought += len(entries)
            if owner not in owner.kind.waiting:
                owner.kind.waiting.append(owner)
            if owner.kind not in self._kinds:
                self._kinds.append(owner.kind)
            self._changed.notify_all()
        return [entry.future for entry in entries]

    def drop(self, owner: Owner) -> None:
        """Cancel an owner's waiting items. Those being computed go on."""
        with self._changed:
            dropped = list(owner.items)
            owner.items.clear()
            if owner in owner.kind.waiting:
                owner.kind.waiting.remove(owner)
            self._forget_idle(owner.kind)
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
            del batch, following  # a model that is removed is not held until the next batch comes

    def _next(self, beside: bool) -> tuple[Kind, list[_Item]] | None:
        """Wait for the next batch: full, or its oldest item has waited enough. None once all is done.

        `beside`: a device computes; None where no batch that it could take is ready at once.
        """
        with self._changed:
            while True:
                # Looked for anew after each wait: who has gone is dropped in the meantime.
                if beside and not (self._kinds and self._kinds[0].is_on_device):
                    return None
                if not self._kinds:
                    if self._closing:
                        return None
                    self._changed.wait()
                    continue
                arrived = [entry.arrived for owner in self._kinds[0].waiting for entry in owner.items]
                remaining = min(arrived) + self.wait_seconds - time.monotonic()
                if self._closing or len(arrived) >= self.most or remaining <= 0:
                    break
                if beside:
                    return None
                self._changed.wait(remaining)
            kind = self._kinds.pop(0)
            self._kinds.append(kind)
            batch = kind.take(self.most)
            self._forget_idle(kind)
            self._begun = self._begun or time.monotonic()
            return kind, batch

    def _forget_idle(self, kind: Kind) -> None:
        """Hold no kind that nobody waits for: its model may be removed."""
        if not kind.waiting and kind in self._kinds:
            self._kinds.remove(kind)

    def _begin(self, kind: Kind, batch: Sequence[_Item]) -> _Batch | None:
        """Compute a batch and answer it; returns it where a device has it now."""
        entries = [entry for entry in batch if entry.future.set_running_or_notify_cancel()]
        if not entries:
            return None
        began = time.monotonic()
        try:
            results = kind.work([entry.content for entry in entries])
            if callable(results):
                kind.is_on_device = True
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

    def _one_by_one(self, kind: Kind, entries: Sequence[_Item], problem: Exception) -> None:
        """Answer the items of a batch that has failed: a single one by the problem, of several each by itself."""
        if len(entries) == 1:
            entries[0].future.set_exception(problem)
            return
        for entry in entries:
            try:
                began = time.monotonic()
                results = kind.work([entry.content])
                self._answer([entry], results() if callable(results) else results, began)
            except Exception as error:
                entry.future.set_exception(error)

    def _answer(self, entries: Sequence[_Item], results: Any, began: float) -> None:
        """Record a batch that is computed, then answer its items."""
        assert len(results) == len(entries)
        ended = time.monotonic()
        self.record([began - entry.arrived for entry in entries], ended - began)
        for owner in {entry.owner for entry in entries if entry.owner.turns is not None}:
            assert owner.turns is not None
            owner.turns.add([entry for entry in entries if entry.owner is owner], len(entries), began, ended)
        for entry, result in zip(entries, results, strict=True):
            entry.future.set_result(result)
