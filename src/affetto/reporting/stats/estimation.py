"""How good a system is, and how sure that is: over seeds, and over speakers.

Two spreads that are not to be mixed up. The standard deviation over seeds tells how much the training's own chance
moves a score on the same test speakers. The interval tells how much the score would move with other speakers, and
with other seeds where several were run: that is what a claim about a method must survive. It is nearly always the
wider one.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.reporting.stats.systems import System
from affetto.training import intervals
from affetto.training.evaluate import Counts, Floats, measures, recombined
from affetto.training.intervals import LEVEL, Sampled

FEW_SPEAKERS = 10
"""Under so many effective speakers no test is made, and each speaker's own difference is shown."""
FOLDS = (
    "The models of the folds share most of their training data, so that their errors are not independent and the "
    "interval is somewhat too narrow; by how much cannot be told from one round of folds."
)
"""A caution beside intervals of leave-one-speaker-out and of k folds (Bengio and Grandvalet 2004)."""


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (ddof 1) over seeds; of one seed there is no deviation."""

    mean: float
    deviation: float | None
    seeds: tuple[int, ...]
    corpora: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """A score with its interval. Several corpora: the mean of their scores, each corpus weighing the same."""

    value: float
    low: float
    high: float
    measure: str
    corpora: tuple[str, ...]
    seeds: tuple[int, ...]
    """Several: their spread is in the interval, which is then about the method; of one it is about that model."""
    units: tuple[int, ...]
    """What was drawn in each corpus, and how many of them."""
    effective: tuple[float, ...]
    """How many units of equal size would tell as much."""
    over: tuple[str, ...]
    """`speakers`, or `clips` where a corpus has too few speakers: then nothing is said about other voices."""
    half: float
    """Half the interval's width, before it was cut at 0 and 1."""
    level: float = LEVEL

    @property
    def basis(self) -> dict[str, Any]:
        """What the interval of one corpus rests on, as `metrics.json` tells it of a run."""
        return {"by": intervals.BY, "over": self.over[0], "units": self.units[0], "effective": self.effective[0]}

    def holds(self, value: float) -> bool:
        """Whether a value lies within the interval."""
        return self.low <= value <= self.high

    def expects(self, value: float) -> bool | None:
        """Whether a result of others is what an equal study with its own speakers and seeds may well give.

        Their result has an error too. Where it is as large as ours, the two differ by √2 of one error. None where the
        value lies outside and clips were drawn: other voices may differ by any amount more.
        """
        if abs(value - self.value) <= 2**0.5 * self.half:
            return True
        return None if "clips" in self.over else False


def over_seeds(scores: Mapping[int, float]) -> Spread:
    """Spread of one score by seed."""
    return over_corpora({"": scores}, named=False)


def over_corpora(scores: Mapping[str, Mapping[int, float]], *, named: bool = True) -> Spread:
    """The paper's "mean (standard deviation) across three runs" of scores {corpus: {seed: score}}.

    For each seed the mean over the corpora, then mean and deviation of those numbers. Only seeds that every
    corpus has can be used; ValueError where there are none.
    """
    seeds = sorted(set.intersection(*(set(by_seed) for by_seed in scores.values()))) if scores else []
    if not seeds:
        raise ValueError("no seed that every corpus has")
    means = [statistics.fmean(by_seed[seed] for by_seed in scores.values()) for seed in seeds]
    deviation = statistics.stdev(means) if len(means) > 1 else None
    return Spread(statistics.fmean(means), deviation, tuple(seeds), tuple(scores) if named else ())


def score_by_seed(system: System, measure: str) -> dict[int, float]:
    """The score of each seed on all clips, as `metrics.json` has it."""
    whole = np.ones((1, len(system.speakers)))
    values = seed_scores(whole, system.by_speaker(system.seeds), system.support, measure)[0]
    return dict(zip(system.seeds, (float(value) for value in values), strict=True))


def estimate(systems: Sequence[System], measure: str = "macro_f1", *, level: float = LEVEL) -> Estimate:
    """The score, averaged over seeds, with Student's interval over speakers and seeds (`affetto.training.intervals`).

    Several systems are one configuration on several corpora, whose scores are averaged. Only seeds that all have are
    used.
    """
    seeds = shared_seeds(systems)
    parts, by_seed, units, numbers, over = [], [], [], [], []
    for system in systems:
        by_speaker = system.by_speaker(seeds)
        drawn = intervals.can_be_drawn(sizes(by_speaker))
        matrices = by_speaker if drawn else system.by_clip(seeds)
        scores, without = left_out(matrices, system.support, measure)
        by_seed.append(scores)
        parts.append(sampled(scores, without, sizes(matrices)))
        units.append(len(matrices))
        numbers.append(intervals.effective(sizes(matrices)))
        over.append("speakers" if drawn else "clips")
    score = intervals.over_seeds(intervals.mean(parts), np.mean(by_seed, axis=0))
    low, high = score.interval(level, least=0.0, most=1.0)
    return Estimate(
        value=score.value,
        low=low,
        high=high,
        measure=measure,
        corpora=tuple(system.corpus for system in systems),
        seeds=seeds,
        units=tuple(units),
        effective=tuple(numbers),
        over=tuple(over),
        half=score.half(level),
        level=level,
    )


