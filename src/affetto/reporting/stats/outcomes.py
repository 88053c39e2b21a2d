"""A system (backbone, method, recipe) whose predictions are no single label: its lines by seed, scores and comparisons.

`Outcomes` stands where `System` stands for classes; `compare` is `paired.compare` for sums of clips.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from affetto.errors import UserError
from affetto.measures import intervals
from affetto.measures.confusion import Counts, Floats
from affetto.measures.intervals import LEVEL, Sampled
from affetto.measures.units import Units, units_of
from affetto.reporting.stats.estimation import Estimate, jackknife_mean
from affetto.reporting.stats.judged import Judged, Owners
from affetto.reporting.stats.paired import Comparison, compare_counted
from affetto.targets.target import Rows, Target


@dataclass(frozen=True)
class Outcomes:
    """One configuration on one corpus: `runs` holds the lines of its predictions by seed, in the order of the clips.

    Raises UserError where the seeds differ in clips, truths or speakers: their scores would not be comparable.
    """

    name: str
    corpus: str
    target: Target
    runs: Mapping[int, Rows]

    def __post_init__(self) -> None:
        for seed, rows in self.runs.items():
            check_same_clips(self._first, rows, f"{self.name} on {self.corpus}", f"its seed {seed}", self.target)

    @property
    def _first(self) -> Rows:
        return next(iter(self.runs.values()))

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted(self.runs))

    @property
    def clips(self) -> int:
        """Number of clips."""
        return len(self._first)

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """Names of the speakers, sorted."""
        return tuple(sorted({str(row["speaker"]) for row in self._first}))

    @cached_property
    def owner(self) -> Owners:
        """Place of each clip's speaker among `speakers`: (clips,)."""
        return np.searchsorted(np.array(self.speakers), np.array([str(row["speaker"]) for row in self._first]))

    @cached_property
    def speaker_clips(self) -> Counts:
        """Number of clips of each speaker: (speakers,)."""
        return np.bincount(self.owner, minlength=len(self.speakers)).astype(np.int64)

    @cached_property
    def units(self) -> Units:
        """The speakers, or the clips where speakers are too few: they are left out in turn."""
        return units_of(self.owner, len(self.speakers))

    def values(self, judged: Judged, seeds: Sequence[int] | None = None) -> tuple[Floats, Floats]:
        """Scores of the seeds (seeds,), and those without each unit (units, seeds)."""
        count = len(self.units) if len(self.units) > 1 else 0
        of_seeds = [self._values(judged, self.runs[seed], count) for seed in seeds or self.seeds]
        table = np.stack(of_seeds, axis=1)
        return table[0], table[1:]

    def _values(self, judged: Judged, rows: Rows, count: int) -> Floats:
        if count:
            return judged.without(rows, self.units.owner, count)
        return judged.without([*rows, *rows], np.repeat([0, 1], len(rows)), 2)[:1]  # one clip: the rest cannot be empty


@dataclass(frozen=True, kw_only=True)
class SumPair:
    """Outcomes of two systems on one corpus as sums over each speaker's clips, (speakers, seeds, terms), of both."""

    corpus: str
    measure: str
    seeds: tuple[int, ...]
    speakers: tuple[str, ...]
    clips: Counts
    """Number of clips of each speaker: (speakers,)."""
    first: Floats
    second: Floats
    score: Callable[[Floats], Floats]
    largest: float
    """Largest difference that is possible."""

    @property
    def sampled(self) -> tuple[Sampled, Floats]:
        """Difference with its variance over speakers, and the difference of each seed (seeds,)."""
        difference = self._of_sets(self.first.sum(axis=0)[None]) - self._of_sets(self.second.sum(axis=0)[None])
        rests = [sums.sum(axis=0) - sums for sums in (self.first, self.second)]
        without = self._of_sets(rests[0]) - self._of_sets(rests[1])
        return jackknife_mean(difference[0], without, self.clips), difference[0]

    def difference(self) -> Floats:
        """Difference of all speakers together, averaged over seeds: (1,)."""
        return self.exchanged(np.zeros((1, len(self.speakers))))

    def exchanged(self, swapped: Floats) -> Floats:
        """Difference after exchanges; 1 in `swapped` (exchanges, speakers) exchanges a speaker's two outcomes."""
        swap = self.second - self.first
        change = np.einsum("es,skt->ekt", swapped, swap)
        first, second = self.first.sum(axis=0) + change, self.second.sum(axis=0) - change
        return (self._of_sets(first) - self._of_sets(second)).mean(axis=1)

    @property
    def gaps(self) -> Floats:
        """Difference of the scores within each speaker, averaged over seeds: (speakers,)."""
        return (self._of_sets(self.first) - self._of_sets(self.second)).mean(axis=1)

    def _of_sets(self, sums: Floats) -> Floats:
        """Scores (sets, seeds) of sums (sets, seeds, terms)."""
        return self.score(sums.reshape(-1, sums.shape[-1])).reshape(sums.shape[:2])


