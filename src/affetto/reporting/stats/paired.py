"""Two systems on the same clips: what lies between them, and whether other speakers would say the same.

Speakers are what is exchanged and drawn anew, since the clips of one speaker err together. All seeds of a speaker
move together and the scores are averaged over seeds: a seed is no new evidence about people, and a difference that
one lucky seed makes shrinks to its share. Only seeds that both systems were run with are compared; of several their
own spread is in the interval, so that it is about the methods and not about the models that happened to be trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from affetto.errors import UserError
from affetto.reporting.stats.estimation import FEW_SPEAKERS, left_out, sampled, seed_scores, shared_seeds, sizes
from affetto.reporting.stats.systems import System, same_clips
from affetto.training import intervals
from affetto.training.evaluate import Counts, Floats, measures
from affetto.training.intervals import LEVEL, Sampled

PERMUTATIONS = 9999
EXACT_SPEAKERS = 13
"""Up to so many speakers all 2^n exchanges are enumerated."""
ALPHA = 1 - LEVEL
NONE = "none"
"""What `interval_by` says where there is no interval."""


@dataclass(frozen=True)
class Comparison:
    """`first` minus `second`. Several corpora: the mean over them, each weighing the same."""

    first: str
    second: str
    measure: str
    corpora: tuple[str, ...]
    seeds: tuple[int, ...]
    difference: float
    """Of the pooled scores, averaged over seeds: what one gets by subtracting two cells of a table."""
    per_speaker: Mapping[str, Mapping[str, float]]
    """{corpus: {speaker: difference of the scores within that speaker, averaged over seeds}}."""
    interval: tuple[float, float] | None
    """Student's, around `difference`, over speakers and, of several seeds, over seeds. None where some corpus has too
    few speakers, or where all speakers differ by the very same, so that their spread cannot be told."""
    interval_by: str
    """`t`, or `none`."""
    effective: Mapping[str, float]
    """{corpus: how many speakers of equal size would tell as much}."""
    can_be_drawn: bool
    """Whether every corpus has speakers enough for an interval."""
    level: float
    effect_size: float | None
    """d_z: mean of the speakers' differences over their standard deviation (mean of the corpora's d_z)."""
    share_better: float
    """Of the speakers with whom `first` scores higher; ties count half (mean over corpora)."""
    p: float | None
    """Two-sided, by exchanging the systems within speakers: of the models that were trained. None under ten effective
    speakers, where no test is made."""
    smallest_p: float
    """What so many speakers could give at best: 2/2^n, or 2/(draws + 1) where exchanges are drawn."""
    seeds_p: float | None = None
    """Two-sided, of the t whose interval is shown, with the seeds' spread in it: of the methods. None of one seed."""
    adjusted_p: float | None = None
    """After Holm's correction over `family` comparisons."""
    adjusted_seeds_p: float | None = None
    family: int = 1

    @property
    def speakers(self) -> dict[str, int]:
        return {corpus: len(each) for corpus, each in self.per_speaker.items()}

    @property
    def effective_speakers(self) -> float:
        """How many speakers of equal weight would tell as much, of all corpora together, each weighing the same."""
        return float(len(self.effective) ** 2 / sum(1 / number for number in self.effective.values()))

    @property
    def few(self) -> bool:
        """Whether there are too few speakers for a test."""
        return self.effective_speakers < FEW_SPEAKERS

    @property
    def significant(self) -> bool | None:
        """Whether p, after correction where there was one, is at most 0.05; None where no test is made.

        It is about the models that were trained: other seeds are no part of it.
        """
        return _at_most_alpha(self.p if self.adjusted_p is None else self.adjusted_p)

    @property
    def methods_differ(self) -> bool | None:
        """Whether the methods are told apart, by both p; None where no test is made or one seed was run."""
        seeds = _at_most_alpha(self.seeds_p if self.adjusted_seeds_p is None else self.adjusted_seeds_p)
        return None if seeds is None or self.significant is None else seeds and self.significant


def _at_most_alpha(p: float | None) -> bool | None:
    return None if p is None else p <= ALPHA + 1e-12


