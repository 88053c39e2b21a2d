"""Recordings of speech with what was said, for specialisation: sentences and speakers, no emotions.

A `SpeechCorpus` is a listing; its audio is read when it is needed. Which of its clips are used is a pure function of
the listing, the hours and a seed: `fill` gives each speaker the same time as far as there is some, and fewer hours are
a part of more.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording. `seconds` is what the corpus itself says of its length, None where it says nothing."""

    file: str
    """Relative to the corpus's root, with forward slashes; absolute only where a table says so."""
    speaker: str
    sentence: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class SpeechCorpus:
    """What one corpus holds. `version`, `language` and `split` are None where it does not tell."""

    name: str
    root: Path
    utterances: tuple[Utterance, ...]
    version: str | None = None
    language: str | None = None
    split: str | None = None
    licence: str | None = None
    synthetic: bool = False
    has_speakers: bool = True
    """Whether the corpus tells who speaks; if not, every clip counts as a speaker of its own."""
    notes: tuple[str, ...] = field(default=())

    def path(self, utterance: Utterance) -> Path:
        return self.root / utterance.file


def rank(seed: int, *names: str) -> str:
    """A name's place in an order that depends on the seed and the name alone, not on what else is listed."""
    return hashlib.sha256("\0".join([str(seed), *names]).encode()).hexdigest()


def fill(
    utterances: Sequence[Utterance], seconds: float | None, seed: int, length: Callable[[Utterance], float]
) -> list[Utterance]:
    """Utterances of `seconds` in all (all of them for None), the speakers' shares as equal as their recordings allow.

    The speaker with the least time so far gives the next clip; speakers and their clips come in the seed's order. So
    the order of the listing does not matter, and a smaller sample is the beginning of a larger one. Ends with the
    first clip that reaches the sum, or with the last one there is.
    """
    by_speaker: dict[str, list[tuple[str, Utterance]]] = {}
    for one in utterances:
        by_speaker.setdefault(one.speaker, []).append((rank(seed, one.speaker, one.file), one))
    queues = {speaker: sorted(clips, key=lambda c: c[0], reverse=True) for speaker, clips in by_speaker.items()}
    shares = [(0.0, rank(seed, speaker), speaker) for speaker in queues]
    heapq.heapify(shares)
    chosen: list[Utterance] = []
    total = 0.0
    while shares and (seconds is None or total < seconds):
        share, place, speaker = heapq.heappop(shares)
        _, one = queues[speaker].pop()
        chosen.append(one)
        took = length(one)
        total += took
        if queues[speaker]:
            heapq.heappush(shares, (share + took, place, speaker))
    return chosen


def hold_out(speakers: Sequence[str], share: float, seed: int) -> set[str]:
    """The speakers who validate: this share of them, the first in the seed's order; at least one, and two of ten."""
    order = sorted(set(speakers), key=lambda name: rank(seed, "held out", name))
    least = 2 if len(order) >= 10 else 1
    return set(order[: max(least, round(share * len(order)))])
