"""Yardsticks of a stress test: what models that decide at random do on the same clips.

Two kinds of random models are drawn, both from the answers of the tested model itself:

    dealt   its untouched answers, dealt out to the clips at random: as often each label, and nothing known of any clip
    heads   its scores of a clip, read by random linear maps: as much heard, and nothing learnt of where to decide
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.evaluation.stress.scoring import MainScore, Places
from affetto.reporting.stats.judged import probabilities
from affetto.targets.target import Rows, Target

MODELS = 1000
"""Random models of each kind."""
SEED = 0
LEVEL = 0.95
"""Share of the random models that stay within a threshold."""
LEAST_PROBABILITY = 1e-6
"""Smallest number that predictions files hold."""
AT_ONCE = 256
"""Clips whose values under all random heads are in memory at once."""
HOLDS, FALLS, UNDECIDED = "holds", "falls", "undecided"


def difference_threshold(score: MainScore, clips: int) -> float:
    """Difference of a score between two dealt models that 95 % of such pairs stay within."""
    random, everyone = np.random.default_rng(SEED), np.arange(clips)
    scores = np.array([score.of_clips(everyone, random.permutation(clips)) for _ in range(2 * MODELS)])
    return float(np.quantile(np.abs(scores[:MODELS] - scores[MODELS:]), LEVEL))


def gap_threshold(score: MainScore, group: Places, rest: Places, clips: int) -> float:
    """Difference of a score between a group and the rest that 95 % of the dealt models stay within."""
    random, gaps = np.random.default_rng(SEED), []
    for _ in range(MODELS):
        dealt = random.permutation(clips)
        gaps.append(score.of_clips(group, dealt[group]) - score.of_clips(rest, dealt[rest]))
    return float(np.quantile(np.abs(gaps), LEVEL))


def verdict(difference: float, interval: tuple[float, float] | None, threshold: float) -> str:
    """Verdict on a difference of a score under a perturbation.

    It holds if the interval ends above a fall by the threshold; it falls if the fall is larger than the threshold and
    the interval does not reach 0.

    >>> verdict(-0.01, (-0.03, 0.01), 0.04), verdict(-0.2, (-0.3, -0.1), 0.04), verdict(-0.1, (-0.3, 0.1), 0.04)
    ('holds', 'falls', 'undecided')
    """
    if interval is None:
        return UNDECIDED
    low, high = interval
    if low >= -threshold:
        return HOLDS
    return FALLS if difference < -threshold and high < 0 else UNDECIDED


@dataclass(frozen=True)
class RandomHeads:
    """Random linear maps of the logarithms of a model's probabilities, standardised over the untouched clips."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    maps: NDArray[np.float64]
    """(heads, labels, labels)"""
    labels: tuple[str, ...]
    untouched: NDArray[np.intp]
    """Label of each untouched clip by each head, (clips, heads)."""

    @classmethod
    def of_rows(cls, target: Target, rows: Rows) -> RandomHeads:
        """Heads for the lines of untouched clips of a target with classes."""
        logarithms = _logarithms(target.labels, rows)
        mean, deviation = logarithms.mean(axis=0), logarithms.std(axis=0)
        count = len(target.labels)
        maps = np.random.default_rng(SEED).standard_normal((MODELS, count, count))
        heads = cls(mean, np.where(deviation > 0, deviation, 1.0), maps, target.labels, np.empty(0, np.intp))
        return cls(heads.mean, heads.deviation, maps, target.labels, heads.called(rows))

    def called(self, rows: Rows) -> NDArray[np.intp]:
        """Label of each clip by each head, (clips, heads)."""
        values = (_logarithms(self.labels, rows) - self.mean) / self.deviation
        parts = (values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE))
        return np.concatenate(
            [np.einsum("ck,hkl->chl", part, self.maps, optimize=True).argmax(axis=2) for part in parts]
        )

    def changed(self, rows: Rows) -> dict[str, Any]:
        """Shares of clips that the heads give another label than untouched: the median, and what 5 % stay below."""
        shares = (self.called(rows) != self.untouched).mean(axis=0)
        return {"median": float(np.median(shares)), "low": float(np.quantile(shares, 1 - LEVEL))}


def _logarithms(labels: tuple[str, ...], rows: Rows) -> NDArray[np.float64]:
    """Logarithms of the probabilities, (clips, labels)."""
    return np.log(np.maximum(probabilities(labels, rows), LEAST_PROBABILITY))