@dataclass(frozen=True)
class Pair:
    """What two systems did on one corpus: confusion matrices (speakers, seeds, labels, labels) of each."""

    corpus: str
    measure: str
    seeds: tuple[int, ...]
    speakers: tuple[str, ...]
    support: Counts
    first: Counts | Floats
    second: Counts | Floats

    @property
    def clips(self) -> Counts:
        """Clips of each speaker: (speakers,)."""
        return sizes(self.first)

    @property
    def sampled(self) -> tuple[Sampled, Floats]:
        """The difference with the spread that its speakers give it, and the difference of each seed: (seeds,)."""
        (first, without_first), (second, without_second) = (
            left_out(matrices, self.support, self.measure) for matrices in (self.first, self.second)
        )
        return sampled(first - second, without_first - without_second, self.clips), first - second

    def score(self, weights: Floats, matrices: Counts | Floats) -> Floats:
        """Averaged over seeds: (weightings,)."""
        return seed_scores(weights, matrices, self.support, self.measure).mean(axis=1)

    def difference(self, weights: Floats | None = None) -> Floats:
        """Of each weighting of the speakers (weightings, speakers); of the whole without."""
        weights = np.ones((1, len(self.speakers))) if weights is None else weights
        return self.score(weights, self.first) - self.score(weights, self.second)

    def exchanged(self, swapped: Floats) -> Floats:
        """The difference where 1 in (exchanges, speakers) says that a speaker's two outcomes change places."""
        both = np.concatenate([self.first, self.second])
        return self.score(np.hstack([1 - swapped, swapped]), both) - self.score(np.hstack([swapped, 1 - swapped]), both)

    @property
    def gaps(self) -> Floats:
        """Difference of the scores within each speaker, averaged over seeds: (speakers,)."""
        of_each = [
            measures(matrices.reshape(-1, *matrices.shape[2:]))[self.measure].reshape(len(self.speakers), -1)
            for matrices in (self.first, self.second)
        ]
        return (of_each[0] - of_each[1]).mean(axis=1)


