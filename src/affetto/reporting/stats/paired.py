"""Two systems on the same clips: their difference, and whether it would persist with other speakers.

Speakers are exchanged and drawn anew, since the clips of one speaker err together. All seeds of a speaker move together
and scores are averaged over seeds: a seed is no new evidence about people, and the difference that one lucky seed makes
shrinks to its share. Only seeds that both systems were run with are compared. With several seeds their spread is in the
interval, which is then about the methods and not about the models that happened to be trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from affetto.errors import UserError
from affetto.measures import intervals
from affetto.measures.confusion import Counts, Floats
from affetto.measures.intervals import LEVEL, Sampled
from affetto.measures.registry import label_measure
from affetto.reporting.stats.estimation import (
    FEW_SPEAKERS,
    jackknife_mean,
    leave_one_out,
    shared_seeds,
    sizes,
    weighted_scores,
)
from affetto.reporting.stats.matched import HasSpread, Matched
from affetto.reporting.stats.systems import System, check_same_clips

PERMUTATIONS = 9999
EXACT_SPEAKERS = 13
"""Largest number of speakers whose 2^n exchanges are all enumerated."""
ALPHA = 1 - LEVEL
NONE = "none"
"""Value of `interval_by` where there is no interval."""


@dataclass(frozen=True)
class Comparison:
    """`first` minus `second`; of several corpora the mean over them, with equal weights."""

    first: str
    second: str
    measure: str
    corpora: tuple[str, ...]
    seeds: tuple[int, ...]
    difference: float
    """Difference of the pooled scores, averaged over seeds: equal to subtracting two cells of a table."""
    per_speaker: Mapping[str, Mapping[str, float]]
    """{corpus: {speaker: difference of the scores within that speaker, averaged over seeds}}."""
    interval: tuple[float, float] | None
    """Student's interval around `difference`, over speakers and, with several seeds, over seeds. None where a corpus
    has too few speakers, or where all speakers differ by exactly the same amount, so that their spread is unknown."""
    interval_by: str
    """`t`, or `none`."""
    effective: Mapping[str, float]
    """{corpus: number of equally large speakers that would be as informative}."""
    allows_interval: bool
    """True if every corpus has enough speakers for an interval."""
    level: float
    effect_size: float | None
    """d_z: mean of the speakers' differences over their standard deviation (mean over the corpora)."""
    share_better: float
    """Share of the speakers with whom `first` scores higher; ties count half (mean over the corpora)."""
    p: float | None
    """Two-sided p by exchanging the systems within speakers, about the models that were trained. None under ten
    effective speakers, where no test is made."""
    smallest_p: float
    """Smallest p that this number of speakers can give: 2/2^n, or 2/(draws + 1) where exchanges are drawn."""
    seeds_p: float | None = None
    """Two-sided p of the t interval, which includes the spread of seeds: about the methods. None with one seed."""
    adjusted_p: float | None = None
    """`p` after Holm's correction over `family` comparisons."""
    adjusted_seeds_p: float | None = None
    """`seeds_p` after Holm's correction."""
    family: int = 1
    sampled: Sampled | None = None
    """`difference` with its variance over speakers and seeds; None where there is no interval."""

    @property
    def speakers(self) -> dict[str, int]:
        """{corpus: number of speakers}."""
        return {corpus: len(differences) for corpus, differences in self.per_speaker.items()}

    @property
    def effective_speakers(self) -> float:
        """Number of equally weighted speakers that would be as informative as all corpora, with equal weights."""
        return float(len(self.effective) ** 2 / sum(1 / number for number in self.effective.values()))

    @property
    def has_few_speakers(self) -> bool:
        """True if there are too few effective speakers for a test."""
        return self.effective_speakers < FEW_SPEAKERS

    @property
    def models_differ(self) -> bool | None:
        """True if p, after correction where there was one, is at most 0.05; None where no test is made.

        The verdict is about the models that were trained: other seeds are no part of it.
        """
        return _is_small(self.p if self.adjusted_p is None else self.adjusted_p)

    @property
    def methods_differ(self) -> bool | None:
        """True if both p, after correction, are at most 0.05; None where no test is made or one seed was run."""
        with_seeds = _is_small(self.seeds_p if self.adjusted_seeds_p is None else self.adjusted_seeds_p)
        return None if with_seeds is None or self.models_differ is None else with_seeds and self.models_differ


def _is_small(p: float | None) -> bool | None:
    return None if p is None else p <= ALPHA + 1e-12


