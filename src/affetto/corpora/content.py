"""Content of a recording: marks that do not depend on how it is stored, so that copies of a clip are found.

Two marks are made of the sound as every model here takes it (mono, 16 kHz):

- `samples`: a digest of them, rounded to 16 bits. Other headers, containers, lossless codecs, sample widths and a
  channel written twice leave it as it is.
- `print`: a fingerprint for what changes samples and not the sound: another rate, MP3, Ogg, Opus, another level. Its
  bits tell whether the difference between two neighbouring bands grows or falls from one moment to the next, as in
  Haitsma and Kalker ("A highly robust audio fingerprinting system", ISMIR 2002). Moments are counted from the clip's
  centre, so that what is cut or added in front or behind hardly moves them. The bands are narrow enough for
  single harmonics, so that another take of a sentence by the same speaker agrees less than a copy does.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.audio import RATE_HZ

VERSION = 1
"""Version of both marks; marks of different versions are not compared."""
SILENT_PEAK = 10 ** (-60 / 20)
"""Peak below which a clip has no marks: one silence is like another."""
HEARD_SECONDS = 60
"""The beginning of a recording that the fingerprint is of; the digest is of all of it."""
STEPS, STEP_SECONDS, LAG, WINDOW = 64, 0.05, 2, 4096
"""Steps of a print around the centre, the time from one to the next, the steps back to the moment that each is compared
with, and the samples that are heard of a moment."""
SHIFTS = (-1, 0, 1)
"""In steps: so far apart the centres of copies may lie, one of which was trimmed."""
LOWEST_HZ, HIGHEST_HZ, BANDS = 200.0, 2000.0, 17
"""Telephones and lossy codecs let these frequencies through; the bands are equally wide on a logarithmic scale."""
QUIET = 10 ** (-35 / 10)
"""Relative to the loudest moment's energy: a quieter moment is noise and does not count."""
FEWEST_STEPS = 16
"""Steps between loud moments; with fewer, in clips below about a second, prints cannot tell sounds apart."""
AGREEMENT, CERTAINTY = 0.6, 3.12
"""Thresholds of copies: bits that agree less bits that do not, as a share of the n that count in both, and in units of
n^0.75. Of chance alone the unit would be sqrt(n), but takes of a sentence that a speaker repeats at once are alike for
longer than chance: 3.01 at the most in ASED, 2.88 in RAVDESS, less in EMOVO and nEMO. Copies of EMOVO as MP3, Ogg and
telephone speech have 0.60 and 3.23 at the least, the 62 recordings that stand twice in ASED 0.84 and 3.77 (and their
waves correlate by 0.94 and more, where those of takes do by 0.57 at the most)."""
_HOP = 512
_ROWS = 512
"""Prints that are compared with all others at a time, so that memory does not grow with the square of a corpus."""


@dataclass(frozen=True, slots=True)
class Content:
    """The marks of one clip: both None where it is silent, `print` also where it is too short."""

    samples: str | None = None
    print: bytes | None = None
    """A bit for each of 64 steps that says whether it counts, then 16 bits a step: 136 bytes."""

    def to_json(self) -> dict[str, Any]:
        mark = None if self.print is None else base64.b64encode(self.print).decode()
        return {"version": VERSION, "samples": self.samples, "print": mark}

    @classmethod
    def from_json(cls, entry: Any) -> Content | None:
        """The marks that `to_json` gave; None for those of another version, and for any other entry."""
        try:
            mark = None if entry["print"] is None else base64.b64decode(entry["print"], validate=True)
            fits = entry["version"] == VERSION and (mark is None or len(mark) == _BYTES)
            return cls(entry["samples"], mark) if fits else None
        except (KeyError, TypeError, ValueError):
            return None


_BYTES = STEPS // 8 + STEPS * (BANDS - 1) // 8


def content(blocks: Iterable[np.ndarray]) -> Content:
    """The marks of a recording: blocks (samples,) of float32 at 16 kHz, whose errors are passed on."""
    digest = hashlib.blake2b(digest_size=16)
    peak, length = 0.0, 0
    beginning = []
    for block in blocks:
        peak = max(peak, float(np.abs(block).max(initial=0.0)))
        digest.update(np.rint(block * 32768.0).clip(-32768, 32767).astype("<i2").tobytes())
        if length < HEARD_SECONDS * RATE_HZ:
            beginning.append(block)
        length += len(block)
    if peak < SILENT_PEAK:
        return Content()
    return Content(digest.hexdigest(), fingerprint(np.concatenate(beginning)[: HEARD_SECONDS * RATE_HZ]))


def fingerprint(wave: NDArray[np.float32]) -> bytes | None:
    """The print of a wave (samples,) at 16 kHz; None where too little of it is loud."""
    energies = _energies(wave)
    loudness = energies.sum(axis=1)
    loud = loudness > QUIET * loudness.max()
    counts = loud[LAG:] & loud[:-LAG]
    if counts.sum() < FEWEST_STEPS:
        return None
    slopes = np.diff(np.log(energies + 1e-12 * loudness.max()), axis=1)
    bits = (slopes[LAG:] > slopes[:-LAG]) & counts[:, None]
    return np.packbits(counts).tobytes() + np.packbits(bits).tobytes()


