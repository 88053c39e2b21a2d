"""Recordings by their path or their bytes: decoded whole, or block by block."""

from __future__ import annotations

import hashlib
import io
import math
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from affetto.audio import containers
from affetto.audio.problems import (
    AudioError,
    BrokenOffError,
    Cancelled,
    UndecodableError,
    UnknownFormatError,
    outside,
    too_long,
)
from affetto.audio.recording import Recording
from affetto.audio.samples import RATE_HZ, TOLERATED_SECONDS, check_shape, joined, resampled
from affetto.errors import UserError

Block = tuple[int, np.ndarray]
"""A rate, and float32 samples (frames, channels) at it."""
POINTER = b"version http"
"""Beginning of the text that Git LFS puts in a file's place."""
LONGEST_POINTER = 1024
"""Bytes that such a text is shorter than, by its specification."""
_Any = TypeVar("_Any")


def load(path: str | Path, start: float | None = None, end: float | None = None) -> np.ndarray:
    """Decode a file, or its section from `start` to `end` seconds (at most 50 ms beyond the file's end).

    Returns float32 of shape (samples,), 16 kHz mono. Raises AudioError, naming the file, where it is
    missing, no audio, empty, broken off, shorter than 0.1 s or holds samples that are not finite.
    """
    return joined(stream(path, start, end))


def stream(path: str | Path, start: float | None = None, end: float | None = None) -> Iterator[np.ndarray]:
    """The wave that `load` returns, in blocks (samples,), so that memory does not grow with a recording's length.

    Raises AudioError as `load` does, at the place of the problem: earlier blocks are good.
    """
    _check_ordinary(path)
    kind = containers.kind(_head(path))
    if kind is not None:
        yield from resampled(_contained(str(path), kind, str(path), start, end), name=str(path))
        return
    yield from resampled(open_recording(path).blocks(start, end), name=str(path))


def decode(
    content: bytes,
    *,
    name: str = "audio",
    longest_seconds: float = math.inf,
    cancelled: Callable[[], bool] | None = None,
) -> np.ndarray:
    """The wave that `load` returns, of a file's bytes, without touching a disk. Errors call it `name`.

    `cancelled` is called between blocks. Raises AudioError as `load` does: UnknownFormatError for bytes without audio,
    TooLongError for a recording that plays longer than `longest_seconds`, before decoding if its header says so;
    Cancelled once `cancelled` returns True.
    """
    if not content:
        raise AudioError(f"{name}: empty (0 bytes); send it again")
    kind = containers.kind(content[: containers.HEAD_BYTES])
    if kind is not None:
        blocks = _contained(io.BytesIO(content), kind, name, longest_seconds=longest_seconds)
    else:
        recording = Recording(io.BytesIO(content), name)
        if recording.seconds > longest_seconds:
            raise too_long(name, recording.seconds, longest_seconds)
        blocks = recording.blocks()
    return joined(resampled(_while_wanted(blocks, cancelled, name), name=name))


def arriving(
    source: containers.Readable, kind: str, *, name: str = "audio", longest_seconds: float = math.inf
) -> Iterator[np.ndarray]:
    """The wave of a container of a kind of FFmpeg's that is still being received, in blocks (samples,).

    The samples are those that `decode` returns of the whole. Raises AudioError as `decode` does.
    """
    return resampled(_contained(source, kind, name, longest_seconds=longest_seconds), name=name)


def duration(path: str | Path) -> float:
    """Seconds of audio in a file, by its header: a FLAC or MP3 that breaks off is found by `load` alone.

    Raises AudioError as `load` does.
    """
    _check_ordinary(path)
    kind = containers.kind(_head(path))
    if kind is None:
        return open_recording(path).seconds
    with _container(str(path), kind, str(path)) as container:
        seconds = container.seconds
    return sum(len(wave) for wave in stream(path)) / RATE_HZ if seconds is None else seconds


def is_container(path: str | Path) -> bool:
    """True for a file that PyAV decodes and soundfile does not; AudioError where it cannot be read."""
    return containers.kind(_head(path)) is not None


def content_digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes: the address of its stored states."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as problem:
        raise AudioError(f"{path}: cannot be read ({problem.strerror}); check the path") from None


