"""Tests of one system across corpora: their mean, and the difference of two systems.

A test is of a model that was trained on one corpus, on another. Tests on one corpus share its speakers whatever the
models were trained on: a speaker is left out of all of them at once, and exchanged in all of them at once. Tests on
different corpora are of different people, and independent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from affetto.measures import intervals
from affetto.measures.confusion import Counts, Floats
from affetto.measures.intervals import LEVEL, Sampled
from affetto.measures.registry import class_measure
from affetto.reporting.stats import paired
from affetto.reporting.stats.estimation import leave_one_out, shared_seeds, sizes
from affetto.reporting.stats.paired import Comparison, Pair
from affetto.reporting.stats.systems import System


@dataclass(frozen=True, kw_only=True)
class Mean:
    """Mean score of several tests: first over the tests on each corpus, then over the tested corpora."""

    value: float
    interval: tuple[float, float] | None
    """Student's interval over speakers and seeds; None where a tested corpus has too few speakers."""
    tests: int
    speakers: Mapping[str, int]
    """{tested corpus: number of speakers}."""


@dataclass(frozen=True)
class _Test:
    """Scores of one test: (seeds,), and without each speaker: (speakers, seeds)."""

    scores: Floats
    without: Floats
    speakers: tuple[str, ...]
    clips: Counts
    """Number of clips of each speaker: (speakers,)."""


@dataclass(frozen=True)
class TestsOnCorpus:
    """Outcomes of two systems on one tested corpus, a pair for each corpus of the training (`matched.Matched`)."""

    __test__ = False  # for pytest: no class of tests

    pairs: tuple[Pair, ...]

    @property
    def corpus(self) -> str:
        return self.pairs[0].corpus

    @property
    def measure(self) -> str:
        return self.pairs[0].measure

    @property
    def seeds(self) -> tuple[int, ...]:
        return self.pairs[0].seeds

    @property
    def largest(self) -> float:
        return self.pairs[0].largest

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """Speakers of any pair, sorted: models with more labels are tested on more clips."""
        return tuple(sorted({speaker for pair in self.pairs for speaker in pair.speakers}))

    @property
    def clips(self) -> Counts:
        """Number of clips of each speaker over all pairs: (speakers,)."""
        return _clips_by_speaker(self.speakers, [(pair.speakers, pair.clips) for pair in self.pairs])

    @property
    def sampled(self) -> tuple[Sampled, Floats]:
        """Mean difference with its variance over speakers, and that of each seed (seeds,)."""
        return _sampled([_difference(pair) for pair in self.pairs])

    @property
    def gaps(self) -> Floats:
        """Difference within each speaker, averaged over seeds and the pairs that have the speaker: (speakers,)."""
        by_speaker: dict[str, list[float]] = {}
        for pair in self.pairs:
            for speaker, gap in zip(pair.speakers, pair.gaps.tolist(), strict=True):
                by_speaker.setdefault(speaker, []).append(gap)
        return np.array([np.mean(by_speaker[speaker]) for speaker in self.speakers])

    def difference(self) -> Floats:
        """Mean difference of the pairs: (1,)."""
        return np.mean([pair.difference() for pair in self.pairs], axis=0)

    def exchanged(self, swapped: Floats) -> Floats:
        """Mean difference after exchanges; 1 in `swapped` (exchanges, speakers) exchanges a speaker in all pairs."""
        numbers = {speaker: number for number, speaker in enumerate(self.speakers)}
        differences = [
            pair.exchanged(swapped[:, [numbers[speaker] for speaker in pair.speakers]]) for pair in self.pairs
        ]
        return np.mean(differences, axis=0)


def mean_score(
    tests: Mapping[str, Sequence[System]], measure: str = "macro_f1", *, level: float = LEVEL
) -> Mean | None:
    """Mean score of a system's tests {tested corpus: one for each corpus of the training}.

    Only seeds that all tests share are used; None where there are none.
    """
    systems = [system for group in tests.values() for system in group]
    try:
        seeds = shared_seeds(systems)
    except ValueError:
        return None
    parts, by_seed, has_interval = [], [], True
    speakers = {}
    for corpus, group in tests.items():
        scored = [_scores(system, seeds, measure) for system in group]
        by_seed.append(np.mean([test.scores for test in scored], axis=0))
        speakers[corpus] = len({speaker for test in scored for speaker in test.speakers})
        has_interval &= all(intervals.can_be_drawn(test.clips) for test in scored)
        if has_interval:
            parts.append(_sampled(scored)[0])
    interval = None
    if has_interval:
        least, most = class_measure(measure).range
        sampled = intervals.over_seeds(intervals.mean(parts), np.mean(by_seed, axis=0))
        interval = sampled.interval(level, least=least, most=most)
    return Mean(value=float(np.mean(by_seed)), interval=interval, tests=len(systems), speakers=speakers)


def compare(tests: Mapping[str, Sequence[tuple[System, System]]], measure: str = "macro_f1") -> Comparison:
    """Compare the first of each pair with the second, over the tests that two systems have in common.

    `tests` has a pair for each corpus of the training, by tested corpus. Raises as `paired.compare`.
    """
    counted = iter(paired.match_pairs([pair for group in tests.values() for pair in group], measure))
    matched = [TestsOnCorpus(tuple(next(counted) for _ in group)) for group in tests.values()]
    first, second = next(pair for group in tests.values() for pair in group)
    return paired.compare_counted(matched, (first.name, second.name))


def _scores(system: System, seeds: tuple[int, ...], measure: str) -> _Test:
    matrices = system.by_speaker(seeds)
    scores, without = leave_one_out(matrices, system.support, measure)
    return _Test(scores, without, system.speakers, sizes(matrices))


def _difference(pair: Pair) -> _Test:
    (first, without_first), (second, without_second) = (
        leave_one_out(matrices, pair.support, pair.measure) for matrices in (pair.first, pair.second)
    )
    return _Test(first - second, without_first - without_second, pair.speakers, pair.clips)


def _sampled(tests: Sequence[_Test]) -> tuple[Sampled, Floats]:
    """Mean of tests on one corpus, each speaker left out of all of them at once, and that of each seed (seeds,)."""
    speakers = tuple(sorted({speaker for test in tests for speaker in test.speakers}))
    numbers = {speaker: number for number, speaker in enumerate(speakers)}
    without = []
    for test in tests:
        # A speaker whom a test lacks changes nothing of it.
        rows = np.tile(test.scores, (len(speakers), 1))
        rows[[numbers[speaker] for speaker in test.speakers]] = test.without
        without.append(rows)
    scores = np.mean([test.scores for test in tests], axis=0)
    clips = _clips_by_speaker(speakers, [(test.speakers, test.clips) for test in tests])
    # A test of one speaker has no score without him: then the mean is over the tests that remain.
    return intervals.jackknife(float(scores.mean()), np.nanmean(without, axis=0).mean(axis=1), clips), scores


def _clips_by_speaker(speakers: Sequence[str], counts: Sequence[tuple[Sequence[str], Counts]]) -> Counts:
    totals = dict.fromkeys(speakers, 0)
    for names, clips in counts:
        for speaker, count in zip(names, clips.tolist(), strict=True):
            totals[speaker] += count
    return np.array(list(totals.values()), dtype=np.int64)
