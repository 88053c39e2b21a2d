"""Recordings decoded ahead, in threads, while a model computes: in order, in bounded memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

Recording = tuple[str, Iterable[np.ndarray]]
"""Name, and blocks (samples,) that are decoded as they are asked for."""
MOST_BYTES = 2**28
"""Memory of blocks that wait for the model: an hour of sound and more, in blocks of any length."""
AHEAD = 4
"""Recordings for each thread that are begun, or wait to be."""


def read_ahead(recordings: Iterable[Recording], threads: int, most_bytes: int = MOST_BYTES) -> Iterator[Recording]:
    """Yield recordings in their order; `threads` decode their blocks ahead of whoever takes them.

    At most `most_bytes` of blocks wait, and one block beside them: the recording whose turn it is always goes on, so
    that long ones stream. What decoding raises comes behind the blocks before it. With no threads nothing is decoded
    before it is asked for.
    """
    if threads < 1:
        yield from recordings
        return
    room = _Room(most_bytes)
    waiting: deque[_Reading] = deque()
    upcoming = _Upcoming(recordings)
    with ThreadPoolExecutor(threads, thread_name_prefix="affetto-decode") as pool:
        try:
            while True:
                while len(waiting) < AHEAD * threads and (recording := upcoming.next()) is not None:
                    waiting.append(_Reading(*recording, room))
                    pool.submit(waiting[-1].read)
                if not waiting:
                    break
                reading = waiting.popleft()
                yield reading.name, reading.blocks()
                reading.leave()
        finally:
            room.close()
    if upcoming.problem is not None:
        raise upcoming.problem


class _Upcoming:
    """Recordings that are not begun; what listing them raises waits until those before it are through."""

    def __init__(self, recordings: Iterable[Recording]) -> None:
        self.recordings = iter(recordings)
        self.problem: Exception | None = None

    def next(self) -> Recording | None:
        """Return the next recording; None behind the last."""
        if self.problem is not None:
            return None
        try:
            return next(self.recordings, None)
        except Exception as problem:
            self.problem = problem
            return None


class _Room:
    """Bytes of blocks that wait, counted over all recordings."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes, self.bytes, self.is_closed = most_bytes, 0, False
        self.changed = threading.Condition()

    def close(self) -> None:
        """Let every thread end at its next block."""
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()


@dataclass(eq=False)
class _Reading:
    """One recording between the thread that decodes it and the one that takes its blocks."""

    name: str
    source: Iterable[np.ndarray]
    room: _Room
    ready: deque[np.ndarray] = field(default_factory=deque)
    is_first: bool = False
    """True if its blocks are being taken: its turn has come."""
    is_ended: bool = False
    is_left: bool = False
    """True if nobody takes its blocks any more."""
    problem: Exception | None = None

    def read(self) -> None:
        """Decode to the end, as long as there is room; the work of a thread."""
        try:
            if not self._is_over():
                for block in self.source:
                    if not self._put(block):
                        break
        except Exception as problem:
            self.problem = problem
        with self.room.changed:
            self.is_ended = True
            self.room.changed.notify_all()

    def _put(self, block: np.ndarray) -> bool:
        """Wait for room and add a block. Returns False where nobody takes it any more."""
        room = self.room
        with room.changed:
            room.changed.wait_for(lambda: self._is_over() or self._has_room(block))
            if self._is_over():
                return False
            room.bytes += block.nbytes
            self.ready.append(block)
            room.changed.notify_all()
            return True

    def _is_over(self) -> bool:
        return self.room.is_closed or self.is_left

    def _has_room(self, block: np.ndarray) -> bool:
        return self.room.bytes + block.nbytes <= self.room.most_bytes or (self.is_first and not self.ready)

    def blocks(self) -> Iterator[np.ndarray]:
        """Take the blocks, and wait for those that are not decoded yet. Raises what decoding has raised."""
        changed = self.room.changed
        with changed:
            self.is_first = True
            changed.notify_all()
        while True:
            with changed:
                changed.wait_for(lambda: self.ready or self.is_ended)
                if not self.ready:
                    break
                block = self.ready.popleft()
                self.room.bytes -= block.nbytes
                changed.notify_all()
            yield block
        if self.problem is not None:
            raise self.problem

    def leave(self) -> None:
        """Give back the room of blocks that were not taken, and end the decoding."""
        with self.room.changed:
            self.is_left = True
            self.room.bytes -= sum(block.nbytes for block in self.ready)
            self.ready.clear()
            self.room.changed.notify_all()
