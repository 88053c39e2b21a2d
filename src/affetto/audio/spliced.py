"""A file made of parts of another file and of further bytes, for a decoder that reads files."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, BinaryIO

Part = range | bytes
"""Bytes of the file beneath, or bytes that replace some."""


class Spliced(io.RawIOBase):
    """The `parts`, one behind the other, as a file. `file` is read from, and left open.

    >>> Spliced(io.BytesIO(b"abcdef"), [range(0, 2), b"XY", range(4, 6)]).read()
    b'abXYef'
    """

    def __init__(self, file: BinaryIO, parts: Sequence[Part]) -> None:
        self.file, self.parts = file, tuple(part for part in parts if len(part))
        *self._starts, self.size = accumulate(map(len, self.parts), initial=0)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` as far as the file goes; returns the number of bytes."""
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and (content := self._next(len(view) - done)):
            view[done : done + len(content)] = content
            done, self._at = done + len(content), self._at + len(content)
        return done

    def _next(self, most: int) -> bytes:
        """Bytes of one part from the present position on, at most `most`; empty at the end."""
        if self._at >= self.size:
            return b""
        number = bisect_right(self._starts, self._at) - 1
        part, offset = self.parts[number], self._at - self._starts[number]
        if isinstance(part, bytes):
            return part[offset : offset + most]
        self.file.seek(part.start + offset)
        return self.file.read(min(most, len(part) - offset))