@dataclass(frozen=True)
class Pair:
    """Outcomes of two systems on one corpus: confusion matrices (speakers, seeds, labels, labels) of both."""

    corpus: str
    measure: str
    seeds: tuple[int, ...]
    speakers: tuple[str, ...]
    support: Counts
    first: Counts | Floats
    second: Counts | Floats
    largest: float = 1.0

    @property
    def clips(self) -> Counts:
        """Number of clips of each speaker: (speakers,)."""
        return sizes(self.first)

    @property
    def sampled(self) -> tuple[Sampled, Floats]:
        """Difference with its variance over speakers, and the difference of each seed (seeds,)."""
        (first, without_first), (second, without_second) = (
            leave_one_out(matrices, self.support, self.measure) for matrices in (self.first, self.second)
        )
        return jackknife_mean(first - second, without_first - without_second, self.clips), first - second

    def score(self, weights: Floats, matrices: Counts | Floats) -> Floats:
        """Score under `weights` (weightings, speakers), averaged over seeds: (weightings,)."""
        return weighted_scores(weights, matrices, self.support, self.measure).mean(axis=1)

    def difference(self, weights: Floats | None = None) -> Floats:
        """Difference under `weights` (weightings, speakers), by default of all speakers alike: (weightings,)."""
        weights = np.ones((1, len(self.speakers))) if weights is None else weights
        return self.score(weights, self.first) - self.score(weights, self.second)

    def exchanged(self, swapped: Floats) -> Floats:
        """Difference after exchanges; 1 in `swapped` (exchanges, speakers) exchanges a speaker's two outcomes."""
        outcomes = np.concatenate([self.first, self.second])
        first = self.score(np.hstack([1 - swapped, swapped]), outcomes)
        return first - self.score(np.hstack([swapped, 1 - swapped]), outcomes)

    @property
    def gaps(self) -> Floats:
        """Difference of the scores within each speaker, averaged over seeds: (speakers,)."""
        measure = label_measure(self.measure)
        first, second = (
            measure.of_confusions(matrices.reshape(-1, *matrices.shape[2:])).reshape(len(self.speakers), -1)
            for matrices in (self.first, self.second)
        )
        return (first - second).mean(axis=1)


