"""Scores of a system with their uncertainty, over seeds and over speakers.

Two spreads must not be confused. The standard deviation over seeds shows how much the chance of training moves a score
on fixed test speakers. The interval shows how much the score would move with other speakers, and with other seeds where
several were run: a claim about a method must survive it. It is nearly always the wider one.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.measures import intervals
from affetto.measures.confusion import Counts, Floats, recombined
from affetto.measures.intervals import LEVEL, Sampled
from affetto.measures.measure import LabelMeasure, ProbabilityMeasure
from affetto.measures.registry import class_measure, label_measure
from affetto.reporting.stats.systems import System

FEW_SPEAKERS = 10
"""Number of effective speakers below which no test is made and the difference of each speaker is shown."""
FOLDS = (
    "The models of the folds share most of their training data, so that their errors are not independent and the "
    "interval is somewhat too narrow; by how much cannot be estimated from one round of folds."
)
"""Caution beside intervals of leave-one-speaker-out and of k folds (Bengio and Grandvalet 2004)."""


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (ddof 1) over seeds; the deviation of one seed is None."""

    mean: float
    deviation: float | None
    seeds: tuple[int, ...]
    corpora: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """A score with its interval. The score on several corpora is the mean of their scores, with equal weights."""

    value: float
    low: float
    high: float
    measure: str
    corpora: tuple[str, ...]
    seeds: tuple[int, ...]
    """With several seeds the interval includes their spread and is about the method; with one it is about that model.
    """
    units: tuple[int, ...]
    """Number of drawn units of each corpus."""
    effective: tuple[float, ...]
    """Number of equally large units that would be as informative, of each corpus."""
    over: tuple[str, ...]
    """Drawn unit of each corpus: `speakers`, or `clips` where a corpus has too few speakers. An interval over clips
    says nothing about other voices."""
    half: float
    """Half the interval's width, before it was cut at 0 and 1."""
    level: float = LEVEL

    @property
    def basis(self) -> dict[str, Any]:
        """Method, unit and counts of the interval of one corpus, in the form of a run's `metrics.json`."""
        return {"by": intervals.BY, "over": self.over[0], "units": self.units[0], "effective": self.effective[0]}

    def expects(self, value: float) -> bool | None:
        """Compare with another study's score: True if an equal study with its own speakers and seeds may give it.

        That score has an error too. If it is as large as ours, the two scores differ by √2 times one error. The answer
        is None where the value lies outside and clips were drawn: other voices may differ by any amount more.
        """
        if abs(value - self.value) <= 2**0.5 * self.half:
            return True
        return None if "clips" in self.over else False


def over_seeds(scores: Mapping[int, float]) -> Spread:
    """Mean and deviation of scores {seed: score}."""
    return over_corpora({"": scores}, with_names=False)


def over_corpora(scores: Mapping[str, Mapping[int, float]], *, with_names: bool = True) -> Spread:
    """Mean and deviation of scores {corpus: {seed: score}}: the paper's "mean (standard deviation) across three runs".

    First the mean over the corpora is taken for each seed, then mean and deviation of these means. Only seeds that all
    corpora share are used. Raises ValueError where there are none.
    """
    seeds = sorted(set.intersection(*(set(by_seed) for by_seed in scores.values()))) if scores else []
    if not seeds:
        raise ValueError("no seed that every corpus has")
    means = [statistics.fmean(by_seed[seed] for by_seed in scores.values()) for seed in seeds]
    deviation = statistics.stdev(means) if len(means) > 1 else None
    return Spread(statistics.fmean(means), deviation, tuple(seeds), tuple(scores) if with_names else ())


def score_by_seed(system: System, measure: str) -> dict[int, float]:
    """Score of each seed on all clips, equal to that of its `metrics.json`."""
    record = class_measure(measure)
    runs = {seed: system.runs[seed] for seed in system.seeds}
    return {seed: record.of_predictions(run.probabilities, run.truth) for seed, run in runs.items()}


def estimate(systems: Sequence[System], measure: str = "macro_f1", *, level: float = LEVEL) -> Estimate:
    """Estimate a score, averaged over seeds, with Student's interval over speakers and seeds.

    `systems` are one configuration on one or several corpora, whose scores are averaged. Only seeds that all of them
    share are used. `affetto.measures.intervals` explains the interval.
    """
    seeds = shared_seeds(systems)
    record = class_measure(measure)
    parts, by_seed, units, effective, over = [], [], [], [], []
    for system in systems:
        by_speaker = system.by_speaker(seeds)
        has_speakers = intervals.can_be_drawn(sizes(by_speaker))
        matrices = by_speaker if has_speakers else system.by_clip(seeds)
        if isinstance(record, LabelMeasure):
            scores, without = leave_one_out(matrices, system.support, measure)
        else:
            scores, without = leave_clips_out(system, seeds, by_speakers=has_speakers, measure=measure)
        by_seed.append(scores)
        parts.append(jackknife_mean(scores, without, sizes(matrices)))
        units.append(len(matrices))
        effective.append(intervals.effective(sizes(matrices)))
        over.append("speakers" if has_speakers else "clips")
    score = intervals.over_seeds(intervals.mean(parts), np.mean(by_seed, axis=0))
    low, high = score.interval(level, least=record.range[0], most=record.range[1])
    return Estimate(
        value=score.value,
        low=low,
        high=high,
        measure=measure,
        corpora=tuple(system.corpus for system in systems),
        seeds=seeds,
        units=tuple(units),
        effective=tuple(effective),
        over=tuple(over),
        half=score.half(level),
        level=level,
    )


