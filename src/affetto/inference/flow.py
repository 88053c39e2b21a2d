"""Windows of recordings on their way through a model: batches that span recordings, results in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from affetto import audio

Rows = Callable[[], np.ndarray]
"""Waits for what was begun, and returns a row for each window."""
Begin = Callable[[Sequence[np.ndarray]], Rows]
"""Hands windows (samples,) to a model."""


def at_once(rows: Callable[[Sequence[np.ndarray]], np.ndarray]) -> Begin:
    """Make a `Begin` of a function that computes when it is called."""

    def begin(waves: Sequence[np.ndarray]) -> Rows:
        result = rows(waves)
        return lambda: result

    return begin


@dataclass(eq=False)
class Progress:
    """Progress of one recording through the model."""

    name: str
    samples: int = 0
    samples_used: int = 0
    closed: bool = False
    """True once all of its windows are known."""
    waiting: int = 0
    """Windows that are not computed yet."""
    windows: int = 0
    sum: np.ndarray = field(default_factory=lambda: np.zeros(()))
    problem: audio.AudioError | None = None
    speech: list[float] = field(default_factory=list)
    """Probability of speech of each frame so far, where speech is measured."""

    @property
    def mean(self) -> np.ndarray:
        """Mean over its windows."""
        return self.sum / self.windows


class Flow:
    """Batches of windows from recordings that are opened one after another.

    `begin` gets `size` windows at once (fewer at the end). Up to `ahead` batches are begun before the rows of an
    earlier one are taken, so that a device has work while the next recordings are decoded.
    """

    def __init__(self, begin: Begin, size: int, ahead: int = 0) -> None:
        self.begin, self.size, self.ahead = begin, size, ahead
        self._recordings: deque[Progress] = deque()
        self._batch: list[tuple[Progress, np.ndarray]] = []
        self._begun: deque[tuple[list[Progress], Rows]] = deque()

    def open(self, name: str) -> Progress:
        """Begin a recording; `closed` of it says that it has no more windows."""
        clip = Progress(name)
        self._recordings.append(clip)
        return clip

    def add(self, clip: Progress, window: np.ndarray) -> bool:
        """Add a window (samples,). Returns True where a batch was begun."""
        self._batch.append((clip, window))
        clip.waiting += 1
        if len(self._batch) < self.size:
            return False
        self._begin_batch()
        self._take_rows(self.ahead)
        return True

    def refuse(self, clip: Progress, problem: audio.AudioError) -> None:
        """Let a recording count for nothing; windows of it that are not begun are left out."""
        clip.problem = problem
        before = len(self._batch)
        self._batch = [item for item in self._batch if item[0] is not clip]
        clip.waiting -= before - len(self._batch)

    def end(self) -> None:
        """Compute all that is open."""
        if self._batch:
            self._begin_batch()
        self._take_rows(0)

    def finished(self) -> Iterator[Progress]:
        """Yield the recordings that are through, in order, up to the first that is not."""
        while self._recordings and self._recordings[0].closed and not self._recordings[0].waiting:
            yield self._recordings.popleft()

    def _begin_batch(self) -> None:
        batch, self._batch = self._batch, []
        self._begun.append(([clip for clip, _ in batch], self.begin([wave for _, wave in batch])))

    def _take_rows(self, ahead: int) -> None:
        """Wait until no more than `ahead` batches are begun."""
        while len(self._begun) > ahead:
            clips, rows = self._begun.popleft()
            for clip, row in zip(clips, rows(), strict=True):
                clip.waiting -= 1
                clip.windows += 1
                clip.sum = clip.sum + row
