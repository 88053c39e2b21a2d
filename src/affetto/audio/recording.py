"""Files that soundfile reads, open: the promises of their headers, their content, and their sound in blocks."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, NamedTuple

import numpy as np
import soundfile

from affetto.audio import joins
from affetto.audio.problems import (
    AudioError,
    BrokenOffError,
    UndecodableError,
    UnknownFormatError,
    outside,
    reason,
)
from affetto.audio.samples import TOLERATED_SECONDS, check_shape
from affetto.audio.spliced import Part, Spliced

Source = bytes | str | io.BytesIO
"""A file's name, as the system takes it, or its content."""
BLOCK_FRAMES = 1 << 20
"""Frames of a block of one channel; several channels share them."""

_PROMISED = re.compile(r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
"""libsndfile's note on a WAV, AIFF or AU that promises more bytes than it holds; it raises no error for it."""
_MOST_FRAMES_PER_BYTE = 8192
"""FLAC stores 65,535 equal samples in some ten bytes; nothing that soundfile reads is denser."""
_UNKNOWN_FRAMES = (1 << 63) - 1


class _Piece(NamedTuple):
    """One of the recordings in a file: the parts for a decoder, and its length and rate."""

    parts: tuple[Part, ...]
    frames: int
    rate_hz: int

    @property
    def seconds(self) -> float:
        return self.frames / self.rate_hz


class Recording:
    """A file as one recording, though several may be joined in it: `seconds`, `rate_hz` and `channels` of the first.

    Raises UnknownFormatError for a file that is no audio, BrokenOffError for one that is broken off (unless `tolerant`,
    which only notes it in `missing`), AudioError for one that says too little of its length; all call it `name`.
    """

    def __init__(self, source: Source, name: str, *, tolerant: bool = False) -> None:
        self.source, self.name = source, name
        self.missing: str | None = None
        """The promise of the header that the file does not keep; None where nothing is missing."""
        self.rate_hz = self.channels = 0
        self._pieces: list[_Piece] = []
        try:
            with self._bytes() as file:
                joined = joins.recordings(file)
        except joins.HeaderError as problem:
            raise AudioError(f"{name}: {problem}; copy or convert it again from its source") from None
        except OSError as problem:
            raise AudioError(f"{name}: cannot be read ({problem.strerror}); check it") from None
        self.is_joined = len(joined) > 1
        for parts in joined:
            with self._file(parts) as file:
                self.missing = self.missing or shortfall(file)
                if self.missing and not tolerant:
                    raise BrokenOffError(name, self.missing)
                self.rate_hz, self.channels = self.rate_hz or file.samplerate, self.channels or file.channels
                self._pieces.append(_Piece(parts, file.frames, file.samplerate))

    @property
    def seconds(self) -> float:
        return sum(piece.seconds for piece in self._pieces)

    def section(self, start: float | None, end: float | None) -> list[tuple[int, int]] | None:
        """The first frame, and the one after the last, of each joined recording; None where the file has less."""
        span = _span(self.seconds, start, end)
        if span is None:
            return None
        frames, before = [], 0.0
        for piece in self._pieces:
            edges = (round((at - before) * piece.rate_hz) for at in span)
            first, last = (min(max(edge, 0), piece.frames) for edge in edges)
            frames.append((first, last))
            before += piece.seconds
        return frames

    def section_seconds(self, start: float | None, end: float | None) -> float | None:
        """Length of a section in seconds, by the header; None where it lies outside the file."""
        frames = self.section(start, end)
        if frames is None:
            return None
        return sum((last - first) / piece.rate_hz for piece, (first, last) in zip(self._pieces, frames, strict=True))

    def blocks(self, start: float | None = None, end: float | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """The section from `start` to `end` seconds as (rate, float32 (frames, channels)), a block at a time.

        Raises AudioError where the section lies outside, and where the sound cannot be decoded or ends before.
        """
        frames = self.section(start, end)
        if frames is None:
            raise outside(self.name, start, end, self.seconds)
        for piece, (first, last) in zip(self._pieces, frames, strict=True):
            if first < last:
                yield from self._decoded(piece, first, last)

    def _decoded(self, piece: _Piece, first: int, last: int) -> Iterator[tuple[int, np.ndarray]]:
        frames = 0
        with self._file(piece.parts) as file:
            try:
                for block in blocks(file, first, last):
                    frames += len(block)
                    yield piece.rate_hz, block
            except (soundfile.LibsndfileError, RuntimeError) as problem:
                raise UndecodableError(self.name, problem) from None
        if is_short(last - first - frames, piece.rate_hz):
            raise BrokenOffError(self.name, short_of(frames, last - first))

    @contextmanager
    def _file(self, parts: tuple[Part, ...]) -> Iterator[soundfile.SoundFile]:
        """One of the joined recordings, open for decoding."""
        if isinstance(self.source, io.BytesIO):
            self.source.seek(0)
        with ExitStack() as stack:
            try:
                source: Source | Spliced = self.source
                if parts != (range(_size(self.source)),):
                    source = Spliced(stack.enter_context(self._bytes()), parts)
                file = stack.enter_context(soundfile.SoundFile(source))
            except (soundfile.LibsndfileError, RuntimeError, TypeError) as problem:
                text = f"not audio that soundfile can read ({reason(problem)}); convert it to wav or flac"
                raise UnknownFormatError(f"{self.name}: {text}") from None
            check_shape(file.samplerate, file.channels, self.name)
            yield file

    @contextmanager
    def _bytes(self) -> Iterator[BinaryIO]:
        if isinstance(self.source, io.BytesIO):
            yield self.source
        else:
            with open(self.source, "rb") as file:
                yield file


def _span(seconds: float, start: float | None, end: float | None) -> tuple[float, float] | None:
    first = 0.0 if start is None else start
    last = seconds if end is None or seconds < end <= seconds + TOLERATED_SECONDS else end
    if not 0 <= first <= last <= seconds or (first > 0 and first == last):
        return None
    return first, last


def blocks(file: soundfile.SoundFile, first: int, last: int) -> Iterator[np.ndarray]:
    """The frames from `first` to `last` as float32 (frames, channels), a block at a time: what a damaged header
    claims is never allocated. Ends early where the file does."""
    most = max(1, BLOCK_FRAMES // file.channels)
    if file.seekable():
        file.seek(first)
    else:  # some telephones' codes, which can be read from the begin alone
        for at in range(0, first, most):
            file.read(min(first - at, most), dtype="float32")
    while first < last:
        block = file.read(min(last - first, most), dtype="float32", always_2d=True)
        if not len(block):
            return
        first += len(block)
        yield block


def shortfall(file: soundfile.SoundFile) -> str | None:
    """The promises of a header that the file does not keep; None where nothing is missing."""
    size = _size(file.name)
    if file.frames == _UNKNOWN_FRAMES:
        return "the header does not say how long it is, and no end is found"
    if file.frames > size * _MOST_FRAMES_PER_BYTE:
        return f"the header promises {file.frames} samples, more than its {size} bytes can hold"
    promised = _PROMISED.search(file.extra_info)
    if promised:
        length, present = int(promised[1]), int(promised[2])
        frames = file.frames * (length - present) / max(present, 1)
        if present < length and not joins.is_of_a_pipe(length) and (present == 0 or is_short(frames, file.samplerate)):
            return f"the header promises {length} bytes of samples, {present} are there"
    if file.format == "OGG" and _ends_within_a_page(file.name):
        return "its stream ends in the middle of a page"
    return None


def is_short(missing_frames: float, rate_hz: int) -> bool:
    """True if more is missing than encoders miscount."""
    return missing_frames > TOLERATED_SECONDS * rate_hz


def short_of(present: int, promised: int) -> str:
    """The sentence on missing samples."""
    return f"{present} of {promised} samples are there"


def _ends_within_a_page(source: Source | Spliced) -> bool:
    if isinstance(source, io.BytesIO | Spliced):
        position = source.tell()
        try:
            return joins.ends_within_a_page(source)
        finally:
            source.seek(position)
    with open(source, "rb") as file:
        return joins.ends_within_a_page(file)


def _size(source: Source | Spliced) -> int:
    if isinstance(source, Spliced):
        return source.size
    return source.getbuffer().nbytes if isinstance(source, io.BytesIO) else os.path.getsize(source)
