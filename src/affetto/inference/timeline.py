"""Timeline of a long recording: segments of speech, each with its emotion, computed as it plays.

Speech is found (`speech.py`); each stretch of it is covered by overlapping windows; of every hop's time the
probabilities of the windows over it are averaged, each by how much of it it covers; neighbours of one emotion are
one segment, and what is shorter than `shortest_seconds` joins its neighbour. All of it happens within the recent past,
so memory does not grow with the recording, and chunks that arrive one by one give what the whole file gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from affetto import audio
from affetto.errors import UserError
from affetto.inference.decision import answer_fields
from affetto.inference.predictor import HOP, LONGEST_WINDOW_SECONDS, Predictor
from affetto.inference.read_ahead import read_ahead
from affetto.inference.speech import Piece, Rules, check_installed, silero, stretches
from affetto.inference.windows import cover
from affetto.targets.target import Target

BATCH = 8
"""Windows in a batch; answers to a live stream wait for as many, or for a pause."""
AHEAD_BYTES = 2**24
"""Memory of the sound of a file that is decoded ahead: some four minutes."""
Cell = tuple[int, int, np.ndarray]
"""First sample, the one after the last, and mean values (outputs,), not calibrated."""


@dataclass(frozen=True)
class Segment:
    """A stretch of speech: of one emotion, or a hop long where a model has dimensions alone; times in seconds from the
    recording's start."""

    start: float
    end: float
    emotion: str | None
    """None where the model abstains, or has dimensions alone."""
    probabilities: dict[str, float]
    dimensions: dict[str, float] = field(default_factory=dict)
    """Mean value of each dimension."""
    labels: ClassVar[None] = None
    intervals: ClassVar[dict[str, tuple[float, float]]] = {}
    """No intervals: those of a model's card are of whole clips."""
    label_set: ClassVar[None] = None
    """No set of labels, for the same reason."""

    def to_json(self) -> dict[str, Any]:
        return {"start": self.start, "end": self.end, **answer_fields(self)}


