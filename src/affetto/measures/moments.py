"""Sums over sets of clips from which every measure of dimensions follows, for all clips and without each speaker.

The sums are taken of differences from the mean of all clips, so that leaving a speaker out by subtraction costs no
digits: the values are those of a computation on the clips themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.measures.confusion import Floats

ROUNDING = 1e-13
"""Share of the square of a column's range below which a variance, or of a sum below which a rest, is rounding alone."""


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Sums over sets of clips, each field (sets, dimensions) unless it says otherwise."""

    clips: Floats
    """Number of clips: (sets, 1)."""
    truth: Floats
    """Sum of the centred truth."""
    prediction: Floats
    """Sum of the centred prediction."""
    truth_squares: Floats
    prediction_squares: Floats
    products: Floats
    """Sum of centred truth × centred prediction."""
    absolute_errors: Floats
    squared_errors: Floats
    offset: Floats
    """Centre of the predictions minus that of the truth: (dimensions,)."""
    truth_range: Floats
    """Largest minus smallest truth of all clips: (dimensions,)."""
    prediction_range: Floats
    """Largest minus smallest prediction of all clips: (dimensions,)."""

    @property
    def truth_variance(self) -> Floats:
        """Variance over the clips of each set (ddof 0); exactly 0 where the truth is constant."""
        return self._variance(self.truth, self.truth_squares, self.truth_range)

    @property
    def prediction_variance(self) -> Floats:
        """Variance over the clips of each set (ddof 0); exactly 0 where the prediction is constant."""
        return self._variance(self.prediction, self.prediction_squares, self.prediction_range)

    @property
    def covariance(self) -> Floats:
        return self.products / self.clips - self.truth / self.clips * (self.prediction / self.clips)

    @property
    def bias(self) -> Floats:
        """Mean prediction minus mean truth."""
        return self.offset + (self.prediction - self.truth) / self.clips

    @property
    def is_exact(self) -> NDArray[np.bool_]:
        """True where each prediction of the set is its truth."""
        return self.squared_errors == 0

    def total(self) -> Moments:
        """The moments of all sets together, as one set."""
        return replace(self, **{name: getattr(self, name).sum(axis=0, keepdims=True) for name in _SUMS})

    def without_each(self) -> Moments:
        """The moments of all sets but one, for each in turn."""
        rests = {}
        for name in _SUMS:
            sums = getattr(self, name)
            rest = sums.sum(axis=0) - sums
            if name in ("absolute_errors", "squared_errors"):
                rest = np.where(rest <= ROUNDING * sums.sum(axis=0), 0.0, rest)
            rests[name] = rest
        return replace(self, **rests)

    def _variance(self, sums: Floats, squares: Floats, width: Floats) -> Floats:
        variance = squares / self.clips - (sums / self.clips) ** 2
        return np.where(variance <= ROUNDING * width**2, 0.0, variance)


_RANGES = ("offset", "truth_range", "prediction_range")
_SUMS = tuple(field.name for field in fields(Moments) if field.name not in _RANGES)


def moments(truth: NDArray[Any], prediction: NDArray[Any], owner: NDArray[np.intp], owners: int) -> Moments:
    """The moments of each owner's clips, for truth and prediction (clips, dimensions).

    `owner` (clips,) is a number below `owners`. Raises ValueError where the two do not fit together, where there is
    no clip, and where a value is not finite.
    """
    true, predicted = np.asarray(truth, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if true.ndim != 2 or true.shape != predicted.shape or not true.size or len(owner) != len(true):
        raise ValueError(
            f"truth and prediction must be (clips, dimensions) alike with at least one clip, not {true.shape} and "
            f"{predicted.shape} with {len(owner)} owners"
        )
    bad = ~(np.isfinite(true) & np.isfinite(predicted))
    if bad.any():
        rows = np.flatnonzero(bad.any(axis=1))
        raise ValueError(f"{len(rows)} of {len(true)} clips have values that are not finite (first: clip {rows[0]})")
    truth_range, prediction_range = np.ptp(true, axis=0), np.ptp(predicted, axis=0)
    # The mean of equal numbers may differ from them in the last digit.
    truth_centre = np.where(truth_range == 0, true[0], true.mean(axis=0))
    prediction_centre = np.where(prediction_range == 0, predicted[0], predicted.mean(axis=0))
    x, y, error = true - truth_centre, predicted - prediction_centre, predicted - true

    def summed(values: Floats) -> Floats:
        return np.column_stack([np.bincount(owner, weights=column, minlength=owners) for column in values.T])

    return Moments(
        clips=np.bincount(owner, minlength=owners).astype(np.float64)[:, None],
        truth=summed(x),
        prediction=summed(y),
        truth_squares=summed(x**2),
        prediction_squares=summed(y**2),
        products=summed(x * y),
        absolute_errors=summed(np.abs(error)),
        squared_errors=summed(error**2),
        offset=prediction_centre - truth_centre,
        truth_range=truth_range,
        prediction_range=prediction_range,
    )
