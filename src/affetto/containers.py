"""Recordings in containers that libsndfile does not read: m4a, mp4, webm, mka, wma, aac, through PyAV (FFmpeg).

A container is told by its first bytes and opened as that kind alone. FFmpeg guessing for itself would also read
playlists, which name other files and addresses.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import numpy as np

from affetto.errors import UserError

HEAD_BYTES = 16
_KINDS = (
    (4, b"ftyp", "mov"), (0, b"\x1a\x45\xdf\xa3", "matroska"), (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (0, b"\xff\xf1", "aac"), (0, b"\xff\xf9", "aac"),
)  # fmt: skip


class ContainerError(Exception):
    """What FFmpeg says of a container that it cannot read."""


def kind(head: bytes) -> str | None:
    """FFmpeg's name of the container that begins with `head`; None for all others.

    >>> kind(b"\\0\\0\\0\\x20ftypM4A "), kind(b"RIFF")
    ('mov', None)
    """
    return next((name for at, mark, name in _KINDS if head[at : at + len(mark)] == mark), None)


class Container:
    """The first audio stream of a container: `rate_hz`, `seconds` (None where it does not say) and `blocks()`.

    Raises UserError where PyAV is not installed, ContainerError where the container cannot be read or has no sound.
    """

    def __init__(self, source: str | io.BytesIO, kind: str) -> None:
        try:
            import av
        except ImportError:
            raise UserError(
                "m4a, mp4, webm, wma and aac need PyAV: pip install 'affetto[containers]', or convert to wav or flac"
            ) from None
        self._errors = (av.FFmpegError, ValueError)
        try:
            self._file: Any = av.open(source, format=kind)
        except self._errors as problem:
            raise ContainerError(_said(problem)) from None
        if not self._file.streams.audio:
            self._file.close()
            raise ContainerError("no sound in it")
        self._stream = self._file.streams.audio[0]
        self.rate_hz = int(self._stream.rate or 0)

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

    def blocks(self) -> Iterator[np.ndarray]:
        """The sound as float32 (frames, channels), a packet's worth at a time. Raises ContainerError."""
        import av

        resampler = av.AudioResampler(format="fltp")
        try:
            for frame in self._file.decode(self._stream):
                for part in resampler.resample(frame):
                    yield part.to_ndarray().T
            for part in resampler.resample(None):
                yield part.to_ndarray().T
        except self._errors as problem:
            raise ContainerError(_said(problem)) from None


def _said(problem: Exception) -> str:
    return str(getattr(problem, "strerror", None) or problem).strip().rstrip(".")