class Timeline:
    """`Timeline(predictor)("talk.mp3")` → segments, in the order of time, as they are found.

    `hop_seconds`: from one window to the next (half a window by default). `shortest_seconds`: shorter segments join
    their neighbour of the same stretch of speech. `on_window` gets the answer of each window before it becomes part of
    a segment. Raises UserError where silero-vad is not installed, a time makes no sense, or the model's target makes no
    timeline.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        hop_seconds: float | None = None,
        shortest_seconds: float = 1.0,
        speech: Rules | None = None,
        batch: int = BATCH,
        on_window: Callable[[Segment], None] | None = None,
    ) -> None:
        check_target(predictor.target)
        self.predictor, self.batch, self.on_window = predictor, batch, on_window
        self.speech = speech or Rules()
        window_seconds = predictor.window_seconds or LONGEST_WINDOW_SECONDS
        self.window = round(window_seconds * audio.RATE_HZ)
        hop_seconds = HOP * window_seconds if hop_seconds is None else hop_seconds
        self.hop, self.shortest = round(hop_seconds * audio.RATE_HZ), round(shortest_seconds * audio.RATE_HZ)
        if not audio.SHORTEST_SECONDS <= hop_seconds <= window_seconds:
            allowed = f"{audio.SHORTEST_SECONDS:g} to {window_seconds:g} s, which is a window"
            raise UserError(f"a hop of {hop_seconds:g} s makes no timeline; give {allowed}")
        check_installed()

    def __call__(
        self,
        recording: str | Path | np.ndarray,
        rate_hz: int = audio.RATE_HZ,
        on_block: Callable[[np.ndarray], None] = lambda _: None,
    ) -> Iterator[Segment]:
        """Yield the segments of a file, or of samples at `rate_hz`; `on_block` gets each block (samples,), 16 kHz.

        Raises AudioError for a recording that cannot be used, where the problem is met.
        """
        if isinstance(recording, np.ndarray):
            blocks: Iterable[np.ndarray] = [audio.to_mono_16k(recording, rate_hz, name="<samples>")]
        else:
            blocks = self._decoded(str(recording))
        return self._segments(_pass_on(blocks, on_block))

    def _decoded(self, file: str) -> Iterator[np.ndarray]:
        """The blocks of a file, decoded in a thread where the model computes beside this process."""
        threads = min(1, self.predictor.decoders)
        for _, blocks in read_ahead([(file, audio.stream(file))], threads, AHEAD_BYTES):
            yield from blocks

    def stream(self, chunks: Iterable[np.ndarray], rate_hz: int = audio.RATE_HZ) -> Iterator[Segment]:
        """Yield the segments of a recording that arrives in chunks, floats (samples,) or (samples, channels).

        Equal to those of the whole. A segment comes when the speech has moved on from it.
        """
        return self._segments(audio.at_16k(chunks, rate_hz, name="<chunks>"))

    # One stretch of speech -----------------------------------------------------------------------

    def _segments(self, blocks: Iterable[np.ndarray]) -> Iterator[Segment]:
        pieces = stretches(blocks, silero(), self.speech)
        for first in pieces:
            yield from map(self._segment, self._merged(self._cells(first.start, _waves(first, pieces))))

    def _cells(self, origin: int, waves: Iterable[np.ndarray]) -> Iterator[Cell]:
        """Each hop's time of a stretch that begins at `origin`, by the windows over it."""
        length = 0

        def count_samples() -> Iterator[np.ndarray]:
            nonlocal length
            for wave in waves:
                length += len(wave)
                yield wave

        over: list[tuple[int, int, np.ndarray]] = []  # windows that reach into cells to come
        at = number = 0  # where the next cell begins; windows so far
        for batch in _batches(cover(count_samples(), self.window, self.hop), self.batch):
            rows = self.predictor.window_probabilities(batch)
            for wave, row in zip(batch, rows, strict=True):
                start = number * self.hop if len(wave) == self.window else 0
                over.append((start, start + len(wave), row))
                if self.on_window is not None:
                    begin = origin + min(start, length - len(wave))  # the last window ends where the speech does
                    self.on_window(self._segment((begin, begin + len(wave), row)))
                number += 1
                # This window may be the last, which begins before its place on the grid, behind the one before it.
                while at + self.hop <= (number - 2) * self.hop:
                    yield self._cell(origin, at, at + self.hop, over)
                    at += self.hop
                    over = [window for window in over if window[1] > at]
        if not over:
            return
        start, end, row = over[-1]
        over[-1] = (max(0, length - (end - start)), length, row)  # the last window ends where the speech does
        while at < length:
            # A rest that is shorter than half a hop goes with the hop before it.
            end = at + self.hop if length - at - self.hop >= self.hop / 2 else length
            yield self._cell(origin, at, end, over)
            at = end

    @staticmethod
    def _cell(origin: int, start: int, end: int, over: Iterable[tuple[int, int, np.ndarray]]) -> Cell:
        weights = np.array([max(0, min(end, last) - max(start, first)) for first, last, _ in over], dtype=np.float64)
        rows = np.stack([row for _, _, row in over])
        return origin + start, origin + end, weights @ rows / weights.sum()

    def _merged(self, cells: Iterable[Cell]) -> Iterator[Cell]:
        """Join neighbours of one emotion; then join each cell that is too short to its neighbour."""
        return self._joined(
            self._joined(cells, self._agree),
            lambda a, b: min(a[1] - a[0], b[1] - b[0]) < self.shortest or self._agree(a, b),
        )

    def _agree(self, a: Cell, b: Cell) -> bool:
        """True if both cells are of one emotion; numbers never agree."""
        count = len(self.predictor.labels)
        return count > 0 and int(a[2][:count].argmax()) == int(b[2][:count].argmax())

    @staticmethod
    def _joined(cells: Iterable[Cell], joins: Callable[[Cell, Cell], bool]) -> Iterator[Cell]:
        held: Cell | None = None
        for cell in cells:
            if held is None:
                held = cell
            elif joins(held, cell):
                before, after = held[1] - held[0], cell[1] - cell[0]
                held = (held[0], cell[1], (before * held[2] + after * cell[2]) / (before + after))
            else:
                yield held
                held = cell
        if held is not None:
            yield held

    def _segment(self, cell: Cell) -> Segment:
        start, end, row = cell
        decision = self.predictor.decide(row)
        return Segment(
            start=round(start / audio.RATE_HZ, 3),
            end=round(end / audio.RATE_HZ, 3),
            emotion=decision.emotion,
            probabilities=decision.probabilities,
            dimensions=decision.dimensions,
        )


def check_target(target: Target) -> None:
    """Raise UserError for a target that makes no timeline."""
    if not target.makes_timeline:
        raise UserError(
            f"a model of {target.title} makes no timeline, whose segments are of one emotion each; use affetto predict"
        )


def _waves(first: Piece, pieces: Iterator[Piece]) -> Iterator[np.ndarray]:
    """The pieces of one stretch, of which `first` has been taken."""
    for piece in chain([first], pieces):
        yield piece.wave
        if piece.last:
            return


def _batches(windows: Iterable[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    batch: list[np.ndarray] = []
    for window in windows:
        batch.append(window)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _pass_on(blocks: Iterable[np.ndarray], on_block: Callable[[np.ndarray], None]) -> Iterator[np.ndarray]:
    for block in blocks:
        on_block(block)
        yield block