def compare(
    pairs: Sequence[tuple[System, System]],
    measure: str = "macro_f1",
    *,
    level: float = LEVEL,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Comparison:
    """Compare the first of each pair with the second: one configuration each, a pair for each corpus.

    Raises UserError where the two of a pair were not tested on the same clips, ValueError where no seed is shared.
    """
    names = pairs[0][0].name, pairs[0][1].name
    return compare_counted(matched(pairs, measure), names, level=level, permutations=permutations, seed=seed)


def difference(pair: tuple[System, System], measure: str = "macro_f1") -> float:
    """`compare`'s of one corpus, alone."""
    return float(matched([pair], measure)[0].difference()[0])


def can_be_tested(system: System) -> bool:
    """Whether its corpus has speakers enough for an interval over speakers."""
    return intervals.can_be_drawn(sizes(system.by_speaker(system.seeds[:1])))


def compare_counted(
    pairs: Sequence[Pair],
    names: tuple[str, str],
    *,
    level: float = LEVEL,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Comparison:
    """`compare`, of outcomes that are counted already."""
    gaps = {pair.corpus: pair.gaps for pair in pairs}
    spread = spread_of(pairs)
    by, interval = (intervals.BY, spread.interval(level, least=-1.0, most=1.0)) if spread else (NONE, None)
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
        can_be_drawn=all(intervals.can_be_drawn(pair.clips) for pair in pairs),
        level=level,
        effect_size=_effect_size(list(gaps.values())),
        share_better=float(np.mean([((v > 0).mean() + (v >= 0).mean()) / 2 for v in gaps.values()])),
        p=None,
        smallest_p=smallest_p(sum(len(pair.speakers) for pair in pairs), permutations),
    )
    if spread is None or comparison.few:
        return comparison
    seeds_p = spread.p if len(comparison.seeds) > 1 else None
    return replace(comparison, p=_permutation_p(pairs, permutations, seed), seeds_p=seeds_p)


def spread_of(pairs: Sequence[Pair]) -> Sampled | None:
    """The mean difference over corpora with the spread of its speakers and seeds; None where that cannot be told."""
    if not all(intervals.can_be_drawn(pair.clips) for pair in pairs):
        return None
    parts, by_seed = zip(*(pair.sampled for pair in pairs), strict=True)
    over_speakers = intervals.mean(parts)
    if not over_speakers.variance and abs(over_speakers.value) > 1e-12:
        return None  # all speakers differ by the very same: no certainty, but too coarse a measurement
    return intervals.over_seeds(over_speakers, np.mean(by_seed, axis=0))


def permutation_p(
    first: System, second: System, measure: str = "macro_f1", *, permutations: int = PERMUTATIONS, seed: int = 0
) -> float:
    """Two-sided p of the difference, from exchanging the two systems within each speaker, of however few speakers.

    If it made no difference which system a speaker met, each speaker's two outcomes could be exchanged (Good 2005).
    All 2^n exchanges are enumerated up to EXACT_SPEAKERS; beyond, `permutations` are drawn, and the observed one
    counts among them, so that p is never 0 (Phipson and Smyth 2010).
    """
    return _permutation_p(matched([(first, second)], measure), permutations, seed)


def smallest_p(speakers: int, permutations: int = PERMUTATIONS) -> float:
    """The smallest two-sided p that so many speakers can give.

    >>> smallest_p(6), smallest_p(1)
    (0.03125, 1.0)
    """
    exact = min(1.0, 2 / 2**speakers)
    return exact if speakers <= EXACT_SPEAKERS else max(exact, 2 / (permutations + 1))


def holm(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """The comparisons as one family, with Holm's (1979) adjusted p; those without a test are no part of it.

    Raises UserError where statsmodels is not installed.
    """
    comparisons = list(comparisons)
    tested = [number for number, each in enumerate(comparisons) if each.p is not None]
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


def matched(pairs: Sequence[tuple[System, System]], measure: str) -> list[Pair]:
    """The outcomes of each pair, counted by speaker, for the seeds that all have. Raises as `compare` does."""
    seeds = shared_seeds([system for pair in pairs for system in pair])
    counted = []
    for first, second in pairs:
        same_clips(first.runs[seeds[0]], second.runs[seeds[0]], f"{first.name} on {first.corpus}", f"{second.name}")
        matrices = first.by_speaker(seeds), second.by_speaker(seeds)
        counted.append(Pair(first.corpus, measure, seeds, first.speakers, first.support, *matrices))
    return counted


def _permutation_p(pairs: Sequence[Pair], permutations: int, seed: int) -> float:
    from scipy.stats import permutation_test

    counts = [len(pair.speakers) for pair in pairs]
    n, ends = sum(counts), np.cumsum(counts)

    def statistic(places: np.ndarray, others: np.ndarray, axis: int = -1) -> Floats:
        """`places` (…, speakers) holds a speaker's number where nothing is exchanged, and n more where it is."""
        swapped = np.moveaxis(np.asarray(places) >= n, axis, -1).astype(np.float64)
        flat = np.atleast_2d(swapped)
        parts = np.split(flat, ends[:-1], axis=-1)
        values = np.mean([pair.exchanged(part) for pair, part in zip(pairs, parts, strict=True)], axis=0)
        # Rounded, so that exchanges that tie but for the last bits do tie.
        return values.reshape(swapped.shape[:-1]).round(12)

    exact = n <= EXACT_SPEAKERS
    result = permutation_test(
        (np.arange(n), np.arange(n) + n), statistic, permutation_type="samples", vectorized=True, batch=2000,
        n_resamples=2**n if exact else permutations, alternative="two-sided", rng=np.random.default_rng(seed),
    )  # fmt: skip
    return float(result.pvalue)


def _effect_size(gaps: Sequence[Floats]) -> float | None:
    sizes = []
    for values in gaps:
        deviation = values.std(ddof=1) if len(values) > 1 else 0.0
        if deviation == 0 and (len(values) == 1 or values.any()):
            return None
        sizes.append(values.mean() / deviation if deviation else 0.0)
    return float(np.mean(sizes))
