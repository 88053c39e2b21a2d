"""Linear maps that are solved for, on standardised features (clips, features): the probes of all targets."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.targets.target import Floats, LinearMap

NEVER = -30.0
"""The bias, in logits, of a class that no training clip has."""


@contextmanager
def solving() -> Iterator[None]:
    """Context of a fit: BLAS on one thread, and no warning of a fit that does not converge.

    These products are small, and many threads made them eight times as slow. At weak regularisation a separable set has
    no optimum to converge to; where it stands then is good enough. Both are settings of the process: whoever fits in
    several threads enters the context around them all, so that a thread that leaves it changes nothing for the others.
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    with warnings.catch_warnings(), threadpool_limits(1, "blas"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def logistic(
    features: Floats,
    classes: NDArray[Any],
    strength: float,
    *,
    outputs: int,
    weighted: bool,
    clip_weights: NDArray[Any] | None = None,
    originals: NDArray[np.bool_] | None = None,
) -> LinearMap:
    """L2-regularised multinomial logistic regression of class indices (clips,); deterministic.

    `weighted` weighs clips by inverse class frequency, where each clip counts as one; `clip_weights` (clips,) are
    factors on the loss beside that. Only clips that are `originals` (clips,) count in class frequencies; None: all. A
    class that no clip has is never predicted.
    """
    from sklearn.linear_model import LogisticRegression

    present = np.unique(classes).astype(int)
    weight, bias = np.zeros((outputs, features.shape[1])), np.full(outputs, NEVER)
    if len(present) == 1:
        bias[present] = 0.0
        return LinearMap(weight, bias)
    class_weight: str | dict[int, float] | None = "balanced" if weighted else None
    if weighted and clip_weights is not None:  # "balanced" would count the factors, and not the clips
        counted = classes.astype(int) if originals is None else classes[originals].astype(int)
        counts = np.bincount(counted)
        class_weight = {label: len(counted) / (len(present) * counts[label]) for label in present.tolist()}
    with solving():
        model = LogisticRegression(C=strength, max_iter=300, tol=1e-3, class_weight=class_weight).fit(
            features, classes, sample_weight=clip_weights
        )
    if len(present) == 2:  # scikit-learn gives one row, for the second class
        weight[present] = np.concatenate([-model.coef_ / 2, model.coef_ / 2])
        bias[present] = np.concatenate([-model.intercept_ / 2, model.intercept_ / 2])
    else:
        weight[present], bias[present] = model.coef_, model.intercept_
    return LinearMap(weight, bias)


def of_shares(
    features: Floats,
    shares: NDArray[Any],
    strength: float,
    *,
    weighted: bool,
    clip_weights: NDArray[Any] | None = None,
    originals: NDArray[np.bool_] | None = None,
) -> LinearMap:
    """Logistic regression of shares (clips, labels): each clip counts once for each label, by its share of it.

    The other parameters are those of `logistic`.
    """
    clips, labels = np.nonzero(shares)
    weights = shares[clips, labels].astype(np.float64)
    if weighted:  # "balanced" would count clips, and not their shares
        counted = shares if originals is None else shares[originals]
        of_labels = len(counted) / (shares.shape[1] * np.maximum(counted.sum(axis=0), 1e-12))
        weights *= (shares @ of_labels)[clips]
    if clip_weights is not None:
        weights *= clip_weights[clips]
    return logistic(features[clips], labels, strength, outputs=shares.shape[1], weighted=False, clip_weights=weights)


def of_marks(
    features: Floats,
    marks: NDArray[Any],
    strength: float,
    *,
    weighted: bool,
    clip_weights: NDArray[Any] | None = None,
    originals: NDArray[np.bool_] | None = None,
) -> LinearMap:
    """One logistic regression for each of several labels, marks (clips, labels) of 0 and 1.

    The other parameters are those of `logistic`.
    """
    options: dict[str, Any] = {"weighted": weighted, "clip_weights": clip_weights, "originals": originals}
    maps = [logistic(features, column.astype(int), strength, outputs=2, **options) for column in marks.T]
    weight = np.stack([pair.weight[1] - pair.weight[0] for pair in maps])
    return LinearMap(weight, np.array([pair.bias[1] - pair.bias[0] for pair in maps]))


def ridge(
    features: Floats, numbers: NDArray[Any], strength: float, *, clip_weights: NDArray[Any] | None = None
) -> LinearMap:
    """Ridge regression of numbers (clips, dimensions); exact.

    It minimises C Σ wᵢ errorᵢ² / 2 + ‖w‖² / 2 a dimension; `clip_weights` are the wᵢ (clips,), 1 by default.
    """
    middle = np.average(features, axis=0, weights=clip_weights)
    centre = np.average(numbers, axis=0, weights=clip_weights)
    x, y = features - middle, numbers - centre
    if clip_weights is not None:
        root = np.sqrt(clip_weights)[:, None]
        x, y = root * x, root * y
    with solving():
        # The smaller of the two systems: features are often more than clips.
        if len(x) < x.shape[1]:
            weight = (x.T @ np.linalg.solve(x @ x.T + np.eye(len(x)) / strength, y)).T
        else:
            weight = np.linalg.solve(x.T @ x + np.eye(x.shape[1]) / strength, x.T @ y).T
    return LinearMap(weight, centre - weight @ middle)


def stacked(*maps: LinearMap) -> LinearMap:
    """One map with the outputs of all, in their order."""
    return LinearMap(np.concatenate([m.weight for m in maps]), np.concatenate([m.bias for m in maps]))
