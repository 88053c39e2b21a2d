"""Recordings that lie one behind the other in a file, and headers that promise less than the file holds.

libsndfile decodes the first of joined recordings, and believes a header's length. Ordinary tools write such files: Ogg
streams chained by a radio recorder (RFC 3533, 4), MP3 files joined by `cat`, FLAC whose encoder wrote to a pipe and
could not come back to enter the length (RFC 9639, 8.2). A file's own marks are walked here, without decoding.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import BinaryIO, Literal

from affetto.audio import flac, mp3
from affetto.audio.spliced import Part

MOST = 1000
"""Most recordings in one file; more are a way to keep a decoder busy."""
TOLERATED_BYTES = 4096
"""Most bytes behind a WAV's or AIFF's last chunk that are a program's padding."""
_PIPE_LIMITS, _PIPE_MARGIN = (1 << 31, 1 << 32), 1 << 16
"""Programs that write to a pipe do not know the length, and put one just below 2 or 4 GiB in the header."""
_BLOCK = 1 << 20
_CHUNKS: dict[tuple[bytes, bytes], tuple[Literal["little", "big"], bytes]] = {
    (b"RIFF", b"WAVE"): ("little", b"data"),
    (b"FORM", b"AIFF"): ("big", b"SSND"),
    (b"FORM", b"AIFC"): ("big", b"SSND"),
}
"""Formats of chunks: in what order they write lengths, and which chunk holds the sound."""


class HeaderError(Exception):
    """A header states a wrong length of the file, and the right one is unknown."""


def recordings(file: BinaryIO) -> Sequence[tuple[Part, ...]]:
    """The recordings of a file, each as parts for a decoder; mostly one, the whole file.

    Raises HeaderError, and OSError where the file cannot be read.
    """
    size = file.seek(0, io.SEEK_END)
    start = mp3.behind_tags(file, 0)
    file.seek(start)
    head = file.read(12)
    pieces: Sequence[tuple[Part, ...]]
    if head[:4] == b"OggS":
        pieces = _between(list(_ogg_links(file, start)), size)
    elif (head[:4], head[8:]) in _CHUNKS:
        pieces = _between(list(_chunked_files(file, size, *_CHUNKS[head[:4], head[8:]])), size)
    elif head[:4] == b"fLaC":
        marks = [start, *(at for at in _offsets(file, flac.MARK, start) if at > start)]
        pieces = [flac.mended(file, piece, at) for (piece,), at in zip(_between(marks, size), marks, strict=True)]
    else:
        pieces = mp3.pieces(file, start, size)
    if len(pieces) > MOST:
        raise HeaderError(f"more than {MOST} recordings are joined in it")
    return pieces


def ends_within_a_page(file: BinaryIO | io.RawIOBase) -> bool:
    """True if the last page of an Ogg file (RFC 3533, 6) is longer than the rest of the file."""
    longest = 27 + 255 + 255 * 255
    file.seek(max(0, file.seek(0, io.SEEK_END) - longest))
    end = file.read() or b""
    page = end[max(end.rfind(b"OggS"), 0) :]
    return len(page) < 27 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])


def _between(starts: list[int], size: int) -> list[tuple[range]]:
    """From the file's begin to the second start, from there to the third, and so on."""
    return [(range(start, end),) for start, end in pairwise([0, *starts[1:], size])]


def _ogg_links(file: BinaryIO, at: int) -> Iterator[int]:
    """Offset of each link of a chain: a page that begins a stream, behind one that does not.

    Raises HeaderError where so much is damaged that the search for pages alone would take minutes.
    """
    beginning = False
    last, lost = at, 0
    while True:
        file.seek(at)
        page = file.read(27)
        if len(page) < 27:
            return
        if page[:4] != b"OggS":
            # Lost: the page before may be cut off, with the next one within what it promised.
            following = next(_offsets(file, rb"OggS\x00", last + 4), None)
            if following is None:
                return
            lost += 1
            if lost > MOST:
                raise HeaderError(f"its pages are damaged in more than {MOST} places")
            at = last = following
            continue
        if page[5] & 2 and not beginning:
            yield at
        beginning = bool(page[5] & 2)
        last, at = at, at + 27 + page[26] + sum(file.read(page[26]))


def _chunked_files(file: BinaryIO, size: int, order: Literal["little", "big"], sound: bytes) -> Iterator[int]:
    """Offset of each of joined WAV or AIFF files. Raises HeaderError where more lies behind the promised samples.

    Lengths are written in `order`; the chunk `sound` holds the samples.
    """
    at, promised = 0, None
    while at + 12 <= size:
        file.seek(at)
        head = file.read(12)
        name, length = head[:4], int.from_bytes(head[4:8], order)
        if (name, head[8:]) in _CHUNKS:
            yield at
            at += 12
            continue
        if name == sound:
            if length > size - at - 8 or is_of_a_pipe(length):
                return  # to the end of the file, or broken off, which libsndfile tells
            promised = length
        elif not _is_chunk(head, at, size, order):
            break
        at += 8 + length
        if length % 2:
            # Lengths are made even by a byte of padding, which careless programs leave out.
            file.seek(at)
            at += not _is_chunk(file.read(8), at, size, order)
    at = mp3.behind_tags(file, at)
    if promised is not None and size - at > TOLERATED_BYTES and not _is_empty(file, at):
        raise HeaderError(f"the header promises {promised} bytes of samples, and {size - at} more lie behind them")


def _is_chunk(head: bytes, at: int, size: int, order: Literal["little", "big"]) -> bool:
    """True if a chunk begins with `head` at `at`: a name of letters and signs, and a length that fits the file."""
    name = head[:4]
    is_named = len(head) >= 8 and name.isascii() and name.decode("ascii").isprintable()
    return is_named and at + 8 + int.from_bytes(head[4:8], order) <= size


def is_of_a_pipe(length: int) -> bool:
    """True if a header's length stands for one that its writer could not know."""
    return any(limit - _PIPE_MARGIN <= length <= limit for limit in _PIPE_LIMITS)


def _is_empty(file: BinaryIO, at: int) -> bool:
    """True if all bytes from `at` on are zero."""
    file.seek(at)
    return all(not block.strip(b"\0") for block in iter(lambda: file.read(_BLOCK), b""))


def _offsets(file: BinaryIO, pattern: bytes, at: int) -> Iterator[int]:
    """Offsets of a pattern of at most 16 bytes from `at` on."""
    rest = b""
    while True:
        file.seek(at + len(rest))
        block = file.read(_BLOCK)
        if not block:
            return
        content = rest + block
        for match in re.finditer(pattern, content, re.DOTALL):
            if match.end() > len(rest):  # else it was there before
                yield at + match.start()
        rest = content[-15:]
        at += len(content) - len(rest)
