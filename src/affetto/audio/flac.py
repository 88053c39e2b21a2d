"""The length of a FLAC stream by its last frame (RFC 9639): headers of pipes lack it, those of cut files are wrong."""

from __future__ import annotations

import re
from typing import BinaryIO, NamedTuple

from affetto.audio.samples import TOLERATED_SECONDS
from affetto.audio.spliced import Part

MARK = rb"fLaC[\x00\x80]\x00\x00\x22"
"""The signature, and the head of the metadata block that must follow it, of 34 bytes."""
_TAIL_BYTES = (1 << 16, 1 << 20, 1 << 24)
"""Two frames lie within: most are some kB, the largest that there can be 2 MB each."""


class Frame(NamedTuple):
    """The first sample of a frame, and the one after its last."""

    first: int
    end: int


def mended(file: BinaryIO, piece: range, at: int) -> tuple[Part, ...]:
    """The parts of a FLAC stream for a decoder, with the true length where the header has none or less.

    `at` is the offset of its signature in `file`.
    """
    file.seek(at)
    header = file.read(42)[8:]
    if len(header) < 34:
        return (piece,)
    rate_hz = int.from_bytes(header[10:13], "big") >> 4
    promised = int.from_bytes(header[13:18], "big") & 0xF_FFFF_FFFF
    end = _end(file, range(at, piece.stop), int.from_bytes(header[:2], "big"))
    if end is None or (promised and end - promised <= TOLERATED_SECONDS * rate_hz):
        return (piece,)
    length = (header[13] & 0xF0) << 32 | end
    return range(piece.start, at + 21), length.to_bytes(5, "big"), range(at + 26, piece.stop)


def _end(file: BinaryIO, piece: range, block_size: int) -> int | None:
    """The number of samples, None where no frame is found."""
    for tail in _TAIL_BYTES:
        start = max(piece.start, piece.stop - tail)
        file.seek(start)
        content = file.read(piece.stop - start)
        ends = {0} if start == piece.start else set()
        last = None
        for match in re.finditer(rb"\xff[\xf8\xf9]", content):
            frame = _frame(content[match.start() : match.start() + 16], block_size)
            if frame is None:
                continue
            # By chance the inside of a frame looks like a header; such a header does not begin where a frame ends.
            if frame.first in ends:
                last = frame.end
            ends.add(frame.end)
        if last is not None or start == piece.start:
            return last
    return None


def _frame(head: bytes, block_size: int) -> Frame | None:
    """The frame that begins with `head`, None where that is no header. `block_size` is that of a fixed stream."""
    if len(head) < 16 or head[3] & 1 or head[2] >> 4 == 0 or head[2] & 15 == 15 or head[3] >> 4 > 10:
        return None
    length = next((n for n in range(8) if not head[4] & 0x80 >> n), 8)  # of the number, as in UTF-8
    if length in (1, 8) or any(byte >> 6 != 2 for byte in head[5 : 4 + max(length, 1)]):
        return None
    number = head[4] & 0x7F >> length
    for byte in head[5 : 4 + max(length, 1)]:
        number = number << 6 | byte & 0x3F
    at = 4 + max(length, 1)
    code = head[2] >> 4
    if code in (6, 7):
        samples = int.from_bytes(head[at : at + code - 5], "big") + 1
        at += code - 5
    else:
        samples = 192 if code == 1 else 576 << code - 2 if code < 6 else 256 << code - 8
    at += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if _crc8(head[:at]) != head[at]:
        return None
    first = number if head[1] & 1 else number * block_size
    return Frame(first, first + samples)


def _crc8(content: bytes) -> int:
    """CRC-8 with the polynomial x⁸ + x² + x + 1, as in a frame's header.

    >>> _crc8(b"123456789") == 0xF4
    True
    """
    crc = 0
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x107) if crc & 0x80 else crc << 1
    return crc
