"""Findings about one clip: its length, rate and channels, the marks of its content, and its faults.

A clip is opened by the rules of `affetto.audio`, as training opens it: a clip without faults can be trained on.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from affetto import audio
from affetto.corpora.content import SILENT_PEAK, Content, content

FULL_SCALE = 0.999
CLIPPED_RUN = 4
"""As many samples in a row at full scale are a flat top; fewer can be a normalised peak."""
CLIPPED_SHARE = 0.001
"""Share of a clip's samples in flat tops from which it is reported; fewer are inaudible."""

Fault = tuple[str, str]
"""The kind of a fault, and a detail."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Facts about one clip; `content` has no marks where there are no samples to compare.

    `rate_hz` and `channels` are 0 where the file is in no format of soundfile's.
    """

    seconds: float | None = None
    rate_hz: int = 0
    channels: int = 0
    content: Content = field(default_factory=Content)
    faults: tuple[Fault, ...] = ()


def check(path: Path, start: float | None = None, end: float | None = None, *, decode: bool = True) -> Findings:
    """The findings about a clip; without `decode` by its header alone. Faults are returned, never raised."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return _faulty("unreadable", "not an ordinary file")
        if status.st_size == 0:
            return _faulty("empty", "0 bytes")
        audio.refuse_pointer(path)
        if audio.is_container(path):
            return _check_container(path, start, end, decode)
        return _check_recording(audio.open_recording(path, tolerant=True), start, end, decode)
    except FileNotFoundError:
        return _faulty("missing", "no such file")
    except audio.UndecodableError as problem:
        return _faulty("unreadable", problem.reason)
    except (RuntimeError, TypeError, ValueError, OSError, audio.AudioError) as problem:
        return _faulty("unreadable", str(problem).removeprefix(f"{path}: ").strip().rstrip("."))


def _faulty(kind: str, detail: str) -> Findings:
    return Findings(faults=((kind, detail),))


def _check_recording(recording: audio.Recording, start: float | None, end: float | None, decode: bool) -> Findings:
    """Findings about the section of a file that soundfile reads."""
    if recording.seconds == 0:
        return _faulty("empty", "a header and no samples")
    seconds = recording.section_seconds(start, end)
    if not seconds:
        return _faulty("unreadable", f"its section starts at {start or 0:g} s, the file has {recording.seconds:.2f} s")
    faults = [("truncated", recording.missing)] if recording.missing else []
    faults += _too_short(seconds)
    facts = Findings(seconds=seconds, rate_hz=recording.rate_hz, channels=recording.channels)
    if not decode:
        return replace(facts, faults=tuple(faults))
    meter = _Meter()
    marks = meter.measure(recording.blocks(start, end), name=recording.name)
    if meter.missing:
        faults.append(("truncated", meter.missing))
    faults += meter.faults()
    return replace(facts, content=marks, faults=tuple(faults or meter.refusals))


def _check_container(path: Path, start: float | None, end: float | None, decode: bool) -> Findings:
    """As `_check_recording`, of an m4a and its like: decoded as models hear it, at 16 kHz."""
    if not decode:
        return Findings(audio.duration(path))
    meter = _Meter()
    blocks = ((audio.RATE_HZ, block[:, None]) for block in audio.stream(path, start, end))
    marks = meter.measure(blocks, name=str(path))
    if not meter.frames:
        return Findings(faults=tuple(meter.refusals))
    seconds = meter.frames / audio.RATE_HZ
    return Findings(seconds=seconds, content=marks, faults=tuple(meter.faults() or meter.refusals))


def _too_short(seconds: float) -> list[Fault]:
    if seconds >= audio.SHORTEST_SECONDS:
        return []
    return [("too short", f"{seconds:.3f} s; a clip needs at least {audio.SHORTEST_SECONDS} s")]


class _Meter:
    """Measures of samples that come block by block, each of shape (frames, channels) with its rate."""

    def __init__(self) -> None:
        self.frames = 0
        self.refusals: list[Fault] = []
        """The reasons for which `affetto.audio` does not take the clip."""
        self.missing: str | None = None
        """The samples that the file promised and did not hold."""
        self._samples = self._not_finite = self._flat = 0
        self._peak = 0.0

    def measure(self, blocks: Iterable[tuple[int, np.ndarray]], *, name: str) -> Content:
        """The marks of the blocks' content; none where they are no clip (too short, or not finite).

        Raises UndecodableError as the blocks do.
        """
        counted = self._counted(blocks)
        try:
            return content(audio.resampled(counted, name=name))
        except audio.BrokenOffError as problem:
            self.missing = problem.missing
        except audio.UndecodableError:
            raise
        except audio.AudioError as problem:
            self.refusals.append(("unreadable", str(problem).removeprefix(f"{name}: ")))
            for _ in counted:  # the rest may hold further faults
                pass
        return Content()

    def _counted(self, blocks: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
        for rate_hz, block in blocks:
            self._count(block)
            yield rate_hz, block

    def _count(self, block: np.ndarray) -> None:
        self.frames += len(block)
        self._samples += block.size
        finite = np.isfinite(block)
        self._not_finite += block.size - int(finite.sum())
        height = np.abs(np.where(finite, block, 0.0))
        peak = float(height.max())
        self._peak = max(self._peak, peak)
        if peak >= FULL_SCALE:
            self._flat += _flat_tops(height)

    def faults(self) -> list[Fault]:
        """Faults of all samples together."""
        faults = []
        if self._not_finite:
            faults.append(("non-finite", f"{self._not_finite} of {self._samples} samples are NaN or infinite"))
        if self._peak < SILENT_PEAK:
            level = f"its peak is {20 * np.log10(self._peak):.0f} dBFS" if self._peak else "zero throughout"
            faults.append(("silent", level))
        if self._flat > CLIPPED_SHARE * self._samples:
            share = self._flat / self._samples
            faults.append(("clipped", f"{share:.2%} of its samples are in flat tops at full scale"))
        return faults


def _flat_tops(height: np.ndarray) -> int:
    """Number of samples, by their magnitudes (frames, channels), in runs of `CLIPPED_RUN` or more at full scale."""
    edges = np.diff(np.pad(height >= FULL_SCALE, ((1, 1), (0, 0))).astype(np.int8), axis=0)
    runs = np.argwhere(edges.T == -1)[:, 1] - np.argwhere(edges.T == 1)[:, 1]
    return int(runs[runs >= CLIPPED_RUN].sum())