def sizes(matrices: Counts | Floats) -> Counts:
    """Clips of each unit, from its matrices (units, seeds, labels, labels), which hold as many for every seed."""
    counts: Counts = matrices[:, 0].sum(axis=(1, 2)).round().astype(np.int64)
    return counts


def left_out(matrices: Counts | Floats, support: Counts, measure: str) -> tuple[Floats, Floats]:
    """Scores of the whole (seeds,) and with each unit left out (units, seeds), of matrices (units, seeds, k, k).

    `support` has the clips of each label in the whole: a label that is lost with a unit is left out of the mean.
    """
    pooled = matrices.sum(axis=0)
    flat = np.concatenate([pooled[None], pooled - matrices]).reshape(-1, *pooled.shape[-2:])
    values = measures(flat, never_true=support == 0)[measure].reshape(-1, len(pooled))
    return values[0], values[1:]


def sampled(scores: Floats, without: Floats, clips: Counts) -> Sampled:
    """The mean over seeds of scores (seeds,), with the spread that its units give it; `without` is (units, seeds)."""
    if len(without) < 2:
        return Sampled(float(scores.mean()), 1.0, 1.0)  # one clip: any score may be the true one
    return intervals.jackknife(float(scores.mean()), without.mean(axis=1), clips)


def interval_words(scores: Iterable[Estimate | Mapping[str, Any]], *, folds: bool = False, mark: str = "") -> str:
    """How intervals of scores were made, for a caption: a phrase without a full stop, or two with one between.

    `scores` are estimates, or the `interval` of scores as `metrics.json` holds them. `folds` says that the test clips
    were pooled over folds whose models share training data; `mark` stands where clips were drawn for want of speakers.

    >>> interval_words([{"by": "t", "over": "speakers", "units": 6, "effective": 6.0}])
    "95 % interval by Student's t over 6 speakers"
    >>> interval_words([{"over": "clips", "units": 98}])
    '95 % interval by bootstrap over 98 clips (too few speakers: nothing is said of other voices)'
    """
    counts: dict[str, list[tuple[int, float]]] = {}
    methods, seeds, levels = set(), set(), set()
    for each in scores:
        if isinstance(each, Estimate):
            methods.add(intervals.title(intervals.BY))
            seeds.add(len(each.seeds))
            levels.add(each.level)
            units = list(zip(each.over, each.units, each.effective, strict=True))
        else:
            methods.add(intervals.title(each.get("by")))
            seeds.add(each.get("seeds", 1))
            levels.add(each.get("level", LEVEL))
            units = [(each["over"], each["units"], each.get("effective", each["units"]))]
        for over, number, effective in units:
            counts.setdefault(over, []).append((number, effective))
    percent = " or ".join(f"{100 * level:.0f}" for level in sorted(levels or {LEVEL}))
    by = " or ".join(sorted(methods or {intervals.title(intervals.BY)}, reverse=True))
    units_words = " or ".join(_drawn(over, numbers, mark) for over, numbers in sorted(counts.items(), reverse=True))
    words = f"{percent} % interval by {by} over {units_words or 'speakers'}"
    if max(seeds, default=1) > 1:
        words += f" and {_range(seeds)} seeds"
    return words + (f". {FOLDS.rstrip('.')}" if folds else "")


def _drawn(over: str, counts: Sequence[tuple[int, float]], mark: str) -> str:
    """`6 to 43 speakers`, with the effective number where it is clearly smaller; of clips a caution."""
    words = f"{_range({units for units, _ in counts})} {over if max(counts)[0] > 1 else over.rstrip('s')}"
    if over == "clips":
        return f"{words} ({f'{mark}: ' if mark else ''}too few speakers: nothing is said of other voices)"
    uneven = {round(effective) for units, effective in counts if effective < 0.8 * units}
    return words + (f" (unequal in size: as telling as {_range(uneven)} equal ones)" if uneven else "")


def _range(numbers: Iterable[int]) -> str:
    """`6`, or `6 to 43`."""
    least, most = min(numbers := list(numbers)), max(numbers)
    return f"{least:,}" + (f" to {most:,}" if most > least else "")


def shared_seeds(systems: Sequence[System]) -> tuple[int, ...]:
    """The seeds that all systems were run with; ValueError where there is none."""
    seeds = tuple(sorted(set.intersection(*(set(system.seeds) for system in systems))))
    if not seeds:
        raise ValueError(f"no seed that all of {', '.join(f'{s.name} on {s.corpus}' for s in systems)} were run with")
    return seeds


def seed_scores(weights: NDArray[np.float64], matrices: Counts | Floats, support: Counts, measure: str) -> Floats:
    """Scores (weightings, seeds) of the weighted sums of matrices (units, seeds, labels, labels).

    `support` has the clips of each label in the whole: a label that only a weighting lacks is left out of its means.
    """
    sums = recombined(weights, matrices)
    flat = sums.reshape(-1, *sums.shape[-2:])
    return measures(flat, never_true=support == 0)[measure].reshape(sums.shape[:2])