def estimate(systems: Sequence[Outcomes], judged: Judged, *, level: float = LEVEL) -> Estimate:
    """Estimate a score as `estimation.estimate` does that of classes. Raises ValueError where no seed is shared."""
    seeds = _shared_seeds(systems)
    parts, by_seed = [], []
    for system in systems:
        scores, without = system.values(judged, seeds)
        by_seed.append(scores)
        parts.append(jackknife_mean(scores, without, system.units.clips))
    score = intervals.over_seeds(intervals.mean(parts), np.mean(by_seed, axis=0))
    low, high = score.interval(level, least=judged.measure.range[0], most=judged.measure.range[1])
    return Estimate(
        value=score.value,
        low=low,
        high=high,
        measure=judged.name,
        corpora=tuple(system.corpus for system in systems),
        seeds=seeds,
        units=tuple(len(system.units) for system in systems),
        effective=tuple(intervals.effective(system.units.clips) for system in systems),
        over=tuple(system.units.over for system in systems),
        half=score.half(level),
        level=level,
    )


def compare(pairs: Sequence[tuple[Outcomes, Outcomes]], judged: Callable[[Outcomes], Judged]) -> Comparison:
    """Compare the first of each pair with the second, on one corpus each, by a measure that follows from sums.

    `judged` gives the measure for the lines of a system: those of a joint model have other fields. Raises UserError
    where the two of a pair were not tested on the same clips, ValueError where no seed is shared.
    """
    seeds = _shared_seeds([system for pair in pairs for system in pair])
    names = pairs[0][0].name, pairs[0][1].name
    matched = [match((first, judged(first)), (second, judged(second)), seeds) for first, second in pairs]
    return compare_counted(matched, names)


def match(minuend: tuple[Outcomes, Judged], subtrahend: tuple[Outcomes, Judged], seeds: tuple[int, ...]) -> SumPair:
    """Sum the outcomes of both by speaker."""
    (first, judged), (second, judged_second) = minuend, subtrahend
    assert judged.sums is not None and judged.score is not None and judged_second.sums is not None
    names = f"{first.name} on {first.corpus}", second.name
    check_same_clips(first.runs[seeds[0]], second.runs[seeds[0]], *names, first.target)
    low, high = judged.measure.range
    return SumPair(
        corpus=first.corpus,
        measure=judged.name,
        seeds=seeds,
        speakers=first.speakers,
        clips=first.speaker_clips,
        first=_by_speaker(first, judged.sums, seeds),
        second=_by_speaker(second, judged_second.sums, seeds),
        score=judged.score,
        largest=high - low,
    )


def check_same_clips(first: Rows, second: Rows, first_name: str, second_name: str, target: Target) -> None:
    """Raise UserError unless both predict the same clips, with equal truths and speakers."""
    clips = [[row["file"] for row in rows] for rows in (first, second)]
    if clips[0] != clips[1]:
        unshared = sorted({*clips[0]} ^ {*clips[1]})
        raise UserError(
            f"{first_name} and {second_name} were not tested on the same clips ({len(unshared)} are in only one of "
            f"them, such as {next(iter(unshared), clips[0][0])!r}): run both on one split"
        )
    facts = ["speaker", *(["shares"] if target.has_shares else []), *(["truth"] if target.has_marks else [])]
    for fact in [*facts, *(["numbers"] if target.has_dimensions else [])]:
        differing = [
            clip for clip, a, b in zip(clips[0], first, second, strict=True) if _fact(a, fact) != _fact(b, fact)
        ]
        if differing:
            raise UserError(
                f"{first_name} and {second_name} differ in the {'truth' if fact == 'numbers' else fact} of "
                f"{len(differing)} clips, such as {differing[0]!r}: run both on the same corpus"
            )


def _fact(row: Mapping[str, object], fact: str) -> object:
    """A fact of a line; the true numbers of a joint prediction stand apart from its true label."""
    return row.get("dimension_truth", row["truth"]) if fact == "numbers" else row[fact]


def _by_speaker(system: Outcomes, sums: Callable[[Rows], Floats], seeds: Sequence[int]) -> Floats:
    """Sums over each speaker's clips: (speakers, seeds, terms)."""
    totals = []
    for seed in seeds:
        terms = sums(system.runs[seed])
        total = np.zeros((len(system.speakers), terms.shape[1]))
        np.add.at(total, system.owner, terms)
        totals.append(total)
    return np.stack(totals, axis=1)


def _shared_seeds(systems: Sequence[Outcomes]) -> tuple[int, ...]:
    """Seeds that all systems were run with. Raises ValueError where there are none."""
    seeds = tuple(sorted(set.intersection(*(set(system.seeds) for system in systems))))
    if not seeds:
        raise ValueError("no seed that all were run with")
    return seeds
