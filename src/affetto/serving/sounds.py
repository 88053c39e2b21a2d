"""Formats in which a stream brings its sound."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from affetto import audio

Decode = Callable[[Iterator[bytes], int, str, float], Iterator[np.ndarray]]
"""Takes messages, their rate (0 where the sound states its own), the recording's name in errors, and its longest length
in seconds; yields blocks of float32 (samples,) at 16 kHz as they come. Raises AudioError."""


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A format of streams."""

    decode: Decode
    needs_rate: bool
    """True if the client must state the rate of its samples."""
    unit_bytes: int
    """Each message has a multiple of this."""
    needs_module: str | None = None
    """Package that decodes it; None: none is needed."""

    @property
    def is_available(self) -> bool:
        return self.needs_module is None or importlib.util.find_spec(self.needs_module) is not None


def _decode_samples(messages: Iterator[bytes], rate_hz: int, name: str, longest_seconds: float) -> Iterator[np.ndarray]:
    def blocks() -> Iterator[np.ndarray]:
        count = 0
        for message in messages:
            count += len(message) // 2
            if count > longest_seconds * rate_hz:
                raise audio.too_long(name, count / rate_hz, longest_seconds)
            yield np.frombuffer(message, "<i2").astype(np.int16)

    return audio.at_16k(blocks(), rate_hz, name=name)


def _decode_webm(messages: Iterator[bytes], _rate_hz: int, name: str, longest_seconds: float) -> Iterator[np.ndarray]:
    return audio.arriving(_File(messages), "matroska", name=name, longest_seconds=longest_seconds)


class _File:
    """Messages as a file that can only be read, in which each read waits for the next message."""

    def __init__(self, messages: Iterator[bytes]) -> None:
        self._messages, self._rest = messages, b""

    def read(self, count: int) -> bytes:
        """The next bytes, at most `count`; none at the end."""
        while not self._rest:
            message = next(self._messages, None)
            if message is None:
                return b""
            self._rest = message
        content, self._rest = self._rest[:count], self._rest[count:]
        return content


SOUNDS = {
    "pcm16": Sound(decode=_decode_samples, needs_rate=True, unit_bytes=2),
    "webm-opus": Sound(decode=_decode_webm, needs_rate=False, unit_bytes=1, needs_module="av"),
}
