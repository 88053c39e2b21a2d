"""Any audio file to what every model here takes: mono float32 at 16 kHz.

soundfile decodes (wav, flac, ogg, mp3, aiff, …), channels are averaged, soxr resamples at its
high quality. Nothing is normalised here: that belongs to each backbone's own preprocessing.
"""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import numpy as np
import soundfile
import soxr

from affetto.errors import UserError

RATE_HZ = 16_000
SHORTEST_SECONDS = 0.1
"""Shorter clips are refused: no backbone here makes more than a few frames of them."""


class AudioError(UserError):
    """A file, or a section of one, that cannot be used as a clip."""


def load(path: str | Path, start: float | None = None, end: float | None = None) -> np.ndarray:
    """Decode a file, or its section from `start` to `end` seconds.

    Returns float32 of shape (samples,), 16 kHz mono. Raises AudioError, naming the file, where it is
    missing, no audio, empty, shorter than 0.1 s or holds samples that are not finite.
    """
    with _open(path) as file:
        rate_hz = file.samplerate
        first = round((start or 0.0) * rate_hz)
        last = file.frames if end is None else min(round(end * rate_hz), file.frames)
        if first < 0 or (file.frames > 0 and first >= file.frames) or last < first:
            seconds = file.frames / rate_hz
            raise AudioError(f"{path}: section {start or 0:g}–{end if end is not None else seconds:g} s lies outside its {seconds:.2f} s")
        try:
            file.seek(first)
            samples = file.read(last - first, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError) as problem:
            raise AudioError(f"{path}: cannot be decoded ({problem}); convert it again from its source") from None
    if len(samples) < last - first:
        raise AudioError(f"{path}: broken off: {len(samples)} of {last - first} samples are there; copy it again from its source")
    return to_mono_16k(samples, rate_hz, name=str(path))


def to_mono_16k(samples: np.ndarray, rate_hz: int, *, name: str = "audio") -> np.ndarray:
    """Samples of shape (samples,) or (samples, channels) at any rate → float32 (samples,) at 16 kHz.

    Raises AudioError, calling the clip `name`, where it is too short or not finite.
    """
    wave = np.asarray(samples, dtype=np.float32)
    if wave.ndim == 2:
        wave = wave[:, 0] if wave.shape[1] == 1 else wave.mean(axis=1)
    if wave.size < SHORTEST_SECONDS * rate_hz:
        raise AudioError(f"{name}: only {wave.size / rate_hz:.3f} s long; a clip needs at least {SHORTEST_SECONDS} s")
    if not np.isfinite(wave).all():
        raise AudioError(f"{name}: {int((~np.isfinite(wave)).sum())} samples are not finite (NaN or infinite); export it again")
    if rate_hz != RATE_HZ:
        wave = soxr.resample(wave, rate_hz, RATE_HZ, quality="HQ")
    return np.ascontiguousarray(wave, dtype=np.float32)


def duration(path: str | Path) -> float:
    """Seconds of audio in a file, by its header. Raises AudioError as `load` does."""
    with _open(path) as file:
        return float(file.frames / file.samplerate)


def crop(wave: np.ndarray, seconds: float | None) -> np.ndarray:
    """The first `seconds` of a 16 kHz wave (samples,); all of it for None (paper, IV-B: 4 s)."""
    return wave if seconds is None else wave[: round(seconds * RATE_HZ)]


def content_digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes: what a stored state is addressed by."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as problem:
        raise AudioError(f"{path}: cannot be read ({problem.strerror})") from None


def _open(path: str | Path) -> soundfile.SoundFile:
    """Open for reading; only ordinary files, so that a FIFO or a device cannot hang the caller."""
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError) as problem:
        reason = "no such file" if isinstance(problem, FileNotFoundError) else str(problem)
        raise AudioError(f"{path}: {reason}; check the path") from None
    if stat.S_ISDIR(mode):
        raise AudioError(f"{path}: a folder, not an audio file")
    if not stat.S_ISREG(mode):
        raise AudioError(f"{path}: not an ordinary file")
    if Path(path).stat().st_size == 0:
        raise AudioError(f"{path}: empty (0 bytes); copy it again from its source")
    try:
        file = soundfile.SoundFile(str(path))
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as problem:
        reason = str(getattr(problem, "error_string", problem)).strip().rstrip(".")
        raise AudioError(f"{path}: not audio that soundfile can read ({reason}); convert it to wav or flac") from None
    return file