def _while_wanted(blocks: Iterable[_Any], cancelled: Callable[[], bool] | None, name: str) -> Iterator[_Any]:
    """The blocks, until `cancelled` says that nobody waits for them."""
    for block in blocks:
        if cancelled is not None and cancelled():
            raise Cancelled(f"{name}: decoding was given up; nobody waits for it any more")
        yield block


def _contained(
    source: str | io.BytesIO | containers.Readable,
    kind: str,
    name: str,
    start: float | None = None,
    end: float | None = None,
    longest_seconds: float = math.inf,
) -> Iterator[Block]:
    """The section of a container. Its header may not tell how long it is, so that limits hold while it is decoded."""
    with _container(source, kind, name) as file:
        if (file.seconds or 0.0) > longest_seconds:
            raise too_long(name, file.seconds or 0.0, longest_seconds)
        check_shape(file.rate_hz, file.channels, name)
        first, last = start or 0.0, math.inf if end is None else end
        if not 0 <= first <= last or (first > 0 and first == last):
            raise outside(name, start, end, file.seconds or math.nan)
        try:
            yield from _cut(file.blocks(), first, last, name, longest_seconds)
        except containers.BrokenOffError as problem:
            raise BrokenOffError(name, str(problem)) from None
        except containers.ContainerError as problem:
            raise UndecodableError(name, problem) from None


def _cut(blocks: Iterable[Block], first: float, last: float, name: str, longest_seconds: float) -> Iterator[Block]:
    """The blocks' part from `first` to `last` seconds. Raises AudioError where it reaches beyond their end."""
    rate_hz, frames, before = RATE_HZ, 0, 0.0  # frames at this rate so far; seconds at earlier ones
    for rate, block in blocks:
        if rate != rate_hz:
            before, frames, rate_hz = before + frames / rate_hz, 0, rate
        begin = round((first - before) * rate) - frames
        end = math.inf if math.isinf(last) else round((last - before) * rate) - frames
        frames += len(block)
        if before + frames / rate > longest_seconds:
            raise too_long(name, before + frames / rate, longest_seconds)
        part = block[max(0, begin) : int(min(len(block), max(0, end)))]
        if len(part):
            yield rate, part
        if len(block) >= end:
            return
    seconds = before + frames / rate_hz
    if first >= seconds > 0 < first or (not math.isinf(last) and last > seconds + TOLERATED_SECONDS):
        raise outside(name, first, None if math.isinf(last) else last, seconds)


def _container(source: str | io.BytesIO | containers.Readable, kind: str, name: str) -> containers.Container:
    try:
        return containers.Container(source, kind)
    except containers.ContainerError as problem:
        raise UnknownFormatError(f"{name}: not a recording that FFmpeg can read ({problem}); convert it") from None
    except UserError as problem:  # PyAV is not installed
        raise UnknownFormatError(f"{name}: {problem}") from None


def open_recording(path: str | Path, *, tolerant: bool = False) -> Recording:
    """A file that soundfile reads, open; `tolerant` as in `Recording`."""
    # A name that is no UTF-8 is bytes to the system, and soundfile would not find them again.
    return Recording(os.fsencode(path) if os.name == "posix" else str(path), str(path), tolerant=tolerant)


def _head(path: str | Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(containers.HEAD_BYTES)
    except OSError as problem:
        raise AudioError(f"{path}: cannot be read ({problem.strerror}); check its permissions") from None


def _check_ordinary(path: str | Path) -> None:
    """Only ordinary files are opened, so that a FIFO or a device cannot hang the caller."""
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError) as problem:
        text = "no such file" if isinstance(problem, FileNotFoundError) else str(problem)
        raise AudioError(f"{path}: {text}; check the path") from None
    if stat.S_ISDIR(mode):
        raise AudioError(f"{path}: a folder, not an audio file; give a recording in it")
    if not stat.S_ISREG(mode):
        raise AudioError(f"{path}: not an ordinary file; give a recording that is stored on disk")
    size = Path(path).stat().st_size
    if size == 0:
        raise AudioError(f"{path}: empty (0 bytes); copy it again from its source")
    refuse_pointer(path)


def refuse_pointer(path: str | Path) -> None:
    """Raise AudioError for the text that Git LFS leaves in a recording's place."""
    if Path(path).stat().st_size < LONGEST_POINTER and _head(path).startswith(POINTER):
        raise AudioError(f"{path}: a pointer of Git LFS, not the recording; fetch the recording with: git lfs pull")
