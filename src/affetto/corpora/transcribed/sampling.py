"""Samples of a listing: which utterances train, and which speakers validate.

A sample is a pure function of the listing, the hours and a seed. Each speaker contributes the same time as far as the
recordings allow, and a smaller sample is the beginning of a larger one.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Sequence

from affetto.corpora.transcribed.listing import Utterance


def rank(seed: int, *names: str) -> str:
    """Sort key of a name in the seed's order; it does not depend on the other names that are listed."""
    return hashlib.sha256("\0".join([str(seed), *names]).encode()).hexdigest()


def fill(
    utterances: Sequence[Utterance], seconds: float | None, seed: int, length: Callable[[Utterance], float]
) -> list[Utterance]:
    """Utterances of `seconds` in all (None: all), the speakers' shares as equal as their recordings allow.

    The speaker with the least time so far gives the next clip; speakers and their clips come in the seed's order. So
    the order of the listing does not matter, and a smaller sample is the beginning of a larger one. The sample ends
    with the first clip that reaches the sum, or with the last clip.
    """
    clips: dict[str, list[tuple[str, Utterance]]] = {}
    for utterance in utterances:
        key = rank(seed, utterance.speaker, utterance.file)
        clips.setdefault(utterance.speaker, []).append((key, utterance))
    queues = {speaker: sorted(pairs, key=lambda pair: pair[0], reverse=True) for speaker, pairs in clips.items()}
    shares = [(0.0, rank(seed, speaker), speaker) for speaker in queues]
    heapq.heapify(shares)
    sample: list[Utterance] = []
    total = 0.0
    while shares and (seconds is None or total < seconds):
        share, key, speaker = heapq.heappop(shares)
        _, utterance = queues[speaker].pop()
        sample.append(utterance)
        duration = length(utterance)
        total += duration
        if queues[speaker]:
            heapq.heappush(shares, (share + duration, key, speaker))
    return sample


def hold_out(speakers: Sequence[str], share: float, seed: int) -> set[str]:
    """The speakers who validate: this share of them, the first in the seed's order; at least one, and two of ten."""
    order = sorted(set(speakers), key=lambda name: rank(seed, "held out", name))
    least = 2 if len(order) >= 10 else 1
    return set(order[: max(least, round(share * len(order)))])
