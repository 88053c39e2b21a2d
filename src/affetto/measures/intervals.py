"""Intervals of scores: one rule for a score and for a difference, for three speakers and for three hundred.

What is drawn are speakers, since the clips of one speaker err together. How far a score would move with other
speakers is seen from how far it moves when each speaker in turn is left out (the jackknife; Tukey 1958, and for
speakers of unequal size Busing, Meijer and van der Leeden 1999); the interval around the score is Student's t.
Speakers with many clips move a pooled score more, so that the degrees of freedom are those of the *effective*
speakers, (Σn)²/Σn² of their clips n (Kish 1965). `benchmarks/coverage.py` measures what these intervals hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95
LEAST_SPEAKERS = 3
"""Fewest speakers for an interval over speakers: two that happen to agree would give an interval without any width."""
LEAST_EFFECTIVE = 2.0
"""Three speakers of whom one speaks nearly all clips are hardly more than one."""
BY = "t"
"""Method of the intervals, as files name it. Older files name none and were made by a percentile bootstrap."""


@dataclass(frozen=True)
class Sampled:
    """A value, and what drawing anew that which it was measured on would do to it."""

    value: float
    variance: float
    """The square of its standard error."""
    freedom: float
    """Degrees of freedom of that variance."""

    @property
    def error(self) -> float:
        return float(np.sqrt(self.variance))

    def half(self, level: float = LEVEL) -> float:
        """Half the width of Student's interval."""
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, (1 + level) / 2) * self.error) if self.variance else 0.0

    def interval(self, level: float = LEVEL, least: float = -np.inf, most: float = np.inf) -> tuple[float, float]:
        """Student's interval around the value, cut at the least and the most that it can be."""
        half = self.half(level)
        return max(least, self.value - half), min(most, self.value + half)

    @property
    def p(self) -> float:
        """Two-sided p of the value being 0."""
        from scipy.special import stdtr

        if not self.variance:
            return float(self.value == 0)
        return float(2 * stdtr(self.freedom, -abs(self.value) / self.error))


def effective(clips: Sequence[int] | NDArray[np.int64]) -> float:
    """Number of speakers of equal size that tell as much as these: (Σn)²/Σn² of their clips (speakers,).

    >>> effective([98, 98, 98]), round(effective([100, 10, 10, 10]), 1)
    (3.0, 1.6)
    """
    counts = np.asarray(clips, dtype=np.float64)
    return float(counts.sum() ** 2 / (counts**2).sum())


def can_be_drawn(clips: Sequence[int] | NDArray[np.int64]) -> bool:
    """True if speakers with these numbers of clips (speakers,) are enough for an interval over speakers.

    >>> can_be_drawn([98, 98]), can_be_drawn([98, 98, 98]), can_be_drawn([98, 1, 1])
    (False, True, False)
    """
    return len(clips) >= LEAST_SPEAKERS and effective(clips) >= LEAST_EFFECTIVE


def jackknife(value: float, without: Floats, clips: NDArray[np.int64]) -> Sampled:
    """A score with the spread that its units (speakers, or clips) give it.

    `without` (units,) is the score with one unit left out, `clips` (units,) its size. Leaving out a unit that has a
    share w of the clips moves a mean by w/(1 - w) of its own deviation; hence the weights, which for units of equal
    size are the jackknife's usual (n - 1)/n. ValueError for fewer than two units.
    """
    if len(without) < 2:
        raise ValueError("a jackknife needs two units")
    shares = clips / clips.sum()
    variance = float(((1 - shares) * (without - value) ** 2).sum())
    return Sampled(value, settled(variance), effective(clips) - 1)


def total(parts: Sequence[Sampled], weights: Sequence[float]) -> Sampled:
    """The weighted sum of independent values, with the degrees of freedom of Welch (1947) and Satterthwaite (1946)."""
    value = sum(weight * part.value for weight, part in zip(weights, parts, strict=True))
    variances = [weight**2 * part.variance for weight, part in zip(weights, parts, strict=True)]
    variance = sum(variances)
    spread = sum(weighted**2 / part.freedom for weighted, part in zip(variances, parts, strict=True))
    return Sampled(float(value), float(variance), variance**2 / spread if spread else np.inf)


def mean(parts: Sequence[Sampled]) -> Sampled:
    """The mean of independent values, each weighing the same."""
    return total(parts, [1 / len(parts)] * len(parts))


def over_seeds(sampled: Sampled, by_seed: Floats) -> Sampled:
    """The value with the seeds' spread added to that of the speakers; `by_seed` (seeds,) averages to the value.

    Seeds and speakers are crossed, and each has a variance of its own. Of one seed no variance is known: then the
    interval is about the one model that was trained.
    """
    k = len(by_seed)
    if k < 2:
        return sampled
    seeds = Sampled(0.0, settled(float(by_seed.var(ddof=1)) / k), k - 1)
    return total([sampled, seeds], [1.0, 1.0])


def title(by: str | None) -> str:
    """The method of an interval as people name it, from what a file says.

    >>> title(BY), title(None)
    ("Student's t", 'bootstrap')
    """
    return "Student's t" if by == BY else "bootstrap"


def settled(variance: float) -> float:
    """A variance of rounding errors alone is none."""
    return variance if variance > 1e-20 else 0.0