def _energies(wave: NDArray[np.float32]) -> NDArray[np.float64]:
    """A wave (samples,) → the energy of each band at each moment (LAG + STEPS, BANDS), zero where the wave is not."""
    offsets = STEP_SECONDS * RATE_HZ * (np.arange(LAG + STEPS) - (LAG + STEPS) // 2)
    starts = np.rint(_centre(wave) + offsets).astype(int) - WINDOW // 2
    frames = np.zeros((len(starts), WINDOW))
    for frame, start in zip(frames, starts, strict=True):
        part = wave[max(0, start) : max(0, start + WINDOW)]
        frame[max(0, -start) : max(0, -start) + len(part)] = part
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)) ** 2
    edges = np.rint(np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1) / RATE_HZ * WINDOW).astype(int)
    return np.add.reduceat(spectrum, edges, axis=1)[:, :BANDS]


def _centre(wave: NDArray[np.float32]) -> float:
    """The sample around which the amplitude of the bands lies: codecs change energies too much to go by them."""
    frames = wave[: len(wave) // _HOP * _HOP].reshape(-1, _HOP)
    hz = np.fft.rfftfreq(_HOP, 1 / RATE_HZ)
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(_HOP), axis=1)) ** 2
    amplitude = np.sqrt(spectrum[:, (hz >= LOWEST_HZ) & (hz <= HIGHEST_HZ)].sum(axis=1))
    middles = _HOP * (np.arange(len(frames)) + 0.5)
    return float((middles * amplitude).sum() / amplitude.sum()) if amplitude.sum() else len(wave) / 2


# -- copies ------------------------------------------------------------------------------------------------------


def groups(contents: Mapping[str, Content]) -> list[list[str]]:
    """The clips that are copies of one another, by their ids: groups of two and more, in the order of `contents`."""
    first: dict[str, str] = {}
    home = {clip: clip for clip in contents}

    def root(clip: str) -> str:
        while home[clip] != clip:
            clip = home[clip]
        return clip

    for clip, marks in contents.items():
        if marks.samples is not None:
            home[clip] = first.setdefault(marks.samples, clip)
    different = [clip for clip in contents if home[clip] == clip and contents[clip].print is not None]
    prints = _signs([contents[clip].print for clip in different])
    for first_row, second_row in _matches(prints, prints):
        if first_row < second_row:
            home[root(different[second_row])] = root(different[first_row])
    families: dict[str, list[str]] = {}
    for clip in contents:
        families.setdefault(root(clip), []).append(clip)
    return [clips for clips in families.values() if len(clips) > 1]


def copies(contents: Mapping[str, Content], of: Iterable[Content]) -> set[str]:
    """The ids of the clips that are copies of some recording in `of`."""
    originals = list(of)
    samples = {marks.samples for marks in originals if marks.samples is not None}
    prints = _signs([marks.print for marks in originals if marks.print is not None])
    exact = {clip for clip, marks in contents.items() if marks.samples in samples}
    rest = [clip for clip, marks in contents.items() if clip not in exact and marks.print is not None]
    hits = _matches(_signs([contents[clip].print for clip in rest]), prints)
    return exact | {rest[row] for row, _ in hits}


def _signs(prints: Sequence[bytes | None]) -> NDArray[np.float32]:
    """Prints → (prints, steps, 1 + 16): whether the step counts, then its bits as ±1, all 0 where it does not."""
    packed = np.frombuffer(b"".join(mark or b"" for mark in prints), np.uint8).reshape(-1, _BYTES)
    counts = np.unpackbits(packed[:, : STEPS // 8], axis=1)[:, :, None].astype(np.float32)
    bits = np.unpackbits(packed[:, STEPS // 8 :], axis=1).reshape(len(packed), STEPS, BANDS - 1)
    return np.concatenate([counts, (2 * bits.astype(np.float32) - 1) * counts], axis=2)


def _matches(first: NDArray[np.float32], second: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Rows of `first` and of `second` (both as `_signs` gives them) that are copies of one recording."""
    for start in range(0, len(first), _ROWS):
        rows = first[start : start + _ROWS]
        hits = np.zeros((len(rows), len(second)), bool)
        for shift in SHIFTS:
            bits, agreement = _agreement(
                rows[:, max(0, shift) : STEPS + min(0, shift)], second[:, max(0, -shift) : STEPS + min(0, -shift)]
            )
            enough = np.maximum(AGREEMENT * bits, CERTAINTY * bits**0.75)
            hits |= (bits >= FEWEST_STEPS * (BANDS - 1)) & (agreement >= enough)
        for row, column in np.argwhere(hits):
            yield start + int(row), int(column)


def _agreement(
    rows: NDArray[np.float32], columns: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Two arrays (rows, columns): the bits that count in both prints, and those that agree less those that do not."""
    steps = rows.shape[1]
    bits = (BANDS - 1) * (rows[:, :, 0] @ columns[:, :, 0].T)
    signs = (part[:, :, 1:].reshape(len(part), steps * (BANDS - 1)) for part in (rows, columns))
    return bits, next(signs) @ next(signs).T
