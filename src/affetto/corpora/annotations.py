"""Annotations of a clip beyond one label: raters' answers, several labels, and dimensions such as arousal.

A rating holds the labels that one rater gave and the numbers for dimensions. A rater with several labels gives an equal
part of the vote to each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from affetto.corpora.labels import in_order

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIMENSIONS = ("arousal", "valence", "dominance")
"""Names of dimensions that a table's columns may have by themselves."""


@dataclass(frozen=True, slots=True)
class Range:
    """Least and largest value that a dimension can have."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


USUAL_RANGES = (Range(0, 1), Range(-1, 1), Range(1, 5), Range(1, 7))
"""Scales of published corpora, in the order in which a column's values are compared with them."""


def range_of(values: Iterable[float]) -> Range | None:
    """The first of the usual ranges that holds all values; None where none does."""
    values = tuple(values)
    return next((usual for usual in USUAL_RANGES if all(value in usual for value in values)), None)


@dataclass(frozen=True, slots=True)
class Rating:
    """The answer of one rater on one clip; `rater` is "" where the person is not known."""

    rater: str = ""
    labels: tuple[str, ...] = ()
    dimensions: tuple[tuple[str, float], ...] = ()


def votes(ratings: Iterable[Rating]) -> dict[str, float]:
    """Votes of each label, in canonical order; a rater with n labels gives 1/n to each."""
    counts: dict[str, float] = {}
    for rating in ratings:
        for label in rating.labels:
            counts[label] = counts.get(label, 0.0) + 1 / len(rating.labels)
    return {label: counts[label] for label in in_order(set(counts))}


def shares(ratings: Sequence[Rating], labels: Sequence[str]) -> NDArray[np.float64]:
    """Share of the votes that each of the labels has: (labels,), which sums to 1.

    Votes for other labels do not count. Raises ValueError where no vote is for any of them.
    """
    import numpy as np

    counts = votes(ratings)
    values = np.array([counts.get(label, 0.0) for label in labels], dtype=np.float64)
    if not values.sum():
        raise ValueError(f"no rating names one of {', '.join(labels)}")
    return np.asarray(values / values.sum())


def majority(ratings: Iterable[Rating]) -> tuple[str, bool]:
    """The label with most votes, the first in canonical order on a tie, and True for a tie; "" without any label."""
    counts = votes(ratings)
    if not counts:
        return "", False
    most = max(counts.values())
    largest = [label for label, count in counts.items() if math.isclose(count, most)]
    return largest[0], len(largest) > 1


def mean_dimensions(ratings: Iterable[Rating]) -> tuple[tuple[str, float], ...]:
    """Mean of each dimension over the ratings that have it, sorted by name."""
    values: dict[str, list[float]] = {}
    for rating in ratings:
        for name, value in rating.dimensions:
            values.setdefault(name, []).append(value)
    return tuple((name, math.fsum(numbers) / len(numbers)) for name, numbers in sorted(values.items()))
