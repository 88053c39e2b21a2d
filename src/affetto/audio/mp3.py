"""The frames of MP3 files, walked without decoding: how many there are, and where another file has been joined on.

libsndfile (mpg123) takes a file's length from the first frame's Xing or Info header, which joined files and careless
tools leave wrong; where there is none it guesses the length by the first frame's bit rate, which is wrong for variable
ones. Where that would cut a recording off, the decoder is given a header with the true count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from affetto.audio.samples import TOLERATED_SECONDS
from affetto.audio.spliced import Part

_HEAD_BYTES = 64
"""Bytes of a frame that are read, with a Xing or VBRI header within."""
_RESYNC_BYTES = 1000
"""mpg123 looks not much further for a frame behind something else."""
_CHAIN = 3
"""Frames in a row that are no coincidence."""
_KBPS_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_VERSIONS = {3: ((44_100, 48_000, 32_000), _KBPS_1, 1152), 2: ((22_050, 24_000, 16_000), _KBPS_2, 576)}
_VERSIONS[0] = ((11_025, 12_000, 8_000), _KBPS_2, 576)


class Frame(NamedTuple):
    """A frame of layer III by its second and third byte: its bytes, its samples, their rate."""

    length: int
    samples: int
    rate_hz: int
    is_protected: bool


def _table() -> dict[bytes, Frame]:
    frames = {}
    for version, (rates, kbps, samples) in _VERSIONS.items():
        for number, rate_hz in enumerate(rates):
            for index, rate in enumerate(kbps, 1):
                for rest in range(8):  # no checksum, padding, private
                    second = 0xE2 | version << 3 | rest & 1
                    third = index << 4 | number << 2 | rest >> 1
                    length = samples // 8 * 1000 * rate // rate_hz + (rest >> 2)
                    frames[bytes((second, third))] = Frame(length, samples, rate_hz, not rest & 1)
    return frames


_FRAMES = _table()


@dataclass
class Stream:
    """Frames of one kind, one behind the other."""

    head: bytes
    frame: Frame
    """The first frame."""
    is_headed: bool
    """True if it holds a header in place of sound."""
    counted: int | None
    """The frames with sound that the header counts, if it counts any."""
    frames: int
    """The frames with sound in the file."""
    ranges: list[range] = field(default_factory=list)
    """Their bytes. Between two ranges lie more other bytes than a decoder would search for a frame."""
    is_variable: bool = False

    def goes_on_with(self, head: bytes, frame: Frame) -> bool:
        return frame.rate_hz == self.frame.rate_hz and _is_mono(head) == _is_mono(self.head)

    def add(self, at: int, end: int, frame: Frame) -> None:
        """Count the frame that lies from `at` to `end`."""
        self.frames += 1
        self.is_variable |= abs(frame.length - self.frame.length) > 1  # but for the padding
        if self.ranges and at - self.ranges[-1].stop <= _RESYNC_BYTES:
            self.ranges[-1] = range(self.ranges[-1].start, end)
        else:
            self.ranges.append(range(at, end))

    def parts(self) -> tuple[Part, ...]:
        """The bytes from which a decoder decodes every frame."""
        least = max(2, TOLERATED_SECONDS * self.frame.rate_hz / self.frame.samples)
        is_counted = self.counted is not None and self.frames - self.counted < least
        if is_counted or not (self.is_headed or self.is_variable):
            return tuple(self.ranges)
        first, *rest = self.ranges
        sound = [range(first.start + self.is_headed * self.frame.length, first.stop), *rest]
        return _header(self.head, self.frames, sum(map(len, sound))), *sound


def pieces(file: BinaryIO, start: int, size: int) -> list[tuple[Part, ...]]:
    """The MP3 files that are joined in one which begins at `start`; one of the whole file where it is no MP3."""
    uncut: list[tuple[Part, ...]] = [(range(size),)]
    if start:
        start = _next_frames(file, start, size)  # some programs leave room behind a tag
    if _chain(file, start) < 2:
        return uncut
    streams = [stream for stream in _streams(file, start, size) if stream.frames > 1]
    if not streams:
        return uncut
    cut = [stream.parts() for stream in streams]
    # libsndfile skips a tag, but not two, nor an empty one.
    return uncut if not start and len(cut) == 1 and len(cut[0]) == 1 else cut


def behind_tags(file: BinaryIO, at: int) -> int:
    """The place behind ID3v2 tags that lie at `at`."""
    while True:
        file.seek(at)
        tag = file.read(10)
        if len(tag) < 10 or tag[:3] != b"ID3" or any(byte & 0x80 for byte in tag[6:]):
            return at
        at += 10 + sum(byte << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True))
        at += 10 * bool(tag[5] & 0x10)  # a footer


def _streams(file: BinaryIO, at: int, size: int) -> list[Stream]:
    streams: list[Stream] = []
    is_new = True  # a tag lies between
    while at < size:
        file.seek(at)
        head = file.read(_HEAD_BYTES)
        frame = _FRAMES.get(head[1:3]) if head[:1] == b"\xff" else None
        goes_on = frame is not None and not is_new and streams[-1].goes_on_with(head, frame)
        if frame is None or not (goes_on or _chain(file, at) >= min(_CHAIN, 1 + (size - at) // frame.length)):
            following = behind_tags(file, at)
            is_new |= following > at
            at = following if following > at else _next_frames(file, at + 1, size)
            continue
        is_headed, counted = _count(head, frame)
        if is_headed or not goes_on:
            streams.append(Stream(head, frame, is_headed, counted, frames=-is_headed))
            is_new = False
        end = min(at + frame.length, size)
        streams[-1].add(at, end, frame)
        at = end
    return streams


def _chain(file: BinaryIO, at: int) -> int:
    """Number of frames of one kind that follow one another from `at` on, up to `_CHAIN`."""
    first: Frame | None = None
    for count in range(_CHAIN):
        file.seek(at)
        head = file.read(4)
        frame = _FRAMES.get(head[1:3]) if len(head) == 4 and head[0] == 0xFF else None
        if frame is None or (first is not None and frame.rate_hz != first.rate_hz):
            return count
        first, at = frame, at + frame.length
    return _CHAIN


def _next_frames(file: BinaryIO, at: int, size: int) -> int:
    """Offset of the next frames, `size` where there are none."""
    while at < size:
        file.seek(at)
        content = file.read(1 << 16)
        for match in re.finditer(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]|ID3", content):
            offset = at + match.start()
            if behind_tags(file, offset) > offset or _chain(file, offset) == _CHAIN:
                return offset
        at += max(1, len(content) - 2)
    return size


def _count(head: bytes, frame: Frame) -> tuple[bool, int | None]:
    """True if a frame holds a header in place of sound, and the frames that it counts."""
    side = (9 if _is_mono(head) else 17) if frame.samples == 576 else (17 if _is_mono(head) else 32)
    begin = 4 + 2 * frame.is_protected
    at = begin + side
    if head[at : at + 4] in (b"Xing", b"Info") and not any(head[begin:at]):
        return True, int.from_bytes(head[at + 8 : at + 12], "big") if head[at + 7] & 1 else None
    return head[36:40] == b"VBRI" and not any(head[begin : begin + side]), None


def _header(head: bytes, frames: int, sound_bytes: int) -> bytes:
    """A frame of the kind of `head` with a Xing header for `frames` frames."""
    second, mode = head[1] | 1, head[3]
    third = 9 << 4 | head[2] & 0x0C
    frame = _FRAMES[bytes((second, third))]
    side = (9 if _is_mono(head) else 17) if frame.samples == 576 else (17 if _is_mono(head) else 32)
    size = (frame.length + sound_bytes).to_bytes(4, "big")
    text = bytes((0xFF, second, third, mode)) + bytes(side) + b"Xing\0\0\0\3" + frames.to_bytes(4, "big") + size
    return text.ljust(frame.length, b"\0")


def _is_mono(head: bytes) -> bool:
    return head[3] >> 6 == 3