def compare(
    pairs: Sequence[tuple[System, System]],
    measure: str = "macro_f1",
    *,
    level: float = LEVEL,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Comparison:
    """Compare the first of each pair with the second. The pairs are two configurations, on one corpus each.

    Raises UserError where the two of a pair were not tested on the same clips, ValueError where no seed is shared.
    """
    names = pairs[0][0].name, pairs[0][1].name
    return compare_counted(match_pairs(pairs, measure), names, level=level, permutations=permutations, seed=seed)


def difference(pair: tuple[System, System], measure: str = "macro_f1") -> float:
    """Difference of two systems on one corpus, as `compare` computes it."""
    return float(match_pairs([pair], measure)[0].difference()[0])


def can_be_tested(system: System) -> bool:
    """Return True if the system's corpus has enough speakers for an interval over speakers."""
    return intervals.can_be_drawn(sizes(system.by_speaker(system.seeds[:1])))


def compare_counted(
    pairs: Sequence[Matched],
    names: tuple[str, str],
    *,
    level: float = LEVEL,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Comparison:
    """Compare outcomes that are counted already; see `compare`."""
    gaps = {pair.corpus: pair.gaps for pair in pairs}
    most = pairs[0].largest
    spread = sampled_difference(pairs)
    by, interval = (intervals.BY, spread.interval(level, least=-most, most=most)) if spread else (NONE, None)
    comparison = Comparison(
        first=names[0],
        second=names[1],
        measure=pairs[0].measure,
        corpora=tuple(gaps),
        seeds=pairs[0].seeds,
        difference=float(np.mean([pair.difference() for pair in pairs])),
        per_speaker={pair.corpus: dict(zip(pair.speakers, pair.gaps.tolist(), strict=True)) for pair in pairs},
        interval=interval,
        interval_by=by,
        effective={pair.corpus: intervals.effective(pair.clips) for pair in pairs},
        allows_interval=all(intervals.can_be_drawn(pair.clips) for pair in pairs),
        level=level,
        effect_size=_effect_size(list(gaps.values())),
        share_better=float(np.mean([((v > 0).mean() + (v >= 0).mean()) / 2 for v in gaps.values()])),
        p=None,
        smallest_p=smallest_p(sum(len(pair.speakers) for pair in pairs), permutations),
        sampled=spread,
    )
    if spread is None or comparison.has_few_speakers:
        return comparison
    seeds_p = spread.p if len(comparison.seeds) > 1 else None
    return replace(comparison, p=permutation_p(pairs, permutations=permutations, seed=seed), seeds_p=seeds_p)


def sampled_difference(pairs: Sequence[HasSpread]) -> Sampled | None:
    """Mean difference over corpora, with its variance over speakers and seeds; None where that is unknown."""
    if not all(intervals.can_be_drawn(pair.clips) for pair in pairs):
        return None
    parts, by_seed = zip(*(pair.sampled for pair in pairs), strict=True)
    over_speakers = intervals.mean(parts)
    if not over_speakers.variance and abs(over_speakers.value) > 1e-12:
        return None  # all speakers differ by exactly the same amount: no certainty, but too coarse a measurement
    return intervals.over_seeds(over_speakers, np.mean(by_seed, axis=0))


def smallest_p(speakers: int, permutations: int = PERMUTATIONS) -> float:
    """Smallest two-sided p that a number of speakers can give.

    >>> smallest_p(6), smallest_p(1)
    (0.03125, 1.0)
    """
    exact = min(1.0, 2 / 2**speakers)
    return exact if speakers <= EXACT_SPEAKERS else max(exact, 2 / (permutations + 1))


def holm(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Correct the comparisons as one family by Holm (1979); those without a test are no part of it.

    Raises UserError where statsmodels is not installed.
    """
    comparisons = list(comparisons)
    tested = [number for number, comparison in enumerate(comparisons) if comparison.p is not None]
    if not tested:
        return comparisons
    try:
        from statsmodels.stats.multitest import multipletests
    except ImportError:
        raise UserError("Holm's correction needs statsmodels: pip install 'affetto[report]'") from None
    adjusted = multipletests([comparisons[number].p for number in tested], method="holm")[1]
    for number, p in zip(tested, adjusted, strict=True):
        comparisons[number] = replace(comparisons[number], adjusted_p=float(p), family=len(tested))
    with_seeds = [number for number in tested if comparisons[number].seeds_p is not None]
    if with_seeds:
        adjusted = multipletests([comparisons[number].seeds_p for number in with_seeds], method="holm")[1]
        for number, p in zip(with_seeds, adjusted, strict=True):
            comparisons[number] = replace(comparisons[number], adjusted_seeds_p=float(p))
    return comparisons


def match_pairs(pairs: Sequence[tuple[System, System]], measure: str) -> list[Pair]:
    """Count the outcomes of each pair by speaker, for the seeds that all systems share. Raises as `compare` does."""
    seeds = shared_seeds([system for pair in pairs for system in pair])
    counted = []
    for first, second in pairs:
        check_same_clips(first.runs[seeds[0]], second.runs[seeds[0]], f"{first.name} on {first.corpus}", second.name)
        counted.append(
            Pair(
                corpus=first.corpus,
                measure=measure,
                seeds=seeds,
                speakers=first.speakers,
                support=first.support,
                first=first.by_speaker(seeds),
                second=second.by_speaker(seeds),
            )
        )
    return counted


def permutation_p(pairs: Sequence[Matched], *, permutations: int = PERMUTATIONS, seed: int = 0) -> float:
    """Two-sided p of the mean difference, from exchanging the two systems within each speaker.

    If it made no difference which system a speaker met, each speaker's two outcomes could be exchanged (Good 2005).
    All 2^n exchanges are enumerated up to EXACT_SPEAKERS. Beyond, `permutations` are drawn and the observed one counts
    among them, so that p is never 0 (Phipson and Smyth 2010).
    """
    from scipy.stats import permutation_test

    counts = [len(pair.speakers) for pair in pairs]
    n, ends = sum(counts), np.cumsum(counts)

    def statistic(positions: np.ndarray, _: np.ndarray, axis: int = -1) -> Floats:
        """Difference of each exchange; `positions` (…, speakers) holds a speaker's number, plus n after exchange."""
        swapped = np.moveaxis(np.asarray(positions) >= n, axis, -1).astype(np.float64)
        flat = np.atleast_2d(swapped)
        parts = np.split(flat, ends[:-1], axis=-1)
        values = np.mean([pair.exchanged(part) for pair, part in zip(pairs, parts, strict=True)], axis=0)
        # Rounded, so that exchanges that tie but for the last bits do tie.
        return values.reshape(swapped.shape[:-1]).round(12)

    exact = n <= EXACT_SPEAKERS
    result = permutation_test(
        (np.arange(n), np.arange(n) + n),
        statistic,
        permutation_type="samples",
        vectorized=True,
        batch=2000,
        n_resamples=2**n if exact else permutations,
        alternative="two-sided",
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def _effect_size(gaps: Sequence[Floats]) -> float | None:
    """Mean d_z over corpora, of the differences (speakers,) of each; None where one has no spread."""
    sizes = []
    for values in gaps:
        deviation = values.std(ddof=1) if len(values) > 1 else 0.0
        if deviation == 0 and (len(values) == 1 or values.any()):
            return None
        sizes.append(values.mean() / deviation if deviation else 0.0)
    return float(np.mean(sizes))
