"""Changes of a voice: pure functions of its samples, by which one speaker sounds as another.

A change is written as its kind and its amount, as in `speed:0.9`; a number alone is a speed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from affetto.audio import warping
from affetto.errors import UserError, unknown

VERSION = 1
"""Raised when a change gives other samples; stored results of changed clips are addressed by it."""


@dataclass(frozen=True)
class Kind:
    """Kind of a change, and the amounts that it takes."""

    title: str
    apply: Callable[[np.ndarray, float], np.ndarray]
    """Function from a wave (samples,) at 16 kHz and an amount to the changed wave."""
    lowest: float
    highest: float
    neutral: float
    """Amount that changes nothing."""
    shortens: bool = False
    """True if the amount divides the length of a clip."""
    signed: bool = False
    """True if amounts are differences, written with their sign."""


KINDS: dict[str, Kind] = {
    "speed": Kind(
        title="factor on the speed; pitch and formants go with it",
        apply=warping.speed,
        lowest=0.5,
        highest=2.0,
        neutral=1.0,
        shortens=True,
    ),
    "tempo": Kind(
        title="factor on the tempo; pitch and formants stay",
        apply=warping.tempo,
        lowest=0.5,
        highest=2.0,
        neutral=1.0,
        shortens=True,
    ),
    "pitch": Kind(
        title="semitones of the pitch, and formants go with it; the duration stays",
        apply=warping.pitch,
        lowest=-12.0,
        highest=12.0,
        neutral=0.0,
        signed=True,
    ),
    "tract": Kind(
        title="factor on the length of the vocal tract, by which formants are divided; pitch and duration stay",
        apply=warping.tract,
        lowest=0.7,
        highest=1.4,
        neutral=1.0,
    ),
}
DEFAULT_KIND = "speed"
"""Kind of an amount that is written alone."""


@dataclass(frozen=True)
class Change:
    """A kind of change and its amount."""

    kind: str
    amount: float

    @classmethod
    def parse(cls, text: str) -> Change:
        """The change that is written so. Raises UserError for an unknown kind and for an amount out of range.

        >>> str(Change.parse("0.90")), str(Change.parse("speed:1.1"))
        ('speed:0.9', 'speed:1.1')
        """
        name, colon, number = text.strip().rpartition(":")
        name = name.strip() if colon else DEFAULT_KIND
        if name not in KINDS:
            raise unknown("change", name, KINDS, hint="Write KIND:AMOUNT, as in speed:0.9.")
        kind = KINDS[name]
        allowed = f"{name} goes from {kind.lowest:g} to {kind.highest:g}"
        try:
            amount = float(f"{float(number):g}")
        except ValueError:
            raise UserError(f"change {text!r} has no number: write it as in speed:0.9; {allowed}") from None
        if not kind.lowest <= amount <= kind.highest:
            raise UserError(f"change {text!r} is out of range: {allowed}")
        if amount == kind.neutral:
            raise UserError(f"change {text!r} changes nothing: leave it out, or write another amount; {allowed}")
        return cls(name, amount)

    def __str__(self) -> str:
        return f"{self.kind}:{self.amount:{'+' if KINDS[self.kind].signed else ''}g}"

    def apply(self, samples: np.ndarray) -> np.ndarray:
        """A wave (samples,) at 16 kHz, changed: float32, of another length where the kind shortens."""
        return KINDS[self.kind].apply(samples, self.amount)

    def source_seconds(self, seconds: float) -> float:
        """Length of the wave from which the first `seconds` of the changed one are computed."""
        return (seconds + 1.0) * (self.amount if KINDS[self.kind].shortens else 1.0)

    def address(self, digest: str) -> str:
        """Digest of a changed clip, from that of the clip."""
        return hashlib.sha256(f"{digest} {self} {VERSION}".encode()).hexdigest()


def parse_all(texts: Iterable[str]) -> tuple[Change, ...]:
    """Changes that are written so. Raises UserError as `Change.parse`, and for a change that is written twice."""
    changes = tuple(Change.parse(text) for text in texts)
    for change in changes:
        if changes.count(change) > 1:
            raise UserError(f"change {str(change)!r} is written twice: leave one out")
    return changes
