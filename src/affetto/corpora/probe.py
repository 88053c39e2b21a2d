"""What is heard of one clip: its length, rate and channels, a digest of its samples, and what is wrong with it."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from affetto import audio

SILENT_PEAK = 10 ** (-60 / 20)
FULL_SCALE = 0.999
CLIPPED_RUN = 4
"""As many samples in a row at full scale are a flat top; fewer can be a normalised peak."""
CLIPPED_SHARE = 0.001
"""The share of a clip's samples in flat tops from which it is reported: below, nobody hears it."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What was heard of one clip. `digest` is of its decoded samples, None where there are none to compare."""

    seconds: float | None = None
    rate_hz: int = 0
    channels: int = 0
    digest: bytes | None = None
    problems: tuple[tuple[str, str], ...] = ()


def probe(path: Path, start: float | None = None, end: float | None = None, *, decode: bool = True) -> Probe:
    """What one clip holds; whatever is wrong with it is in the probe, nothing is raised for it."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return Probe(problems=(("unreadable", "not an ordinary file"),))
        if status.st_size == 0:
            return Probe(problems=(("empty", "0 bytes"),))
        with soundfile.SoundFile(str(path)) as file:
            return _listen(file, start, end, decode)
    except FileNotFoundError:
        return Probe(problems=(("missing", "no such file"),))
    except (soundfile.LibsndfileError, RuntimeError, TypeError, ValueError, OSError) as problem:
        reason = str(getattr(problem, "error_string", problem)).strip().rstrip(".")
        return Probe(problems=(("unreadable", reason),))


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
    if frames < audio.SHORTEST_SECONDS * rate_hz:
        problems.append(("too short", f"{frames / rate_hz:.3f} s; a clip needs at least {audio.SHORTEST_SECONDS} s"))
    if not decode:
        return Probe(frames / rate_hz, rate_hz, file.channels, None, tuple(problems))
    ear, heard = _Ear(), 0
    for block in audio.blocks(file, *span):
        ear.hear(block)
        heard += len(block)
    if audio.is_short(frames - heard, rate_hz):
        problems.append(("truncated", audio.short_of(heard, frames)))
    problems += ear.problems()
    digest = None if ear.silent else ear.digest.digest()
    return Probe(frames / rate_hz, rate_hz, file.channels, digest, tuple(problems))


class _Ear:
    """What is said of samples that are heard block by block, each of shape (frames, channels)."""

    def __init__(self) -> None:
        self.digest = hashlib.blake2b(digest_size=16)
        self._samples = self._not_finite = self._flat = 0
        self._peak = 0.0

    def hear(self, block: np.ndarray) -> None:
        self.digest.update(block.data)
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