def sizes(matrices: Counts | Floats) -> Counts:
    """Number of clips of each unit (units,), from matrices (units, seeds, labels, labels); equal for all seeds."""
    counts: Counts = matrices[:, 0].sum(axis=(1, 2)).round().astype(np.int64)
    return counts


def leave_one_out(matrices: Counts | Floats, support: Counts, measure: str) -> tuple[Floats, Floats]:
    """Scores of all units (seeds,) and of all but one unit (units, seeds), from matrices (units, seeds, k, k).

    `support` (k,) counts all clips of each label: a label whose only clips belong to the omitted unit is excluded from
    the mean. Without its only unit nothing is left: that score is NaN.
    """
    pooled = matrices.sum(axis=0)
    others = pooled - matrices if len(matrices) > 1 else np.empty((0, *pooled.shape))
    flat = np.concatenate([pooled[None], others]).reshape(-1, *pooled.shape[-2:])
    values = label_measure(measure).of_confusions(flat, never_true=support == 0).reshape(-1, len(pooled))
    return values[0], values[1:] if len(matrices) > 1 else np.full((1, len(pooled)), np.nan)


def leave_clips_out(system: System, seeds: Sequence[int], *, by_speakers: bool, measure: str) -> tuple[Floats, Floats]:
    """Scores of all clips (seeds,) and of all but one unit's (units, seeds), for a measure of probabilities.

    A unit is a speaker, or without `by_speakers` a clip.
    """
    record = class_measure(measure)
    assert isinstance(record, ProbabilityMeasure)
    owner = system.speaker_numbers if by_speakers else np.arange(system.clips)
    units = len(system.speakers) if by_speakers else system.clips
    runs = [system.runs[seed] for seed in seeds]
    scores = np.array([record.of_predictions(run.probabilities, run.truth) for run in runs])
    without = [record.without_each(run.probabilities, run.truth, owner, units) for run in runs]
    return scores, np.stack(without, axis=1)


def jackknife_mean(scores: Floats, without: Floats, clips: Counts) -> Sampled:
    """Mean of scores (seeds,) with the variance over units; `without` (units, seeds) are scores without one unit."""
    if len(without) < 2:
        return Sampled(float(scores.mean()), 1.0, 1.0)  # one clip: any score may be the true one
    return intervals.jackknife(float(scores.mean()), without.mean(axis=1), clips)


def interval_words(scores: Iterable[Estimate | Mapping[str, Any]], *, folds: bool = False, mark: str = "") -> str:
    """Describe how intervals were computed, for a caption: one phrase, or two sentences, without the last full stop.

    `scores` are estimates, or the `interval` of scores in `metrics.json`. `folds` adds a caution for test clips pooled
    over folds whose models share training data. `mark` is the sign beside intervals over clips.

    >>> interval_words([{"by": "t", "over": "speakers", "units": 6, "effective": 6.0}])
    "95 % interval by Student's t over 6 speakers"
    >>> interval_words([{"over": "clips", "units": 98}])
    '95 % interval by bootstrap over 98 clips (too few speakers: nothing is said of other voices)'
    """
    counts: dict[str, list[tuple[int, float]]] = {}
    methods, seeds, levels = set(), set(), set()
    for score in scores:
        if isinstance(score, Estimate):
            methods.add(intervals.title(intervals.BY))
            seeds.add(len(score.seeds))
            levels.add(score.level)
            drawn = list(zip(score.over, score.units, score.effective, strict=True))
        else:
            methods.add(intervals.title(score.get("by")))
            seeds.add(score.get("seeds", 1))
            levels.add(score.get("level", LEVEL))
            drawn = [(score["over"], score["units"], score.get("effective", score["units"]))]
        for over, number, effective in drawn:
            counts.setdefault(over, []).append((number, effective))
    percent = " or ".join(f"{100 * level:.0f}" for level in sorted(levels or {LEVEL}))
    by = " or ".join(sorted(methods or {intervals.title(intervals.BY)}, reverse=True))
    units = " or ".join(_units_words(over, numbers, mark) for over, numbers in sorted(counts.items(), reverse=True))
    words = f"{percent} % interval by {by} over {units or 'speakers'}"
    if max(seeds, default=1) > 1:
        words += f" and {_range(seeds)} seeds"
    return words + (f". {FOLDS.rstrip('.')}" if folds else "")


def _units_words(over: str, counts: Sequence[tuple[int, float]], mark: str) -> str:
    """`6 to 43 speakers`, with the effective number where it is clearly smaller; clips with a caution."""
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
    """Seeds that all systems were run with. Raises ValueError where there are none."""
    seeds = tuple(sorted(set.intersection(*(set(system.seeds) for system in systems))))
    if not seeds:
        names = ", ".join(f"{system.name} on {system.corpus}" for system in systems)
        raise ValueError(f"no seed that all of {names} were run with")
    return seeds


def weighted_scores(weights: NDArray[np.float64], matrices: Counts | Floats, support: Counts, measure: str) -> Floats:
    """Scores (weightings, seeds) of sums of matrices (units, seeds, k, k) under `weights` (weightings, units).

    `support` (k,) counts all clips of each label: a label that only a weighting lacks is excluded from its means.
    """
    sums = recombined(weights, matrices)
    flat = sums.reshape(-1, *sums.shape[-2:])
    return label_measure(measure).of_confusions(flat, never_true=support == 0).reshape(sums.shape[:2])
