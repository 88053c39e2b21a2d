"""How good a system is, and how sure that is: over seeds, and over speakers.

Two spreads that are not to be mixed up. The standard deviation over seeds tells how much the training's own chance
moves a score on the same test speakers. The interval over speakers tells how much the score would move with other
speakers, which is what a claim about a method must survive. The second is nearly always the wider one.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affetto.reporting.systems import System
from affetto.training.evaluate import LEVEL, Counts, Floats, draws, measures, percentiles, recombined

RESAMPLES = 2000


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
    units: tuple[int, ...]
    """What was resampled in each corpus, and how many of them."""
    over: tuple[str, ...]
    """`speakers`, or `clips` where a corpus has one speaker: then nothing is said about other voices."""
    level: float = LEVEL

    def holds(self, value: float) -> bool:
        """Whether a value, such as a published one, lies within the interval."""
        return self.low <= value <= self.high


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


def estimate(
    systems: Sequence[System], measure: str = "macro_f1", *, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """The score, averaged over seeds, with its percentile bootstrap over speakers (Efron and Tibshirani 1993, 13.3).

    Each resample of speakers is scored for every seed, and those scores are averaged: the seeds are the same in all
    resamples, so the interval is about speakers alone. Several systems are one configuration on several corpora:
    speakers are drawn within each corpus, and the corpora's scores averaged. Only seeds that all have are used. Of
    few speakers (six in EMOVO) a percentile bootstrap is known to come out too narrow.
    """
    seeds = shared_seeds(systems)
    generator = np.random.default_rng(seed)
    values, spreads, units, over = [], [], [], []
    for part in systems:
        alone = len(part.speakers) == 1
        matrices = part.by_clip(seeds) if alone else part.by_speaker(seeds)
        whole = np.ones((1, len(matrices)))
        values.append(seed_scores(whole, matrices, part.support, measure).mean())
        weights = draws(len(matrices), resamples, generator)
        spreads.append(seed_scores(weights, matrices, part.support, measure).mean(axis=1))
        units.append(len(matrices))
        over.append("clips" if alone else "speakers")
    low, high = percentiles(np.mean(spreads, axis=0))
    corpora = tuple(part.corpus for part in systems)
    return Estimate(float(np.mean(values)), low, high, measure, corpora, seeds, tuple(units), tuple(over))


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
