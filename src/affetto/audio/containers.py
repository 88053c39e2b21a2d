"""Recordings in containers that libsndfile does not read: m4a, mp4, webm, mka, wma, aac, through PyAV (FFmpeg).

A container is recognised by its first bytes and opened as that kind alone. FFmpeg's own guess would also read
playlists, which name other files and addresses.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from types import TracebackType
from typing import Any, BinaryIO, Protocol

import numpy as np

from affetto.audio.samples import TOLERATED_SECONDS
from affetto.errors import UserError

HEAD_BYTES = 16
_KINDS = (
    (4, b"ftyp", "mov"),
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (0, b"\xff\xf1", "aac"),
    (0, b"\xff\xf9", "aac"),
)
_PADDING_PACKETS = 3
"""Packets' worth of sound that may be missing: encoders pad both ends, and some headers count the padding."""


class Readable(Protocol):
    """A file that can only be read, from its beginning to its end; a read may wait."""

    def read(self, count: int, /) -> bytes: ...


class ContainerError(Exception):
    """FFmpeg's words on a container that it cannot read."""


class BrokenOffError(ContainerError):
    """The length of a recording that ends before its header says."""


def kind(head: bytes) -> str | None:
    """FFmpeg's name of the container that begins with `head`; None for all others.

    >>> kind(b"\\0\\0\\0\\x20ftypM4A "), kind(b"RIFF")
    ('mov', None)
    """
    return next((name for at, mark, name in _KINDS if head[at : at + len(mark)] == mark), None)


class Container:
    """The first audio stream of a container: `rate_hz`, `channels`, `seconds` (None where it does not say), `blocks()`.

    Raises UserError where PyAV is not installed, ContainerError where the container cannot be read, has no sound, or
    where two are joined in a file and FFmpeg would decode the first alone.
    """

    def __init__(self, source: str | io.BytesIO | Readable, kind: str) -> None:
        try:
            import av
        except ImportError:
            raise UserError(
                "m4a, mp4, webm, wma and aac need PyAV: pip install 'affetto[containers]', or convert to wav or flac"
            ) from None
        self._errors = (av.FFmpegError, ValueError)
        if kind == "mov" and isinstance(source, str | io.BytesIO) and _is_joined(source):
            raise ContainerError("two recordings are joined in one file, which is no mp4")
        try:
            self._file: Any = av.open(source, format=kind)
        except self._errors as problem:
            raise ContainerError(_text(problem)) from None
        if not self._file.streams.audio:
            self._file.close()
            raise ContainerError("no sound in it")
        self._stream = self._file.streams.audio[0]
        self.rate_hz, self.channels = int(self._stream.rate or 0), int(self._stream.codec_context.channels or 1)
        self._promised = self._promise(kind)

    def __enter__(self) -> Container:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def seconds(self) -> float | None:
        if self._stream.duration is not None and self._stream.time_base is not None:
            return float(self._stream.duration * self._stream.time_base)
        return None if self._file.duration is None else float(self._file.duration) / 1e6

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """The sound as (rate, float32 (frames, channels)), a packet's worth at a time; AAC may change its rate within.

        Raises ContainerError, and BrokenOffError at the end of what is shorter than its header says.
        """
        total, reached, longest = 0.0, 0.0, 0.0  # seconds: all packets, the last packet's end, the longest packet
        shape: tuple[Any, ...] | None = None
        resampler: Any = None
        try:
            for frame in self._file.decode(self._stream):
                if shape != (frame.sample_rate, frame.layout.name, frame.format.name):
                    yield from _converted(resampler, None)
                    shape, resampler = (frame.sample_rate, frame.layout.name, frame.format.name), self._resampler()
                seconds = frame.samples / frame.sample_rate
                total, longest = total + seconds, max(longest, seconds)
                if frame.pts is not None:
                    reached = max(reached, float(frame.pts * frame.time_base) + seconds)
                yield from _converted(resampler, frame)
            yield from _converted(resampler, None)
        except self._errors as problem:
            raise ContainerError(_text(problem)) from None
        present = max(total, reached)
        if self._promised is not None and self._promised - present > TOLERATED_SECONDS + _PADDING_PACKETS * longest:
            raise BrokenOffError(f"{present:.1f} of {self._promised:.1f} s are there")

    @staticmethod
    def _resampler() -> Any:
        import av

        return av.AudioResampler(format="fltp")

    def _promise(self, kind: str) -> float | None:
        """End of the sound by the header, in seconds; None where the header lacks it, or states the end of pictures."""
        seconds = self.seconds
        if kind == "mov" and self._stream.duration is not None and seconds is not None:
            return float((self._stream.start_time or 0) * (self._stream.time_base or 0)) + seconds
        if kind != "matroska":  # FFmpeg guesses raw AAC's length by its first packets
            return None
        stated = _clock(self._stream.metadata.get("DURATION", ""))
        if stated is None and len(self._file.streams) == 1 and self._file.duration is not None:
            stated = float(self._file.duration) / 1e6
        return stated


def _converted(resampler: Any, frame: Any) -> Iterator[tuple[int, np.ndarray]]:
    """A frame's samples, or with None those that the resampler still holds."""
    for part in resampler.resample(frame) if resampler is not None else ():
        yield int(part.sample_rate), part.to_ndarray().T


def _is_joined(source: str | io.BytesIO) -> bool:
    """True if another MP4 begins behind the boxes of the first (ISO/IEC 14496-12, 4.2)."""
    if isinstance(source, io.BytesIO):
        joined = _begins_again(source)
        source.seek(0)
        return joined
    try:
        with open(source, "rb") as file:
            return _begins_again(file)
    except OSError as problem:
        raise ContainerError(str(problem.strerror)) from None


def _begins_again(file: BinaryIO) -> bool:
    at = 0
    while True:
        file.seek(at)
        head = file.read(16)
        if at and head[4:8] == b"ftyp":
            return True
        length = int.from_bytes(head[:4], "big")
        length = int.from_bytes(head[8:16], "big") if length == 1 else length
        if len(head) < 16 or length < 8:
            return False
        at += length


def _clock(text: str) -> float | None:
    """Seconds of a Matroska tag such as `00:00:10.008000000`.

    >>> _clock("00:01:10.500000000"), _clock("")
    (70.5, None)
    """
    try:
        hours, minutes, seconds = (float(part) for part in text.split(":"))
    except ValueError:
        return None
    return 3600 * hours + 60 * minutes + seconds


def _text(problem: Exception) -> str:
    return str(getattr(problem, "strerror", None) or problem).strip().rstrip(".")
