"""Evidence for "equal", and how small a difference a study could have found.

"Not told apart" is no evidence that two systems are equal. Two one-sided t tests (TOST; Schuirmann, *Journal of
Pharmacokinetics and Biopharmaceutics* 15, 1987; Lakens, *Social Psychological and Personality Science* 8, 2017) ask if
the difference lies within a margin. The smallest difference is that of Bloom (*Evaluation Review* 19, 1995): the true
difference that a two-sided test would show with a given power, from the standard error that the study had.
"""

from __future__ import annotations

from affetto.measures.intervals import LEVEL, Sampled

MARGIN = 0.02
"""Two points of a score that ends at 1: a difference that the noise of training alone may make."""
POWER = 0.8
"""Share of studies that would show the smallest difference."""


def equivalence_p(difference: Sampled, margin: float = MARGIN) -> float:
    """The larger p of two one-sided t tests: of a difference at or below -margin, and at or above margin.

    A small p shows that the two are equivalent within the margin.

    >>> equivalence_p(Sampled(0.0, 0.0, 5.0)), round(equivalence_p(Sampled(0.0, 0.01**2, 5.0)), 3)
    (0.0, 0.051)
    """
    from scipy.special import stdtr

    if not difference.variance:
        return float(abs(difference.value) >= margin)
    return float(stdtr(difference.freedom, (abs(difference.value) - margin) / difference.error))


def smallest_difference(difference: Sampled, level: float = LEVEL, power: float = POWER) -> float:
    """The true difference that a two-sided t test at 1 - level would show with this power.

    >>> round(smallest_difference(Sampled(0.3, 1.0, 1e9)), 2)
    2.8
    """
    from scipy.special import stdtrit

    quantiles = (stdtrit(difference.freedom, share) for share in ((1 + level) / 2, power))
    return float(sum(quantiles) * difference.error)
