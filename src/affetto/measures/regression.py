"""CCC, Pearson's correlation, MAE and RMSE of predicted dimensions: the values of audmetric where that has one.

    ccc      2 cov(t, p) / (var t + var p + (mean p - mean t)²)     Lin, Biometrics 1989
    pearson  cov(t, p) / sqrt(var t · var p)
    mae      mean |p - t|
    rmse     sqrt(mean (p - t)²)

All follow from sums over clips (`moments`), so that one vectorised function scores the whole set, every speaker, and
the set without any one of them. A constant truth or prediction, and a set of one clip, has a CCC and a correlation of
0: nothing was seen to move together. Where every prediction is its truth as well, both are 1.
"""

from __future__ import annotations

import numpy as np

from affetto.measures.confusion import Floats, ratio
from affetto.measures.measure import DimensionMeasure
from affetto.measures.moments import Moments


def concordance(sums: Moments) -> Floats:
    """Lin's concordance correlation coefficient: (sets, dimensions)."""
    truth, prediction = sums.truth_variance, sums.prediction_variance
    varies = (truth > 0) & (prediction > 0)
    value = ratio(2 * sums.covariance * varies, truth + prediction + sums.bias**2)
    return np.where(sums.is_exact, 1.0, value.clip(-1, 1))


def correlation(sums: Moments) -> Floats:
    """Pearson's correlation coefficient: (sets, dimensions)."""
    spread = np.sqrt(sums.truth_variance) * np.sqrt(sums.prediction_variance)
    return np.where(sums.is_exact, 1.0, ratio(sums.covariance, spread).clip(-1, 1))


def mean_absolute_error(sums: Moments) -> Floats:
    """Mean absolute error, in units of the dimension: (sets, dimensions)."""
    return sums.absolute_errors / sums.clips


def root_mean_squared_error(sums: Moments) -> Floats:
    """Root of the mean squared error, in units of the dimension: (sets, dimensions)."""
    return np.sqrt(sums.squared_errors / sums.clips)


CCC = DimensionMeasure(
    name="ccc",
    title="CCC",
    function=concordance,
    range=(-1.0, 1.0),
    order=20,
    chance=lambda sums: np.zeros_like(sums.truth),
)
PEARSON = DimensionMeasure(
    name="pearson",
    title="Pearson's r",
    function=correlation,
    range=(-1.0, 1.0),
    order=21,
    hub_type="pearsonr",
    chance=lambda sums: np.zeros_like(sums.truth),
)
MAE = DimensionMeasure(
    name="mae",
    title="MAE",
    function=mean_absolute_error,
    range=(0.0, np.inf),
    higher_is_better=False,
    order=22,
)
RMSE = DimensionMeasure(
    name="rmse",
    title="RMSE",
    function=root_mean_squared_error,
    range=(0.0, np.inf),
    higher_is_better=False,
    order=23,
    chance=lambda sums: np.sqrt(sums.truth_variance),
)
