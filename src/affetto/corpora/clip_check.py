"""What is heard of one clip: its length, rate and channels, the marks of its content, and what is wrong with it.

A clip is opened by the rules of `affetto.audio`, as training opens it: what is well here can be trained on.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from affetto import audio
from affetto.corpora.content import SILENT_PEAK, Content, content

FULL_SCALE = 0.999
CLIPPED_RUN = 4
"""As many samples in a row at full scale are a flat top; fewer can be a normalised peak."""
CLIPPED_SHARE = 0.001
"""The share of a clip's samples in flat tops from which it is reported: below, nobody hears it."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What was heard of one clip; `content` has no marks where there are no samples to compare.

    `rate_hz` and `channels` are 0 where the file is in no format of soundfile's.
    """

    seconds: float | None = None
    rate_hz: int = 0
    channels: int = 0
    content: Content = field(default_factory=Content)
    problems: tuple[tuple[str, str], ...] = ()


def probe(path: Path, start: float | None = None, end: float | None = None, *, decode: bool = True) -> Probe:
    """What one clip holds; whatever is wrong with it is in the probe, nothing is raised for it."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return Probe(problems=(("unreadable", "not an ordinary file"),))
        if status.st_size == 0:
            return Probe(problems=(("empty", "0 bytes"),))
        try:
            file = soundfile.SoundFile(os.fsencode(path) if os.name == "posix" else str(path))
        except soundfile.LibsndfileError:
            return _listen_elsewhere(path, start, end, decode)
        with file:
            return _listen(file, start, end, decode)
    except FileNotFoundError:
        return Probe(problems=(("missing", "no such file"),))
    except (RuntimeError, TypeError, ValueError, OSError) as problem:
        return Probe(problems=(("unreadable", _reason(problem, path)),))


def _listen(file: soundfile.SoundFile, start: float | None, end: float | None, decode: bool) -> Probe:
    rate_hz = file.samplerate
    if file.frames == 0:
        return Probe(problems=(("empty", "a header and no samples"),))
    span = audio.section(file, start, end)
    if span is None or span[0] == span[1]:
        said = f"its section starts at {start or 0:g} s, the file has {file.frames / rate_hz:.2f} s"
        return Probe(problems=(("unreadable", said),))
    frames = span[1] - span[0]
    problems = []
    missing = audio.shortfall(file)
    if missing:
        problems.append(("truncated", missing))
    problems += _too_short(frames / rate_hz)
    if not decode:
        return Probe(frames / rate_hz, rate_hz, file.channels, problems=tuple(problems))
    ear = _Ear()
    marks = ear.listen(audio.blocks(file, *span), rate_hz)
    if audio.is_short(frames - ear.frames, rate_hz):
        problems.append(("truncated", audio.short_of(ear.frames, frames)))
    problems += ear.problems()
    return Probe(frames / rate_hz, rate_hz, file.channels, marks, tuple(problems or ear.refusals))


def _listen_elsewhere(path: Path, start: float | None, end: float | None, decode: bool) -> Probe:
    """As `_listen`, of what soundfile does not open and `affetto.audio` does: heard as models hear it, at 16 kHz."""
    try:
        if not decode:
            return Probe(audio.duration(path))
        ear = _Ear()
        blocks = (block[:, None] for block in audio.stream(path, start, end))
        marks = ear.listen(blocks, audio.RATE_HZ, name=str(path))
    except audio.AudioError as problem:
        return Probe(problems=(("unreadable", _reason(problem, path)),))
    if not ear.frames:
        return Probe(problems=tuple(ear.refusals))
    return Probe(ear.frames / audio.RATE_HZ, content=marks, problems=tuple(ear.problems() or ear.refusals))


def _reason(problem: Exception, path: Path) -> str:
    said = str(getattr(problem, "error_string", problem)).strip().rstrip(".")
    return said.removeprefix(f"{path}: ")


def _too_short(seconds: float) -> list[tuple[str, str]]:
    if seconds >= audio.SHORTEST_SECONDS:
        return []
    return [("too short", f"{seconds:.3f} s; a clip needs at least {audio.SHORTEST_SECONDS} s")]


class _Ear:
    """What is said of samples that are heard block by block, each of shape (frames, channels)."""

    def __init__(self) -> None:
        self.frames = self.channels = 0
        self.refusals: list[tuple[str, str]] = []
        """Why `affetto.audio` does not take the clip."""
        self._samples = self._not_finite = self._flat = 0
        self._peak = 0.0

    def listen(self, blocks: Iterable[np.ndarray], rate_hz: int, *, name: str = "clip") -> Content:
        """Hear all blocks; the marks of their content, none where it is no clip (too short, or not finite)."""
        heard = self._hearing(blocks)
        try:
            return content(audio.at_16k(heard, rate_hz, name=name))
        except audio.AudioError as problem:
            self.refusals.append(("unreadable", str(problem).removeprefix(f"{name}: ")))
            for _ in heard:  # the rest may hold more that is wrong
                pass
            return Content()

    def _hearing(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for block in blocks:
            self._hear(block)
            yield block

    def _hear(self, block: np.ndarray) -> None:
        self.frames += len(block)
        self.channels = block.shape[1]
        self._samples += block.size
        finite = np.isfinite(block)
        self._not_finite += block.size - int(finite.sum())
        height = np.abs(np.where(finite, block, 0.0))
        peak = float(height.max())
        self._peak = max(self._peak, peak)
        if peak >= FULL_SCALE:
            self._flat += _flat_tops(height)

    @property
    def silent(self) -> bool:
        return self._peak < SILENT_PEAK

    def problems(self) -> list[tuple[str, str]]:
        found = []
        if self._not_finite:
            found.append(("non-finite", f"{self._not_finite} of {self._samples} samples are NaN or infinite"))
        if self.silent:
            level = f"its peak is {20 * np.log10(self._peak):.0f} dBFS" if self._peak else "zero throughout"
            found.append(("silent", level))
        if self._flat > CLIPPED_SHARE * self._samples:
            found.append(("clipped", f"{self._flat / self._samples:.2%} of its samples are in flat tops at full scale"))
        return found


def _flat_tops(height: np.ndarray) -> int:
    """How many samples, by their magnitudes (frames, channels), lie in runs of `CLIPPED_RUN` or more at full scale."""
    edges = np.diff(np.pad(height >= FULL_SCALE, ((1, 1), (0, 0))).astype(np.int8), axis=0)
    runs = np.argwhere(edges.T == -1)[:, 1] - np.argwhere(edges.T == 1)[:, 1]
    return int(runs[runs >= CLIPPED_RUN].sum())
