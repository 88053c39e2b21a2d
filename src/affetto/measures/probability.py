"""Log loss, expected calibration error and Brier's score: measures of the probabilities of all labels.

The expected calibration error is that of Guo et al. ("On Calibration of Modern Neural Networks", ICML 2017). It tends
to come out too large where clips are few, so that systems are best compared on the same clips. Brier's score and the
log loss reward being right as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.measures.confusion import Counts, Floats
from affetto.measures.measure import ProbabilityMeasure

FLOOR = 1e-12
"""Least probability in a log loss: 0 would be an infinite one."""
BINS = 15


def softmax(logits: Floats) -> Floats:
    """Probabilities of logits (…, labels)."""
    powers: Floats = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def finite(probabilities: NDArray[Any]) -> Floats:
    """`probabilities` (clips, labels) as float64.

    Raises ValueError where one is not finite: an argmax over NaN would be a confident wrong answer.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if values.ndim != 2 or not len(values):
        raise ValueError(f"probabilities must be (clips, labels) with at least one clip, not {values.shape}")
    bad = ~np.isfinite(values)
    if bad.any():
        rows = np.flatnonzero(bad.any(axis=1))
        raise ValueError(
            f"{bad.sum()} of {values.size} probabilities are not finite, in {len(rows)} of {len(values)} clips "
            f"(first: clip {rows[0]})"
        )
    return values


def log_loss(probabilities: NDArray[Any], truth: Sequence[int] | NDArray[Any], floor: float = FLOOR) -> float:
    """Mean negative log-likelihood of the true labels, in nats; no probability counts as less than `floor`."""
    true = np.asarray(truth)
    likelihoods = probabilities[np.arange(len(true)), true]
    return float(-np.log(np.maximum(likelihoods, floor)).mean())


def brier(probabilities: NDArray[Any], truth: Sequence[int] | NDArray[Any]) -> float:
    """Mean over clips of the squared distance of the probabilities from the truth, summed over labels (Brier 1950)."""
    true = np.eye(probabilities.shape[1])[np.asarray(truth)]
    return float(((probabilities - true) ** 2).sum(axis=1).mean())


def expected_calibration_error(
    probabilities: NDArray[Any], truth: Sequence[int] | NDArray[Any], bins: int = BINS
) -> float:
    """Mean gap between confidence and accuracy, over equally wide bins of confidence.

    Bins are open below and closed above; each weighs as many clips as it holds.
    """
    values = finite(probabilities)
    _, confidence, right = confidence_bins(values, truth, bins)
    return float(np.abs(confidence - right).sum() / len(values))


def confidence_bins(
    probabilities: NDArray[Any], truth: Sequence[int] | NDArray[Any], bins: int = BINS
) -> tuple[Counts, Floats, Floats]:
    """Clips, sum of confidence, and clips that are right, in each of the equally wide bins of confidence: (bins,)."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == np.asarray(truth)
    inside = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    clips = np.bincount(inside, minlength=bins).astype(np.int64)
    return clips, *(np.bincount(inside, weights=w, minlength=bins) for w in (confidence, right))  # type: ignore[return-value]


LOG_LOSS = ProbabilityMeasure(
    name="log_loss",
    title="log loss",
    function=log_loss,
    range=(0.0, np.inf),
    higher_is_better=False,
    is_shown=False,
    order=10,
)
ECE = ProbabilityMeasure(
    name="ece",
    title="ECE",
    function=expected_calibration_error,
    higher_is_better=False,
    is_shown=False,
    order=11,
    hub_type="expected_calibration_error",
)
BRIER = ProbabilityMeasure(
    name="brier",
    title="Brier score",
    function=brier,
    range=(0.0, 2.0),
    higher_is_better=False,
    is_shown=False,
    order=12,
    hub_type="brier_score",
)
