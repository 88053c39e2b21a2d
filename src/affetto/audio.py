"""Any audio file to what every model here takes: mono float32 at 16 kHz.

soundfile decodes (wav, flac, ogg, mp3, aiff, …), PyAV what comes in other containers (`containers.py`), channels are
averaged, soxr resamples at its high quality. Nothing is normalised here: that belongs to each backbone's own
preprocessing.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from affetto import containers
from affetto.errors import UserError

RATE_HZ = 16_000
SHORTEST_SECONDS = 0.1
"""Shorter clips are refused: no backbone here makes more than a few frames of them."""
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1_000, 1_000_000
"""No recording of speech lies outside; a header that says so is damaged, and resampling by it would fill the memory."""
TOLERATED_SECONDS = 0.05
"""So much may be missing at a file's end: an MP3's frame, by which encoders and taggers miscount."""
BLOCK_FRAMES = 1 << 20
"""Of one channel; shared among several."""

_PROMISED = re.compile(r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
"""What libsndfile notes of a WAV, AIFF or AU that promises more bytes than are there; it reads it without a word."""
_PIPE_LIMITS, _PIPE_MARGIN = (1 << 31, 1 << 32), 1 << 16
"""Programs that write to a pipe do not know the length, and put one just below 2 or 4 GiB in the header."""
_MOST_FRAMES_PER_BYTE = 8192
"""FLAC stores 65,535 equal samples in some ten bytes; nothing that soundfile reads is denser."""
_LONGEST_OGG_PAGE_BYTES = 27 + 255 + 255 * 255


class AudioError(UserError):
    """A file, or a section of one, that cannot be used as a clip."""


class UnknownFormatError(AudioError):
    """What is there is no audio that can be read."""


class TooLongError(AudioError):
    """A recording is longer than it may be."""


def load(path: str | Path, start: float | None = None, end: float | None = None) -> np.ndarray:
    """Decode a file, or its section from `start` to `end` seconds (at most to the file's end).

    Returns float32 of shape (samples,), 16 kHz mono. Raises AudioError, naming the file, where it is
    missing, no audio, empty, broken off, shorter than 0.1 s or holds samples that are not finite.
    """
    return joined(stream(path, start, end))


def stream(path: str | Path, start: float | None = None, end: float | None = None) -> Iterator[np.ndarray]:
    """What `load` returns, in blocks (samples,), so that memory does not grow with a recording's length.

    Raises AudioError as `load` does, where the problem is met: what came before it was good.
    """
    _check_ordinary(path)
    kind = containers.kind(_head(path))
    if kind is not None:
        yield from _contained(str(path), kind, str(path), start, end)
        return
    with _open(path) as file:
        seconds = file.frames / file.samplerate
        span = section(file, start, end)
        if span is None:
            raise _outside(path, start, end, seconds)
        yield from at_16k(_decoded(file, *span, str(path)), file.samplerate, name=str(path))


def decode(
    content: bytes,
    *,
    name: str = "audio",
    longest_seconds: float = math.inf,
    cancelled: Callable[[], bool] | None = None,
) -> np.ndarray:
    """What `load` returns, of a file's bytes: nothing touches a disk. Errors call it `name`.

    `cancelled` is asked between blocks; once it says so, AudioError is raised. Raises AudioError as `load` does:
    UnknownFormatError for what is no audio, TooLongError for a recording that plays longer than `longest_seconds`,
    before it is decoded.
    """
    if not content:
        raise AudioError(f"{name}: empty (0 bytes); send it again")
    kind = containers.kind(content[: containers.HEAD_BYTES])
    if kind is not None:
        blocks_ = _contained(io.BytesIO(content), kind, name, longest_seconds=longest_seconds)
        return joined(_while_wanted(blocks_, cancelled, name))
    with _opened(io.BytesIO(content), name) as file:
        seconds = file.frames / file.samplerate
        if seconds > longest_seconds:
            raise _too_long(name, seconds, longest_seconds)
        wanted = _while_wanted(_decoded(file, 0, file.frames, name), cancelled, name)
        return joined(at_16k(wanted, file.samplerate, name=name))


def _while_wanted(
    blocks: Iterable[np.ndarray], cancelled: Callable[[], bool] | None, name: str
) -> Iterator[np.ndarray]:
    for block in blocks:
        if cancelled is not None and cancelled():
            raise AudioError(f"{name}: given up")
        yield block


def at_16k(blocks: Iterable[np.ndarray], rate_hz: int, *, name: str = "audio") -> Iterator[np.ndarray]:
    """Blocks of floats, (samples,) or (samples, channels) at any rate → blocks of float32 (samples,) at 16 kHz.

    The same samples, bit for bit, as of all blocks joined. Raises AudioError, calling the recording `name`, where it
    is too short or a sample is not finite.
    """
    _check_rate(rate_hz, name)
    resampler = soxr.ResampleStream(rate_hz, RATE_HZ, 1, dtype="float32", quality="HQ") if rate_hz != RATE_HZ else None
    frames = 0
    for block in blocks:
        wave = np.ascontiguousarray(_mixed(block.astype(np.float32, copy=False)))
        frames += len(wave)
        _check_finite(wave, name)
        if resampler is not None:
            wave = resampler.resample_chunk(wave)
        if len(wave):
            yield wave
    _check_length(frames, rate_hz, name)
    if resampler is not None:
        rest = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        if len(rest):
            yield rest


def joined(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Blocks (samples,) as one wave."""
    every = list(blocks)
    return every[0] if len(every) == 1 else np.concatenate([np.zeros(0, np.float32), *every])


def to_mono_16k(samples: np.ndarray, rate_hz: int, *, name: str = "audio") -> np.ndarray:
    """Samples of shape (samples,) or (samples, channels) at any rate → float32 (samples,) at 16 kHz.

    Floats are taken as they are, whole numbers (int16 or int32) scaled to ±1 by their width. Raises AudioError, calling
    the clip `name`, where it has another type or shape, is too short or not finite.
    """
    samples = np.asarray(samples)
    channels = samples.shape[1] if samples.ndim == 2 else 1
    if samples.ndim not in (1, 2) or not 1 <= channels <= max(len(samples), 1):
        raise AudioError(f"{name}: shape {samples.shape} is no audio; give (samples,) or (samples, channels)")
    if samples.dtype.kind != "f" and samples.dtype not in (np.int16, np.int32):
        # Wider ones are Python's own whole numbers more often than 64-bit sound, which would come out silent.
        raise AudioError(f"{name}: samples of type {samples.dtype} are no audio; give floats within ±1, int16 or int32")
    if samples.dtype.kind == "i":
        samples = samples / np.float32(2.0 ** (8 * samples.dtype.itemsize - 1))
    return joined(at_16k([samples], rate_hz, name=name))


def duration(path: str | Path) -> float:
    """Seconds of audio in a file, by its header: a FLAC or MP3 that breaks off is found by `load` alone.

    Raises AudioError as `load` does.
    """
    _check_ordinary(path)
    kind = containers.kind(_head(path))
    if kind is not None:
        with _container(str(path), kind, str(path)) as container:
            known = container.seconds
        return sum(len(wave) for wave in stream(path)) / RATE_HZ if known is None else known
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
        raise AudioError(f"{path}: cannot be read ({problem.strerror}); check the path") from None


# -- open files, which the audit of a corpus hears too -----------------------------------------------------------


def section(file: soundfile.SoundFile, start: float | None, end: float | None) -> tuple[int, int] | None:
    """The first frame, and the one after the last, of a section in seconds; None where it lies outside the file."""
    seconds = file.frames / file.samplerate
    first = 0.0 if start is None else start
    last = seconds if end is None else min(end, seconds)
    if not 0 <= first <= last or (first > 0 and first == last):
        return None
    return round(first * file.samplerate), round(last * file.samplerate)


def blocks(file: soundfile.SoundFile, first: int, last: int) -> Iterator[np.ndarray]:
    """The frames from `first` to `last` as float32 (frames, channels), a block at a time: what a damaged header
    claims is never allocated. Ends early where the file does."""
    file.seek(first)
    most = max(1, BLOCK_FRAMES // file.channels)
    while first < last:
        block = file.read(min(last - first, most), dtype="float32", always_2d=True)
        if not len(block):
            return
        first += len(block)
        yield block


def shortfall(file: soundfile.SoundFile) -> str | None:
    """What a file promises and does not hold, by its header alone; None where nothing is missing."""
    size = _size(file.name)
    if file.frames > size * _MOST_FRAMES_PER_BYTE:
        return f"the header promises {file.frames} samples, more than its {size} bytes can hold"
    promised = _PROMISED.search(file.extra_info)
    if promised:
        said, there = int(promised[1]), int(promised[2])
        from_pipe = any(limit - _PIPE_MARGIN <= said <= limit for limit in _PIPE_LIMITS)
        frames = file.frames * (said - there) / max(there, 1)
        if there < said and not from_pipe and (there == 0 or is_short(frames, file.samplerate)):
            return f"the header promises {said} bytes of samples, {there} are there"
    if file.format == "OGG" and _ends_within_a_page(file.name):
        return "its stream ends in the middle of a page"
    return None


def is_short(missing_frames: float, rate_hz: int) -> bool:
    """Whether more is missing than encoders miscount."""
    return missing_frames > TOLERATED_SECONDS * rate_hz


def short_of(there: int, wanted: int) -> str:
    return f"{there} of {wanted} samples are there"


def _ends_within_a_page(source: str | bytes | io.BytesIO) -> bool:
    """Whether the last page of an Ogg file (RFC 3533, 6) is longer than what is left of the file."""
    start = max(0, _size(source) - _LONGEST_OGG_PAGE_BYTES)
    if isinstance(source, io.BytesIO):
        end = bytes(source.getbuffer()[start:])
    else:
        with open(source, "rb") as file:
            file.seek(start)
            end = file.read()
    page = end[max(end.rfind(b"OggS"), 0) :]
    lengths = page[27 : 27 + page[26]] if len(page) > 26 else b""
    return len(page) < 27 or len(page) < 27 + page[26] + sum(lengths)


def _size(source: str | bytes | io.BytesIO) -> int:
    return source.getbuffer().nbytes if isinstance(source, io.BytesIO) else os.path.getsize(source)


def _decoded(file: soundfile.SoundFile, first: int, last: int, name: str) -> Iterator[np.ndarray]:
    """The frames from `first` to `last`, in blocks. Raises AudioError where they cannot be decoded, or end before."""
    there = 0
    try:
        for block in blocks(file, first, last):
            there += len(block)
            yield block
    except (soundfile.LibsndfileError, RuntimeError) as problem:
        raise AudioError(f"{name}: cannot be decoded ({_reason(problem)}); copy it again from its source") from None
    if is_short(last - first - there, file.samplerate):
        raise AudioError(f"{name}: broken off: {short_of(there, last - first)}; copy it again from its source")


def _check_rate(rate_hz: int, name: str) -> None:
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        allowed = f"{LOWEST_RATE_HZ:,} to {HIGHEST_RATE_HZ:,} Hz"
        raise AudioError(f"{name}: {rate_hz} Hz is no rate of a recording ({allowed}); export it again")


def _check_length(frames: int, rate_hz: int, name: str) -> None:
    if frames < SHORTEST_SECONDS * rate_hz:
        needed = f"a clip needs at least {SHORTEST_SECONDS} s: leave it out"
        raise AudioError(f"{name}: only {frames / rate_hz:.3f} s long; {needed}")


def _check_finite(wave: np.ndarray, name: str) -> None:
    if not np.isfinite(wave).all():
        wrong = int((~np.isfinite(wave)).sum())
        raise AudioError(f"{name}: {wrong} samples are not finite (NaN or infinite); export it again")


def _mixed(samples: np.ndarray) -> np.ndarray:
    """The mean of the channels: float32 (samples,) or (samples, channels) → (samples,)."""
    if samples.ndim == 1:
        return samples
    return samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)


def _reason(problem: Exception) -> str:
    return str(getattr(problem, "error_string", problem)).strip().rstrip(".")


def _container(source: str | io.BytesIO, kind: str, name: str) -> containers.Container:
    try:
        return containers.Container(source, kind)
    except containers.ContainerError as problem:
        raise UnknownFormatError(f"{name}: not a recording that FFmpeg can read ({problem}); convert it") from None
    except UserError as problem:  # PyAV is not installed
        raise UnknownFormatError(f"{name}: {problem}") from None


def _contained(
    source: str | io.BytesIO, kind: str, name: str, start: float | None = None, end: float | None = None,
    longest_seconds: float = math.inf,
) -> Iterator[np.ndarray]:  # fmt: skip
    """`stream`, of a container. Its header may not tell how long it is, so that limits hold while it is decoded."""
    with _container(source, kind, name) as file:
        if (file.seconds or 0.0) > longest_seconds:
            raise _too_long(name, file.seconds or 0.0, longest_seconds)
        _check_rate(file.rate_hz, name)
        first = round((start or 0.0) * file.rate_hz)
        last = math.inf if end is None else round(end * file.rate_hz)
        there = 0

        def wanted() -> Iterator[np.ndarray]:
            nonlocal there
            for block in file.blocks():
                at, there = there, there + len(block)
                if there > longest_seconds * file.rate_hz:
                    raise _too_long(name, there / file.rate_hz, longest_seconds)
                part = block[max(0, first - at) : int(min(len(block), max(0, last - at)))]
                if len(part):
                    yield part
                if there >= last:
                    return
            if first > 0 and first >= there:
                raise _outside(name, start, end, there / file.rate_hz)

        try:
            yield from at_16k(wanted(), file.rate_hz, name=name)
        except containers.ContainerError as problem:
            raise AudioError(f"{name}: cannot be decoded ({problem}); copy it again from its source") from None


def _too_long(name: str, seconds: float, longest_seconds: float) -> TooLongError:
    return TooLongError(f"{name}: {seconds:.1f} s long, at most {longest_seconds:g} s are taken; cut it")


def _outside(path: str | Path, start: float | None, end: float | None, seconds: float) -> AudioError:
    said = f"{start or 0:g}–{seconds if end is None else end:g} s"
    return AudioError(f"{path}: section {said} lies outside its {seconds:.2f} s; give a start and an end within")


def _head(path: str | Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(containers.HEAD_BYTES)
    except OSError as problem:
        raise AudioError(f"{path}: cannot be read ({problem.strerror}); check its permissions") from None


def _open(path: str | Path) -> soundfile.SoundFile:
    _check_ordinary(path)
    # A name that is no UTF-8 is bytes to the system, and soundfile would not find them again.
    return _opened(os.fsencode(path) if os.name == "posix" else str(path), str(path))


def _check_ordinary(path: str | Path) -> None:
    """Only ordinary files are opened, so that a FIFO or a device cannot hang the caller."""
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError) as problem:
        reason = "no such file" if isinstance(problem, FileNotFoundError) else str(problem)
        raise AudioError(f"{path}: {reason}; check the path") from None
    if stat.S_ISDIR(mode):
        raise AudioError(f"{path}: a folder, not an audio file; give a recording in it")
    if not stat.S_ISREG(mode):
        raise AudioError(f"{path}: not an ordinary file; give a recording that is stored on disk")
    if Path(path).stat().st_size == 0:
        raise AudioError(f"{path}: empty (0 bytes); copy it again from its source")


def _opened(source: str | bytes | io.BytesIO, name: str) -> soundfile.SoundFile:
    try:
        file = soundfile.SoundFile(source)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as problem:
        said = f"not audio that soundfile can read ({_reason(problem)}); convert it to wav or flac"
        raise UnknownFormatError(f"{name}: {said}") from None
    missing = shortfall(file)
    if missing:
        file.close()
        raise AudioError(f"{name}: broken off: {missing}; copy or convert it again from its source")
    return file
